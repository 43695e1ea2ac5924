"""The engine behind an endpoint, against a real HTTP server on loopback."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lextune.core.errors import ContextError, LextuneError, NetworkError, RecipeError, RequestError, UserError
from lextune.core.recipe import validate
from lextune.core.records import Message
from lextune.expert.engines import openai_
from lextune.expert.engines.base import Chatter, GenerateOptions
from lextune.expert.engines.openai_ import Endpoint, OpenAiChat

Start = Callable[[Callable[[dict[str, Any]], Any]], Any]
KEY = "sk-a-key-that-nobody-may-see"
ASKED = (Message(role="system", content="Be short."), Message(role="user", content="Which law \ud800 governs?"))


def said(*texts: str) -> list[tuple[Message, ...]]:
    return [(Message(role="user", content=text),) for text in texts]


def chat(url: str, **settings: Any) -> OpenAiChat:
    return OpenAiChat(Endpoint(**{"url": url, "model": "judge", "retries": 0, **settings}))


def failure(url: str, **settings: Any) -> LextuneError:
    with pytest.raises(LextuneError) as caught:
        chat(url, **settings).chat([ASKED], GenerateOptions())
    assert KEY not in str(caught.value)
    return caught.value


def error(status: int, message: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps({"error": {"message": message, **more}}).encode()


def test_what_is_asked_and_what_comes_back(endpoint: Start) -> None:
    server = endpoint(lambda body: "Ohio's.")
    engine = chat(server.url)
    assert isinstance(engine, Chatter)
    assert engine.name == f"judge at {server.url}"
    (answer,) = engine.chat([ASKED], GenerateOptions(max_tokens=9, temperature=0.5, seed=3))
    assert answer.model_dump() == {
        **{"text": "Ohio's.", "ids": (), "prompt_tokens": 11, "confidence": None, "stopped": True},
        **{"generated_tokens": 7, "cached_tokens": None},
    }
    assert answer.written == 7
    (body,) = server.seen
    assert body == {
        "model": "judge",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Which law \N{REPLACEMENT CHARACTER} governs?"},
        ],
        **{"max_tokens": 9, "temperature": 0.5, "seed": 3},
    }


def test_further_parameters_are_sent_or_left_out(endpoint: Start) -> None:
    server = endpoint(lambda body: None)
    extra = {"max_tokens": None, "max_completion_tokens": 5, "chat_template_kwargs": {"enable_thinking": False}}
    engine = chat(f"{server.url}/", extra=extra, logprobs=True)
    assert engine.chat([ASKED], GenerateOptions())[0].text == ""
    (body,) = server.seen
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == 5
    assert body["logprobs"] is True
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    names = {chat(server.url, extra=e, logprobs=log).name for e in ({}, extra) for log in (True, False)}
    assert len(names) == 4, "answers are kept by the name, and one without log-probabilities has no confidence"


def test_confidence_is_the_mean_of_log_probabilities_and_a_cut_answer_is_told(endpoint: Start) -> None:
    tokens = {"content": [{"token": "a", "logprob": math.log(0.5)}, {"token": "b", "logprob": math.log(0.125)}]}
    choices = [{"message": {"content": "ab"}, "finish_reason": "length", "logprobs": tokens}]
    server = endpoint(lambda body: (200, {}, json.dumps({"choices": choices}).encode()))
    (answer,) = chat(server.url, logprobs=True).chat([ASKED], GenerateOptions())
    assert answer.confidence == pytest.approx(0.25)
    assert not answer.stopped
    assert answer.written == 0


def test_the_key_comes_from_the_environment(endpoint: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = endpoint(lambda body: "yes")
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "of another service")
    chat(server.url, key_env="JUDGE_KEY").chat([ASKED], GenerateOptions())
    chat(server.url).chat([ASKED], GenerateOptions())
    assert [headers["authorization"] for headers in server.headers] == [f"Bearer {KEY}", "Bearer none"]
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(UserError, match="the environment variable JUDGE_KEY with the endpoint's key is not set"):
        chat(server.url, key_env="JUDGE_KEY")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_and_not_shown(endpoint: Start, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    server = endpoint(lambda body: error(status, f"Incorrect API key provided: {KEY}"))
    monkeypatch.setenv("JUDGE_KEY", KEY)
    found = failure(server.url, key_env="JUDGE_KEY")
    assert isinstance(found, UserError)
    assert f"the endpoint refuses the key in JUDGE_KEY ({status})" in str(found)
    assert "set JUDGE_KEY to a key that is valid there" in str(found)
    found = failure(server.url)
    assert f"the endpoint wants a key, and none was sent ({status})" in str(found)
    assert "name the variable that holds it by key_env" in str(found)


def test_a_model_that_is_not_there(endpoint: Start) -> None:
    server = endpoint(lambda body: error(404, "The model `judge` does not exist.", code="model_not_found"))
    found = failure(server.url)
    assert isinstance(found, RequestError)
    assert "the endpoint has no model 'judge'" in str(found)
    assert f"use a model that {server.url}/models lists" in str(found)


def test_a_route_that_is_not_there(endpoint: Start) -> None:
    server = endpoint(lambda body: (404, {"content-type": "text/plain"}, b"Not Found"))
    assert "no chat completions there (404)\n  -> give the URL up to /v1" in str(failure(server.url))


@pytest.mark.parametrize(
    "body",
    [
        {"message": "This model's maximum context length is 4096 tokens. However, you requested 9000.", "code": 400},
        {"message": "Input is large", "code": "context_length_exceeded"},
        {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"},
        {"message": "The input (9000 tokens) is longer than the model's context length (4096 tokens)."},
    ],
)
def test_a_prompt_that_is_too_long(endpoint: Start, body: dict[str, Any]) -> None:
    server = endpoint(lambda _: (400, {}, json.dumps({"error": body}).encode()))
    found = failure(server.url)
    assert isinstance(found, ContextError)
    assert "the prompt is longer than judge reads: " in str(found)


def test_another_refusal_is_told_in_short(endpoint: Start) -> None:
    server = endpoint(lambda body: error(400, "No seed here. " + "x" * 500))
    found = failure(server.url)
    assert isinstance(found, RequestError)
    assert not isinstance(found, ContextError)
    assert "the endpoint refuses the request (400): No seed here. xxx" in str(found)
    assert "x" * 80 not in str(found)


def test_a_busy_server_is_asked_again_after_the_seconds_it_names(endpoint: Start) -> None:
    replies = [(429, {"retry-after": "0.3"}, b"{}"), (503, {"retry-after": "0.1"}, b"{}"), "at last"]
    server = endpoint(lambda body: replies.pop(0))
    started = time.monotonic()
    (answer,) = chat(server.url, retries=2).chat([ASKED], GenerateOptions())
    assert answer.text == "at last"
    assert 0.4 <= time.monotonic() - started < 5
    assert len(server.seen) == 3


def test_a_server_that_stays_busy_or_broken(endpoint: Start) -> None:
    server = endpoint(lambda body: (429, {"retry-after": "0.01"}, b'{"error": {"message": "slow down"}}'))
    found = failure(server.url, retries=1)
    assert isinstance(found, NetworkError)
    assert "the endpoint is too busy (429, asked 2 times at most): slow down" in str(found)
    assert "answers already given are kept" in str(found)
    assert len(server.seen) == 2
    server = endpoint(lambda body: (500, {}, b"<h1>oops</h1>"))
    assert "the endpoint fails (500, asked 1 times at most): Internal Server Error" in str(failure(server.url))


def test_no_server_and_no_host() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/v1", "http://no-such-host.invalid/v1"):
        found = failure(url)
        assert isinstance(found, NetworkError)
        assert found.exit_code == 3
        assert str(found).startswith(f"{url}: no connection to the endpoint (")
        assert "check the URL, and that the server runs" in str(found)


def test_an_answer_that_takes_too_long(endpoint: Start) -> None:
    release = threading.Event()
    server = endpoint(lambda body: release.wait(10) and "late")
    found = failure(server.url, timeout_seconds=0.2)
    release.set()
    assert isinstance(found, NetworkError)
    assert "no answer within 0.2 seconds\n  -> raise timeout_seconds, or lower concurrency" in str(found)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"<html>a portal</html>", "Invalid JSON"),
        (b'{"choices": [', "Invalid JSON"),
        (b"{}", "choices: Field required"),
        (b'{"choices": []}', "choices: List should have at least 1 item"),
        (b'{"choices": [{"message": {"content": 3}}]}', "choices.0.message.content: Input should be a valid string"),
    ],
)
def test_a_malformed_answer(endpoint: Start, raw: bytes, why: str) -> None:
    server = endpoint(lambda body: (200, {}, raw))
    found = failure(server.url)
    assert isinstance(found, NetworkError)
    assert f"the answer is no chat completion: {why}" in str(found)
    assert "mostly with /v1 at its end" in str(found)


def test_so_many_requests_at_once_and_answers_in_order(endpoint: Start) -> None:
    together, running, most = threading.Barrier(3), 0, 0
    counting = threading.Lock()

    def script(body: dict[str, Any]) -> str:
        nonlocal running, most
        with counting:
            running += 1
            most = max(most, running)
        together.wait(10)  # breaks unless three are here at once
        with counting:
            running -= 1
        return str(body["messages"][0]["content"])

    server = endpoint(script)
    texts = [f"question {number}" for number in range(9)]
    answers = chat(server.url, concurrency=3, timeout_seconds=20).chat(said(*texts), GenerateOptions())
    assert [answer.text for answer in answers] == texts
    assert most == 3


def test_the_price_is_of_a_million_tokens() -> None:
    endpoint = Endpoint(url="http://h/v1", model="m", price_in=0.4, price_out=1.6)
    assert endpoint.cost(500_000, 250_000) == pytest.approx(0.2 + 0.4)
    assert Endpoint(url="http://h/v1", model="m").cost(10**9, 10**9) == 0


def test_a_url_that_is_none() -> None:
    with pytest.raises(RecipeError, match="url: not a URL: write http://HOST:PORT/v1"):
        validate({"url": "localhost:8000", "model": "m"}, Endpoint, "judge")


@pytest.mark.parametrize(("details", "cached"), [(None, None), ({}, None), ({"cached_tokens": 8}, 8)])
def test_tokens_in_the_endpoints_cache_are_counted_where_it_tells(
    details: dict[str, int] | None, cached: int | None
) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 2, "prompt_tokens_details": details}
    answer = {"choices": [{"message": {"content": "Ohio."}, "finish_reason": "stop"}], "usage": usage}
    found = openai_._read(json.dumps(answer), Endpoint(url="http://localhost/v1", model="m"))
    assert (found.prompt_tokens, found.cached_tokens) == (11, cached)
