"""American words and how British drafters spell them: one table, to tell a drafting by and to change it.

    british("authorized")      # "authorised"
    british("Harbor")          # "Harbour"
    british("size")            # None: it is spelt alike

What hangs on the sense of a word (licence and license, programme and program) is in `lextune.text.anglicise`.
"""

from __future__ import annotations

import functools
import re
from importlib import resources

ISE = (
    "organi|authori|recogni|reali|utili|minimi|maximi|summari|customi|commerciali|capitali|finali|penali|categori"
    "|standardi|centrali|optimi|speciali|prioriti|characteri|amorti|computeri|criticali|digiti|formali|generali"
    "|harmoni|initiali|itemi|locali|materiali|moderni|monopoli|neutrali|privati|sterili|subsidi|unauthori"
)
"""Beginnings of verbs in -ise or -ize that stand in contracts."""

OUR = "labo|favo|colo|hono|harbo|behavio|endeavo|neighbo|rumo|vigo"
"""Beginnings of words in -our or -or."""

PAIRS: dict[str, str]
"""Words by which a drafting is told, American to British."""
PAIRS, _FURTHER = (
    dict(line.split(maxsplit=1) for line in part.splitlines() if line and not line.startswith("#"))
    for part in resources.files("lextune.resources").joinpath("spelling.txt").read_text(encoding="utf-8").split("---\n")
)
_ENDING = "(?:s|ed|ing|er|ers|able|ably|ite|ites|ful|fully|less|al|ally|hood|hoods|ly)?"
_OR = re.compile(rf"(?P<stem>(?:un|dis|mis)?(?:{OUR}))r(?P<end>{_ENDING})")
_IZE = re.compile(r"(?P<stem>\w{3,}[iy])z(?P<end>e|ed|er|ers|es|ing|ation|ations|ational|able|ability)")
_ALIKE = re.compile(r".*(?:size|sized|sizes|sizing|sizable|prize|prized|prizes|seize|seized|seizes|seizing|maize)")


def british(word: str) -> str | None:
    """Return the British spelling of an American word, capitals kept; None where it is spelt alike, or unknown."""
    found = _british(word.lower())
    return found and like(found, word)


@functools.lru_cache(maxsize=16_384)
def _british(word: str) -> str | None:
    found = PAIRS.get(word) or _FURTHER.get(word)
    if found is not None:
        return found
    match = _OR.fullmatch(word)
    if match is not None and match["stem"] != "vigo":
        return f"{match['stem']}ur{match['end']}"
    match = _IZE.fullmatch(word)
    if match is not None and not _ALIKE.fullmatch(word):
        return f"{match['stem']}s{match['end']}"
    return None


def like(words: str, model: str) -> str:
    """Return lower-case words with the capitals of a model: all, of each word, of the first, or none."""
    if model.isupper() and len(model) > 1:
        return words.upper()
    if not model[:1].isupper():
        return words
    parts = model.split()
    if len(parts) > 1 and not all(part[:1].isupper() for part in parts):
        return words[:1].upper() + words[1:]
    return " ".join(part[:1].upper() + part[1:] for part in words.split(" "))
