"""Predicting: which worked examples are chosen, and one file an arm."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lextune.core.artifacts import Artifact, read_jsonl, write_atomic, write_jsonl
from lextune.core.records import Document, Message, Prediction
from lextune.core.stage import Context
from lextune.evaluate import predict_base
from lextune.evaluate.predict import PredictConfig, run_predict
from lextune.evaluate.predict_base import (
    PredictBaseConfig,
    base_generator,
    choose_shots,
    few_shot_names,
    run_predict_base,
)
from lextune.expert.build import LoadedModel
from lextune.expert.engines.scripted import ScriptedGenerator
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.head import Head
from lextune.expert.linear import fit_linear
from lextune.expert.point import GENERAL, ChatExample
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.weights import Base, resolve_base
from lextune.expert.windowing import WindowConfig, WindowExample


def _window(number: int, *fields: int, text: str = "A sentence.") -> WindowExample:
    return WindowExample(
        document_id=f"d{number}",
        index=number,
        heading="",
        texts=(f"{text} {number}",),
        positives=(fields,),
        ignored=((),),
    )


WINDOWS = [*(_window(n, n % 3) for n in range(12)), *(_window(n) for n in range(12, 20))]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_shots_are_an_empty_window_and_windows_of_different_fields(count: int) -> None:
    shots = choose_shots(WINDOWS, count, 0)
    fields = [f for shot in shots for row in shot.positives for f in row]
    assert len(shots) == count
    assert len(fields) == len(set(fields)) == (count - 1 if count > 1 else count)
    if count > 1:
        assert not shots[0].positive  # `{}` as the last thing seen would be repeated


def test_shots_do_not_depend_on_the_order_of_the_examples() -> None:
    shuffled = list(WINDOWS)
    random.Random(1).shuffle(shuffled)
    assert choose_shots(shuffled, 3, 7) == choose_shots(WINDOWS, 3, 7)
    assert len({choose_shots(WINDOWS, 3, seed) for seed in range(5)}) > 1


def test_long_windows_are_no_shots() -> None:
    long = _window(0, 0, text="word " * 200)
    assert choose_shots([long, _window(1, 1), _window(2)], 3, 0) == (_window(2), _window(1, 1))


@pytest.fixture
def base(tiny_base: Path, own_cache: Path) -> Base:
    return resolve_base(str(tiny_base))


@pytest.fixture
def model(base: Base, seal: Callable[..., Artifact]) -> Artifact:
    def fill(folder: Path) -> None:
        for name in ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(base.path / name, folder / name)
        weight = np.random.default_rng(0).normal(size=(3, 128)).astype(np.float32)
        Head(weight, np.zeros(3, np.float32)).save(folder)
        write_atomic(folder / "model.json", json.dumps({"strategy": "tag", "fields": ["Law", "Term"]}))

    return seal("model", fill)


@pytest.fixture
def thresholds(seal: Callable[..., Artifact]) -> Artifact:
    def fill(folder: Path) -> None:
        for name in ("model", "linear"):
            Thresholds(pooled=0.5, trained_fields=("Law", "Term")).save(folder, f"{name}.json")

    return seal("thresholds", fill)


@pytest.fixture
def linear(seal: Callable[..., Artifact]) -> Artifact:
    windows = [_window(n, 0, text="The laws govern.") for n in range(6)] + [_window(n) for n in range(6, 12)]
    return seal("linear", lambda folder: fit_linear(windows, 3).save(folder))


def _arms(folder: Path) -> dict[str, list[Prediction]]:
    return {f.stem: list(read_jsonl(f, Prediction)) for f in sorted(folder.glob("*.jsonl"))}


@pytest.mark.parametrize("with_linear", [True, False])
def test_every_arm_answers_every_test_document(
    with_linear: bool,
    split: Artifact,
    model: Artifact,
    thresholds: Artifact,
    linear: Artifact,
    documents: list[Document],
    schema_file: str,
    tmp_path: Path,
) -> None:
    inputs = {"split": split, "model": model, "thresholds": thresholds} | ({"linear": linear} if with_linear else {})
    config = PredictConfig(
        task="clause-extraction",
        schema_name=schema_file,
        window=WindowConfig(),
        engine="transformers",
    )
    out = tmp_path / "out"
    out.mkdir()
    calls: list[tuple[int, int, str]] = []
    summary = run_predict(config, inputs, out, Context(0, lambda *call: calls.append(call)))
    names = {"tuned", "always-null", "always-present", "echo"} | ({"linear"} if with_linear else set())
    arms = _arms(out)
    assert set(arms) == names
    assert {name: arm["documents"] for name, arm in summary["arms"].items()} == dict.fromkeys(names, 3)
    assert summary["n_in"] == summary["n_out"] == 3
    assert calls[-1][:2] == (len(names) * 3, len(names) * 3)
    for rows in arms.values():
        assert [p.document_id for p in rows] == [d.id for d in documents]
    for name in names & {"tuned", "linear"}:
        for prediction in arms[name]:
            assert list(prediction.record.fields) == ["Law", "Term"]
            assert prediction.record.not_assessed == ("Audit",)
    for document, prediction in zip(documents, arms["tuned"], strict=True):
        for answer in prediction.record.fields.values():
            assert all(document.text[q.start : q.end] == q.text for q in (answer.quotes if answer else ()))


def test_quotes_that_stand_nowhere_are_counted_by_arm(
    split: Artifact,
    base: Base,
    thresholds: Artifact,
    documents: list[Document],
    schema_file: str,
    seal: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fill(folder: Path) -> None:
        shutil.copytree(base.path, folder, dirs_exist_ok=True)
        write_atomic(folder / "model.json", json.dumps({"strategy": "text", "fields": ["Law", "Term"]}))

    generator = ScriptedGenerator(lambda prompt, grammar: "Words of no contract at all, however long it is.")
    monkeypatch.setattr(LoadedModel, "generator", lambda self: generator)
    config = PredictConfig(
        task="clause-extraction", schema_name=schema_file, window=WindowConfig(), engine="transformers"
    )
    inputs = {"split": split, "model": seal("model", fill), "thresholds": thresholds}
    out = tmp_path / "out"
    out.mkdir()
    summary = run_predict(config, inputs, out, Context())
    tuned = _arms(out)["tuned"]
    assert not any(answer for prediction in tuned for answer in prediction.record.fields.values())
    count = sum(prediction.usage.outputs for prediction in tuned)
    assert count == 2 * sum(prediction.usage.windows for prediction in tuned) > len(documents)
    assert summary["ungrounded"] == {"tuned": count}
    assert f"dropped, as not in the document: {count} quotes of tuned" in summary["note"]


def _base_config(base: Base, schema: str, task: str, documents: int) -> PredictBaseConfig:
    return PredictBaseConfig(
        task=task,
        schema_name=schema,
        base=base.name,
        window=WindowConfig(),
        engine="transformers",
        documents=documents,
        shots=(2,),
    )


def untuned(base: Base, monkeypatch: pytest.MonkeyPatch, said: str, *, constrained: bool = False) -> list[str]:
    """Let the untuned base say this to every prompt, all under a grammar if `constrained`; return them as they come."""
    prompts: list[str] = []

    def script(prompt: Sequence[int], grammar: str | None) -> str:
        prompts.append(Codec(base.path).decode(prompt))
        assert grammar is not None or not constrained
        return said

    monkeypatch.setattr(predict_base, "base_generator", lambda *_: ScriptedGenerator(script))
    return prompts


def test_the_untuned_base_points_with_and_without_examples(
    base: Base,
    split: Artifact,
    schema_file: str,
    seal: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    prompts = untuned(base, monkeypatch, '{"Law":[1]}', constrained=True)
    examples = seal("examples", lambda f: write_jsonl(f / "train.jsonl", WINDOWS) * 0)
    out = tmp_path / "out"
    out.mkdir()
    config = _base_config(base, schema_file, "clause-extraction", 2)
    summary = run_predict_base(config, {"split": split, "examples": examples}, out, Context())
    arms = _arms(out)
    assert {n: a["documents"] for n, a in summary["arms"].items()} == {"base-zero-shot": 2, "base-few-shot": 2}
    assert all(p.record.fields["Law"] is not None for rows in arms.values() for p in rows)
    assert all(p.record.fields["Audit"] is None for rows in arms.values() for p in rows)
    assert ["A sentence. " in p for p in prompts] == [False] * (len(prompts) // 2) + [True] * (len(prompts) // 2)


def _general(number: int) -> ChatExample:
    messages = (Message(role="user", content=f"General question {number}?"),)
    return ChatExample(document_id=f"{GENERAL}{number}", messages=messages, completion="General answer.")


@pytest.mark.parametrize("task", ["clause-extraction", "instruction"])
def test_general_instructions_are_no_worked_examples(
    base: Base,
    split: Artifact,
    schema_file: str,
    seal: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    task: str,
) -> None:
    prompts = untuned(base, monkeypatch, "{}")
    shot = ChatExample(document_id="d", messages=(Message(role="user", content="A sentence."),), completion="No.")
    rows = [shot, shot.model_copy(update={"document_id": "e"})] if task == "instruction" else WINDOWS
    mixed = [*map(_general, range(9)), *rows, *map(_general, range(9, 40))]
    examples = seal("examples", lambda f: write_jsonl(f / "train.jsonl", mixed) * 0)
    schema = "instruction" if task == "instruction" else schema_file
    out = tmp_path / "out"
    out.mkdir()
    run_predict_base(_base_config(base, schema, task, 2), {"split": split, "examples": examples}, out, Context())
    assert any("A sentence." in prompt for prompt in prompts)
    assert not any("General" in prompt for prompt in prompts)


def test_the_shortest_documents_are_read_by_the_untuned_base(
    base: Base,
    schema_file: str,
    documents: list[Document],
    seal: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    longer = documents[0].model_copy(update={"text": documents[0].text + "More of it.\n"})
    split = seal("split", lambda f: write_jsonl(f / "test.jsonl", [longer, *documents[1:]]) * 0)
    examples = seal("examples", lambda f: write_jsonl(f / "train.jsonl", WINDOWS) * 0)
    monkeypatch.setattr(predict_base, "base_generator", lambda *_: ScriptedGenerator(lambda *_: "{}"))
    for count in (0, 2):
        out = tmp_path / f"out{count}"
        out.mkdir()
        config = _base_config(base, schema_file, "clause-extraction", count)
        run_predict_base(config, {"split": split, "examples": examples}, out, Context())
        shortest = sorted(documents[1:], key=lambda d: (len(d.text), d.id))[:count]
        assert [p.document_id for p in _arms(out)["base-zero-shot"]] == [d.id for d in shortest]


def test_the_untuned_base_writes(
    base: Base,
    documents: list[Document],
    seal: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    prompts = untuned(base, monkeypatch, " Yes. ")
    rows = [
        ChatExample(document_id=f"d{n}", messages=(Message(role="user", content=f"Shot {n}?"),), completion="No.")
        for n in range(4)
    ]
    inputs = {
        "split": seal("split", lambda f: write_jsonl(f / "test.jsonl", documents) * 0),
        "examples": seal("examples", lambda f: write_jsonl(f / "train.jsonl", rows) * 0),
    }
    out = tmp_path / "out"
    out.mkdir()
    run_predict_base(_base_config(base, "instruction", "instruction", 2), inputs, out, Context())
    for rows_of_arm in _arms(out).values():
        assert [p.record.fields["output"].answer for p in rows_of_arm if p.record.fields["output"]] == ["Yes."] * 2
    assert [prompt.count("Shot ") for prompt in prompts] == [0, 0, 2, 2]


def test_the_transformers_engine_generates_with_a_base(base: Base) -> None:
    generator = base_generator(base, Codec(base.path), "transformers")
    assert isinstance(generator, TransformersEngine)


@pytest.mark.parametrize(
    ("shots", "expected"),
    [
        ((), {}),
        ((0,), {}),
        ((3,), {"base-few-shot": 3}),
        ((4, 1, 0, 4), {"base-1-shot": 1, "base-4-shot": 4}),
    ],
)
def test_few_shot_arms_are_named_by_their_number_where_there_are_several(
    shots: tuple[int, ...], expected: dict[str, int]
) -> None:
    assert few_shot_names(shots) == expected


def test_one_number_of_shots_is_a_list_of_one(base: Base) -> None:
    config = _base_config(base, "small", "clause-extraction", 2)
    assert PredictBaseConfig(**{**config.model_dump(), "shots": 5}).shots == (5,)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        PredictBaseConfig(**{**config.model_dump(), "shots": -1})


def test_a_reference_model_is_asked_the_same_and_once(
    base: Base,
    split: Artifact,
    documents: list[Document],
    schema_file: str,
    seal: Callable[..., Artifact],
    endpoint: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(predict_base, "base_generator", lambda *_: ScriptedGenerator(lambda *_: "{}"))
    server = endpoint(lambda body: '{"Law":[1]}')
    place = {"url": server.url, "model": "big", "price_in": 2.0, "price_out": 4.0}
    config = _base_config(base, schema_file, "clause-extraction", 2)
    config = PredictBaseConfig(**config.model_dump() | {"references": {"big": {"endpoint": place, "shots": 1}}})
    examples = seal("examples", lambda f: write_jsonl(f / "train.jsonl", WINDOWS) * 0)
    for number in range(2):
        out = tmp_path / "run" / f"out{number}"
        out.mkdir(parents=True)
        summary = run_predict_base(config, {"split": split, "examples": examples}, out, Context())
        arms = _arms(out)
        assert all(p.record.fields["Law"] is not None for p in arms["big"])
        asked = sum(p.usage.windows for p in arms["big"])
        assert len(server.seen) == asked, "kept beside the artifacts: another run asks nothing again"
        assert summary["costs"] == {
            "big": {"tokens_in": 11 * asked, "tokens_out": 7 * asked, "price": (22 + 28) * asked / 1_000_000}
        }
    assert all(len(body["messages"]) == 4 for body in server.seen), "system, one worked example, the question"
