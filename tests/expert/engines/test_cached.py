"""Answers are kept: whatever kills a run, nothing that was answered is asked again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lextune.core.errors import DataError, NetworkError
from lextune.core.records import Message
from lextune.expert.engines.base import Chatter, GenerateOptions
from lextune.expert.engines.cached import CachedChat
from lextune.expert.engines.openai_ import Endpoint, OpenAiChat
from lextune.expert.engines.scripted import ScriptedChat

Start = Callable[[Callable[[dict[str, Any]], Any]], Any]
GREEDY = GenerateOptions()
QUESTIONS = [f"question {number}" for number in range(6)]


def said(*texts: str) -> list[tuple[Message, ...]]:
    return [(Message(role="user", content=text),) for text in texts]


def echo(name: str = "echo") -> ScriptedChat:
    return ScriptedChat(lambda messages: f"re: {messages[-1].content}", name)


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    other = echo()
    chat = CachedChat(other, tmp_path / "new" / "answers.jsonl")
    assert isinstance(chat, Chatter)
    answers = chat.chat(said("a", "b", "a"), GREEDY)
    assert [answer.text for answer in answers] == ["re: a", "re: b", "re: a"]
    assert (len(other.seen), chat.asked, chat.cached) == (2, 2, 1)
    again = CachedChat(other, tmp_path / "new" / "answers.jsonl")
    assert again.chat(said("b", "a"), GREEDY) == [answers[1], answers[0]]
    assert (len(other.seen), again.asked, again.cached) == (2, 0, 2)


def test_who_is_asked_what_and_how_tells_answers_apart(tmp_path: Path) -> None:
    def asked(other: ScriptedChat, messages: Sequence[Message], options: GenerateOptions) -> int:
        CachedChat(other, tmp_path / "answers.jsonl").chat([messages], options)
        return len(other.seen)

    (question,) = said("a")
    assert asked(echo(), question, GREEDY) == 1
    assert asked(echo(), question, GREEDY) == 0
    assert asked(echo("another"), question, GREEDY) == 1
    assert asked(echo(), [question[0].model_copy(update={"role": "assistant"})], GREEDY) == 1
    assert asked(echo(), [*question, *question], GREEDY) == 1
    for change in ({"seed": 1}, {"temperature": 0.5}, {"max_tokens": 3}):
        assert asked(echo(), question, GREEDY.model_copy(update=change)) == 1
    assert asked(echo(), said("\ud800")[0], GREEDY) == 1


@pytest.mark.parametrize("answered", range(len(QUESTIONS)))
def test_a_run_killed_between_any_two_answers_asks_none_of_them_again(tmp_path: Path, answered: int) -> None:
    def run(deadly: bool) -> None:
        def script(messages: Sequence[Message]) -> str:
            with (tmp_path / "asked").open("a") as stream:
                stream.write(f"{messages[0].content}\n")
            if deadly and len((tmp_path / "asked").read_text().splitlines()) > answered:
                os.kill(os.getpid(), signal.SIGKILL)
            return messages[0].content.upper()

        answers = CachedChat(ScriptedChat(script), tmp_path / "answers.jsonl").chat(said(*QUESTIONS), GREEDY)
        assert [answer.text for answer in answers] == [text.upper() for text in QUESTIONS]

    child = os.fork()
    if not child:
        run(deadly=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    run(deadly=False)
    asked = Counter((tmp_path / "asked").read_text().splitlines())
    assert asked == {text: 2 if number == answered else 1 for number, text in enumerate(QUESTIONS)}


def test_an_answer_that_is_half_on_disk_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    first = CachedChat(echo(), path).chat(said("a", "b"), GREEDY)
    whole = path.read_bytes()
    line = whole.index(b"\n") + 1
    for cut in sorted({*range(0, len(whole), 13), line - 1, line, line + 1, len(whole) - 1}):
        path.write_bytes(whole[:cut])
        other = echo()
        assert CachedChat(other, path).chat(said("a", "b"), GREEDY) == first
        assert len(other.seen) == (1 if cut >= line else 2)
        assert path.read_bytes() == whole


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": "1", "prompt": "Which law?"}\n')
    with pytest.raises(DataError, match="not a file of kept answers"):
        CachedChat(echo(), path)
    assert path.read_text() == '{"id": "1", "prompt": "Which law?"}\n'


def test_answers_beside_one_that_fails_are_kept(endpoint: Start, tmp_path: Path) -> None:
    def script(body: dict[str, Any]) -> Any:
        text = body["messages"][0]["content"]
        return (500, {}, b"{}") if text == broken else text

    broken = QUESTIONS[2]
    server = endpoint(script)
    settings = Endpoint(url=server.url, model="m", retries=0, concurrency=3)
    chat = CachedChat(OpenAiChat(settings), tmp_path / "answers.jsonl")
    assert chat.concurrency == 3
    with pytest.raises(NetworkError):
        chat.chat(said(*QUESTIONS), GREEDY)
    broken = ""
    again = CachedChat(OpenAiChat(settings), tmp_path / "answers.jsonl")
    assert [answer.text for answer in again.chat(said(*QUESTIONS), GREEDY)] == QUESTIONS
    asked = Counter(body["messages"][0]["content"] for body in server.seen)
    assert asked == {text: 2 if number == 2 else 1 for number, text in enumerate(QUESTIONS)}


RUN = """
import sys
from pathlib import Path
from lextune.core.records import Message
from lextune.expert.engines.base import GenerateOptions
from lextune.expert.engines.cached import CachedChat
from lextune.expert.engines.openai_ import Endpoint, OpenAiChat
chat = CachedChat(OpenAiChat(Endpoint(url=sys.argv[1], model="m", concurrency=2)), Path(sys.argv[2]))
questions = [(Message(role="user", content=text),) for text in sys.argv[3:]]
print([answer.text for answer in chat.chat(questions, GenerateOptions())] == sys.argv[3:], chat.asked, chat.cached)
"""


def test_a_killed_process_does_not_ask_an_endpoint_twice(endpoint: Start, tmp_path: Path) -> None:
    process: subprocess.Popen[str] | None = None

    def script(body: dict[str, Any]) -> str:
        if process is not None and len(server.seen) == 4:
            process.kill()
            process.wait(10)
        return str(body["messages"][0]["content"])

    server = endpoint(script)
    command = [sys.executable, "-c", RUN, server.url, str(tmp_path / "answers.jsonl"), *QUESTIONS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.communicate(timeout=60)[0] == ""
    kept = len((tmp_path / "answers.jsonl").read_text().splitlines())
    assert 1 <= kept <= 3
    process, before = None, len(server.seen)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"True {len(QUESTIONS) - kept} {kept}\n"
    assert len(server.seen) - before == len(QUESTIONS) - kept
