"""Recipes: one YAML 1.2 file, overrides from the command line, every mistake reported at once.

The type of a recipe is composed in `lextune.pipeline`; this module knows only how to read, override and
validate any pydantic model.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lextune.core.errors import RecipeError

T = TypeVar("T", bound=BaseModel)


class Config(BaseModel):
    """Base of every config: unknown keys are mistakes, values are fixed once read.

    A string under a setting is its description, which docs/recipe.md shows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML 1.2 (`3e-4` is a float, `NO` is a string).

    Raises:
        RecipeError: not YAML; names the line.
    """
    try:
        return YAML(typ="safe", pure=True).load(io.StringIO(text))
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that no calendar has
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise RecipeError(f"not valid YAML: {problem}", where=f"{where}{line}", do="fix that line") from None


def load_recipe(path: Path, model: type[T], overrides: Iterable[str] = ()) -> T:
    """Read, override and validate a recipe.

    Args:
        path: the recipe file.
        model: the type it must have.
        overrides: `dotted.key=value` strings; the value is read as YAML.

    Raises:
        RecipeError: the file is missing or not YAML, or one or more values are wrong; all mistakes are listed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError("no such recipe", where=str(path), do="check the path; recipes/ has examples") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"cannot read the recipe ({type(error).__name__})", where=str(path), do="give a UTF-8 YAML file"
        ) from None
    values = parse_yaml(text, str(path))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise RecipeError("a recipe is a mapping of settings", where=str(path), do="see docs/recipe.md")
    for override in overrides:
        apply_override(values, override)
    return validate(values, model, str(path))


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set one value of a recipe that is not validated yet, by `dotted.key=value`; the value is read as YAML.

    Raises:
        RecipeError: it cannot be read, or a key on the way holds a value.
    """
    key, equals, raw = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise RecipeError(f"cannot read --set {override!r}", where="--set", do="write --set dotted.key=value")
    place = values
    for part in parts[:-1]:
        child = place.setdefault(part, {})
        if not isinstance(child, dict):
            raise RecipeError(
                f"{part!r} holds a value, not settings", where=f"--set {key}", do="docs/recipe.md lists every setting"
            )
        place = child
    place[parts[-1]] = parse_yaml(raw, f"--set {key}") if raw else None


def validate(values: dict[str, Any], model: type[T], where: str) -> T:
    """Validate values against a type; report every mistake with its dotted path and the nearest name."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_mistake(item, model) for item in error.errors()]
    count = f"{len(lines)} mistake{'s' if len(lines) > 1 else ''}"
    listing = "\n".join(f"  {line}" for line in lines)
    raise RecipeError(
        f"{count} in the recipe\n{listing}", where=where, do="fix them; docs/recipe.md lists every setting"
    )


def _mistake(item: Any, model: type[BaseModel]) -> str:
    location = [str(part) for part in item["loc"]]
    path = ".".join(location)
    if item["type"] == "extra_forbidden":
        names = _names_at(model, location[:-1])
        near = difflib.get_close_matches(location[-1], names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(names))}" if names else ""
        return f"{path}: unknown setting{hint}"
    if item["type"] == "missing":
        return f"{path}: required, and not given"
    value = item.get("input")
    shown = f" (given: {str(value)[:40]!r})" if not isinstance(value, dict) else ""
    message = item["msg"].removeprefix("Value error, ")
    return f"{f'{path}: ' if path else ''}{message[0].lower()}{message[1:]}{shown}"


def _names_at(model: type[BaseModel], location: list[str]) -> list[str]:
    current: type[BaseModel] | None = model
    for part in location:
        field = current.model_fields.get(part) if current else None
        if field is None:
            continue  # a union's tag or a list index: stay where we are
        current = _model_in(field.annotation)
        if current is None:
            return []
    return list(current.model_fields) if current else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
