"""Schemas: the fields a user wants from every document, as data."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import Literal

from lextune.core.errors import RecipeError
from lextune.core.recipe import Config, parse_yaml, validate

FieldType = Literal["boolean", "text", "date", "duration", "parties", "jurisdiction", "money"]
BUILT_IN = ("clauses-47", "instruction")


class SchemaField(Config):
    """One field."""

    name: str
    """The public name, a key of every record."""
    type: FieldType
    """The type of its answer."""
    question: str
    """What it asks of a document, as a model is asked it."""
    definition: str = ""
    """Its legal meaning, in a sentence."""


class Schema(Config):
    """A named, ordered list of fields."""

    name: str
    """The name records carry."""
    fields: tuple[SchemaField, ...]
    """The fields, in the order of records."""

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The fields' names, in order."""
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> SchemaField:
        """Return the field with this name.

        Raises:
            KeyError: the schema has none.
        """
        return self._by_name[name]

    @functools.cached_property
    def _by_name(self) -> dict[str, SchemaField]:
        return {field.name: field for field in self.fields}


def load_schema(name: str) -> Schema:
    """Load a built-in schema by name, or a user's own from a YAML file.

    Raises:
        RecipeError: no such schema, or its file is wrong.
    """
    if name in BUILT_IN:
        text = resources.files("lextune.resources").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        where = name
    else:
        path = Path(name)
        if not path.is_file():
            raise RecipeError(
                f"no schema {name!r}",
                where="schema",
                do=f"use one of {', '.join(BUILT_IN)} or a YAML file's path",
            )
        where = name
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(
                f"cannot read the schema ({type(error).__name__})", where=where, do="give a UTF-8 YAML file"
            ) from None
    values = parse_yaml(text, where)
    if not isinstance(values, dict):
        raise RecipeError("a schema is a mapping with name and fields", where=where, do="see docs/schema.md")
    schema = validate(values, Schema, where)
    repeated = sorted({n for n in schema.names if schema.names.count(n) > 1})
    if repeated or not schema.fields:
        what = f"field {repeated[0]!r} occurs twice" if repeated else "a schema without fields"
        raise RecipeError(what, where=where, do="give every field a name of its own")
    return schema
