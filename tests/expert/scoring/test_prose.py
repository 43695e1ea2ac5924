"""Perplexity on general prose, against the formula by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lextune.expert.scoring.prose import load_prose, loss_table, score_prose


def test_perplexity_is_that_of_all_tokens_together() -> None:
    table = loss_table(["a", "b", "c"], lambda texts: [(20.0, 10), (90.0, 30), (4.0, 4)])
    found = score_prose(table)
    assert found.value == pytest.approx(math.exp(114 / 44))
    assert found.n == 44
    assert found.low is not None
    assert found.high is not None
    assert math.exp(1) <= found.low < found.value < found.high <= math.exp(3)


def test_a_model_that_guesses_among_k_tokens_has_perplexity_k() -> None:
    table = loss_table(load_prose(), lambda texts: [(50 * math.log(7), 50)] * len(texts))
    found = score_prose(table)
    assert np.allclose([found.value, found.low, found.high], 7)


def test_the_texts_are_of_many_kinds_and_lengths_alike() -> None:
    texts = load_prose()
    assert len(texts) == len(set(texts)) >= 20
    assert all(100 <= len(text.split()) <= 150 for text in texts)
