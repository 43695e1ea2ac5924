"""Case law beside a task's own metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lextune.core.errors import DataError
from lextune.expert.tasks import TaskOptions, get_task, score_task
from lextune.expert.tasks.citing import CitingScorer, load_known
from lextune.expert.tasks.wording import WordingScorer

TEXT = (
    "See Ames v. Boyd, 410 U.S. 113 (1973); Cole v. Dunn, 3 F.3d 99 (1993). Id. at 101. Eads, 12 Fake. Rep. 4 (2001)."
)


def test_citations_stand_beside_the_tasks_metrics(row: Any, answer: Any) -> None:
    rows = [row("a", "Q", TEXT), row("b", "Q", "None.")]
    given = [answer(rows[0], TEXT), answer(rows[1], "None.")]
    scorer = CitingScorer(WordingScorer(), {"410 U.S. 113"}.__contains__)
    result = score_task(scorer, rows, given)
    scores = {name: (score["value"], score["n"]) for name, score in result["scores"].items()}
    assert result["primary"] == "rouge_l"
    assert scores["exact_match"] == (1.0, 2)
    assert scores["citations_per_answer"] == (2.0, 2)
    assert scores["malformed_citation_rate"] == (0.25, 4)
    assert scores["unknown_citation_rate"] == (pytest.approx(2 / 3), 3)  # Id. is cited once more
    assert scores["unresolved_citation_rate"] == (0.0, 4)
    listed = [(c["text"], c["status"]) for c in result["detail"]["citations"]]
    assert listed == [("3 F.3d 99", "unknown"), ("Id. at 101", "unknown"), ("12 Fake. Rep. 4", "malformed")]
    first = result["detail"]["citations"][0]
    assert TEXT[first["start"] : first["end"]] == "3 F.3d 99"


def test_without_a_list_nothing_is_said_of_invention(row: Any, answer: Any) -> None:
    rows = [row("a", "Q", TEXT)]
    scores = score_task(CitingScorer(WordingScorer()), rows, [answer(rows[0], TEXT)])["scores"]
    assert "unknown_citation_rate" not in scores
    assert scores["malformed_citation_rate"]["value"] == 0.25


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("k.txt", "Ames v. Boyd, 410 U. S. 113 (1973)\n\n3 F.3d 99\n"),
        ("k.csv", 'name,citation\nAmes,"410 U.S. 113"\nCole,3 F.3d 99\n'),
        ("k.jsonl", '{"citation": "410 U.S. 113"}\n\n{"citation": "Cole v. Dunn, 3 F.3d 99"}\n'),
        ("k.jsonl", '{"citation": "410 U.S. 113", "of": "a\u2028b"}\r\n{"citation": "Cole v. Dunn, 3 F.3d 99"}\n'),
    ],
)
def test_a_list_of_known_cases(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert load_known(path) == {"410 U.S. 113", "3 F.3d 99"}
    for task in ("instruction", "statute-qa"):
        assert isinstance(get_task(task).scorer(TaskOptions(citations=str(path))), CitingScorer)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("k.txt", "410 U.S. 113\nAmes v. Boyd\nmore\n", r"k.txt:2: 2 lines without a citation of a case"),
        ("k.jsonl", '{"case": "Ames"}\n', r"k.jsonl:1: 1 line without a citation of a case"),
        ("k.csv", "name\nAmes\n", r"k.csv:1: no column 'citation': not a list of citations"),
    ],
)
def test_a_list_that_is_none(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_known(path)
