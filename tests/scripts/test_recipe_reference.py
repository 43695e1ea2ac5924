"""The recipe reference says what the types say, and docs/recipe.md is current."""

from __future__ import annotations

import enum
import importlib.util
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from lextune.core.recipe import Config

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("recipe_reference", ROOT / "scripts" / "recipe_reference.py")
assert SPEC is not None
assert SPEC.loader is not None
module = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(module)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(Config):
    """The last one.

    It has two paragraphs.
    """

    size: int = Field(3, ge=1, lt=9, description="How large it is,\n  in millimetres.")
    share: float = Field(0.5, gt=0, le=1)


class Undocumented(Config):
    on: bool = False


class Tree(Config):
    """A tree of settings."""

    name: str
    kind: Literal["tag", "point"] = "tag"
    limit: int | None = None
    lr: float = 5e-4
    leaf: Leaf = Leaf()
    leaves: tuple[Leaf, ...] = (Leaf(),)
    named: dict[str, Undocumented] = Field(default_factory=dict)
    maybe: Leaf | None = None
    tags: list[str] = Field(["a b", "1"], min_length=1)
    code: Annotated[str, Field(pattern="^[a|b]$")] = "a"


def rows(text: str) -> dict[str, list[str]]:
    """Return {setting: its cells} of all tables of a reference."""
    cells = [
        [c.strip() for c in line.replace("\\|", "\0").strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return {cell[0].strip("`"): [c.replace("\0", "|") for c in cell[1:]] for cell in cells}


def test_every_setting_has_its_path_type_limits_default_and_meaning() -> None:
    table = rows(module.reference(Tree))
    assert table["name"] == ["text", "required"]
    assert table["kind"] == ["`tag` or `point`", "`tag`"]
    assert table["limit"] == ["whole number or null", "`null`"]
    assert table["lr"] == ["number", "`0.0005`"]
    assert table["leaf"] == ["settings", "its defaults"]
    assert table["leaf.size"] == ["whole number, ≥ 1, < 9", "`3`", "How large it is, in millimetres."]
    assert table["leaf.share"] == ["number, > 0, ≤ 1", "`0.5`", ""]  # a neighbour has a meaning
    assert table["leaves"] == ["list of settings", "its defaults"]
    assert table["leaves[].size"][1] == "`3`"
    assert table["named"] == ["mapping of text to settings", "`{}`"]
    assert table["named.<name>.on"] == ["true or false", "`false`"]
    assert table["maybe"] == ["settings or null", "`null`"]
    assert table["maybe.size"][1] == "`3`"
    assert table["tags"] == ["list of text, at least 1 long", '`[a b, "1"]`']
    assert table["code"] == ["text, matching `^[a|b]$`", "`a`"]


def test_sections_carry_the_docstrings_of_their_types() -> None:
    text = module.reference(Tree)
    assert "## The recipe\n\nA tree of settings.\n\n| setting" in text
    assert "## `leaf`\n\nThe last one.\n\nIt has two paragraphs.\n\n| setting" in text
    assert "## `named.<name>`\n\n| setting" in text  # no docstring: none inherited


def test_a_model_that_contains_itself_ends() -> None:
    class Node(BaseModel):
        children: list[Node] = []
        value: int = 0

    Node.model_rebuild(_types_namespace={"Node": Node})
    assert set(rows(module.reference(Node))) == {"children", "value"}


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (Any, "any value"),
        (Path, "path"),
        (Colour, "`red` or `blue`"),
        (Path | Literal["official"], "path or `official`"),
        (tuple[int, ...], "list of whole number"),
        (tuple[int, int], "list of whole number"),
        (tuple[str, float], "[text, number]"),
        (frozenset[str], "list of text"),
        (dict[str, list[float]], "mapping of text to list of number"),
        (dict, "mapping"),
        (Annotated[float, Field(gt=0)], "number"),
    ],
)
def test_types_are_named_as_yaml_knows_them(annotation: Any, name: str) -> None:
    assert module.type_name(annotation) == name


def test_every_setting_of_a_recipe_has_a_meaning() -> None:
    from lextune.pipeline import Recipe

    table = rows(module.reference(Recipe))
    assert len(table) > 30
    assert [setting for setting, cells in table.items() if len(cells) < 3 or not cells[2]] == []


def test_docs_recipe_md_is_current() -> None:
    from lextune.pipeline import Recipe

    assert module.TARGET.read_text(encoding="utf-8") == module.reference(Recipe), (
        "docs/recipe.md is behind the types: run `python scripts/recipe_reference.py`"
    )
