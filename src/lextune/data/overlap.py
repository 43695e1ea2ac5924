"""Candidates by rare shingles: every pair of texts that have enough in common, none missed.

Where two texts are at a limit, the shorter one, of a shingles, has at least m = ceil(least x a) in common with the
other (`Limits.least`). So whichever a - m + 1 shingles of it are looked at, one of them is in the other text (the
prefix filter of Chaudhuri, Ganti and Kaushik, ICDE 2006, here for containment). The rarest are looked at: most
texts have so many shingles of their own that nothing remains to compare them with. MinHash cannot do this: it is
blind to a short text inside a long one.

The shingles are sorted in portions on disk, so memory holds one portion (2 million shingles), 4 million pairs and
about 200 bytes for each text: 0.4 GB where it was measured, with 3,200 contracts of 26 million shingles. The time is
in proportion to the number of shingles, and to the sizes of the groups of texts with a rare shingle in common.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lextune.data.pairing import Limits, Matcher, pairs_across
from lextune.data.shingles import Shingles

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT_BELOW = 2048  # different texts up to which a group of any size is compared in full
CROWD = 1 << 16  # pairs of one shingle beyond which leaders stand for the others
PORTION = 1 << 21  # shingles sorted at a time
PORTIONS = 256  # files at most: beyond 500 million shingles the portions grow
ENUMERATED = 1 << 21  # candidate pairs made at a time
STEPS = np.array([round(2 ** (half / 2)) for half in range(2, 26)])  # texts with a shingle: 2, 3, 4, 6, 8, 11, ...
_ENTRY = np.dtype([("key", np.int64), ("row", np.int32)])


def match(matcher: Matcher) -> None:
    """Give a matcher every pair of texts that may be at one of its limits."""
    with tempfile.TemporaryDirectory() as folder:
        portions = _Portions(matcher.texts, Path(folder))
        _pair(matcher, portions, _Probes(matcher.texts, portions, matcher.limits))


class _Portions:
    """All (shingle, row) of shingles in more than one text, in portions by shingle, each sorted."""

    def __init__(self, texts: Shingles, folder: Path) -> None:
        self.count = min(PORTIONS, max(1, -(-len(texts.flat) // PORTION)))
        self.shared = np.zeros(texts.rows, np.int64)
        self._files = [folder / str(number) for number in range(self.count)]
        self._memory: NDArray[np.void] | None = None
        if self.count == 1:
            self._memory = self._sorted(_entries(texts, 0, texts.rows))
            return
        self._scatter(texts)
        for file in self._files:
            self._sorted(np.fromfile(file, _ENTRY)).tofile(file)

    def _scatter(self, texts: Shingles) -> None:
        streams = [file.open("wb") for file in self._files]
        try:
            start = 0
            while start < texts.rows:
                end = int(np.searchsorted(texts.offsets, texts.offsets[start] + PORTION, side="right")) - 1
                end = max(start + 1, end)
                entries = _entries(texts, start, end)
                home = entries["key"] % self.count
                order = np.argsort(home, kind="stable")
                bounds = np.searchsorted(home[order], np.arange(self.count + 1))
                for number, stream in enumerate(streams):
                    entries[order[bounds[number] : bounds[number + 1]]].tofile(stream)
                texts.release()
                start = end
        finally:
            for stream in streams:
                stream.close()

    def _sorted(self, entries: NDArray[np.void]) -> NDArray[np.void]:
        """Sort by shingle, leave out those of a single text, and count for each text those that stay."""
        entries = entries[np.argsort(entries["key"], kind="stable")]
        keys = entries["key"]
        same = keys[1:] == keys[:-1]
        shared = np.zeros(len(keys), np.bool_)
        shared[1:] |= same
        shared[:-1] |= same
        entries = entries[shared]
        self.shared += np.bincount(entries["row"], minlength=len(self.shared))
        return entries

    def __iter__(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the portions: rows, shingle after shingle; where each shingle begins; in how many texts it is."""
        for file in self._files:
            entries = np.fromfile(file, _ENTRY) if self._memory is None else self._memory
            keys = entries["key"]
            begins = np.flatnonzero(np.concatenate([keys[:1] == keys[:1], keys[1:] != keys[:-1]]))
            yield np.ascontiguousarray(entries["row"]), begins, np.diff(begins, append=len(keys))


def _entries(texts: Shingles, start: int, end: int) -> NDArray[np.void]:
    begin, stop = int(texts.offsets[start]), int(texts.offsets[end])
    entries = np.empty(stop - begin, _ENTRY)
    entries["key"] = texts.flat[begin:stop]
    entries["row"] = np.repeat(np.arange(start, end, dtype=np.int32), texts.sizes[start:end])
    return entries


class _Probes:
    """Which shingles are looked at: the rarest of each text that can be the shorter of a pair.

    How rare they are is told in steps (`STEPS`), so a few counts for each text are held instead of its shingles. Of
    a step that is needed in part, the first in the order of the portions are taken, the same ones for all texts.
    """

    def __init__(self, texts: Shingles, portions: _Portions, limits: Limits) -> None:
        needed = np.maximum(np.ceil(limits.least * texts.sizes - 1e-9).astype(np.int64), 1)
        looked = portions.shared - needed + 1  # what is its own comes first among the rarest, and is in no other text
        reached = np.zeros((texts.rows, len(STEPS)), np.int32)
        for rows, _, amounts in portions:
            np.add.at(reached, (rows, np.repeat(_step(amounts), amounts)), 1)
        np.cumsum(reached, axis=1, out=reached)
        self._last = (reached < looked[:, None]).sum(axis=1)  # the step that is taken in part
        whole = np.take_along_axis(reached, np.maximum(self._last - 1, 0)[:, None], axis=1)[:, 0]
        self._left = looked - np.where(self._last > 0, whole, 0)

    def take(self, rows: NDArray[np.int32], steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of a portion that are looked at; each portion is asked once, in order."""
        taken = steps < self._last[rows]
        partly = np.flatnonzero(steps == self._last[rows])
        partly = partly[np.argsort(rows[partly], kind="stable")]
        mine = rows[partly]
        first = np.arange(len(mine)) - np.searchsorted(mine, mine) < self._left[mine]
        taken[partly[first]] = True
        np.subtract.at(self._left, mine[first], 1)
        return np.flatnonzero(taken)


def _step(amounts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(STEPS, amounts, side="right") - 1


def _pair(matcher: Matcher, portions: _Portions, probes: _Probes) -> None:
    """Pair each probe with the texts that hold its shingle and are at least as long."""
    limit = CROWD if matcher.texts.rows > EXACT_BELOW else np.iinfo(np.int64).max
    crowds = []
    for rows, begins, amounts in portions:
        shingle = np.repeat(np.arange(len(begins)), amounts)
        mine = probes.take(rows, _step(amounts)[shingle])
        crowded = np.bincount(shingle[mine], minlength=len(begins)) * amounts > limit
        crowds += [rows[b : b + c].copy() for b, c in zip(begins[crowded], amounts[crowded], strict=True)]
        mine = mine[~crowded[shingle[mine]]]
        asked = shingle[mine]
        _across(matcher, rows[mine].astype(np.int64), begins[asked], amounts[asked], rows)
    done, batch = 0, 1  # what the first few join, the others need not compare again
    while done < len(crowds):
        part = crowds[done : done + batch]
        buckets = np.repeat(np.arange(len(part)), [len(crowd) for crowd in part])
        matcher.add_crowds(np.concatenate(part).astype(np.int64), buckets)
        done, batch = done + batch, batch * 2


def _across(
    matcher: Matcher,
    left: NDArray[np.int64],
    begins: NDArray[np.int64],
    counts: NDArray[np.int64],
    right: NDArray[np.int32],
) -> None:
    sizes, others = matcher.texts.sizes, right.astype(np.int64)
    number = np.cumsum(counts) // ENUMERATED
    for places in np.split(np.arange(len(left)), np.flatnonzero(np.diff(number)) + 1):
        a, b = pairs_across(left[places], begins[places], counts[places], others)
        longer = sizes[b] >= sizes[a]
        matcher.add(a[longer], b[longer])
