"""Parts are like the whole in type, law and length at once."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from lextune.core.records import Document, FieldLabel
from lextune.data.stratify import Item, item, spread


def made(name: str, text: str = "x", **more: object) -> Document:
    return Document.model_validate({"id": name, "name": name, "sha256": "", "text": text, **more})


@pytest.mark.parametrize(
    ("document", "strata"),
    [
        (made("a"), ("type ", "law ", "length 0")),
        (made("a", "x" * 4096, contract_type="Lease"), ("type Lease", "law ", "length 6")),
        (
            made("a", labels={"Governing Law": FieldLabel(parts=("q",), answer="New York")}),
            (None, "law new york", None),
        ),
        (
            made("a", tags={"drafting": "UK"}, labels={"Governing Law": FieldLabel(parts=("q",), answer="Delaware")}),
            (None, "law uk", None),
        ),
        (made("a", labels={"Governing Law": FieldLabel()}), (None, "law ", None)),
    ],
)
def test_strata(document: Document, strata: tuple[str | None, ...]) -> None:
    assert all(want is None or want == got for want, got in zip(strata, item(document).strata, strict=True))


def test_every_stratum_is_spread_and_targets_are_met() -> None:
    rng = random.Random(3)
    items = [
        Item(
            str(i), str(i), (f"type {rng.choice('aaabbc')}", f"law {rng.choice('xxy')}", f"length {rng.randint(1, 3)}")
        )
        for i in range(600)
    ]
    targets = {"train": 390, "validation": 90, "test": 120}
    assigned = spread([[one] for one in items], targets, 0)
    assert Counter(assigned.values()) == targets
    for kind in range(3):
        everywhere = Counter(one.strata[kind] for one in items)
        for name, count in everywhere.items():
            for part, size in targets.items():
                placed = sum(assigned[one.id] == part for one in items if one.strata[kind] == name)
                assert abs(placed - count * size / 600) <= 1.5


def test_a_family_that_fits_nowhere_is_missing() -> None:
    items = [Item(str(i), str(i), ("t", "l", "n")) for i in range(5)]
    assigned = spread([items[:3], items[3:]], {"train": 3, "test": 2}, 0)
    assert assigned == {"0": "train", "1": "train", "2": "train", "3": "test", "4": "test"}
    assert spread([items], {"train": 3, "test": 2}, 0) == {}


def test_a_family_that_fits_nowhere_goes_into_the_part_for_such() -> None:
    items = [Item(str(i), str(i), ("t", "l", "n")) for i in range(5)]
    assert set(spread([items], {"train": 3, "test": 2}, 0, "train").values()) == {"train"}
    assert set(spread([items], {"train": 0, "test": 4}, 0, "train").values()) == {"train"}
