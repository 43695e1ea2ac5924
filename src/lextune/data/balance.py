"""Balance: which training windows are kept, repeated and left out, and why.

    table = Table()                          # one line a window, a few numbers each
    table.add(document=0, contract_type="Lease", example=window_example)
    plan = make_plan(table, BalanceConfig(per_field=3, rare=20), negatives=0.5, seed=0)
    plan.order                               # places in the table, in the order to train on

A window without any clause is *empty*. A window is a negative of a field that was assessed in it and that it does
not state, so the windows of other fields are negatives too; those that teach most are *near*: beside a window that
states the field, or under the same heading. The plan never holds a window's text.
"""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from pydantic import Field

from lextune.core.errors import RecipeError
from lextune.core.recipe import Config

ENOUGH = "a window without a clause, over train.negatives"
CAPPED = "its contract type has its share, balance.per_type"
BESIDE = 1  # windows before and after one that states a field which are near it


class BalanceConfig(Config):
    """How training windows are chosen, beyond `train.negatives`; nothing more by default."""

    per_field: float | None = Field(None, gt=0)
    """Windows without a field, at least, for each window with it, field by field; null for no such rule."""
    near: float = Field(0.5, ge=0, le=1)
    """Share of those that are hard: beside a window with the field, or under the same heading."""
    per_type: float | None = Field(None, gt=0, le=1)
    """The largest share of the windows that one contract type may have; null for no limit."""
    rare: int | None = Field(None, ge=1)
    """Windows with a field that training sees at least; those of a rarer field are repeated; null for none."""
    repeats: int = Field(4, ge=1)
    """How often one window stands among the training examples at most."""


class Table:
    """What balancing needs of each example: its document, place, heading, type, and the fields it is about.

    Columns are compact: about 50 bytes an example, so that a million fit. Examples of a document are added together.
    """

    def __init__(self) -> None:
        self.documents, self.windows = array("q"), array("q")
        self.headings, self.types, self.stated, self.unknown = array("q"), array("q"), array("q"), array("q")
        self.positive = bytearray()
        self.type_names: list[str | None] = []
        self.sets: list[frozenset[int]] = []
        self._seen: dict[Any, int] = {}

    def __len__(self) -> int:
        return len(self.positive)

    def add(self, document: int, contract_type: str | None, example: Any) -> None:
        """Add an example: a `WindowExample`, or anything else, which then counts as positive and states no field."""
        self.documents.append(document)
        self.windows.append(getattr(example, "index", -1))
        self.headings.append(self._known("heading", getattr(example, "heading", "").casefold().strip()))
        self.types.append(self._known(self.type_names, contract_type))
        self.stated.append(self._known(self.sets, _fields(getattr(example, "positives", ()))))
        self.unknown.append(self._known(self.sets, _fields(getattr(example, "ignored", ()))))
        self.positive.append(bool(getattr(example, "positive", True)))

    def _known(self, kind: Any, value: Any) -> int:
        """Return the number of a value, which all examples share; a list keeps the values themselves."""
        key = (kind if isinstance(kind, str) else id(kind), value)
        if key not in self._seen:
            self._seen[key] = len(kind) if isinstance(kind, list) else len(self._seen)
            if isinstance(kind, list):
                kind.append(value)
        return self._seen[key]

    def fields(self, row: int) -> frozenset[int]:
        """Return the fields that an example states."""
        return self.sets[self.stated[row]]

    def is_negative(self, row: int, number: int) -> bool:
        """Say whether an example shows that a field is absent."""
        return number not in self.sets[self.stated[row]] and number not in self.sets[self.unknown[row]]

    def has_heading(self, row: int) -> bool:
        """Say whether an example stands under a heading."""
        return self.headings[row] != self._seen.get(("heading", ""), -1)


def _fields(rows: Iterable[Iterable[int]]) -> frozenset[int]:
    return frozenset(number for row in rows for number in row)


class FieldPlan(NamedTuple):
    """What the plan gives one field, in windows, repeats counted.

    `near` of the negatives are hard ones, and `short` more of either were asked for than there are; both are None
    where `per_field` is.
    """

    positives: int
    repeated: int
    negatives: int
    near: int | None
    short: int | None


@dataclass
class Plan:
    """Which examples are trained on.

    Attributes:
        order: places in the table, in the order to train on; a repeated one stands there more than once.
        dropped: places of those left out, each with its reason.
        repeated: how many of `order` are repeats: rows in the table = len(order) - repeated + len(dropped).
        fields: by number of the field, for every field that a kept example states.
        types: kept examples of each contract type, repeats counted.
    """

    order: list[int]
    dropped: dict[int, str]
    repeated: int = 0
    fields: dict[int, FieldPlan] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)


def make_plan(table: Table, config: BalanceConfig, negatives: float | None, seed: int) -> Plan:
    """Choose examples: all that state a field, and of the empty ones as many as the rules ask for.

    The share of a contract type is cut after the negatives are chosen, and repeats come last.

    Args:
        table: all examples.
        config: the rules.
        negatives: empty examples for each positive one; None keeps all of them.
        seed: draws the empty ones, and the order.

    Raises:
        RecipeError: `per_type` cannot be met with the contract types there are.
    """
    order, extra = random.Random(seed), random.Random(f"balance {seed}")
    positive = [row for row in range(len(table)) if table.positive[row]]
    empty = [row for row in range(len(table)) if not table.positive[row]]
    order.shuffle(empty)
    chosen = len(empty) if negatives is None else round(negatives * len(positive))
    kept, spare = positive + empty[:chosen], empty[chosen:]
    short: dict[int, int] | None = None
    if config.per_field is not None:
        added, short = _more_negatives(table, kept, spare, config)
        kept += added
        taken = set(added)
        spare = [row for row in spare if row not in taken]
    dropped = dict.fromkeys(spare, ENOUGH)
    if config.per_type is not None:
        capped = _over_cap(table, kept, config.per_type, extra)
        dropped |= dict.fromkeys(capped, CAPPED)
        kept = [row for row in kept if row not in dropped]
    copies = _repeats(table, kept, config, extra) if config.rare is not None else []
    kept += copies
    order.shuffle(kept)
    return Plan(kept, dropped, len(copies), _by_field(table, kept, short), _by_type(table, kept))


def _more_negatives(
    table: Table, kept: list[int], spare: list[int], config: BalanceConfig
) -> tuple[list[int], dict[int, int]]:
    """Return the empty examples to add so that each field has its negatives, and by how many each falls short.

    The field with the fewest positives comes first; what is added for one field counts for the others.
    """
    headings, stating = _by_heading(table), _stating(table, kept)
    place = {row: rank for rank, row in enumerate(spare)}
    chosen, added = set(kept), dict[int, None]()
    groups = _groups(table, kept)
    short: dict[int, int] = {}
    for number, rows in sorted(stating.items(), key=lambda item: (len(item[1]), item[0])):
        wanted = math.ceil((config.per_field or 0) * len(rows))
        near = [row for row in near_rows(table, rows, headings) if table.is_negative(row, number)]
        lacking_near = max(0, math.ceil(config.near * wanted) - sum(row in chosen for row in near))
        for_near = sorted((row for row in near if row not in chosen), key=place.__getitem__)[:lacking_near]
        chosen.update(for_near)
        lacking = max(0, wanted - _negatives(table, groups, number) - len(for_near))
        others = (row for row in spare if row not in chosen and table.is_negative(row, number))
        for_rest = list(islice(others, lacking))
        chosen.update(for_rest)
        new = dict.fromkeys([*for_near, *for_rest])
        groups += _groups(table, new)
        added |= new
        short[number] = max(lacking - len(for_rest), lacking_near - len(for_near))
    return list(added), short


def _stating(table: Table, rows: Iterable[int]) -> dict[int, list[int]]:
    """Return the examples that state each field."""
    out: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        for number in table.fields(row):
            out[number].append(row)
    return out


def _groups(table: Table, rows: Iterable[int]) -> Counter[tuple[int, int]]:
    """Count examples about the same fields together: few sets of fields make many examples."""
    return Counter((table.stated[row], table.unknown[row]) for row in rows)


def _negatives(table: Table, groups: Counter[tuple[int, int]], number: int) -> int:
    """Return how many of grouped examples show that a field is absent."""
    return sum(count for group, count in groups.items() if all(number not in table.sets[part] for part in group))


def _by_heading(table: Table) -> dict[int, list[int]]:
    """Return the examples under each heading."""
    out: dict[int, list[int]] = defaultdict(list)
    for row in range(len(table)):
        if table.has_heading(row):
            out[table.headings[row]].append(row)
    return out


def near_rows(table: Table, stating: Iterable[int], headings: dict[int, list[int]]) -> set[int]:
    """Return the examples beside one of those given, or under the heading of one, with themselves.

    The examples of a document stand together in a table, in the order of its windows.
    """
    out: set[int] = set()
    under = set()
    for row in stating:
        for other in range(max(0, row - BESIDE), min(len(table), row + BESIDE + 1)):
            if table.documents[other] == table.documents[row]:
                out.add(other)
        under.add(table.headings[row])
    return out.union(*(headings.get(heading, ()) for heading in under))


def _over_cap(table: Table, kept: list[int], share: float, draw: random.Random) -> list[int]:
    """Return what must go so that no known contract type has more than its share: the empty ones first."""
    by_type: dict[int, list[int]] = defaultdict(list)
    for row in kept:
        by_type[table.types[row]].append(row)
    sizes = {kind: len(rows) for kind, rows in by_type.items() if table.type_names[kind] is not None}
    most = _largest(list(sizes.values()), len(kept) - sum(sizes.values()), share)
    out: list[int] = []
    for kind in sizes:
        rows = by_type[kind]
        draw.shuffle(rows)
        rows.sort(key=lambda row: table.positive[row])
        out += rows[: max(0, len(rows) - most)]
    return out


def _largest(sizes: list[int], others: int, share: float) -> int:
    """Return the largest size K such that min(size, K) is at most `share` of what remains, for every type.

    The share of the largest type falls as K does, until all types have the same size; bisection finds K.
    """
    low, high = 0, max(sizes, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if min(middle, max(sizes)) <= share * (others + sum(min(size, middle) for size in sizes)) + 1e-9:
            low = middle
        else:
            high = middle - 1
    if not low and sizes:
        types = "is only 1 type" if len(sizes) == 1 else f"are only {len(sizes)} types"
        raise RecipeError(
            f"no contract type may have more than {share:.3g} of the windows, and there {types}",
            where="balance.per_type",
            do=f"raise it to {math.ceil(100 / len(sizes)) / 100:.2g} or more, or leave it out",
        )
    return low


def _repeats(table: Table, kept: list[int], config: BalanceConfig, draw: random.Random) -> list[int]:
    """Return the repeats of examples with rare fields, in turn until each field has `rare` or a repeat is one too many.

    The rarest field comes first; a repeat counts for every field that it states.
    """
    stating = _stating(table, kept)
    seen = {number: len(rows) for number, rows in stating.items()}
    times: Counter[int] = Counter()
    out: list[int] = []
    for number in sorted(stating, key=lambda number: (seen[number], number)):
        rows = stating[number]
        draw.shuffle(rows)
        for row in _in_turn(rows, config.repeats - 1):
            if seen[number] >= (config.rare or 0):
                break
            if times[row] < config.repeats - 1:
                times[row] += 1
                out.append(row)
                seen.update({other: seen[other] + 1 for other in table.fields(row)})
    return out


def _in_turn(rows: list[int], rounds: int) -> Iterator[int]:
    for _ in range(rounds):
        yield from rows


def _by_field(table: Table, kept: list[int], short: dict[int, int] | None) -> dict[int, FieldPlan]:
    times, groups, stating = Counter(kept), _groups(table, kept), _stating(table, kept)
    headings = {} if short is None else _by_heading(table)
    out = {}
    for number, rows in sorted(stating.items()):
        near = set() if short is None else near_rows(table, rows, headings)
        out[number] = FieldPlan(
            positives=len(rows),
            repeated=len(rows) - len(set(rows)),
            negatives=_negatives(table, groups, number),
            near=None if short is None else sum(times[row] for row in near if table.is_negative(row, number)),
            short=None if short is None else short.get(number, 0),
        )
    return out


def _by_type(table: Table, kept: list[int]) -> dict[str, int]:
    counts = Counter(table.type_names[table.types[row]] or "unknown" for row in kept)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
