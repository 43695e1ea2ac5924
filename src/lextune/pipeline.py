"""The table of stages, the Recipe that configures them, and `run`, which does what is not done yet.

A stage is reused when its inputs' hashes, config, seed and version match an artifact that exists and verifies;
another code revision or package version is warned about and does not rerun it.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from lextune.core.artifacts import Artifact, ArtifactStore, disk_error, sha256_file, write_atomic
from lextune.core.errors import MachineError, RecipeError
from lextune.core.provenance import code_revision, package_versions
from lextune.core.recipe import Config, load_recipe
from lextune.core.stage import Context, Inputs, Stage
from lextune.data import clean, human
from lextune.data import stages as data_stages
from lextune.data.balance import BalanceConfig
from lextune.data.clean import CleanConfig
from lextune.data.mix import MixConfig, check_mix
from lextune.data.sources import find_source, fingerprint
from lextune.data.split import SplitConfig
from lextune.evaluate import stages as evaluate_stages
from lextune.expert.schema import load_schema
from lextune.expert.task import get_task
from lextune.expert.thresholds import Aim
from lextune.expert.weights import ADAPTER_WEIGHTS, SMOLLM2, cache_folder, resolve_base
from lextune.expert.windowing import WindowConfig
from lextune.release import bundle, merge, parity
from lextune.train import dpo, kept_out, preferences, search
from lextune.train import stages as train_stages
from lextune.train.dpo_settings import DpoSettings
from lextune.train.search_settings import SearchSettings
from lextune.train.settings import TrainConfig


class DataSettings(Config):
    """Where documents come from."""

    source: str = "auto"
    """`auto` (what is at hand, else the package's own), a dataset version, a folder in CUAD's layout, or a file of rows
    or of labelled spans."""


class EvaluateSettings(Config):
    """What the untuned arms are given."""

    base_documents: int = Field(8, ge=0)
    """How many held-out documents the untuned arms read, the shortest first."""
    shots: int = Field(3, ge=0)
    """How many worked examples the few-shot arm is shown."""


class ReleaseSettings(Config):
    """What is shipped, and how it is checked."""

    engine: Literal["openvino", "transformers"] = "openvino"
    """The engine that thresholds and metrics are measured with."""
    parity_windows: int = Field(24, ge=1)
    """How many validation windows or prompts the parity check compares."""


class Recipe(Config):
    """Everything about one expert, from data to release."""

    name: str = Field(pattern=r"^\w[\w.-]*$")
    """The expert's name; its artifacts are in a folder of this name."""
    task: str = "clause-extraction"
    """What documents are used for: `clause-extraction` or `instruction`."""
    schema_name: str = "clauses-47"
    """The fields to extract: a built-in schema, or the path of a YAML file with one."""
    base: str = SMOLLM2
    """The model to fine-tune: `smollm2-135m`, a hub id, or a folder."""
    seed: int = 0
    """Draws what is random in training, sampling of examples, and the intervals of scores."""
    data: DataSettings = DataSettings()
    """Where documents come from."""
    clean: CleanConfig | None = None
    """How documents are cleaned before they are divided, and later whatever the release reads; null for not at all."""
    split: SplitConfig = SplitConfig()
    """How documents are divided into train, validation and test."""
    window: WindowConfig = WindowConfig()
    """How documents are cut into what the model reads at once."""
    balance: BalanceConfig = BalanceConfig()
    """Which training windows are kept, repeated and left out."""
    mix: MixConfig = MixConfig()
    """General instructions among the training examples, against forgetting."""
    train: TrainConfig = TrainConfig()
    """How the model is fine-tuned."""
    dpo: DpoSettings | None = None
    """Whether it learns from its own mistakes after that, with strategy `point` or `text`; null for not at all."""
    search: SearchSettings = SearchSettings()
    """Where `lextune train search` looks for better training settings; a run does not read it."""
    aim: Aim = "f1"
    """What thresholds are chosen for: `f1`, or `recall` (F2, which counts a missed clause for more)."""
    evaluate: EvaluateSettings = EvaluateSettings()
    """What the fine-tuned model is compared with."""
    release: ReleaseSettings = ReleaseSettings()
    """What is shipped."""


class Step(NamedTuple):
    """One stage of a plan: its settings and which earlier step's artifact each input is."""

    stage: Stage
    config: Config
    inputs: dict[str, str]


Starting = Callable[[Stage, Config, Inputs, int], None]


class _Calls(NamedTuple):
    """Who is told of what a run does: see `run`."""

    progress: Callable[[str, int, int, str], None] | None
    note: Callable[[str], None]
    starting: Starting


class Done(NamedTuple):
    """A finished step: its artifact, and whether it was there already."""

    name: str
    artifact: Artifact
    reused: bool


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


def run(  # noqa: PLR0913 - the options of the command, each by name
    recipe: Recipe,
    *,
    out: Path,
    data: str | None = None,
    until: str | None = None,
    start: str | None = None,
    ray: str | None = None,
    jobs: int | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
    note: Callable[[str], None] = lambda text: None,
    starting: Starting = lambda stage, config, inputs, seed: None,
) -> list[Done]:
    """Run a recipe: reuse what exists, make the rest.

    Args:
        recipe: what to run.
        out: folder of the artifacts; one run at a time may write there.
        data: replaces the recipe's `data.source`.
        until: the last stage to run.
        start: the first stage that is made again even where it exists.
        ray: the address of a cluster that cleans the documents (`lextune.core.cluster`).
        jobs: processes of the stage `search`; one a GPU by default.
        progress: called with stage, done, total and a note.
        note: called with one line a stage, and with warnings.
        starting: called with stage, config, inputs and seed before a stage is run.

    Raises:
        RecipeError: no such stage, or one of `plan`'s.
        DataError: no such data.
        MachineError: another run writes to `out`, or it cannot be written.
    """
    searching = until == "search"
    check_range(plan(recipe, "", searching=searching), until, start)
    source = find_source(data or recipe.data.source, cache=cache_folder(), task=recipe.task)
    note(f"data: {source.path} ({source.why})")
    steps = plan(recipe, fingerprint(source.path), searching=searching)
    store, done = ArtifactStore(out), dict[str, Done]()
    options = {"source": str(source.path), "why": source.why, "ray": ray, "jobs": jobs, "name": recipe.name}
    if ray is not None and recipe.clean is None:
        note("--ray: nothing to do there, this recipe cleans no documents")
    calls = _Calls(progress, note, starting)
    with _one_at_a_time(out):
        again = False
        for step in steps:
            again = again or step.stage.name == start
            finished = _step(step, recipe, store, done, again=again, options=options, calls=calls)
            done[step.stage.name] = finished
            if step.stage.name == until:
                break
        made = {name: each.artifact for name, each in done.items()}
        current = _still_current(steps[len(made) :], recipe, store, made)
        write_atomic(out / "run.json", json.dumps({n: a.path.name for n, a in current.items()}, indent=1))
    return list(done.values())


def _still_current(
    steps: Sequence[Step], recipe: Recipe, store: ArtifactStore, made: Mapping[str, Artifact]
) -> dict[str, Artifact]:
    """Return what was made, and of the later `steps` what an earlier run made from exactly that."""
    found = dict(made)
    for step in steps:
        _, key = _header(step, recipe, {name: found[maker] for name, maker in step.inputs.items()})
        existing = store.find(step.stage.name, key)
        if existing is None:
            break
        found[step.stage.name] = existing
    return found


def _step(  # noqa: PLR0913 - private, called once
    step: Step,
    recipe: Recipe,
    store: ArtifactStore,
    done: dict[str, Done],
    *,
    again: bool,
    options: dict[str, Any],
    calls: _Calls,
) -> Done:
    stage, (progress, note, starting) = step.stage, calls
    inputs = {name: done[maker].artifact for name, maker in step.inputs.items()}
    header, key = _header(step, recipe, inputs)
    existing = None if again else store.find(stage.name, key)
    if existing is not None:
        warn_if_made_elsewhere(existing, note)
        note(f"{stage.name}: up to date ({existing.path.name})")
        return Done(stage.name, existing, True)

    def report(count: int, total: int, text: str) -> None:
        if progress is not None:
            progress(stage.name, count, total, text)

    context = Context(recipe.seed, report, options, lambda text: note(f"{stage.name}: warning: {text}"))
    started = time.monotonic()
    if again:
        _forget(store.staging(stage.name, key))
    starting(stage, step.config, inputs, recipe.seed)
    made = store.build(header, key, lambda folder: stage.run(step.config, inputs, folder, context))
    remark = f"; {made.manifest.summary['note']}" if made.manifest.summary.get("note") else ""
    note(f"{stage.name}: done in {time.monotonic() - started:.1f} s ({made.path.name}){remark}")
    return Done(stage.name, made, False)


def _header(step: Step, recipe: Recipe, inputs: Mapping[str, Artifact]) -> tuple[dict[str, Any], str]:
    """Return what the manifest of a step's artifact will say, and the key that it is found by."""
    stage, config = step.stage, step.config.model_dump(mode="json")
    hashes = {name: artifact.hash for name, artifact in inputs.items()} | _named_files(step.config)
    header = {
        "kind": stage.kind,
        "stage": stage.name,
        "stage_version": stage.version,
        "config": config,
        "seed": recipe.seed,
        "inputs": hashes,
        "parents": {name: artifact.path.name for name, artifact in inputs.items()},
    }
    return header, ArtifactStore.key(stage.name, stage.version, config, recipe.seed, hashes)


def _named_files(config: Config) -> dict[str, str]:
    """Return the hashes of what a config names by path: a stage is made again where its content is another."""
    found = {}
    schema, base = getattr(config, "schema_name", None), getattr(config, "base", None)
    if schema is not None and Path(schema).is_file():
        found["schema file"] = sha256_file(Path(schema))
    if base is not None and Path(base).is_dir():
        model = resolve_base(base)
        found["base weights"], found["base tokenizer"] = model.weights_sha256, model.tokenizer_sha256
    train = getattr(config, "train", None)
    if train is not None and train.init_adapter is not None:
        weights = Path(train.init_adapter) / ADAPTER_WEIGHTS
        if weights.is_file():
            found["init adapter"] = sha256_file(weights)
    human_file = getattr(config, "human", None)
    if human_file is not None and Path(human_file).is_file():
        found["human preferences"] = sha256_file(Path(human_file))
    mix = getattr(config, "mix", None)
    if mix is not None and mix.share and Path(mix.source).is_file():
        found["mix file"] = sha256_file(Path(mix.source))
    split = getattr(config, "split", None)
    if split is not None and split.official_test is not None and split.official_test.is_file():
        found["official test"] = sha256_file(split.official_test)
    return found


def _forget(staging: Path) -> None:
    """Drop what a killed run left, so that a stage asked for again starts from nothing."""
    import shutil

    shutil.rmtree(staging, ignore_errors=True)


def warn_if_made_elsewhere(artifact: Artifact, note: Callable[[str], None]) -> None:
    """Say where an artifact was made by other code or packages than these."""
    made, here = artifact.manifest.packages, package_versions()
    changed = [f"{n} {made[n]} (now {here[n]})" for n in made if n in here and made[n] != here[n]]
    if artifact.manifest.code_revision != code_revision():
        changed.insert(0, f"code {artifact.manifest.code_revision} (now {code_revision()})")
    if changed:
        note(f"{artifact.path.name}: warning: made with {', '.join(changed)}; reused")


@contextmanager
def _one_at_a_time(out: Path) -> Iterator[None]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = (out / ".lock").open("w")
    except OSError as error:
        raise disk_error(error, out) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MachineError(
                "another run is writing here",
                where=str(out),
                do="wait for it, or choose another folder with --out",
            ) from None
        yield


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file with overrides; see `lextune.core.recipe.load_recipe`."""
    return load_recipe(path, Recipe, overrides)
