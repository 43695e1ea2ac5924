"""The report's tables of scores. Every cell is text; the first cell of a row names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lextune.core.figures import SERIES
from lextune.evaluate.formatting import bounds, finite, fixed, missing, probability, quantity, score
from lextune.evaluate.summary import (
    ALWAYS_NULL,
    ALWAYS_PRESENT,
    ECHO,
    LINEAR,
    SHOTS,
    SIGNIFICANT,
    ZERO_SHOT,
    Place,
    best_few_shot,
    lookup,
    summary_header,
    summary_rows,
    tuned_name,
    verdict,
)

WORST = 10
MAX_TESTS = 40
TRIVIAL = (ALWAYS_NULL, ALWAYS_PRESENT, ECHO)
NOT_RUN = "–"
Rows = Callable[[Mapping[str, Mapping[str, Any]]], Sequence[Sequence[str]]]


@dataclass(frozen=True)
class Group:
    """Rows under a common heading; the heading is empty where there is only one group."""

    rows: tuple[tuple[str, ...], ...]
    heading: str = ""


@dataclass(frozen=True)
class Table:
    """A table as text: `columns` names the cells of every row of every group."""

    caption: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
        """Return a table of one group."""
        return cls(caption, tuple(columns), (Group(tuple(tuple(row) for row in rows)),))


@dataclass(frozen=True)
class Published:
    """Scores printed in arXiv 2508.03080 for the 102 official test contracts (1,244 positive pairs)."""

    system: str
    f1: float
    jaccard: float
    false_null_rate: float


PUBLISHED = (
    Published("GPT-4.1 mini", 0.644, 0.435, 0.072),
    Published("GPT-4.1", 0.641, 0.472, 0.071),
    Published("Gemini 2.5 Pro", 0.497, 0.506, 0.011),
    Published("Qwen3-8B thinking", 0.540, 0.391, 0.110),
    Published("Llama-3.1-8B", 0.392, 0.300, 0.214),
)
ECHO_OFFICIAL = 0.46  # ContractEval F1 of the echo arm on the same 102 contracts

RANKING = {
    "AUPR": ("aupr",),
    "precision at 80 % recall": ("precision_at_80_recall",),
    "calibration error (ECE), answers": ("answer_ece",),
    "calibration error (ECE), places": ("ece",),
    "mean risk (AURC)": ("aurc",),
}
FORMAT = {
    "valid JSON": ("valid_json_rate",),
    "quotes grounded": ("grounded_rate",),
    "invented values": ("invented_rate",),
}
FIELD = {
    "micro precision": ("field", "micro", "precision"),
    "micro recall": ("field", "micro", "recall"),
    "macro precision": ("field", "macro", "precision"),
    "macro recall": ("field", "macro", "recall"),
}
CONTRACTEVAL = {
    "F1": ("contracteval", "f1"),
    "F2": ("contracteval", "f2"),
    "Jaccard": ("contracteval", "jaccard"),
    "false-null rate": ("contracteval", "false_null_rate"),
}


def headline(evaluation: Mapping[str, Any]) -> Table:
    """Return the summary table of all arms, those on a smaller subset in a group of their own."""
    return Table("All arms", tuple(summary_header(evaluation["arms"])), _grouped(evaluation, summary_rows))


def _grouped(evaluation: Mapping[str, Any], rows_of: Rows) -> tuple[Group, ...]:
    arms, subset = evaluation.get("arms") or {}, evaluation.get("subset_arms") or {}
    groups = [Group(_frozen(rows_of(arms)), f"On all {_count(arms)} documents" if subset else "")]
    if subset:
        groups.append(Group(_frozen(rows_of(subset)), f"On {_count(subset)} of them, the same for every arm here"))
    return tuple(groups)


def _frozen(rows: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(row) for row in rows)


def _count(arms: Mapping[str, Any]) -> str:
    counts = sorted({arm["n_documents"] for arm in arms.values() if arm.get("n_documents") is not None})
    return " or ".join(map(quantity, counts)) or "an unknown number of"


def arm_table(evaluation: Mapping[str, Any], caption: str, columns: Mapping[str, Place]) -> Table:
    """Return one row an arm with the scores at the paths that `columns` names."""

    def rows(arms: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
        return [
            [name, *(score(lookup(arm, path), arm.get("n_documents")) for path in columns.values())]
            for name, arm in arms.items()
        ]

    return Table(caption, ("arm", *columns), _grouped(evaluation, rows))


def cost_table(evaluation: Mapping[str, Any]) -> Table:
    """Return seconds, tokens and, where any arm has one, the price a document, and documents an hour."""
    keys = ("seconds_per_document", "tokens_per_document", "contracts_per_hour")
    prices = {name: price_of(evaluation, name) for name in evaluation.get("costs") or {}}
    priced = any(price is not None for price in prices.values())

    def rows(arms: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
        return [
            [
                name,
                *(_measure(arm.get(key), arm.get("n_documents")) for key in keys),
                *([quantity(prices.get(name))] if priced else ()),
            ]
            for name, arm in arms.items()
        ]

    columns = ("arm", "seconds a document", "tokens a document", "documents an hour", *(["price"] if priced else ()))
    return Table("Time, tokens and money", columns, _grouped(evaluation, rows))


def price_of(evaluation: Mapping[str, Any], arm: str) -> float | None:
    """Return the price of a document, None where nobody gave one (it is then stored as 0)."""
    return finite(lookup(evaluation, ("costs", arm, "price"))) or None


def _measure(leaf: Any, n: Any) -> str:
    value, low, high = bounds(leaf)
    if value is None:
        return missing(n)
    return (
        quantity(value) if low is None or high is None else f"{quantity(value)} ({quantity(low)} to {quantity(high)})"
    )


def paired_table(evaluation: Mapping[str, Any]) -> Table | None:
    """Return the paired tests as stored; None where there are none."""
    tests = evaluation.get("paired") or []
    rows = [
        [
            f"{test.get('a')} minus {test.get('b')}",
            *(_signed(test.get(key)) for key in ("difference", "low", "high")),
            "n/a" if finite(test.get("p")) is None else probability(test["p"]),
            quantity(test.get("n_documents")),
            str(test.get("verdict") or verdict(test)),
        ]
        for test in tests
    ]
    name = str(tests[0].get("metric") or "field F1") if tests else ""
    columns = ("arms", f"difference in {name}", "low", "high", "p", "documents", "the first is")
    return Table.of("Paired tests", columns, rows) if rows else None


def _signed(value: Any) -> str:
    number = finite(value)
    return "n/a" if number is None else fixed(number, sign=True)


def contracteval_table(evaluation: Mapping[str, Any], *, official_test: bool) -> Table:
    """Return ContractEval's scores of all arms and, in a group of their own, the published ones."""
    ours = arm_table(evaluation, "ContractEval protocol", CONTRACTEVAL)
    rows = tuple(
        (one.system, fixed(one.f1), NOT_RUN, fixed(one.jaccard), fixed(one.false_null_rate)) for one in PUBLISHED
    )
    which = "the same 102 contracts" if official_test else "other contracts"
    groups = [group if group.heading else Group(group.rows, "This evaluation") for group in ours.groups]
    return Table(ours.caption, ours.columns, (*groups, Group(rows, f"Published (arXiv 2508.03080), {which}")))


def mcnemar_table(evaluation: Mapping[str, Any]) -> Table | None:
    """Return McNemar's tests of the tuned arm, most different first, at most 40; None where there are none."""
    tests = [
        test
        for test in evaluation.get("mcnemar") or []
        if finite(test.get("p")) is not None and test["p"] < SIGNIFICANT
    ]
    shown = sorted(tests, key=lambda test: float(test["p"]))[:MAX_TESTS]
    rows = [
        [
            f"{test['a']} and {test['b']}: {test['what']}",
            quantity(test["n"]),
            quantity(test["only_a"]),
            quantity(test["only_b"]),
            probability(test["p"]),
            probability(test["adjusted"]),
        ]
        for test in shown
    ]
    columns = ("arms", "answered by both", "only the first is right", "only the second", "p", "adjusted")
    caption = "Yes or no, where two arms differ (p < 0.05)"
    if len(shown) < len(tests):
        caption += f": the first {len(shown)} of {quantity(len(tests))}, most different first"
    return Table.of(caption, columns, rows) if rows else None


def shown_arms(evaluation: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the arms compared field by field and curve by curve, as (label, evaluation), at most six.

    The tuned arm comes first, then the best of the untuned ones, `linear`, and whatever else is no baseline that reads
    nothing. An arm that ran on the subset only says in its label on how many documents.
    """
    arms, subset = evaluation["arms"], evaluation.get("subset_arms") or {}
    first = [tuned_name(evaluation), best_few_shot(evaluation) or ZERO_SHOT, LINEAR]
    others = [name for name in (*arms, *subset) if name not in (*TRIVIAL, ZERO_SHOT) and not SHOTS.fullmatch(name)]
    shown = []
    for name in dict.fromkeys([*first, *others]):
        if name in arms:
            shown.append((name, arms[name]))
        elif name in subset:
            shown.append((f"{name} ({quantity(subset[name].get('n_documents'))} documents)", subset[name]))
    return shown[: len(SERIES)]


def all_arms(evaluation: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return every arm once, the tuned one first; of one that ran on a subset too, all its documents."""
    tuned = tuned_name(evaluation)
    return {tuned: {}, **(evaluation.get("subset_arms") or {}), **evaluation["arms"]}


def ranked_fields(evaluation: Mapping[str, Any]) -> list[str]:
    """Return the fields of the tuned arm, best F1 first, undefined last."""
    fields = _slices(evaluation["arms"][tuned_name(evaluation)], "by_field")

    def order(name: str) -> tuple[float, str]:
        value = bounds(fields[name].get("field_f1"))[0]
        return (2.0 if value is None else -value, name)

    return sorted(fields, key=order)


def _slices(arm: Mapping[str, Any], key: str) -> Mapping[str, Mapping[str, Any]]:
    return arm.get(key) or {}


def slice_table(
    evaluation: Mapping[str, Any], key: str, names: Sequence[str], *, caption: str, first: str
) -> Table | None:
    """Return the F1 of the shown arms for each name in a slicing, and the tuned arm's ContractEval scores.

    Args:
        evaluation: the arms.
        key: `by_field`.
        names: rows, in order.
        caption: of the table.
        first: heading of the first column.

    Returns:
        the table; None where there are no names.
    """
    shown = shown_arms(evaluation)
    tuned = _slices(shown[0][1], key)
    rows = []
    for name in names:
        own = tuned[name]
        f1 = [_slice_score(_slices(arm, key).get(name), "field_f1") for _, arm in shown]
        rest = [_slice_score(own, part) for part in ("contracteval_f1", "jaccard")]
        rows.append([name, quantity(own.get("n_documents")), quantity(own.get("n_present")), *f1, *rest])
    labels = [f"{label} F1" for label, _ in shown]
    tail = [f"{shown[0][0]} ContractEval F1", f"{shown[0][0]} Jaccard"]
    return Table.of(caption, [first, "documents", "with gold", *labels, *tail], rows) if rows else None


def _slice_score(entry: Mapping[str, Any] | None, key: str) -> str:
    return NOT_RUN if entry is None else score(entry.get(key), entry.get("n_documents"))


def worst_fields(evaluation: Mapping[str, Any]) -> list[str]:
    """Return the fields with gold on which the tuned arm has the lowest F1, the lowest first."""
    fields = _slices(evaluation["arms"][tuned_name(evaluation)], "by_field")
    scored = [
        name
        for name in ranked_fields(evaluation)
        if fields[name].get("n_present") and bounds(fields[name].get("field_f1"))[0] is not None
    ]
    return scored[::-1][:WORST]


def always_null_accuracy(evaluation: Mapping[str, Any]) -> tuple[float, int] | None:
    """Return the share of pairs without gold, which is what answering null everywhere would get right.

    The pairs are those of the tuned arm. None where the evaluation does not say how many there are.
    """
    tuned = evaluation["arms"][tuned_name(evaluation)]
    pairs = lookup(tuned, ("contracteval", "f1", "n"))
    present = lookup(tuned, ("contracteval", "jaccard", "n"))
    return None if not pairs or present is None else (1 - present / pairs, pairs)
