"""Run a parser in a child process that can be killed.

PDF, DOCX and HTML come from strangers, and their parsers are large C libraries. Each document gets a fresh
process (about 0.1 s), so that nothing of one document can reach the next. The child limits its own memory
and processor time; this side limits the wall-clock time. Bytes go in on stdin; a line of JSON and the text
come back on stdout.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Kind, Limits, Parsed

EXIT_MEMORY = 12  # the child's exit status where it ran out of memory
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")  # nothing else of the environment: no secrets


def parse_in_child(data: bytes, kind: Kind, limits: Limits) -> Parsed:
    """Parse `data` as `kind` in a child process under `limits`.

    Raises:
        DocumentError: the child refused the document, ran into a limit, or was killed by a signal.
        RuntimeError: the child failed in another way, which is a bug here.
    """
    command = [*child_command(), kind, json.dumps(asdict(limits))]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=limits.seconds, env=_environment(), check=False
        )
    except subprocess.TimeoutExpired:
        raise _too_slow(limits) from None
    if done.returncode == 0:
        return _decode(done.stdout)
    if done.returncode == EXIT_MEMORY:
        raise _too_big(limits)
    if done.returncode == -signal.SIGXCPU:
        raise _too_slow(limits)
    if done.returncode < 0:
        raise DocumentError(
            f"the document stopped its parser ({signal.Signals(-done.returncode).name}): it is damaged,"
            f" or needs more than {_mebibytes(limits)} of memory",
            do="save the document again from the program it comes from, or raise the limit memory_bytes",
        )
    raise RuntimeError(f"the document parser failed:\n{done.stderr.decode(errors='replace')}")


def child_command() -> list[str]:
    """Return the command of the child, without its two arguments: the kind, and the limits as JSON."""
    return [sys.executable, "-P", "-s", "-m", "lextune.text.reading.child"]


def _environment() -> dict[str, str]:
    passed = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    return passed | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"}


def _decode(answer: bytes) -> Parsed:
    line, _, text = answer.partition(b"\n")
    header = json.loads(line)
    if "refused" in header:
        raise DocumentError(header["refused"], do=header["do"])
    return Parsed(text.decode("utf-8"), tuple((start, end) for start, end in header["pages"]))


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
