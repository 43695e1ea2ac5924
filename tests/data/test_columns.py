"""What `datasets` takes columns for, against pyarrow, whose reader of JSON makes the guess."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lextune.data import columns
from lextune.data.columns import FIRST, Columns, is_time, put_first


def guessed(text: str) -> bool:
    """Whether pyarrow reads a text as a time."""
    table = pa.json.read_json(io.BytesIO(json.dumps({"key": text}).encode()))
    return bool(pa.types.is_timestamp(table.schema.field("key").type))


two = st.integers(0, 99).map("{:02}".format)
zones = st.sampled_from(["", "Z", "+0200", "-02:00", "+02", " ", "\n"])
times = st.tuples(st.sampled_from("T t"), two, st.sampled_from(["", ":", ":30", ":30:59", ":30:59.5", "30"]))
near = st.builds("{:04}-{}-{}{}{}".format, st.integers(0, 12000), two, two, st.just("") | times.map("".join), zones)


@given(near | st.text(max_size=12))
@example("2021-05-04")
@example("2021-05-04T10:00:00+02:00")
@example("2021-05-04 10Z")
@example("")
def test_whatever_pyarrow_reads_as_a_time_is_one(text: str) -> None:
    assert is_time(text) or not guessed(text)


@given(st.dates(), st.sampled_from(["", " 10", "T10:30", "T10:30:59Z", "T10+0200"]))
def test_pyarrow_reads_every_time_as_one(day: Any, tail: str) -> None:
    text = f"{day.isoformat()}{tail}"
    assert is_time(text)
    assert guessed(text)


@pytest.mark.parametrize("text", ["2021-05-04 or later", "20210504", "2021", "٢021-05-04", "null", "2021-05-04\n"])
def test_other_texts_are_none(text: str) -> None:
    assert not is_time(text)
    assert not guessed(text)


def test_a_row_is_late_where_it_shows_what_none_did() -> None:
    found = Columns()
    dated = {"id": "a", "output": "2021-05-04", "history": []}
    assert not found.late(dated, FIRST - 1)
    assert not found.late(dated, FIRST)
    assert found.late({**dated, "history": [["Q", "A"]]}, FIRST)
    assert found.late({**dated, "output": "Ohio"}, FIRST)
    assert not found.late({**dated, "history": [["Q", "A"]]}, FIRST)


def test_dates_may_be_read_as_times_where_they_stand_alone() -> None:
    found = Columns()
    found.late({"output": "2021-05-04", "messages": [{"content": "When?"}, {"content": "2021-05-04"}]}, 0)
    assert found.times(0) == ("output",)
    found.late({"output": "Ohio"}, 0)
    assert found.times(FIRST) == ()
    assert found.times(FIRST + 1) == ("output",)


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 50))
def test_lines_are_put_before_all_others(body: bytes, lines: bytes, block: int) -> None:
    stream = io.BytesIO(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_BLOCK", block)
        put_first(stream, lines)
    assert stream.getvalue() == lines + body


def test_lines_are_put_first_in_a_file_of_many_blocks(tmp_path: Path) -> None:
    body = bytes(range(256)) * 10_000
    with (tmp_path / "file").open("w+b") as stream:
        stream.write(body)
        put_first(stream, b"first\n")
    assert (tmp_path / "file").read_bytes() == b"first\n" + body
