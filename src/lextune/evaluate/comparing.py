"""Comparing two arms: the paired test of the main metric, McNemar's test for yes and no, and a sentence for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lextune.core.counts import counted
from lextune.core.records import Document, Prediction
from lextune.evaluate.formatting import fixed, probability
from lextune.evaluate.marking import Marking
from lextune.evaluate.summary import verdict
from lextune.expert.scoring.mcnemar import holm, mcnemar

Answered = tuple[str, Sequence[Prediction]]
"""An arm: its name and its predictions."""

OPENINGS = {
    "better": "{a} is better than {b}",
    "worse": "{a} is worse than {b}",
    "no clear difference": "no difference is shown between {a} and {b}",
    "not tested": "{a} and {b} were not tested against each other",
}


def compared(
    marking: Marking,
    documents: Sequence[Document],
    a: tuple[str, Sequence[Prediction]],
    b: tuple[str, Sequence[Prediction]],
) -> dict[str, Any]:
    """Return the paired test of two arms on the same documents.

    Returns:
        {a, b, metric, difference, low, high, p, n_documents, verdict, sentence}; the difference is a minus b.
    """
    (first, ours), (second, theirs) = a, b
    test = {"a": first, "b": second, "metric": marking.metric, **marking.paired(documents, ours, theirs).as_json()}
    test["verdict"] = verdict(test)
    return {**test, "sentence": sentence(test)}


def sentence(test: Mapping[str, Any]) -> str:
    """Return a paired test in words: better, worse, or not shown."""
    opening = OPENINGS[str(test["verdict"])].format(a=test["a"], b=test["b"])
    if test["verdict"] == "not tested":
        return f"{opening}: fewer than two documents, or no score on them."
    difference, low, high = (fixed(test[key], sign=True) for key in ("difference", "low", "high"))
    return (
        f"{opening}: {test['metric']} {difference} (95 % interval {low} to {high}, {probability(test['p'])},"
        f" {counted(test['n_documents'], 'document')})."
    )


def yes_or_no(
    marking: Marking,
    documents: Sequence[Document],
    a: tuple[str, Sequence[Prediction]],
    b: tuple[str, Sequence[Prediction]],
) -> list[dict[str, Any]]:
    """Return McNemar's test of two arms for everything that is asked with yes or no.

    Returns:
        [{a, b, what, n, only_a, only_b, p, adjusted}], most different first; `adjusted` is p after Holm's correction
        for all of them. What the arms do not differ on is left out.
    """
    first, second = marking.right(documents, a[1], b[1])
    tests = {what: mcnemar(first[what], second[what]) for what in first}
    adjusted = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
    rows = [
        {"a": a[0], "b": b[0], "what": what, **test.as_json(), "adjusted": adjusted[what]}
        for what, test in tests.items()
        if test.p is not None
    ]
    return sorted(rows, key=lambda row: (row["p"], row["what"]))
