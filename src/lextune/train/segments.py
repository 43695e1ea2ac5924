"""Who sees whom in a pass: each example itself alone, and beginnings that several examples share.

A pass holds examples one after another in one row of T tokens, without padding. The tokens of a segment see all of
the stretches before it that belong to their example, and of the segment itself what stands at or before them, or all
of it where it is read in both directions. Two
ways give the same numbers: `lextune.train.kernels.attend`, which computes each segment by itself and so spends
nothing on what is hidden, and `block_mask`, a mask for any attention implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Stretch = tuple[int, int]


class Segment(NamedTuple):
    """Tokens [start, end) of a row, which see the stretches `before` them, each [first, one past the last).

    Of the segment itself a token sees what stands at or before it, and `bidirectional` all.
    """

    start: int
    end: int
    before: tuple[Stretch, ...] = ()
    bidirectional: bool = False

    @property
    def offset(self) -> int:
        """How many tokens of its example stand before it."""
        return sum(b - a for a, b in self.before)


def positions(segments: Sequence[Segment]) -> list[int]:
    """Return the position of each token in its own example: a segment counts on from what is before it."""
    out: list[int] = []
    for segment in segments:
        out += range(segment.offset, segment.offset + segment.end - segment.start)
    return out


def block_mask(segments: Sequence[Segment], length: int) -> Any:
    """Return the mask [1, 1, length, length] of `segments`: True where a token (row) may look (column).

    A token beyond the segments (padding) sees itself, so that no row is empty.
    """
    import torch

    mask = torch.eye(length, dtype=torch.bool)
    for s in segments:
        own = torch.ones(s.end - s.start, s.end - s.start, dtype=torch.bool)
        mask[s.start : s.end, s.start : s.end] = own if s.bidirectional else own.tril()
        for first, end in s.before:
            mask[s.start : s.end, first:end] = True
    return mask[None, None]
