"""What counts as personal data here, and what a finding of it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

from lextune.core.errors import UserError

Kind = Literal["person", "email", "phone", "id", "account", "address", "literal"]
KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "literal")
"""person: natural persons; id: numbers that a state gave one; account: bank accounts and payment cards.
(A `literal` is no personal data: it is text that looks like a pseudonym, see `lextune.data.privacy.pseudonyms`.)"""

_FIRST = {kind: rank for rank, kind in enumerate(("literal", "email", "account", "id", "phone", "address", "person"))}


class Finding(NamedTuple):
    """Personal data at [start, end), in code points; `confidence` from 0 to 1; `rule` says what found it."""

    kind: Kind
    start: int
    end: int
    confidence: float
    rule: str


def parse_kinds(names: Iterable[str]) -> tuple[Kind, ...]:
    """Return the kinds with these names, in the order of `KINDS`; all of them for no names.

    Raises:
        UserError: there is no such kind.
    """
    wanted = set(names)
    unknown = sorted(wanted.difference(KINDS))
    if unknown:
        raise UserError(f"no kind of personal data {unknown[0]!r}", where="--kinds", do=f"use {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in wanted or not wanted)


def settle(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in order and without overlap; nothing that any of them covers is lost.

    Where some overlap, the surest of them names the kind (then the longest, then the most particular), and it
    grows over all that they cover together: half a phone number is still personal.
    """
    settled: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, -f.end)):
        if settled and finding.start < settled[-1].end:
            settled[-1] = _joined(settled[-1], finding)
        else:
            settled.append(finding)
    return settled


def _joined(a: Finding, b: Finding) -> Finding:
    best = max((a, b), key=lambda f: (f.confidence, f.end - f.start, -_FIRST[f.kind]))
    return best._replace(start=min(a.start, b.start), end=max(a.end, b.end))


def masked(value: str, shown: int = 2) -> str:
    """Return a value that can be printed: its first characters, and a star for each other letter or digit."""
    line = " ".join(value.split())
    return line[:shown] + "".join("*" if c.isalnum() else c for c in line[shown:])
