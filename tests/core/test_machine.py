"""What a machine ran out of, told from what libraries raise."""

from __future__ import annotations

import errno
import os

import pytest

from lextune.core.machine import is_full, lacking, out_of_memory


def test_only_a_full_disk_is_full() -> None:
    assert is_full(OSError(errno.ENOSPC, "x"))
    assert not is_full(OSError(errno.EACCES, "x"))
    assert not is_full(ValueError("x"))
    assert not is_full(None)


def test_what_torch_raises_on_a_cpu_is_memory() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    assert issubclass(torch.cuda.OutOfMemoryError, RuntimeError)
    assert torch.cuda.OutOfMemoryError.__name__ == "OutOfMemoryError", "by which one of a GPU is known"


def test_what_is_lacking_is_said_and_what_is_a_bug_is_not() -> None:
    assert "out of memory" in str(lacking(MemoryError()))
    assert "out of memory" in str(lacking(OSError(errno.ENOMEM, "x")))
    assert "the disk is full" in str(lacking(RuntimeError(os.strerror(errno.ENOSPC))))
    assert lacking(RuntimeError("a bug")) is None
