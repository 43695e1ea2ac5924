"""The journal: cut anywhere, with rows said twice, it holds each document once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Tools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import ArtifactError
from lextune.core.records import Document
from lextune.deploy.batch.book import JOURNAL, Book, Failure

EVENTS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20)


def outcome(tools: Tools, number: int, fails: bool) -> dict[str, object]:
    document = Document(id="d", name=f"{number}.txt", sha256=str(number), text="Ohio")
    found = tools.Scripted().answer(document)
    what = {"failure": Failure(kind="unreadable", reason=f"{number}")} if fails else {"record": found.record}
    return {"key": bytes([number] * 16).hex(), "name": document.name, "sha256": document.sha256, **what}


@settings(max_examples=30)
@given(events=EVENTS, more=EVENTS, cut=st.integers(0))
def test_any_history_cut_anywhere_gives_each_document_one_end(
    tmp_path_factory: pytest.TempPathFactory,
    tools: Tools,
    events: list[tuple[int, bool]],
    more: list[tuple[int, bool]],
    cut: int,
) -> None:
    out = tmp_path_factory.mktemp("book")
    book = Book(out)
    for number, fails in events:
        book.add(outcome(tools, number, fails))
    raw = (out / JOURNAL).read_bytes()
    kept = raw[: cut % (len(raw) + 1)]
    (out / JOURNAL).write_bytes(kept)
    history = [*events[: kept.count(b"\n")], *more]
    again = Book(out)
    for number, fails in more:
        again.add(outcome(tools, number, fails))
    for known in (again, Book(out)):
        answered = {number for number, fails in history if not fails}
        failed = {number for number, _ in history} - answered
        assert {key[0] for key in known.answered} == answered
        assert {key[0] for key in known.failed} == failed
        rows = list(known)
        assert sorted(int(row.key[:2], 16) for row in rows) == sorted(answered | failed)
        assert {int(row.key[:2], 16) for row in rows if row.record} == answered
        assert known.ledger.answered == known.ledger.accepted == len(answered)


def test_runs_are_numbered_by_those_that_worked(tmp_path: Path, tools: Tools) -> None:
    for number in range(3):
        Book(tmp_path)  # one that found nothing to do
        book = Book(tmp_path)
        book.machines = number + 1
        book.add(outcome(tools, number, fails=False))
    rows = list(Book(tmp_path))
    assert [(row.run, row.machines) for row in rows] == [(1, 1), (2, 2), (3, 3)]


def test_a_journal_that_was_changed_is_told(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text('{"key": 1}\n')
    with pytest.raises(ArtifactError, match=r"journal\.jsonl:1: a damaged journal: this row is none"):
        Book(tmp_path)
