"""Similarities are exact, and families are the connected groups."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Document
from lextune.data.dedupe import LEAK, NEAR_DUPLICATE, Limits, Pair, families, joined, shingles, similar_pairs

WORDS = [f"word{i}" for i in range(400)]


def document(name: str, text: str, kind: str | None = None) -> Document:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Document(id=name, name=name, sha256=sha256, text=text, contract_type=kind)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("... --", set()),
        ("One two.", {"one two"}),
        ("A b, c\nd E", {"a b c d e"}),
        ("a b c d e f", {"a b c d e", "b c d e f"}),
    ],
)
def test_shingles(text: str, expected: set[str]) -> None:
    assert shingles(text) == expected


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=25).map(" ".join), max_size=6))
@settings(max_examples=100, deadline=None)
def test_pairs_equal_those_of_plain_sets(texts: list[str]) -> None:
    limits = Limits(jaccard=0.3, containment=0.6)
    sets = [shingles(text) for text in texts]
    expected = []
    for b in range(len(sets)):
        for a in range(b):
            if sets[a] & sets[b]:
                jaccard = len(sets[a] & sets[b]) / len(sets[a] | sets[b])
                containment = len(sets[a] & sets[b]) / min(len(sets[a]), len(sets[b]))
                if jaccard >= 0.3 or containment >= 0.6:
                    expected.append(Pair(a, b, jaccard, containment))
    assert similar_pairs(texts, limits) == sorted(expected)


def test_no_texts_and_texts_without_words() -> None:
    assert similar_pairs([], LEAK) == []
    assert similar_pairs(["", "", "..."], LEAK) == []


def test_a_part_inside_a_longer_document_is_found_by_containment() -> None:
    (pair,) = similar_pairs([" ".join(WORDS), " ".join(WORDS[100:130])], NEAR_DUPLICATE)
    assert pair.containment == 1
    assert pair.jaccard == pytest.approx(26 / 396)


def test_the_limits_are_inclusive() -> None:
    # 24 and 20 words: 20 and 16 shingles, all 16 shared; 16 / 20 = 0.8.
    texts = [" ".join(WORDS[:24]), " ".join(WORDS[:20])]
    assert len(similar_pairs(texts, Limits(jaccard=0.8, containment=1.1))) == 1
    assert similar_pairs(texts, Limits(jaccard=0.81, containment=1.1)) == []


def test_families_join_chains_and_keep_the_order() -> None:
    documents = [
        document("c", " ".join(WORDS[40:140])),
        document("x", "something else altogether, and quite short"),
        document("a", " ".join(WORDS[0:100])),
        document("b", " ".join(WORDS[20:120])),
    ]
    assert families(documents, Limits(jaccard=0.6, containment=0.75)) == [("c", "a", "b"), ("x",)]
    assert families(documents, LEAK) == families(documents, LEAK)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=15))
@settings(max_examples=100, deadline=None)
def test_joined_groups_are_the_connected_components(edges: list[tuple[int, int]]) -> None:
    reach = {n: {n} for n in range(10)}
    for _ in range(10):
        for a, b in edges:
            together = reach[a] | reach[b]
            for node in together:
                reach[node] = reach[node] | together
    expected = sorted({tuple(sorted(group)) for group in reach.values()})
    assert list(joined(10, [Pair(a, b, 1, 1) for a, b in edges])) == expected
