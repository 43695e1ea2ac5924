"""Recipes: YAML 1.2, overrides, and every mistake at once with the nearest valid name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from lextune.core.errors import RecipeError
from lextune.core.recipe import Config, load_recipe, parse_yaml, validate


class Inner(Config):
    lr: float = Field(1e-3, gt=0)
    steps: int = 10


class Outer(Config):
    name: str
    country: str = "DE"
    train: Inner = Inner()
    maybe: Inner | None = None
    many: tuple[Inner, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Outer:
        if self.country == "XX":
            raise ValueError("no such country")
        return self


def write(folder: Path, text: str) -> Path:
    file = folder / "r.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(file: Path, *overrides: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load_recipe(file, Outer, overrides)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("NO", "NO"),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("0o17", 15),
        ("1_000", 1000),
        ("22:30", "22:30"),
        ("~", None),
    ],
)
def test_yaml_is_version_1_2(text: str, value: Any) -> None:
    assert parse_yaml(f"x: {text}", "here") == {"x": value}
    assert type(parse_yaml(f"x: {text}", "here")["x"]) is type(value)


def test_a_recipe_is_read_and_overridden(tmp_path: Path) -> None:
    file = write(tmp_path, "name: a\ncountry: NO\ntrain: {lr: 3e-4}\n")
    recipe = load_recipe(file, Outer, ["train.steps=7", "train.lr=1e-5", "maybe.steps=3", " name = b"])
    assert recipe == Outer(name="b", country="NO", train=Inner(lr=1e-5, steps=7), maybe=Inner(steps=3))
    assert load_recipe(file, Outer, ["maybe="]).maybe is None


def test_an_override_may_replace_a_whole_group(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, "name: a"), Outer, ["train={lr: 2}"]).train == Inner(lr=2)


def test_configs_are_fixed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Inner().lr = 1.0  # type: ignore[misc]


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "countri: DE\ntrain: {learning: 1, lr: -1, step: 3}\nmaybe: {lr: fast}\nmany: [{stps: 1}]\n")
    error = refused(file)
    assert str(error).splitlines() == [
        f"{file}: 7 mistakes in the recipe",
        "  name: required, and not given",
        "  train.lr: input should be greater than 0 (given: '-1')",
        "  train.learning: unknown setting; known: lr, steps",
        "  train.step: unknown setting; did you mean 'steps'?",
        "  maybe.lr: input should be a valid number, unable to parse string as a number (given: 'fast')",
        "  many.0.stps: unknown setting; did you mean 'steps'?",
        "  countri: unknown setting; did you mean 'country'?",
        "  -> fix them; docs/recipe.md lists every setting",
    ]
    assert error.exit_code == 2


def test_one_mistake_is_counted_as_one(tmp_path: Path) -> None:
    assert "1 mistake in the recipe\n" in str(refused(write(tmp_path, "{}")))


def test_a_group_that_is_no_mapping_is_a_mistake(tmp_path: Path) -> None:
    assert "train: input should be a valid dictionary" in str(refused(write(tmp_path, "name: a\ntrain: 5\n")))


def test_a_rule_over_several_settings_has_its_own_words(tmp_path: Path) -> None:
    error = refused(write(tmp_path, "name: a\ncountry: XX\n"))
    assert error.what == "1 mistake in the recipe\n  no such country"


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    error = refused(write(tmp_path, f"name: a\ntrain: {{lr: {'x' * 500}}}\n"))
    assert f"(given: '{'x' * 40}')" in str(error)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("name: a\ntrain: {lr: 1\n", ":3", "expected ',' or '}', but got '<stream end>'"),
        ("name: a\n\tb: 1\n", ":2", "found character '\\t' that cannot start any token"),
        ("name: a\nname: b\n", ":2", 'found duplicate key "name" with value "b" (original value: "a")'),
        ("name: !python/object a\n", ":1", "could not determine a constructor for the tag '!python/object'"),
        ("name: 2024-13-45\n", "", "ValueError"),
        ("name: '\x01'\n", "", "ReaderError"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(tmp_path: Path, text: str, line: str, problem: str) -> None:
    error = refused(write(tmp_path, text))
    assert error.where == f"{tmp_path / 'r.yaml'}{line}"
    assert error.what.startswith(f"not valid YAML: {problem}")
    assert error.do == "fix that line"


def test_yaml_nested_too_deeply_is_refused() -> None:
    with pytest.raises(RecipeError, match="not valid YAML: RecursionError"):
        parse_yaml("[" * 3000, "here")


def test_files_that_cannot_be_recipes_are_refused(tmp_path: Path) -> None:
    missing = refused(tmp_path / "no.yaml")
    assert str(missing) == f"{tmp_path / 'no.yaml'}: no such recipe\n  -> check the path; recipes/ has examples"
    folder = refused(tmp_path)
    assert (folder.what, folder.do) == ("cannot read the recipe (IsADirectoryError)", "give a UTF-8 YAML file")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9\n")
    assert refused(tmp_path / "latin.yaml").what == "cannot read the recipe (UnicodeDecodeError)"
    listing = refused(write(tmp_path, "- a\n- b\n"))
    assert (listing.what, listing.do) == ("a recipe is a mapping of settings", "see docs/recipe.md")


def test_an_empty_file_lacks_what_is_required(tmp_path: Path) -> None:
    assert "name: required, and not given" in str(refused(write(tmp_path, "")))


@pytest.mark.parametrize("override", ["train.lr", "=3", "train..lr=1", ".lr=1", "train.=1", " =1"])
def test_an_override_that_cannot_be_read_is_refused(tmp_path: Path, override: str) -> None:
    error = refused(write(tmp_path, "name: a"), override)
    assert str(error) == f"--set: cannot read --set {override!r}\n  -> write --set dotted.key=value"


def test_an_override_below_a_value_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path, "name: a"), "name.first=1")
    assert error.what == "'name' holds a value, not settings"
    assert (error.where, error.do) == ("--set name.first", "docs/recipe.md lists every setting")


def test_an_override_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path, "name: a"), "train.lr={1")
    assert error.where is not None
    assert error.where.startswith("--set train.lr")
    assert error.what.startswith("not valid YAML: ")


def test_an_unknown_override_is_a_mistake_of_the_recipe(tmp_path: Path) -> None:
    assert "train.lrr: unknown setting; did you mean 'lr'?" in str(refused(write(tmp_path, "name: a"), "train.lrr=1"))


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=8), st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists)))
def test_any_mapping_is_valid_or_refused_in_plain_words(values: dict[str, Any]) -> None:
    message = "here: valid"
    try:
        validate(values, Outer, "here")
    except RecipeError as error:
        message = str(error)
    assert message.startswith("here: ")
    assert "pydantic" not in message
