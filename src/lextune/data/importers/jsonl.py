"""Rows in JSON: one object a line (JSON Lines, also gzipped), or a file that is one array of objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any

from lextune.core.errors import DataError, shorten
from lextune.core.files import read_text
from lextune.core.mistakes import Mistake, refuse
from lextune.data.importers.lines import Row, read_lines, stem, unchanged

MAX_ARRAY = 64 << 20
"""Bytes of a JSON array at most: it is held in memory whole, which JSON Lines are not."""

_KINDS = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a truth value",
    type(None): "null",
}
_SPACE = re.compile(r"[ \t\r\n]*")


class NotPlainError(ValueError):
    """JSON that says two things at once, or a number that JSON does not have."""


def _repeated(pairs: list[tuple[str, Any]]) -> list[Any]:
    """Return the first key that occurs twice, and all its values; nothing where none does."""
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    return [] if twice is None else [twice, *(value for key, value in pairs if key == twice)]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotPlainError(_twice(_repeated(pairs)[0]))
    return found


def _twice(key: str) -> str:
    return f"the key {shorten(key, 40)!r} occurs twice in one object"


def _constant(name: str) -> Any:
    raise NotPlainError(f"{name} is no JSON value")


_LONG = "a number of thousands of digits"  # the only other ValueError of Python's decoder
_STRICT = JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_LENIENT = JSONDecoder()


def parse_json(text: str) -> Any:
    """Return a JSON value; an object with a key twice, NaN and Infinity are refused.

    Raises:
        ValueError: with what is wrong and the column.
    """
    try:
        return _STRICT.decode(text)
    except NotPlainError:
        raise
    except JSONDecodeError as error:
        raise ValueError(f"not JSON: {_problem(error)}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply at column 1") from None
    except ValueError:
        raise ValueError(f"not JSON: {_LONG}") from None


def _problem(error: JSONDecodeError) -> str:
    return f"{error.msg.removesuffix(' at')} at column {error.colno}"


def read_json_lines(path: Path) -> Iterator[Row | Mistake]:
    """Yield the rows of a JSON Lines file; empty lines are passed over.

    Raises:
        DataError: see `lextune.data.importers.lines.read_lines`.
    """
    name = stem(path)
    for line in read_lines(path):
        where = f"{path.name}:{line.number}"
        if line.problem:
            yield Mistake(where, line.problem)
        elif line.text and not line.text.isspace():
            yield _row(line.text, where, f"{name}-{line.number}")


def _row(text: str, where: str, name: str) -> Row | Mistake:
    try:
        value = parse_json(text)
    except ValueError as error:
        if "\0" in text:
            return Mistake(where, "bytes of value 0, which no JSON has: this may be UTF-16, save the file as UTF-8")
        cut = "" if text.endswith("\n") else "; the file ends in this line: it may be cut off"
        return Mistake(where, f"{error}{cut}")
    return _as_row(value, where, name)


def _as_row(value: Any, where: str, name: str) -> Row | Mistake:
    if isinstance(value, dict):
        return Row(where, name, value)
    return Mistake(where, f"not a JSON object but {_KINDS[type(value)]}")


def read_json(path: Path) -> Any:
    """Return the one JSON value that a file is.

    Raises:
        DataError: it cannot be read, is not UTF-8 or not JSON, has keys twice in one object (one error, with their
            number and the first five) or NaN, or changed while it was read.
    """
    repeated: list[Mistake] = []

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            key, *values = _repeated(pairs)
            said = " and ".join(repr(shorten(str(value), 15)) for value in values[:2])
            repeated.append(Mistake(path.name, f"{_twice(key)}, with {said}"))  # no place is known but by these
        return found

    with unchanged(path):
        text = read_text(path)[1]
    try:
        value = JSONDecoder(object_pairs_hook=checked, parse_constant=_constant).decode(text)
    except NotPlainError as error:
        raise DataError(str(error), where=str(path), do="write a number, or leave the key out") from None
    except (ValueError, RecursionError) as error:
        raise _broken(error, path) from None
    if repeated:
        raise refuse(repeated, str(path), "leave one of the two values of each")
    return value


def read_json_array(path: Path) -> Iterator[Row | Mistake]:
    """Yield the objects of a file that is one JSON array, with the line on which each begins.

    Raises:
        DataError: larger than `MAX_ARRAY`, not UTF-8, not JSON (nothing after the place can be read), or changed
            while it was read.
    """
    with unchanged(path):
        if path.stat().st_size > MAX_ARRAY:
            what = f"a JSON array of {path.stat().st_size:,} bytes; {MAX_ARRAY:,} is the most"
            raise DataError(what, where=str(path), do="write it as JSON Lines: one object a line, no brackets")
        text = read_text(path)[1]
        yield from _elements(text, path)


def _elements(text: str, path: Path) -> Iterator[Row | Mistake]:
    position, line, counted, index = _after_space(text, 0) + 1, 1, 0, 0
    position = _after_space(text, position)
    if text[position : position + 1] == "]":
        _end(text, position + 1, path)
        return
    while True:
        line, counted = line + text.count("\n", counted, position), position
        index += 1
        try:
            value, end = _element(text, position)
        except (ValueError, RecursionError) as error:
            raise _broken(error, path, line) from None
        where = f"{path.name}:{line}"
        if isinstance(value, NotPlainError):
            yield Mistake(where, str(value))
        else:
            yield _as_row(value, where, f"{stem(path)}-{index}")
        end = _after_space(text, end)
        mark = text[end : end + 1]
        if mark == "]":
            break
        if mark != ",":
            raise _broken(JSONDecodeError("Expecting ',' or ']'", text, end), path)
        position = _after_space(text, end + 1)
    _end(text, end + 1, path)


def _end(text: str, position: int, path: Path) -> None:
    """Refuse what follows the array: it would not be read."""
    position = _after_space(text, position)
    if position < len(text):
        raise _broken(JSONDecodeError("Extra data after the array", text, position), path)


def _element(text: str, position: int) -> tuple[Any, int]:
    """Return the value that begins at `position` and where it ends; a NotPlainError where it is none to use."""
    try:
        return _STRICT.raw_decode(text, position)
    except NotPlainError as refused:
        return refused, _LENIENT.raw_decode(text, position)[1]


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _broken(error: Exception, path: Path, line: int = 1) -> DataError:
    """Return the error for a file that cannot be read past a place; `line` is where Python's decoder does not say."""
    if isinstance(error, JSONDecodeError):
        name, close = ("array", "]") if error.doc.lstrip().startswith("[") else ("object", "}")
        whole = error.doc.rstrip().endswith(close) or error.msg.startswith("Extra data")
        cut = "" if whole else f"; the {name} is not closed: the file may be cut off"
        place, what = f"{path}:{error.lineno}", f"not JSON: {_problem(error)}{cut}"
    else:
        what = "nested too deeply" if isinstance(error, RecursionError) else _LONG
        place, what = f"{path}:{line}", f"not JSON: {what}"
    return DataError(what, where=place, do="repair the file there: what follows cannot be read")
