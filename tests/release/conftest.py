"""A random adapter on a tiny base, and what the release stages read beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.records import Message
from lextune.expert.head import Head
from lextune.expert.merging import folded
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, Binding, load_backbone, resolve_base, write_binding
from lextune.expert.windowing import WindowExample
from lextune.train.adapter import add_lora
from lextune.train.settings import LoraSettings

SCHEMA = """name: small
fields:
  - {name: Law, type: jurisdiction, question: "Which law governs?"}
  - {name: Term, type: duration, question: "How long?"}
"""


@pytest.fixture
def base(tiny_base: Path, own_cache: Path) -> Base:
    return resolve_base(str(tiny_base))


@pytest.fixture
def schema_file(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SCHEMA)
    return str(path)


@pytest.fixture
def make_adapter(base: Base, seal: Callable[..., Artifact]) -> Callable[..., Artifact]:
    """Seal what was trained: an adapter of random matrices, which changes every answer, or all weights of a model."""

    def fill(folder: Path, strategy: str, method: str) -> None:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            model = add_lora(load_backbone(base), LoraSettings(r=4, alpha=8))
            for name, weights in model.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(weights, std=0.05)
        (folded(model) if method == "full" else model).save_pretrained(folder)
        if strategy == "tag":
            random = np.random.default_rng(5)
            Head(random.normal(size=(2, 128)).astype(np.float32), np.zeros(2, np.float32)).save(folder)
        write_binding(
            folder,
            Binding(
                base=base.name,
                weights_sha256=base.weights_sha256,
                tokenizer_sha256=base.tokenizer_sha256,
                strategy=strategy,
                template=Codec(base.path).template.sha256,
                fields=("Law", "Term"),
            ),
        )

    return lambda strategy="tag", method="lora": seal("adapter", lambda folder: fill(folder, strategy, method))


@pytest.fixture
def make_examples(seal: Callable[..., Artifact]) -> Callable[..., Artifact]:
    """Seal a few validation examples: windows for `clause-extraction`, conversations for `instruction`."""

    def window(number: int) -> WindowExample:
        texts = (f"Section {number} is about delivery.", "The laws of Ohio govern.", f"It runs for {number} years.")
        return WindowExample(
            document_id=f"d{number}",
            index=0,
            heading="",
            texts=texts,
            positives=((), (0,), (1,)),
            ignored=((),) * 3,
        )

    def make(task: str = "clause-extraction") -> Artifact:
        rows: list[WindowExample] | list[ChatExample] = [window(n) for n in range(4)]
        if task == "instruction":
            rows = [
                ChatExample(
                    document_id=f"d{n}", messages=(Message(role="user", content=f"Say {n}."),), completion="Yes."
                )
                for n in range(4)
            ]
        return seal("examples", lambda folder: write_jsonl(folder / "validation.jsonl", rows) * 0, {"task": task})

    return make
