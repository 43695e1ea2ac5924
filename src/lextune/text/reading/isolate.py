"""Run a parser, or a program, in a child process that can be killed.

All but TXT comes from strangers, and its parsers are large C libraries. Each document gets a fresh process
(about 0.1 s), so that nothing of one document can reach the next. The child limits its own memory and
processor time; this side limits the wall-clock time. Bytes go in on stdin; an answer comes back on stdout.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lextune.core.errors import DocumentError, MachineError
from lextune.core.machine import EXIT_MEMORY
from lextune.text.reading.base import Kind, Limits, Parsed

STOPPED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)  # by somebody who wants it to end: no document does this
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TESSDATA_PREFIX")  # nothing else: no secrets


def parse_in_child(data: bytes, kind: Kind, limits: Limits) -> Parsed:
    """Parse `data` as `kind` in a child process under `limits`.

    Raises:
        DocumentError: the child refused the document, ran into a limit, or was killed by a signal.
        RuntimeError: the child failed in another way, which is a bug here.
    """
    header, body = _decode(_checked(_run(data, [kind], limits)))
    pages = tuple((start, end) for start, end in header["pages"])
    return Parsed(body.decode("utf-8"), pages, tuple(header["scans"]))


def draw_in_child(data: bytes, page: Mapping[str, str | int], limits: Limits) -> bytes:
    """Return the picture (PGM) of a page of a PDF or an image file.

    Args:
        data: the file.
        page: `kind` ("pdf" or "image"), `page` (counted from 0) and `dpi`.
        limits: what drawing this one page may cost.

    Raises:
        DocumentError: as `parse_in_child`.
        RuntimeError: as `parse_in_child`.
    """
    return _decode(_checked(_run(data, ["draw", json.dumps(page)], limits)))[1]


def run_limited(command: Sequence[str], data: bytes, limits: Limits) -> subprocess.CompletedProcess[bytes]:
    """Run a program on `data` under `limits`; its exit status may be anything.

    Args:
        command: the program's absolute path and its arguments.
        data: its stdin.
        limits: processor and wall-clock time, memory.

    Raises:
        DocumentError: it ran into a limit, or was killed by a signal.
    """
    return _run(data, ["run", *command], limits)


def _run(data: bytes, work: Sequence[str], limits: Limits) -> subprocess.CompletedProcess[bytes]:
    command = [*child_command(), work[0], json.dumps(asdict(limits)), *work[1:]]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=limits.seconds, env=_environment(), check=False
        )
    except subprocess.TimeoutExpired:
        raise _too_slow(limits) from None
    if done.returncode == EXIT_MEMORY:
        raise _too_big(limits)
    if done.returncode == -signal.SIGXCPU:
        raise _too_slow(limits)
    if -done.returncode in STOPPED:
        what = f"the process that reads documents was stopped ({signal.Signals(-done.returncode).name})"
        raise MachineError(what, do="run the same command again")
    if done.returncode < 0:
        raise DocumentError(
            f"the document stopped its parser ({signal.Signals(-done.returncode).name}): it is damaged,"
            f" or needs more than {_mebibytes(limits)} of memory",
            do="save the document again from the program it comes from, or raise the limit memory_bytes",
        )
    return done


def _checked(done: subprocess.CompletedProcess[bytes]) -> bytes:
    if done.returncode:
        raise RuntimeError(f"the document parser failed:\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def child_command() -> list[str]:
    """Return the command of the child, without its arguments: see `lextune.text.reading.child`."""
    return [sys.executable, "-P", "-s", "-m", "lextune.text.reading.child"]


def _environment() -> dict[str, str]:
    """OpenMP is kept to one thread: documents and pages are what runs side by side."""
    passed = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    ours = {"PYTHONUTF8": "1", "OMP_THREAD_LIMIT": "1"}
    return passed | ours | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _decode(answer: bytes) -> tuple[dict[str, Any], bytes]:
    line, _, body = answer.partition(b"\n")
    header = json.loads(line)
    if "refused" in header:
        raise DocumentError(header["refused"], do=header["do"])
    return header, body


def _too_slow(limits: Limits) -> DocumentError:
    return DocumentError(
        f"reading it takes more than {limits.seconds:g} seconds",
        do="split the document, or raise the limit seconds",
    )


def _too_big(limits: Limits) -> DocumentError:
    return DocumentError(
        f"reading it needs more than {_mebibytes(limits)} of memory",
        do="split the document, or raise the limit memory_bytes",
    )


def _mebibytes(limits: Limits) -> str:
    return f"{limits.memory_bytes / 2**20:,.0f} MiB"
