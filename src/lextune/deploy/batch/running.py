"""Running a batch: what is not finished yet is read, answered and kept, one document after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.files import one_at_a_time
from lextune.core.machine import out_of_memory
from lextune.core.parallel import cores, in_order
from lextune.core.records import Document, Drop
from lextune.deploy.batch.book import Book, settle
from lextune.deploy.batch.ledger import HOUR
from lextune.deploy.batch.options import BatchOptions, Source, configuration, configuration_hash
from lextune.deploy.batch.results import Results
from lextune.deploy.batch.taking import Folder, Taken
from lextune.deploy.batch.worker import Outcome, Text, Worker, begin, lost
from lextune.text.reading.base import well_formed

DEATHS = 3  # runs that end without a word while one document is answered: then it is passed over
AHEAD = 2  # documents a thread that are read before the model wants them


class Standing(NamedTuple):
    """How far a batch is.

    Attributes:
        done: documents that are finished, of those the folder has shown so far.
        total: documents in the folder when the run began.
        failed: of those done in this run, how many have no record.
        per_hour: documents answered an hour of this run; 0 before the first.
        seconds_left: until all are done, at that rate; None before the first.
        cost: of all runs so far; None where the price of an hour is not known.
    """

    done: int
    total: int
    failed: int
    per_hour: float
    seconds_left: float | None
    cost: float | None


def ignore(standing: Standing) -> None:
    """Show nothing."""


def run_batch(
    source: Source, folder: Path, out: Path, options: BatchOptions, progress: Callable[[Standing], None] = ignore
) -> dict[str, Any]:
    """Answer every document of a folder that has no record yet, and write the results of all.

    Killed at any instant and called again, it goes on after the last row of its journal: every document, known by its
    content and its name, has exactly one record or one failure at the end.

    Args:
        source: the release.
        folder: documents, in folders or not; what is added, removed or edited between runs is seen by the next.
        out: where the journal and the results are; of one release and one set of options that change answers.
        options: how it is run.
        progress: called after every document.

    Returns:
        The summary, and under `ledger` the ledger: see `results`.

    Raises:
        DataError: no folder, or no document in it.
        UserError: `out` holds a batch with other settings, or something else.
        MachineError: another batch writes to `out`; it cannot be written; or the machine lacks something.
        LextuneError: the release is broken. What is wrong with one document never ends the batch.
    """
    values = configuration(source, options)
    files = Folder(folder, out, options.limits, configuration_hash(values))
    total = files.count()
    with one_at_a_time(out, "wait for it, or choose another folder with --out"):
        settle(out, values)
        with Results(out) as results:
            run = _Run(Book(out), results, options, total, progress)
            run.work(source, files)
            ledger = run.book.ledger.as_json(options.machine_price)
            said = {"release": source.name, "release_hash": source.hash, "folder": well_formed(str(folder))}
            return {**results.write(run.book, run.listed, ledger, said), "ledger": ledger}


class _Run:
    """One run over the folder: what it has seen, and what is to be done."""

    def __init__(
        self,
        book: Book,
        results: Results,
        options: BatchOptions,
        total: int,
        progress: Callable[[Standing], None],
    ) -> None:
        self.book, self.listed = book, set[bytes]()
        self._results, self._options, self._total, self._progress = results, options, total, progress
        self._again = set(book.failed) if options.retry_failed else set[bytes]()
        self._known = len(book.answered) + len(book.failed) - len(self._again)
        self._met = self._known_met = self._taken = self._answered = self._failed = 0
        self._started = time.monotonic()

    def work(self, source: Source, files: Folder) -> None:
        """Do what is to be done, and keep it."""
        try:
            with closing(self._outcomes(source, files)) as found:
                for taken, outcome in found:
                    self._keep(taken, outcome)
        except BaseException as error:
            if not out_of_memory(error):
                self.book.deaths.spared()
            raise
        self.book.deaths.spared()

    def _outcomes(self, source: Source, files: Folder) -> Generator[tuple[Taken, Outcome], None, None]:
        """Yield every document that is to be done with what became of it: here, or on a cluster."""
        wanted = self._wanted(files)
        first = next((taken for taken in wanted if taken is not None), None)
        if first is None:
            return
        options = self._options
        items = chain([first], wanted)
        if options.ray is None:
            worker = Worker(source.start, options.limits, options.min_confidence)
            threads = options.workers or cores()
            pool = ThreadPoolExecutor(threads, thread_name_prefix="reading")
            with closing(in_order(pool, lambda taken: taken and worker.read(taken), items, AHEAD * threads)) as texts:
                for taken, text in texts:
                    if taken is not None and text is not None:
                        yield taken, self._answer(worker, taken, text)
            return
        from lextune.core.actors import crew

        start = partial(begin, source.start, options.limits, options.min_confidence)
        with (
            crew(options.ray, start, workers=options.workers, gpus=source.gpus) as workers,
            closing(workers.work(items, lost)) as found,
        ):
            for taken, outcome in found:
                self.book.machines = workers.nodes
                yield taken, outcome

    def _answer(self, worker: Worker, taken: Taken, text: Text) -> Outcome:
        """Answer a document here, unless it ended too many runs."""
        if not isinstance(text.document, Document):
            return worker.answer(text)
        worker.started()
        if self.book.deaths.of(taken.key) >= DEATHS:
            return lost(taken)
        self.book.deaths.begin(taken.key)
        return worker.answer(text)

    def _keep(self, taken: Taken, outcome: Outcome) -> None:
        """Put on disk what became of a document."""
        self.book.add({"key": taken.key.hex(), "name": taken.name, "sha256": taken.sha256, **outcome})
        failed = outcome.get("failure") is not None
        self._answered += not failed
        self._failed += failed
        self._met += 1
        self._progress(self._standing())

    def _wanted(self, files: Folder) -> Iterator[Taken | None]:
        """Yield the documents that have neither a record nor a failure that stands.

        None stands for every other file: looking through a folder must not hold up what is answered already.
        """
        for found in files.take():
            if isinstance(found, Drop):
                self._results.skip(found.where, found.reason)
                yield None
                continue
            if found.key in self.listed:  # a folder that changes may show a file twice
                continue
            self.listed.add(found.key)
            book = self.book
            if found.key in book.answered or (found.key in book.failed and found.key not in self._again):
                self._known_met += 1
                self._met += 1
                self._progress(self._standing())
                yield None
            elif self._options.limit is not None and self._taken >= self._options.limit:
                yield None
            elif found.failure is not None:
                self._taken += 1
                self._keep(found, {"failure": found.failure})
                yield None
            else:
                self._taken += 1
                yield found

    def _standing(self) -> Standing:
        seconds = time.monotonic() - self._started
        worked = self._answered + self._failed
        to_come = max(0, self._total - self._met)
        # what the journal knows may be gone from the folder: of those to come no more are known than of those met
        known = min(self._known - self._known_met, to_come * (self._known_met + 1) / (self._met + 1))
        unknown = max(0.0, to_come - known)
        if self._options.limit is not None:
            unknown = min(unknown, max(0, self._options.limit - worked))
        return Standing(
            done=self._met,
            total=max(self._total, self._met),
            failed=self._failed,
            per_hour=worked / seconds * HOUR if worked and seconds else 0.0,
            seconds_left=unknown * seconds / worked if worked else None,
            cost=self.book.ledger.cost(self._options.machine_price),
        )
