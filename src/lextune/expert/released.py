"""Releases: from the folder that is shipped to the expert that answers as it is served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lextune.core.artifacts import Artifact, sha256_file
from lextune.core.errors import ArtifactError, MachineError
from lextune.core.learnt import LEARNT_FILE
from lextune.expert.answering import Expert, Identity
from lextune.expert.beside import Beside
from lextune.expert.build import build_expert, load_model
from lextune.expert.cleaned import CleanedExpert, behind_cleaning
from lextune.expert.compact import ADAPTER, KIND, NOTE, bundled, unpack
from lextune.expert.schema import load_schema
from lextune.expert.thresholds import THRESHOLDS_FILE, Thresholds
from lextune.expert.weights import ADAPTER_WEIGHTS
from lextune.expert.windowing import WindowConfig
from lextune.expert.writing import WritingExpert
from lextune.text.cleaning import CleanOptions

BUNDLED = "bundled"  # names the adapter of this package's expert


def find_release(path: Path | None) -> Path:
    """Return the release folder that a path names: itself, that of a finished run, or an unpacked compact one.

    Args:
        path: None names the expert in this package.

    Raises:
        ArtifactError: there is none.
        ModelError: a compact release cannot be unpacked here.
    """
    if path is None:
        path = bundled()
        if path is None:
            raise ArtifactError("no expert comes with this package", do="give --release")
    if not path.exists():
        raise ArtifactError(
            "no such release", where=str(path), do="give --release a release's folder; `lextune demo` makes runs/demo"
        )
    if (path / NOTE).is_file():
        return unpack(path)
    steps = _steps(path)
    if steps is None:
        return path
    if "bundle" not in steps:
        raise ArtifactError("this run has no release yet", where=str(path), do="run its recipe to the end")
    return path / str(steps["bundle"])


def find_adapter(name: str) -> Path:
    """Return the folder of the adapter that is meant.

    Args:
        name: its folder, that of the run whose last training made it, or of a compact release; `bundled` for the one of
            this package's expert.

    Raises:
        ArtifactError: there is nothing at the path, or the run has trained none.
    """
    path = bundled() if name == BUNDLED else Path(name)
    if path is None or not path.exists():
        raise ArtifactError("no such adapter", where=name, do="train it first, or leave train.init_adapter out")
    if (path / NOTE).is_file():
        return path / ADAPTER
    steps = _steps(path)
    if steps is None:
        return path
    made = steps.get("dpo") or steps.get("sft")
    if made is None:
        raise ArtifactError("this run has trained nothing yet", where=str(path), do="run its recipe with --until sft")
    return path / str(made)


def adapter_hash(name: str) -> str | None:
    """Return the hash of the weights of an adapter (see `find_adapter`), None where it has none."""
    weights = find_adapter(name) / ADAPTER_WEIGHTS
    return sha256_file(weights) if weights.is_file() else None


def learnt_file(adapter: Path) -> Path:
    """Return where it is written what an adapter learnt from; a compact release has that beside its adapter."""
    return (adapter.parent if (adapter.parent / NOTE).is_file() else adapter) / LEARNT_FILE


def _steps(path: Path) -> dict[str, Any] | None:
    """Return a run's artifacts by their stages, none where it is unfinished; None where this is no run's folder."""
    note = path / "run.json"
    if note.is_file():
        return _finished_steps(note)
    return {} if (path / ".lock").is_file() else None


def _finished_steps(note: Path) -> dict[str, Any]:
    try:
        steps = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:
        steps = None
    if not isinstance(steps, dict):
        raise ArtifactError("unreadable run.json", where=str(note), do="run the recipe again: it is written anew")
    return steps


def release_expert(
    release: Artifact, engine: str | None = None
) -> tuple[Expert | WritingExpert | CleanedExpert, dict[str, Any]]:
    """Return the expert that a release is, as it is served, and its `release.json`.

    Args:
        release: a sealed release.
        engine: `openvino`, `openvino-f32` or `transformers`; by default the one the release was measured with.
    """
    info = release.json("release.json")
    expert = build_expert(
        load_model(release.path, engine or info["engine"]),
        load_schema(str(release.path / "schema.yaml")),
        Thresholds.load(release.path / THRESHOLDS_FILE),
        WindowConfig(**info["window"]),
        Identity(info["name"], identity_of(release), info["strategy"]),
        Beside.load(release.path, release.path),
    )
    return behind_cleaning(expert, cleaning_of(info)), info


def cleaning_of(info: Mapping[str, Any]) -> CleanOptions | None:
    """Return how the release of a `release.json` cleans what it reads."""
    return CleanOptions(**info["clean"]) if info.get("clean") else None


def identity_of(release: Artifact) -> str:
    """Return the hash that a release is known by on every machine: of a compact one, that of what was unpacked.

    What OpenVINO makes of the same weights is not the same to the bit everywhere.
    """
    return release.manifest.inputs.get(KIND, release.hash)


def start_release(path: Path | None, identity: str, engine: str) -> Expert | WritingExpert | CleanedExpert:
    """Return the expert that the release at a path is; on another machine too, where it must be the same release.

    Args:
        path: as of `find_release`; a compact release is unpacked into the cache of the machine that this runs on.
        identity: as `identity_of` gives it.
        engine: that runs it.

    Raises:
        MachineError: there is none at that path, or another one.
    """
    where = "this package's expert" if path is None else str(path)
    try:
        found = Artifact.open(find_release(path), kind="release")
    except ArtifactError as error:
        what = f"the release cannot be opened ({error.what})"
        raise MachineError(what, where=where, do="put it at this path on every node") from None
    if identity_of(found) != identity:
        raise MachineError("another release is at this path", where=where, do="put the same one on every node")
    return release_expert(found, engine)[0]
