"""The counts of the DPO benchmark, by hand, and when its aims are met."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import dpo
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.windowing import WindowExample

SCHEMA = Schema(
    name="small",
    fields=tuple(SchemaField(name=n, type="boolean", question="?") for n in ("Law", "Term", "Audit", "Price")),
)
NEVER = (3,)  # Price was not assessed


def _window(positives: tuple[tuple[int, ...], ...]) -> WindowExample:
    texts = tuple("Text." for _ in positives)
    ignored = (NEVER,) * len(positives)
    return WindowExample(document_id="d", index=0, heading="", texts=texts, positives=positives, ignored=ignored)


CONTRACT = [_window(((0,), (0,), ())), _window(((), (1,), ())), _window(((), (), ())), _window(((), (), ()))]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # valid, answers, invented, absent, empty answered, empty, TP, FP, FN
        ([{"Law": [0, 1]}, {"Term": [1]}, {}, {}], [4, 4, 0, 1, 0, 2, 2, 0, 0]),
        ([{"Law": [0]}, {"Term": [1]}, {}, {}], [4, 4, 0, 1, 0, 2, 2, 0, 0]),  # half of it is the same place
        ([{"Law": [2]}, {"Term": [1]}, {}, {}], [4, 4, 0, 1, 0, 2, 1, 1, 1]),  # another place
        ([None, {"Term": [1]}, {}, None], [2, 4, 0, 1, 0, 2, 1, 0, 1]),
        ([{}, {}, {"Audit": [0]}, {"Audit": [1]}], [4, 4, 1, 1, 2, 2, 0, 2, 2]),
        ([{}, {}, {"Law": [0]}, {}], [4, 4, 0, 1, 1, 2, 0, 1, 2]),  # wrong here, but not absent from the contract
        ([{}, {}, {"Price": [0]}, {}], [4, 4, 0, 1, 0, 2, 0, 0, 2]),  # nobody assessed it
    ],
)
def test_the_counts_of_a_contract(found: list[dict[str, list[int]] | None], expected: list[int]) -> None:
    assert dpo.count(CONTRACT, found, SCHEMA) == expected


def test_metrics_intervals_and_aims() -> None:
    before = np.array([[8, 10, 2, 10, 3, 5, 4, 4, 4], [10, 10, 2, 10, 1, 5, 4, 2, 2]], dtype=float)
    after = np.array([[10, 10, 1, 10, 1, 5, 4, 1, 3], [10, 10, 1, 10, 1, 5, 4, 1, 2]], dtype=float)
    found: dict[str, Any] = dpo.compare(before, after, seed=0)
    values = {name: (round(each["sft"]["value"], 3), round(each["dpo"]["value"], 3)) for name, each in found.items()}
    assert values == {
        "validity": (0.9, 1.0),
        "invented": (0.2, 0.1),
        "answered_empty": (0.4, 0.2),
        "field_f1": (round(16 / 28, 3), round(16 / 23, 3)),
    }
    assert found["validity"]["difference"]["difference"] == pytest.approx(0.1)
    assert found["validity"]["sft"]["low"] == 0.8
    assert dpo.aims(found) == {"validity": True, "invented": True, "field_f1": True}
    assert dpo.aims(dpo.compare(after, before, seed=0)) == {
        "validity": False,
        "invented": False,
        "field_f1": False,
    }
    lines = dpo.table(found).splitlines()
    assert len(lines) == 2 + len(dpo.METRICS)
    assert lines[2].startswith("| validity | 0.900 (0.800 to 1.000) | 1.000 (1.000 to 1.000) | 0.100 (")
