"""`lextune review blind`: a session is made, judged, revealed and exported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.apps.web import blind as page
from lextune.data.human import read_preferences
from lextune.evaluate import answer_pairs
from lextune.evaluate.answer_pairs import AnswerPair
from lextune.evaluate.blind.session import Choice, Sitting

HERE = Path("session")


@pytest.fixture(autouse=True)
def items(cli: Any) -> Path:
    """Four items, one of them with the same answer twice."""
    rows = [{"id": n, "prompt": f"Question {n}?", "a": f"First {n}.", "b": f"Second {n}."} for n in range(3)]
    same = {"id": "same", "prompt": "?", "a": "Yes.", "b": "Yes."}
    file = Path("items.jsonl")
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, same]))
    return file


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Let raters choose what they like, instead of serving the session; the list is where it would be served."""
    asked: list[tuple[str, int]] = []
    wishes = {"Ada": "aab", "[Ben]": "ab0"}

    def serve(session: Sitting, host: str, port: int, on_ready: Callable[[str], None]) -> None:
        asked.append((host, port))
        on_ready("http://here")
        for name, said in wishes.items():
            rater = session.seat(name)
            for place in session.key.raters[rater]:
                wish = said[int(place.item)]
                choice = "tie" if wish == "0" else "left" if wish == place.left else "right"
                session.choose(Choice(rater=rater, item=place.item, choice=choice, seconds=3.0))

    monkeypatch.setattr(page, "serve", serve)
    return asked


def test_a_session_is_made_served_and_revealed(cli: Any, items: Path, served: list[tuple[str, int]]) -> None:
    made = cli("review", "blind", HERE, "--items", items, "--a", "[mine]", "--b", "theirs", "--port", "0")
    assert made.code == 0, made.err
    assert served == [("127.0.0.1", 0)]
    assert made.err == (
        "3 items to judge in session; 1 more with the same answer twice count as ties\n"
        "serving http://here (Ctrl-C stops)\n"
    )
    found = cli("review", "blind", HERE, "--results")
    assert found.code == 0, found.err
    assert found.out.startswith(
        "[mine] against theirs, 4 items: 1 won, 3 tied, 0 lost\n"
        "net win rate 0.250 (0.000 to 0.750)\n"
        "1 of the ties: the same answer twice\n"
        "the left answer was chosen "
    )
    assert re.search(r"Krippendorff's alpha \S+ \(.*\), n=3\nkappa of Ada and \[Ben\] ", found.out)
    assert re.search(r"\[Ben\] +│ 3 +│ 1 +│ 1 +│ 1 +│ 0 +│ 0 +│ 3\.0", found.out)
    assert re.search(r"judged +┃ \[mine\] +┃ theirs", found.out)
    printed = cli("review", "blind", HERE, "--results", "--json").json()
    assert printed == json.loads((HERE / "blind.json").read_text())
    assert (printed["a"], printed["win"], printed["raters"]) == ("[mine]", 1, 2)
    marks = [json.loads(line) for line in (HERE / "marks.jsonl").read_text().splitlines()]
    assert len(marks) == 6
    assert {"item": "2", "mark": "tie"} in marks


def test_pairs_are_exported(cli: Any, items: Path, served: list[tuple[str, int]]) -> None:
    cli("review", "blind", HERE, "--items", items)
    said = cli("review", "blind", HERE, "--export", "pairs.jsonl")
    assert said.out == (
        "1 of 4 items are pairs in pairs.jsonl\n2 left out: no majority\n1 left out: the two answers are the same\n"
    )
    (pair,) = read_preferences(Path("pairs.jsonl"))
    assert (pair.chosen, pair.rejected) == ("First 0.", "Second 0.")
    assert cli("review", "blind", HERE, "--export", "pairs.jsonl", "--json").json() == {
        "n_in": 4,
        "n_out": 1,
        "left_out": {"no majority": 2, "the two answers are the same": 1},
    }


def test_paper_goes_out_and_comes_back(cli: Any, items: Path, served: list[tuple[str, int]]) -> None:
    made = cli("review", "blind", HERE, "--items", items, "--sheet", "sheet.html", "--rater", "AB")
    assert (made.code, made.out, served) == (0, "3 items for AB in sheet.html\n", [])
    codes = re.findall(r'class="code">([^<]*)<', Path("sheet.html").read_text())
    Path("marks.csv").write_text("rater,item,choice\n" + "".join(f"AB,{code},0\n" for code in codes))
    assert cli("review", "blind", HERE, "--read", "marks.csv").out == "3 marks read\n"
    assert cli("review", "blind", HERE, "--read", "marks.csv", "--json").json() == {"kept": 0}
    said = cli("review", "blind", HERE, "--results")
    assert said.out.startswith("a against b, 4 items: 0 won, 4 tied, 0 lost\n")
    assert "alpha" not in said.out, "one rater agrees with nobody"
    none = cli("review", "blind", HERE, "--export", "pairs.jsonl")
    assert (none.code, none.err) == (
        2,
        "error: session: no item was decided by a majority\n  -> let raters judge more items\n",
    )


def test_both_bad_and_what_nobody_judged_are_counted(cli: Any, items: Path) -> None:
    cli("review", "blind", HERE, "--items", items, "--sheet", "sheet.html", "--rater", "AB")
    code = re.search(r'class="code">([^<]*)<', Path("sheet.html").read_text())
    assert code is not None
    Path("marks.csv").write_text(f"rater,item,choice\nAB,{code[1]},x\n")
    cli("review", "blind", HERE, "--read", "marks.csv")
    said = cli("review", "blind", HERE, "--results").out
    assert "1 of the ties: both bad\n" in said
    assert "2 left out: nobody judged them\n" in said


def test_a_run_is_asked_for_its_usual_arms(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pairs_of_run(run: Path, a: str, b: str) -> list[AnswerPair]:
        asked.append((run, a, b))
        return [AnswerPair(id="1", prompt="?", a="x", b="y")]

    monkeypatch.setattr(answer_pairs, "pairs_of_run", pairs_of_run)
    words = ("review", "blind", "one", "--run", "runs/x", "--sheet", "s.html", "--rater", "AB")
    assert cli(*words).code == 0
    assert cli(*words[:2], "two", *words[3:], "--b", "linear").code == 0
    assert asked == [(Path("runs/x"), "tuned", "base-few-shot"), (Path("runs/x"), "tuned", "linear")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("--results", "--read", "m.csv"),
            "review blind: several things at once\n  -> give one of --results, --export, --sheet and --read",
        ),
        (("--sheet", "s.html"), "review blind: a sheet is one rater's\n  -> give --sheet and --rater together"),
        (("--items", "i", "--run", "r"), "review blind: both --items and --run\n  -> give one of them"),
        (("--results",), "session: no review session\n  -> make one with --items or --run"),
        ((), "session: no review session\n  -> make one with --items or --run"),
    ],
)
def test_mistakes_are_told(cli: Any, words: tuple[str, ...], told: str) -> None:
    said = cli("review", "blind", HERE, *words)
    assert (said.code, said.err) == (2, f"error: {told}\n")


def test_help_names_what_there_is(cli: Any) -> None:
    said = cli("review", "blind", "--help").out
    for panel in ("To make a session", "To work with it instead of serving it", "To serve it"):
        assert panel in said
