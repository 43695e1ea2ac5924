"""Labelled windows and a tiny base for the training tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.expert.templates import Codec
from lextune.expert.weights import Base, Binding, load_backbone, resolve_base, write_binding
from lextune.expert.windowing import WindowExample

LAW = "This Agreement is governed by the laws of the State of Ohio."
TERM = "The term of this Agreement is five years."
PLAIN = (
    "The Supplier shall deliver the goods to the warehouse.",
    "Invoices are sent at the end of each month.",
    "The parties shall meet once a year to discuss the plan.",
)
FIELDS = 3  # 0: law, 1: term, 2: never assessed


@pytest.fixture
def base(tiny_base: Path, own_cache: Path) -> Base:
    return resolve_base(str(tiny_base))


@pytest.fixture
def codec(tiny_base: Path) -> Codec:
    return Codec(tiny_base)


@pytest.fixture
def make_adapter(base: Base, tmp_path: Path) -> Callable[..., Path]:
    """Write an adapter as SFT leaves it, its B away from zero."""
    import torch

    from lextune.train.adapter import add_lora
    from lextune.train.settings import LoraSettings

    def make(name: str = "sft", *, seed: int = 5, std: float = 0.05, **lora: Any) -> Path:
        torch.manual_seed(seed)
        model = add_lora(load_backbone(base, dtype="float32"), LoraSettings(**{"r": 4, "alpha": 8, **lora}))
        for parameter_name, parameter in model.named_parameters():
            if "lora_B" in parameter_name:
                torch.nn.init.normal_(parameter, std=std)
        model.save_pretrained(tmp_path / name)
        hashes = {"weights_sha256": base.weights_sha256, "tokenizer_sha256": base.tokenizer_sha256}
        template = Codec(base.path).template.sha256
        about = Binding(base=base.name, **hashes, strategy="point", template=template, fields=("Law",))
        write_binding(tmp_path / name, about)
        return tmp_path / name

    return make


@pytest.fixture
def adapter(make_adapter: Callable[..., Path]) -> Path:
    """An adapter of rank 4."""
    return make_adapter()


@pytest.fixture(scope="session")
def make_window() -> Callable[..., WindowExample]:
    """Window `number`: three plain sentences around one of law (even) or term (odd)."""

    def make(number: int, *, heading: str = "") -> WindowExample:
        field = number % 2
        texts = [*PLAIN[number % 3 :], *PLAIN[: number % 3]]
        texts.insert(number % 4, (LAW, TERM)[field])
        rows: list[tuple[int, ...]] = [()] * 4
        rows[number % 4] = (field,)
        return WindowExample(
            document_id=f"d{number}",
            index=0,
            heading=heading,
            texts=tuple(texts),
            positives=tuple(rows),
            ignored=((2,),) * 4,
        )

    return make


@pytest.fixture
def windows(make_window: Callable[..., WindowExample]) -> dict[str, list[WindowExample]]:
    return {
        "train": [make_window(n, heading="Article I" if n % 2 else "") for n in range(10)],
        "validation": [make_window(n) for n in range(10, 14)],
    }
