"""Verdicts on a spot-check sheet, read back from its CSV: how many labels of the dataset are wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from lextune.core.errors import DataError, shorten
from lextune.core.files import Row, read_sheet
from lextune.core.mistakes import Mistake, refuse
from lextune.data.quality import Read
from lextune.data.quality.proportions import Stratum, stratified, wilson
from lextune.data.quality.sampling import ABSENT, HASH, PRESENT, Chosen, Design, Plan, plan_sheet
from lextune.data.quality.spotcheck import COLUMNS, identity
from lextune.data.quality.tables import as_cell
from lextune.expert.scoring.intervals import Score

Verdict = Literal["right", "wrong", "unsure"]
WORDS: Mapping[Verdict, frozenset[str]] = {
    "right": frozenset({"right", "r", "y", "yes", "ok", "correct", "true"}),
    "wrong": frozenset({"wrong", "w", "n", "no", "incorrect", "false"}),
    "unsure": frozenset({"unsure", "u", "?", "unclear", "don't know", "not sure"}),
}
DO = "write right, wrong or unsure in every row of the sheet, leave the other columns as they were, and read it again"
_VERDICT: Mapping[str, Verdict] = {word: verdict for verdict, words in WORDS.items() for word in words}
_ID = re.compile(
    rf"(?P<sheet>(?P<design>random|strata)-(?P<n>\d{{1,9}})-(?P<seed>\d{{1,18}})-(?P<hash>[0-9a-f]{{{HASH}}}))-\d+"
)


class Judged(NamedTuple):
    """A label and its verdict."""

    chosen: Chosen
    verdict: Verdict
    note: str


class SpotCheck(NamedTuple):
    """What a marked sheet says of the dataset.

    `error_rate` leaves labels that the reader was unsure of out; `at_worst` counts them as wrong. `present` and
    `absent` are the error rates of the two kinds of labels. Each comes with its 95 % interval.
    """

    plan: Plan
    judged: tuple[Judged, ...]
    error_rate: Score
    at_worst: Score
    present: Score
    absent: Score

    def count(self, verdict: Verdict) -> int:
        """Return how many labels got this verdict."""
        return sum(one.verdict == verdict for one in self.judged)

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain JSON types."""
        wrong = [one for one in self.judged if one.verdict == "wrong"]
        read, bad = Counter(one.chosen.field for one in self.judged), Counter(one.chosen.field for one in wrong)
        return {
            "sheet": self.plan.sheet,
            "design": self.plan.design,
            "labels": dict(self.plan.sizes),
            "n": len(self.judged),
            **{verdict: self.count(verdict) for verdict in WORDS},
            "error_rate": self.error_rate.as_json(),
            "at_worst": self.at_worst.as_json(),
            "present": self.present.as_json(),
            "absent": self.absent.as_json(),
            "by_field": {field: {"n": read[field], "wrong": bad[field]} for field in sorted(read)},
            "wrong_labels": [
                {
                    "id": one.chosen.id,
                    "document": one.chosen.document,
                    "field": one.chosen.field,
                    "present": one.chosen.present,
                    "note": one.note,
                }
                for one in wrong
            ],
        }


def read_verdicts(path: Path, read: Read, dataset: str) -> SpotCheck:
    """Read a marked sheet and estimate the dataset's error rate from it.

    Args:
        path: the CSV; a comma, a semicolon or a tab between cells, as spreadsheets write it.
        read: the documents of the dataset that the sheet was drawn from; read twice.
        dataset: its hash.

    Raises:
        DataError: the file is not such a sheet, the sheet is of another dataset, or rows are wrong: no verdict or an
            unknown one, a row twice, missing, of another sheet, or with a changed label (one error for all of them,
            with their number and the first five).
    """
    lacking = "give the CSV that `lextune data spotcheck --csv` wrote, with its header"
    needed = [column for column in COLUMNS if column not in ("quote", "note")]
    rows = read_sheet(path, needed, "a spot-check sheet", lacking)
    if not rows:
        raise DataError("the sheet has no rows", where=str(path), do=DO)
    sheet = _sheet(path, rows, dataset)
    plan = plan_sheet(read, dataset, n=int(sheet["n"]), seed=int(sheet["seed"]), design=cast(Design, sheet["design"]))
    mistakes = list[Mistake]()
    judged = dict[str, Judged]()
    expected = {chosen.id: chosen for chosen in plan.chosen}
    seen = set[str]()
    for row in rows:
        name = row.cells["id"]
        what = _wrong_with(row, expected, seen)
        seen.add(name)
        if what:
            mistakes.append(Mistake(row.where, what))
        else:
            verdict = _VERDICT[row.cells["verdict"].casefold()]
            judged[name] = Judged(expected[name], verdict, row.cells.get("note", ""))
    missing = (Mistake(path.name, f"no row for {name}") for name in expected if name not in seen)
    mistakes += missing
    if mistakes:
        raise refuse(mistakes, str(path), DO)
    return estimate(plan, [judged[chosen.id] for chosen in plan.chosen])


def _sheet(path: Path, rows: Sequence[Row], dataset: str) -> Mapping[str, str]:
    """Return the parts of the name of the sheet that most rows are of."""
    named = [match for row in rows if (match := _ID.fullmatch(row.cells["id"]))]
    if not named:
        raise DataError(
            f"{shorten(rows[0].cells['id'], 40)!r} is no id of a spot-check sheet", where=rows[0].where, do=DO
        )
    (most, _), *_ = Counter(match["sheet"] for match in named).most_common(1)
    sheet = next(match for match in named if match["sheet"] == most)
    if sheet["hash"] != dataset[:HASH]:
        raise DataError(
            f"a sheet of another dataset: {sheet['hash']}, not {dataset[:HASH]}",
            where=str(path),
            do="give the version that the sheet was drawn from; `lextune show` prints a dataset's hash",
        )
    return sheet.groupdict()


def _wrong_with(row: Row, expected: Mapping[str, Chosen], seen: Iterable[str]) -> str | None:
    """Return what is wrong with a row, None where it is right."""
    name, verdict = row.cells["id"], row.cells["verdict"]
    if name in seen:
        return f"{shorten(name, 40)!r} occurs a second time"
    if name not in expected:
        return f"{shorten(name, 40)!r} is not of this sheet"
    if any(row.cells[column] != as_cell(cell) for column, cell in zip(COLUMNS, identity(expected[name]), strict=False)):
        return f"document, field or label of {name} were changed"
    if not verdict:
        return "no verdict"
    return None if verdict.casefold() in _VERDICT else f"unknown verdict {shorten(verdict, 40)!r}"


def estimate(plan: Plan, judged: Sequence[Judged]) -> SpotCheck:
    """Return the error rates that verdicts on a sample stand for."""
    by_kind = {kind: [j for j in judged if j.chosen.present == (kind == PRESENT)] for kind in (PRESENT, ABSENT)}

    def rate(unsure: bool) -> Score:
        counted = {kind: _count(some, unsure) for kind, some in by_kind.items()}
        if plan.design == "random":
            return wilson(*(sum(values) for values in zip(*counted.values(), strict=True)))
        return stratified([Stratum(plan.sizes[kind], *counts) for kind, counts in counted.items()])

    return SpotCheck(
        plan=plan,
        judged=tuple(judged),
        error_rate=rate(unsure=False),
        at_worst=rate(unsure=True),
        present=wilson(*_count(by_kind[PRESENT], unsure=False)),
        absent=wilson(*_count(by_kind[ABSENT], unsure=False)),
    )


def _count(judged: Sequence[Judged], unsure: bool) -> tuple[int, int]:
    """Return how many labels are wrong, and of how many; unsure ones count as wrong, or not at all."""
    verdicts = Counter(one.verdict for one in judged)
    wrong = verdicts["wrong"] + (verdicts["unsure"] if unsure else 0)
    return wrong, verdicts["right"] + wrong
