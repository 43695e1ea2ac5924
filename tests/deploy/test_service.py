"""The service answers: OpenAI's own client against a real server, records, and starting."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace as Kit
from typing import Any

import httpx
import openai
import pytest
from starlette.testclient import TestClient

from lextune.core.errors import MachineError, UserError
from lextune.deploy import service as service_module
from lextune.deploy.bodies import ChatBody
from lextune.deploy.service import (
    create_app,
    key_from_environment,
    listen,
    make_server,
    serve,
)
from lextune.deploy.settings import ServiceSettings
from lextune.expert.engines.base import GenerateOptions

KEY = "a-key-for-tests-0123456789"
AUTH = {"authorization": f"Bearer {KEY}"}
TEXT = "\ufeffSUPPLY AGREEMENT.\r\nThis agreement is governed by the law of Utopia.\n"
LAW = "the law of Utopia"
CHAT = {"model": "clauses", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def running(kit: Kit) -> Iterator[Any]:
    with kit.Running(kit.Scripted(), max_tokens=64) as server:
        yield server


def test_openai_client_lists_the_release(running: Any) -> None:
    with running.openai() as client:
        (model,) = client.models.list().data
        assert (model.id, model.object, model.owned_by) == ("clauses", "model", "lextune")
        extra = model.model_extra or {}
        assert extra == {"release": "ab" * 32, "strategy": "point", "schema": "two-fields"}
        assert client.models.retrieve("clauses") == model
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("gpt-5")
    assert caught.value.code == "model_not_found"
    assert "no model 'gpt-5' here; use 'clauses', the one in /v1/models" in str(caught.value)


def test_openai_client_chats(running: Any) -> None:
    with running.openai() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="clauses", messages=[{"role": "user", "content": "hello"}], temperature=0.5, seed=3
        )
        completion = raw.parse()
    assert raw.headers["x-lextune-release"] == "ab" * 32
    (choice,) = completion.choices
    assert choice.message.content == "You said \u2028 hello"
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert completion.usage is not None
    counts = (completion.usage.prompt_tokens, completion.usage.completion_tokens)
    assert counts == (7, len("You said \u2028 hello"))
    assert completion.usage.total_tokens == sum(counts)
    assert (completion.model, completion.system_fingerprint) == ("clauses", "ab" * 32)


def test_openai_client_streams(running: Any) -> None:
    with running.openai() as client:
        stream = client.chat.completions.create(
            model="ab" * 32,
            messages=[{"role": "user", "content": "hello, this is longer than what may come back " * 3}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    assert len({chunk.id for chunk in chunks}) == 1
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text.startswith("You said \u2028 hello, this")
    assert len(text) == 64  # max_tokens of the service; the scripted expert's tokens are characters
    assert [c.choices[0].finish_reason for c in chunks if c.choices] == [None, None, "length"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.usage.total_tokens for c in chunks if c.usage] == [7 + 64]


def test_openai_client_sees_the_reason_a_tag_release_gives_and_does_not_try_again(
    kit: Kit,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "lextune.service")
    with kit.Running(kit.Scripted("tag")) as server, server.openai(max_retries=2) as client:
        with pytest.raises(openai.ConflictError) as caught:
            client.chat.completions.create(model="clauses", messages=[{"role": "user", "content": "hi"}])
        record = client.post("/extract", body={"text": TEXT}, cast_to=object)
    assert caught.value.code == "not_offered"
    assert caught.value.body == {
        "message": "clauses answers extraction only: it marks sentences and generates no text; POST the"
        " document to /v1/extract, or serve a release of strategy point or text",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_offered",
    }
    assert isinstance(record, dict)
    assert record["fields"]["Governing Law"]["answer"] == "Utopia"
    routes = [r.getMessage().rsplit(" ", 2)[0] for r in caplog.records if r.name == "lextune.service"]
    assert routes == ["POST /v1/chat/completions 409", "POST /v1/extract 200"]


def test_openai_client_without_the_key(running: Any) -> None:
    with (
        running.openai(api_key="guess") as client,
        pytest.raises(openai.AuthenticationError, match="wrong API key") as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"


def test_openai_client_waits_as_told_and_gets_its_answer(kit: Kit) -> None:
    release = threading.Event()
    expert = kit.Scripted(hook=lambda: release.wait(10) and None)
    with kit.Running(expert, max_queue=0) as server, server.openai(max_retries=2) as client:
        first = threading.Thread(
            target=httpx.post,
            args=(f"{server.url}/v1/extract",),
            kwargs={
                "json": {"text": TEXT},
                "headers": AUTH,
                "timeout": 10,
            },
        )
        first.start()
        kit.wait_until(lambda: bool(expert.threads))
        threading.Timer(0.3, release.set).start()
        completion = client.chat.completions.create(model="clauses", messages=[{"role": "user", "content": "hello"}])
        first.join(timeout=10)
    assert completion.choices[0].message.content == "You said \u2028 hello"


def test_a_text_and_a_file_give_the_same_record(client: TestClient) -> None:
    text = TEXT.removeprefix("\ufeff")
    by_text = client.post("/v1/extract", json={"text": text, "name": "supply.txt"})
    by_file = client.post("/v1/extract", files={"file": ("supply.txt", text.encode(), "text/plain")})
    assert by_text.status_code == by_file.status_code == 200
    assert by_text.headers["x-lextune-release"] == "ab" * 32
    record = by_text.json()
    assert record == by_file.json()
    assert list(record) == ["document", "release", "schema", "fields", "not_assessed"]
    assert record["document"] == {
        "name": "supply.txt",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "pages": None,
        "characters": len(text),
        "scanned_pages": [],
    }
    assert list(record["fields"]) == ["Governing Law", "Exclusivity"]
    (quote,) = record["fields"]["Governing Law"]["quotes"]
    assert text[quote["start"] : quote["end"]] == quote["text"] == LAW
    assert record["fields"]["Exclusivity"] is None


@pytest.mark.parametrize("text", [TEXT, f"<html> {LAW}", f"%PDF-1.7 {LAW}", f"{{\\rtf {LAW}", f"\U0001f600\0 {LAW}"])
def test_offsets_count_the_text_as_sent_whatever_it_looks_like(client: TestClient, text: str) -> None:
    record = client.post("/v1/extract", json={"text": text}).json()
    (quote,) = record["fields"]["Governing Law"]["quotes"]
    assert text[quote["start"] : quote["end"]] == LAW
    assert record["document"]["name"] == "document"


def test_a_word_file_is_read(client: TestClient) -> None:
    import docx

    word, stream = docx.Document(), io.BytesIO()
    word.add_paragraph(f"This agreement is governed by {LAW}.")
    word.save(stream)
    answer = client.post("/v1/extract", files={"file": ("a.docx", stream.getvalue())})
    assert answer.json()["fields"]["Governing Law"]["answer"] == "Utopia"


def test_min_confidence_reaches_the_expert(client: TestClient) -> None:
    def law(query: str) -> Any:
        return client.post(f"/v1/extract{query}", json={"text": TEXT}).json()["fields"]["Governing Law"]["status"]

    assert law("?min_confidence=0.9") == "accepted"
    assert law("?min_confidence=0.95") == "review"


def test_health_needs_no_key(kit: Kit) -> None:
    with kit.client_for() as client:
        answer = client.get("/health", headers={"authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_without_a_key_everybody_on_the_machine_is_let_in(kit: Kit) -> None:
    with kit.client_for(key=None) as client:
        assert client.get("/v1/models").status_code == 200


def test_chat_takes_parts_neutral_values_and_its_own_messages_back(kit: Kit) -> None:
    expert = kit.Scripted()
    echo = {"role": "assistant", "content": "Hello", "refusal": None, "tool_calls": None, "annotations": []}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = {
        "model": "clauses",
        "messages": [{"role": "developer", "content": "Be brief"}, echo, {"role": "user", "content": parts}],
        "max_completion_tokens": 5, "n": 1, "top_p": 1.0, "tools": [], "response_format": {"type": "text"},
        "user": "u1", "stop": None,
    }  # fmt: skip
    with kit.client_for(expert) as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    ((messages, options),) = expert.seen
    assert [(m.role, m.content) for m in messages] == [
        ("system", "Be brief"),
        ("assistant", "Hello"),
        ("user", "a\nb"),
    ]
    assert options == GenerateOptions(max_tokens=5)


def test_stream_is_sse_that_any_line_reader_can_split(client: TestClient) -> None:
    answer = client.post("/v1/chat/completions", json=CHAT | {"stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert len(answer.text.splitlines()) == 2 * 4  # U+2028 in the answer breaks no line
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert [chunk["object"] for chunk in chunks] == ["chat.completion.chunk"] * 3
    assert all("usage" not in chunk for chunk in chunks)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_other_machines_need_a_key(kit: Kit, host: str) -> None:
    with pytest.raises(UserError) as caught:
        serve(kit.Scripted, ServiceSettings(), host, 0)
    assert str(caught.value) == (
        f"--host {host}: without an API key the service listens on this machine only\n"
        "  -> set LEXTUNE_API_KEY, or use --host 127.0.0.1"
    )


@pytest.mark.parametrize("key", ["", " ", "two words", "newline\n"])
def test_a_key_that_cannot_be_sent_is_refused(kit: Kit, key: str) -> None:
    with pytest.raises(UserError) as caught:
        create_app(kit.Scripted(), ServiceSettings(), key)
    assert str(caught.value) == (
        "$LEXTUNE_API_KEY: the API key is empty or holds white space\n"
        "  -> set it to one word, for example LEXTUNE_API_KEY=$(openssl rand -hex 24), or unset it"
    )


def test_the_key_comes_from_the_environment() -> None:
    assert key_from_environment({"LEXTUNE_API_KEY": "k"}) == "k"
    assert key_from_environment({}) is None


def test_a_taken_port_is_the_users_to_change(kit: Kit) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as caught:
            serve(kit.Scripted, ServiceSettings(), "127.0.0.1", port)
    assert str(caught.value) == (
        f"127.0.0.1:{port}: cannot listen: Address already in use\n  -> choose another --host or --port"
    )


@pytest.mark.parametrize(("host", "start"), [("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://localhost:")])
def test_serve_listens_says_where_and_answers(kit: Kit, monkeypatch: pytest.MonkeyPatch, host: str, start: str) -> None:
    servers, urls = [], []

    def keep(*arguments: Any) -> Any:
        servers.append(make_server(*arguments))
        return servers[0]

    monkeypatch.setattr(service_module, "make_server", keep)
    thread = threading.Thread(
        target=serve, args=(kit.Scripted, ServiceSettings(), host, 0), kwargs={"on_ready": urls.append}
    )
    thread.start()
    try:
        kit.wait_until(lambda: bool(servers) and servers[0].started)
        assert urls[0].startswith(start)
        assert httpx.get(f"{urls[0]}/v1/models").json()["data"][0]["id"] == "clauses"
    finally:
        servers[0].should_exit = True
        thread.join(timeout=10)


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "python_multipart"])
def test_a_missing_package_is_named(kit: Kit, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MachineError) as caught:
        create_app(kit.Scripted(), ServiceSettings())
    assert str(caught.value) == (
        f"the server needs a package that is not installed: {package}\n  -> pip install 'lextune[serve]'"
    )


def test_no_default_stands_twice() -> None:
    """A caller who names neither temperature nor seed gets the engine's own defaults."""
    body = ChatBody(model="m", messages=[{"role": "user", "content": "x"}])
    assert body.options(9) == GenerateOptions(max_tokens=9)
