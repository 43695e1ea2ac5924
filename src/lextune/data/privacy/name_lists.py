"""Which words are given names and surnames of people, and which words of a contract are not.

Names are those of Faker's locales in Latin script; the words that are not names are `resources/not_names.yaml`
and the gazetteer of `lextune.text.jurisdictions`.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
import unicodedata
from importlib import resources
from typing import NamedTuple

from lextune.core.recipe import parse_yaml
from lextune.text.jurisdictions import PARENT

_LATIN = re.compile(r"[^\W\d_][\w'’-]{1,30}")
MEN = ("edward", "prince")  # of whom an island is


class Lists(NamedTuple):
    """Words folded by `fold`: given names and surnames of people; `ambiguous` are given names that are also words."""

    given: frozenset[str]
    surnames: frozenset[str]
    never: frozenset[str]
    organisation: frozenset[str]
    places: frozenset[str]
    ambiguous: frozenset[str]
    particles: frozenset[str]
    honorifics: frozenset[str]
    family_first: frozenset[str]
    abbreviations: frozenset[str]

    def is_given(self, word: str) -> bool:
        """Say whether a folded word is a given name; a double one ("Mary-Beth") is, where both halves are."""
        return word in self.given or ("-" in word and all(part in self.given for part in word.split("-")))

    def is_surname(self, word: str) -> bool:
        """Say whether a folded word is a surname, or has a half that is one ("Adeyemi-Bright", "al-Farsi")."""
        return word in self.surnames or ("-" in word and any(part in self.surnames for part in word.split("-")))


def fold(word: str) -> str:
    """Return a word as it is looked up: lower case, without accents, `’` as `'`."""
    plain = unicodedata.normalize("NFKD", word.replace("’", "'").casefold())
    return plain if plain.isascii() else "".join(c for c in plain if not unicodedata.combining(c))


@functools.cache
def name_lists() -> Lists:
    """Return the lists, read once (about a second)."""
    words = parse_yaml(
        resources.files("lextune.resources").joinpath("not_names.yaml").read_text(encoding="utf-8"), "not_names.yaml"
    )
    lists = {name: frozenset(fold(w) for w in text.split()) for name, text in words.items()}
    found_given, found_surnames = _faker_names()
    given, surnames = found_given | lists["given"], found_surnames | lists["surnames"]
    states = frozenset(fold(word) for place in (*PARENT, *PARENT.values()) for word in place.split())
    places = lists["places"] | states.difference(MEN)
    ambiguous = lists["ambiguous"] | given.intersection(places)
    never = lists["never"].difference(lists["ambiguous"])
    known = (given.difference(never), surnames, never, lists["organisation"], places, ambiguous)
    small = (lists["particles"], lists["honorifics"], lists["family_first"], lists["abbreviations"])
    return Lists(*known, *small)


def _faker_names() -> tuple[frozenset[str], frozenset[str]]:
    person = importlib.import_module("faker.providers.person")
    found: dict[str, set[str]] = {"first_name": set(), "last_name": set()}
    for module in pkgutil.iter_modules(person.__path__):
        provider = importlib.import_module(f"faker.providers.person.{module.name}").Provider
        for attribute, values in vars(provider).items():
            for prefix, words in found.items():
                if attribute.startswith(prefix) and isinstance(values, dict | tuple | list | set):
                    words.update(fold(v) for v in values if isinstance(v, str) and _LATIN.fullmatch(v))
    return frozenset(found["first_name"]), frozenset(found["last_name"])
