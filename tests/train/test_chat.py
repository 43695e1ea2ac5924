"""Generative training: what is learnt of a conversation, and a run of training on a tiny base."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lextune.core.errors import DataError
from lextune.core.records import Message
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.train.batches import Row
from lextune.train.chat import chat_row, fitting, passes, prepare_chat, train_chat
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig

ANSWERS = ("Yes.", "No.")
CONFIG = TrainConfig(
    strategy="text",
    epochs=4,
    batch=4,
    pass_tokens=64,
    lr=1e-2,
    checkpoint_steps=3,
    evaluations=3,
    lora=LoraSettings(r=4, alpha=8),
)


def _example(number: int, question: str = "Is clause {} about liability?") -> ChatExample:
    return ChatExample(
        document_id=f"d{number}",
        messages=(Message(role="user", content=question.format(number)),),
        completion=ANSWERS[number % 2],
    )


@pytest.fixture
def examples() -> dict[str, list[ChatExample]]:
    return {"train": [_example(n) for n in range(10)], "validation": [_example(n) for n in range(10, 14)]}


def test_only_the_answer_and_the_stop_token_are_learnt(codec: Codec) -> None:
    example = _example(0)
    row = chat_row(example, codec)
    assert [*row.prefix] == codec.prompt(example.messages)
    ((answer,), (learnt,)) = row.branches, row.learnt
    assert all(learnt)
    assert answer[-1] == codec.stop_id
    assert codec.decode(answer) == "Yes."


def test_a_control_token_in_the_text_is_no_control_token(codec: Codec) -> None:
    row = chat_row(_example(0, "Is <|im_end|> a clause?"), codec)
    clean = chat_row(_example(0, "Is it a clause?"), codec)
    assert row.prefix.count(codec.stop_id) == clean.prefix.count(codec.stop_id)
    answer = _example(0).model_copy(update={"completion": "stop<|im_end|>here"})
    assert chat_row(answer, codec).branches[0].count(codec.stop_id) == 1


@pytest.mark.parametrize("packing", [True, False])
def test_padding_does_not_hide_the_stop_token(packing: bool, codec: Codec) -> None:
    rows = (chat_row(_example(0), codec), chat_row(_example(1, "And number {}, which is longer than that?"), codec))
    tensors = passes(codec.pad_id, CONFIG.model_copy(update={"packing": packing})).tensors(rows)
    targets, owners = tensors["targets"].tolist(), tensors["owners"].tolist()
    for number, row in enumerate(rows):
        assert tuple(t for t, owner in zip(targets, owners, strict=True) if owner == number) == row.branches[0]
    assert targets.count(codec.stop_id) == 2
    assert codec.pad_id != codec.stop_id
    if not packing:
        assert (tensors["inputs"]["input_ids"][0, rows[0].tokens :] == codec.pad_id).all()


def test_rows_that_are_too_long_are_left_out_whole(codec: Codec) -> None:
    rows = [chat_row(_example(n), codec) for n in range(2)] + [chat_row(_example(2, "long " * 90), codec)]
    kept = fitting(rows, rows[0].tokens, "train")
    assert kept == rows[:2]
    with pytest.raises(DataError, match="all 3 train examples are longer than 32 tokens") as caught:
        fitting([Row((1,) * 20, ((1,) * 20,), ((True,) * 20,))] * 3, 32, "train")
    assert caught.value.where == "train.max_tokens"
    assert caught.value.do is not None
    assert "raise it to 40" in caught.value.do


def test_validation_examples_that_are_all_too_long_are_refused(
    base: Base, examples: dict[str, list[ChatExample]], tmp_path: Path
) -> None:
    examples["validation"] = [_example(0, "long " * 90)]
    config = CONFIG.model_copy(update={"max_tokens": 80})
    with pytest.raises(DataError, match="all 1 validation examples are longer than 80 tokens"):
        train_chat(base, examples, config, tmp_path, RunOptions(0))


def test_questions_about_one_text_are_one_row_where_packing_is_on(base: Base) -> None:
    text = "The Supplier shall deliver the goods to the warehouse. " * 6
    asked = [_example(7, f"{text} Question {n}?") for n in range(3)]
    for packing, rows in ((True, [3]), (False, [1, 1, 1])):
        config = CONFIG.model_copy(update={"packing": packing})
        prepared = prepare_chat(base, {"train": asked, "validation": asked[:1]}, config, 0)
        assert [row.examples for row in prepared.rows["train"]] == rows


def _loss(model: torch.nn.Module, rows: list[Row], *, all_tokens: bool) -> float:
    """The mean negative log-probability of the tokens that are learnt (or of all), one row at a time."""
    total, count = 0.0, 0
    for row in rows:
        ids = [*row.prefix, *row.branches[0]]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0].double()
        for place in range(1 if all_tokens else len(row.prefix), len(ids)):
            total -= float(torch.log_softmax(logits[place - 1], -1)[ids[place]])
            count += 1
    return total / count


def test_the_answers_are_learnt_and_not_the_prompts(
    base: Base, codec: Codec, examples: dict[str, list[ChatExample]], tmp_path: Path
) -> None:
    from peft import PeftModel

    result = train_chat(base, examples, CONFIG, tmp_path, RunOptions(0))
    losses = [point["value"] for point in result["curves"]["loss"]]
    assert result["steps"] == 10
    assert losses[-1] < 0.5 * losses[0]
    assert result["best"]["eval_loss"] == min(p["value"] for p in result["curves"]["eval_loss"])

    model = PeftModel.from_pretrained(load_backbone(base, dtype="float32"), tmp_path).eval()
    rows = [chat_row(e, codec) for e in examples["validation"]]
    answers, everything = (_loss(model, rows, all_tokens=flag) for flag in (False, True))
    assert math.isclose(result["best"]["eval_loss"], answers, rel_tol=0.05)
    assert everything > answers + 1


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("killed_at", "resumed_from"), [(2, None), (5, "checkpoint-3")])
def test_a_killed_run_ends_with_the_same_adapter(
    killed_at: int, resumed_from: str | None, base: Base, examples: dict[str, list[ChatExample]], tmp_path: Path
) -> None:
    def kill(step: int, *_: object) -> None:
        if step == killed_at:
            raise KilledError

    config = CONFIG.model_copy(update={"steps": 7})
    train_chat(base, examples, config, tmp_path / "undisturbed", RunOptions(3))
    with pytest.raises(KilledError):
        train_chat(base, examples, config, tmp_path / "killed", RunOptions(3, kill))
    torch.manual_seed(99)
    result = train_chat(base, examples, config, tmp_path / "killed", RunOptions(3))
    assert result["resumed_from"] == resumed_from
    whole, resumed = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("undisturbed", "killed"))
    assert list(whole) == list(resumed)
    assert all(torch.equal(whole[n], resumed[n]) for n in whole)
