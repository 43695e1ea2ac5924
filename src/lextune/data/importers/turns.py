"""Messages of a conversation as rows hold them: read, checked, and nothing folded without being said.

`developer` is OpenAI's newer name for `system`; `human` and `gpt` are ShareGPT's for user and assistant. Content
given in parts is joined by line breaks if all of them are texts. What a conversation cannot be learnt with - tool
results, function calls, images - makes the row unfit.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lextune.core.errors import shorten
from lextune.core.records import Message

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
TOOL_ROLES = frozenset({"tool", "function", "ipython", "observation", "function_call", "tool_call"})
CALLS = ("tool_calls", "function_call")
EMPTY: tuple[Any, ...] = (None, "", [], {})


class Wrong(ValueError):  # noqa: N818 - both say what the row is
    """A row is malformed; the text says how."""


class Unfit(ValueError):  # noqa: N818
    """A row is well formed and of no use; the text is the reason."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name that is most like `name`, nothing where none is."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return what is said of a key that nobody knows."""
    return f"unknown key {shorten(key, 40)!r}{nearest(key, known)}"


def read_messages(
    value: Any, key: str, *, role: str = "role", content: str = "content", strict: bool = True
) -> list[Message]:
    """Return a row's list of messages.

    Args:
        value: the list.
        key: its key in the row, for what is said of mistakes.
        role: the key of who speaks.
        content: the key of what is said.
        strict: whether other keys of a message are mistakes; those without a value never are.

    Raises:
        Wrong: not a list of messages, an unknown role or key, content that is no text.
        Unfit: a message of a tool, with function calls, or with anything but text.
    """
    if not isinstance(value, list | tuple):
        raise Wrong(f"{key!r} is not a list of messages")
    messages = []
    for index, message in enumerate(value):
        place = f"{key}[{index}]"
        if not isinstance(message, Mapping):
            raise Wrong(f"{place} is not an object with {role} and {content}")
        speaker = _role(message, role, place)
        _check_others(message, (role, content), place, strict)
        messages.append(Message(role=speaker, content=_content(message, content, place)))
    return messages


def _role(message: Mapping[str, Any], key: str, place: str) -> str:
    if key not in message:
        raise Wrong(f"{place}: {key!r} is missing")
    given = message[key]
    if not isinstance(given, str):
        raise Wrong(f"{place}: {key!r} is not a string")
    if given in TOOL_ROLES:
        raise Unfit("a message of a tool")
    if given not in ROLES:
        raise Wrong(f"{place}: unknown {key} {shorten(given, 40)!r}{nearest(given, ROLES)}")
    return ROLES[given]


def _check_others(message: Mapping[str, Any], known: Sequence[str], place: str, strict: bool) -> None:
    if len(message) == len(known):
        return
    others = [key for key, value in message.items() if key not in known and value not in EMPTY]
    if any(key in CALLS for key in others):
        raise Unfit("a message with function calls")
    if others and strict:
        raise Wrong(f"{place}: {unknown_key(others[0], known)}")


def _content(message: Mapping[str, Any], key: str, place: str) -> str:
    if key not in message:
        raise Wrong(f"{place}: {key!r} is missing")
    content = message[key]
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content or not all(isinstance(part, Mapping) for part in content):
        raise Wrong(f"{place}: {key!r} is not a string")
    texts = [part.get("text") for part in content]
    if any(part.get("type") != "text" for part in content) or not all(isinstance(text, str) for text in texts):
        raise Unfit("a message with more than text")
    return "\n".join(map(str, texts))


def check_turns(messages: Sequence[Message]) -> None:
    """Check who speaks when: a system message first if at all, then user and assistant by turns, a user last.

    Raises:
        Wrong: another order.
    """
    turns = messages[1:] if messages and messages[0].role == "system" else messages
    skipped = len(messages) - len(turns)
    for index, message in enumerate(turns):
        wanted = ("user", "assistant")[index % 2]
        if message.role == "system":
            raise Wrong(f"message {index + skipped + 1} is of the system, whose place is the first")
        if message.role != wanted:
            raise Wrong(f"message {index + skipped + 1} is of the {message.role}, the {wanted}'s turn it is")
    if not turns or turns[-1].role != "user":
        raise Wrong("no message of a user before the answer")
