"""Candidates by rare shingles: every pair of texts that have enough in common, none missed.

Where two texts are at a limit, the shorter one, of a shingles, has at least m = ceil(least x a) in common with the
other (`Limits.least`). So whichever a - m + 1 shingles of it are looked at, one of them is in the other text (the
prefix filter of Chaudhuri, Ganti and Kaushik, ICDE 2006, here for containment). The rarest are looked at: most
texts have so many shingles of their own that nothing remains to compare them with. MinHash cannot do this: it is
blind to a short text inside a long one.

The shingles are sorted in portions on disk, so memory holds one portion, and the shared shingles of those texts of
which at least the share `least` is in other texts. The time is in proportion to the number of shingles, and to the
sizes of the groups of texts with a rare shingle in common.
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
_ENTRY = np.dtype([("key", np.int64), ("row", np.int32)])


def match(matcher: Matcher) -> None:
    """Give a matcher every pair of texts that may be at one of its limits."""
    with tempfile.TemporaryDirectory() as folder:
        portions = _Portions(matcher.texts, Path(folder))
        probes = _probes(matcher.texts, portions, matcher.limits)
        _pair(matcher, portions, probes)


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

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]]:
        """Yield the portions: shingles (sorted), rows, and in how many texts the shingle is."""
        for file in self._files:
            entries = np.fromfile(file, _ENTRY) if self._memory is None else self._memory
            keys = np.ascontiguousarray(entries["key"])
            bounds = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else keys
            amounts = np.diff(bounds, append=len(keys))
            yield keys, np.ascontiguousarray(entries["row"]), np.repeat(amounts, amounts)


def _entries(texts: Shingles, start: int, end: int) -> NDArray[np.void]:
    begin, stop = int(texts.offsets[start]), int(texts.offsets[end])
    entries = np.empty(stop - begin, _ENTRY)
    entries["key"] = texts.flat[begin:stop]
    entries["row"] = np.repeat(np.arange(start, end, dtype=np.int32), texts.sizes[start:end])
    return entries


def _probes(texts: Shingles, portions: _Portions, limits: Limits) -> NDArray[np.void]:
    """Return the shingles that are looked at: the rarest of each text that can be the shorter of a pair."""
    needed = np.ceil(limits.least * texts.sizes - 1e-9).astype(np.int64)
    needed = np.maximum(needed, 1)
    looked = portions.shared - needed + 1  # what is its own comes first among the rarest, and is in no other text
    found = []
    for keys, rows, amounts in portions:
        wanted = looked[rows] > 0
        part = np.empty(int(wanted.sum()), [*_ENTRY.descr, ("amount", np.int32)])
        part["key"], part["row"], part["amount"] = keys[wanted], rows[wanted], amounts[wanted]
        found.append(part)
    every = np.concatenate(found)
    found.clear()
    order = np.lexsort((every["key"], every["amount"], every["row"]))
    rows = every["row"][order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, np.arange(texts.rows))[rows]
    probes: NDArray[np.void] = every[order[rank < looked[rows]]]
    return probes


def _pair(matcher: Matcher, portions: _Portions, probes: NDArray[np.void]) -> None:
    """Pair each probe with the texts that hold its shingle and are at least as long."""
    probes = probes[np.argsort(probes["key"], kind="stable")]
    limit = CROWD if matcher.texts.rows > EXACT_BELOW else np.iinfo(np.int64).max
    crowds = []
    for keys, rows, _ in portions:
        mine = probes[probes["key"] % portions.count == (keys[0] % portions.count if len(keys) else -1)]
        asked, amounts = np.unique(mine["key"], return_counts=True)
        begins = np.searchsorted(keys, asked)
        counts = np.searchsorted(keys, asked, side="right") - begins
        crowded = amounts * counts > limit
        crowds += [rows[b : b + c].astype(np.int64) for b, c in zip(begins[crowded], counts[crowded], strict=True)]
        kept = np.repeat(~crowded, amounts)
        _across(
            matcher,
            mine["row"][kept].astype(np.int64),
            np.repeat(begins, amounts)[kept],
            np.repeat(counts, amounts)[kept],
            rows,
        )
    done, batch = 0, 1  # what the first few join, the others need not compare again
    while done < len(crowds):
        part = crowds[done : done + batch]
        matcher.add_crowds(np.concatenate(part), np.repeat(np.arange(len(part)), [len(crowd) for crowd in part]))
        done, batch = done + batch, batch * 2


def _across(
    matcher: Matcher,
    left: NDArray[np.int64],
    begins: NDArray[np.int64],
    counts: NDArray[np.int64],
    right: NDArray[np.int32],
) -> None:
    sizes = matcher.texts.sizes
    number = np.cumsum(counts) // ENUMERATED
    for places in np.split(np.arange(len(left)), np.flatnonzero(np.diff(number)) + 1):
        a, b = pairs_across(left[places], begins[places], counts[places], right.astype(np.int64))
        longer = sizes[b] >= sizes[a]
        matcher.add(a[longer], b[longer])
