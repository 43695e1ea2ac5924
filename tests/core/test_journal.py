"""A journal: what was added is there after a kill, whole rows only."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from lextune.core.errors import ArtifactError, MachineError
from lextune.core.journal import Journal


class Row(BaseModel):
    text: str


def test_what_was_added_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "rows.jsonl"
    journal = Journal(path, Row)
    assert list(journal) == []
    for text in ("one", "two\nlines", "é"):
        journal.add(Row(text=text))
    assert [row.text for row in Journal(path, Row)] == ["one", "two\nlines", "é"]


@given(st.lists(st.text(), min_size=1, max_size=5), st.integers(min_value=0))
def test_a_file_cut_anywhere_holds_the_whole_rows_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "rows.jsonl"
    journal = Journal(path, Row)
    for text in texts:
        journal.add(Row(text=text))
    raw = path.read_bytes()
    kept = raw[: cut % (len(raw) + 1)]
    path.write_bytes(kept)
    again = Journal(path, Row)
    whole = kept.count(b"\n")
    assert [row.text for row in again] == texts[:whole]
    again.add(Row(text="next"))
    assert [row.text for row in Journal(path, Row)] == [*texts[:whole], "next"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        Journal(tmp_path / "file" / "rows.jsonl", Row)


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """Let the system refuse what would make a file larger, once it has written what fits."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_row_that_was_written_in_part_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    journal = Journal(path, Row)
    journal.add(Row(text="one"))
    with no_file_grows_beyond(path.stat().st_size + 5), pytest.raises(MachineError, match="cannot write"):
        journal.add(Row(text="two"))
    assert path.read_text() == '{"text":"one"}\n'
    journal.add(Row(text="two"))
    assert [row.text for row in journal] == ["one", "two"]


def test_a_row_that_may_not_be_on_disk_is_taken_back_and_the_first_error_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    journal = Journal(path, Row)

    def fails(code: int) -> Callable[..., None]:
        def fail(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        return fail

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails(errno.ENOSPC))
        with pytest.raises(MachineError, match="the disk is full"):
            journal.add(Row(text="one"))
        assert list(journal) == []
        patch.setattr(os, "truncate", fails(errno.EIO))
        with pytest.raises(MachineError, match="the disk is full"):
            journal.add(Row(text="one"))


@pytest.mark.parametrize("block", [1, 3, 7])
def test_half_a_line_longer_than_what_is_read_at_a_time_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("lextune.core.journal.BLOCK", block)
    path = tmp_path / "rows.jsonl"
    Journal(path, Row).add(Row(text="whole"))
    whole = path.read_bytes()
    for half in (b"", b"x", b'{"text":"' + b"long" * 9):
        path.write_bytes(whole + half)
        assert [row.text for row in Journal(path, Row)] == ["whole"]
        assert path.read_bytes() == whole
    path.write_bytes(b"no line at all")
    assert list(Journal(path, Row)) == []


def test_a_row_that_was_changed_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text":"one"}\nnonsense\n')
    with pytest.raises(ArtifactError) as caught:
        list(Journal(path, Row))
    assert str(caught.value) == (
        f"{path}:2: a damaged journal: this row is none\n  -> take the line out of the file: what it said is done again"
    )
