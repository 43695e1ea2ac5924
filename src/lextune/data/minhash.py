"""Candidates by MinHash: texts whose sketches agree in a whole band (locality-sensitive hashing).

A sketch has P slots; two texts with Jaccard similarity j agree in a slot with probability j. Cut into b bands of r
slots, they agree in at least one band with probability 1 - (1 - j^r)^b (Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, 3.4.2). rensa makes the sketches, and says in one pass which texts share a band with any other:
only those are looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lextune.data.pairing import Matcher, pairs_within
from lextune.data.shingles import Shingles, release, spooled

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSED = 0.001  # the probability that a pair at the threshold shares no band
SLOTS = (64, 128)
SEED = 42
CROWD = 64  # members of a bucket of which all pairs are compared
SKETCHED = 1 << 24  # shingles up to which all sketches are made in one call, which holds a copy of them
BLOCK = 1 << 21  # shingles and slots of the sketches that are unpacked at a time
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Banding(NamedTuple):
    """How sketches are cut."""

    bands: int
    rows: int

    def share(self, jaccard: float) -> float:
        """Return the probability that two texts of this similarity become candidates."""
        return float(1 - (1 - jaccard**self.rows) ** self.bands)


def banding(threshold: float) -> Banding:
    """Return the widest bands that miss at most one in a thousand of the pairs at the threshold.

    Wider bands let fewer unlike pairs through. Under about 0.32 even single slots miss more; they are used there.
    """
    for rows in (8, 4, 2, 1):
        for slots in SLOTS:
            found = Banding(slots // rows, rows)
            if 1 - found.share(threshold) <= MISSED:
                return found
    return Banding(SLOTS[-1], 1)


def match(matcher: Matcher, threshold: float) -> None:
    """Give a matcher the pairs of texts that may have this Jaccard similarity.

    All pairs of a bucket of at most `CROWD` texts are candidates; in larger ones leaders stand for the others.
    """
    crowds = []
    for rows, ends, starts in _buckets(matcher.texts, banding(threshold)):
        sizes = ends - starts
        small = sizes <= CROWD
        kept = np.cumsum(small) - 1  # places move up where crowded buckets are left out
        shift = np.arange(len(rows)) - kept
        matcher.add(*pairs_within(rows[small], (ends - shift)[small]))
        crowds.append((rows[~small].astype(np.int32), starts[~small].astype(np.int32)))
    for members, buckets in crowds:
        matcher.add_crowds(members.astype(np.int64), buckets.astype(np.int64))


Buckets = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]


def _buckets(texts: Shingles, cut: Banding) -> Iterator[Buckets]:
    """Yield, band by band, the rows that share it with another, bucket after bucket, and each one's ends."""
    rows, bands = _keys(texts, cut)
    for keys in bands:
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order], prepend=~keys[order[:1]])) if len(order) else np.zeros(0, np.int64)
        release(keys)
        sizes = np.diff(edges, append=len(order))
        shared = np.repeat(sizes > 1, sizes)
        sizes = sizes[sizes > 1]
        ends = np.cumsum(sizes)
        yield rows[order[shared]], np.repeat(ends, sizes), np.repeat(ends - sizes, sizes)


def _keys(texts: Shingles, cut: Banding) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the rows that may share a band with another, and a number for each of their bands (bands x rows)."""
    rows, slots = np.flatnonzero(texts.sizes), cut.bands * cut.rows
    if 0 < len(texts.flat) <= SKETCHED:
        from rensa import RMinHashLSH

        index = RMinHashLSH(0.5, slots, cut.bands)  # its threshold is not used for what is asked here
        flags = index.query_duplicate_flags_matrix_one_shot(_digest(texts, rows, slots))
        rows = rows[np.array(flags, np.bool_)]
    number = np.cumsum(texts.sizes[rows] + slots) // BLOCK
    parts = np.split(rows, np.flatnonzero(np.diff(number)) + 1) if len(rows) else []
    keys, done = spooled((cut.bands, len(rows)), np.uint64), 0
    for part in parts:
        sketches = _rows(_digest(texts, part, slots), slots).reshape(-1, cut.bands, cut.rows)
        mixed = np.zeros(sketches.shape[:2], np.uint64)
        for column in np.moveaxis(sketches, 2, 0):
            mixed = (mixed ^ (mixed >> np.uint64(29)) ^ column) * _MULTIPLIER
        keys[:, done : done + len(part)] = mixed.T
        release(keys)
        done += len(part)
    return rows, keys


def _digest(texts: Shingles, rows: NDArray[np.int64], slots: int) -> Any:
    from rensa import RMinHash

    sizes = texts.sizes[rows]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    flat = texts.flat
    if len(flat) != offsets[-1]:
        flat = flat[np.repeat(texts.offsets[rows] - offsets[:-1], sizes) + np.arange(offsets[-1])]
    flat = np.ascontiguousarray(flat).view(np.uint64)
    made = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets.astype(np.uint64), slots, SEED)
    texts.release()
    return made


def _rows(digest: Any, slots: int) -> NDArray[np.uint32]:
    rows = digest.to_rows()
    return np.fromiter(chain.from_iterable(rows), np.uint32, len(rows) * slots).reshape(-1, slots)
