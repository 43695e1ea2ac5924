"""OpenVINO tags and generates as transformers does, and is never asked for THROUGHPUT."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import ModelError
from lextune.expert.engines import openvino_
from lextune.expert.engines.base import WORTH_SHARING, GenerateOptions, LocalChat, TagInput
from lextune.expert.engines.openvino_ import (
    OpenVinoGenerator,
    OpenVinoTagger,
    export_generator,
    export_tagger,
    in_order,
)
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.grammar import point_grammar
from lextune.expert.head import Head
from lextune.expert.readers import Passage, PointReader
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, resolve_base

OPENVINO = ("openvino", "openvino-f32")
BF16 = 2**-8  # relative step of bfloat16


@pytest.fixture
def fresh() -> Iterator[None]:
    openvino_._has_bf16.cache_clear()
    yield
    openvino_._has_bf16.cache_clear()


@given(capabilities=st.sets(st.sampled_from(["BF16", "FP32", "INT8", "BIN"])), name=st.sampled_from(OPENVINO))
@settings(max_examples=25)
def test_the_hint_is_latency_on_every_processor(
    tmp_path_factory: pytest.TempPathFactory, capabilities: set[str], name: str
) -> None:
    """With THROUGHPUT, OpenVINO 2026.4.1 divides by zero on some virtual machines."""
    import openvino

    class Core:
        def get_property(self, *_: Any) -> list[str]:
            return sorted(capabilities)

    model = tmp_path_factory.getbasetemp()
    (model / "config.json").write_text('{"hidden_size": 576, "intermediate_size": 1536}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino, "Core", Core)
        openvino_._has_bf16.cache_clear()
        properties = openvino_._properties(name, model)
        openvino_._has_bf16.cache_clear()
    assert properties["PERFORMANCE_HINT"] == "LATENCY"
    short = "BF16" in capabilities and name == "openvino"
    assert properties["INFERENCE_PRECISION_HINT"] == ("bf16" if short else "f32")
    assert properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == (192 if name == "openvino" else 0)


@pytest.fixture(scope="module")
def base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(tiny_base, folder)
    export_tagger(folder, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEXTUNE_CACHE", str(folder.parent / "cache"))
        return resolve_base(str(folder))


@pytest.fixture(scope="module")
def tagger(base: Base) -> OpenVinoTagger:
    random = np.random.default_rng(0)
    head = Head(random.normal(size=(3, 128)).astype(np.float32), np.zeros(3, dtype=np.float32))
    return OpenVinoTagger(base.path, head, Codec(base.path))


def windows(lengths: list[int], seed: int = 0) -> list[TagInput]:
    random = np.random.default_rng(seed)
    return [TagInput(ids=tuple(random.integers(3, 900, n).tolist()), bounds=((0, n),)) for n in lengths]


@pytest.mark.parametrize(("precision", "worst", "mean"), [("f32", 1e-3, 1e-4), ("bf16", 64 * BF16, 4 * BF16)])
def test_states_equal_those_of_transformers(
    base: Base, monkeypatch: pytest.MonkeyPatch, precision: str, worst: float, mean: float
) -> None:
    """States have a root mean square of 1 (they are normalised), so tolerances are absolute."""
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    monkeypatch.setattr(openvino_, "_properties", lambda *_: hints)
    inputs = windows([7, 64, 1, 130, 33])
    theirs = TransformersEngine(base, dtype="float32").hidden(inputs)
    ours = OpenVinoTagger(base.path, None, Codec(base.path)).hidden(inputs)
    assert [o.shape for o in ours] == [t.shape for t in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - b).max() < worst
        assert np.abs(a - b).mean() < mean


def test_the_order_of_windows_is_kept_and_padding_changes_nothing(
    tagger: OpenVinoTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = windows([50, 3, 90, 3, 17, 61], seed=1)
    monkeypatch.setattr(openvino_, "BATCH_TOKENS", 200)  # several batches, each with padding
    together = tagger.tag(inputs)
    for item, logits in zip(inputs, together, strict=True):
        alone = tagger.tag([item])[0]
        assert logits.shape == (1, 3)
        np.testing.assert_allclose(logits, alone, atol=24 * BF16 * float(np.abs(alone).max()))
    assert tagger.tag([]) == []


def test_windows_of_many_lengths_have_few_shapes(tagger: OpenVinoTagger) -> None:
    """OpenVINO keeps kernels for each shape: 100 lengths would take 100 times the memory of one."""
    shapes = {ids.shape for length in range(101, 201) for ids, _ in tagger.batches(windows([length]))}
    assert shapes == {(1, width) for width in range(112, 209, 16)}


def test_batches_hold_every_window_once_and_little_padding(tagger: OpenVinoTagger) -> None:
    inputs = windows([300, 10, 310, 12, 150, 155, 9, 400], seed=3)
    found = [(ids.shape, places) for ids, places in tagger.batches(inputs)]
    assert found == [((1, 400), [7]), ((1, 320), [2]), ((1, 304), [0]), ((2, 160), [4, 5]), ((3, 16), [6, 1, 3])]


def test_the_future_is_not_seen(tagger: OpenVinoTagger) -> None:
    (item,) = windows([40], seed=2)
    changed = item.model_copy(update={"ids": (*item.ids[:20], *reversed(item.ids[20:]))})
    a, b = tagger.hidden([item])[0], tagger.hidden([changed])[0]
    np.testing.assert_array_equal(a[:20], b[:20])
    assert np.abs(a[20:] - b[20:]).max() > 0.1


def test_a_window_read_in_both_directions(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The future is seen, padding is not, and both engines read alike."""
    monkeypatch.setenv("LEXTUNE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    shutil.copytree(tiny_base, folder)
    Head(np.zeros((1, 128), dtype=np.float32), np.zeros(1, dtype=np.float32), "bidirectional").save(folder)
    export_tagger(folder, folder)
    both = resolve_base(str(folder))
    tagger = OpenVinoTagger(folder, None, Codec(folder), "openvino-f32")
    inputs = windows([7, 64, 1, 130, 33])
    found = tagger.hidden(inputs)
    for item, states in zip(inputs, found, strict=True):
        np.testing.assert_allclose(states, tagger.hidden([item])[0], atol=1e-3)
    for ours, theirs in zip(found, TransformersEngine(both, dtype="float32").hidden(inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    (item,) = windows([40], seed=2)
    changed = item.model_copy(update={"ids": (*item.ids[:-1], item.ids[-2])})
    assert np.abs(tagger.hidden([item])[0][0] - tagger.hidden([changed])[0][0]).max() > 0.01


def test_no_head_no_tags(base: Base) -> None:
    with pytest.raises(ModelError, match=r"no tag_head.safetensors: this model cannot tag\n.*strategy: tag"):
        OpenVinoTagger(base.path, None, Codec(base.path)).tag(windows([4]))


@pytest.mark.parametrize("most", [1, 2, 16])
def test_the_first_of_those_that_begin_alike_runs_before_the_others(most: int) -> None:
    windows_of = [[number] * WORTH_SHARING for number in range(5)]
    prompts = [[*window, 7, question] for window in windows_of for question in range(3)] + [[0] * 8]
    batches = list(in_order(prompts, most))
    assert sorted(place for batch in batches for place in batch) == list(range(16))
    assert all(1 <= len(batch) <= most for batch in batches)
    turn = {place: number for number, batch in enumerate(batches) for place in batch}
    assert all(turn[3 * window] < turn[3 * window + question] for window in range(5) for question in (1, 2))
    assert batches[0] == [0, 3, 6, 9, 12, 15][:most]
    assert list(in_order([], most)) == []


@pytest.mark.slow
def test_in_fp32_generation_is_that_of_transformers_to_the_token(base: Base, fresh: None) -> None:
    export_generator(base.path, base.path)
    codec = Codec(base.path)
    ours = OpenVinoGenerator(base.path, codec, "openvino-f32", cache_gb=1)
    assert ours.name == "openvino-f32"
    prompts = [codec.encode_plain(t) for t in ("Ohio law governs", "The term of this Agreement", "x")]
    options = GenerateOptions(max_tokens=24)
    stored = TransformersEngine(base, dtype="float32").generate(prompts, options)
    assert [g.ids for g in ours.generate(prompts, options)] == [g.ids for g in stored]


@pytest.mark.slow
def test_generation_equals_that_of_transformers(base: Base, clauses: Schema, fresh: None) -> None:
    export_generator(base.path, base.path)
    codec = Codec(base.path)
    ours, theirs = OpenVinoGenerator(base.path, codec, cache_gb=1), TransformersEngine(base, dtype="float32")
    prompts = [codec.encode_plain(t) for t in ("Ohio law governs", "The term of this Agreement", "x")]
    grammars = [point_grammar(clauses.names, n) for n in (1, 4, 9)]
    options = GenerateOptions(max_tokens=12)
    pairs = zip(ours.generate(prompts, options, grammars), theirs.generate(prompts, options, grammars), strict=True)
    same = [a.ids[:2] == b.ids[:2] for a, b in pairs]
    assert sum(same) >= 2, "a random model has near-ties, which bf16 flips"
    shared = codec.encode_plain("The Supplier shall deliver the goods to the warehouse. " * 12)
    asked = [shared + codec.encode_plain(f"Question {n}?") for n in range(3)]
    mixed = [asked[0], *prompts, *asked[1:], asked[0] + prompts[0]]
    done = ours.generate(mixed, GenerateOptions(max_tokens=1))
    assert [g.prompt_tokens for g in done] == [len(p) for p in mixed], "in the order that was asked"
    readings = PointReader(LocalChat(ours, codec), clauses).read(
        [Passage("", ["One.", "Two."]), Passage("Term", ["Three."])]
    )
    assert all(r.valid for r in readings)
