"""What pseudonyms cost in F1, on sample contracts and a tiny tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from lextune.core.errors import DataError
from lextune.data.privacy.cost import Setting, f1_cost, rewrite_all
from lextune.data.synthesis import generate
from lextune.expert.schema import Schema, load_schema
from lextune.expert.templates import Codec


def test_both_arms_are_marked_on_the_same_documents(tiny_base: Path) -> None:
    whole = load_schema("clauses-47")
    schema = Schema(name="few", fields=tuple(whole.field(n) for n in ("Governing Law", "Parties")))
    documents = generate(8, 3, schema=whole)
    documents = [d.model_copy(update={"labels": {n: d.labels[n] for n in schema.names}}) for d in documents]
    train, held_out = documents[:6], documents[6:]
    setting = Setting(schema, Codec(tiny_base))
    same = f1_cost(train, train, held_out, setting)
    assert same.difference.difference == 0
    assert same.original == same.rewritten
    cost = f1_cost(train, rewrite_all(train), held_out, setting)
    assert cost.original == same.original
    assert cost.rewritten.value is not None
    assert set(cost.as_json()) == {"original", "rewritten", "difference"}
    with pytest.raises(DataError, match="6 training documents, 5 rewritten ones, 2 held out"):
        f1_cost(train, train[:5], held_out, setting)
