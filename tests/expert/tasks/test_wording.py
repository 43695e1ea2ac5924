"""ROUGE, token F1 and exact match, each against brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.expert.tasks import TaskOptions, get_task, score_task
from lextune.expert.tasks.wording import WordingScorer, lcs_f1, ngram_f1, words

TEXTS = st.lists(st.sampled_from(["the", "party", "shall", "pay", "rent"]), max_size=9)


def longest(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence by the textbook table."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(TEXTS, TEXTS)
def test_rouge_l_is_the_textbooks(a: list[str], b: list[str]) -> None:
    shared = longest(a, b)
    precision, recall = (shared / len(a), shared / len(b)) if a and b else (0.0, 0.0)
    wanted = 2 * precision * recall / (precision + recall) if shared else 0.0
    assert lcs_f1(a, b) == pytest.approx(wanted)


@given(TEXTS, TEXTS, st.sampled_from([1, 2]))
def test_rouge_n_counts_each_gram_once_a_pair(a: list[str], b: list[str], n: int) -> None:
    ours, theirs = ([tuple(text[i : i + n]) for i in range(len(text) - n + 1)] for text in (a, b))
    left, shared = list(theirs), 0
    for gram in ours:
        if gram in left:
            left.remove(gram)
            shared += 1
    assert sum((Counter(ours) & Counter(theirs)).values()) == shared
    wanted = 2 * shared / (len(ours) + len(theirs)) if ours and theirs else 0.0
    assert ngram_f1(a, b, n) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("wanted", "said", "expected"),
    [
        ("The tenant pays rent.", "The tenant pays rent.", (1, 1, 1, 1, 1)),
        ("The tenant pays rent.", "the  Tenant pays: rent", (0, 1, 1, 1, 1)),
        ("The tenant pays rent.", "A tenant pays rent.", (0, 1, 3 / 4, 2 / 3, 3 / 4)),
        ("The tenant pays rent.", "Rent pays the tenant.", (0, 1, 1, 1 / 3, 1 / 2)),
        ("The tenant pays rent.", "", (0, 0, 0, 0, 0)),
        ("", "", (1, 1, 1, 1, 1)),
        ("", "Something.", (0, 0, 0, 0, 0)),
    ],
)
def test_by_hand(wanted: str, said: str, expected: tuple[float, ...], row: Any, answer: Any) -> None:
    rows = [row("r", "Say it.", wanted)]
    scores = score_task(WordingScorer(), rows, [answer(rows[0], said)])["scores"]
    names = ("exact_match", "token_f1", "rouge_1", "rouge_2", "rouge_l")
    assert [scores[name]["value"] for name in names] == pytest.approx(expected)


def test_instructions_are_marked_by_wording() -> None:
    assert isinstance(get_task("instruction").scorer(TaskOptions()), WordingScorer)
    assert get_task("clause-extraction").scorer(TaskOptions()) is None
    assert words("L'Acheteur paie 3,5 %_") == ["l", "acheteur", "paie", "3", "5"]
