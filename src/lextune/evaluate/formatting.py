"""How numbers and values of any type are written for a reader: never NaN, never a bare null."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NOT_AVAILABLE = "n/a"
MAX_LISTED = 20  # values of a list that are written out; how many more there are is said


def finite(value: Any) -> float | None:
    """Return a number as a float; None for anything else and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def bounds(leaf: Any) -> tuple[float | None, float | None, float | None]:
    """Return value, low and high of a score: `{value, low, high}`, a plain number, or null."""
    if isinstance(leaf, Mapping):
        return finite(leaf.get("value")), finite(leaf.get("low")), finite(leaf.get("high"))
    return finite(leaf), None, None


def fixed(value: float, *, sign: bool = False) -> str:
    """Write a score with three decimals; a negative number that rounds to nothing has no minus."""
    rounded = round(value, 3) + 0.0
    return f"{rounded:+.3f}" if sign else f"{rounded:.3f}"


def score(leaf: Any, n: int | None = None) -> str:
    """Write a score with its 95 % interval, `n/a (n=..)` where it is undefined.

    Args:
        leaf: `{value, low, high}` with or without `n`, a plain number, or null.
        n: how many units there were, where the leaf does not say.
    """
    value, low, high = bounds(leaf)
    if value is None:
        count = leaf.get("n", n) if isinstance(leaf, Mapping) else n
        return missing(count)
    if low is None or high is None:
        return f"{fixed(value)} (no interval)" if isinstance(leaf, Mapping) else fixed(value)
    return f"{fixed(value)} ({fixed(low)} to {fixed(high)})"


def missing(n: Any) -> str:
    """Write a null with the number of units it was looked for in."""
    return NOT_AVAILABLE if n is None else f"{NOT_AVAILABLE} (n={n})"


def probability(p: float) -> str:
    """Write a p value: `p = 0.031`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def quantity(value: Any) -> str:
    """Write a count or a measure: thousands separated, three significant digits below 100."""
    number = finite(value)
    if number is None:
        return NOT_AVAILABLE
    if isinstance(value, int) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def plain(value: Any) -> str:
    """Write a value of any type on one line."""
    if value is None:
        return NOT_AVAILABLE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return quantity(value)
    if isinstance(value, Mapping):
        if {"value", "low", "high"} <= value.keys():
            return score(value)
        return _listed([f"{words(str(key))}: {plain(item)}" for key, item in value.items()], ", ")
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return _listed([plain(item) for item in value], "; ")
    return str(value)


def _listed(items: list[str], separator: str) -> str:
    if len(items) <= MAX_LISTED:
        return separator.join(items) or "none"
    return f"{separator.join(items[:MAX_LISTED])} and {len(items) - MAX_LISTED} more"


def words(key: str) -> str:
    """Write a key as words: `tokens_per_document` is `tokens per document`; names keep their spelling."""
    return key.replace("_", " ")


def heading(key: str) -> str:
    """Write a key as a heading: words, the first letter large."""
    text = words(key)
    return text[:1].upper() + text[1:]
