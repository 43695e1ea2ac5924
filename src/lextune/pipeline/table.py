"""The table of stages, how they are wired, and the plan of a recipe: which of them it asks for, with which settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lextune.core.errors import RecipeError
from lextune.core.recipe import Config
from lextune.core.stage import Stage
from lextune.data import clean, human, twins
from lextune.data import stages as data_stages
from lextune.data.mix import check_mix
from lextune.evaluate import stages as evaluate_stages
from lextune.expert.build import in_openvino
from lextune.expert.schema import load_schema
from lextune.expert.tasks import get_task
from lextune.expert.tasks.base import OUTPUT
from lextune.expert.tasks.instruction import is_prose
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
        *twins.STAGES,
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
    "sft_model": "merge_sft",
    "parity": "parity",
    "thresholds": "calibrate",
    "predictions": "predict",
    "base_predictions": "predict_base",
    "evaluation": "score",
    "forgetting": "forgetting",
    "stress": "stress",
    "twins": "twins",
    "judge": "judge",
    "gate": "gate",
    "pairs": "preferences",
    "human": "human_pairs",
}
DPO_STAGES = ("keep_out", "human_pairs", "preferences", "dpo", "merge_sft")
ASKED_FOR = ("clean", "uk_twins", "search", *DPO_STAGES, "judge", "forgetting", "stress", "twins")
"""Stages of the recipes that ask for them; all others are in every recipe."""
DPO_WIRES = {  # what differs with `dpo`: SFT does not see what preferences are mined on, and its adapter is trained on
    "preflight": {"examples": "keep_out"},
    "search": {"examples": "keep_out"},
    "sft": {"examples": "keep_out"},
    "preferences": {"examples": "keep_out"},
    "merge": {"adapter": "dpo"},
    "parity": {"adapter": "dpo"},
    "bundle": {"adapter": "dpo"},
}
SHARED = (  # settings of a recipe that stages take under the same name
    "name", "task", "task_options", "schema_name", "base", "clean", "split", "window", "balance", "mix", "train",
    "search", "aim", "jaccard_at_least", "recall_at_least",
)  # fmt: skip
ORDER = [
    "documents",
    "clean",
    "split",
    "uk_twins",
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
    "merge_sft",
    "parity",
    "calibrate",
    "predict",
    "predict_base",
    "judge",
    "forgetting",
    "stress",
    "twins",
    "score",
    "gate",
    "report",
    "bundle",
]


def plan(recipe: Recipe, source_fingerprint: str, *, searching: bool = False) -> list[Step]:
    """Return the steps of a recipe in order; the search for training settings is one of them where it is asked for.

    Raises:
        RecipeError: the task or the schema is unknown, the task does not have the strategy, the strategy cannot
            learn the mix, or the engine has no quantised weights.
    """
    get_task(recipe.task).check_strategy(recipe.train.strategy)
    check_mix(recipe.mix, recipe.train.strategy)
    if recipe.dpo is not None:
        dpo.check_train(recipe.train, recipe.dpo.loss)
    if get_task(recipe.task).rows:
        _check_rows(recipe)
    load_schema(recipe.schema_name)
    if recipe.release.quantize and not in_openvino(recipe.release.engine):
        raise RecipeError(
            f"the engine {recipe.release.engine} has no weights in {recipe.release.quantize}",
            where="release.quantize",
            do="leave it out, or use the engine openvino",
        )
    known: dict[str, Any] = {
        **{key: getattr(recipe, key) for key in SHARED},
        "max_tokens": recipe.train.max_tokens,
        "fingerprint": source_fingerprint,
        "strategy": recipe.train.strategy,
        "negatives": recipe.train.negatives,
        "absent_fields": recipe.train.absent_fields,
        "engine": recipe.release.engine,
        "quantize": recipe.release.quantize,
        "fuse_linear": recipe.release.fuse_linear,
        "screen": recipe.release.screen,
        "credit": recipe.release.credit,
        "windows": recipe.release.parity_windows,
        "openvino": in_openvino(recipe.release.engine),
        "documents": recipe.evaluate.base_documents,
        **dict(recipe.evaluate),
        "uk_twins": recipe.data.uk_twins,
        "gate": recipe.gate,
        "seed": recipe.seed,
        "title": f"{recipe.name}: what fine-tuning gained",
        "release": recipe.name,
        "official_test": recipe.split.mode == "official",
        "human": recipe.dpo.pairs.human if recipe.dpo else None,
        **({"dpo": recipe.dpo, "pairs": recipe.dpo.pairs, "kept_out": recipe.dpo.kept_out} if recipe.dpo else {}),
    }
    wanted = {"linear": recipe.task == "clause-extraction", "clean": recipe.clean is not None}
    wanted["search"] = searching
    wanted |= {
        "uk_twins": recipe.data.uk_twins > 0,
        "judge": recipe.evaluate.judge is not None,
        "forgetting": recipe.evaluate.forgetting,
        "stress": recipe.evaluate.stressed > 0,
        "twins": recipe.evaluate.twins > 0,
    }
    wanted |= dict.fromkeys((*DPO_STAGES, "sft_model"), recipe.dpo is not None)
    wanted["human"] = wanted["human_pairs"] = known["human"] is not None
    steps = []
    for name in ORDER:
        stage = TABLE[name]
        if not wanted.get(name, True):
            continue
        wires = {i: WIRES[i] for i in stage.inputs if wanted.get(i, True)}
        if name == "split" and recipe.clean is not None:
            wires["documents"] = "clean"
        if name in ("examples", "keep_out") and wanted["uk_twins"]:
            wires["split"] = "uk_twins"
        if name == "search" and recipe.train.best_by == "loss":
            del wires["split"]  # it reads documents for the metric alone
        if recipe.dpo is not None:
            wires |= DPO_WIRES.get(name, {})
        whole = {"clean": recipe.clean, "judge": recipe.evaluate.judge}.get(name)
        values = {key: known[key] for key in stage.config.model_fields if key in known}
        steps.append(Step(stage, whole or stage.config(**values), wires))
    return steps


def _check_rows(recipe: Recipe) -> None:
    """Refuse what is done to contracts alone, and a schema of clauses."""
    if recipe.clean is not None:
        raise RecipeError(
            f"the task {recipe.task} reads what callers write, which is not cleaned",
            where="clean",
            do="leave it out, and clean the rows with `lextune data clean`",
        )
    asked = {
        "evaluate.stressed": recipe.evaluate.stressed,
        "evaluate.twins": recipe.evaluate.twins,
        "data.uk_twins": recipe.data.uk_twins,
    }
    for name in (name for name, count in asked.items() if count):
        raise RecipeError(
            f"the task {recipe.task} reads rows, and this is done to contracts", where=name, do="leave it out"
        )
    if not is_prose(load_schema(recipe.schema_name)):
        raise RecipeError(
            f"the task {recipe.task} reads rows, which have the one field {OUTPUT} and none of {recipe.schema_name}",
            where="schema_name",
            do="use schema_name: instruction",
        )


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
