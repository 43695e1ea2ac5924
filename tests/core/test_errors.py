"""The error tree: exit codes, messages, pickling, and how much of a document a message may hold."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core import errors
from lextune.core.errors import MAX_QUOTED, LextuneError, shorten

CODES = {
    "LextuneError": 70,
    "UserError": 2,
    "RecipeError": 2,
    "DataError": 2,
    "DocumentError": 2,
    "ArtifactError": 2,
    "ModelError": 2,
    "RequestError": 2,
    "ContextError": 2,
    "GateRefused": 1,
    "MachineError": 3,
    "NetworkError": 3,
}


def test_every_class_of_the_tree_has_its_exit_code() -> None:
    tree = {n: c for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, LextuneError)}
    assert {name: each.exit_code for name, each in tree.items()} == CODES


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert [name for name in CODES if name not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize(
    ("where", "do", "shown"),
    [
        (None, None, "broken"),
        ("a.yaml:3", None, "a.yaml:3: broken"),
        (None, "mend it", "broken\n  -> mend it"),
        ("a.yaml:3", "mend it", "a.yaml:3: broken\n  -> mend it"),
    ],
)
def test_a_message_says_where_what_and_what_to_do(where: str | None, do: str | None, shown: str) -> None:
    assert str(LextuneError("broken", where=where, do=do)) == shown


@pytest.mark.parametrize("name", CODES)
def test_errors_survive_pickling(name: str) -> None:
    error = getattr(errors, name)("what", where="where", do="do")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (again.what, again.where, again.do, str(again)) == ("what", "where", "do", str(error))


@settings(max_examples=60)
@given(st.text(max_size=300), st.integers(1, 120))
def test_shortened_text_is_one_line_of_the_limit_at_most(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    assert len(short.splitlines()) <= 1
    whole = " ".join(text.split())
    assert short == whole if len(whole) <= limit else short[:-1] == whole[: limit - 1]


def test_the_standard_limit_is_eighty() -> None:
    assert MAX_QUOTED == 80
    assert shorten("x" * 80) == "x" * 80
    assert shorten("x" * 81) == "x" * 79 + "…"
