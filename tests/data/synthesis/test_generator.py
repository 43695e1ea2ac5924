"""Generated contracts: the same for a seed, labelled exactly, different from one another."""

from __future__ import annotations

import datetime
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DataError
from lextune.core.records import Document
from lextune.data.dedupe import LEAK, similar_pairs
from lextune.data.synthesis import generate
from lextune.data.synthesis.house_style import add_years
from lextune.expert.schema import Schema, SchemaField, load_schema

SCHEMA = load_schema("clauses-47")


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return generate(36, seed=5, schema=SCHEMA)


def test_a_seed_gives_the_same_contracts_and_another_seed_others() -> None:
    first = generate(4, seed=3, schema=SCHEMA)
    assert first == generate(4, seed=3, schema=SCHEMA)
    assert first[:2] == generate(2, seed=3, schema=SCHEMA)
    assert {d.sha256 for d in first}.isdisjoint(d.sha256 for d in generate(4, seed=4, schema=SCHEMA))


@settings(max_examples=25)
@given(st.integers(min_value=0, max_value=10**9))
def test_every_span_is_the_quoted_part_and_absent_fields_are_null(seed: int) -> None:
    (document,) = generate(1, seed=seed, schema=SCHEMA)
    assert document.sha256 == hashlib.sha256(document.text.encode()).hexdigest()
    assert tuple(document.labels) == SCHEMA.names
    for name, label in document.labels.items():
        assert len(label.parts) == len(label.spans) == len(set(label.parts)), name
        assert label.present == (label.answer is not None), name
        assert label.answer != "", name
        for part, spans in zip(label.parts, label.spans, strict=True):
            assert part == part.strip() != "", name
            assert "\n" not in part, name
            assert len(set(spans)) == len(spans) >= 1, name
            assert all(document.text[span.start : span.end] == part for span in spans), name


def test_lengths_types_and_dialects_vary(documents: list[Document]) -> None:
    lengths = [len(document.text.split()) for document in documents]
    assert min(lengths) >= 1_500
    assert max(lengths) <= 5_000
    assert max(lengths) > 1.5 * min(lengths)
    assert len({document.contract_type for document in documents[:12]}) == 12
    assert len({document.id for document in documents}) == len(documents)


def test_about_a_third_of_the_boolean_fields_is_present(documents: list[Document]) -> None:
    booleans = [field.name for field in SCHEMA.fields if field.type == "boolean"]
    present = sum(document.labels[name].present for document in documents for name in booleans)
    assert 0.25 < present / (len(booleans) * len(documents)) < 0.5


def _british(document: Document) -> bool:
    return bool(re.search(r"company number|registered under number", document.text))


def test_british_and_american_contracts_are_drafted_as_such(documents: list[Document]) -> None:
    british = [document for document in documents if _british(document)]
    american = [document for document in documents if not _british(document)]
    assert len(british) >= 6
    assert len(american) >= 12
    for document in british:
        assert document.labels["Governing Law"].answer in (None, "England and Wales", "Scotland")
        assert not re.search(r"a license\b|organization|authorized|\$\d| percent\b|Section \d", document.text)
    for document in american:
        assert document.labels["Governing Law"].answer not in ("England and Wales", "Scotland")
        assert not re.search(r"licence|organis|authoris|£|per cent|GBP|whilst", document.text, re.IGNORECASE)
    assert any(re.search(r"\bVAT\b", document.text) for document in british)
    assert any("State of" in document.text for document in american)


def test_no_trace_of_the_template_is_left(documents: list[Document]) -> None:
    for document in documents:
        assert not re.search(r"[\[\]{}<>|]|  ", document.text), document.id


def test_answers_are_in_cuads_formats(documents: list[Document]) -> None:
    formats = {
        "Agreement Date": r"\d{1,2}/(\d{1,2}|\[\])/\d{4}",
        "Effective Date": r"\d{1,2}/\d{1,2}/\d{4}",
        "Expiration Date": r"\d{1,2}/(\d{1,2}|\[\])/\d{4}|perpetual",
        "Renewal Term": r"(successive )?\d+ (months|years?)",
        "Notice Period to Terminate Renewal": r"\d+ (days|months)",
        "Governing Law": r"[A-Z][A-Za-z ]+",
        "Parties": r'.+ \(".+"\); .+ \(".+"\)',
    }
    for name, pattern in formats.items():
        answers = [d.labels[name].answer for d in documents if d.labels[name].answer is not None]
        assert len(answers) >= 3, name
        assert all(re.fullmatch(pattern, answer) for answer in answers), (name, answers)
    for document in documents:
        assert document.labels["Document Name"].answer == document.labels["Document Name"].parts[0]
        assert document.labels["Insurance"].answer in (None, "Yes")


def test_a_term_counted_in_years_ends_that_long_after_the_effective_date(documents: list[Document]) -> None:
    checked = 0
    for document in documents:
        labels = document.labels
        stated = re.search(r"(\d+)\)? years?\b", " ".join(labels["Expiration Date"].parts))
        effective = labels["Effective Date"].answer
        if stated and effective and labels["Expiration Date"].answer != "perpetual":
            start = datetime.datetime.strptime(effective, "%m/%d/%Y").date()
            end = add_years(start, int(stated[1]))
            assert labels["Expiration Date"].answer == f"{end.month}/{end.day}/{end.year}"
            checked += 1
    assert checked >= 3


def test_undated_and_partly_dated_contracts_occur() -> None:
    answers = [d.labels["Agreement Date"].answer for d in generate(60, seed=8, schema=SCHEMA)]
    assert None in answers
    assert any(answer and "[]" in answer for answer in answers)


def test_no_two_contracts_are_alike(documents: list[Document]) -> None:
    assert similar_pairs([document.text for document in documents], LEAK) == []


def test_a_users_schema_gets_the_fields_that_the_wording_knows() -> None:
    law = SchemaField(name="Governing Law", type="jurisdiction", question="Which law?")
    pay = SchemaField(name="Payment Terms", type="duration", question="How long?")
    risk = SchemaField(name="Insurance", type="text", question="What cover?")
    own = SchemaField(name="Parking", type="boolean", question="Is there parking?")
    documents = generate(12, seed=1, schema=Schema(name="mine", fields=(law, pay, risk, own)))
    assert {tuple(document.labels) for document in documents} == {("Governing Law", "Payment Terms", "Insurance")}
    answers = [d.labels["Payment Terms"].answer for d in documents if d.labels["Payment Terms"].present]
    assert answers
    assert all(re.fullmatch(r"\d+ days", answer or "") for answer in answers)
    covers = [d.labels["Insurance"] for d in documents if d.labels["Insurance"].present]
    assert covers
    assert all(label.answer == " ".join(label.parts) for label in covers)


def test_a_schema_of_unknown_fields_is_refused() -> None:
    schema = Schema(name="mine", fields=(SchemaField(name="Parking", type="boolean", question="?"),))
    with pytest.raises(DataError) as error:
        generate(1, seed=0, schema=schema)
    assert str(error.value) == (
        "schema: the schema mine has none of the fields of the sample contracts\n"
        "  -> use clauses-47, or name fields as it does"
    )


def test_less_than_one_contract_is_refused() -> None:
    with pytest.raises(DataError) as error:
        generate(0, seed=0, schema=SCHEMA)
    assert str(error.value) == "--n: cannot write 0 contracts\n  -> ask for at least one"
