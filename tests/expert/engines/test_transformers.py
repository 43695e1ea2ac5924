"""The reference engine on a tiny random model: padding changes nothing, a grammar holds, an adapter fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lextune.core.errors import ModelError
from lextune.expert.engines.base import GenerateOptions, LocalChat, TagInput
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.grammar import point_grammar
from lextune.expert.head import tag_input
from lextune.expert.point import parse_point
from lextune.expert.readers import Passage, PointReader
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, Binding, resolve_base, write_binding

TEXTS = [["Ohio law governs.", "The term is one year."], ["x"], ["A longer sentence about audits and records."] * 3]


@pytest.fixture(scope="module")
def base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Base:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEXTUNE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return resolve_base(str(tiny_base))


@pytest.fixture(scope="module")
def engine(base: Base) -> TransformersEngine:
    return TransformersEngine(base, dtype="float32")


@pytest.fixture(scope="module")
def inputs(base: Base) -> list[TagInput]:
    codec = Codec(base.path)
    return [tag_input(codec, "Term", texts) for texts in TEXTS]


def test_right_padding_changes_nothing(engine: TransformersEngine, inputs: list[TagInput]) -> None:
    together = engine.hidden(inputs)
    assert [len(h) for h in together] == [len(i.ids) for i in inputs]
    for item, states in zip(inputs, together, strict=True):
        np.testing.assert_allclose(engine.hidden([item])[0], states, atol=1e-4)


def test_a_base_has_no_head(engine: TransformersEngine, inputs: list[TagInput]) -> None:
    with pytest.raises(ModelError, match=r"no tag_head.safetensors: this model cannot tag\n.*strategy: tag"):
        engine.tag(inputs)


def test_an_untuned_model_stays_in_the_grammar(base: Base, engine: TransformersEngine, clauses: Schema) -> None:
    reader = PointReader(LocalChat(engine, Codec(base.path)), clauses)
    readings = reader.read([Passage("", texts) for texts in TEXTS])
    assert all(r.valid for r in readings)
    free = PointReader(LocalChat(engine, Codec(base.path)), clauses, constrained=False)
    assert not free.read([Passage("", TEXTS[1])])[0].valid, "by itself it writes no JSON"


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_generation_repeats(base: Base, engine: TransformersEngine, clauses: Schema, temperature: float) -> None:
    prompt = Codec(base.path).encode_plain("Ohio law governs")
    options = GenerateOptions(max_tokens=8, temperature=temperature, seed=3)
    grammar = point_grammar(clauses.names, 2)
    first, again = (engine.generate([prompt], options, [grammar])[0] for _ in range(2))
    assert first == again
    assert first.confidence is not None
    assert 0 < first.confidence <= 1
    assert first.stopped is (parse_point(clauses, 2, first.text) is not None)
    assert engine.top_two_gap(prompt) >= 0


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_what_prompts_begin_with_is_read_once(
    engine: TransformersEngine, base: Base, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    codec = Codec(base.path)
    window = codec.encode_plain("The Supplier shall deliver the goods to the warehouse. " * 12)
    asked = [window + codec.encode_plain(f"Question {n} of this?") for n in range(3)]
    other = codec.encode_plain("Another window entirely. " * 20)
    prompts = [asked[0], asked[1], asked[1], asked[1][:-2], other, asked[2], asked[2] + other]
    options = GenerateOptions(max_tokens=8, temperature=temperature, seed=5)
    seen: list[int] = []
    forward = engine._model.forward

    def noted(*values: Any, **named: Any) -> Any:
        seen.append(named["input_ids"].shape[1])
        return forward(*values, **named)

    monkeypatch.setattr(engine._model, "forward", noted)
    together = engine.generate(prompts, options)
    new = sum(map(len, prompts)) - sum(seen) + 7 * len(prompts)
    assert new > 3 * len(window), "three of the prompts begin as the one before them"
    apart = [engine.generate([prompt], options)[0] for prompt in prompts]
    assert [g.ids for g in together] == [g.ids for g in apart]
    for one, two in zip(together, apart, strict=True):
        assert one.confidence == pytest.approx(two.confidence, rel=1e-3)


def test_an_adapter_is_bound_to_its_base(base: Base, tmp_path: Path, inputs: list[TagInput]) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    get_peft_model(model, lora).save_pretrained(tmp_path)
    hashes = {"weights_sha256": base.weights_sha256, "tokenizer_sha256": base.tokenizer_sha256}
    about = Binding(base=base.name, strategy="tag", template="smollm", **hashes)
    write_binding(tmp_path, about)
    tuned = TransformersEngine(base, adapter=tmp_path, dtype="float32")
    before = tuned.hidden(inputs)
    assert not np.allclose(before[0], TransformersEngine(base, dtype="float32").hidden(inputs)[0], atol=1e-3)
    tuned.merge_adapter()
    for a, b in zip(before, tuned.hidden(inputs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    write_binding(tmp_path, about.model_copy(update={"weights_sha256": "0" * 64}))
    with pytest.raises(ModelError, match="this adapter was trained on another base: weights 000000000000"):
        TransformersEngine(base, adapter=tmp_path)
