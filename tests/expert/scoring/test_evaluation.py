from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lextune.core.errors import DataError
from lextune.core.records import Document, FieldAnswer, FieldLabel, Prediction, Quote, Usage
from lextune.expert.schema import Schema
from lextune.expert.scoring import paired, score
from lextune.expert.scoring.trivial import ARMS, always_null, echo

MakeDocument, MakePrediction = Callable[..., Document], Callable[..., Prediction]
TEXT = "Supply Agreement. The law of Utah governs. Buyer may audit the books. Term is one year."


@pytest.fixture
def documents(make_document: MakeDocument) -> list[Document]:
    labels = {
        "Law": FieldLabel(parts=("The law of Utah governs.",), answer="Utah"),
        "Audit": FieldLabel(parts=("Buyer may audit the books.",), answer="Yes"),
        "Term": FieldLabel(),
    }
    other = {
        "Law": FieldLabel(),
        "Audit": FieldLabel(),
        "Term": FieldLabel(parts=("Term is one year.",), answer="1 year"),
    }
    return [make_document("a", TEXT, labels, "Supply"), make_document("b", TEXT, other)]


@pytest.fixture
def predictions(documents: list[Document], make_prediction: MakePrediction) -> list[Prediction]:
    law = "The law of Utah governs."
    a = make_prediction(
        documents[0],
        {"Law": ("Utah", [law]), "Term": ({"value": 1, "unit": "year"}, ["Term is one year."])},
        candidates=[("Law", law, 0.9), ("Term", "Term is one year.", 0.6)],
        usage=Usage(seconds=2.0, prompt_tokens=100, generated_tokens=10, outputs=4, valid=3),
    )
    b = make_prediction(
        documents[1],
        {"Term": ({"value": 2, "unit": "year"}, ["Term is one year."])},
        candidates=[("Term", "Term is one year.", 0.8)],
        usage=Usage(seconds=4.0, prompt_tokens=80, generated_tokens=10, outputs=1, valid=1),
    )
    return [b, a]  # the order does not matter


def test_every_number_of_a_hand_marked_example(
    documents: list[Document], predictions: list[Prediction], schema: Schema
) -> None:
    result = score(documents, predictions, schema).as_json()
    # Law TP; Audit FN; Term invented in a: FP, wrong in b: FP and FN
    micro, macro = result["field"]["micro"], result["field"]["macro"]
    assert micro["precision"]["value"] == pytest.approx(1 / 3)
    assert micro["recall"]["value"] == pytest.approx(1 / 3)
    assert micro["f1"]["value"] == pytest.approx(2 / 6)
    assert micro["f1"]["n"] == 6
    assert macro["f1"]["value"] == pytest.approx((1 + 0 + 0) / 3)
    assert (macro["n_fields"], macro["n_left_out"]) == (3, 0)
    assert (macro["precision"]["value"], macro["precision"]["n"]) == (pytest.approx(1 / 2), 2)
    assert (macro["recall"]["value"], macro["recall"]["n"]) == (pytest.approx(1 / 3), 3)
    # ContractEval: Law TP, Term in b TP (the quote is right), Term in a FP, Audit FN
    marked = result["contracteval"]
    assert marked["f1"]["value"] == pytest.approx(4 / 6)
    assert marked["f2"]["value"] == pytest.approx(10 / 15)
    assert (marked["jaccard"]["value"], marked["jaccard"]["n"]) == (pytest.approx(2 / 3), 3)
    assert marked["false_null_rate"]["value"] == pytest.approx(1 / 3)
    # 0.9 hit, 0.8 hit, 0.6 miss: recall 1/3 and 2/3 at precision 1
    assert result["aupr"]["value"] == pytest.approx(2 / 3)
    assert result["precision_at_80_recall"]["value"] == 0.0
    assert result["ece"]["value"] == pytest.approx((0.1 + 0.2 + 0.6) / 3)
    # three answers of confidence 0.9; two of the fields are there
    assert (result["answer_ece"]["value"], result["answer_ece"]["n"]) == (pytest.approx(0.9 - 2 / 3), 3)
    # three answers, all of confidence 0.9: let through together, two of them are wrong
    assert (result["aurc"]["value"], result["aurc"]["n"]) == (pytest.approx(2 / 3), 3)
    assert result["valid_json_rate"]["value"] == pytest.approx(4 / 5)
    assert (result["grounded_rate"]["value"], result["grounded_rate"]["n"]) == (1.0, 3)
    assert (result["invented_rate"]["value"], result["invented_rate"]["n"]) == (pytest.approx(1 / 3), 3)
    assert result["seconds_per_document"] == 3.0
    assert result["tokens_per_document"] == 100.0
    assert result["contracts_per_hour"] == 1200.0
    assert (result["n_documents"], result["n_not_assessed"]) == (2, 0)


RATES = ("valid_json_rate", "grounded_rate", "invented_rate")


def test_layout(documents: list[Document], predictions: list[Prediction], schema: Schema) -> None:
    result = score(documents, predictions, schema).as_json()
    scores = {"aupr", "precision_at_80_recall", "ece", "aurc", "answer_ece", *RATES}
    plain = {
        "n_documents",
        "n_not_assessed",
        "seconds_per_document",
        "tokens_per_document",
        "contracts_per_hour",
    }
    parts = {"field", "contracteval", "by_field", "by_contract_type", "slices", "curves"}
    assert set(result) == scores | plain | parts
    assert set(result["field"]) == {"micro", "macro"}
    assert set(result["field"]["micro"]) == {"precision", "recall", "f1"}
    assert set(result["field"]["macro"]) == {"precision", "recall", "f1", "n_fields", "n_left_out"}
    assert set(result["contracteval"]) == {"f1", "f2", "jaccard", "false_null_rate"}
    assert all(set(result[name]) == {"value", "low", "high", "n"} for name in scores)
    assert list(result["by_field"]) == ["Term", "Law", "Audit"]  # the schema's order; no field without labels
    assert list(result["by_contract_type"]) == ["Supply", "unknown"]
    slice_keys = {"n_documents", "n_present", "field_f1", "contracteval_f1", "jaccard"}
    assert all(set(one) == slice_keys for one in result["by_field"].values())
    assert set(result["slices"]) == {"contract_type", "drafting", "length"}
    assert all(set(one) == slice_keys | {"drop", "p"} for one in result["slices"]["contract_type"].values())
    assert set(result["curves"]) == {"precision_recall", "calibration", "risk_coverage"}
    json.dumps(result, allow_nan=False)


def test_slices(documents: list[Document], predictions: list[Prediction], schema: Schema) -> None:
    result = score(documents, predictions, schema)
    term = result.by_field["Term"]
    assert (term.n_documents, term.n_present) == (2, 1)
    assert term.field_f1.value == 0.0
    assert term.contracteval_f1.value == pytest.approx(2 / 3)
    supply = result.by_contract_type["Supply"]
    assert (supply.n_documents, supply.n_present) == (1, 2)
    assert supply.field_f1.value == pytest.approx(2 / 4)
    assert supply.field_f1.low is None


def test_undefined_is_null_with_n_never_zero(schema: Schema, make_document: MakeDocument) -> None:
    documents = [make_document(name, TEXT, {"Law": FieldLabel()}) for name in "ab"]
    result = score(documents, [always_null(d, schema) for d in documents], schema)
    nothing = {"value": None, "low": None, "high": None}
    assert result.field.micro.f1.as_json() == nothing | {"n": 2}
    assert (result.field.macro.n_fields, result.field.macro.n_left_out) == (0, 1)
    assert result.contracteval.jaccard.as_json() == nothing | {"n": 0}
    assert result.aupr.as_json() == nothing | {"n": 0}
    assert (result.valid_json_rate.value, result.valid_json_rate.n) == (1.0, 2), "nothing is generated: the records"
    assert result.invented_rate.value == 0.0
    assert (result.seconds_per_document, result.contracts_per_hour) == (None, None)


def test_a_record_without_all_fields_is_not_valid(schema: Schema, make_document: MakeDocument) -> None:
    document = make_document("a", TEXT, {"Law": FieldLabel()})
    whole = always_null(document, schema)
    short = whole.record.model_copy(update={"fields": {"Law": None}, "not_assessed": ()})
    assert score([document], [whole.model_copy(update={"record": short})], schema).valid_json_rate.value == 0.0


def test_a_field_that_is_not_assessed_is_neither_right_nor_missed(
    documents: list[Document], schema: Schema, make_prediction: MakePrediction
) -> None:
    predictions = [make_prediction(d, {}, not_assessed=["Audit", "Price"]) for d in documents]
    result = score(documents, predictions, schema)
    assert result.n_not_assessed == 2  # Price has no label
    assert "Audit" not in result.by_field
    assert result.contracteval.false_null_rate.n == 2


def test_an_answer_that_is_null_by_the_contract_is_null(
    documents: list[Document], predictions: list[Prediction], schema: Schema, make_prediction: MakePrediction
) -> None:
    words = {"Law": ("N/A", []), "Term": (False, []), "Audit": (None, [" "])}
    result = score(documents, [make_prediction(d, words) for d in documents], schema)
    assert result.contracteval.false_null_rate.value == 1.0
    assert result.invented_rate.value == 0.0


def test_a_value_without_a_quote_counts_and_is_not_grounded(
    documents: list[Document], schema: Schema, make_prediction: MakePrediction
) -> None:
    wrong = Quote(text="The law of Ohio", start=0, end=15, page=None)
    invented = FieldAnswer(answer="Utah", quotes=(wrong,), confidence=0.5, status="review")
    answers = [make_prediction(d, {"Term": ("one year", [])}) for d in documents]
    fields = answers[0].record.fields | {"Law": invented}
    answers[0] = answers[0].model_copy(update={"record": answers[0].record.model_copy(update={"fields": fields})})
    result = score(documents, answers, schema)
    assert (result.grounded_rate.value, result.grounded_rate.n) == (0.0, 1)
    assert result.invented_rate.value == pytest.approx(1 / 3)
    assert result.aupr.value is None  # it answers, and ranks nothing


def test_same_seed_same_numbers(documents: list[Document], predictions: list[Prediction], schema: Schema) -> None:
    assert score(documents, predictions, schema, seed=3) == score(documents, predictions, schema, seed=3)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("nothing", "score: no documents to score\n  -> give at least one annotated document"),
        ("missing", "score: no prediction for document 'b'\n  -> predict every document, then score"),
        ("twice", "score: the document 'a' occurs twice\n  -> keep one of them"),
        ("answered twice", "score: the prediction for document 'a' occurs twice\n  -> keep one of them"),
        (
            "foreign",
            "score: a prediction for 'b', which is no document here\n"
            "  -> score predictions with the documents they were made from",
        ),
    ],
)
def test_what_does_not_match_is_refused(
    documents: list[Document], predictions: list[Prediction], schema: Schema, which: str, message: str
) -> None:
    b, a = predictions
    given = {
        "nothing": ([], []),
        "missing": (documents, [a]),
        "twice": ([*documents, documents[0]], predictions),
        "answered twice": (documents, [a, b, a]),
        "foreign": (documents[:1], predictions),
    }[which]
    for attempt in (lambda: score(*given, schema), lambda: paired(given[0], given[1], given[1], schema)):
        with pytest.raises(DataError) as caught:
            attempt()
        assert str(caught.value) == message


def test_paired(documents: list[Document], predictions: list[Prediction], schema: Schema) -> None:
    null = [always_null(d, schema) for d in documents]
    test = paired(documents, predictions, null, schema)
    assert test.difference == pytest.approx(2 / 6 - 0)
    assert test.n_documents == 2
    back = paired(documents, null, predictions, schema)
    assert back.difference == pytest.approx(-2 / 6)
    assert paired(documents, predictions, predictions, schema).p == 1.0


def test_paired_compares_only_what_both_assessed(
    documents: list[Document], predictions: list[Prediction], schema: Schema, make_prediction: MakePrediction
) -> None:
    law = ("Utah", ["The law of Utah governs."])
    narrow = [
        make_prediction(documents[0], {"Law": law}, not_assessed=["Term", "Audit"]),
        make_prediction(documents[1], {}, not_assessed=["Term", "Audit"]),
    ]
    assert paired(documents, predictions, narrow, schema).difference == 0.0


def test_thirty_contracts_are_scored_within_two_seconds(schema: Schema, make_document: MakeDocument) -> None:
    text = "The law of Utah governs. " * 2000
    labels = {name: FieldLabel(parts=("The law of Utah governs.",)) for name in schema.names}
    documents = [make_document(str(i), f"{i} {text}", labels) for i in range(30)]
    predictions = [echo(d, schema) for d in documents]
    started = time.process_time()
    score(documents, predictions, schema)
    assert time.process_time() - started < 2.0


def test_trivial_arms_on_shared_contracts(cuad_dir: Path) -> None:
    from lextune.data.importers.cuad import import_cuad
    from lextune.expert.schema import load_schema

    schema = load_schema("clauses-47")
    documents = import_cuad(cuad_dir, schema).documents[::12]
    labels = [label for document in documents for label in document.labels.values()]
    present = sum(label.present for label in labels)
    results = {name: score(documents, [arm(d, schema) for d in documents], schema) for name, arm in ARMS.items()}
    assert results["echo"].contracteval.f1.value == pytest.approx(2 * present / (present + len(labels)))
    assert results["echo"].contracteval.jaccard.n == present
    assert results["always-null"].contracteval.false_null_rate.value == 1.0
    assert results["always-present"].invented_rate.value == 1.0
