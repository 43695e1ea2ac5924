"""Logs of calls to an OpenAI-compatible service, to learn from what a bigger model answered.

A line holds the request (`messages`) and the response (`choices`), each under its own key, or in the layout of
OpenAI's batch files (`body` inside), or flat beside each other. Where the answer is a function call, the row's
answer is the function's name: the model's choice of a tool is a class, and the class is what is distilled. Other
keys of a log (`id`, `model`, `usage`, ...) are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lextune.data.importers.turns import Unfit, Wrong

Values = Mapping[str, Any]
_BROKEN = {"length": "the answer was cut off", "content_filter": "the answer was filtered"}


def is_log(values: Values) -> bool:
    """Say whether a row's keys are those of a logged call."""
    return ("request" in values or "messages" in values) and ("response" in values or "choices" in values)


def request_of(values: Values) -> Any:
    """Return the messages of the request.

    Raises:
        Wrong: there are none.
    """
    request = _part(values, "request", "messages")
    if "messages" not in request:
        raise Wrong("'messages' is missing: the request's messages")
    return request["messages"]


def answer_of(values: Values, *, arguments: bool = False) -> str:
    """Return what the service answered: a text, or the name of the function that it called.

    Args:
        values: the row.
        arguments: return a call as JSON with its arguments (`{"name": ..., "arguments": {...}}`, a list of them
            for several calls) instead of the name.

    Raises:
        Wrong: no choice, or a choice or call that is malformed.
        Unfit: the call failed, several choices, an answer that was cut off or filtered, or calls of different
            functions where names alone are wanted.
    """
    response = _part(values, "response", "choices")
    if response.get("error"):
        raise Unfit("the call failed")
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise Wrong("'choices' is not a list of answers")
    if len(choices) > 1:
        raise Unfit("several choices, of which none was taken")
    message, reason = choices[0].get("message"), choices[0].get("finish_reason")
    if isinstance(reason, str) and reason in _BROKEN:
        raise Unfit(_BROKEN[reason])
    if not isinstance(message, Mapping):
        raise Wrong("choices[0]: 'message' is missing")
    calls = _calls(message)
    if calls:
        return _with_arguments(calls) if arguments else _one_name(calls)
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise Wrong("choices[0].message: 'content' is not a string")
    return content or ""


def _part(values: Values, name: str, key: str) -> Values:
    """Return the object that holds `key`: under `name`, under `body` inside it, or the row itself."""
    part = values.get(name)
    if part is None:
        return values
    if not isinstance(part, Mapping):
        raise Wrong(f"{name!r} is not an object")
    body = part.get("body")
    return body if isinstance(body, Mapping) and key not in part else part


def _calls(message: Values) -> list[Values]:
    given = message.get("tool_calls") or ([{"function": message["function_call"]}] if _old(message) else [])
    if not isinstance(given, list):
        raise Wrong("choices[0].message: 'tool_calls' is not a list")
    calls = [call.get("function") if isinstance(call, Mapping) else None for call in given]
    for index, call in enumerate(calls):
        if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
            raise Wrong(f"tool_calls[{index}] has no function with a name")
    return [call for call in calls if call is not None]


def _old(message: Values) -> bool:
    return bool(message.get("function_call"))


def _one_name(calls: list[Values]) -> str:
    names = {str(call["name"]) for call in calls}
    if len(names) > 1:
        raise Unfit("calls of different functions, and an answer has one")
    return names.pop()


def _with_arguments(calls: list[Values]) -> str:
    made = []
    for index, call in enumerate(calls):
        given = call.get("arguments", {})
        try:
            value = json.loads(given) if isinstance(given, str) else given
        except (ValueError, RecursionError):
            raise Unfit("a function call whose arguments are not JSON") from None
        if not isinstance(value, Mapping):
            raise Wrong(f"tool_calls[{index}]: 'arguments' is not an object")
        made.append({"name": call["name"], "arguments": value})
    return json.dumps(made[0] if len(made) == 1 else made, ensure_ascii=False)
