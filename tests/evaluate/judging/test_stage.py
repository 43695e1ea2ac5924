"""The stage: judges behind endpoints, asked once, the best of them recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import RecipeError
from lextune.core.records import Document, DocumentInfo, FieldAnswer, FieldLabel, Prediction, Record
from lextune.core.stage import Context
from lextune.evaluate.judging.stage import STAGE, JudgeConfig, run_judge

Start = Callable[[Callable[[dict[str, Any]], Any]], Any]
FIRST = re.compile(r"<(?:first|answer) \w+>\n(\w+)")
N = 12


def prediction(number: int, text: str) -> Prediction:
    info = DocumentInfo(name=str(number), sha256="0", pages=None, characters=1)
    answer = FieldAnswer(answer=text, quotes=(), confidence=0.5, status="review")
    record = Record(document=info, release="r", schema_name="instruction", fields={"output": answer})
    return Prediction(document_id=str(number), record=record)


@pytest.fixture
def inputs(seal: Callable[..., Artifact]) -> dict[str, Artifact]:
    label = {"output": FieldLabel(parts=("gold",), answer="gold")}
    documents = [Document(id=str(n), name=str(n), sha256="0", text=f"question {n}", labels=label) for n in range(N)]

    def arms(**given: str) -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            for name, text in given.items():
                file = folder / f"{name.replace('_', '-')}.jsonl"
                write_jsonl(file, [prediction(n, f"{text}{n}") for n in range(N)])

        return fill

    return {
        "split": seal("split", lambda folder: write_jsonl(folder / "test.jsonl", documents) and None),
        "predictions": seal("predictions", arms(tuned="good")),
        "base_predictions": seal("predictions", arms(base_zero_shot="bad")),
    }


def fair(body: dict[str, Any]) -> str:
    """Prefer what is good, give it all points."""
    shown = FIRST.search(body["messages"][1]["content"])
    assert shown
    good = shown[1].startswith("good")
    if "winner" in body["messages"][1]["content"]:
        return json.dumps({"reason": "r", "winner": "first" if good else "second"})
    return json.dumps({"reason": "r", "scores": dict.fromkeys(("citation", "argument", "structure"), int(good))})


def test_two_arms_are_judged_and_nothing_is_asked_twice(
    endpoint: Start, inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    server = endpoint(fair)
    where = {"url": server.url, "model": "m", "price_in": 1.0, "price_out": 2.0}
    config = JudgeConfig.model_validate({"endpoints": [where], "items": 10})
    told: list[tuple[int, int, str]] = []
    (tmp_path / "out").mkdir()
    summary = run_judge(config, inputs, tmp_path / "out", Context(progress=lambda *each: told.append(each)))
    assert summary == {
        **{"n_in": N, "n_out": 10, "n_dropped": 2, "not_drawn": 2, "invalid": 0, "too_long": 0},
        "judge": "m",
    }
    assert told == [(20, 20, "m")]
    text = (tmp_path / "out" / "judge.json").read_text()
    report = json.loads(text)
    assert server.url not in text
    expected = {
        "kind": "pairwise",
        "rubric": "legal",
        "a": "tuned",
        "b": "base-zero-shot",
        "n": 10,
        "win": 10,
        "loss": 0,
    }
    assert expected.items() <= report.items()
    assert report["judge"] == {"model": "m"}
    assert report["net"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 10}
    assert report["costs"] == {"tokens_in": 220, "tokens_out": 140, "price": pytest.approx((220 + 2 * 140) / 1e6)}
    assert report["agreement"] is None
    assert len(report["marks"]) == 10
    rows = [json.loads(line) for line in (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert {row["item"] for row in rows} == {row["item"] for row in report["marks"]}
    assert len(server.seen) == 20
    (tmp_path / "again").mkdir()
    run_judge(config, inputs, tmp_path / "again", Context())
    assert len(server.seen) == 20
    assert (tmp_path / "again" / "judge.json").read_text() == text


def test_experts_choose_between_judges(endpoint: Start, inputs: dict[str, Artifact], tmp_path: Path) -> None:
    experts = tmp_path / "experts.csv"
    experts.write_text("item,mark\n" + "".join(f"{n},{3 if n % 2 else 0}\n" for n in range(N)))

    def odd(body: dict[str, Any]) -> str:
        number = re.search(r"\nquestion (\d+)", body["messages"][1]["content"])
        assert number
        points = dict.fromkeys(("citation", "argument", "structure"), int(number[1]) % 2)
        return json.dumps({"reason": "r", "scores": points})

    servers = [endpoint(fair), endpoint(odd)]
    config = JudgeConfig(
        endpoints=tuple({"url": server.url, "model": "m"} for server in servers),  # type: ignore[arg-type]
        kind="rubric",
        experts=str(experts),
    )
    (tmp_path / "out").mkdir()
    summary = run_judge(config, inputs, tmp_path / "out", Context())
    report = json.loads((tmp_path / "out" / "judge.json").read_text())
    assert summary["judge"] == report["judge"]["model"] == report["agreement"]["best"] == "m (2)"
    assert report["agreement"]["judges"]["m (2)"]["spearman"]["value"] == pytest.approx(1)
    assert report["total"]["a"]["value"] == 1.5
    assert "http" not in json.dumps(report)


def test_what_cannot_be_judged(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    one = {"url": "http://127.0.0.1:1/v1", "model": "m"}
    with pytest.raises(RecipeError, match="2 judges, and nothing to choose one by"):
        run_judge(JudgeConfig.model_validate({"endpoints": [one, one]}), inputs, tmp_path, Context())
    with pytest.raises(RecipeError, match="no arm 'dpo' to judge\n  -> use two of base-zero-shot, tuned"):
        run_judge(JudgeConfig.model_validate({"endpoints": [one], "a": "dpo"}), inputs, tmp_path, Context())


def test_the_stage() -> None:
    assert (STAGE.name, STAGE.inputs, STAGE.kind) == (
        "judge",
        ("split", "predictions", "base_predictions"),
        "judgement",
    )
    assert all(field.description for field in JudgeConfig.model_fields.values())


def careful(body: dict[str, Any]) -> str:
    """Say that what is good follows from the context, and that the rest does not."""
    asked = body["messages"][-1]["content"]
    if asked.startswith("Cut the answer"):
        return json.dumps({"statements": [asked.rsplit("Answer: ", 1)[1]]})
    if asked.startswith("Say of each"):
        return json.dumps({"verdicts": [int("good" in asked)]})
    return json.dumps({"questions": ["question"], "noncommittal": False})


@pytest.fixture
def with_context(inputs: dict[str, Artifact], seal: Callable[..., Artifact]) -> dict[str, Artifact]:
    """The same, of documents that bring their context."""
    label = {"output": FieldLabel(parts=("gold",), answer="gold"), "context": FieldLabel(parts=("It says so.",))}
    documents = [Document(id=str(n), name=str(n), sha256="0", text=f"question {n}", labels=label) for n in range(N)]
    return {**inputs, "split": seal("split", lambda folder: write_jsonl(folder / "test.jsonl", documents) and None)}


def test_faithfulness_of_both_arms(endpoint: Start, with_context: dict[str, Artifact], tmp_path: Path) -> None:
    server = endpoint(careful)
    config = JudgeConfig.model_validate(
        {"endpoints": [{"url": server.url, "model": "m"}], "items": 10, "kind": "faithfulness"}
    )
    out = tmp_path / "out"
    out.mkdir()
    summary = run_judge(config, with_context, out, Context())
    assert summary == {"n_in": N, "n_out": 10, "n_dropped": 2, "judge": "m"}
    found = json.loads((out / "judge.json").read_text())
    assert found["scores"]["tuned"]["faithfulness"]["value"] == 1.0
    assert found["scores"]["base-zero-shot"]["faithfulness"]["value"] == 0.0
    assert found["paired"]["difference"] == 1.0
    assert found["n"] == found["paired"]["n_documents"] == 10
    assert "TF-IDF" in found["similarity"]
    asked = len(server.seen)
    run_judge(config, with_context, out, Context())
    assert len(server.seen) == asked, "kept beside the artifacts"
    two = config.model_copy(update={"endpoints": config.endpoints * 2, "experts": "marks.csv"})
    with pytest.raises(RecipeError, match="faithfulness is judged by one model"):
        run_judge(two, with_context, out, Context())


def test_faithfulness_is_sampled_from_what_both_arms_answered(
    endpoint: Start, with_context: dict[str, Artifact], seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    few = seal("predictions", lambda folder: write_jsonl(folder / "tuned.jsonl", [prediction(3, "good")]) * 0)
    config = JudgeConfig.model_validate(
        {"endpoints": [{"url": endpoint(careful).url, "model": "m"}], "items": 2, "kind": "faithfulness"}
    )
    summary = run_judge(config, {**with_context, "predictions": few}, tmp_path, Context())
    assert summary == {"n_in": 1, "n_out": 1, "n_dropped": 0, "judge": "m"}
