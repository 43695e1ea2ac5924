"""Every document in one part, families together, types spread; a leak stops the run."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lextune.core.errors import DataError
from lextune.core.records import Document
from lextune.data.dedupe import LEAK, families
from lextune.data.importers.cuad import import_cuad
from lextune.data.split import (
    BEYOND,
    LIKE_TEST,
    TOO_LARGE,
    Leak,
    SplitConfig,
    check_leakage,
    divide,
    leakage,
    left_out,
    split_documents,
)
from lextune.data.stratify import item
from lextune.expert.schema import load_schema


def document(name: str, kind: str | None = None, text: str | None = None) -> Document:
    return Document(id=name, name=name, sha256="", text=text or name, contract_type=kind)


def alone(documents: list[Document]) -> list[tuple[str, ...]]:
    return [(d.id,) for d in documents]


TYPED = [
    document(f"{kind}-{i}", kind) for kind, n in (("Supply", 40), ("License", 20), ("Agency", 20)) for i in range(n)
]


@given(
    st.lists(st.integers(1, 4), min_size=12, max_size=30),
    st.integers(0, 5),
    st.sampled_from([(None, 0.15, 0.2), (0.5, 0.25, 0.25), (None, 3, 5), (4, 0.2, 3), (0.6, 0.1, 0.1)]),
)
@settings(max_examples=80)
def test_parts_are_disjoint_families_whole_and_order_does_not_matter(
    sizes: list[int], seed: int, parts: tuple[float | None, float, float]
) -> None:
    groups = [tuple(f"{i}.{j}" for j in range(size)) for i, size in enumerate(sizes)]
    documents = [document(name, f"kind {len(group)}") for group in groups for name in group]
    config = SplitConfig(train=parts[0], validation=parts[1], test=parts[2], seed=seed)
    try:
        assignment = split_documents(documents, groups, config)
    except DataError as error:
        assert "families cannot be divided" in str(error) or "is empty" in str(error)  # noqa: PT017
        return
    assert all(len({assignment.get(name) for name in group}) == 1 for group in groups)
    dropped = left_out(divide([item(d) for d in documents], groups, config))
    assert len(assignment) + len(dropped) == len(documents)
    assert not dropped or parts[0] is not None
    assert [d.id for d in documents if d.id in assignment] == list(assignment)
    shuffled, other = list(documents), list(groups)
    random.Random(seed).shuffle(shuffled)
    random.Random(seed).shuffle(other)
    assert split_documents(shuffled, other, config) == assignment


def test_shares_are_met_and_types_spread() -> None:
    assignment = split_documents(TYPED, alone(TYPED), SplitConfig(validation=0.15, test=0.2))
    counts = Counter((d.contract_type, assignment[d.id]) for d in TYPED)
    assert Counter(assignment.values()) == {"train": 52, "validation": 12, "test": 16}
    assert [counts[kind, "test"] for kind in ("Supply", "License", "Agency")] == [8, 4, 4]
    assert [counts[kind, "validation"] for kind in ("Supply", "License", "Agency")] == [6, 3, 3]


def test_counts_are_met_and_the_others_left_out_evenly() -> None:
    division = divide([item(d) for d in TYPED], alone(TYPED), SplitConfig(train=20, validation=8, test=12))
    assignment, drops = division.parts, left_out(division)
    assert Counter(assignment.values()) == {"train": 20, "validation": 8, "test": 12}
    kinds = Counter(d.contract_type for d in TYPED if d.id in assignment)
    assert kinds == {"Supply": 20, "License": 10, "Agency": 10}
    assert len(drops) == 40
    assert {drop.reason for drop in drops} == {BEYOND}


@pytest.mark.parametrize(("size", "count"), [(70, 1), (3, 10)])
def test_a_family_too_large_for_every_part_is_trained_on(size: int, count: int) -> None:
    documents = [document(str(i)) for i in range(100 if size == 70 else 30)]
    names = [d.id for d in documents]
    groups = [tuple(names[i * size : (i + 1) * size]) for i in range(count)]
    groups += [(name,) for name in names[size * count :]]
    assignment = split_documents(documents, groups, SplitConfig())
    assert list(assignment) == names
    assert {assignment[name] for name in groups[0]} == {"train"} or size == 3
    assert set(assignment.values()) == {"train", "validation", "test"}


def test_where_training_is_a_count_such_a_family_is_left_out_for_its_size() -> None:
    documents = [document(str(i)) for i in range(30)]
    groups = [tuple(str(i) for i in range(12)), *((str(i),) for i in range(12, 30))]
    division = divide([item(d) for d in documents], groups, SplitConfig(train=1, validation=0.3, test=0.3))
    assert Counter(division.parts.values())["train"] == 1
    reasons = Counter(drop.reason for drop in left_out(division))
    assert reasons[TOO_LARGE.format(12)] == 12
    assert set(reasons) == {TOO_LARGE.format(12), BEYOND}


def test_an_empty_part_names_the_family_that_is_most_of_the_documents() -> None:
    documents = [document(str(i)) for i in range(9)]
    with pytest.raises(DataError, match=r"is empty; 9 of 9 share so much wording .* \(one of them is '0'\)"):
        split_documents(documents, [tuple(d.id for d in documents)], SplitConfig())


def test_another_seed_is_another_split() -> None:
    splits = [split_documents(TYPED, alone(TYPED), SplitConfig(seed=seed)) for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


def test_three_shares_that_add_up_leave_nothing_out() -> None:
    documents = TYPED[:7]
    config = SplitConfig(train=0.5, validation=0.25, test=0.25)
    assert len(split_documents(documents, alone(documents), config)) == 7


def test_a_part_of_size_zero_is_allowed() -> None:
    assignment = split_documents(TYPED, alone(TYPED), SplitConfig(validation=0, test=10))
    assert Counter(assignment.values()) == {"train": 70, "test": 10}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"test": 1.5}, "a part is a share under 1 or a whole number"),
        ({"test": -0.1}, "a part is a share under 1 or a whole number"),
        ({"train": 0.9, "validation": 0.2, "test": 0.2}, "the shares add up to 1.30, more than 1"),
        ({"mode": "official"}, "mode: official needs official_test"),
    ],
)
def test_impossible_configs(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SplitConfig.model_validate(values)


@pytest.mark.parametrize(
    ("documents", "groups", "config", "message"),
    [
        ([], [], SplitConfig(), "no documents to split"),
        (TYPED[:1] * 2, [("Supply-0",)], SplitConfig(), "1 document ids are used twice, first 'Supply-0'"),
        (TYPED[:2], [("Supply-0",)], SplitConfig(), "the families do not hold every document exactly once"),
        (TYPED[:1], [("Supply-0",), ("Supply-0",)], SplitConfig(), "exactly once, first 'Supply-0'"),
        (TYPED[:2], alone(TYPED[:2]), SplitConfig(), "too few documents: the part 'validation' is empty"),
        (
            TYPED[:9],
            alone(TYPED[:9]),
            SplitConfig(test=8, validation=4),
            "12 documents are asked for, there are 9",
        ),
        (
            TYPED[:9],
            [tuple(d.id for d in TYPED[:5]), tuple(d.id for d in TYPED[5:9])],
            SplitConfig(validation=0, test=3),
            "the part 'train' is empty|families cannot be divided|the part 'test' is empty",
        ),
        (
            TYPED[:9],
            [tuple(d.id for d in TYPED[i : i + 2]) for i in (0, 2, 4, 6)] + [(TYPED[8].id,)],
            SplitConfig(train=4, validation=0, test=2),
            None,
        ),
        (
            TYPED[:8],
            [tuple(d.id for d in TYPED[i : i + 2]) for i in (0, 2, 4, 6)],
            SplitConfig(validation=0, test=3),
            "test has 2 documents instead of 3: families cannot be divided",
        ),
    ],
)
def test_impossible_splits(
    documents: list[Document], groups: list[tuple[str, ...]], config: SplitConfig, message: str | None
) -> None:
    if message is None:
        assert Counter(split_documents(documents, groups, config).values()) == {"train": 4, "test": 2}
        return
    with pytest.raises(DataError, match=message) as error:
        split_documents(documents, groups, config)
    assert error.value.do


def test_official_keeps_the_named_test_and_drops_its_relatives(tmp_path: Path) -> None:
    names = tmp_path / "test.txt"
    names.write_text("SUPPLY 3.pdf\nagency_1\n", encoding="utf-8")
    groups = [("Supply-3", "Supply-4"), *((d.id,) for d in TYPED if d.id not in ("Supply-3", "Supply-4"))]
    config = SplitConfig(mode="official", official_test=names, validation=0.1)
    division = divide([item(d) for d in TYPED], groups, config)
    assignment = division.parts
    assert {name for name, part in assignment.items() if part == "test"} == {"Supply-3", "Agency-1"}
    assert [(drop.where, drop.reason) for drop in left_out(division)] == [("Supply-4", LIKE_TEST)]
    assert Counter(assignment.values()) == {"train": 69, "validation": 8, "test": 2}


def test_official_names_from_cuads_own_json(tmp_path: Path) -> None:
    names = tmp_path / "test.json"
    paragraph = {"context": "x", "qas": []}
    names.write_text(json.dumps({"data": [{"title": "License-0", "paragraphs": [paragraph]}]}))
    config = SplitConfig(mode="official", official_test=names)
    assert split_documents(TYPED, alone(TYPED), config)["License-0"] == "test"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no list of the official test contracts"),
        ("\n", "the list of official test contracts is empty"),
        (
            "Supply-1\nGone\n",
            "1 of 2 official test contracts are not among the documents; first 'Gone' "
            r"\(no text has this name\)\n  -> import all 510",
        ),
    ],
)
def test_official_without_its_contracts_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    names = tmp_path / "test.txt"
    if content is not None:
        names.write_text(content)
    with pytest.raises(DataError, match=message):
        split_documents(TYPED, alone(TYPED), SplitConfig(mode="official", official_test=names))


def numbered(start: int, end: int) -> str:
    return " ".join(f"w{i}" for i in range(start, end))


def test_leaks_are_found_and_refused() -> None:
    documents = [
        document("long", text=numbered(0, 400)),
        document("inside", text=numbered(10, 60)),
        document("other", text=numbered(1000, 1100)),
    ]
    assignment = {"long": "train", "inside": "test", "other": "test"}
    (leak,) = leakage(documents, assignment)
    assert leak == Leak("long", "inside", "train", "test", pytest.approx(46 / 396), 1.0)
    with pytest.raises(DataError) as error:
        check_leakage(documents, assignment)
    assert str(error.value).splitlines() == [
        "split: 1 pair of near-duplicates across the split",
        "  long (train) and inside (test): Jaccard 0.12, containment 1.00",
        "  -> keep such documents in one family, or remove one of each pair, and split again",
    ]


def test_of_many_leaks_five_are_listed() -> None:
    documents = [document(f"d{i}", text=numbered(0, 50)) for i in range(6)]
    assignment = {f"d{i}": "test" if i == 0 else "train" if i < 4 else "validation" for i in range(6)}
    with pytest.raises(DataError) as error:
        check_leakage(documents, assignment)
    lines = str(error.value).splitlines()
    assert lines[0] == "split: 11 pairs of near-duplicates across the split"
    assert len(lines) == 8
    assert lines[6] == "  and 6 more"


def test_like_documents_on_one_side_or_left_out_are_no_leak() -> None:
    documents = [document(name, text=numbered(0, 50)) for name in "abc"]
    check_leakage(documents, {"a": "test", "b": "test"})


def test_the_real_contracts_split_without_a_leak(cuad_dir: Path) -> None:
    documents = import_cuad(cuad_dir, load_schema("clauses-47")).documents
    groups = families(documents, LEAK)
    assert sorted(len(group) for group in groups if len(group) > 1) == [2, 2, 2, 2, 2, 3]
    assignment = split_documents(documents, groups, SplitConfig(validation=48, test=60))
    assert Counter(assignment.values()) == {"train": 300, "validation": 48, "test": 60}
    check_leakage(documents, assignment)
    twins = [name for group in groups if len(group) > 1 for name in group]
    halves = {name: "test" if place % 2 else "train" for place, name in enumerate(twins)}
    with pytest.raises(DataError, match="near-duplicates across the split"):
        check_leakage([d for d in documents if d.id in halves], halves)
