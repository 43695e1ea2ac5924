"""What one optimizer step computes: which examples, in which passes, packed or padded.

The whole run is planned before it begins, from the lengths of the examples, the settings and the seed. So any step
can be computed again by itself, on one process or on many, and a run that was killed goes on with the step it was in.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from lextune.expert.engines.base import WORTH_SHARING, agreement
from lextune.train.segments import Segment, positions
from lextune.train.settings import TrainConfig


class Row(NamedTuple):
    """A text that is read once, and continuations of it, each an example of its own.

    Of a text that is an example itself (a window to tag) `branches` is empty. `learnt[i][j]` says whether token j of
    branch i is learnt, given what stands before it. `extra` is what a strategy needs besides. The branches of a `joint`
    row (the two answers of a preference) are one example together, which is never divided.
    """

    prefix: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...] = ()
    learnt: tuple[tuple[bool, ...], ...] = ()
    extra: Any = None
    joint: bool = False

    @property
    def examples(self) -> int:
        """How many examples it is."""
        return 1 if self.joint else self.sequences

    @property
    def sequences(self) -> int:
        """How many texts it is, each read from its beginning."""
        return max(1, len(self.branches))

    def some(self, branches: Sequence[int]) -> Row:
        """Return the row with these of its branches only."""
        return self._replace(
            branches=tuple(self.branches[i] for i in branches), learnt=tuple(self.learnt[i] for i in branches)
        )

    def apart(self) -> list[Row]:
        """Return one row for each example."""
        return [self.some([i]) for i in range(len(self.branches))] or [self]

    @property
    def tokens(self) -> int:
        """Tokens to compute, the prefix once."""
        return len(self.prefix) + sum(map(len, self.branches))

    @property
    def longest(self) -> int:
        """Tokens of its longest text."""
        return len(self.prefix) + max(map(len, self.branches), default=0)


Pass = tuple[Row, ...]


class Step(NamedTuple):
    """One optimizer step: for each process its passes. All have as many; what is too few is an empty pass."""

    passes: tuple[tuple[Pass, ...], ...]


def planned_steps(examples: int, config: TrainConfig) -> int:
    """Return the optimizer steps of a run over `examples`."""
    return max(1, min(config.steps or 10**9, math.ceil(examples * config.epochs / config.batch)))


class Plan(Sequence[Step]):
    """Every step of a run, in order; a step is made when it is asked for.

    Args:
        rows: the training rows.
        config: `batch` examples are in a step, `pass_tokens` tokens in a pass, `packing` or not.
        seed: draws the order of the rows, another in each epoch.
        world: processes that share a step.
    """

    def __init__(self, rows: Sequence[Row], config: TrainConfig, seed: int, world: int = 1) -> None:
        self._rows, self._config, self._world = rows, config, world
        examples = sum(row.examples for row in rows)
        steps = planned_steps(examples, config)
        self._left = min(math.ceil(examples * config.epochs), steps * config.batch)
        self._steps = list(_deal(rows, config.batch, self._left, seed))

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, number: Any) -> Any:
        """Return step `number` (from 0)."""
        chosen = [
            self._rows[row].some(branches) if branches else self._rows[row] for row, branches in self._steps[number]
        ]
        shares = share(chosen, self._world)
        passes = [divide(part, self._config) for part in shares]
        most = max(map(len, passes))
        return Step(tuple((*part, *((),) * (most - len(part))) for part in passes))


def _deal(rows: Sequence[Row], batch: int, examples: int, seed: int) -> Iterator[list[tuple[int, list[int]]]]:
    """Yield the (row, branches) of each step: `batch` examples each, a row cut in two where a step ends inside it."""
    step: list[tuple[int, list[int]]] = []
    room = min(batch, examples)
    if not examples:
        return
    for row in _order(len(rows), seed):
        branches = [] if rows[row].joint else list(range(len(rows[row].branches)))
        wanted = rows[row].examples
        while wanted:
            taken = min(wanted, room)
            step.append((row, branches[:taken]))
            branches, wanted, room, examples = branches[taken:], wanted - taken, room - taken, examples - taken
            if not room:
                yield step
                if not examples:
                    return
                step, room = [], min(batch, examples)


def _order(rows: int, seed: int) -> Iterator[int]:
    """Yield the places of rows, epoch after epoch without end, each shuffled by itself."""
    epoch = 0
    while True:
        order = list(range(rows))
        random.Random(f"{seed} {epoch}").shuffle(order)
        yield from order
        epoch += 1


def share(rows: Sequence[Row], world: int) -> list[list[Row]]:
    """Divide rows among processes, the largest first to whoever has the fewest tokens; their order stays."""
    loads, shares = [0] * world, [list[int]() for _ in range(world)]
    for place in sorted(range(len(rows)), key=lambda i: (-rows[i].tokens, i)):
        least = loads.index(min(loads))
        loads[least] += rows[place].tokens
        shares[least].append(place)
    return [[rows[place] for place in sorted(part)] for part in shares]


def divide(rows: Sequence[Row], config: TrainConfig) -> list[Pass]:
    """Divide rows into passes of at most `pass_tokens` tokens, padding included; a longer row has one of its own.

    Padded passes hold rows of like length; packed ones are filled first-fit, rows that begin alike side by side.
    """
    if not config.packing:
        parts = [part for row in rows for part in ([row] if row.joint else row.apart())]
        return _by_length(parts, config.pass_tokens)
    passes: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: (row.prefix[:WORTH_SHARING], -row.tokens)):
        fits = (one for one in passes if tokens_of([*one, row]) <= config.pass_tokens)
        one = next(fits, None)
        if one is None:
            passes.append([row])
        else:
            one.append(row)
    return [tuple(one) for one in passes]


def tokens_of(rows: Sequence[Row]) -> int:
    """Return the tokens that a packed pass computes: the beginning that its rows share counts once."""
    return sum(row.tokens for row in rows) - (len(rows) - 1) * _root(rows)


def _root(rows: Sequence[Row]) -> int:
    """Return how many tokens all of several rows begin with, 0 where it is not worth a segment of its own."""
    if len(rows) < 2 or not all(row.branches for row in rows):
        return 0
    shared = min(agreement(rows[0].prefix, row.prefix) for row in rows[1:])
    return shared if shared >= WORTH_SHARING else 0


def _by_length(rows: Sequence[Row], limit: int) -> list[Pass]:
    passes: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: row.longest):  # so that the last of a pass is its longest
        if passes and (sum(other.sequences for other in passes[-1]) + row.sequences) * row.longest <= limit:
            passes[-1].append(row)
        else:
            passes.append([row])
    return [tuple(rows) for rows in passes]


class Learnt(NamedTuple):
    """Which places of a pass predict what: for each learnt token its place before, its id, and its branch (owner)."""

    sources: list[int]
    targets: list[int]
    owners: list[int]


def packed(rows: Sequence[Row]) -> tuple[dict[str, Any], Learnt, list[int]]:
    """Return rows as one row of T tokens: the model's inputs, what is learnt, and where each row begins.

    The inputs are `input_ids` and `position_ids` [1, T], `lengths` [1, T] (tokens of the example a token is in) and
    `segments`. Places and owners (branches) count through the pass. What all rows begin with is there once; where a
    row begins then is one token past that.
    """
    import torch

    root = _root(rows)
    ids, lengths, segments, starts = [*rows[0].prefix[:root]], [root] * root, list[Segment](), list[int]()
    learnt, owner = Learnt([], [], []), 0
    if root:
        segments.append(Segment(0, root))
    for row in rows:
        start = len(ids)
        starts.append(start)
        before = ((0, root),) if root else ()
        alone = len(row.branches) == 1
        own = row.prefix[root:] + (row.branches[0] if alone else ())
        ids += own
        lengths += [root + len(own)] * len(own)
        if own:
            segments.append(Segment(start, len(ids), before))
        if not alone and own:
            before = (*before, (start, len(ids)))
        for number, (branch, flags) in enumerate(zip(row.branches, row.learnt, strict=True)):
            first = start + len(row.prefix) - root if alone else len(ids)
            last = start + len(row.prefix) - root - 1 if len(row.prefix) > root else root - 1
            if not alone:
                ids += branch
                lengths += [len(row.prefix) + len(branch)] * len(branch)
                segments.append(Segment(first, len(ids), before))
            _learn(learnt, branch, flags, places=(last, first), owner=owner + number)
        owner += row.sequences
    inputs = {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions(segments)]),
        "lengths": torch.tensor([lengths]),
        "segments": tuple(segments),
    }
    return inputs, learnt, starts


def padded(rows: Sequence[Row], pad: int) -> tuple[dict[str, Any], Learnt, list[int]]:
    """Return rows as a batch padded on the right, one example each: see `packed`; here with `attention_mask`."""
    import torch

    singles = [single for row in rows for single in row.apart()]
    width = max(single.tokens for single in singles)
    ids, mask, learnt = list[list[int]](), list[list[int]](), Learnt([], [], [])
    for owner, single in enumerate(singles):
        text = [*single.prefix, *(single.branches[0] if single.branches else ())]
        ids.append(text + [pad] * (width - len(text)))
        mask.append([1] * len(text) + [0] * (width - len(text)))
        if single.branches:
            first = owner * width + len(single.prefix)
            _learn(learnt, single.branches[0], single.learnt[0], places=(first - 1, first), owner=owner)
    attention = torch.tensor(mask)
    inputs = {
        "input_ids": torch.tensor(ids),
        "attention_mask": attention,
        "lengths": attention.sum(1, keepdim=True).expand(-1, width),
    }
    return inputs, learnt, [owner * width for owner in range(len(singles))]


def _learn(
    learnt: Learnt, branch: Sequence[int], flags: Sequence[bool], *, places: tuple[int, int], owner: int
) -> None:
    """Note the learnt tokens of a branch; `places` are what stands before its first token, and that token."""
    before, first = places
    for number, (token, yes) in enumerate(zip(branch, flags, strict=True)):
        if yes:
            learnt.sources.append(before if number == 0 else first + number - 1)
            learnt.targets.append(token)
            learnt.owners.append(owner)


def together(rows: Iterable[Row], same: Callable[[Row], object], least: int) -> list[Row]:
    """Put rows of one branch that ask of one text into one row of several branches.

    Args:
        rows: rows as they come; those that share a text must follow one another.
        same: what tells that two rows may share (the window they are about).
        least: share of a prompt, in percent, that must be common at its beginning.

    What stands after the common text moves into the branches, where it is not learnt.
    """
    out: list[list[Row]] = []
    common: list[int] = []
    for row in rows:
        if out and len(row.branches) == 1 and same(out[-1][0]) == same(row):
            shared = min(common[-1], agreement(out[-1][0].prefix, row.prefix))
            if shared * 100 >= least * len(row.prefix):
                out[-1].append(row)
                common[-1] = shared
                continue
        out.append([row])
        common.append(len(row.prefix) if len(row.branches) == 1 else 0)
    return [group[0] if len(group) == 1 else _joined(group, shared) for group, shared in zip(out, common, strict=True)]


def _joined(rows: Sequence[Row], shared: int) -> Row:
    return Row(
        rows[0].prefix[:shared],
        tuple(row.prefix[shared:] + row.branches[0] for row in rows),
        tuple((False,) * (len(row.prefix) - shared) + row.learnt[0] for row in rows),
        rows[0].extra,
    )
