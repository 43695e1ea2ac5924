"""Every refusal of the service, word for word, and what must stand in none of them."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace as Kit
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from lextune.core.errors import ContextError, MachineError, ModelError, RequestError
from lextune.deploy.bodies import NEUTRAL, ROLES, ChatBody, read_chat, read_extract
from lextune.deploy.refusals import Refusal

KEY = "a-key-for-tests-0123456789"
AUTH = {"authorization": f"Bearer {KEY}"}
TEXT = "\ufeffSUPPLY AGREEMENT.\r\nThis agreement is governed by the law of Utopia.\n"
SECRET = "Confidential " * 40

CHAT = {"model": "clauses", "messages": [{"role": "user", "content": "hi"}]}
SAY = CHAT["messages"]

EXTRACT_REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"content": b"{"}, 415, "unsupported_content_type",
     "no content type; send application/json or multipart/form-data"),
    ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "unsupported_content_type",
     "the content type 'text/plain' is not offered here; send application/json or multipart/form-data"),
    ({"json": {"text": "x"}, "headers": {"content-encoding": "gzip"}}, 415, "unsupported_content_type",
     "compressed bodies are not read; send it without Content-Encoding"),
    ({"json": [TEXT]}, 400, "invalid_request", "the body is not a JSON object"),
    ({"json": {"name": "a.txt"}}, 400, "invalid_request", "text: required, and not sent"),
    ({"json": {"text": 5}}, 400, "invalid_request", "text: input should be a valid string"),
    ({"json": {"text": "x", "nmae": "y"}}, 400, "invalid_request",
     "nmae: unknown; the body may hold text, name"),
    ({"json": {"text": "x", "name": "n" * 256}}, 400, "invalid_request",
     "name: string should have at most 255 characters"),
    ({"json": {"text": TEXT}, "params": {"min_confidence": "1.5"}}, 400, "invalid_request",
     "min_confidence is not a number from 0 to 1: '1.5'; send for example ?min_confidence=0.8"),
    ({"json": {"text": TEXT}, "params": {"min_confidence": "nan"}}, 400, "invalid_request",
     "min_confidence is not a number from 0 to 1: 'nan'; send for example ?min_confidence=0.8"),
    ({"json": {"text": TEXT}, "params": {"minconfidence": "1"}}, 400, "invalid_request",
     "unknown query parameter 'minconfidence'; leave it out; /v1/extract knows min_confidence"),
    ({"files": {"document": ("a.txt", b"x")}}, 400, "invalid_request",
     "the form must hold one file, named 'file', and nothing else; send for example"
     " `curl -F file=@contract.pdf`"),
    ({"files": {"file": ("a.txt", b"x")}, "data": {"schema": "mine"}}, 400, "invalid_request",
     "the form must hold one file, named 'file', and nothing else; send for example"
     " `curl -F file=@contract.pdf`"),
    ({"files": [("file", ("a.txt", b"x")), ("file", ("b.txt", b"x"))]}, 400, "invalid_request",
     "Too many files. Maximum number of files is 1."),
    ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "invalid_request",
     "Missing boundary in multipart."),
    ({"files": {"file": ("n" * 256, b"x")}}, 400, "invalid_request",
     "the file's name has more than 255 characters"),
    ({"files": {"file": ("a.txt", b"\xff\xfe\xfd")}}, 422, "unreadable_document",
     "a.txt: not UTF-8: byte 0xff at offset 0; convert it, probably with"
     " `iconv -f UTF-16LE -t UTF-8 IN.txt > OUT.txt`"),
    ({"files": {"file": ("a.png", b"\x89PNG" + b"n")}}, 422, "unreadable_document",
     "a.png: this is an image, and recognising text in images is off; give a document with a text layer, which"
     " ocrmypdf makes; `lextune data import --ocr eng`, and ocr=True in Python, recognise text themselves"),
    ({"json": {"text": " \n", "name": "a.txt"}}, 422, "unreadable_document",
     "a.txt: the document has no text; check that this is the text you meant"),
    ({"json": {"text": "x" * 1001, "name": "a.txt"}}, 422, "unreadable_document",
     "a.txt: the text is longer than 1,000 characters; split the document, or raise the limit"
     " max_characters"),
    ({"files": {"file": ("a.txt", b"x" * 1001)}}, 422, "unreadable_document",
     "a.txt: the text is longer than 1,000 characters; split the document, or raise the limit"
     " max_characters"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "code", "message"), EXTRACT_REFUSALS)
def test_extract_refuses(kit: Kit, request_: dict[str, Any], status: int, code: str, message: str) -> None:
    with kit.client_for(max_characters=1000) as client:
        error = kit.error_of(client.post("/v1/extract", **request_), status)
    assert (error["code"], error["message"]) == (code, message)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"text": ', "EOF while parsing a value"),
        (b"[" * 100_000, "recursion limit exceeded"),
        (b'{"text": "\\ud800"}', "unexpected end of hex escape"),  # half a character
        (b'{"text": "\xff"}', "invalid unicode code point"),
        (b'{"text": NaN}', "expected value"),
        (b"", "EOF while parsing a value"),
    ],
)
def test_what_is_no_json_is_refused(kit: Kit, client: TestClient, body: bytes, reason: str) -> None:
    for path in ("/v1/extract", "/v1/chat/completions"):
        sent = client.post(path, content=body, headers={"content-type": "application/json"})
        error = kit.error_of(sent, 400)
        assert error["code"] == "invalid_request"
        assert error["message"].startswith(f"the body is not valid JSON: {reason}")


GRAMMAR = ": grammars and output schemas from callers are refused; leave it out; /v1/extract answers in"
GRAMMAR += " the release's own schema"
NOT_THIS = ": this service does not offer that parameter"
CHAT_REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"model": "gpt-5"}, 404, "model_not_found",
     "no model 'gpt-5' here; use 'clauses', the one in /v1/models"),
    ({"model": None}, 400, "invalid_request", "model: required, and not sent"),
    ({"messages": []}, 400, "invalid_request",
     "messages: list should have at least 1 item after validation, not 0"),
    ({"messages": ["hi"]}, 400, "invalid_request",
     "messages.0: a message is an object with role and content"),
    ({"messages": [*SAY, {"role": "tool", "content": "x"}]}, 400, "invalid_request",
     "messages.1.role: unknown role 'tool'; use one of system, developer, user, assistant"),
    ({"messages": [{"role": "user"}]}, 400, "invalid_request",
     "messages.0.content: a text, or a list of text parts, is required"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400,
     "unsupported_parameter",
     "messages.0.content: this service reads text parts only; send images, audio and files as text, or a"
     " document to /v1/extract"),
    ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, 400,
     "unsupported_parameter", "messages.0.name: messages hold role and content only; leave it out"),
    ({"messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}]}, 400,
     "unsupported_parameter", "messages.0.tool_calls: messages hold role and content only; leave it out"),
    ({"messages": [{"role": "user", "content": "x" * 1001}]}, 413, "request_too_large",
     "the messages have more than 1,000 characters; send fewer or shorter messages, or ask the operator to"
     " raise --max-characters"),
    ({"max_tokens": 0}, 400, "invalid_request", "max_tokens: input should be greater than or equal to 1"),
    ({"max_tokens": 2000}, 400, "invalid_request",
     "max_tokens is 2,000, and this service generates at most 1,024 tokens; send max_tokens of 1,024 or"
     " less"),
    ({"max_completion_tokens": 2000}, 400, "invalid_request",
     "max_completion_tokens is 2,000, and this service generates at most 1,024 tokens; send"
     " max_completion_tokens of 1,024 or less"),
    ({"seed": 1 << 63}, 400, "invalid_request",
     "seed: input should be less than 9223372036854775808"),
    ({"temperature": 2.5}, 400, "invalid_request", "temperature: input should be less than or equal to 2"),
    ({"stream": "yes"}, 400, "invalid_request", "stream: input should be a valid boolean"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "unsupported_parameter",
     f"tools{NOT_THIS} other than []; leave it out"),
    ({"n": 2}, 400, "unsupported_parameter", f"n{NOT_THIS} other than 1; leave it out"),
    ({"stop": "\n"}, 400, "unsupported_parameter", f"stop{NOT_THIS} other than []; leave it out"),
    ({"beam_width": 4}, 400, "unsupported_parameter", f"beam_width{NOT_THIS}; leave it out"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, 400,
     "unsupported_parameter", f"response_format{GRAMMAR}"),
    ({"response_format": {"type": "json_object"}}, 400, "unsupported_parameter",
     f"response_format{GRAMMAR}"),
    ({"guided_regex": "(a+)+"}, 400, "unsupported_parameter", f"guided_regex{GRAMMAR}"),
    ({"structured_outputs": {"grammar": "root ::= root"}}, 400, "unsupported_parameter",
     f"structured_outputs{GRAMMAR}"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "code", "message"), CHAT_REFUSALS)
def test_chat_refuses(kit: Kit, change: dict[str, Any], status: int, code: str, message: str) -> None:
    expert = kit.Scripted()
    with kit.client_for(expert, max_characters=1000) as client:
        error = kit.error_of(client.post("/v1/chat/completions", json=CHAT | change), status)
    assert (error["code"], error["message"]) == (code, message)
    assert not expert.seen


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "no API key; send the header `Authorization: Bearer KEY`"),
        ("Bearer", "no API key; send the header `Authorization: Bearer KEY`"),
        (f"Basic {KEY}", "no API key; send the header `Authorization: Bearer KEY`"),
        (f"Bearer {KEY}x", "wrong API key; check the key with the operator of this service"),
        ("Bearer \xff", "wrong API key; check the key with the operator of this service"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/extract", "/v1/chat/completions", "/nowhere"])
def test_a_key_is_needed_everywhere_else(kit: Kit, client: TestClient, path: str, header: str, message: str) -> None:
    answer = client.post(path, headers={"authorization": header.encode("latin-1")}, json={"text": SECRET})
    error = kit.error_of(answer, 401)
    assert (error["message"], error["code"]) == (message, "invalid_api_key")
    assert error["type"] == "authentication_error"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert KEY not in answer.text


def test_unknown_routes_and_methods(kit: Kit, client: TestClient) -> None:
    error = kit.error_of(client.get("/v1/embeddings"), 404)
    assert error["code"] == "not_found"
    assert error["message"] == ("no such route; use /v1/extract, /v1/chat/completions, /v1/models or /health")
    answer = client.get("/v1/extract")
    error = kit.error_of(answer, 405)
    assert answer.headers["allow"] == "POST"
    assert (error["code"], error["message"]) == (
        "method_not_allowed",
        "this route does not take that method; POST to /v1/extract and /v1/chat/completions, GET /v1/models"
        " and /health",
    )
    for path in ("/docs", "/redoc", "/openapi.json", "/v1/extract/"):
        kit.error_of(client.get(path), 404)


def failing(kit: Kit, error: Exception) -> Any:
    def fail() -> None:
        raise error

    return kit.Scripted(hook=fail)


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (ContextError("too long", do="shorten it"), 400, "context_length_exceeded", "too long; shorten it"),
        (RequestError("it cannot chat", do="do not"), 409, "not_offered", "it cannot chat; do not"),
        (MachineError("no memory left"), 503, "machine_error", "no memory left"),
        (
            MemoryError(),
            503,
            "machine_error",
            "out of memory; close other programs, or do less at once (in training: a smaller train.batch)",
        ),
        (ModelError("the head is torn", where="head"), 500, "internal_error", "head: the head is torn"),
        (
            ValueError(SECRET),
            500,
            "internal_error",
            "the service failed on this request (ValueError), which is a bug in it; tell the operator: the"
            " service's log says where it happened",
        ),
    ],
)
def test_errors_of_the_expert(kit: Kit, error: Exception, status: int, code: str, message: str) -> None:
    with kit.client_for(failing(kit, error)) as client:
        answer = client.post("/v1/chat/completions", json=CHAT)
        told = kit.error_of(answer, status)
        assert (told["code"], told["message"]) == (code, message)
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["x-lextune-release"] == "ab" * 32
        assert client.get("/health").status_code == 200


def test_nothing_of_a_document_or_a_key_is_logged(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with kit.client_for(failing(kit, ValueError(f"cannot read {SECRET}"))) as client:
        answers = [
            client.post("/v1/extract", json={"text": SECRET}),
            client.post("/v1/extract", json={"text": "x", SECRET: 1}),
            client.post("/v1/extract", files={"file": (SECRET[:200], b"\xff")}),
            client.post("/v1/extract", json={"text": "x"}, params={SECRET: "1"}),
            client.post("/v1/extract", json={"text": "x"}, params={"min_confidence": SECRET}),
            client.post("/v1/chat/completions", json=CHAT | {SECRET: 1}),
            client.post("/v1/chat/completions", json=CHAT | {"model": SECRET}),
            client.post("/v1/chat/completions", json=CHAT | {"messages": [{"role": SECRET}]}),
            client.get(f"/{SECRET}"),
        ]
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("httpx"))
    beyond = SECRET[:81]
    assert "a request failed: ValueError: cannot read Confidential" in ours
    assert "in fail" in ours  # where it happened
    assert "POST /v1/extract 500 " in ours
    assert "GET (no route) 404 " in ours
    for text in (ours, *(answer.text for answer in answers)):
        assert beyond not in text
        assert KEY not in text
    assert all(answer.status_code >= 400 for answer in answers)


KEYS = (*ChatBody.model_fields, *NEUTRAL, "role", "content", "text", "type", "name", "guided_json")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([*ROLES]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)


MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from([*ROLES, "tool"]), "content": VALUES}) | VALUES, max_size=2
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3), MESSAGES, st.sampled_from([{}, CHAT]))
@settings(max_examples=150)
def test_any_body_is_read_or_refused(body: dict[str, Any], messages: list[Any], rest: dict[str, Any]) -> None:
    """Nothing that parses as JSON gets past the readers as another error than a Refusal."""
    data = json.dumps({**body, **rest, "messages": messages}).encode()
    refusals = []
    for read in (read_extract, read_chat):
        try:
            value = read(data)
            if isinstance(value, ChatBody):
                assert value.turns(1000)
                assert 1 <= value.options(100).max_tokens <= 100
        except Refusal as refusal:
            refusals.append(refusal)
    assert all(400 <= refusal.kind.status < 500 and refusal.what for refusal in refusals)
