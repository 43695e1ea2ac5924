"""The sample is reproducible, of the size asked for, and fair."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel
from lextune.data.quality.sampling import Plan, plan_sheet

HASH = "3f9ac21b7d60" + "0" * 52


def plan(documents: list[Document], **how: object) -> Plan:
    return plan_sheet(lambda: documents, HASH, **how)  # type: ignore[arg-type]


def test_the_sheet_is_a_function_of_its_name(contracts: list[Document]) -> None:
    first = plan(contracts, n=20, seed=4)
    assert first == plan(contracts, n=20, seed=4)
    assert first.sheet == "random-20-4-3f9ac21b7d60"
    assert [c.id for c in first.chosen][:2] == ["random-20-4-3f9ac21b7d60-001", "random-20-4-3f9ac21b7d60-002"]
    assert first.sizes == {"present": 66, "absent": 42}
    assert [c.place for c in first.chosen] == sorted(c.place for c in first.chosen)
    assert all(contracts[c.place].id == c.document for c in first.chosen)
    assert all(contracts[c.place].labels[c.field].present == c.present for c in first.chosen)
    other = plan(contracts, n=20, seed=5)
    assert {(c.document, c.field) for c in first.chosen} != {(c.document, c.field) for c in other.chosen}


def test_the_order_of_documents_does_not_matter(contracts: list[Document]) -> None:
    for design in ("random", "strata"):
        one, two = (plan(some, n=15, design=design) for some in (contracts, contracts[::-1]))
        assert {c[2:] for c in one.chosen} == {c[2:] for c in two.chosen}


@settings(max_examples=25)
@given(
    present=st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=8).filter(any),
    n=st.integers(1, 40),
    seed=st.integers(0, 99),
    design=st.sampled_from(["random", "strata"]),
)
def test_no_label_twice_and_as_many_as_there_are(present: list[list[bool]], n: int, seed: int, design: str) -> None:
    documents = [
        Document(
            id=f"d{number}",
            name="",
            sha256="",
            text="",
            labels={f"f{i}": FieldLabel(parts=("x",) * yes) for i, yes in enumerate(row)},
        )
        for number, row in enumerate(present)
    ]
    drawn = plan(documents, n=n, seed=seed, design=design).chosen
    assert len({(c.place, c.field) for c in drawn}) == len(drawn) == min(n, sum(map(len, present)))
    assert len({c.id for c in drawn}) == len(drawn)


def test_strata_take_halves_spread_over_fields(contracts: list[Document]) -> None:
    drawn = plan(contracts, n=24, design="strata").chosen
    assert sum(c.present for c in drawn) == 12
    fields = Counter(c.field for c in drawn if c.present)  # 36, 18 and 12 of 66 present labels
    assert {field: round(12 * size / 66) for field, size in zip(sorted(fields), (12, 36, 18), strict=True)} == {
        field: pytest.approx(fields[field], abs=1) for field in fields
    }
    assert sum(c.present for c in plan(contracts, n=100, design="strata").chosen) == 58, "42 absent ones are all"


def test_every_label_has_the_same_chance(contracts: list[Document]) -> None:
    few = contracts[:4]
    for design, chances in (("random", {True: 4 / 12, False: 4 / 12}), ("strata", {True: 2 / 8, False: 2 / 4})):
        seen = Counter(
            (c.document, c.field, c.present)
            for seed in range(600)
            for c in plan(few, n=4, seed=seed, design=design).chosen
        )
        assert len(seen) == 12
        for (_, _, present), count in seen.items():
            assert count / 600 == pytest.approx(chances[present], abs=0.085), (design, present)


def test_a_dataset_without_labels_is_told() -> None:
    with pytest.raises(DataError) as told:
        plan([Document(id="a", name="a", sha256="", text="x")], n=3)
    assert str(told.value) == "no document has labels\n  -> give a dataset with annotations"
