"""What a row is read into whatever its shape: a conversation with its last answer; and what a shape is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lextune.core.records import Message
from lextune.data.importers.turns import Wrong

Values = Mapping[str, Any]


class Conversation(NamedTuple):
    """What a row teaches: what is said, a user's message last, the answer to it, and one thought worse.

    `labels` are what its task's scorer wants beside the answer: the choices, the articles, ...
    """

    messages: tuple[Message, ...]
    answer: str
    rejected: str | None = None
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Shape(NamedTuple):
    """One way to write a conversation as a row.

    `keys` must be there, `optional` ones may; others are mistakes. Of an `open` shape the keys are only usual.
    `read` raises Wrong for a row that is malformed, Unfit for one that is well formed and of no use.
    """

    name: str
    keys: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[[Values], Conversation]
    open: bool = False


def text_of(values: Values, key: str, default: str | None = None) -> str:
    """Return a row's text under a key, the default where it has none.

    Raises:
        Wrong: it is no string.
    """
    value = values.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise Wrong(f"{key!r} is not a string")
    return value
