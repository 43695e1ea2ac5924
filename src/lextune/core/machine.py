"""What a machine may run out of: memory and disk, told from the errors that libraries raise."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from lextune.core.errors import MachineError

EXIT_MEMORY = 12
"""The exit status of a process of ours that ran out of memory."""


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error is memory that ran out, the machine's or a GPU's.

    torch's own class for a GPU is known by its name, for torch is not loaded here; on a CPU it has none, and its
    message is all there is.
    """
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, errno.EAGAIN)  # the second where no process can be made
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or "can't allocate memory" in str(error)


def is_full(error: BaseException | None) -> bool:
    """Say whether an error, or what caused it, is a full disk; safetensors gives it as text only."""
    if error is None:
        return False
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return os.strerror(errno.ENOSPC) in str(error) or is_full(error.__cause__)


def lacking(error: BaseException) -> MachineError | None:
    """Return what to say of an error that means that memory or disk ran out, None for any other."""
    if out_of_memory(error):
        return MachineError(
            "out of memory", do="close other programs, or do less at once (in training: a smaller train.batch)"
        )
    if is_full(error):
        return MachineError("the disk is full", do="free space, then run the same command again")
    return None


def disk_error(error: BaseException, path: Path, elsewhere: str = "choose another folder with --out") -> MachineError:
    """Turn a failed write into the error a user can act on.

    Args:
        error: of the write.
        path: what was written.
        elsewhere: how the user writes to another place.
    """
    if is_full(error):
        return MachineError(
            "the disk is full",
            where=str(path.parent),
            do=f"free space or {elsewhere}, then run the same command again",
        )
    return MachineError(
        f"cannot write: {getattr(error, 'strerror', None) or error}",
        where=str(path),
        do=f"check the folder's permissions or {elsewhere}",
    )
