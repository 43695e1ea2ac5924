"""Memory does not grow with the documents, but for their keys."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace as Tools
from typing import Any

import pytest

from lextune.core.records import Document
from lextune.deploy.batch import book, results
from lextune.deploy.batch.options import BatchOptions
from lextune.deploy.batch.running import run_batch
from lextune.text.reading import Limits

OPTIONS = BatchOptions(workers=1, limits=Limits(max_bytes=2_000_000))
A_DOCUMENT = 400  # bytes: a key in each of three sets
BIG = 300_000


def peak(batch: Any, tools: Tools, many: int, size: int) -> int:
    """Return the largest number of bytes in use while so many more documents are read."""
    tools.write(batch.folder, **{f"{many}-{n}": f"{n} " + "x" * size for n in range(many)})

    def forget(document: Document) -> None:
        expert.asked.clear()

    expert = tools.Scripted(forget)
    tracemalloc.start()
    try:
        run_batch(tools.source(expert), batch.folder, batch.out, OPTIONS)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small groups of rows, so that few documents fill many; and a disk that answers at once."""
    monkeypatch.setattr(results, "ROWS", 32)
    monkeypatch.setattr("lextune.core.journal.os.fsync", lambda handle: None)


def test_many_documents_take_no_more_than_few(batch: Any, tools: Tools) -> None:
    peak(batch, tools, 10, 10)  # what is imported and cached
    few, many = peak(batch, tools, 40, 5000), peak(batch, tools, 400, 5000)
    print(f"peak: {few / 1e6:.2f} MB for 50 documents, {many / 1e6:.2f} MB for 450")
    assert many - few < 400 * A_DOCUMENT
    assert len(book.Book(batch.out).answered) == 450


def test_long_documents_are_held_a_few_at_a_time(batch: Any, tools: Tools) -> None:
    peak(batch, tools, 3, 10)
    many = peak(batch, tools, 20, BIG)
    print(f"peak: {many / 1e6:.2f} MB for 20 documents of {BIG:,} characters")
    assert many < OPTIONS.limits.max_bytes + 10 * BIG
