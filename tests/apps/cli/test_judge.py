"""`lextune judge pairwise|rubric|agree`, with a judge that a script plays."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lextune.apps.cli import console, judge
from lextune.core.errors import DataError, RecipeError, UserError
from lextune.evaluate.judging import agreement

Start = Callable[[Callable[[dict[str, Any]], Any]], Any]
Run = Callable[..., Any]
RIGHT = re.compile(r"<(?:first|answer) \w+>\n\[right\]")


def script(body: dict[str, Any]) -> str:
    """Prefer what says `[right]`, give it one point; be silent on question 4."""
    shown = body["messages"][1]["content"]
    right = bool(RIGHT.search(shown))
    if "\nquestion 4" in shown:
        return "no"
    if '"winner"' in shown:
        return json.dumps({"reason": "r", "winner": "first" if right else "second"})
    return json.dumps({"reason": "r", "scores": {"citation": int(right), "argument": 0, "structure": 0}})


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Call a command; return stdout, or parsed JSON."""
    monkeypatch.chdir(tmp_path)
    for each in (console.out, console.log):
        monkeypatch.setattr(each, "_width", 200)

    def call(*words: str | Path) -> Any:
        found = CliRunner().invoke(judge.app, [str(word) for word in words])
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout) if "--json" in words else found.stdout

    return call


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """Five items: `a` is right in three of them, the judge is silent on the last."""
    answers = [("[right]", "wrong"), ("[right]", "wrong"), ("wrong", "[right]"), ("[right]", "wrong"), ("x", "y")]
    rows = [{"id": str(n), "prompt": f"question {n}", "a": a, "b": b} for n, (a, b) in enumerate(answers)]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_pairs(run: Run, endpoint: Start, items: Path, tmp_path: Path) -> None:
    server = endpoint(script)
    where = ("--endpoint", server.url, "--model", "m")
    shown = run("pairwise", items, *where, "--out", tmp_path / "judge.json")
    assert shown.splitlines() == [
        "a against b, 4 items: 3 won, 0 tied, 1 lost",
        "net win rate 0.500 (-0.500 to 1.000)",
        "position-flip rate 0.000 (0.000 to 0.000)",
        "position bias 0.000 (0.000 to 0.000)",
        "10 verdicts: 0 repaired, 2 invalid, 0 too long for the judge",
        "1 item left out: a verdict is missing",
    ]
    assert len(server.seen) == 12  # two of them once more
    report = run("pairwise", items, *where, "--json")
    assert report == json.loads((tmp_path / "judge.json").read_text())
    assert (report["judge"], report["kind"], report["win"]) == ({"model": "m"}, "pairwise", 3)
    assert len(server.seen) == 12
    assert (tmp_path / "items.jsonl.answers.jsonl").is_file()


def test_marks(run: Run, endpoint: Start, items: Path, tmp_path: Path) -> None:
    server = endpoint(script)
    where = ("--endpoint", server.url, "--model", "m", "--cache", tmp_path / "kept.jsonl")
    shown = run("rubric", items, *where).splitlines()
    assert shown[0] == "citation (of 1): a 0.750 (0.250 to 1.000), b 0.250 (0.000 to 0.750)"
    assert shown[3].startswith("total (of 3): a 0.750")
    assert shown[4].startswith("a less b: 0.500 (-0.500 to 1.000)")
    assert shown[5] == "10 verdicts: 0 repaired, 2 invalid, 0 too long for the judge"
    assert (tmp_path / "kept.jsonl").is_file()
    own = tmp_path / "own.yaml"
    own.write_text("name: own\ncriteria: [{name: style, question: Is it plain?}]\n")
    report = run("rubric", items, *where, "--rubric", own, "--json")
    assert (report["rubric"], report["n"], report["invalid"]) == ("own", 0, 10)  # the script knows other criteria
    assert run("rubric", items, *where, "--rubric", own).splitlines()[0] == "style (of 1): a n/a (n=0), b n/a (n=0)"
    alone = tmp_path / "alone.csv"
    alone.write_text("id,prompt,a\n1,question 1,[right]\n")
    assert run("rubric", alone, *where).splitlines()[0] == "citation (of 1): a 1.000 (no interval)"


def test_judges_are_compared_with_experts(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "ROUNDS", 50)
    for name, marks in (("good", [1, -1, 0, 1]), ("poor", [1, 1, 1, -1])):
        rows = [{"item": str(n), "mark": mark} for n, mark in enumerate(marks)]
        (tmp_path / f"{name}.json").write_text(json.dumps({"judge": {"model": name}, "marks": rows}))
    (tmp_path / "experts.csv").write_text("item,mark\n0,a\n1,b\n2,tie\n3,a\n9,a\n")
    shown = run("agree", "poor.json", "good.json", "--experts", "experts.csv", "--out", "agree.json").splitlines()
    assert shown[0].startswith("good: spearman 1.000 (")
    assert shown[1].startswith("poor: spearman ")
    assert shown[2].startswith("good agrees most with the experts: kappa 1.000 on 4 items, ")
    assert shown[3] == "1 expert mark left out: not marked by every judge"
    found = run("agree", "poor.json", "good.json", "--experts", "experts.csv", "--json")
    assert found == json.loads((tmp_path / "agree.json").read_text())
    assert found["best"] == "good"


def test_mistakes(run: Run, items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="--endpoint: 1 mistake"):
        run("pairwise", items, "--endpoint", "localhost:8000", "--model", "m")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    where = ("--endpoint", "http://127.0.0.1:1/v1", "--model", "m")
    with pytest.raises(UserError, match="NO_SUCH_KEY"):
        run("pairwise", items, *where, "--key-env", "NO_SUCH_KEY")
    one = tmp_path / "one.jsonl"
    one.write_text('{"id": "1", "prompt": "p", "a": "x"}\n')
    with pytest.raises(DataError, match="the item '1' has no second answer b\n  -> give every item a and b"):
        run("pairwise", one, *where)


def test_the_group_has_three_commands() -> None:
    group = judge.command("judge")
    assert sorted(group.commands) == ["agree", "pairwise", "rubric"]
