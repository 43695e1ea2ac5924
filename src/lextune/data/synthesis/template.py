"""The small language in which the wording of the sample contracts is written.

    [a|b|c]           one of the alternatives, drawn at random; they nest
    {slot}            a value of this contract: a party, its subject matter, a house-style word
    {days 30 60 90}   a quantity drawn from a list, written in the contract's number style
    {days:notice 30}  the same, remembered under a name: later uses and the answer show the same value
    <Field A, Field B>text</>   a quote that answers these fields; `<>` stands for the clause's own field

Quotes nest. The marks come out as offsets into the rendered text, so a label is exact by construction.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import NamedTuple

from lextune.core.errors import DataError, shorten

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_TOKEN = re.compile(r"\{([^{}]+)\}|<([^<>]*)>")


class Mark(NamedTuple):
    """A quote: [start, end) of the rendered text answers `fields`."""

    fields: tuple[str, ...]
    start: int
    end: int

    def shifted(self, by: int) -> Mark:
        """Return the mark moved right by `by` code points."""
        return self._replace(start=self.start + by, end=self.end + by)


class Rendered(NamedTuple):
    """A template's text and the quotes in it, in the order in which they close."""

    text: str
    marks: tuple[Mark, ...]


def choose(template: str, rng: random.Random) -> str:
    """Return the template with every `[a|b]` replaced by one of its alternatives, inner ones first.

    The space that an empty alternative leaves behind is removed.
    """
    while True:
        chosen = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), template)
        if chosen == template:
            return " ".join(chosen.split())
        template = chosen


def render(template: str, slot: Callable[[str], str], own: tuple[str, ...] = ()) -> Rendered:
    """Fill the slots of a template whose alternatives are chosen, and turn its tags into marks.

    Args:
        template: the text, without `[a|b]`.
        slot: gives the value of a slot; a value that opens a sentence gets a capital letter.
        own: the fields that a bare `<>` stands for.

    Raises:
        DataError: a tag is not closed, or closes nothing.
    """
    text, position = "", 0
    marks: list[Mark] = []
    opened: list[tuple[tuple[str, ...], int]] = []
    for token in _TOKEN.finditer(template):
        text += template[position : token.start()]
        position = token.end()
        if token[1] is not None:
            value = slot(token[1])
            text += value[:1].upper() + value[1:] if _opens_sentence(text) else value
        elif token[2] != "/":
            names = tuple(name.strip() for name in token[2].split(",")) if token[2] else own
            opened.append((names, len(text)))
        elif opened:
            names, start = opened.pop()
            marks.append(Mark(names, start, len(text)))
        else:
            raise DataError("a quote is closed that was not opened", where=shorten(template), do="remove </>")
    if opened:
        raise DataError("a quote is not closed", where=shorten(template), do="close it with </>")
    return Rendered(text + template[position:], tuple(marks))


def _opens_sentence(before: str) -> bool:
    text = before.rstrip('"').rstrip()
    return not text or (text.endswith(".") and not text.endswith(("Inc.", "Corp.", "L.P.")))
