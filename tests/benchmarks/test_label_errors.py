"""The benchmark plants exactly the errors it says, and on real contracts most of them are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import label_errors
from lextune.core.records import Document
from lextune.data.importers.cuad import import_cuad
from lextune.data.synthesis import generate
from lextune.expert.schema import load_schema

SCHEMA = load_schema("clauses-47")


@pytest.fixture(scope="module")
def contracts() -> list[Document]:
    return list(generate(8, 3, schema=SCHEMA))


@pytest.mark.parametrize("neighbours", [False, True])
def test_the_wrong_labels_are_the_planted_ones(contracts: list[Document], neighbours: bool) -> None:
    planted = label_errors.plant_errors(contracts, 0.05, 1, neighbours=neighbours)
    wrong = planted.dropped | planted.attached
    pairs = sum(len(d.labels) for d in contracts)
    assert len(planted.dropped) == len(wrong) // 2
    assert len(wrong) == round(0.05 * pairs)
    changed = set()
    for before, after in zip(contracts, planted.documents, strict=True):
        assert after.text == before.text
        for field, label in after.labels.items():
            if label == before.labels[field]:
                continue
            changed.add((after.id, field))
            assert label.present != before.labels[field].present
            for part, (span,) in zip(label.parts, label.spans, strict=True):
                assert after.text[span.start : span.end] == part
    assert changed == wrong
    assert label_errors.plant_errors(contracts, 0.05, 1, neighbours=neighbours) == planted


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_most_planted_errors_are_found(cuad_dir: Path) -> None:
    documents = import_cuad(cuad_dir, SCHEMA).documents
    found = label_errors.measure(documents, seed=1, neighbours=False)
    assert found["k"] == 836
    assert found["recall"] >= 0.5
