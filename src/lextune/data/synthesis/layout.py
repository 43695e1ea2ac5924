"""How a sample contract looks on the page: title, numbering, headings, sections, schedules, signatures."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from lextune.data.synthesis.house_style import HouseStyle
from lextune.data.synthesis.template import Mark, Rendered

_ROMAN = ((50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


class Paragraph(NamedTuple):
    """A numbered paragraph with its own heading, or none."""

    heading: str | None
    body: Rendered


class Section(NamedTuple):
    """A titled part of the contract."""

    title: str
    paragraphs: tuple[Paragraph, ...]


class Page:
    """The text of a contract as it grows, with the marks at their final offsets."""

    def __init__(self, style: HouseStyle) -> None:
        self._style, self._pieces, self._length = style, list[str](), 0
        self.marks: list[Mark] = []

    def add(self, body: Rendered | str, before: str = "", after: str = "\n\n") -> None:
        """Append text with its marks; `before` (a number, a heading) and `after` carry none."""
        rendered = Rendered(body, ()) if isinstance(body, str) else body
        self.marks += [mark.shifted(self._length + len(before)) for mark in rendered.marks]
        piece = before + self._style.quoted(rendered.text) + after
        self._pieces.append(piece)
        self._length += len(piece)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)


class Numbering(NamedTuple):
    """How sections and paragraphs are numbered.

    `form` is `article` (ARTICLE IV, Section 4.01), `decimal` (4. / 4.1) or `section` (Section 4. / (a)).
    """

    form: str
    capitals: bool
    inline_headings: bool

    @classmethod
    def draw(cls, rng: random.Random, style: HouseStyle) -> Numbering:
        """Draw a numbering that is usual in the dialect."""
        if style.dialect == "uk":
            return cls("decimal", rng.random() < 0.7, rng.random() < 0.25)
        form = rng.choice(("article", "decimal", "decimal", "section"))
        return cls(form, rng.random() < 0.5, rng.random() < 0.75)

    def section(self, number: int, title: str) -> str:
        """Return the heading of a section."""
        shown = title.upper() if self.capitals else title
        if self.form == "article":
            return f"ARTICLE {roman(number)}\n{shown}"
        return f"{number}. {shown}" if self.form == "decimal" else f"Section {number}. {shown}"

    def paragraph(self, section: int, number: int, heading: str | None) -> str:
        """Return what stands before a paragraph: its number and, where headings are inline, its heading."""
        named = f"{heading}. " if heading and self.inline_headings else ""
        if self.form == "article":
            return f"Section {section}.{number:02d} {named}"
        if self.form == "decimal":
            return f"{section}.{number} {named}"
        letter = chr(ord("a") + (number - 1) % 26) * (1 + (number - 1) // 26)
        return f"({letter}) {named}"

    def write(self, page: Page, number: int, section: Section) -> None:
        """Append a section to a page."""
        page.add(self.section(number, section.title))
        for place, paragraph in enumerate(section.paragraphs, start=1):
            page.add(paragraph.body, before=self.paragraph(number, place, paragraph.heading))


def flattened(sections: Sequence[Section]) -> list[Section]:
    """Make a section of every paragraph that has a heading; those without stay together under their title."""
    flat = []
    for section in sections:
        plain = tuple(p for p in section.paragraphs if p.heading is None)
        if plain:
            flat.append(Section(section.title, plain))
        flat += [Section(p.heading, (p._replace(heading=None),)) for p in section.paragraphs if p.heading]
    return flat


def roman(number: int) -> str:
    """Return a whole number from 1 on in Roman numerals."""
    out = ""
    for value, letters in _ROMAN:
        while number >= value:
            out += letters
            number -= value
    return out


def signature(name: str, person: str, post: str, british: bool) -> str:
    """Return the block in which one party signs."""
    if british:
        return f"Signed by {person}, {post},\nfor and on behalf of {name}\n\n{'.' * 40}"
    return f"{name}\n\nBy: {'_' * 30}\nName: {person}\nTitle: {post}"
