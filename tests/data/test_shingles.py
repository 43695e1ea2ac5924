"""Hashed shingles are the same sets as shingles of text, whatever the characters."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.data import shingles as module
from lextune.data.shingles import Shingles, hash_texts, shingles

WORDS = ["a", "B", "b", "ß", "SS", "é", "İ", "_x", "1.5", "𝒜", "--", "\n", "\x00", "z\u0301", "\ud800"]


def rows(found: Shingles) -> list[set[int]]:
    return [set(found.flat[found.offsets[r] : found.offsets[r + 1]].tolist()) for r in found.row_of]


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=6))
@settings(max_examples=150)
def test_hashed_sets_meet_as_the_sets_of_words_do(texts: list[str]) -> None:
    sets, hashed = [shingles(text) for text in texts], rows(hash_texts(texts))
    for a in range(len(texts)):
        assert len(hashed[a]) == len(sets[a])
        for b in range(a):
            assert len(hashed[a] & hashed[b]) == len(sets[a] & sets[b])


@given(st.text(max_size=60), st.integers(1, 40))
@settings(max_examples=60)
def test_a_text_has_the_same_hashes_in_any_company(text: str, before: int) -> None:
    assert rows(hash_texts([text]))[0] == rows(hash_texts(["some words go first"] * before + ["é", text]))[-1]


def test_texts_with_the_same_words_share_a_row_and_empty_ones_do_not() -> None:
    found = hash_texts(["One, two", "one two", "", "...", "two one"])
    assert found.row_of.tolist() == [0, 0, 1, 2, 3]
    assert found.sizes.tolist() == [1, 0, 0, 1]


def test_what_does_not_fit_is_kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [" ".join(f"w{i + j}" for j in range(9)) for i in range(300)] + ["w1 w2"]
    here = hash_texts(texts)
    monkeypatch.setattr(module, "HELD", 100)
    monkeypatch.setattr(module, "CHUNK", 50)
    there = hash_texts(texts, workers=3)
    assert isinstance(there.flat, np.memmap)
    assert np.array_equal(here.flat, there.flat)
    assert np.array_equal(here.offsets, there.offsets)


def test_rows_are_sorted_sets() -> None:
    found = hash_texts(["a b c d e a b c d e a b c d e f g h"])
    assert found.sizes.tolist() == [8]
    assert np.all(np.diff(found.flat) > 0)


def test_rows_are_the_same_however_texts_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    texts = [" ".join(rng.choices("abcd", k=rng.randint(0, 4))) for _ in range(3_000)]
    first: dict[str, int] = {}
    expected = []
    for place, text in enumerate(texts):  # as a dictionary would number them; a text without words is always new
        expected.append(first.setdefault(text or f"no words {place}", len(first)))
    for size in (1, 100, 1_000_000):
        monkeypatch.setattr(module, "CHUNK", size)
        assert hash_texts(texts).row_of.tolist() == expected


def test_pages_of_a_file_that_are_let_go_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD", 100)
    texts = hash_texts([" ".join(f"w{i + j}" for j in range(9)) for i in range(300)])
    before, ones = texts.flat.tolist(), int(texts.matrix.sum())
    texts.release()
    assert texts.flat.tolist() == before
    assert int(texts.matrix.sum()) == ones == len(before)


def test_pages_that_are_let_go_are_not_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD", 100)
    rng = random.Random(5)
    texts = hash_texts(" ".join(str(rng.random()) for _ in range(500)) for _ in range(1_000))

    def resident() -> int:
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("RssFile"))

    assert texts.flat.sum()
    held = resident()
    texts.release()
    assert resident() <= held - len(texts.flat) * 8 // 1024 * 0.8
