"""A scripted expert, a client inside the process, a real server on loopback: for all tests of deploy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest
from starlette.testclient import TestClient

from lextune.core.records import Document, DocumentInfo, FieldAnswer, Message, Prediction, Quote, Record
from lextune.deploy.service import create_app, listen, make_server
from lextune.deploy.settings import ServiceSettings
from lextune.expert.engines.base import GenerateOptions, Generation
from lextune.expert.schema import Schema, SchemaField

KEY = "a-key-for-tests-0123456789"
AUTH = {"authorization": f"Bearer {KEY}"}
LAW = "the law of Utopia"
SCHEMA = Schema(
    name="two-fields",
    fields=(
        SchemaField(name="Governing Law", type="jurisdiction", question="Which law governs?"),
        SchemaField(name="Exclusivity", type="boolean", question="Is it exclusive?"),
    ),
)


class Scripted:
    """An expert that finds one phrase and echoes the last message; `hook` runs in the model's thread."""

    name, release_hash, schema = "clauses", "ab" * 32, SCHEMA

    def __init__(self, strategy: str = "point", hook: Callable[[], None] = lambda: None) -> None:
        self.strategy, self.hook = strategy, hook
        self.seen: list[tuple[list[Message], GenerateOptions]] = []
        self.threads: set[str] = set()

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        self.threads.add(threading.current_thread().name)
        self.hook()
        start = document.text.find(LAW)
        law = None
        if start >= 0:
            quote = Quote(text=LAW, start=start, end=start + len(LAW), page=document.page_of(start))
            status = "accepted" if (min_confidence or 0) <= 0.9 else "review"
            law = FieldAnswer(answer="Utopia", quotes=(quote,), confidence=0.9, status=status)
        record = Record(
            document=DocumentInfo.of(document),
            release=self.name,
            schema_name=SCHEMA.name,
            fields={"Governing Law": law, "Exclusivity": None},
        )
        return Prediction(document_id=document.id, record=record)

    def chat(self, messages: Sequence[Message], options: GenerateOptions) -> Generation:
        self.seen.append((list(messages), options))
        self.hook()
        whole = f"You said \u2028 {messages[-1].content}"
        text = whole[: options.max_tokens]
        return Generation(text=text, ids=tuple(map(ord, text)), prompt_tokens=7, stopped=len(text) == len(whole))


def client_for(expert: Scripted | None = None, key: str | None = KEY, **settings: Any) -> TestClient:
    app = create_app(expert or Scripted(), ServiceSettings(**settings), key)
    return TestClient(app, headers=AUTH if key else {})


class Running:
    """A real server on a free loopback port, for the length of a `with` block."""

    def __init__(self, expert: Scripted, key: str | None = KEY, **settings: Any) -> None:
        limits = ServiceSettings(**settings)
        self._socket = listen("127.0.0.1", 0)
        self._server = make_server(create_app(expert, limits, key), limits)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Running:
        self._thread.start()
        wait_until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()
        assert not self._thread.is_alive()

    def openai(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", **{"api_key": KEY, "max_retries": 0, **options})


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def error_of(response: httpx.Response | Any, status: int) -> dict[str, Any]:
    """Return the error's body: the only key, of the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


@pytest.fixture
def client() -> Iterator[TestClient]:
    with client_for() as client:
        yield client


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What tests of several files share."""
    return SimpleNamespace(
        Running=Running, Scripted=Scripted, client_for=client_for, error_of=error_of, wait_until=wait_until
    )
