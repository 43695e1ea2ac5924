"""Limits under load: sizes, time, the queue, callers who leave."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace as Kit

import httpx
import pytest

KEY = "a-key-for-tests-0123456789"
AUTH = {"authorization": f"Bearer {KEY}"}
TEXT = "\ufeffSUPPLY AGREEMENT.\r\nThis agreement is governed by the law of Utopia.\n"
SECRET = "Confidential " * 40


def test_a_body_is_limited_by_its_declared_length_and_while_it_arrives(kit: Kit) -> None:
    expert, sent = kit.Scripted(), 0

    def pieces() -> Iterator[bytes]:  # no content-length: chunked
        nonlocal sent
        for _ in range(5000):
            sent += 1000
            yield b"x" * 1000

    with kit.Running(expert, max_bytes=2000) as server, httpx.Client(headers=AUTH) as client:
        declared = client.post(f"{server.url}/v1/extract", json={"text": SECRET * 10})
        with client.stream(
            "POST", f"{server.url}/v1/extract", content=pieces(), headers={"content-type": "application/json"}
        ) as streamed:
            streamed.read()
        small = client.post(f"{server.url}/v1/extract", json={"text": TEXT})
    for answer in (declared, streamed):
        error = kit.error_of(answer, 413)
        assert error["code"] == "request_too_large"
        assert error["message"] == (
            "the request is larger than 2,000 bytes; split the document, or ask the operator to raise --max-bytes"
        )
    assert small.status_code == 200


def test_an_upload_that_stalls_is_given_up(kit: Kit) -> None:
    with kit.Running(kit.Scripted(), timeout_seconds=0.2) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            raw.sendall(
                f"POST /v1/extract HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
                "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{".encode()
            )
            received = b""
            while b"}}" not in received:
                received += raw.recv(4096)
    answer = received.decode()
    assert answer.startswith("HTTP/1.1 408")
    assert "x-should-retry: false" in answer
    assert (
        "the request's body did not arrive within 0.2 seconds; send a smaller document, or over a faster"
        " connection" in answer
    )


class Gate:
    """Holds the model's thread until it is opened, and counts who is inside."""

    def __init__(self) -> None:
        self.open, self.inside, self.most, self.passed = threading.Event(), 0, 0, 0

    def __call__(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        assert self.open.wait(10)
        self.inside -= 1
        self.passed += 1


class Posts:
    """Requests to /v1/extract, each in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._url, self._threads = url, list[threading.Thread]()
        self.answers: list[httpx.Response] = []

    def start(self) -> None:
        def post() -> None:
            sent = {"json": {"text": TEXT}, "headers": AUTH, "timeout": 10}
            self.answers.append(httpx.post(f"{self._url}/v1/extract", **sent))

        self._threads.append(threading.Thread(target=post))
        self._threads[-1].start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=10)


def test_one_at_a_time_a_bounded_queue_then_429(kit: Kit) -> None:
    gate = Gate()
    expert = kit.Scripted(hook=gate)
    with kit.Running(expert, max_queue=2) as server:
        posts = Posts(server.url)
        try:
            for _ in range(6):
                posts.start()
            kit.wait_until(lambda: len(posts.answers) == 3)  # three too many
            refused = list(posts.answers)
            assert httpx.get(f"{server.url}/health").status_code == 200  # the loop is free meanwhile
        finally:
            gate.open.set()
            posts.join()
    for answer in refused:
        error = kit.error_of(answer, 429)
        assert (error["code"], error["type"]) == ("queue_full", "rate_limit_error")
        assert error["message"] == (
            "the queue is full: one request runs and 2 wait; send the request again after the seconds in Retry-After"
        )
        assert answer.headers["retry-after"] == "1"
    assert [answer.status_code for answer in posts.answers[3:]] == [200] * 3
    assert (gate.most, gate.passed) == (1, 3)
    assert len(expert.threads) == 1


def test_time_is_up_for_who_runs_and_for_who_waits_and_the_model_stays_one(kit: Kit) -> None:
    gate = Gate()
    with kit.Running(kit.Scripted(hook=gate), max_queue=1, timeout_seconds=0.4) as server:
        posts = Posts(server.url)
        try:
            posts.start()
            kit.wait_until(lambda: gate.inside == 1)
            posts.start()
            posts.join()
            late = [kit.error_of(answer, 504) for answer in posts.answers]
            posts.start()  # what runs still holds the model and its place: one may wait, and is late
            posts.start()
            posts.join()
            assert sorted(answer.status_code for answer in posts.answers[2:]) == [429, 504]
        finally:
            gate.open.set()
        kit.wait_until(lambda: gate.inside == 0)
        posts.start()
        posts.join()
    do = "; send a shorter document, or try when the service is less busy"
    assert [error["code"] for error in late] == ["timeout"] * 2
    assert {error["message"] for error in late} == {
        f"the request was still being answered when its 0.4 seconds were up{do}",
        f"the request waited for its turn when its 0.4 seconds were up{do}",
    }
    assert posts.answers[4].status_code == 200
    assert (gate.most, gate.passed) == (1, 2)


def test_a_caller_who_breaks_off_an_upload_is_no_bug(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lextune.service")
    key = AUTH["authorization"]
    head = f"POST /v1/extract HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Length: 9999\r\n"
    with kit.Running(kit.Scripted()) as server:
        for kind in ("application/json", "multipart/form-data; boundary=x"):
            caplog.clear()
            host, port = server.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as caller:
                caller.sendall(f"{head}Content-Type: {kind}\r\n\r\n".encode() + b"--x\r\n")
            kit.wait_until(lambda: bool(caplog.records))
            (said,) = [record.getMessage() for record in caplog.records]
            assert said.startswith("POST /v1/extract "), said


def test_a_caller_who_leaves_the_queue_frees_the_place(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lextune.service")
    gate = Gate()
    with kit.Running(kit.Scripted(hook=gate), max_queue=1) as server:
        posts = Posts(server.url)
        try:
            posts.start()
            kit.wait_until(lambda: gate.inside == 1)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{server.url}/v1/extract", json={"text": TEXT}, headers=AUTH, timeout=0.1)
            kit.wait_until(lambda: any(" 499 " in record.getMessage() for record in caplog.records))
            posts.start()  # takes the place that was left, and is not refused
        finally:
            gate.open.set()
            posts.join()
    assert [answer.status_code for answer in posts.answers] == [200, 200]
    assert gate.passed == 2  # the one that left never reached the model
