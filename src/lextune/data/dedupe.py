"""Near-duplicates: pairs and families of texts that share most of their wording.

Two texts are compared by their sets of shingles, five words in a row each. Jaccard similarity is |A & B| / |A | B|;
containment is |A & B| / min(|A|, |B|), which also finds an amendment or a first part inside a longer document. Each
pair that is reported was counted exactly; the two ways differ in which pairs are counted:

- `near_duplicates` by MinHash: Jaccard similarity only, for any number of rows. One pair in a thousand at the
  threshold is missed, fewer above it.
- `overlaps` by rare shingles: both similarities, none missed among up to 2,048 different texts. Among more, a shingle
  that is rare for a text and yet in hundreds of others makes a crowd, whose members are compared with leaders only
  (`Near.exact` is false then).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product, takewhile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lextune.core.records import Document
from lextune.data import minhash, overlap
from lextune.data.pairing import Families, Found, Limits, Matcher, jaccards
from lextune.data.shingles import Shingles, hash_texts, shingles
from lextune.expert.tasks import OUTPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LEAK",
    "NEAR_DUPLICATE",
    "Limits",
    "Near",
    "Pair",
    "families",
    "joined",
    "near_duplicates",
    "opening",
    "overlaps",
    "own_words",
    "shingles",
    "similar_pairs",
    "wording",
]

NEAR_DUPLICATE = Limits(jaccard=0.8, containment=0.8)
LEAK = Limits(jaccard=0.5, containment=0.7, shortest=10)
FEW = 4  # texts
NEVER = 2.0  # a containment that no pair has
_ASKED_BEFORE = re.compile(
    r"\A(?:Classify this text(?:\.| with one of these labels:(?:\n- .*)+)\n\nAnswer with the label alone\.\n\n"
    r"|Translate this text(?: from .*)?(?: into .*)?\. Answer with the translation alone\.\n\n)"
)
_ASKED_AFTER = re.compile(
    r"\n\nAnswer(?: with the letter alone|, and cite each article that the answer rests on)\.\Z"
)  # with the one above, the prompts of `lextune.expert.tasks`


class Pair(NamedTuple):
    """Two documents (by their places in the sequence, a < b) and how alike they are, each in [0, 1]."""

    a: int
    b: int
    jaccard: float
    containment: float


class Near(NamedTuple):
    """Which of some texts are alike.

    `row_of[i]` is the row of text i: texts with the same words in the same order are one row. `root[r]` is the
    least row of the family of row r. `found` are the pairs of rows that were counted and are at or over a limit:
    they join each family; in a crowd they are not all of its pairs. `exact` says that they are all there are.
    `texts` are the shingles of the rows.
    """

    row_of: NDArray[np.int64]
    root: NDArray[np.int64]
    found: Found
    exact: bool
    texts: Shingles

    def jaccards(self, one: int, others: Sequence[int]) -> list[float]:
        """Return the Jaccard similarity of a text with each of some others, by their places, counted exactly."""
        row, rows = int(self.row_of[one]), self.row_of[list(others)]
        if len(others) <= FEW:  # most families: what was counted is looked up, which is faster
            known = [self._counted(row, other) for other in rows.tolist()]
            if None not in known:
                return [jaccard for jaccard in known if jaccard is not None]
        different, of = np.unique(rows, return_inverse=True)
        found: list[float] = jaccards(self.texts, row, different)[of].tolist()
        return found

    def _counted(self, one: int, other: int) -> float | None:
        """Return the Jaccard similarity of two rows where it was counted and at a limit."""
        if one == other:
            return 1.0
        a, b = min(one, other), max(one, other)
        begin, end = np.searchsorted(self.found.a, (a, a + 1))
        place = begin + np.searchsorted(self.found.b[begin:end], b)
        return float(self.found.jaccard[place]) if place < end and self.found.b[place] == b else None

    def families(self) -> Iterator[tuple[int, ...]]:
        """Yield the families by their members' places, each sorted, in the order of their first member."""
        yield from _grouped(self.root[self.row_of], 1)

    def repeated(self) -> Iterator[tuple[int, ...]]:
        """Yield the families of more than one text."""
        yield from _grouped(self.root[self.row_of], 2)

    def pairs(self) -> Iterator[Pair]:
        """Yield the pairs of texts, in no order: those of found rows, and all with the same words."""
        every = np.ones(len(self.row_of), np.bool_)
        members = self._members(np.ones(len(self.root), np.bool_), every)
        for places in members.values():
            yield from (Pair(a, b, 1.0, 1.0) for a, b in combinations(places, 2))
        yield from _expanded(self.found, members)

    def crossing(self, parts: NDArray[np.int64]) -> Iterator[Pair]:
        """Yield the pairs of texts in different parts, in no order.

        Args:
            parts: the number of each text's part, negative where it is in none.
        """
        rows = len(self.root)
        least, greatest = np.full(rows, np.iinfo(np.int64).max), np.full(rows, -1)
        used = parts >= 0
        np.minimum.at(least, self.row_of[used], parts[used])
        np.maximum.at(greatest, self.row_of[used], parts[used])
        a, b = self.found.a, self.found.b
        filled = (greatest[a] >= 0) & (greatest[b] >= 0)
        apart = filled & (np.minimum(least[a], least[b]) != np.maximum(greatest[a], greatest[b]))
        mixed = np.flatnonzero((greatest >= 0) & (least != greatest))
        found = self.found.take(apart)
        wanted = np.zeros(rows, np.bool_)
        for some in (mixed, found.a, found.b):
            wanted[some] = True
        members = self._members(wanted, used)
        for row in mixed.tolist():
            yield from (Pair(i, j, 1.0, 1.0) for i, j in combinations(members[row], 2) if parts[i] != parts[j])
        for pair in _expanded(found, members):
            if parts[pair.a] != parts[pair.b]:
                yield pair

    def _members(self, rows: NDArray[np.bool_], used: NDArray[np.bool_]) -> dict[int, list[int]]:
        """Return the used texts of some rows."""
        members: dict[int, list[int]] = {}
        for place in np.flatnonzero(rows[self.row_of] & used).tolist():
            members.setdefault(int(self.row_of[place]), []).append(place)
        return members


def _expanded(found: Found, members: dict[int, list[int]]) -> Iterator[Pair]:
    """Yield the pairs of texts that pairs of rows stand for."""
    for a, b, jaccard, containment in zip(*(column.tolist() for column in found), strict=True):
        for one, other in product(members[a], members[b]):
            yield Pair(min(one, other), max(one, other), jaccard, containment)


def wording(document: Document) -> str:
    """Return the words by which documents are compared: the text, and in a conversation what was said before it.

    The system's message, which all rows of a data set may share, is left out; so are answers, which are labels.
    """
    if not document.turns:
        return document.text
    return "\n".join([*(turn.content for turn in document.turns if turn.role != "system"), document.text])


def opening(documents: Iterable[Document]) -> str:
    """Return the paragraphs with which all rows begin, with the empty line after them: an instruction they share.

    Nothing where a document is no row of a conversation; then the others are not read.
    """
    shared: list[str] | None = None
    for document in documents:
        if shared == [] or OUTPUT not in document.labels:
            return ""
        first = wording(document).split("\n\n")[:-1]
        both = takewhile(lambda pair: pair[0] == pair[1], zip(shared or first, first, strict=False))
        shared = [paragraph for paragraph, _ in both]
    return "".join(f"{paragraph}\n\n" for paragraph in shared or ())


def own_words(document: Document, opening: str = "") -> str:
    """Return the words by which a document is told from the others: of a row, `wording` without its prompt.

    Args:
        document: a contract or a row.
        opening: what all rows begin with, as `opening` finds it. It and the prompt of the row's task are left out,
            unless nothing else is said.
    """
    text = wording(document)
    if OUTPUT not in document.labels:
        return text
    own = _ASKED_AFTER.sub("", _ASKED_BEFORE.sub("", text.removeprefix(opening)))
    return own if re.search(r"\w", own) else text


def near_duplicates(texts: Iterable[str], threshold: float = NEAR_DUPLICATE.jaccard, ray: str | None = None) -> Near:
    """Find texts with at least this Jaccard similarity: candidates by MinHash, each counted exactly.

    Args:
        texts: read once, in order.
        threshold: in (0, 1].
        ray: the address of a cluster that hashes the shingles.
    """
    matcher = Matcher(hash_texts(texts, ray=ray), Limits(threshold, NEVER))
    minhash.match(matcher, threshold)
    return _near(matcher)._replace(exact=False)


def overlaps(texts: Iterable[str], limits: Limits) -> Near:
    """Find texts at or over one of the limits; see the head of this module for what is exact."""
    matcher = Matcher(hash_texts(texts), limits)
    overlap.match(matcher)
    return _near(matcher)


def _near(matcher: Matcher) -> Near:
    found = matcher.finish()
    texts: Shingles = matcher.texts
    return Near(texts.row_of, matcher.families.roots(np.arange(texts.rows)), found, matcher.exact, texts)


def similar_pairs(texts: Iterable[str], limits: Limits) -> list[Pair]:
    """Return all pairs of texts at or over one of the limits, in order."""
    return sorted(overlaps(texts, limits).pairs())


def families(documents: Sequence[Document], limits: Limits = NEAR_DUPLICATE) -> list[tuple[str, ...]]:
    """Group documents: two that are alike, and all that a chain of such pairs joins, are one family.

    Returns:
        Families of document ids, every document in exactly one (alone where it is like no other), both in
        the order of `documents`.
    """
    shared = opening(documents)
    near = overlaps((own_words(document, shared) for document in documents), limits)
    return [tuple(documents[i].id for i in family) for family in near.families()]


def joined(count: int, pairs: Iterable[Pair]) -> Iterator[tuple[int, ...]]:
    """Yield the connected groups of 0..count-1, each sorted, in the order of their first."""
    edges = np.array([(pair.a, pair.b) for pair in pairs], np.int64).reshape(-1, 2)
    groups = Families(count)
    groups.join(edges[:, 0], edges[:, 1])
    yield from _grouped(groups.roots(np.arange(count)), 1)


def _grouped(roots: NDArray[np.int64], least: int) -> Iterator[tuple[int, ...]]:
    """Yield the places with the same root, where they are at least so many, in the order of their first."""
    order = np.argsort(roots, kind="stable")
    begins = np.flatnonzero(np.diff(roots[order], prepend=-1))
    sizes = np.diff(begins, append=len(order))
    begins, sizes = begins[sizes >= least], sizes[sizes >= least]
    for place in np.argsort(order[begins]).tolist():
        yield tuple(order[begins[place] : begins[place] + sizes[place]].tolist())
