"""Where data come from. Contracts, in order: given, $LEXTUNE_CUAD, the cache, the official archive, the samples.

Rows of any other task: given, or the small set of this package.
"""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from lextune.core.artifacts import MANIFEST, Artifact
from lextune.core.errors import DataError, NetworkError
from lextune.expert.tasks import Instruction, get_task


class Source(NamedTuple):
    """A folder or file of annotated documents, and how it was chosen (one plain phrase)."""

    path: Path
    why: str


def find_source(
    given: str | None, *, cache: Path, task: str = "clause-extraction", connect_seconds: float = 5.0
) -> Source:
    """Return the data to use.

    Args:
        given: a path, or None/"auto" for the first of $LEXTUNE_CUAD, the cache, the official archive and the
            sample contracts of this package; for a task that is made of rows, the rows of this package.
        cache: folder of fetched data.
        task: what the data are for.
        connect_seconds: how long to wait for the official archive.

    Raises:
        DataError: the given path does not exist, or the archive is another than expected.
        MachineError: the disk has no room for the archive.
    """
    if given and given != "auto":
        path = Path(given)
        if not path.exists():
            do = "give a dataset version, a folder in CUAD's layout, or a file of rows"
            raise DataError("no such data", where=given, do=do)
        return Source(path, "given")
    if task == Instruction.name:
        return Source(_resource("instructions.jsonl"), "the instructions of this package")
    if get_task(task).rows:
        return Source(_resource(f"tasks/{task}.jsonl"), f"the rows for {task} of this package")
    named = os.environ.get("LEXTUNE_CUAD")
    if named:
        if not Path(named).is_dir():
            raise DataError("no such folder", where="LEXTUNE_CUAD", do="unset it, or set it to a CUAD folder")
        return Source(Path(named), "named by $LEXTUNE_CUAD")
    fetched = _fetched(cache / "cuad", connect_seconds)
    if fetched is not None:
        return Source(fetched, "the fetched CUAD archive")
    why = "the sample contracts of this package (CUAD is neither here nor reachable)"
    return Source(_resource("sample_contracts"), why)


def _resource(name: str) -> Path:
    return Path(str(resources.files("lextune.resources").joinpath(name)))


def _fetched(destination: Path, connect_seconds: float) -> Path | None:
    """Return CUAD's folder in the cache, fetched now where it is not there; None where it cannot be."""
    from lextune.data.fetch import fetch_cuad

    try:
        return fetch_cuad(destination, connect_seconds=connect_seconds)
    except NetworkError:
        return None


def is_version(path: Path) -> bool:
    """Say whether a folder is a dataset version: a sealed artifact."""
    return (path / MANIFEST).is_file()


def fingerprint(path: Path) -> str:
    """Return a hash over the names and contents of a file, or of all text files of a folder.

    Of a dataset version it is the version's own hash.

    Raises:
        ArtifactError: a dataset version that is damaged.
    """
    if is_version(path):
        return Artifact.open(path).hash
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and _counts(p))
    for file in files:
        name = file.name if path.is_file() else file.relative_to(path).as_posix()
        digest.update(os.fsencode(name) + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _counts(path: Path) -> bool:
    return path.suffix.lower() in {".csv", ".json", ".jsonl", ".txt"}
