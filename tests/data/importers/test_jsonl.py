"""Instruction rows: good ones, useless ones with their reason, and wrong ones with their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lextune.core.errors import DataError
from lextune.data.importers.jsonl import InstructionRow, import_jsonl
from lextune.data.importers.report import summarise


def write(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines), encoding="utf-8-sig")
    return path


def test_rows_are_read_in_order_with_an_id_each(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"instruction": "Sum up.", "input": "a\u2028b", "output": "x"},
        "",
        {"id": "mine", "instruction": "Ask.", "output": "y"},
    )
    rows, rejects = import_jsonl(path)
    assert rejects == []
    assert rows == (
        InstructionRow(id="rows-1", instruction="Sum up.", input="a\u2028b", output="x"),
        InstructionRow(id="mine", instruction="Ask.", input="", output="y"),
    )


def test_useless_rows_are_counted_by_reason(tmp_path: Path) -> None:
    good = {"instruction": "Q", "input": "", "output": "A"}
    path = write(tmp_path, good, good, good | {"output": "B"}, good | {"output": " "}, good | {"instruction": ""})
    rows, rejects = import_jsonl(path)
    assert len(rows) + len(rejects) == 5
    assert summarise(rejects).splitlines() == [
        "1 x row: a repeated row (rows.jsonl:2)",
        "1 x row: another output for the same question (rows.jsonl:3)",
        "1 x row: the output is empty (rows.jsonl:4)",
        "1 x row: the instruction is empty (rows.jsonl:5)",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'a': 1}", "rows.jsonl:2: not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[" * 100_000, "rows.jsonl:2: not JSON: nested too deeply at column 1"),
        ("[1]", "rows.jsonl:2: not a JSON object but a list"),
        ({"instruction": "Q"}, "rows.jsonl:2: 'output' is missing"),
        ({"instruction": "Q", "output": None}, "rows.jsonl:2: 'output' is not a string"),
        ({"instruction": "Q", "output": "A", "inptu": "x"}, "rows.jsonl:2: unknown key 'inptu'"),
        (
            {"id": "rows-1", "instruction": "Q", "output": "A"},
            "rows.jsonl:2: the id 'rows-1' occurs a second time",
        ),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    path = write(tmp_path, {"instruction": "Q1", "output": "A1"}, line)
    with pytest.raises(DataError) as error:
        import_jsonl(path)
    assert str(error.value).splitlines()[0] == message
    assert error.value.do is not None


def test_many_wrong_lines_make_one_report(tmp_path: Path) -> None:
    path = write(tmp_path, *["oops"] * 8)
    with pytest.raises(DataError) as error:
        import_jsonl(path)
    lines = str(error.value).splitlines()
    assert lines[0] == f"{path}: 8 mistakes"
    assert lines[5] == "  rows.jsonl:5: not JSON: Expecting value at column 1"
    assert lines[6] == "  and 3 more"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read the file"), (b"\n", "no usable rows"), (b"\xff", "not UTF-8")],
)
def test_unusable_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        import_jsonl(path)
