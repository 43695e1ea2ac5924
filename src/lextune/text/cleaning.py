"""Cleaning a text: encoding, white space, hyphens at line ends and page furniture, and the way back.

    cleaned = clean(text, pages)
    restore(cleaned.text, cleaned.edits) == text        # lextune.text.edits

Every operation can be switched off. None of them reads more than the text in front of it, so the same text is
cleaned alike when a model is trained and when it answers.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import NamedTuple

from lextune.core.recipe import Config
from lextune.core.records import Edit, Span
from lextune.text.edits import Change, OffsetMap, apply, as_edits, carried, compose
from lextune.text.furniture import goes_on, remove_furniture

WIDE = 4  # spaces from which on a gap parts columns or paragraphs; `lextune.text.segments` cuts there
SOFT_HYPHEN = "\u00ad"

_INVISIBLE = "\u200b\u2060\ufeff\x00-\x08\x0e-\x1b\x7f"  # zero-width marks and controls that are no white space
_JOINERS = "\u200c\u200d"  # part of the spelling in Persian and the scripts of India
_GAP = re.compile(rf"[\s{_INVISIBLE}{_JOINERS}]{{2,}}|[^\S \n]|[{_INVISIBLE}{_JOINERS}]")
_NOT_SPACE = re.compile(rf"[{_INVISIBLE}{_JOINERS}]+")
_BREAK = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_INVISIBLE_ONLY = re.compile(rf"(?:[{_INVISIBLE}]|(?<=[\x21-\x7e])[{_JOINERS}](?=[\x21-\x7e]))+")

_FOREIGN = re.compile(r"(?:[A-Za-z](?=[\u0300-\u036f]))?[^\x00-\x7f]{1,400}(?:[ A-Za-z][^\x00-\x7f]{1,400}){0,20} ?")
_LETTERS = r"[^\W\d_]"
_HYPHEN = "[-\u2010\u00ad]"
_LINE_END = re.compile(rf"{_HYPHEN}[ \t\u00a0]*(?:\r\n|[\n\r\v\f\u2028])[ \t\u00a0]*(?P<right>{_LETTERS}+)")
_WORD_BACKWARDS = re.compile(rf"{_LETTERS}+(?:-{_LETTERS}+)*")
_LONGEST_WORD = 40
_SOFT = re.compile(rf"(?<!{_LETTERS}){_LETTERS}++(?:\u00ad{_LETTERS}++)+|\u00ad")
_COMPOUND = re.compile(rf"{_LETTERS}+(?:-{_LETTERS}+)*")


class CleanOptions(Config):
    """Which operations are done."""

    encoding: bool = True
    """Repair text that was decoded wrongly (mojibake, controls of Windows-1252) and typographic ligatures."""
    spaces: bool = True
    """Make white space plain: special and invisible spaces, tabs, long runs, ends of lines, blank lines."""
    hyphenation: bool = True
    """Join words that were broken at the end of a line."""
    furniture: bool = True
    """Remove headers, footers and page numbers."""


class Cleaned(NamedTuple):
    """A cleaned text, its page map, and the edits that lead back to the source."""

    text: str
    pages: tuple[Span, ...]
    edits: tuple[Edit, ...]


def clean(text: str, pages: Sequence[Span] = (), options: CleanOptions = CleanOptions()) -> Cleaned:  # noqa: B008
    """Clean a document's text.

    Args:
        text: the source.
        pages: its page map, empty where there is none.
        options: which operations are done, in this order: furniture, encoding, hyphenation, spaces.

    Returns:
        The cleaned text with the page map carried over; no edits where nothing was to clean.
    """
    steps: tuple[tuple[bool, Callable[[str], Sequence[Change]]], ...] = (
        (options.furniture, lambda source: remove_furniture(source, pages)),
        (options.encoding, lambda source: list(_repair(source))),
        (options.hyphenation, lambda source: list(_join_words(source))),
        (options.spaces, lambda source: list(_plain_spaces(source))),
    )
    cleaned, changes = _run(text, [step for wanted, step in steps if wanted])
    edits = as_edits(text, changes)
    return Cleaned(cleaned, carried(pages, OffsetMap(edits)), edits)


def clean_message(text: str, options: CleanOptions = CleanOptions()) -> Cleaned:  # noqa: B008
    """Clean what somebody wrote in a conversation: encoding and invisible characters only.

    Its line breaks, indents and tabs can be code, tables or verse, and it has no pages.
    """
    steps: list[Callable[[str], Sequence[Change]]] = []
    if options.encoding:
        steps.append(lambda source: list(_repair(source)))
    if options.spaces:
        steps.append(lambda source: [Change(*m.span(), "") for m in _INVISIBLE_ONLY.finditer(source)])
    cleaned, changes = _run(text, steps)
    return Cleaned(cleaned, (), as_edits(text, changes))


def _run(text: str, steps: Sequence[Callable[[str], Sequence[Change]]]) -> tuple[str, list[Change]]:
    changes: list[Change] = []
    for step in steps:
        found = step(text)
        if found:
            changes = compose(changes, found, text)
            text = apply(text, found)
    return text, changes


def _repair(text: str) -> Iterator[Change]:
    """Yield the repairs of wrongly decoded pieces."""
    if text.isascii():
        return
    for match in _FOREIGN.finditer(text):
        piece = match.group()
        fixed = _repaired(piece)
        if fixed != piece:
            yield Change(*match.span(), fixed)


@functools.lru_cache(maxsize=4096)
def _repaired(piece: str) -> str:
    from ftfy import fix_encoding
    from ftfy.fixes import fix_c1_controls, fix_latin_ligatures

    return unicodedata.normalize("NFC", fix_latin_ligatures(fix_c1_controls(fix_encoding(piece))))


def _plain_spaces(text: str) -> Iterator[Change]:
    """Yield a change for each run of white space that is not what it should be.

    A run without a line break becomes one space, or a wide gap where it was one; a run with one becomes a
    newline, with several a blank line. A form feed is a newline inside a sentence, else a blank line.
    """
    for match in _GAP.finditer(text):
        start, end = match.span()
        run = match.group()
        if end - start == 1 and run in _JOINERS and not text[start - 1 : start].isascii():
            continue
        plain = _plain(_NOT_SPACE.sub("", run), text[start - 1 : start], text[end : end + 1])
        if plain != run:
            yield Change(start, end, plain)


def _plain(run: str, before: str, after: str) -> str:
    """Return what a run of white space becomes, given the characters around it (empty at the text's ends)."""
    breaks = _BREAK.findall(run)
    if not before or not after:
        return "\n" if breaks and before else ""
    if not breaks:
        return " " * (WIDE if len(run) >= WIDE else min(1, len(run)))
    paragraph = len(breaks) > 1 or "\u2029" in breaks
    if "\f" in breaks:
        paragraph = not goes_on(before, after)
    return "\n\n" if paragraph else "\n"


class _Broken(NamedTuple):
    """A word at the end of a line: its two parts, and the span from its hyphen to the second."""

    left: str
    right: str
    start: int
    end: int


def _join_words(text: str) -> Iterator[Change]:
    """Yield the changes that join words broken at line ends, and those of soft hyphens."""
    broken = list(_broken(text))
    soft = list(_SOFT.finditer(text)) if SOFT_HYPHEN in text else []
    if not broken and not soft:
        return
    words = _vocabulary(text, broken)
    joined = {
        word.start: Change(word.start, word.end, "" if text[word.start] == SOFT_HYPHEN or _is_one(word, words) else "-")
        for word in broken
    }
    for match in soft:
        mark = "" if _is_soft(match.group(), words) else "-"
        for at in range(*match.span()):
            if text[at] == SOFT_HYPHEN:
                joined.setdefault(at, Change(at, at + 1, mark))
    yield from sorted(joined.values())


def _broken(text: str) -> Iterator[_Broken]:
    for match in _LINE_END.finditer(text):
        before = text[max(0, match.start() - _LONGEST_WORD) : match.start()]
        left = _WORD_BACKWARDS.match(before[::-1])
        if left:
            yield _Broken(left.group()[::-1], match["right"], match.start(), match.start("right"))


def _is_soft(word: str, words: Counter[str]) -> bool:
    """Say whether the soft hyphens of a word on one line are to be invisible.

    PDFs and old files write them for real hyphens as well ("long-term"); those stand once in a word, and the
    word without them is not known.
    """
    plain = word.replace(SOFT_HYPHEN, "").lower()
    return bool(plain) and (word.count(SOFT_HYPHEN) > 1 or plain in words or plain in _known_words())


def _vocabulary(text: str, without: Sequence[_Broken]) -> Counter[str]:
    """Return the words and compounds of a text, in lower case; the broken words are left out."""
    words: Counter[str] = Counter()
    at = 0
    for word in without:
        words.update(_COMPOUND.findall(text[at : word.start - len(word.left)].lower()))
        at = word.end + len(word.right)
    words.update(_COMPOUND.findall(text[at:].lower()))
    return words


def _is_one(word: _Broken, words: Counter[str]) -> bool:
    """Say whether a hyphen at a line end only breaks a word, and is not part of it ("third-party").

    What this document writes elsewhere decides, then the words that are known. A word that stands nowhere is
    one word, unless what follows the hyphen is a word of its own.
    """
    left, right = word.left, word.right
    if "-" in left or (right[0].isupper() and not left.isupper()):
        return False
    left, right = left.lower(), right.lower()
    joined, hyphenated = words[left + right], words[f"{left}-{right}"]
    if joined or hyphenated:
        return joined > hyphenated
    return left + right in _known_words() or not (right in words or right in _known_words())


@functools.cache
def _known_words() -> frozenset[str]:
    """Return the words of the sample contracts in this package: English as contracts write it."""
    folder = resources.files("lextune.resources").joinpath("sample_contracts/full_contract_txt")
    texts = (file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".txt"))
    return frozenset(word.lower() for text in texts for word in re.findall(rf"{_LETTERS}{{3,}}", text))
