"""Files of rows: each kind is read in order with the place of every row, and bad input is told with its place."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DataError
from lextune.core.mistakes import Mistake
from lextune.data.importers import jsonl, lines, tables
from lextune.data.importers.lines import Row
from lextune.data.importers.rows import is_row_file, read_rows

ONE, TWO = {"instruction": "Q1", "output": "A1"}, {"instruction": "Q2", "output": "A2"}


def file(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path) -> list[Row | Mistake]:
    return list(read_rows(path))


def told(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.do
    return str(caught.value).splitlines()[0].replace(str(path.parent), "DIR")


# JSON Lines


def test_json_lines_have_their_place_and_a_name_of_it(tmp_path: Path) -> None:
    text = f"{json.dumps(ONE)}\r\n\n  \n" + '{"instruction": "a\u2028b", "output": "\U0001f600"}'
    path = file(tmp_path, "rows.jsonl", b"\xef\xbb\xbf" + text.encode())
    second = {"instruction": "a\u2028b", "output": "\U0001f600"}
    assert read(path) == [Row("rows.jsonl:1", "rows-1", ONE), Row("rows.jsonl:4", "rows-4", second)]


def test_a_gzipped_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = file(tmp_path, "rows.jsonl.gz", gzip.compress(json.dumps(ONE).encode()))
    assert read(path) == [Row("rows.jsonl.gz:1", "rows-1", ONE)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'a': 1}", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[" * 100_000, "not JSON: nested too deeply at column 1"),
        ("[1]", "not a JSON object but a list"),
        ("null", "not a JSON object but null"),
        ("3", "not a JSON object but a number"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' occurs twice in one object"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": -Infinity}', "-Infinity is no JSON value"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON: a number of thousands of digits"),
        ("caf\udce9 noir", "not UTF-8: byte 0xe9 at byte 4 of the line"),
    ],
)
def test_a_wrong_line_is_named_and_reading_goes_on(tmp_path: Path, line: str, message: str) -> None:
    content = f"{json.dumps(ONE)}\n{line}\n{json.dumps(TWO)}\n".encode(errors="surrogateescape")
    first, wrong, last = read(file(tmp_path, "rows.jsonl", content))
    assert (first, last) == (Row("rows.jsonl:1", "rows-1", ONE), Row("rows.jsonl:3", "rows-3", TWO))
    assert isinstance(wrong, Mistake)
    assert wrong.where == "rows.jsonl:2"
    assert wrong.what.startswith(message)


def test_a_last_line_that_was_cut_off_is_told_as_such(tmp_path: Path) -> None:
    content = json.dumps(ONE) + "\n" + json.dumps(TWO)[:-9]
    what = "not JSON: Unterminated string starting at column 23; the file ends in this line: it may be cut off"
    assert read(file(tmp_path, "rows.jsonl", content))[1] == Mistake("rows.jsonl:2", what)


def test_utf_16_without_its_mark_is_told(tmp_path: Path) -> None:
    first, *_ = read(file(tmp_path, "rows.jsonl", f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n".encode("utf-16-le")))
    what = "bytes of value 0, which no JSON has: this may be UTF-16, save the file as UTF-8"
    assert first == Mistake("rows.jsonl:1", what)


@pytest.mark.parametrize("content", [b"\n", b"x"], ids=["empty lines", "one line"])
def test_a_gzip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(lines, "MAX_RATIO", 20)
    monkeypatch.setattr(lines, "RATIO_FROM", 1 << 14)
    monkeypatch.setattr(lines, "MAX_LINE", 1 << 14)
    monkeypatch.setattr(lines, "_SKIP", 1 << 14)
    told_of = told(file(tmp_path, "rows.jsonl.gz", gzip.compress(content * (16 << 20))))
    line = re.fullmatch(r"DIR/rows\.jsonl\.gz:(\d+): it unpacks to more than 20 times its size", told_of)
    assert line is not None
    assert int(line[1]) < 1 << 20  # of 16 million


def test_rows_that_pack_well_are_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "RATIO_FROM", 1)
    rows = [{"instruction": f"Q {number}", "output": str(number * 7919)} for number in range(2000)]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    assert len(read(file(tmp_path, "rows.jsonl.gz", gzip.compress(content)))) == 2000


def test_a_huge_line_is_refused_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    monkeypatch.setattr(lines, "_SKIP", 64)
    content = f"{json.dumps({'a': 'x' * 1000})}\n{json.dumps(ONE)}\n{'y' * 200}"
    wrong, good, last = read(file(tmp_path, "rows.jsonl", content))
    assert wrong == Mistake("rows.jsonl:1", "a line of 1,010 bytes; 100 is the most")
    assert good == Row("rows.jsonl:2", "rows-2", ONE)
    assert last == Mistake("rows.jsonl:3", "a line of 200 bytes; 100 is the most")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", '{"a": 1}'.encode("utf-16"), "DIR/rows.jsonl: this is UTF-16, not UTF-8"),
        ("rows.jsonl.gz", b"plain", "DIR/rows.jsonl.gz:1: not a gzip file, or a damaged one (Not a gzipped file"),
        ("rows.jsonl.gz", gzip.compress(b"x" * 99)[:-12], "DIR/rows.jsonl.gz:1: the compressed file is cut off"),
        ("rows.jsonl", None, "DIR/rows.jsonl: cannot read the file: No such file or directory"),
        ("rows.txt", b"", "DIR/rows.txt: no file of rows; those end in .jsonl, .jsonl.gz, .json, .csv, .tsv, .parquet"),
        ("rows.xls", b"", "DIR/rows.xls: no file of rows"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert told(path).startswith(message)


def test_a_folder_is_no_file_of_rows(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").mkdir()
    assert told(tmp_path / "rows.jsonl") == "DIR/rows.jsonl: not a file"


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.json", "c.csv"):
        assert read(file(tmp_path, name, b"")) == []


def _append(path: Path) -> None:
    with path.open("a") as stream:
        stream.write("\n")


def _replace(path: Path) -> None:
    state = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [_append, _replace, lambda path: os.utime(path, (1, 1))])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, name: str, change: Any) -> None:
    both = json.dumps([ONE, TWO]) if name.endswith(".json") else f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n"
    path = file(tmp_path, name, both if "csv" not in name else "a,b\n1,2\n3,4\n")
    rows = read_rows(path)
    next(rows)
    change(path)
    with pytest.raises(DataError) as caught:
        list(rows)
    assert str(caught.value) == (
        f"{path}: the file changed while it was read\n  -> wait until what writes it is done, or import a copy"
    )


def test_a_file_that_vanishes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, "rows.jsonl", f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n")
    rows = read_rows(path)
    next(rows)
    path.unlink()
    with pytest.raises(DataError, match="cannot read the file"):
        list(rows)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=5)


@given(objects, st.booleans(), st.sampled_from([None, 1, 4]))
@settings(max_examples=60)
def test_any_objects_come_back_from_lines_and_from_an_array(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], ascii_only: bool, indent: int | None
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    with contextlib.suppress(UnicodeEncodeError):  # a lone surrogate has no UTF-8
        joined = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
        assert [row.values for row in read(file(folder, "a.jsonl", joined))] == rows  # type: ignore[union-attr]
        array = json.dumps(rows, ensure_ascii=ascii_only, indent=indent)
        assert [row.values for row in read(file(folder, "a.json", array))] == rows  # type: ignore[union-attr]


# a JSON array


def test_the_objects_of_an_array_have_the_line_on_which_they_begin(tmp_path: Path) -> None:
    content = '[\n {"a":\n 1},\n\n {"b": 2, "b": 3}, 7\n, {"c": "x"} ]\n'
    assert read(file(tmp_path, "rows.json", content)) == [
        Row("rows.json:2", "rows-1", {"a": 1}),
        Mistake("rows.json:5", "the key 'b' occurs twice in one object"),
        Mistake("rows.json:5", "not a JSON object but a number"),
        Row("rows.json:6", "rows-4", {"c": "x"}),
    ]
    assert read(file(tmp_path, "rows.json", " [ ] ")) == []


def test_json_lines_under_the_name_of_json_are_read(tmp_path: Path) -> None:
    assert read(file(tmp_path, "rows.json", json.dumps(ONE))) == [Row("rows.json:1", "rows-1", ONE)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1},\n{"a": 2', "2: not JSON: Expecting ',' delimiter at column 8; the array is not closed: the file"),
        ('[{"a": "op', "1: not JSON: Unterminated string starting at column 8; the array is not closed: the file may"),
        ('[{"a": 1}\n{"a": 2}]', "2: not JSON: Expecting ',' or ']' at column 1"),
        ("[\n\n" + "[" * 100_000, "3: not JSON: nested too deeply"),
        ("[\n" + "9" * 5000 + "]", "2: not JSON: a number of thousands of digits"),
        (b'[{"a": "caf\xe9"}]', "1: not UTF-8: byte 0xe9"),
        ('[{"a": 1}]\n[{"a": 2}]', "2: not JSON: Extra data after the array at column 1"),
        ("[]\n\nrest", "3: not JSON: Extra data after the array at column 1"),
    ],
)
def test_a_broken_array_is_told(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert told(file(tmp_path, "rows.json", content)).startswith(f"DIR/rows.json:{message}")


def test_a_large_array_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_ARRAY", 10)
    assert told(file(tmp_path, "rows.json", "[" + " " * 20 + "]")) == (
        "DIR/rows.json: a JSON array of 22 bytes; 10 is the most"
    )


# CSV


def test_csv_rows_have_the_line_on_which_they_begin(tmp_path: Path) -> None:
    content = 'instruction,output\r\n"two\nlines",A1\r\n\r\nQ2,"say ""hi"""\r\n'
    assert read(file(tmp_path, "rows.csv", b"\xef\xbb\xbf" + content.encode())) == [
        Row("rows.csv:2", "rows-2", {"instruction": "two\nlines", "output": "A1"}),
        Row("rows.csv:5", "rows-5", {"instruction": "Q2", "output": 'say "hi"'}),
    ]


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", "\t")])
def test_other_separators_are_known_by_the_header(tmp_path: Path, name: str, mark: str) -> None:
    (row,) = read(file(tmp_path, name, f"instruction{mark}output\na, b{mark}c\n"))
    assert isinstance(row, Row)
    assert row.values == {"instruction": "a, b", "output": "c"}


def test_columns_of_lists_are_json(tmp_path: Path) -> None:
    content = 'id,messages\n1,"[{""role"": ""user"", ""content"": ""Hi""}]"\n2,[oops\n3,\n'
    good, wrong, empty = read(file(tmp_path, "rows.csv", content))
    assert isinstance(good, Row)
    assert good.values["messages"] == [{"role": "user", "content": "Hi"}]
    assert wrong == Mistake("rows.csv:3, column 'messages'", "not JSON: Expecting value at column 2")
    assert isinstance(empty, Row)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,a\n1,2\n", "1: two columns have the name 'a'"),
        ("a,,c\n1,2,3\n", "1: column 2 has no name"),
        (b"a,caf\xe9\n1,2\n", "1: not UTF-8: byte 0xe9 at byte 6 of the line"),
        ('a,b\n1,2\n3,"open\n4,5\n', "3: not a CSV table: unexpected end of data"),
        ('a,b\n1,"x"y\n', "2: not a CSV table: ',' expected after '\"'"),
    ],
)
def test_a_wrong_table_is_told(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert told(file(tmp_path, "rows.csv", content)) == f"DIR/rows.csv:{message}"


def test_wrong_rows_of_a_table_are_told_and_reading_goes_on(tmp_path: Path) -> None:
    content = b"a,b\n1\n1,2,3\nx,caf\xe9\n3,4\n"
    assert read(file(tmp_path, "rows.csv", content)) == [
        Mistake("rows.csv:2", "1 cells, the header has 2"),
        Mistake("rows.csv:3", "3 cells, the header has 2"),
        Mistake("rows.csv:4", "not UTF-8: byte 0xe9 at byte 6 of the line"),
        Row("rows.csv:5", "rows-5", {"a": "3", "b": "4"}),
    ]


# Parquet


def parquet(tmp_path: Path, table: Any) -> Path:
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_parquet_rows_are_numbered_and_typed(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    path = parquet(tmp_path, pyarrow.table({"id": [7, None], "messages": [messages, messages]}))
    assert read(path) == [
        Row("rows.parquet:1", "rows-1", {"id": 7, "messages": messages}),
        Row("rows.parquet:2", "rows-2", {"id": "", "messages": messages}),
    ]


def test_wrong_parquet_files_are_told(tmp_path: Path) -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"])
    assert told(parquet(tmp_path, table)) == "DIR/rows.parquet: two columns have the name 'a'"
    damaged = file(tmp_path, "bad.parquet", b"PAR1 nothing PAR1")
    assert told(damaged).startswith("DIR/bad.parquet: not a Parquet file, or a damaged one (")
    assert told(file(tmp_path, "none.parquet", b"")).startswith("DIR/none.parquet: not a Parquet file")


# Excel


def excel(tmp_path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(tmp_path / "rows.xlsx")
    return tmp_path / "rows.xlsx"


def test_every_sheet_is_read_and_cells_are_texts(tmp_path: Path) -> None:
    day, moment = datetime.datetime(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4)
    path = excel(
        tmp_path,
        First=[["instruction", "output", None], [], ["Q1", 5], ["Q2", 2.5], ["Q3", True], ["Q4", day], ["Q5", None]],
        Second=[["instruction", "output"], ["Q6", moment]],
        Empty=[],
    )
    rows = read(path)
    assert [row.where for row in rows[:2]] == ["rows.xlsx:First!3", "rows.xlsx:First!4"]
    assert rows[-1] == Row(
        "rows.xlsx:Second!2", "rows-Second-2", {"instruction": "Q6", "output": "2020-01-02T03:04:00"}
    )
    assert [row.values["output"] for row in rows[:-1] if isinstance(row, Row)] == ["5", "2.5", "TRUE", "2020-01-02", ""]


def test_wrong_rows_and_sheets_are_told(tmp_path: Path) -> None:
    rows = read(excel(tmp_path, S=[["a", "b"], ["#REF!", 1], [1, 2, 3], [1]]))
    assert rows == [
        Mistake("rows.xlsx:S!2", "a cell holds the error #REF!"),
        Mistake("rows.xlsx:S!3", "3 cells, the header has 2"),
        Row("rows.xlsx:S!4", "rows-S-4", {"a": "1", "b": ""}),
    ]
    assert told(excel(tmp_path, S=[["a", None, "b"]])) == "rows.xlsx:S!1: column 2 has no name"


def test_damaged_and_swollen_excel_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = file(tmp_path, "bad.xlsx", b"no zip")
    assert told(damaged) == "DIR/bad.xlsx: not an .xlsx file, or a damaged one (BadZipFile)"
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as packed:
        packed.writestr("word.txt", "no workbook")
    assert told(tmp_path / "other.xlsx").startswith("DIR/other.xlsx: not an .xlsx file, or a damaged one (")
    monkeypatch.setattr(tables, "MAX_UNPACKED", 100)
    assert " bytes; 100 is the most" in told(excel(tmp_path, S=[["a"], ["b"]]))


def test_files_of_rows_are_known_by_their_endings() -> None:
    assert is_row_file(Path("A.JSONL"))
    assert is_row_file(Path("a.jsonl.gz"))
    assert not is_row_file(Path("a.pdf"))
