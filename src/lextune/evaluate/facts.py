"""Nested facts (a dataset card, a preflight) as pairs and tables, whatever keys they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lextune.evaluate.formatting import NOT_AVAILABLE, finite, heading, plain, quantity, words
from lextune.evaluate.tables import NOT_RUN, Table

MAX_ROWS = 60  # of a table of facts; how many more there are is said in its caption


@dataclass(frozen=True)
class Facts:
    """What is one value each, and what needs a table."""

    pairs: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]


def facts(values: Mapping[str, Any], *, but: Sequence[str] = ()) -> Facts:
    """Return facts for display: mappings and lists of mappings as tables, everything else as pairs.

    Args:
        values: any JSON object.
        but: keys that are shown elsewhere.
    """
    pairs: list[tuple[str, str]] = []
    tables: list[Table] = []
    for key, value in values.items():
        if key in but:
            continue
        made = _table(key, value)
        if made is None:
            pairs.append((heading(key), plain(value)))
        else:
            tables.append(made)
    return Facts(tuple(pairs), tuple(tables))


def _table(key: str, value: Any) -> Table | None:
    """Return the table of a mapping or of a list of mappings; None for what is one value, as a score is."""
    if isinstance(value, Mapping) and value and not {"value", "low", "high"} <= value.keys():
        if all(isinstance(item, Mapping) for item in value.values()):
            rows = [{"": name, **item} for name, item in value.items()]
            return _columns(key, rows)
        return _capped(heading(key), [words(key), "value"], [[str(k), plain(v)] for k, v in value.items()])
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return _columns(key, value)
    return None


def _columns(key: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[plain(row[name]) if name in row else NOT_RUN for name in names] for row in rows]
    return _capped(heading(key), [words(name) for name in names], cells)


def _capped(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    if len(rows) > MAX_ROWS:
        caption = f"{caption} (the first {MAX_ROWS} of {len(rows):,})"
    return Table.of(caption, columns, rows[:MAX_ROWS])


def card_facts(card: Mapping[str, Any]) -> Facts:
    """Return a dataset card for display: its `parts` (train, validation, test) side by side, then the rest.

    Each part is a JSON object: what is one value becomes a row of one table, each mapping (characters,
    contract types, presence a field) a table, with a column a part. Families are counted.
    """
    parts = card.get("parts")
    shown = facts(card, but=("parts", "families"))
    pairs, tables = list(shown.pairs), list(shown.tables)
    families = card.get("families")
    if isinstance(families, list):
        sizes = [len(family) for family in families if isinstance(family, list)]
        pairs.append(("Families of near-duplicates, kept in one part", _families(len(families), sizes)))
    elif families is not None:
        pairs.append(("Families", plain(families)))
    if isinstance(parts, Mapping) and all(isinstance(part, Mapping) for part in parts.values()):
        tables += _side_by_side(parts)
    return Facts(tuple(pairs), tuple(tables))


def _families(count: int, sizes: Sequence[int]) -> str:
    return f"{count:,} ({sum(sizes):,} documents, the largest {max(sizes)})" if sizes else f"{count:,}"


def _side_by_side(parts: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    keys = list(dict.fromkeys(key for part in parts.values() for key in part))
    nested = [key for key in keys if any(isinstance(part.get(key), Mapping) for part in parts.values())]
    single = [[words(key), *(_cell(part, key) for part in parts.values())] for key in keys if key not in nested]
    tables = [Table.of("Parts", ["part", *parts], single)] if single else []
    for key in nested:
        inner = {name: value if isinstance(value := part.get(key), Mapping) else {} for name, part in parts.items()}
        names = list(dict.fromkeys(name for values in inner.values() for name in values))
        rows = [[str(name), *(_cell(values, name) for values in inner.values())] for name in names]
        tables.append(_capped(heading(key), [words(key), *parts], rows))
    return tables


def _cell(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return NOT_RUN
    value = values[key]
    if isinstance(value, Mapping) and value.keys() == {"present", "assessed"}:
        return f"{plain(value['present'])} of {plain(value['assessed'])}"
    return plain(value)


def estimate_table(preflight: Mapping[str, Any]) -> Table | None:
    """Return what preflight estimated beside what the run took, None where neither is known.

    `truth` holds what was measured; the estimates are in `estimate`, or else beside `truth` themselves.
    """
    truth = preflight.get("truth")
    truth = truth if isinstance(truth, Mapping) else {}
    estimate = preflight.get("estimate")
    if not isinstance(estimate, Mapping):
        estimate = {key: preflight[key] for key in truth if key in preflight}
    keys = list(dict.fromkeys([*estimate, *truth]))
    rows = [
        [
            words(key),
            _measured(estimate, key),
            _measured(truth, key),
            _ratio(truth.get(key), estimate.get(key)),
        ]
        for key in keys
    ]
    return (
        Table.of("Estimate against truth", ["", "estimated", "measured", "measured / estimated"], rows)
        if rows
        else None
    )


def _measured(values: Mapping[str, Any], key: str) -> str:
    return plain(values[key]) if key in values else NOT_RUN


def _ratio(truth: Any, estimate: Any) -> str:
    measured, estimated = finite(truth), finite(estimate)
    return NOT_AVAILABLE if measured is None or not estimated else quantity(measured / estimated)


def rest_of_preflight(preflight: Mapping[str, Any]) -> Facts:
    """Return what preflight found, without what `estimate_table` shows."""
    truth = preflight.get("truth")
    beside = [] if isinstance(preflight.get("estimate"), Mapping) else list(truth or {})
    return facts(preflight, but=("estimate", "truth", *beside))
