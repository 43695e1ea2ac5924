"""The parts of the documents in a report: tables by dimension, and a plot of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lextune.evaluate.formatting import bounds, finite, fixed, heading, probability, quantity, score
from lextune.evaluate.plots import Series, field_plot
from lextune.evaluate.summary import lookup, part_metric, part_score, primary
from lextune.evaluate.tables import NOT_RUN, Table, shown_arms

MOST_DRAWN = 40  # parts in the plot, the largest


def slice_tables(evaluation: Mapping[str, Any]) -> list[Table]:
    """Return a table a dimension: each part's score in all shown arms, and how far the tuned one is below the whole."""
    shown = shown_arms(evaluation)
    return [
        _table(dimension, values, shown) for dimension, values in (shown[0][1].get("slices") or {}).items() if values
    ]


def _table(dimension: str, values: Mapping[str, Any], shown: list[tuple[str, Mapping[str, Any]]]) -> Table:
    rows, metric = [], part_metric(shown[0][1])
    gold = any("n_present" in own for own in values.values())
    for value, own in values.items():
        others = [lookup(arm, ("slices", dimension, value)) for _, arm in shown]
        scores = [NOT_RUN if one is None else score(part_score(one), one.get("n_documents")) for one in others]
        present = [quantity(own["n_present"])] if gold else []
        rows.append([value, quantity(own["n_documents"]), *present, *scores, *_fall(own)])
    name = dimension.replace("_", " ")
    columns = [name, "documents", *(["with gold"] if gold else [])]
    columns += [*(f"{label} {metric}" for label, _ in shown), "below the whole", "p"]
    return Table.of(f"By {name}", columns, rows)


def _fall(own: Mapping[str, Any]) -> list[str]:
    drop, p = finite(own.get("drop")), finite(own.get("p"))
    return [NOT_RUN if drop is None else fixed(drop, sign=True), NOT_RUN if p is None else probability(p)]


def slices_plot(evaluation: Mapping[str, Any]) -> str:
    """Return the plot of the tuned arm's score in the parts of most documents, dimension by dimension."""
    label, tuned = shown_arms(evaluation)[0]
    parts = {
        f"{heading(dimension)}: {value}": one
        for dimension, values in (tuned.get("slices") or {}).items()
        for value, one in values.items()
        if len(values) > 1
    }
    largest = set(sorted(parts, key=lambda name: -parts[name]["n_documents"])[:MOST_DRAWN])
    names = [name for name in parts if name in largest]
    points = {name: part_score(parts[name]) for name in names}
    whole = bounds(lookup(tuned, primary(tuned)[1]))[0]
    metric = part_metric(tuned)
    what = f"{metric} of the parts of the documents with its 95 % interval; the tables hold the numbers"
    return field_plot(names, [Series(label, points)], label=what, metric=metric, name="slices", whole=whole)
