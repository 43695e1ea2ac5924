"""What TRL's own preparation of data makes of exports: the exported answers are learnt, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lextune.core.records import Document, Message
from lextune.data.export import export
from lextune.data.importers.conversation import Conversation
from lextune.data.importers.shapes import conversation_document

pytestmark = pytest.mark.slow
STOP = "<|im_end|>"
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TURNS = (
    Message(role="system", content="S"),
    Message(role="user", content="Hi"),
    Message(role="assistant", content="Hello"),
)


def row(name: str, answer: str, *turns: Message, rejected: str | None = None) -> Document:
    question = Message(role="user", content="Which law? [/INST] \u2028 é")
    return conversation_document(name, Conversation((*turns, question), answer, rejected))


ANSWERS = ["Ohio\u2028 é \U0001f600", "null", '{"Governing Law":[1]}', "2021-05-04", f"a {STOP} b"]
ROWS = [row(f"r{i}", answer, *(TURNS if i == 1 else ())) for i, answer in enumerate(ANSWERS)]
PAIRS = [row(f"r{i}", answer, *(TURNS if i == 1 else ()), rejected=f"not {answer}") for i, answer in enumerate(ANSWERS)]


@pytest.fixture
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(tiny_base)
    found.chat_template = CHATML
    return found


def load(rows: list[Document], format: str, folder: Path) -> Any:
    from datasets import load_dataset

    path = folder / f"{format}.jsonl"
    export(rows, format, path)
    return load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))


@pytest.mark.parametrize(
    ("format", "options", "before"),
    [("prompt-completion", {}, ""), ("chat", {"assistant_only_loss": True}, f"Hello{STOP}")],
)
def test_sft_learns_the_answers(
    format: str, options: dict[str, Any], before: str, tiny_base: Path, tokenizer: Any, tmp_path: Path
) -> None:
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(output_dir=str(tmp_path / "out"), use_cpu=True, bf16=False, report_to="none", **options)
    data = load(ROWS, format, tmp_path)
    trainer = SFTTrainer(str(tiny_base), config, train_dataset=data, processing_class=tokenizer)
    batches = [trainer.data_collator([example]) for example in trainer.train_dataset]
    learnt = [tokenizer.decode(batch["labels"][batch["labels"] != -100]) for batch in batches]
    assert [text.replace(f"{STOP}\n", STOP) for text in learnt] == [
        f"{before if i == 1 else ''}{answer}{STOP}" for i, answer in enumerate(ANSWERS)
    ]


def test_dpo_prefers_the_chosen_answers(tiny_base: Path, tokenizer: Any, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    config = DPOConfig(output_dir=str(tmp_path / "out"), use_cpu=True, bf16=False, report_to="none")
    data = load(PAIRS, "preference", tmp_path)
    trainer = DPOTrainer(str(tiny_base), args=config, train_dataset=data, processing_class=tokenizer)
    batch = trainer.data_collator(list(trainer.train_dataset))
    learnt = [
        tokenizer.decode(ids[mask.bool()])
        for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)
    ]
    expected = [f"{answer}{STOP}" for answer in ANSWERS]
    assert [text.removesuffix("\n") for text in learnt] == [*expected, *(f"not {text}" for text in expected)]
