"""Checkpoints that can be trusted: whole or not there, checked when they are read, the newest few kept.

They lie in an artifact's scratch folder: `checkpoint-N` is whole (or was, when it was written), `writing-N` is not yet,
`corrupt-N` no longer is. The folder goes when the artifact is sealed.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from lextune.core.artifacts import SCRATCH, sha256_file, sync, write_atomic

SEAL = "sha256.json"
STATE = "trainer_state.json"


def seal(folder: Path, final: Path) -> None:
    """Write the hashes of a checkpoint's files beside them and give it its name: from then on it exists."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}
    write_atomic(folder / SEAL, json.dumps(hashes, indent=1))
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    sync(final.parent)


def newest(out: Path, warn: Callable[[str], None] = lambda text: None) -> Path | None:
    """Return the newest checkpoint under `out` whose files are what was written; None where there is none.

    A corrupt one is warned about, passed over and put aside, so that it counts no more as one that is kept; what a
    kill left half-written is removed.
    """
    root = out / SCRATCH
    for leftover in root.glob("writing-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for folder in sorted(root.glob("checkpoint-*"), key=_number, reverse=True):
        problem = _problem(folder)
        if problem is None:
            return folder
        warn(f"{folder.name} is corrupt and passed over: {problem}")
        _put_aside(folder)
    return None


def _put_aside(folder: Path) -> None:
    aside = folder.with_name(folder.name.replace("checkpoint", "corrupt"))
    shutil.rmtree(aside, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):  # another process of the run was faster
        folder.rename(aside)


def _number(folder: Path) -> int:
    digits = folder.name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


def _problem(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint, None where nothing is."""
    try:
        hashes = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"it has no readable {SEAL}"
    for name, expected in hashes.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if sha256_file(folder / name) != expected:
            return f"{name} is not what was written"
    return None if STATE in hashes else f"{STATE} is missing"


def progress(folder: Path) -> tuple[int, list[dict[str, float]]]:
    """Return a checkpoint's optimizer steps, and what was logged until then."""
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    return int(state["global_step"]), list(state["log_history"])


def keep(out: Path, count: int) -> None:
    """Remove all but the newest `count` checkpoints."""
    found = sorted((out / SCRATCH).glob("checkpoint-*"), key=_number, reverse=True)
    for folder in found[count:]:
        shutil.rmtree(folder, ignore_errors=True)
