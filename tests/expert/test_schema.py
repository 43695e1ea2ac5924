"""Schemas: the built-in ones are sound, a user's own are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from lextune.core.errors import RecipeError
from lextune.expert.schema import BUILT_IN, load_schema

GOOD = "name: mine\nfields:\n  - {name: Term, type: duration, question: How long?}\n"


def test_the_built_in_schema_has_47_fields_in_cuads_order() -> None:
    schema = load_schema("clauses-47")
    assert len(schema.names) == len(set(schema.names)) == 47
    assert schema.names[:3] == ("Document Name", "Parties", "Agreement Date")
    assert schema.names[40] == "Third Party Beneficiary"
    assert all(field.question and field.definition for field in schema.fields)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_schema_loads(name: str) -> None:
    assert load_schema(name).name == name


def test_a_users_schema(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD, encoding="utf-8")
    schema = load_schema(str(file))
    assert schema.names == ("Term",)
    assert schema.field("Term").type == "duration"
    with pytest.raises(KeyError):
        schema.field("Terms")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "a schema is a mapping with name and fields"),
        (b"name: x\nfields: []\n", "a schema without fields"),
        (GOOD.encode() + b"  - {name: Term, type: text, question: Q}\n", "field 'Term' occurs twice"),
        (b"name: x\nfields: [{name: A, type: number, question: Q}]\n", "fields.0.type: input should be 'boolean'"),
        (b"name: x\nfields: [{name: A, type: text, qestion: Q}]\n", "did you mean 'question'"),
        (b"name: [\n", "not valid YAML"),
        ("name: Verträge\n".encode("latin-1"), "cannot read the schema (UnicodeDecodeError)"),
    ],
)
def test_what_is_wrong_with_a_schema_is_said(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_schema(str(file))
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_schema_that_is_not_there() -> None:
    with pytest.raises(RecipeError, match=r"schema: no schema 'clauses-48'\n.*clauses-47, instruction or a YAML file"):
        load_schema("clauses-48")
