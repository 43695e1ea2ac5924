"""A release that `lextune serve` serves, asked as a judge over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace as Kit
from typing import Any

import pytest

from lextune.core.errors import MachineError, RequestError, UserError
from lextune.core.records import Message
from lextune.evaluate.judging.items import Item
from lextune.evaluate.judging.pairwise import judge_pairs
from lextune.evaluate.judging.rubric import load_rubric
from lextune.evaluate.judging.verdicts import Told
from lextune.expert.engines.base import GenerateOptions, Generation
from lextune.expert.engines.cached import CachedChat
from lextune.expert.engines.openai_ import Endpoint, OpenAiChat

KEY = "a-key-for-tests-0123456789"
RUBRIC = load_rubric("legal")
QUESTIONS = [f"May a tenant withhold rent in case {n}?" for n in range(4)]
ITEMS = [Item(id=str(n), prompt=q, a="Yes, under section 11.", b="No.") for n, q in enumerate(QUESTIONS)]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)


def at(server: Any, model: str = "clauses") -> Endpoint:
    return Endpoint(url=f"{server.url}/v1", model=model, key_env="JUDGE_KEY", concurrency=2)


def judging(kit: Kit, script: Callable[[str], str]) -> Any:
    class Judge(kit.Scripted):  # type: ignore[misc, name-defined]
        def chat(self, messages: Sequence[Message], options: GenerateOptions) -> Generation:
            done = super().chat(messages, options)
            return done.model_copy(update={"text": script(messages[1].content)})

    return Judge()


@pytest.mark.usefixtures("key")
def test_a_served_expert_judges(kit: Kit, tmp_path: Path) -> None:
    def script(shown: str) -> str:
        cited = shown.index("Yes, under section 11.") < shown.index("No.")
        return json.dumps({"reason": "It cites.", "winner": "first" if cited else "second"})

    with kit.Running(judging(kit, script)) as server:
        chat = CachedChat(OpenAiChat(at(server)), tmp_path / "answers.jsonl")
        report = judge_pairs(ITEMS, chat, RUBRIC).as_json()
    assert (report["win"], report["tie"], report["loss"], report["invalid"]) == (4, 0, 0, 0)
    assert report["net"]["value"] == 1
    assert report["costs"]["tokens_in"] == 8 * 7


@pytest.mark.usefixtures("key")
def test_a_served_expert_that_cannot_judge_is_counted(kit: Kit, tmp_path: Path) -> None:
    with kit.Running(kit.Scripted()) as server:
        chat = CachedChat(OpenAiChat(at(server)), tmp_path / "answers.jsonl")
        report = judge_pairs(ITEMS, chat, RUBRIC).as_json()
    assert (report["n"], report["n_items"], report["verdicts"], report["invalid"]) == (0, 4, 8, 8)
    assert chat.asked == 16  # each verdict, and once more


@pytest.mark.usefixtures("key")
def test_what_a_service_refuses_is_told(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    question = [[Message(role="user", content="hi")]]
    with kit.Running(kit.Scripted()) as server:
        with pytest.raises(RequestError, match="the endpoint has no model 'gpt-5'"):
            OpenAiChat(at(server, "gpt-5")).chat(question, GenerateOptions())
        monkeypatch.setenv("JUDGE_KEY", "guess")
        with pytest.raises(UserError, match="refuses the key in JUDGE_KEY"):
            OpenAiChat(at(server)).chat(question, GenerateOptions())
        monkeypatch.setenv("JUDGE_KEY", KEY)
    with (
        kit.Running(kit.Scripted("tag")) as server,
        pytest.raises(RequestError, match=r"refuses the request \(409\): clauses answers extraction only"),
    ):
        OpenAiChat(at(server)).chat(question, GenerateOptions())


@pytest.mark.slow
@pytest.mark.usefixtures("key")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_base_model_judges_over_http(kit: Kit, tmp_path: Path) -> None:
    from lextune.expert.answering import Identity
    from lextune.expert.engines.base import LocalChat
    from lextune.expert.engines.openvino_ import OpenVinoGenerator, exported_base
    from lextune.expert.schema import load_schema
    from lextune.expert.templates import Codec
    from lextune.expert.weights import SMOLLM2, resolve_base
    from lextune.expert.writing import WritingExpert

    try:
        base = resolve_base(SMOLLM2)
    except MachineError:
        pytest.skip("the base model smollm2-135m is not on this machine (make setup installs it)")
    codec = Codec(base.path)
    chatter = LocalChat(OpenVinoGenerator(exported_base(base), codec), codec)
    expert = WritingExpert(Identity("base", "ab" * 32, "text"), load_schema("instruction"), chatter)
    with kit.Running(expert, max_tokens=128) as server:
        chat = CachedChat(OpenAiChat(at(server, "base")), tmp_path / "answers.jsonl")
        found = judge_pairs(ITEMS, chat, RUBRIC, Told(max_tokens=64))
        asked = chat.asked
        again = judge_pairs(ITEMS, chat, RUBRIC, Told(max_tokens=64))
    report = found.as_json()
    print(f"\nSmolLM2-135M as a judge: {json.dumps(report)}")
    valid = report["verdicts"] - report["invalid"]
    assert report["verdicts"] == 8
    assert asked == 8 + report["invalid"] + report["repaired"]
    assert report["costs"]["tokens_in"] > 8 * 200
    assert 0 < report["costs"]["tokens_out"] <= 64 * asked
    assert report["n"] <= valid // 2
    assert (again, chat.asked) == (found, asked)
