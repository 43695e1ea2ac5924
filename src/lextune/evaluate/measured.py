"""What was measured, found by a path: a run, a release, an evaluation's folder, or a file of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.artifacts import MANIFEST, Artifact
from lextune.core.errors import ArtifactError, DataError

EVALUATION, METRICS = "evaluation.json", "metrics.json"
RUN_NOTE = "run.json"


class Measured(NamedTuple):
    """An evaluation and, where it is not a bare file, the artifact that it is from."""

    name: str
    evaluation: Mapping[str, Any]
    artifact: Artifact | None


def find_measured(path: Path) -> Measured:
    """Return the evaluation that a path names.

    Args:
        path: a run's folder (the evaluation of its recipe as last run is taken), an evaluation's or a release's folder,
            or a file `evaluation.json` or `metrics.json`.

    Raises:
        ArtifactError: there is none, or it is damaged.
        DataError: a file is no evaluation.
    """
    if path.is_file():
        return Measured(str(path), _read(path), None)
    if (path / MANIFEST).is_file():
        found = Artifact.open(path)
        if found.kind == "release":
            beside = parent(found, "evaluation")
            return Measured(str(path), found.json(METRICS), beside)
        if found.kind == "evaluation":
            return Measured(str(path), found.json(EVALUATION), found)
        raise ArtifactError(
            f"this is a {found.kind}, which holds no evaluation",
            where=str(path),
            do="give a run, a release, an evaluation, or an evaluation.json",
        )
    found = newest_evaluation(path)
    return Measured(str(path), found.json(EVALUATION), found)


def newest_evaluation(run: Path) -> Artifact:
    """Return the evaluation that a run's folder stands for: that of its recipe as last run.

    A folder without the note of a run (`run.json`) stands for its newest evaluation.

    Raises:
        ArtifactError: there is none, or it is damaged: an older one is of other weights or of another recipe.
    """
    found = _last_made(run, "score")
    if found is not None:
        return found
    if (run / RUN_NOTE).is_file():
        raise ArtifactError(
            "its recipe did not come to an evaluation when it was last run",
            where=str(run),
            do="run it to the end, or with --until score",
        )
    raise ArtifactError(
        "no evaluation here" if run.is_dir() else "no such folder",
        where=str(run),
        do="give a run's folder; `lextune run RECIPE --until score` makes its evaluation",
    )


def newest_limits(run: Path) -> dict[str, Any] | None:
    """Return the limits of a run's recipe as last run, None where its gate was not asked then.

    Raises:
        ArtifactError: the note of the last run, or what its gate made, is damaged.
    """
    found = _last_made(run, "gate")
    return None if found is None else dict(found.manifest.config["gate"])


def newest_forgetting(run: Path, weights: str) -> Artifact | None:
    """Return the measurement of general ability of these weights: that of the last run, else the newest in its folder.

    None where there is none.

    Raises:
        ArtifactError: the note of the last run, or its measurement, is damaged.
    """
    if "forgetting" in (_last_run(run) or {}):
        return _last_made(run, "forgetting")
    return _newest(run, "forgetting", weights)


def parent(artifact: Artifact, name: str) -> Artifact | None:
    """Return one of the artifacts that this one was made from, None where it is gone or is not what it was."""
    folder = artifact.manifest.parents.get(name)
    try:
        found = None if folder is None else Artifact.open(artifact.path.resolve().parent / folder)
    except ArtifactError:
        return None
    return found if found is not None and found.hash == artifact.manifest.inputs[name] else None


def _last_made(run: Path, stage: str) -> Artifact | None:
    """Return what a stage of the recipe made as it was last run, None where that run did not come to it.

    In a folder without the note of a run it is what the stage made last.
    """
    steps = _last_run(run)
    if steps is None:
        return _newest(run, stage)
    if stage not in steps:
        return None
    try:
        return Artifact.open(run / steps[stage])
    except ArtifactError as error:
        raise ArtifactError(error.what, where=error.where, do="run the recipe again: it is made anew") from None


def _last_run(run: Path) -> dict[str, str] | None:
    """Return the folders of a recipe's artifacts as it was last run, by stage; None where there is no note of it."""
    note = run / RUN_NOTE
    if not note.is_file():
        return None
    try:
        steps = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        steps = None
    if not isinstance(steps, dict) or not all(isinstance(folder, str) for folder in steps.values()):
        raise ArtifactError("unreadable run.json", where=str(note), do="run the recipe again: it is written anew")
    return steps


def _newest(run: Path, stage: str, weights: str | None = None) -> Artifact | None:
    """Return the artifact of a stage that was made last; of those of one time the last by name."""
    found = []
    for folder in sorted(run.glob(f"{stage}-*")):
        try:
            artifact = Artifact.open(folder)
        except ArtifactError:
            continue
        if artifact.manifest.stage == stage and weights in (None, artifact.manifest.inputs.get("model")):
            found.append(artifact)
    return max(found, key=lambda artifact: artifact.manifest.created, default=None)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("arms"), dict):
        raise DataError(
            "this is no evaluation", where=str(path), do="give the evaluation.json or metrics.json that a run wrote"
        )
    return found
