"""From buckets of texts that may be alike to pairs that are, counted exactly, and to families.

A bucket is a group of texts that share something (a band of their sketches, a rare shingle). In a small one all
pairs are compared. In a crowded one, a form that ten thousand texts repeat, that would take the square of their
number: there the texts that are not yet in one family are compared with a few leaders and with the next in size,
so the cost stays in proportion to the number of texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lextune.data.shingles import Shingles

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEADERS = 16  # rounds of a crowded bucket
COMPARED = 1 << 21  # shingles of both sides that are compared at a time
GATHERED = 1 << 22  # pairs that are held before they are compared


class Limits(NamedTuple):
    """From where on two documents are too alike; either limit suffices.

    A text of fewer than `shortest` shingles is not said to be contained in another: a few words are in many.
    """

    jaccard: float
    containment: float
    shortest: int = 1

    @property
    def least(self) -> float:
        """The share of the shorter text's shingles that two texts at a limit have in common, at least.

        Of sets of a <= b shingles with c in common, c / (a + b - c) >= j means c >= j (a + b) / (1 + j), which
        is at least 2 j a / (1 + j).
        """
        return min(2 * self.jaccard / (1 + self.jaccard), self.containment)


class Found(NamedTuple):
    """Pairs of rows, a < b, and how alike they are: arrays of one length."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    jaccard: NDArray[np.float64]
    containment: NDArray[np.float64]

    def take(self, places: Any) -> Found:
        """Return some of the pairs."""
        return Found(*(values[places] for values in self))


def joined_found(parts: Iterable[Found]) -> Found:
    """Return all pairs, sorted, each once."""
    nothing = Found(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    every = Found(*(np.concatenate(columns) for columns in zip(nothing, *parts, strict=True)))
    order = np.lexsort((every.b, every.a))
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(every.a[order]) != 0) | (np.diff(every.b[order]) != 0)
    return every.take(order[first])


class Families:
    """Union-find over arrays: the root of a family is its least member."""

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count)

    def roots(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the root of each node."""
        found = self._parent[nodes]
        while not np.array_equal(above := self._parent[found], found):
            found = above
        self._parent[nodes] = found
        return found

    def join(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
        """Make the families of a[i] and b[i] one, for each i."""
        while len(a):
            a, b = self.roots(a), self.roots(b)
            apart = a != b
            a, b = a[apart], b[apart]
            np.minimum.at(self._parent, np.maximum(a, b), np.minimum(a, b))


@dataclass
class Matcher:
    """Compares the rows of one set of texts, and remembers which are alike."""

    texts: Shingles
    limits: Limits
    families: Families = field(init=False)
    exact: bool = field(init=False, default=True)
    """Whether every pair of every bucket was compared."""
    _pairs: list[NDArray[np.int64]] = field(init=False, default_factory=list)
    _gathered: int = field(init=False, default=0)
    _found: list[Found] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.families = Families(self.texts.rows)

    def add(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
        """Note pairs to compare; a pair may come more than once."""
        keys = np.minimum(a, b) * self.texts.rows + np.maximum(a, b)
        self._pairs.append(keys[a != b])
        self._gathered += len(self._pairs[-1])
        if self._gathered >= GATHERED:
            self._flush()

    def add_crowds(self, members: NDArray[np.int64], buckets: NDArray[np.int64]) -> None:
        """Compare the members of crowded buckets with leaders and neighbours; later than all `add`.

        Args:
            members: rows.
            buckets: the number of the bucket that each is in.
        """
        self._flush()
        self.exact = self.exact and not len(members)
        order = np.lexsort((members, -self.texts.sizes[members], buckets))
        rest, buckets = members[order], buckets[order]
        alone = _firsts(np.lexsort((self.families.roots(rest), buckets)), buckets, self.families.roots(rest))
        rest, buckets = rest[alone], buckets[alone]
        for _ in range(LEADERS):
            begins = np.flatnonzero(np.diff(buckets, prepend=-1))
            leader = np.repeat(rest[begins], np.diff(begins, append=len(rest)))
            self._compare(leader[leader != rest], rest[leader != rest])
            apart = self.families.roots(rest) != self.families.roots(leader)
            rest, buckets = rest[apart], buckets[apart]
        same = buckets[1:] == buckets[:-1]
        self._compare(rest[:-1][same], rest[1:][same])

    def finish(self) -> Found:
        """Return all pairs of rows at or over a limit, sorted, each once."""
        self._flush()
        return joined_found(self._found)

    def _flush(self) -> None:
        if self._gathered:
            keys = np.concatenate(self._pairs)
            self._pairs, self._gathered = [], 0
            keys.sort()
            keys = keys[np.diff(keys, prepend=-1) > 0]
            if self._found:  # what is alike is not compared and held again
                self._found = [joined_found(self._found)]
                known = self._found[0].a * self.texts.rows + self._found[0].b
                keys = keys[known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] != keys]
            self._compare(keys // self.texts.rows, keys % self.texts.rows)

    def _compare(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
        for part in _portions(self.texts.sizes[a] + self.texts.sizes[b], COMPARED):
            found = self._alike(a[part], b[part])
            self.texts.release()
            if len(found.a):
                self.families.join(found.a, found.b)
                self._found.append(found)

    def _alike(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> Found:
        common, sizes = _in_common(self.texts, a, b), self.texts.sizes
        shorter = np.minimum(sizes[a], sizes[b])
        jaccard = common / np.maximum(sizes[a] + sizes[b] - common, 1)
        containment = common / np.maximum(shorter, 1)
        contained = (containment >= self.limits.containment) & (shorter >= self.limits.shortest)
        alike = (jaccard >= self.limits.jaccard) | contained
        return Found(np.minimum(a, b), np.maximum(a, b), jaccard, containment).take(alike)


def jaccards(texts: Shingles, row: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Jaccard similarity of a row with each of some others, counted exactly."""
    found = [np.zeros(0)]
    for part in _portions(texts.sizes[others] + texts.sizes[row], COMPARED):
        b = others[part]
        common = _in_common(texts, np.full(len(b), row), b)
        found.append(common / np.maximum(texts.sizes[row] + texts.sizes[b] - common, 1))
        texts.release()
    return np.concatenate(found)


def _in_common(texts: Shingles, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many shingles the rows a[i] and b[i] have in common, for each i."""
    common: NDArray[np.int64] = np.diff(texts.matrix[a].multiply(texts.matrix[b]).tocsr().indptr)
    return common


def _firsts(order: NDArray[np.int64], *keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, ascending, the first place of each combination of keys; `order` sorts by them, and is stable."""
    new = np.zeros(len(order), np.bool_)
    new[:1] = True
    for key in keys:
        new[1:] |= np.diff(key[order]) != 0
    return np.sort(order[new])


def _portions(weights: NDArray[np.int64], limit: int) -> Iterator[slice]:
    """Cut a range where the weights add up to the limit; a part has at least one element."""
    total = np.cumsum(weights)
    start = 0
    while start < len(weights):
        done = total[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(total, done + limit, side="right")))
        yield slice(start, end)
        start = end


def pairs_within(rows: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of rows of the same bucket.

    Args:
        rows: the members of all buckets, one bucket after another.
        ends: for each place in `rows`, where its bucket ends.
    """
    places = np.arange(len(rows))
    later = ends - places - 1
    first = np.repeat(places, later)
    begins = np.cumsum(later) - later
    second = np.arange(len(first)) - np.repeat(begins, later) + first + 1
    return rows[first], rows[second]


def pairs_across(
    left: NDArray[np.int64], begins: NDArray[np.int64], counts: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each `left[i]` with each of `right[begins[i]:begins[i] + counts[i]]`."""
    offsets = np.cumsum(counts) - counts
    places = np.arange(int(counts.sum())) + np.repeat(begins - offsets, counts)
    return np.repeat(left, counts), right[places]
