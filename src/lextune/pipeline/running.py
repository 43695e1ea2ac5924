"""Running a recipe: what is not done yet is done.

A stage is reused when its inputs' hashes, config, seed and version match an artifact that exists and verifies;
another code revision or package version is warned about and does not rerun it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.artifacts import Artifact, ArtifactStore, sha256_file, write_atomic
from lextune.core.cache import cache_folder
from lextune.core.files import one_at_a_time
from lextune.core.provenance import code_revision, package_versions
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage
from lextune.data.sources import find_source, fingerprint
from lextune.expert.depth import split_depth
from lextune.expert.released import adapter_hash, find_release
from lextune.expert.weights import resolve_base
from lextune.pipeline.recipe import Recipe
from lextune.pipeline.table import Step, check_range, plan

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
    with one_at_a_time(out, "wait for it, or choose another folder with --out"):
        again = False
        try:
            for step in steps:
                again = again or step.stage.name == start
                finished = _step(step, recipe, store, done, again=again, options=options, calls=calls)
                done[step.stage.name] = finished
                if step.stage.name == until:
                    break
        finally:  # a run that was refused halfway is that far too: what an earlier recipe made is not its result
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
    return step.stage.header(step.config, recipe.seed, inputs, _named_files(step.config))


NAMED = {  # what a config names by path -> the settings, from the outside in, that name it
    "schema file": ("schema_name",),
    "human preferences": ("human",),
    "experts": ("experts",),
    "rubric": ("rubric",),
    "blind review": ("blind",),
    "corpus": ("task_options", "corpus"),
    "judge's corpus": ("corpus",),
    "glossary": ("task_options", "glossary"),
    "known citations": ("task_options", "citations"),
    "mix file": ("mix", "source"),
    "official test": ("split", "official_test"),
}


def _named_files(config: Config) -> dict[str, str]:
    """Return the hashes of what a config names by path: a stage is made again where its content is another."""
    named: dict[str, Any] = {what: _setting(config, *names) for what, names in NAMED.items()}
    found = {what: sha256_file(Path(path)) for what, path in named.items() if path and Path(path).is_file()}
    base, train = _setting(config, "base"), _setting(config, "train")
    whole, *_ = split_depth(base or "") or (base,)
    if whole is not None and Path(whole).is_dir():
        model = resolve_base(whole)
        found["base weights"], found["base tokenizer"] = model.weights_sha256, model.tokenizer_sha256
    if train is not None and train.init_adapter is not None:
        adapter = adapter_hash(train.init_adapter)
        if adapter is not None:
            found["init adapter"] = adapter
    for name, folder in (_setting(config, "releases") or {}).items():
        found[f"release {name}"] = Artifact.open(find_release(folder), kind="release").hash
    return found


def _setting(config: Any, *names: str) -> Any:
    """Return what lies under these names, None where there is nothing."""
    for name in names:
        config = getattr(config, name, None)
    return config


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
