"""Verdicts come back as they were given, mistakes in a sheet are told at once, and rates are what they should be."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from lextune.core.errors import DataError
from lextune.core.records import Document
from lextune.data.quality.proportions import Stratum, stratified, wilson
from lextune.data.quality.sampling import Design, plan_sheet
from lextune.data.quality.spotcheck import make_sheet, sheet_csv
from lextune.data.quality.verdicts import SpotCheck, read_verdicts

HASH = "3f9ac21b7d60" + "0" * 52
Rows = list[list[str]]


class Desk:
    """Draws a sheet, lets it be filled in, and reads it back."""

    def __init__(self, documents: list[Document], folder: Path) -> None:
        self.documents, self.path = documents, folder / "sheet.csv"

    def sheet(self, *, n: int = 10, design: Design = "random", seed: int = 0) -> Rows:
        plan = plan_sheet(lambda: self.documents, HASH, n=n, design=design, seed=seed)
        text = sheet_csv(make_sheet(lambda: self.documents, plan))
        return list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))

    def write(self, rows: Rows, delimiter: str = ",", encoding: str = "utf-8-sig") -> None:
        with self.path.open("w", encoding=encoding, newline="") as stream:
            csv.writer(stream, delimiter=delimiter).writerows(rows)

    def read(self, rows: Rows, dataset: str = HASH, delimiter: str = ",") -> SpotCheck:
        self.write(rows, delimiter)
        return read_verdicts(self.path, lambda: self.documents, dataset)

    def told(self, rows: Rows, dataset: str = HASH) -> str:
        with pytest.raises(DataError) as told:
            self.read(rows, dataset)
        return str(told.value).replace(str(self.path), "sheet.csv")


@pytest.fixture
def desk(contracts: list[Document], tmp_path: Path) -> Desk:
    return Desk(contracts, tmp_path)


def judge(rows: Rows, verdict: Callable[[int, list[str]], str]) -> Rows:
    header, *labels = rows
    return [header, *([*row[:5], verdict(i, row), "note " * (i == 0)] for i, row in enumerate(labels))]


def test_verdicts_come_back(desk: Desk) -> None:
    words = ["right", "WRONG", " y ", "N", "?", "Yes", "no", "ok", "unsure", "Correct"]
    found = desk.read(judge(desk.sheet(), lambda i, row: words[i]))
    assert [one.verdict for one in found.judged] == (
        ["right", "wrong", "right", "wrong", "unsure", "right", "wrong", "right", "unsure", "right"]
    )
    assert found.judged[0].note == "note"
    assert found.error_rate == wilson(3, 8)
    assert found.at_worst == wilson(5, 10)
    as_json = found.as_json()
    assert (as_json["right"], as_json["wrong"], as_json["unsure"], as_json["n"]) == (5, 3, 2, 10)
    assert [w["id"] for w in as_json["wrong_labels"]] == [found.judged[i].chosen.id for i in (1, 3, 6)]
    assert sum(f["n"] for f in as_json["by_field"].values()) == 10
    assert sum(f["wrong"] for f in as_json["by_field"].values()) == 3
    assert as_json["labels"] == {"present": 66, "absent": 42}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_as_spreadsheets_save_it(desk: Desk, delimiter: str) -> None:
    rows = judge(desk.sheet(), lambda i, row: "Right")[:]
    rows[0] = [name.upper() for name in rows[0]]
    rows = [*rows[:4], ["", "", "", "", "", "", ""], *reversed(rows[4:])]
    assert desk.read(rows, delimiter=delimiter).error_rate == wilson(0, 10)


def test_strata_are_weighted(desk: Desk) -> None:
    rows = judge(desk.sheet(n=20, design="strata"), lambda i, row: "wrong" if row[3] == "absent" else "right")
    found = desk.read(rows)
    assert found.error_rate == stratified([Stratum(66, 0, 10), Stratum(42, 10, 10)])
    assert found.error_rate.value == pytest.approx(42 / 108)
    assert (found.present, found.absent) == (wilson(0, 10), wilson(10, 10))


def test_nothing_but_unsure_estimates_nothing(desk: Desk) -> None:
    found = desk.read(judge(desk.sheet(), lambda i, row: "unsure"))
    assert (found.error_rate.value, found.at_worst.value) == (None, 1.0)


DO = (
    "\n  -> write right, wrong or unsure in every row of the sheet, leave the other columns as they were, "
    "and read it again"
)


def test_all_mistakes_are_told_at_once(desk: Desk) -> None:
    header, *rows = judge(desk.sheet(), lambda i, row: "right")
    rows[0][5] = "maybe " * 20
    rows[1][5] = ""
    rows[3][3] = "absent" if rows[3][3] == "present" else "present"
    rows[4][0] = rows[4][0].replace("random-10-0", "random-10-1")
    del rows[8:]
    name = "random-10-0-3f9ac21b7d60"
    assert desk.told([header, *rows, rows[2]]) == (
        "sheet.csv: 8 mistakes\n"
        "  sheet.csv:2: unknown verdict 'maybe maybe maybe maybe maybe maybe may…'\n"
        "  sheet.csv:3: no verdict\n"
        f"  sheet.csv:5: document, field or label of {name}-004 were changed\n"
        "  sheet.csv:6: 'random-10-1-3f9ac21b7d60-005' is not of this sheet\n"
        f"  sheet.csv:10: '{name}-003' occurs a second time\n"
        f"  and 3 more{DO}"
    )
    header, *rows = judge(desk.sheet(), lambda i, row: "right")
    assert desk.told([header, *rows[:-1]]) == f"sheet.csv: no row for {name}-010{DO}"


def test_what_is_no_sheet_is_told(desk: Desk, tmp_path: Path) -> None:
    rows = judge(desk.sheet(), lambda i, row: "right")
    assert desk.told(rows, "b" * 64) == (
        "sheet.csv: a sheet of another dataset: 3f9ac21b7d60, not bbbbbbbbbbbb"
        "\n  -> give the version that the sheet was drawn from; `lextune show` prints a dataset's hash"
    )
    assert desk.told([["id", "field"], ["a", "b"]]) == (
        "sheet.csv:1: no column 'document': not a spot-check sheet"
        "\n  -> give the CSV that `lextune data spotcheck --csv` wrote, with its header"
    )
    assert desk.told([]).startswith("sheet.csv:1: no column 'id'")
    assert desk.told(rows[:1]) == f"sheet.csv: the sheet has no rows{DO}"
    assert desk.told([rows[0], ["7", *rows[1][1:]]]) == f"sheet.csv:2: '7' is no id of a spot-check sheet{DO}"
    before = csv.field_size_limit(100_000)  # of the whole process: reading tables raises it
    try:
        assert desk.told([rows[0], ["x" * 200_000, *rows[1][1:]]]).startswith("sheet.csv: not CSV: field larger")
    finally:
        csv.field_size_limit(before)
    desk.path.write_bytes(b"id,document,field,label,verdict\n\xff")
    with pytest.raises(DataError, match="not UTF-8: byte 0xff"):
        read_verdicts(desk.path, lambda: desk.documents, HASH)
    with pytest.raises(DataError, match="cannot read the file"):
        read_verdicts(tmp_path / "none.csv", lambda: desk.documents, HASH)
