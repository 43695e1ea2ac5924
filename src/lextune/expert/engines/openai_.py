"""The engine behind any OpenAI-compatible endpoint: vLLM, SGLang, llama-server, `lextune serve`, hosted models.

It speaks /chat/completions by the `openai` client, which sends again what failed for a moment (429, 5xx, a lost
connection), after the seconds that the server asks for in Retry-After. What is left is one error that says what to do.
A key comes from the environment, and is written nowhere.
"""

from __future__ import annotations

import json
import math
import os
import re
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, ValidationError, field_validator

from lextune.core.errors import ContextError, LextuneError, NetworkError, RequestError, UserError, shorten
from lextune.core.parallel import in_order
from lextune.core.recipe import Config
from lextune.core.records import Message
from lextune.expert.engines.base import GenerateOptions, Generation
from lextune.text.reading.base import well_formed

if TYPE_CHECKING:
    import openai

CONNECT_SECONDS = 5.0
CONCURRENCY = 4
MILLION = 1_000_000
NO_KEY = "none"  # sent where no key is wanted: without one the client would take that of another service
_TOO_LONG = re.compile(
    r"context.?(length|size|window)|maximum context|exceed_context|prompt is too long", re.IGNORECASE
)


class Endpoint(Config):
    """A model behind an OpenAI-compatible endpoint, and what it costs."""

    url: str
    """Where its API starts, as in `http://127.0.0.1:8000/v1`."""
    model: str = Field(min_length=1)
    """The model's name there."""
    key_env: str | None = None
    """The environment variable that holds the key; null where none is needed."""
    concurrency: int = Field(CONCURRENCY, ge=1, le=256)
    """How many requests may be under way at once."""
    timeout_seconds: float = Field(120.0, gt=0)
    """How long an answer may take."""
    retries: int = Field(4, ge=0)
    """How often a request is sent again that met a busy or failing server, or none."""
    price_in: float = Field(0.0, ge=0)
    """Price of a million tokens read, in whatever money."""
    price_out: float = Field(0.0, ge=0)
    """Price of a million tokens written, in the same money."""
    context: int | None = Field(None, ge=1)
    """Tokens that the model reads with its answer, for what cuts documents to them; null where that is unknown."""
    logprobs: bool = False
    """Whether to ask for the tokens' log-probabilities, from which an answer's confidence comes; many have none."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of each request, such as `chat_template_kwargs`; null leaves one out that is sent else."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not re.match(r"https?://[^/]", url):
            raise ValueError("not a URL: write http://HOST:PORT/v1 or https://HOST/v1")
        return url.rstrip("/")

    def cost(self, prompt_tokens: int, generated_tokens: int) -> float:
        """Return the price of so many tokens, in the money of `price_in` and `price_out`."""
        return (prompt_tokens * self.price_in + generated_tokens * self.price_out) / MILLION


class OpenAiChat:
    """A `Chatter` behind an endpoint; it may be asked from several threads at once.

    Raises:
        UserError: the environment variable with the key is not set.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.concurrency = endpoint, endpoint.concurrency
        self._further = {**({"logprobs": True} if endpoint.logprobs else {}), **endpoint.extra}
        further = f" with {json.dumps(self._further, sort_keys=True)}" if self._further else ""
        self.name = f"{endpoint.model} at {endpoint.url}{further}"  # by which its answers are kept
        self._client = _client(endpoint)
        weakref.finalize(self, self._client.close)  # its connections are kept open between questions

    def chat(self, conversations: Sequence[Sequence[Message]], options: GenerateOptions) -> list[Generation]:
        """Return one answer a conversation, `endpoint.concurrency` of them asked at once.

        Raises:
            NetworkError: no such server, no connection, no answer in time, a server that keeps failing or being busy,
                or one whose answer is no chat completion.
            UserError: it refuses the key.
            ContextError: a conversation is longer than the model's context.
            RequestError: it has no such model, or refuses the request.
        """
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="endpoint")
        answers = in_order(pool, lambda messages: self._ask(messages, options), conversations, self.concurrency)
        return [answer for _, answer in answers]

    def _ask(self, messages: Sequence[Message], options: GenerateOptions) -> Generation:
        import openai

        body = {
            "model": self.endpoint.model,
            "messages": [{"role": message.role, "content": well_formed(message.content)} for message in messages],
            **options.model_dump(),
            **self._further,
        }
        body = {name: value for name, value in body.items() if value is not None}
        try:
            raw = self._client.post("/chat/completions", body=body, cast_to=str)
        except openai.APIError as error:
            raise _explained(error, self.endpoint) from None
        return _read(raw, self.endpoint)


class _Said(BaseModel):
    content: str | None = None


class _Token(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Details(BaseModel):
    cached_tokens: int | None = None


class _Tokens(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Completion(BaseModel):
    """What is read of a chat completion."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Tokens | None = None


def _client(endpoint: Endpoint) -> openai.OpenAI:
    import openai

    key: str | None = NO_KEY
    if endpoint.key_env is not None:
        key = os.environ.get(endpoint.key_env)
        if not key:
            raise UserError(
                f"the environment variable {endpoint.key_env} with the endpoint's key is not set",
                where=endpoint.url,
                do=f"set {endpoint.key_env}, or leave key_env out where no key is needed",
            )
    return openai.OpenAI(
        base_url=endpoint.url,
        api_key=key,
        max_retries=endpoint.retries,
        timeout=openai.Timeout(endpoint.timeout_seconds, connect=min(CONNECT_SECONDS, endpoint.timeout_seconds)),
    )


def _read(raw: str, endpoint: Endpoint) -> Generation:
    """Return the answer in a response's body."""
    try:
        completion = _Completion.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise NetworkError(
            f"the answer is no chat completion: {f'{place}: ' if place else ''}{shorten(first['msg'])}",
            where=endpoint.url,
            do="check that the URL is where an OpenAI-compatible API starts, mostly with /v1 at its end",
        ) from None
    choice, usage = completion.choices[0], completion.usage or _Tokens()
    logprobs = [token.logprob for token in choice.logprobs.content or ()] if choice.logprobs else []
    return Generation(
        text=choice.message.content or "",
        ids=(),
        prompt_tokens=usage.prompt_tokens,
        confidence=math.exp(sum(logprobs) / len(logprobs)) if logprobs else None,
        stopped=choice.finish_reason != "length",
        generated_tokens=usage.completion_tokens,
        cached_tokens=usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None,
    )


def _explained(error: openai.APIError, endpoint: Endpoint) -> LextuneError:
    """Return what a user is told of a failed request."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return NetworkError(
            f"no answer within {endpoint.timeout_seconds:g} seconds",
            where=endpoint.url,
            do="raise timeout_seconds, or lower concurrency",
        )
    if isinstance(error, openai.APIStatusError):
        return _refused(error, endpoint)
    reason = shorten(str(error.__cause__ or error)) or type(error).__name__
    return NetworkError(
        f"no connection to the endpoint ({reason})", where=endpoint.url, do="check the URL, and that the server runs"
    )


def _refused(error: openai.APIStatusError, endpoint: Endpoint) -> LextuneError:
    """Return what a user is told of an answer of 400 and above."""
    status, url, name = error.status_code, endpoint.url, endpoint.key_env
    said = _message(error)
    if status in (401, 403):
        what = f"the endpoint refuses the key in {name}" if name else "the endpoint wants a key, and none was sent"
        do = f"set {name} to a key that is valid there" if name else "name the variable that holds it by key_env"
        return UserError(f"{what} ({status})", where=url, do=do)
    if status == 404:
        if "model" in f"{error.code} {said}".lower():
            return RequestError(
                f"the endpoint has no model {shorten(endpoint.model)!r}",
                where=url,
                do=f"use a model that {url}/models lists",
            )
        return RequestError(
            "the endpoint has no chat completions there (404)", where=url, do="give the URL up to /v1, and not further"
        )
    if status in (400, 413, 422) and _TOO_LONG.search(f"{error.code} {error.type} {said}"):
        return ContextError(
            f"the prompt is longer than {shorten(endpoint.model)} reads: {said}", where=url, do="shorten it"
        )
    if status == 429 or status >= 500:
        what = "is too busy" if status == 429 else "fails"
        tried = endpoint.retries + 1
        return NetworkError(
            f"the endpoint {what} ({status}, asked {tried} times at most): {said}",
            where=url,
            do="run the same command again later, or lower concurrency; answers already given are kept",
        )
    return RequestError(f"the endpoint refuses the request ({status}): {said}", where=url, do="see what it says")


def _message(error: openai.APIStatusError) -> str:
    """Return what the server said, on one short line."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else None
    return shorten(str(said or error.response.reason_phrase or "no reason given"))
