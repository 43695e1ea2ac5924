"""Batches that are killed at any instant, over a folder that changes between: no document is lost, none is doubled.

Each run is a process of its own, forked from one that has imported what it needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace as Tools
from typing import Any

KILLS = 20
DOCUMENTS = 40
SCRIPT = """
import os, sys, time
from pathlib import Path
from lextune.core.records import Document, DocumentInfo, Prediction, Record
from lextune.deploy.batch.options import BatchOptions, Source
from lextune.deploy.batch.running import run_batch
import lextune.text.reading.reader, pyarrow.parquet

class Slow:
    def answer(self, document, *, min_confidence=None):
        time.sleep(0.004)
        info = DocumentInfo(name=document.name, sha256=document.sha256, pages=None, characters=len(document.text))
        record = Record(document=info, release="r", schema_name="s", fields={"Law": None})
        return Prediction(document_id=document.id, record=record)

folder, out = map(Path, sys.argv[1:3])
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        code = 1
        try:
            run_batch(Source("r", "0", "none", Slow), folder, out, BatchOptions(workers=2))
            code = 0
        finally:
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Runs:
    """A process that forks one run a line."""

    def __init__(self, folder: Path, out: Path) -> None:
        command = [sys.executable, "-c", SCRIPT, str(folder), str(out)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, reached: Callable[[], bool] | None = None) -> int:
        """Start a run, kill it when the moment is reached, and return its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        child = int(self._line())
        if reached is not None:
            while not reached() and not select.select([self._process.stdout], [], [], 0.0005)[0]:
                pass
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.kill(child, signal.SIGKILL)
        return int(self._line())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def after(seconds: float) -> Callable[[], bool]:
    """Return a moment: so many seconds from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def moment(rng: random.Random, number: int, out: Path) -> Callable[[], bool]:
    """Every second kill comes at any time; the others after some rows, or while results are written or renamed."""
    journal, size = out / "journal.jsonl", (out / "journal.jsonl").stat().st_size if number > 1 else 0
    more = rng.randint(1, 3000)
    file = out / ".partial" / rng.choice(["records.jsonl", "answers.parquet", "ledger.json", "summary.json"])
    return [
        after(rng.uniform(0, 0.15)),
        lambda: journal.exists() and journal.stat().st_size > size + more,
        after(rng.uniform(0, 0.3)),
        file.exists,
    ][number % 4]


def change(folder: Path, rng: random.Random, number: int) -> None:
    """Add some documents, edit one and remove one."""
    files = sorted(folder.glob("*.txt"))
    for more in range(8):
        (folder / f"added{number}-{more}.txt").write_text(f"added {number}")
    rng.choice(files).write_text(f"edited {number}")
    rng.choice(files).unlink()


def test_kill_9_at_any_instant(batch: Any, tools: Tools) -> None:
    rng = random.Random(6)
    tools.write(batch.folder, **{f"n{n}": f"text {n}" for n in range(DOCUMENTS)})
    codes, journal = Counter[int](), batch.out / "journal.jsonl"
    kept, late = list[bytes](), 0
    runs = Runs(batch.folder, batch.out)
    try:
        while codes[-signal.SIGKILL] < KILLS:
            number = codes.total() + 1
            assert number < 5 * KILLS, "the runs end before they are killed"
            codes[runs.run(moment(rng, number if journal.exists() else 0, batch.out))] += 1
            late += (batch.out / ".partial" / "records.jsonl").exists()
            rows = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
            assert rows[: len(kept)] == kept, "what was kept is kept"
            kept = rows
            change(batch.folder, rng, number)
        assert codes[1] == 0, codes
        assert runs.run() == 0
    finally:
        runs.close()
    wanted = {(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in batch.folder.glob("*.txt")}
    assert wanted <= set(batch.records())
    assert len(tools.lines(journal)) == len(batch.records())
    assert not (batch.out / ".partial").exists()
    print(
        f"{codes[-signal.SIGKILL]} kills, {late} of them in writing results, {codes[0]} runs ended, {len(wanted)} files"
    )
    assert 2 <= late <= KILLS - 4
