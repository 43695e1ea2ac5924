"""Two arms compared: the numbers are the tests', and the sentence says what they show."""

from __future__ import annotations

import pytest

from lextune.core.records import Document
from lextune.evaluate.comparing import compared, sentence, yes_or_no
from lextune.evaluate.marking import ClauseMarking, TaskMarking, marking_of
from lextune.expert.schema import Schema
from lextune.expert.scoring import paired, trivial
from lextune.expert.tasks import TaskOptions

TEST = {"a": "tuned", "b": "linear", "metric": "field F1", "n_documents": 60}


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (
            {"difference": 0.069, "low": 0.041, "high": 0.099, "p": 0.0002, "verdict": "better"},
            "tuned is better than linear: field F1 +0.069 (95 % interval +0.041 to +0.099, p < 0.001, 60 documents).",
        ),
        (
            {"difference": -0.1, "low": -0.2, "high": -0.02, "p": 0.01, "verdict": "worse"},
            "tuned is worse than linear: field F1 -0.100 (95 % interval -0.200 to -0.020, p = 0.010, 60 documents).",
        ),
        (
            {"difference": 0.01, "low": -0.02, "high": 0.05, "p": 0.4, "verdict": "no clear difference"},
            "no difference is shown between tuned and linear: field F1 +0.010"
            " (95 % interval -0.020 to +0.050, p = 0.400, 60 documents).",
        ),
        (
            {"difference": 0.3, "low": None, "high": None, "p": 1.0, "verdict": "not tested"},
            "tuned and linear were not tested against each other: fewer than two documents, or no score on them.",
        ),
    ],
)
def test_each_verdict_has_its_sentence(numbers: dict[str, float | str | None], expected: str) -> None:
    assert sentence({**TEST, **numbers}) == expected


def test_a_comparison_holds_the_paired_test(documents: list[Document], schema: Schema) -> None:
    echo, null = ([trivial.ARMS[name](d, schema) for d in documents] for name in ("echo", "always-null"))
    found = compared(ClauseMarking(schema, seed=5), documents, ("echo", echo), ("always-null", null))
    test = paired(documents, echo, null, schema, seed=5)
    assert {key: found[key] for key in test.as_json()} == test.as_json()
    assert (found["a"], found["b"], found["metric"]) == ("echo", "always-null", "field F1")


def test_yes_and_no_by_field(documents: list[Document], schema: Schema) -> None:
    """Law is in 3 of 3 contracts, the term in 2 of 2, an audit in none: echo says yes to all, always-null no."""
    echo, null = ([trivial.ARMS[name](d, schema) for d in documents] for name in ("echo", "always-null"))
    rows = yes_or_no(ClauseMarking(schema, seed=0), documents, ("echo", echo), ("always-null", null))
    assert [(r["what"], r["n"], r["only_a"], r["only_b"]) for r in rows] == [
        ("Audit", 3, 0, 3),
        ("Law", 3, 3, 0),
        ("Term", 2, 2, 0),
    ]
    assert [r["p"] for r in rows] == [0.25, 0.25, 0.5]
    assert [r["adjusted"] for r in rows] == [0.75, 0.75, 0.75]
    assert yes_or_no(ClauseMarking(schema, seed=0), documents, ("echo", echo), ("echo again", echo)) == []


def test_a_task_is_marked_by_what_stands_beside_it(schema: Schema) -> None:
    assert isinstance(marking_of("clause-extraction", schema, TaskOptions(), 0), ClauseMarking)
    assert isinstance(marking_of("instruction", schema, TaskOptions(), 0), TaskMarking)
