"""Paper: a sheet for one rater, and marks that come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lextune.core.errors import DataError
from lextune.evaluate.answer_pairs import AnswerPair
from lextune.evaluate.blind.paper import read_marks, sheet_html
from lextune.evaluate.blind.results import results
from lextune.evaluate.blind.session import Session, make_session, sit

DO = "\n  -> write one row a mark: the rater, the item's code as printed, and 1, 2, 0 or x"


class Desk:
    """A session with sheets for AB and CD, and a file of marks."""

    def __init__(self, session: Session) -> None:
        self.folder, self.file = session.folder, session.folder.parent / "marks.csv"
        with sit(self.folder) as sitting:
            self.pages = {name: sheet_html(sitting, sitting.seat(name)) for name in ("AB", "CD")}
            self.places = dict(sitting.key.raters)

    def read(self, *rows: str, header: str = "rater,item,choice") -> int:
        self.file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
        with sit(self.folder) as sitting:
            return read_marks(self.file, sitting)

    def told(self, *rows: str, header: str = "rater,item,choice") -> str:
        with pytest.raises(DataError) as told:
            self.read(*rows, header=header)
        return str(told.value)

    def kept(self) -> dict[tuple[str, str], str]:
        return {key: choice.choice for key, choice in Session(self.folder).last.items()}


@pytest.fixture
def desk(session: Session) -> Desk:
    return Desk(session)


def test_a_sheet_has_a_page_an_item_in_the_raters_order_and_tells_nothing(desk: Desk) -> None:
    page = desk.pages["AB"]
    assert re.findall(r'class="code">([^<]*)<', page) == [place.code for place in desk.places["AB"]]
    shown = re.findall(r'<p class="text">((?:First|Second) \d\.)</p>', page)
    lefts = [("First" if place.left == "a" else "Second") + f" {place.item[1:]}." for place in desk.places["AB"]]
    assert shown[::2] == lefts
    assert page.count("☐") == 4 * 7
    assert "break-after: page" in page
    for secret in ("arm-one", "arm-two", '"i0"', "seed"):
        assert secret not in page
    assert not re.search(r"(src|href)=", page)


def test_what_the_page_shows_is_text(tmp_path: Path) -> None:
    pair = AnswerPair(id="1", prompt="<b>?</b>\x00", a="<script>1</script>", b=" null ")
    desk = Desk(make_session(tmp_path / "s", [pair], ("x", "y")))
    assert "&lt;b&gt;?&lt;/b&gt;\N{REPLACEMENT CHARACTER}" in desk.pages["AB"]
    assert "<script" not in desk.pages["AB"]
    assert desk.pages["AB"].count('<p class="none">No answer</p>') == 1


def test_marks_come_back_as_the_rater_meant_them(desk: Desk) -> None:
    rows = [f"ab,{place.code.upper()},{1 if place.left == 'a' else 2}" for place in desk.places["AB"]]
    assert desk.read(*rows) == 7
    found = results(Session(desk.folder))
    assert (found.win, found.loss, found.by_rater[0].seconds) == (7, 0, None)
    assert desk.read(*rows) == 0, "read once more, nothing is new"
    changed = f"AB;{desk.places['AB'][0].code};x;hm"
    assert desk.read(changed, header="Rater;Item;Choice;Comment") == 1
    assert Session(desk.folder).history[-1].comment == "hm"
    assert desk.kept()["AB", desk.places["AB"][0].item] == "both-bad"


@pytest.mark.parametrize(
    ("word", "choice"),
    [
        ("1", "left"),
        ("Left", "left"),
        ("2", "right"),
        ("0", "tie"),
        ("same", "tie"),
        ("X", "both-bad"),
        ("neither", "both-bad"),
    ],
)
def test_words_for_a_choice(desk: Desk, word: str, choice: str) -> None:
    place = desk.places["CD"][2]
    assert desk.read(f"CD,{place.code},{word}") == 1
    assert desk.kept() == {("CD", place.item): choice}


def test_all_bad_rows_are_told_at_once_and_nothing_is_kept(desk: Desk) -> None:
    first, second = (place.code for place in desk.places["AB"][:2])
    other = desk.places["CD"][0].code
    said = desk.told(
        f"AB,{first},1",
        "",
        f"EF,{first},1",
        f"AB,{other},1",
        f"AB,{first},2",
        f"AB,{second},3",
        f"AB,{second}",
        f"AB,{'z' * 100},1",
    )
    assert said == (
        f"{desk.file}: 6 mistakes\n"
        "  marks.csv:4: no sheet was printed for the rater 'EF'\n"
        f"  marks.csv:5: '{other}' is no item of the sheet of AB\n"
        f"  marks.csv:6: {first} of AB occurs a second time\n"
        f"  marks.csv:7: unknown choice '3' for {second}\n"
        f"  marks.csv:8: unknown choice '' for {second}\n"
        f"  and 1 more{DO}"
    )
    assert desk.kept() == {}


def test_another_table_is_told(desk: Desk) -> None:
    assert desk.told("AB,1", header="rater,item") == f"{desk.file}:1: no column 'choice': not a table of marks{DO}"
    assert desk.told() == f"{desk.file}: the table has no marks{DO}"
