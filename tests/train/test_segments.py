"""Segments: positions and the mask, against what they say in words."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.train.segments import Segment, block_mask, positions

SHARED = (Segment(0, 4), Segment(4, 6, ((0, 4),)), Segment(6, 9, ((0, 4),)), Segment(9, 12))


def test_a_segment_counts_on_from_what_is_before_it() -> None:
    assert positions(SHARED) == [0, 1, 2, 3, 4, 5, 4, 5, 6, 0, 1, 2]


def test_the_mask_of_a_shared_text_and_a_row_of_its_own() -> None:
    rows = [
        "x...........",
        "xx..........",
        "xxx.........",
        "xxxx........",
        "xxxxx.......",
        "xxxxxx......",
        "xxxx..x.....",
        "xxxx..xx....",
        "xxxx..xxx...",
        ".........x..",
        ".........xx.",
        ".........xxx",
        "............x",
    ]
    expected = [[place < len(row) and row[place] == "x" for place in range(13)] for row in rows]
    assert block_mask(SHARED, 13)[0, 0].tolist() == expected, "the last token is padding"


def test_the_mask_of_a_row_that_is_read_in_both_directions() -> None:
    segments = (Segment(0, 2), Segment(2, 5, ((0, 2),), bidirectional=True))
    rows = ["x....", "xx...", "xxxxx", "xxxxx", "xxxxx"]
    assert block_mask(segments, 5)[0, 0].tolist() == [[c == "x" for c in row] for row in rows]


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(1, 6), st.lists(st.integers(1, 4), max_size=3)), min_size=1, max_size=4),
)
@settings(max_examples=40)
def test_who_sees_whom(root: int, groups: list[tuple[int, list[int]]]) -> None:
    """Each token sees its own example up to itself, which is as many tokens as its position says, and one."""
    segments, place = [Segment(0, root)], root
    for prefix, branches in groups:
        own = (place, place + prefix)
        segments.append(Segment(*own, ((0, root),)))
        place += prefix
        for length in branches:
            segments.append(Segment(place, place + length, ((0, root), own)))
            place += length
    mask = block_mask(segments, place)[0, 0]
    assert mask.shape == (place, place)
    assert not mask.triu(1).any()
    assert mask.sum(1).tolist() == [position + 1 for position in positions(segments)]
    for s in segments:
        seen = [place for a, b in (*s.before, (s.start, s.end)) for place in range(a, b)]
        assert mask[s.end - 1].nonzero().flatten().tolist() == seen
