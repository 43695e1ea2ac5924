"""What a batch leaves: its journal as files to work with, one row at a time, each staged and renamed.

    records.jsonl     one public record a line, as `lextune extract --json` prints it
    answers.parquet   one row a document and field
    failures.jsonl    documents without a record, with the reason
    skipped.jsonl     files that are no documents, with the reason
    ledger.json       what it took and cost
    summary.json      rates by field and contract type; it is written last

Records of documents that are no longer in the folder stay; `listed` in the Parquet file says which. Failures go with
their file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from lextune.core.artifacts import sync
from lextune.core.machine import disk_error
from lextune.core.records import FieldAnswer, Record
from lextune.deploy.batch.book import Book
from lextune.deploy.batch.summary import Tally

STAGED = ".partial"
RECORDS, ANSWERS, FAILURES, SKIPPED = "records.jsonl", "answers.parquet", "failures.jsonl", "skipped.jsonl"
LEDGER, SUMMARY = "ledger.json", "summary.json"
ROWS = 8192  # of answers in a group of the Parquet file


class Results:
    """The files of a batch while they are written; use as a context manager: they take their names at its end.

    Args:
        out: the batch's folder.

    Raises:
        MachineError: the disk is full or cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self._out, self._staged = out, out / STAGED
        self._stack = ExitStack()
        self.tally = Tally()

    def __enter__(self) -> Results:
        shutil.rmtree(self._staged, ignore_errors=True)
        try:
            self._staged.mkdir()
            self._skipped = self._open(SKIPPED)
        except OSError as error:
            raise disk_error(error, self._out) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stack.close()
        shutil.rmtree(self._staged, ignore_errors=True)

    def skip(self, name: str, reason: str) -> None:
        """Note a file that is passed over."""
        self._skipped.write(_line({"name": name, "reason": reason}))
        self.tally.skip(reason)

    def write(
        self, book: Book, listed: set[bytes], ledger: Mapping[str, Any], said: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write all files and return the summary.

        Args:
            book: the journal.
            listed: keys of the documents that are in the folder.
            ledger: as it is written.
            said: of the summary, what stands before its counts.
        """
        try:
            unlisted = self._rows(book, listed)
            tally = self.tally
            documents = {
                "listed": len(listed),
                "answered": tally.documents,
                "with_scanned_pages": tally.scanned,
                "failed": tally.failed,
                "left": len(listed) - tally.documents - tally.failed,
                "skipped": tally.skipped,
                "no_longer_listed": unlisted,
            }
            summary = {**said, "documents": documents, **tally.as_json()}
            for name, value in ((LEDGER, ledger), (SUMMARY, summary)):
                self._open(name).write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
            self._stack.close()
            for name in (RECORDS, ANSWERS, FAILURES, SKIPPED, LEDGER, SUMMARY):
                sync(self._staged / name)
                (self._staged / name).replace(self._out / name)
            sync(self._out)
        except OSError as error:
            raise disk_error(error, self._out) from error
        return summary

    def _rows(self, book: Book, listed: set[bytes]) -> int:
        """Write what every document came to; return how many records are of documents that are not listed."""
        unlisted = 0
        records, failures = self._open(RECORDS), self._open(FAILURES)
        with _parquet(self._staged / ANSWERS) as table:
            for row in book:
                here = bytes.fromhex(row.key) in listed
                if row.record is not None:
                    records.write(_line(row.record.as_json()))
                    table.add(row.record, row.type, row.kind, here)
                    unlisted += not here
                    if here:
                        self.tally.add(row.record, row.type)
                elif row.failure is not None and here:
                    failures.write(_line({"name": row.name, "sha256": row.sha256, **row.failure.model_dump()}))
                    self.tally.fail(row.failure.reason)
        return unlisted

    def _open(self, name: str) -> IO[str]:
        return self._stack.enter_context((self._staged / name).open("w", encoding="utf-8"))


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


@contextmanager
def _parquet(path: Path) -> Iterator[_Table]:
    table = _Table(path)
    try:
        yield table
    finally:
        table.close()


class _Table:
    """Answers as a Parquet file; `quotes`, `page`, `start` and `end` are lists of the same length."""

    def __init__(self, path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        text, number = pyarrow.string(), pyarrow.int64()
        self._schema = pyarrow.schema(
            {
                "document": text,
                "sha256": text,
                "type": text,
                "kind": text,
                "listed": pyarrow.bool_(),
                "field": text,
                "answer": text,
                "quotes": pyarrow.list_(text),
                "page": pyarrow.list_(number),
                "start": pyarrow.list_(number),
                "end": pyarrow.list_(number),
                "confidence": pyarrow.float64(),
                "status": text,
            }
        )
        self._batch = pyarrow.RecordBatch
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, record: Record, type_: str | None, kind: str | None, listed: bool) -> None:
        """Add the fields of a record, those that were not assessed too."""
        document = record.document
        of = {"document": document.name, "sha256": document.sha256, "type": type_, "kind": kind, "listed": listed}
        self._rows += [{**of, "field": name, **_cells(answer)} for name, answer in record.fields.items()]
        self._rows += [{**of, "field": name, "status": "not_assessed"} for name in record.not_assessed]
        if len(self._rows) >= ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_batch(self._batch.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def _cells(answer: FieldAnswer | None) -> dict[str, Any]:
    if answer is None:
        return {"status": "absent", "quotes": [], "page": [], "start": [], "end": []}
    return {
        "answer": json.dumps(answer.model_dump(mode="json")["answer"], ensure_ascii=False),
        "quotes": [quote.text for quote in answer.quotes],
        "page": [quote.page for quote in answer.quotes],
        "start": [quote.start for quote in answer.quotes],
        "end": [quote.end for quote in answer.quotes],
        "confidence": answer.confidence,
        "status": answer.status,
    }
