"""A batch that is killed while its folder changes, and two workers beside one: `python -m benchmarks.batch [--quick]`.

killed: `lextune batch` answers the shortest annotated contracts. It is killed with SIGKILL, with all its children, at a
random moment, again and again; after each kill one file is added, one is edited and one is removed. Then it runs to its
end. A document, known by name and content, is `lost` where it is in the folder at the end and has no row in the
journal, and `doubled` where it has more than one, there or in `records.jsonl`; a journal that does not begin with what
it held before a kill is an error. `memory_mib` is the resident memory of the last run, median of the first and of
the last third of its documents.

ray: the same contracts on a local Ray cluster by one worker that has one core, and by two that have one each, in turns.
Seconds go from when the first document was begun to the last record, so that they leave out the start; `ratio` is that
of the median rates.

`--quick` takes few contracts and kills. Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks._command import command, say, stages
from lextune.core.artifacts import read_jsonl
from lextune.core.records import Document
from lextune.pipeline import read_recipe

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "bundled-expert.yaml"
MIB = 1 << 20
POLL = 0.1  # seconds
LATE = 3.0  # seconds, at most, between the row that a kill waits for and the kill
KILLED_PART = 0.5  # of the documents are meant to be answered before the last kill
TIMES = 2  # that one and two workers take turns


class Size(NamedTuple):
    """How much is done."""

    documents: int
    kills: int
    on_ray: int


FULL, QUICK = Size(300, 40, 24), Size(10, 4, 4)


class Batch:
    """`lextune batch` from one folder to another, a process a run."""

    def __init__(self, release: Path | None, folder: Path, out: Path, *options: str) -> None:
        self.folder, self.out = folder, out
        self._command = [sys.executable, "-m", "lextune.apps.cli.main", "batch", str(folder), "--out", str(out)]
        self._command += [*options, *(["--release", str(release)] if release else [])]
        self._log = out.with_suffix(".log")

    def rows(self) -> list[bytes]:
        """Return the whole rows of the journal."""
        journal = self.out / "journal.jsonl"
        return journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []

    def run(
        self, until: Callable[[], bool] = lambda: False, core: int | None = None
    ) -> tuple[int, list[tuple[int, int]]]:
        """Start a run, and kill it as soon as `until` says so.

        Args:
            until: asked again and again.
            core: the one that the run is kept to; None leaves it all.

        Returns:
            The exit code, and as often as was looked the rows of the journal and the bytes of resident memory.

        Raises:
            RuntimeError: it failed.
        """
        kept = None if core is None else partial(os.sched_setaffinity, 0, {core})
        seen = []
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True, preexec_fn=kept)
            known = psutil.Process(process.pid)
            while process.poll() is None:
                if until():
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    break
                try:
                    seen.append((len(self.rows()), known.memory_info().rss))
                except psutil.Error:  # it has just ended
                    continue
                time.sleep(POLL)
        if process.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"lextune batch ended with {process.returncode}: {self._log.read_text()[-2000:]}")
        return process.returncode, seen


def kill_again_and_again(batch: Batch, documents: Sequence[Document], size: Size, rng: random.Random) -> Counter[int]:
    """Kill a batch at random moments, and change its folder after each; return how often a run ended with what."""
    codes, kept = Counter[int](), batch.rows()
    a_run = max(1, round(2 * KILLED_PART * size.documents / size.kills))  # rows, at most
    while codes[-signal.SIGKILL] < size.kills:
        if codes.total() > 3 * size.kills:
            raise RuntimeError("the runs end before they are killed")
        after, late, reached = len(kept) + rng.randint(0, a_run), rng.uniform(0, LATE), list[float]()

        def moment(after: int = after, late: float = late, reached: list[float] = reached) -> bool:
            if not reached and len(batch.rows()) >= after:
                reached.append(time.monotonic())
            return bool(reached) and time.monotonic() - reached[0] >= late

        codes[batch.run(moment)[0]] += 1
        rows = batch.rows()
        if rows[: len(kept)] != kept:
            raise RuntimeError("the journal lost rows that it held")
        kept = rows
        say(f"  {codes[-signal.SIGKILL]} of {size.kills} kills, {len(rows)} rows")
        more = rng.choice(documents)
        change(batch.folder, more.model_copy(update={"id": f"more-{codes.total()}-{more.id}"}), rng)
    return codes


def change(folder: Path, more: Document, rng: random.Random) -> None:
    """Add a file, edit one and remove one."""
    files = sorted(folder.iterdir())
    edited, removed = rng.sample(files, 2)
    edited.write_text(edited.read_text(encoding="utf-8") + f"\nAmended {rng.random()}.\n", encoding="utf-8")
    removed.unlink()
    put(folder, [more])


def put(folder: Path, documents: Sequence[Document]) -> None:
    """Write documents as text files."""
    folder.mkdir(exist_ok=True)
    for document in documents:
        (folder / f"{document.id}.txt").write_text(document.text, encoding="utf-8")


def killed(release: Path | None, documents: Sequence[Document], size: Size, scratch: Path) -> dict[str, Any]:
    """Return what became of a batch that was killed."""
    rng = random.Random(0)
    batch = Batch(release, scratch / "in", scratch / "out")
    ours = list(documents[: size.documents])
    put(batch.folder, ours)
    codes = kill_again_and_again(batch, ours, size, rng)
    before = len(batch.rows())
    code, seen = batch.run()
    rows = [json.loads(row) for row in batch.rows()]
    written = [json.loads(line) for line in (batch.out / "records.jsonl").read_bytes().splitlines()]
    wanted = {(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in batch.folder.iterdir()}
    finished = Counter((row["name"], row["sha256"]) for row in rows)
    records = Counter((each["document"]["name"], each["document"]["sha256"]) for each in written)
    memory = [rss for count, rss in seen if count > before]
    third = max(1, len(memory) // 3)
    return {
        "documents": len(wanted),
        "kills": codes[-signal.SIGKILL],
        "runs_ended": codes[0] + (code == 0),
        "rows": len(rows),
        "records": len(written),
        "failures": sum(row["failure"] is not None for row in rows),
        "lost": len(wanted - set(finished)),
        "doubled": sum(n > 1 for n in finished.values()) + sum(n > 1 for n in records.values()),
        "uninterrupted": len(rows) - before,
        "memory_mib": [round(statistics.median(part) / MIB) for part in (memory[:third], memory[-third:])],
    }


def seconds_on_ray(release: Path | None, folder: Path, out: Path, workers: int) -> float:
    """Return the seconds from the first document's begin to the last record, of workers that have a core each."""
    batch = Batch(release, folder, out, "--ray", "local", "--workers", str(workers))
    batch.run(core=min(os.sched_getaffinity(0)) if workers == 1 else None)
    rows = [json.loads(row) for row in batch.rows()]
    begun = min(row["wall"] - row["reading"] - row["usage"]["seconds"] for row in rows)
    return float(max(row["wall"] for row in rows) - begun)


def on_ray(release: Path | None, documents: Sequence[Document], size: Size, scratch: Path) -> dict[str, Any]:
    """Return the rates of one worker and of two."""
    folder = scratch / "ray"
    put(folder, documents[:: max(1, len(documents) // size.on_ray)][: size.on_ray])
    count = len(list(folder.iterdir()))
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(TIMES):
        for workers, found in rates.items():
            seconds = seconds_on_ray(release, folder, scratch / f"out-{turn}-{workers}", workers)
            found.append(3600 * count / seconds)
            say(f"  {workers} workers: {found[-1]:.0f} contracts an hour")
    one, two = (statistics.median(found) for found in rates.values())
    return {"documents": count, "one_worker": rates[1], "two_workers": rates[2], "ratio": two / one}


def main() -> None:
    """Run the benchmark."""
    parser = command(__doc__, f"{QUICK.documents} contracts and {QUICK.kills} kills")
    parser.add_argument("--release", type=Path, help="by default this package's expert")
    given = parser.parse_args()
    size, recipe = QUICK if given.quick else FULL, read_recipe(RECIPE)
    made = stages(recipe, given.out, "documents")["documents"]
    documents = sorted(read_jsonl(made.file("documents.jsonl"), Document), key=lambda d: len(d.text))
    documents = documents[: size.documents]
    found = {}
    for name, measure in {"killed": killed, "ray": on_ray}.items():
        scratch = Path(tempfile.mkdtemp(prefix=f"lextune-{name}-"))
        try:
            found[name] = measure(given.release, documents, size, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        say(f"{name}: {json.dumps(found[name])}")
    print(json.dumps({"benchmark": "batch", "quick": given.quick, **found}))


if __name__ == "__main__":
    main()
