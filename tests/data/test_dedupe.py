"""Similarities are exact, and families are the connected groups."""

from __future__ import annotations

import hashlib
import math
import random
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Document, FieldLabel, Message
from lextune.data import minhash, overlap, pairing
from lextune.data import shingles as shingling
from lextune.data.dedupe import (
    LEAK,
    NEAR_DUPLICATE,
    Limits,
    Pair,
    families,
    joined,
    near_duplicates,
    opening,
    overlaps,
    own_words,
    shingles,
    similar_pairs,
    wording,
)
from lextune.data.shingles import hash_texts
from lextune.expert.tasks import classification, multiple_choice, statute_qa, translation

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
@settings(max_examples=100)
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
@settings(max_examples=100)
def test_joined_groups_are_the_connected_components(edges: list[tuple[int, int]]) -> None:
    reach = {n: {n} for n in range(10)}
    for _ in range(10):
        for a, b in edges:
            together = reach[a] | reach[b]
            for node in together:
                reach[node] = reach[node] | together
    expected = sorted({tuple(sorted(group)) for group in reach.values()})
    assert list(joined(10, [Pair(a, b, 1, 1) for a, b in edges])) == expected


def altered(text: str, rng: random.Random, changes: int) -> str:
    words = text.split()
    for _ in range(changes):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return " ".join(words)


def planted(count: int, seed: int) -> list[str]:
    """Return random texts of 40 to 90 words, half of them copies with up to three words changed."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(40, 90))) for _ in range(count // 2)]
    return texts + [altered(rng.choice(texts), rng, rng.randint(0, 3)) for _ in range(count // 2)]


def truth(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    sets = [shingles(text) for text in texts]
    return {
        (a, b)
        for a, b in combinations(range(len(sets)), 2)
        if len(sets[a] & sets[b]) >= threshold * len(sets[a] | sets[b]) > 0
    }


def test_minhash_finds_the_pairs_and_only_them() -> None:
    texts = planted(600, 5)
    near = near_duplicates(texts, 0.8)
    pairs = {(pair.a, pair.b) for pair in near.pairs()}
    expected = truth(texts, 0.8)
    assert pairs <= expected
    assert len(pairs) >= 0.99 * len(expected) > 100
    assert not near.exact
    assert list(near.families()) == list(joined(len(texts), [Pair(a, b, 1, 1) for a, b in sorted(pairs)]))
    assert [family for family in near.families() if len(family) > 1] == list(near.repeated())


@pytest.mark.parametrize("texts", [[], [""], ["", "...", ""], ["one text"]])
def test_minhash_of_little(texts: list[str]) -> None:
    near = near_duplicates(texts)
    assert list(near.families()) == [(i,) for i in range(len(texts))]
    assert list(near.pairs()) == []


def test_a_form_that_many_repeat_is_one_family_and_its_pairs_are_not_all_compared() -> None:
    form = " ".join(WORDS[:60])
    texts = [f"{form} party{i}" for i in range(500)] + planted(100, 6)
    near = near_duplicates(texts, 0.8)
    assert next(near.families()) == tuple(range(500))
    assert len(near.found.a) < 20_000  # all pairs are 124,750


def test_sketches_in_several_calls_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = planted(300, 7)
    expected = sorted(near_duplicates(texts).pairs())
    monkeypatch.setattr(minhash, "SKETCHED", 1000)
    monkeypatch.setattr(minhash, "BLOCK", 3000)
    assert sorted(near_duplicates(texts).pairs()) == expected


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.9, (16, 8)), (0.8, (16, 4)), (0.7, (32, 4)), (0.5, (32, 2)), (0.05, (128, 1))]
)
def test_bands_miss_one_pair_in_a_thousand_at_most(threshold: float, expected: tuple[int, int]) -> None:
    cut = minhash.banding(threshold)
    assert cut == expected
    # The chance that all bands differ, counted the long way.
    differ = math.prod(1 - math.prod([threshold] * cut.rows) for _ in range(cut.bands))
    assert cut.share(threshold) == pytest.approx(1 - differ)
    assert cut.share(threshold) >= 0.999 or cut.rows == 1


def test_portions_on_disk_give_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*planted(200, 8), " ".join(WORDS[:30]), " ".join(WORDS[5:25])]
    expected = similar_pairs(texts, LEAK)
    monkeypatch.setattr(overlap, "PORTION", 500)
    monkeypatch.setattr(overlap, "ENUMERATED", 64)
    monkeypatch.setattr(pairing, "COMPARED", 100)
    monkeypatch.setattr(pairing, "GATHERED", 50)
    assert similar_pairs(texts, LEAK) == expected
    assert (200, 201, 1.0) in [(p.a, p.b, p.containment) for p in expected]


def test_the_rarest_shingles_are_looked_at_portion_by_portion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = hash_texts(planted(200, 8))
    monkeypatch.setattr(overlap, "PORTION", 500)
    portions = overlap._Portions(texts, tmp_path)
    assert portions.count > 1
    probes = overlap._Probes(texts, portions, LEAK)
    every, taken = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
    for rows, _, amounts in portions:
        steps = overlap._step(np.repeat(amounts, amounts))
        for row, step in zip(rows.tolist(), steps.tolist(), strict=True):
            every[row].append(step)
        for place in probes.take(rows, steps).tolist():
            taken[int(rows[place])].append(int(steps[place]))
    assert taken
    for row, all_steps in every.items():
        looked = max(0, len(all_steps) - math.ceil(LEAK.least * texts.sizes[row] - 1e-9) + 1)
        assert sorted(taken[row]) == sorted(all_steps)[:looked]


def test_ones_of_many_shingles_are_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = planted(60, 9)
    expected = similar_pairs(texts, LEAK)
    monkeypatch.setattr(shingling, "HELD", 100)
    assert isinstance(hash_texts(texts).flat, np.memmap)
    assert similar_pairs(texts, LEAK) == expected


def test_crowds_of_rare_shingles_stay_families(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "EXACT_BELOW", 10)
    monkeypatch.setattr(overlap, "CROWD", 100)
    texts = [f"{' '.join(WORDS[:60])} party{i}" for i in range(60)] + planted(60, 9)
    near = overlaps(texts, LEAK)
    assert not near.exact
    assert next(near.families()) == tuple(range(60))
    monkeypatch.setattr(overlap, "EXACT_BELOW", 1000)
    every = overlaps(texts, LEAK)
    assert every.exact
    assert list(every.families()) == list(near.families())
    assert set(zip(near.found.a, near.found.b, strict=True)) < set(zip(every.found.a, every.found.b, strict=True))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 2)), max_size=10))
@settings(max_examples=60)
def test_pairs_across_parts_are_those_of_all_pairs(chosen: list[tuple[int, int]]) -> None:
    base = [" ".join(WORDS[:30]), " ".join(WORDS[:28]), " ".join(WORDS[100:120]), ""]
    texts, parts = [base[text] for text, _ in chosen], np.array([part for _, part in chosen], np.int64)
    near = overlaps(texts, LEAK)
    expected = [p for p in near.pairs() if -1 not in (parts[p.a], parts[p.b]) and parts[p.a] != parts[p.b]]
    assert sorted(near.crossing(parts)) == sorted(expected)


def test_a_conversation_is_compared_by_what_was_said_but_not_by_the_system() -> None:
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="First."))
    row = document("r", "Then this.").model_copy(update={"turns": turns})
    assert wording(row) == "First.\nThen this."
    assert wording(document("d", "A text.")) == "A text."


def row(name: str, text: str) -> Document:
    return document(name, text).model_copy(update={"labels": {"output": FieldLabel(parts=("a",), answer="a")}})


@pytest.mark.parametrize(
    ("prompt", "own"),
    [
        (classification.prompt("Rent is due.", ("Payment", "Term of the lease")), "Rent is due."),
        (classification.prompt("Rent is due."), "Rent is due."),
        (translation.prompt("Rent is due.\n\nAt once.", "English", "French"), "Rent is due.\n\nAt once."),
        (translation.prompt("Rent is due."), "Rent is due."),
        (multiple_choice.prompt("Which law?", ("Ohio", "Texas")), "Which law?\n\nA. Ohio\nB. Texas"),
        (statute_qa.prompt("How high?", "Article 4. Two."), "Article 4. Two.\n\nHow high?"),
        (classification.prompt("..."), classification.prompt("...")),
        ("Which law governs?", "Which law governs?"),
    ],
)
def test_rows_of_a_task_are_compared_without_its_prompt(prompt: str, own: str) -> None:
    assert own_words(row("r", prompt)) == own
    assert own_words(document("contract", prompt)) == prompt


def test_an_instruction_that_all_rows_begin_with_is_left_out() -> None:
    rows = [row("a", "Is this enforceable?\n\nRent is due."), row("b", "Is this enforceable?\n\nRent is paid.")]
    assert opening(rows) == "Is this enforceable?\n\n"
    assert [own_words(r, opening(rows)) for r in rows] == ["Rent is due.", "Rent is paid."]
    assert opening([*rows, row("c", "Which law?")]) == ""
    assert opening([document("d", rows[0].text), *rows]) == ""
    assert opening([row("a", "One."), row("b", "One.")]) == opening([]) == ""


def own(i: int, words: int) -> str:
    return " ".join(random.Random(i).choices(WORDS, k=words))


@pytest.mark.parametrize(
    "rows",
    [
        [
            row(
                str(i),
                classification.prompt(own(i, 10 if i % 2 else 150), [f"The label {n} of them" for n in range(12)]),
            )
            for i in range(100)
        ],
        [row(str(i), f"{own(999, 60)}\n\n{own(i, 10 if i % 2 else 150)}") for i in range(100)],
        [
            row(
                str(i),
                f"Is the following clause enforceable? {own(i, 40)}" if i else "Is the following clause enforceable?",
            )
            for i in range(100)
        ],
    ],
    ids=["the task's prompt", "an instruction of one's own", "a short question"],
)
def test_what_all_rows_share_makes_no_family(rows: list[Document]) -> None:
    assert {len(family) for family in families(rows, LEAK)} == {1}
    again = row("again", rows[1].text)
    assert families([*rows, again], LEAK)[1] == ("1", "again")


def test_similarities_of_one_text_with_others_are_exact() -> None:
    texts = planted(60, 3)
    near = near_duplicates([*texts, texts[0], ""])
    sets = [shingles(text) for text in [*texts, texts[0], ""]]
    expected = [len(sets[0] & other) / len(sets[0] | other) for other in sets[1:]]
    assert near.jaccards(0, range(1, len(sets))) == pytest.approx(expected)
