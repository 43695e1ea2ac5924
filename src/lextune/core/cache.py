"""The user's cache: folders that are made once and shared by every process."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from lextune.core.machine import disk_error

PARTIAL = ".partial"
IN_CACHE = "set LEXTUNE_CACHE to a folder that you may write"
ABANDONED = 24 * 3600  # seconds after which what a killed process left is removed


def cache_folder() -> Path:
    """Return the folder for downloaded and unpacked models (`$LEXTUNE_CACHE` or the user's cache)."""
    root = os.environ.get("LEXTUNE_CACHE")
    if root:
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lextune"


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return a folder, made where it is not there yet; it is there whole or not at all.

    Args:
        folder: where it is to be; nothing else makes it.
        make: fills the empty folder that it is given. Of processes that do so at the same time, the first to end
            gives the folder, and the others' are dropped.

    Raises:
        MachineError: the folder may not be written.
    """
    if folder.exists():
        return folder
    work = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}{PARTIAL}")
    made = work / folder.name  # what `make` stages beside it goes with `work`
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir(parents=True)
    except OSError as error:
        ours = folder.is_relative_to(cache_folder())
        raise disk_error(error, folder, *([IN_CACHE] if ours else [])) from error
    try:
        for left in folder.parent.glob(f".{folder.name}.*{PARTIAL}"):
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        make(made)
        try:
            made.rename(folder)
        except OSError:  # another process was first
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder
