"""Blind review on paper: a sheet to print for one rater, and the marks read back from a CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lextune.core.errors import DataError, shorten
from lextune.core.files import Row, read_sheet
from lextune.core.mistakes import Mistake, refuse
from lextune.core.pages import page_template
from lextune.evaluate.answer_pairs import no_answer
from lextune.evaluate.blind.session import Choice, Session, Sitting, Verdict, by_code
from lextune.text.printable import printable

COLUMNS = ("rater", "item", "choice")
DO = "write one row a mark: the rater, the item's code as printed, and 1, 2, 0 or x"
WORDS: Mapping[Verdict, frozenset[str]] = {
    "left": frozenset({"1", "left", "l"}),
    "right": frozenset({"2", "right", "r"}),
    "tie": frozenset({"0", "tie", "t", "same", "equal"}),
    "both-bad": frozenset({"x", "both-bad", "both bad", "bad", "neither"}),
}
_CHOICE: Mapping[str, Verdict] = {word: verdict for verdict, words in WORDS.items() for word in words}


def sheet_html(session: Session, rater: str) -> str:
    """Return the items in a rater's order as a page to print, one item a sheet of paper.

    Args:
        session: in which the rater has a seat.
        rater: as `Sitting.seat` returned it.
    """
    cards = [session.card(place) for place in session.key.raters[rater]]
    template = page_template("lextune.evaluate.blind", "sheet.html.j2", lstrip=False, no_answer=no_answer)
    return printable(template.render(rater=rater, cards=cards))


def read_marks(path: Path, session: Sitting) -> int:
    """Keep the marks of a filled-in CSV and return how many there were; a mark that is kept already is not kept again.

    All rows are right, or none is kept.

    Args:
        path: columns rater, item, choice, and comment where there is one, as spreadsheets write it.
        session: that the sheets were printed from.

    Raises:
        DataError: the file is no such table, or rows are wrong: a rater without a sheet, a code of another rater's
            sheet or of none, an unknown choice, an item twice (one error for all, with their number and first five).
    """
    rows = read_sheet(path, COLUMNS, "a table of marks", DO)
    if not rows:
        raise DataError("the table has no marks", where=str(path), do=DO)
    mistakes, choices = list[Mistake](), dict[tuple[str, str], Choice]()
    for row in rows:
        read = _read(row, session, choices)
        if isinstance(read, Choice):
            choices[read.rater, read.item] = read
        else:
            mistakes.append(read)
    if mistakes:
        raise refuse(mistakes, str(path), DO)
    last = session.last
    new = [choice for key, choice in choices.items() if not _same(last.get(key), choice)]
    for choice in new:
        session.choose(choice)
    return len(new)


def _read(row: Row, session: Session, seen: Iterable[tuple[str, str]]) -> Choice | Mistake:
    """Return the choice that a row says, or what is wrong with it."""
    rater = session.known(row.cells["rater"])
    if rater is None:
        return Mistake(row.where, f"no sheet was printed for the rater {shorten(row.cells['rater'], 40)!r}")
    code = row.cells["item"].casefold()
    place = by_code(session.key.raters[rater]).get(code)
    if place is None:
        return Mistake(row.where, f"{shorten(row.cells['item'], 40)!r} is no item of the sheet of {rater}")
    if (rater, place.item) in seen:
        return Mistake(row.where, f"{code} of {rater} occurs a second time")
    verdict = _CHOICE.get(row.cells["choice"].casefold())
    if verdict is None:
        return Mistake(row.where, f"unknown choice {shorten(row.cells['choice'], 40)!r} for {code}")
    return Choice(rater=rater, item=place.item, choice=verdict, comment=row.cells.get("comment", ""))


def _same(one: Choice | None, other: Choice) -> bool:
    return one is not None and (one.choice, one.comment) == (other.choice, other.comment)
