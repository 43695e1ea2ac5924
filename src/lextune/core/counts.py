"""Numbers in messages."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 document`, `1,204 documents`; `plural` is for those that take no s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
