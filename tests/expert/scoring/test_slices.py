"""Slices: equal to scoring the documents apart; falls that are found, and chance that is not taken for one."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Document, FieldLabel, Prediction
from lextune.expert.schema import Schema
from lextune.expert.scoring import score
from lextune.expert.scoring.fields import f1
from lextune.expert.scoring.intervals import Array
from lextune.expert.scoring.slices import (
    CHARACTERS_PER_TOKEN,
    LENGTHS,
    SIGNIFICANT,
    dimensions,
    fell,
    measure_drops,
)

AMERICAN = "This Agreement is governed by the laws of the State of Delaware. Attorneys' fees. Section 2, Section 3. "
BRITISH = "This Agreement is governed by the law of England and Wales. Clause 4, Clause 5, registered office, VAT. "


def document(name: str, text: str = "Some text.", **changes: object) -> Document:
    return Document(id=name, name=name, sha256="0" * 64, text=text).model_copy(update=changes)


def counts(n: int, seed: int, right: float = 0.7) -> Array:
    """Documents x (TP, FP, FN) of twenty pairs each, documents differing in how hard they are."""
    generator = np.random.default_rng(seed)
    hard = np.clip(generator.normal(right, 0.12, n), 0.05, 0.95)
    tp = generator.binomial(20, hard)
    fp = generator.binomial(20 - tp, 0.6)
    return np.stack([tp, fp, 20 - tp - fp], axis=1).astype(float)


def of_values(*dimensions_of: list[str]) -> np.ndarray:
    return np.array([[own == value for own in each] for each in dimensions_of for value in sorted(set(each))])


def test_the_dimensions_of_documents() -> None:
    long = "x" * int(8_000 * CHARACTERS_PER_TOKEN)
    documents = [
        document("a", AMERICAN, contract_type="Supply", tags={"date": "2019-05-01"}),
        document("b", BRITISH + long, labels={"Agreement Date": FieldLabel(parts=("x",), answer="5/1/1999")}),
        document("c", AMERICAN, tags={"drafting": "UK", "year": "2020", "tenant": "acme", "desk": "b"}),
        document("d", long, labels={"Agreement Date": FieldLabel(), "Effective Date": FieldLabel(answer="[]/[]/2003")}),
    ]
    assert dimensions(documents) == {
        "contract_type": ["Supply", "unknown", "unknown", "unknown"],
        "drafting": ["US", "UK", "UK", "unknown"],  # a tag goes before the text
        "length": [LENGTHS[0], LENGTHS[1], LENGTHS[0], LENGTHS[0]],  # 8,000 tokens are not over
        "year": ["2019", "1999", "2020", "2003"],
        "tenant": ["unknown", "unknown", "acme", "unknown"],
    }
    assert dimensions(documents, ["desk"])["desk"] == ["unknown", "unknown", "b", "unknown"]
    assert list(dimensions([document("e")])) == ["contract_type", "drafting", "length"]


def test_a_slice_scores_as_its_documents_alone(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> None:
    law = "The law of Utah governs."
    documents, predictions = [], []
    for number, kind in enumerate(("Supply", "Supply", "Hosting", None, "Supply")):
        labels = {"Law": FieldLabel(parts=(law,), answer="Utah"), "Audit": FieldLabel()}
        documents.append(make_document(str(number), f"{law} Buyer may audit.", labels, kind))
        answers = {"Law": ("Utah" if number % 2 else "Ohio", [law])}
        if number == 4:
            answers = {"Audit": (True, ["Buyer may audit."])}
        predictions.append(make_prediction(documents[-1], answers))
    whole = score(documents, predictions, schema, seed=5)
    assert list(whole.slices["contract_type"]) == ["Hosting", "Supply", "unknown"]
    for kind, found in whole.slices["contract_type"].items():
        rows = [d for d in documents if (d.contract_type or "unknown") == kind]
        alone = score(rows, [p for p in predictions if p.document_id in {d.id for d in rows}], schema, seed=5)
        assert found.n_documents == len(rows)
        assert found.field_f1 == alone.field.micro.f1
        assert found.contracteval_f1 == alone.contracteval.f1
        assert found.jaccard == alone.contracteval.jaccard
        assert whole.field.micro.f1.value is not None
        assert alone.field.micro.f1.value is not None
        assert found.drop == pytest.approx(whole.field.micro.f1.value - alone.field.micro.f1.value)
        assert found.p is None  # fewer than five documents
        assert whole.by_contract_type[kind] == found.scores()
    (everything,) = whole.slices["length"].values()
    assert (everything.n_documents, everything.drop, everything.p) == (5, None, None)


def test_p_is_the_share_of_all_orders_of_the_documents() -> None:
    """By brute force: every set of five of nine documents, each as likely; two slices in one test."""
    table = counts(9, seed=2)
    table[:5] = [5, 6, 9]
    first = np.arange(9) < 5
    found = measure_drops(first[None], table, f1, seed=0, rounds=20_000)[0]
    whole = float(f1(table.sum(axis=0)))
    drops = [whole - float(f1(table[list(rows)].sum(axis=0))) for rows in itertools.combinations(range(9), 5)]
    assert found.drop == pytest.approx(whole - float(f1(table[:5].sum(axis=0))))
    exact = np.mean([drop >= found.drop - 1e-9 for drop in drops])
    assert exact == pytest.approx(1 / 126)
    assert found.p == pytest.approx(exact, abs=0.003)


def test_chance_raises_an_alarm_in_one_of_twenty_evaluations_however_many_slices_there_are() -> None:
    alarms = 0
    for trial in range(200):
        generator = np.random.default_rng(1_000 + trial)
        kinds = [f"type {i}" for i in generator.integers(0, 9, 90)]
        lengths = [str(generator.random() < 0.3) for _ in range(90)]
        years = [str(2000 + i) for i in generator.integers(0, 6, 90)]
        drops = measure_drops(of_values(kinds, lengths, years), counts(90, trial), f1, seed=trial, rounds=400)
        alarms += any(fell(*drop, limit=0.0) for drop in drops)
    assert alarms <= 18  # P(more | 5 %) < 0.01


def test_a_slice_that_is_worse_is_found_among_many() -> None:
    found = others = 0
    for trial in range(40):
        generator = np.random.default_rng(trial)
        kinds = [f"type {i % 9}" for i in range(90)]
        lengths = [str(generator.random() < 0.3) for _ in range(90)]
        table = counts(90, trial)
        worse = np.array([kind == "type 3" for kind in kinds])
        table[worse] = counts(int(worse.sum()), trial + 500, right=0.45)
        drops = measure_drops(of_values(kinds, lengths), table, f1, seed=trial, rounds=400)
        found += fell(*drops[3], limit=0.1)
        others += any(fell(*drop, limit=0.1) for place, drop in enumerate(drops) if place != 3)
    assert found >= 36
    assert others <= 2


@given(seed=st.integers(0, 10_000), n=st.integers(16, 40), small=st.integers(1, 11))
@settings(max_examples=30)
def test_properties_of_drops(seed: int, n: int, small: int) -> None:
    table = counts(n, seed)
    mask = np.arange(n) < small
    members = np.stack([mask, mask, ~mask, np.ones(n, dtype=bool)])
    drops = measure_drops(members, table, f1, seed=seed, rounds=50)
    whole, part = (float(f1(rows.sum(axis=0))) for rows in (table, table[:small]))
    assert drops[0] == drops[1]
    assert drops[0].drop == pytest.approx(whole - part)
    assert drops[3] == (None, None)  # the whole does not fall below itself
    assert (drops[0].p is None) == (small < 5)
    assert drops[2].p is not None
    assert 1 / 51 <= drops[2].p <= 1
    assert drops[0].drop * drops[2].drop <= 0  # a part and the rest lie on two sides of the whole
    assert drops == measure_drops(members, table, f1, seed=seed, rounds=50)
    turned = measure_drops(members[:, ::-1], table[::-1], f1, seed=seed, rounds=50)
    assert [one.drop for one in turned] == pytest.approx([one.drop for one in drops])


def test_a_slice_without_a_score_has_no_drop() -> None:
    table = counts(20, 1)
    table[:6] = 0
    members = np.stack([np.arange(20) < 6, np.arange(20) >= 6])
    nothing, rest = measure_drops(members, table, f1, seed=0, rounds=50)
    assert nothing == (None, None)
    assert rest.drop == pytest.approx(0.0)
    alike = measure_drops(members, np.ones((20, 3)), f1, seed=0, rounds=50)
    assert [one.p for one in alike] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("drop", "p", "limit", "expected"),
    [
        (0.2, 0.01, 0.1, True),
        (0.2, SIGNIFICANT, 0.1, False),
        (0.1, 0.01, 0.1, False),
        (None, None, 0.0, False),
        (0.5, None, 0.1, False),
    ],
)
def test_a_fall_is_large_and_more_than_chance(
    drop: float | None, p: float | None, limit: float, expected: bool
) -> None:
    assert fell(drop, p, limit) is expected
