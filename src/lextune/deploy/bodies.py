"""What callers send and what they get: bodies of /v1/extract and /v1/chat/completions, read strictly.

A parameter that would change the answer and is not offered is refused by name, never ignored. Grammars and
output schemas from callers are refused: the release's own schema is the only one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import from_json

from lextune.core.errors import shorten
from lextune.core.recipe import Config
from lextune.core.records import Message
from lextune.deploy.refusals import INVALID, TOO_LARGE, UNSUPPORTED, Refusal
from lextune.expert.engines.base import GenerateOptions, Generation

T = TypeVar("T", bound=Config)

MAX_NAME = 255  # characters of a document's name
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
ACCOUNTING = frozenset({"metadata", "safety_identifier", "service_tier", "user"})  # cannot change an answer
GRAMMARS = frozenset(
    {"ebnf", "grammar", "json_schema", "regex", "response_format", "structural_tag", "structured_outputs"}
)
NEUTRAL: Mapping[str, Any] = {  # parameters accepted at the one value that asks for nothing
    "frequency_penalty": 0,
    "function_call": "none",
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": False,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "stop": [],
    "store": False,
    "tool_choice": "none",
    "tools": [],
    "top_p": 1,
}


class _Body(Config):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ExtractBody(_Body):
    """The JSON body of /v1/extract. Offsets in the record count the code points of `text` as sent."""

    text: str
    """The document."""
    name: str = Field(default="document", min_length=1, max_length=MAX_NAME)
    """What the record calls it."""


class StreamOptions(_Body):
    """What a stream has beside the answer."""

    include_usage: bool = False
    """Whether a last chunk with the token counts is sent."""


class ChatBody(_Body):
    """The JSON body of /v1/chat/completions, without what stands in NEUTRAL and ACCOUNTING."""

    model: str
    """The release's name."""
    messages: list[Any] = Field(min_length=1)
    """The conversation, each message with role and content."""
    max_tokens: int | None = Field(default=None, ge=1)
    """The most tokens to generate; null for the service's limit."""
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """The same under its newer name, which goes first."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 takes the likeliest token each time; null is the engine's default."""
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    """Draws the tokens where the temperature is above 0."""
    stream: bool = False
    """Whether the answer is sent as server-sent events."""
    stream_options: StreamOptions = StreamOptions()
    """What a stream has beside the answer."""

    def options(self, limit: int) -> GenerateOptions:
        """Return how to generate; without a maximum from the caller the service's `limit` holds.

        Raises:
            Refusal: the caller asks for more than `limit` tokens.
        """
        name = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        asked = getattr(self, name)
        if asked is not None and asked > limit:
            raise Refusal(
                INVALID,
                f"{name} is {asked:,}, and this service generates at most {limit:,} tokens",
                do=f"send {name} of {limit:,} or less",
                param=name,
            )
        given = {"temperature": self.temperature, "seed": self.seed}
        return GenerateOptions(
            max_tokens=asked or limit, **{key: value for key, value in given.items() if value is not None}
        )

    def turns(self, max_characters: int) -> list[Message]:
        """Return the conversation.

        Raises:
            Refusal: a role or content that is not offered, or more than `max_characters` in all.
        """
        messages = [_message(value, f"messages.{index}") for index, value in enumerate(self.messages)]
        if sum(len(message.content) for message in messages) > max_characters:
            raise Refusal(
                TOO_LARGE,
                f"the messages have more than {max_characters:,} characters",
                do="send fewer or shorter messages, or ask the operator to raise --max-characters",
                param="messages",
            )
        return messages


def read_extract(data: bytes) -> ExtractBody:
    """Read the JSON body of /v1/extract.

    Raises:
        Refusal: not JSON, or not of that form.
    """
    return _validate(_read_object(data), ExtractBody)


def read_chat(data: bytes) -> ChatBody:
    """Read the JSON body of /v1/chat/completions.

    Raises:
        Refusal: not JSON, not of that form, or it asks for what is not offered.
    """
    body = {}
    for key, value in _read_object(data).items():
        if key in ACCOUNTING or (key in NEUTRAL and value == NEUTRAL[key]):
            continue
        if key in GRAMMARS or key.startswith("guided_"):
            raise Refusal(
                UNSUPPORTED,
                f"{shorten(key)}: grammars and output schemas from callers are refused",
                do="leave it out; /v1/extract answers in the release's own schema",
                param=shorten(key),
            )
        if key not in ChatBody.model_fields:
            only = f" other than {json.dumps(NEUTRAL[key])}" if key in NEUTRAL else ""
            raise Refusal(
                UNSUPPORTED,
                f"{shorten(key)}: this service does not offer that parameter{only}",
                do="leave it out",
                param=shorten(key),
            )
        body[key] = value
    return _validate(body, ChatBody)


def _read_object(data: bytes) -> dict[str, Any]:
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(INVALID, f"the body is not valid JSON: {shorten(str(error))}") from None
    if not isinstance(value, dict):
        raise Refusal(INVALID, "the body is not a JSON object")
    return {key: item for key, item in value.items() if item is not None}


def _validate(body: dict[str, Any], model: type[T]) -> T:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
    param = shorten(".".join(str(part) for part in first["loc"]))
    known = ", ".join(model.model_fields)
    what = {"missing": "required, and not sent", "extra_forbidden": f"unknown; the body may hold {known}"}
    said = what.get(first["type"]) or first["msg"][0].lower() + first["msg"][1:]
    raise Refusal(INVALID, f"{param}: {said}", param=param)


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, dict):
        raise Refusal(INVALID, f"{where}: a message is an object with role and content", param=where)
    role = value.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise Refusal(
            INVALID,
            f"{where}.role: unknown role {shorten(str(role))!r}",
            do=f"use one of {', '.join(ROLES)}",
            param=f"{where}.role",
        )
    for key, extra in value.items():
        if extra not in (None, [], {}) and key not in ("role", "content"):
            raise Refusal(
                UNSUPPORTED,
                f"{where}.{shorten(key)}: messages hold role and content only",
                do="leave it out",
                param=f"{where}.{shorten(key)}",
            )
    return Message(role=ROLES[role], content=_content(value.get("content"), f"{where}.content"))


def _content(value: Any, where: str) -> str:
    parts = [{"type": "text", "text": value}] if isinstance(value, str) else value
    if not isinstance(parts, list) or not parts:
        raise Refusal(INVALID, f"{where}: a text, or a list of text parts, is required", param=where)
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            raise Refusal(
                UNSUPPORTED,
                f"{where}: this service reads text parts only",
                do="send images, audio and files as text, or a document to /v1/extract",
                param=where,
            )
        texts.append(text)
    return "\n".join(texts)


class Completion:
    """A generated answer in OpenAI's layout, whole or as server-sent events.

    Args:
        head: id, created, model and system_fingerprint, the same in the whole answer and in every event.
        generation: the answer.
    """

    def __init__(self, head: Mapping[str, Any], generation: Generation) -> None:
        self._head, self._text = head, generation.text
        self._finish = "stop" if generation.stopped else "length"
        prompt, completion = generation.prompt_tokens, len(generation.ids)
        self._usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def whole(self) -> dict[str, Any]:
        """Return the answer as one object."""
        message = {"role": "assistant", "content": self._text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        return {"object": "chat.completion", **self._head, "choices": [choice], "usage": self._usage}

    def events(self, *, include_usage: bool) -> Iterator[str]:
        """Yield the answer as server-sent events: role, text, end, where asked the usage, and `[DONE]`."""
        deltas: tuple[dict[str, str], ...] = (
            {"role": "assistant", "content": ""},
            {"content": self._text},
            {},
        )
        ends = (None, None, self._finish)
        for delta, end in zip(deltas, ends, strict=True):
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}
            yield self._event([choice], {"usage": None} if include_usage else {})
        if include_usage:
            yield self._event([], {"usage": self._usage})
        yield "data: [DONE]\n\n"

    def _event(self, choices: list[Any], usage: Mapping[str, Any]) -> str:
        chunk = {"object": "chat.completion.chunk", **self._head, "choices": choices, **usage}
        return f"data: {json.dumps(chunk)}\n\n"  # ASCII: some clients break lines at U+2028
