"""Fusion: two readers that each see half are better together, and what the screen skips the model does not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lextune.core.errors import DataError
from lextune.core.records import Document
from lextune.expert.answering import Expert, Identity
from lextune.expert.fusion import FusedReader, Fusion, fit_fusion, fuse
from lextune.expert.held_out import HeldOut
from lextune.expert.readers import Passage, Tagged
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.screen import Screen
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowConfig

FIELDS, SENTENCES = 2, 40


@pytest.fixture
def both(document_of: Callable[[str], Document]) -> Callable[..., tuple[list[HeldOut], list[HeldOut]]]:
    def make(documents: int, seed: int = 0) -> tuple[list[HeldOut], list[HeldOut]]:
        """The log odds of a label are the sum of what the two see; windows hold four sentences."""
        random = np.random.default_rng(seed)
        model, linear = [], []
        for _ in range(documents):
            first, second = (random.normal(0, 2, (SENTENCES, FIELDS)).astype(np.float32) for _ in range(2))
            chance = 1 / (1 + np.exp(-(first + second - 3)))
            truth = (random.random(chance.shape) < chance).astype(np.int8)
            window_of = np.arange(SENTENCES) // 4
            model.append(HeldOut(document_of("x"), [], window_of, first, truth))
            linear.append(HeldOut(document_of("x"), [], window_of, second, truth))
        return model, linear

    return make


def loss(held: Sequence[HeldOut], fusion: Fusion | None = None, *, alone: bool = False) -> float:
    """Mean negative log likelihood of the labels by log odds."""
    losses = []
    for each in held:
        odds = fusion.linear_alone(each.logits) if fusion and alone else each.logits
        losses.append(np.logaddexp(0, np.where(each.truth == 1, -odds, odds)))
    return float(np.mean(losses))


def test_together_they_are_better_than_either(
    both: Callable[..., tuple[list[HeldOut], list[HeldOut]]],
) -> None:
    fusion = fit_fusion(*both(100))
    np.testing.assert_allclose(fusion.both, [[1, 1, -3]] * FIELDS, atol=0.35)
    model, linear = both(50, seed=1)
    without = fit_fusion(*both(100), fuse=False)
    assert [row[1] for row in without.both] == [0, 0]
    fused, model_alone = loss(fuse(model, linear, fusion)), loss(fuse(model, linear, without))
    assert fused < 0.9 * model_alone
    assert fused < 0.9 * loss(linear, fusion, alone=True)
    assert (fusion.n_documents, fusion.screen) == (100, None)


class Scripted:
    """Gives each sentence, a number, that number times a factor as logit of every field; notes what it read."""

    def __init__(self, factor: float) -> None:
        self.factor, self.read_texts = factor, list[str]()

    def logits(self, passages: Sequence[Passage]) -> list[np.ndarray]:
        self.read_texts += [text for p in passages for text in p.texts]
        return [np.array([[self.factor * float(t)] * FIELDS for t in p.texts], np.float32) for p in passages]

    def tagged(self, passages: Sequence[Passage]) -> list[Tagged]:
        assert passages, "nothing is asked of a model that has nothing to read"
        return [Tagged(logits, prompt_tokens=10 * len(logits)) for logits in self.logits(passages)]


WEIGHTS = Fusion(both=((1.0, 0.5, -1.0),) * FIELDS, alone=((2.0, -3.0),) * FIELDS)
LIMITS = Screen(limits=(0.5, 4.0), share=0.98, recall=0.97, skipped=0.6, n_documents=48)


def test_both_read_every_window() -> None:
    model, linear = Scripted(1), Scripted(2)
    reader = FusedReader(model, linear, WEIGHTS, Thresholds(slope=2.0, shift=0.25))
    passages = [Passage("", ["1", "2"]), Passage("", ["-3"])]
    logits = reader.logits(passages)
    assert [m.tolist() for m in logits] == [[[1, 1], [3, 3]], [[-7, -7]]], "x + 0.5 * 2x - 1"
    readings = reader.read(passages)
    np.testing.assert_allclose(readings[0].confidence, 1 / (1 + np.exp(-(2 * logits[0] + 0.25))), rtol=1e-5)
    assert [(r.prompt_tokens, r.skipped) for r in readings] == [(20, 0), (10, 0)]


def test_the_model_reads_only_what_passes() -> None:
    model, linear = Scripted(1), Scripted(2)
    reader = FusedReader(model, linear, WEIGHTS.model_copy(update={"screen": LIMITS}), Thresholds())
    passages = [Passage("", ["0", "-1"]), Passage("", ["0", "1"]), Passage("", ["0.5"])]
    first, second, third = reader.tagged(passages)
    assert model.read_texts == ["0", "1"], "log odds of 1: 2 * 2 - 3 = 1 >= 0.5"
    assert first.logits.tolist() == [[-3, -3], [-7, -7]], "2 * 2x - 3"
    assert second.logits.tolist() == [[-1, -1], [1, 1]]
    assert [(t.skipped, t.prompt_tokens) for t in (first, second, third)] == [(True, 0), (False, 20), (True, 0)]
    assert [r.skipped for r in reader.read(passages)] == [1, 0, 1]
    nothing = FusedReader(Scripted(1), linear, WEIGHTS.model_copy(update={"screen": LIMITS}), Thresholds())
    assert [t.skipped for t in nothing.tagged(passages[:1])] == [True]


@pytest.mark.parametrize("screen", [None, LIMITS])
def test_what_is_fitted_on_is_what_is_read(
    both: Callable[..., tuple[list[HeldOut], list[HeldOut]]], screen: Screen | None
) -> None:
    """`fuse` gives, without reading anything again, what the reader gives window by window."""
    fusion = WEIGHTS.model_copy(update={"screen": screen})
    model, linear = both(1, seed=3)

    class Stored:
        def __init__(self, held: HeldOut) -> None:
            self._held = held

        def logits(self, passages: Sequence[Passage]) -> list[np.ndarray]:
            return [self._held.logits[self._held.window_of == int(p.heading)] for p in passages]

        def tagged(self, passages: Sequence[Passage]) -> list[Tagged]:
            return [Tagged(each, 1) for each in self.logits(passages)]

    reader = FusedReader(Stored(model[0]), Stored(linear[0]), fusion, Thresholds())
    passages = [Passage(str(number), ["x"] * 4) for number in range(SENTENCES // 4)]
    read = reader.tagged(passages)
    assert {each.skipped for each in read} == ({True, False} if screen else {False})
    (fused,) = fuse(model, linear, fusion)
    np.testing.assert_array_equal(np.concatenate([each.logits for each in read]), fused.logits)
    np.testing.assert_array_equal(fused.truth, model[0].truth)


def test_the_usage_counts_what_the_model_was_spared(tiny_codec: Codec, document_of: Callable[[str], Document]) -> None:
    schema = Schema(name="s", fields=tuple(SchemaField(name=n, type="boolean", question=n) for n in ("Law", "Audit")))
    reader = FusedReader(Scripted(1), Scripted(2), WEIGHTS.model_copy(update={"screen": LIMITS}), Thresholds())
    expert = Expert(
        Identity("x", "y", "tag"), schema, reader,
        codec=tiny_codec, thresholds=Thresholds(), window=WindowConfig(max_sentences=1),
    )  # fmt: skip
    prediction = expert.answer(document_of("7\n\n0\n\n8\n\n0"))
    usage = prediction.usage
    assert (usage.windows, usage.skipped, usage.prompt_tokens) == (4, 2, 20)
    law = prediction.record.fields["Law"]
    assert law is not None
    assert [q.text for q in law.quotes] == ["7", "8"]


def test_saved_and_loaded(tmp_path: Path) -> None:
    fusion = WEIGHTS.model_copy(update={"screen": LIMITS, "n_documents": 48})
    fusion.save(tmp_path)
    assert Fusion.load(tmp_path) == fusion
    assert [p.name for p in tmp_path.iterdir()] == ["fusion.json"]


def test_readers_of_other_documents_are_refused(
    both: Callable[..., tuple[list[HeldOut], list[HeldOut]]],
) -> None:
    model, linear = both(2)
    message = "the model and the linear tagger did not read the same held-out documents"
    for first, second in (([], []), (model, linear[:1])):
        with pytest.raises(DataError, match=message) as caught:
            fit_fusion(first, second)
        assert caught.value.do == "read the same documents, at least one, with both"
