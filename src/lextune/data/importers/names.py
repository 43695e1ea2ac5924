"""Names that should be equal and are not: file names, column names, contract types.

CUAD writes the name of one contract in several ways (case, Unicode form, punctuation, cut at some length),
and the names of its categories in two. Names are compared by key: letters and digits only, without accents
and case.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lextune.text.contract_types import ENDING

NO_TEXT = "no text has this name"
CUT_LENGTH = 40  # a shorter key is not taken for the beginning of a longer one


def name_key(name: str) -> str:
    """Return the letters and digits of a name, without accents, case or a `.pdf`/`.txt` ending."""
    plain = unicodedata.normalize("NFKD", ENDING.sub("", name)).casefold()
    return "".join(character for character in plain if character.isalnum())


class Matches(NamedTuple):
    """`pairs` maps the index of a wanted name to the index of the one it matches; `failures` says why not."""

    pairs: dict[int, int]
    failures: dict[int, str]


def match_names(wanted: Sequence[str], available: Sequence[str]) -> Matches:
    """Match each wanted name with one of those available, one to one.

    Three rules in turn, each for the names that the ones before left over: the same name, the same key, one
    key the beginning of the other (at least `CUT_LENGTH` long, and more than a copy's number apart). A name
    that fits several, or that several fit, matches nothing.
    """
    pairs: dict[int, int] = {}
    failures: dict[int, str] = {}
    keys, available_keys = [name_key(n) for n in wanted], [name_key(n) for n in available]
    exact = [unicodedata.normalize("NFC", ENDING.sub("", n)) for n in wanted]
    available_exact = [unicodedata.normalize("NFC", ENDING.sub("", n)) for n in available]
    _match_equal(exact, available_exact, pairs, failures)
    _match_equal(keys, available_keys, pairs, failures)
    _match_cut(keys, available_keys, pairs, failures)
    for index in range(len(wanted)):
        if index not in pairs:
            failures.setdefault(index, NO_TEXT)
    return Matches(pairs, failures)


def _match_equal(
    wanted: Sequence[str], available: Sequence[str], pairs: dict[int, int], failures: dict[int, str]
) -> None:
    places = defaultdict(list)
    for index in _free(available, pairs.values()):
        places[available[index]].append(index)
    open_ = [index for index in _free(wanted, pairs) if index not in failures]
    asked = Counter(wanted[index] for index in open_)
    for index in open_:
        found = places.get(wanted[index], [])
        if len(found) == 1 and asked[wanted[index]] == 1:
            pairs[index] = found[0]
        elif found:
            failures[index] = _ambiguous(asked[wanted[index]], len(found))


def _match_cut(
    wanted: Sequence[str], available: Sequence[str], pairs: dict[int, int], failures: dict[int, str]
) -> None:
    free = _free(available, pairs.values())
    found = {
        index: [place for place in free if _is_cut(wanted[index], available[place])]
        for index in _free(wanted, pairs)
        if index not in failures
    }
    asked = Counter(place for places in found.values() for place in places)
    for index, places in found.items():
        if len(places) == 1 and asked[places[0]] == 1:
            pairs[index] = places[0]
        elif places:
            failures[index] = _ambiguous(max(asked[place] for place in places), len(places))


def _free(names: Sequence[str], used: Iterable[int]) -> list[int]:
    taken = set(used)
    return [index for index in range(len(names)) if index not in taken]


def _is_cut(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    rest = long[len(short) :]
    return len(short) >= CUT_LENGTH and long.startswith(short) and not rest.isdigit()


def _ambiguous(rows: int, files: int) -> str:
    return f"ambiguous name: it stands for {rows} of the names given and {files} of the texts"
