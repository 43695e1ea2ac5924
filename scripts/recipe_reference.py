"""Write `docs/recipe.md`, the list of every setting of a recipe, from the types that validate it.

    python scripts/recipe_reference.py [FILE]

A test compares the file with the types, so it cannot fall behind.
"""

from __future__ import annotations

import enum
import inspect
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

TARGET = Path(__file__).resolve().parents[1] / "docs" / "recipe.md"
HEADER = """\
# Recipe reference

<!-- Written by scripts/recipe_reference.py from the types; do not edit. -->

A recipe is one YAML 1.2 file. Every setting is listed here with its type, its limits and its default. Unknown
settings are mistakes, and all mistakes of a recipe are reported at once. `--set train.lr=1e-4` on the command
line replaces one value; the value is read as YAML. Secrets are never part of a recipe: they come from the
environment.
"""
_LIMITS = (
    (Ge, "ge", "≥ {:g}"),
    (Gt, "gt", "> {:g}"),
    (Le, "le", "≤ {:g}"),
    (Lt, "lt", "< {:g}"),
    (MinLen, "min_length", "at least {} long"),
    (MaxLen, "max_length", "at most {} long"),
)


def reference(model: type[BaseModel]) -> str:
    """Return the reference of a model and of all models in it as Markdown, one section a model."""
    return HEADER + "".join(f"\n{section}" for section in _sections(model, "", ()))


def type_name(annotation: Any) -> str:
    """Return a type as a reader of YAML knows it: `number`, `list of text`, `"tag" or "point"`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return "any value"
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join("null" if part is NoneType else type_name(part) for part in inner)
    if origin is dict:
        return f"mapping of {type_name(inner[0])} to {type_name(inner[1])}"
    if origin in (list, tuple, set, frozenset):
        parts = [part for part in inner if part is not Ellipsis]
        same = origin is not tuple or Ellipsis in inner or len(set(parts)) == 1
        return f"list of {type_name(parts[0])}" if same else f"[{', '.join(map(type_name, parts))}]"
    if origin is not None and hasattr(annotation, "__metadata__"):
        return type_name(inner[0])
    return _plain_name(annotation)


def _plain_name(annotation: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
    if annotation in names:
        return names[annotation]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "settings"
    if isinstance(annotation, type) and issubclass(annotation, dict | list | tuple):
        return "mapping" if issubclass(annotation, dict) else "list"
    return getattr(annotation, "__name__", str(annotation))


def models_in(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield (path suffix, model) of each model in an annotation: `[]` in a list, `.<name>` in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
        return
    origin, inner = get_origin(annotation), get_args(annotation)
    step = ".<name>" if origin is dict else "[]" if origin in (list, tuple, set, frozenset) else ""
    for part in inner if origin is not Literal else ():
        for suffix, model in models_in(part):
            yield f"{step}{suffix}", model


def _sections(model: type[BaseModel], path: str, above: tuple[type[BaseModel], ...]) -> Iterator[str]:
    """Yield the section of `model`, then those of the models in its fields, depth first."""
    title = f"`{path}`" if path else "The recipe"
    lines = [f"## {title}", ""]
    if text := _docstring(model):
        lines += [text, ""]
    meanings = any(field.description for field in model.model_fields.values())
    columns = ("setting", "type", "default", "meaning")[: 4 if meanings else 3]
    lines += [_row(columns), _row(["---"] * len(columns))]
    inner = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        dotted = f"{path}.{key}" if path else key
        meaning = " ".join((field.description or "").split())
        lines.append(_row((f"`{dotted}`", _type(field), _default(field), meaning)[: len(columns)]))
        inner += [(f"{dotted}{suffix}", found) for suffix, found in models_in(field.annotation)]
    yield "\n".join(lines) + "\n"
    for dotted, found in inner:
        if found is not model and found not in above:
            yield from _sections(found, dotted, (*above, model))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _docstring(model: type[BaseModel]) -> str:
    """Return the model's own docstring; pydantic's and an inherited one say nothing about it."""
    return inspect.cleandoc(model.__doc__) if model.__doc__ and "__doc__" in vars(model) else ""


def _type(field: FieldInfo) -> str:
    limits = []
    for item in field.metadata:
        for kind, name, text in _LIMITS:
            if isinstance(item, kind):
                limits.append(text.format(getattr(item, name)))
        if pattern := getattr(item, "pattern", None):
            limits.append(f"matching `{pattern}`")
    return ", ".join([type_name(field.annotation), *limits])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=not _takes_data(field))
    if value is PydanticUndefined:
        return "computed"
    if isinstance(value, BaseModel) or (isinstance(value, tuple | list) and _any_model(value)):
        return "its defaults"
    return f"`{_yaml(value)}`"


def _takes_data(field: FieldInfo) -> bool:
    return bool(getattr(field, "default_factory_takes_validated_data", False))


def _any_model(values: tuple[Any, ...] | list[Any]) -> bool:
    return any(isinstance(value, BaseModel) for value in values)


def _yaml(value: Any) -> str:
    """Return a default as it would stand in a recipe, on one line."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, str | Path):
        text = str(value)
        return text if re.fullmatch(r"[A-Za-z][\w./ -]*", text) else json.dumps(text, ensure_ascii=False)
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else f"{value:.1f}"
    if isinstance(value, tuple | list | set | frozenset):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_yaml(k)}: {_yaml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def main() -> None:
    """Write the file."""
    from lextune.pipeline import Recipe

    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(reference(Recipe), encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
