"""The table of stages, how they are wired, and the plan of a recipe: which of them it asks for, with which settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lextune.core.errors import RecipeError
from lextune.core.recipe import Config
from lextune.core.stage import Stage
from lextune.data import clean, human
from lextune.data import stages as data_stages
from lextune.data.mix import check_mix
from lextune.evaluate import stages as evaluate_stages
from lextune.expert.schema import load_schema
from lextune.expert.task import get_task
from lextune.pipeline.recipe import Recipe
from lextune.release import bundle, merge, parity
from lextune.train import dpo, kept_out, preferences, search
from lextune.train import stages as train_stages


class Step(NamedTuple):
    """One stage of a plan: its settings and which earlier step's artifact each input is."""

    stage: Stage
    config: Config
    inputs: dict[str, str]


TABLE: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        *data_stages.STAGES,
        clean.STAGE,
        *train_stages.STAGES,
        *search.STAGES,
        *kept_out.STAGES,
        *human.STAGES,
        *preferences.STAGES,
        *dpo.STAGES,
        *merge.STAGES,
        *parity.STAGES,
        *evaluate_stages.STAGES,
        *bundle.STAGES,
    )
}
WIRES = {  # input name -> the stage that makes it
    "documents": "documents",
    "split": "split",
    "examples": "examples",
    "preflight": "preflight",
    "linear": "linear",
    "adapter": "sft",
    "model": "merge",
    "parity": "parity",
    "thresholds": "calibrate",
    "predictions": "predict",
    "base_predictions": "predict_base",
    "evaluation": "score",
    "pairs": "preferences",
    "human": "human_pairs",
}
DPO_STAGES = ("keep_out", "human_pairs", "preferences", "dpo")
DPO_WIRES = {  # what differs with `dpo`: SFT does not see what preferences are mined on, and its adapter is trained on
    "preflight": {"examples": "keep_out"},
    "search": {"examples": "keep_out"},
    "sft": {"examples": "keep_out"},
    "preferences": {"examples": "keep_out"},
    "merge": {"adapter": "dpo"},
    "parity": {"adapter": "dpo"},
}
SHARED = (  # settings of a recipe that stages take under the same name
    "name", "task", "schema_name", "base", "clean", "split", "window", "balance", "mix", "train", "search", "aim",
)  # fmt: skip
ORDER = [
    "documents",
    "clean",
    "split",
    "examples",
    "keep_out",
    "human_pairs",
    "preflight",
    "search",
    "linear",
    "sft",
    "preferences",
    "dpo",
    "merge",
    "parity",
    "calibrate",
    "predict",
    "predict_base",
    "score",
    "report",
    "bundle",
]


def plan(recipe: Recipe, source_fingerprint: str, *, searching: bool = False) -> list[Step]:
    """Return the steps of a recipe in order; the search for training settings is one of them where it is asked for.

    Raises:
        RecipeError: the task or the schema is unknown, the task does not have the strategy, or the strategy cannot
            learn the mix.
    """
    get_task(recipe.task).check_strategy(recipe.train.strategy)
    check_mix(recipe.mix, recipe.train.strategy)
    if recipe.dpo is not None:
        dpo.check_train(recipe.train)
    if recipe.clean is not None and recipe.task != "clause-extraction":
        raise RecipeError(
            f"the task {recipe.task} reads what callers write, which is not cleaned",
            where="clean",
            do="leave it out, and clean the rows with `lextune data clean`",
        )
    load_schema(recipe.schema_name)
    known: dict[str, Any] = {
        **{key: getattr(recipe, key) for key in SHARED},
        "max_tokens": recipe.train.max_tokens,
        "fingerprint": source_fingerprint,
        "strategy": recipe.train.strategy,
        "negatives": recipe.train.negatives,
        "absent_fields": recipe.train.absent_fields,
        "engine": recipe.release.engine,
        "windows": recipe.release.parity_windows,
        "openvino": recipe.release.engine == "openvino",
        "documents": recipe.evaluate.base_documents,
        "shots": recipe.evaluate.shots,
        "seed": recipe.seed,
        "title": f"{recipe.name}: what fine-tuning gained",
        "release": recipe.name,
        "official_test": recipe.split.mode == "official",
        "human": recipe.dpo.pairs.human if recipe.dpo else None,
        **({"dpo": recipe.dpo, "pairs": recipe.dpo.pairs, "kept_out": recipe.dpo.kept_out} if recipe.dpo else {}),
    }
    wanted = {"linear": recipe.task == "clause-extraction", "clean": recipe.clean is not None}
    wanted["search"] = searching
    wanted |= dict.fromkeys(DPO_STAGES, recipe.dpo is not None)
    wanted["human"] = wanted["human_pairs"] = known["human"] is not None
    steps = []
    for name in ORDER:
        stage = TABLE[name]
        if not wanted.get(name, True):
            continue
        wires = {i: WIRES[i] for i in stage.inputs if wanted.get(i, True)}
        if name == "split" and recipe.clean is not None:
            wires["documents"] = "clean"
        if name in ("sft", "search") and recipe.train.best_by == "loss":
            del wires["split"]  # it reads documents for the metric alone
        if recipe.dpo is not None:
            wires |= DPO_WIRES.get(name, {})
        values = {key: known[key] for key in stage.config.model_fields if key in known}
        steps.append(Step(stage, recipe.clean if recipe.clean and name == "clean" else stage.config(**values), wires))
    return steps


def check_range(steps: Sequence[Step], until: str | None, start: str | None) -> None:
    """Refuse a range of stages that a plan does not have.

    Raises:
        RecipeError: no such stage, or `start` comes after `until`.
    """
    names = [step.stage.name for step in steps]
    for option, name in (("--until", until), ("--from", start)):
        if name is not None and name not in names:
            raise RecipeError(f"no stage {name!r}", where=option, do=f"use one of {', '.join(names)}")
    if until is not None and start is not None and names.index(start) > names.index(until):
        raise RecipeError(
            f"{start} comes after {until}", where="--from", do="give an earlier --from or a later --until"
        )
