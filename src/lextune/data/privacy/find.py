"""Personal data in the texts of a document, all kinds together."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence

from lextune.core.errors import MachineError
from lextune.data.privacy.addresses import addresses
from lextune.data.privacy.kinds import KINDS, Finding, Kind, settle
from lextune.data.privacy.names import find_persons
from lextune.data.privacy.patterns import accounts, emails, ids, phones

LEAST = 0.5
"""What is less sure than this is not personal data."""

_BY_PATTERN: dict[Kind, Callable[[str], Iterator[Finding]]] = {
    "email": emails, "phone": phones, "id": ids, "account": accounts, "address": addresses,
}  # fmt: skip

_NEEDS: dict[Kind, str] = {"phone": "phonenumbers", "id": "stdnum", "account": "stdnum", "person": "faker"}


def find_personal(text: str, kinds: Sequence[Kind] = KINDS) -> list[Finding]:
    """Find personal data in one text.

    Returns:
        Findings in order and without overlap; offsets are code points.

    Raises:
        MachineError: a library of the `privacy` extra is not installed.
    """
    return find_in_all([text], kinds)[0]


def find_in_all(texts: Sequence[str], kinds: Sequence[Kind] = KINDS) -> list[list[Finding]]:
    """Find personal data in texts that belong together: a person named in one is known in all of them."""
    _check_libraries(kinds)
    found: list[list[Finding]] = [[] for _ in texts]
    for kind in kinds:
        if kind != "person":
            for row, text in zip(found, texts, strict=True):
                row += _BY_PATTERN[kind](text)
    if "person" in kinds:
        for row, persons in zip(found, find_persons(texts), strict=True):
            row += persons
    return [settle(f for f in row if f.confidence >= LEAST) for row in found]


def _check_libraries(kinds: Sequence[Kind]) -> None:
    for kind in kinds:
        name = _NEEDS.get(kind)
        if name is not None and importlib.util.find_spec(name) is None:
            raise MachineError(
                f"finding {kind} needs the package {name}",
                do=f"pip install 'lextune[privacy]', or leave {kind} out of --kinds",
            )
