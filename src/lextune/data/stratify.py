"""Spread families over the parts of a split so that each part is like the whole, in several ways at once.

A document belongs to one stratum of each kind: its contract type, the law it is drafted under, and how long it is. A
part of a share p should have p of every stratum. Families are placed one after another, each where the sum of
(placed - wanted)^2 / wanted over its strata, chi-squared, grows least; the rarest types come first, as in iterative
stratification (Sechidis, Tsoumakas and Vlahavas, 2011), because what is left can even out a common one.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from lextune.core.errors import shorten
from lextune.core.records import Document

GOVERNING_LAW = "Governing Law"
Part = TypeVar("Part")


class Item(NamedTuple):
    """What a split needs to know of a document: who it is, and its strata, of which `strata[0]` is its type."""

    id: str
    name: str
    strata: tuple[str, ...]


def item(document: Document) -> Item:
    """Return what a split needs to know of a document.

    Its law is the tag `drafting` where there is one, else the governing law as annotated. Lengths are grouped by
    powers of four characters.
    """
    law = document.tags.get("drafting")
    if law is None and GOVERNING_LAW in document.labels:
        law = document.labels[GOVERNING_LAW].answer
    strata = (
        f"type {document.contract_type or ''}",
        f"law {shorten((law or '').casefold(), 40)}",
        f"length {len(document.text).bit_length() // 2}",
    )
    return Item(document.id, document.name, strata)


def spread(
    families: Sequence[Sequence[Item]], targets: Mapping[Part, int], seed: int, overflow: Part | None = None
) -> dict[str, Part]:
    """Put every family into one part, never beyond the part's target but for `overflow`.

    Args:
        families: documents that stay together.
        targets: how many documents each part shall have; they add up to the number of documents.
        seed: draws the order of families that are alike.
        overflow: the part that takes a family that fits nowhere; None for no part.

    Returns:
        The part of each document by id; without `overflow`, documents of a family that fits nowhere are missing.
    """
    total = sum(map(len, families))
    everywhere = Counter(name for family in families for document in family for name in _strata(document))
    room = dict(targets)
    placed: defaultdict[tuple[str, Part], int] = defaultdict(int)
    assigned: dict[str, Part] = {}

    def order(family: Sequence[Item]) -> tuple[int, int, str, str]:
        kind = min(document.strata[0] for document in family)
        return -len(family), everywhere[kind], kind, _draw(seed, min(document.id for document in family))

    def growth(part: Part, strata: Counter[str]) -> float:
        share = targets[part] / total
        return sum(n * (2 * placed[name, part] + n) / (share * everywhere[name]) - 2 * n for name, n in strata.items())

    for family in sorted(families, key=order):
        fitting = [part for part in targets if room[part] >= len(family)]
        strata = Counter(name for document in family for name in _strata(document))
        if fitting:
            part = min(fitting, key=lambda part: growth(part, strata))
        elif overflow is not None:
            part = overflow
        else:
            continue
        room[part] -= len(family)
        for name, n in strata.items():
            placed[name, part] += n
        assigned.update((document.id, part) for document in family)
    return assigned


def _strata(document: Item) -> tuple[str, ...]:
    return (*document.strata, "all")


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
