"""The metric of `best_by: metric`: a model in training reads and is marked as one that is served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel, Span
from lextune.core.stage import Context
from lextune.expert.answering import Expert, Identity
from lextune.expert.engines.base import LocalChat, TagInput
from lextune.expert.engines.scripted import ScriptedTagger
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.readers import PointReader, TagReader
from lextune.expert.schema import Schema, SchemaField, load_schema
from lextune.expert.scoring import score
from lextune.expert.tasks import instruction_document
from lextune.expert.templates import Codec
from lextune.expert.thresholds import POINTED, Thresholds, fit_thresholds
from lextune.expert.weights import Base, Binding, write_binding
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.train.calibrate import condense, read_all
from lextune.train.metric import ServingMetric, TaggedOnce, shortest
from lextune.train.models import CausalModel, TagModel
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.tag import train_tag

LAW = "This Agreement is governed by the laws of the State of Ohio."
TERM = "The term of this Agreement is five years."
WINDOW = WindowConfig(max_tokens=128)
TRAINED = ("Law", "Term")


@pytest.fixture
def schema() -> Schema:
    names = ("Law", "Term", "Audit")
    return Schema(name="small", fields=tuple(SchemaField(name=n, type="boolean", question=n) for n in names))


def _label(text: str, part: str) -> FieldLabel:
    if part not in text:
        return FieldLabel()
    start = text.index(part)
    return FieldLabel(parts=(part,), spans=((Span(start=start, end=start + len(part)),),), answer="Yes")


def _document(number: int) -> Document:
    """Of four, one has neither clause, one each, one both."""
    stated = [part for bit, part in enumerate((LAW, TERM)) if number >> bit & 1]
    text = "\n\n".join(["The goods are delivered in May.", *stated, "Invoices are paid in June.\n"])
    labels = {"Law": _label(text, LAW), "Term": _label(text, TERM), "Audit": FieldLabel()}
    return Document(id=f"d{number}", name=f"d{number}", sha256="0" * 64, text=text, labels=labels)


DOCUMENTS = [_document(n) for n in range(4)]


def _metric(base: Base, schema: Schema, strategy: str, documents: Sequence[Document] = DOCUMENTS) -> ServingMetric:
    return ServingMetric(base, schema, documents, strategy=strategy, window=WINDOW, trained=TRAINED)


def _f1(reader: Any, thresholds: Thresholds, schema: Schema, codec: Codec) -> float | None:
    thresholds = thresholds.model_copy(update={"trained_fields": TRAINED})
    expert = Expert(Identity("x", "", "tag"), schema, reader, codec=codec, thresholds=thresholds, window=WINDOW)
    return score(DOCUMENTS, [expert.answer(d) for d in DOCUMENTS], schema).field.micro.f1.value


def test_a_tagger_is_marked_as_the_adapter_it_becomes(
    base: Base, codec: Codec, schema: Schema, windows: dict[str, list[WindowExample]], tmp_path: Path
) -> None:
    """The metric of the best evaluation is what calibrate, answer and score say of the folder that is left."""
    seen: list[float] = []
    metric = _metric(base, schema, "tag")

    def spy(module: Any) -> float:
        before = module.training, module.model.config._attn_implementation
        seen.append(metric(module))
        assert (module.training, module.model.config._attn_implementation) == before
        return seen[-1]

    config = TrainConfig(
        epochs=4, batch=5, lr=1e-2, head_lr=3e-2, precision="fp32", best_by="metric", lora=LoraSettings(r=4)
    )
    result = train_tag(base, windows, ("Law", "Term", "Fee"), config, tmp_path, RunOptions(0, metric=spy))
    assert result["best"]["eval_metric"] == max(seen) > 0.5
    _bind(base, tmp_path)
    engine = TransformersEngine(base, adapter=tmp_path, dtype="float32")
    held = read_all(TagReader(codec, engine, Thresholds()), DOCUMENTS, schema, codec, WINDOW, Context())
    scores = condense(held, schema)
    fitted = fit_thresholds(scores, TRAINED)
    assert _f1(TagReader(codec, engine, fitted), fitted, schema, codec) == pytest.approx(max(seen), abs=1e-9)


def _bind(base: Base, folder: Path) -> None:
    hashes = {"weights_sha256": base.weights_sha256, "tokenizer_sha256": base.tokenizer_sha256}
    write_binding(folder, Binding(base=base.name, strategy="tag", template="", fields=TRAINED, **hashes))


@pytest.mark.parametrize("packing", [True, False])
def test_a_generator_is_marked_as_the_adapter_it_becomes(
    packing: bool, base: Base, codec: Codec, schema: Schema, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = TrainConfig(strategy="point", precision="fp32", packing=packing, lora=LoraSettings(r=4, dropout=0.1))
    model = CausalModel(base, config).train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    state = torch.get_rng_state()
    metric = _metric(base, schema, "point")
    found = metric(model)
    assert metric(model) == found
    assert model.training
    assert torch.equal(torch.get_rng_state(), state), "what is drawn in training must not depend on it"
    model.model.save_pretrained(tmp_path)
    _bind(base, tmp_path)
    engine = TransformersEngine(base, adapter=tmp_path, dtype="float32")
    expected = _f1(PointReader(LocalChat(engine, codec), schema), Thresholds(pooled=POINTED), schema, codec)
    assert found == pytest.approx(expected, abs=1e-9)


def test_what_is_written_is_marked_by_the_words_it_shares(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three answers with a Jaccard of 1, 1/3 and 0 to what was written for them; the fourth has none to share with."""
    schema = load_schema("instruction")
    documents = [
        instruction_document("a", "Which law?", "", "Ohio law"),
        instruction_document("b", "Which term?", "", "five years"),
        instruction_document("c", "Who?", "", "Acme"),
        instruction_document("d", "When?", "", "May").model_copy(update={"labels": {"output": FieldLabel()}}),
    ]
    answers = {"Which law?": "Ohio law", "Which term?": "five months exactly", "Who?": "nobody", "When?": "May"}
    metric = ServingMetric(base, schema, documents, strategy="text", window=WINDOW, trained=("output",))
    model = CausalModel(base, TrainConfig(strategy="text"))
    codec = Codec(base.path)

    def generate(self: Any, prompts: Sequence[Sequence[int]], options: Any, grammars: Any = None) -> list[Any]:
        from lextune.expert.engines.base import Generation

        assert self._model is model.model
        (asked,) = [text for text in answers if text in codec.decode(prompts[0])]
        return [Generation(text=answers[asked], ids=(1,), prompt_tokens=1)]

    monkeypatch.setattr(TransformersEngine, "generate", generate)
    assert metric(model) == pytest.approx((1 + 1 / 4 + 0) / 3)


@pytest.mark.parametrize(
    ("stated", "absent", "score"),
    [("five years", "null", 1.0), ("null", "null", 2 / 3), ("five years", "Invoices are paid", 0.8)],
)
def test_what_is_quoted_is_marked_by_fields(
    base: Base, schema: Schema, monkeypatch: pytest.MonkeyPatch, stated: str, absent: str, score: float
) -> None:
    """Two documents state a law, which is found, and two a term, which is found, missed, or found in all four."""
    model, codec = CausalModel(base, TrainConfig(strategy="text")), Codec(base.path)

    def answer(prompt: Sequence[int]) -> str:
        window, question = codec.decode(prompt).rsplit("\n\n", 1)
        if question.startswith("Law:"):
            return LAW if LAW in window else "null"
        assert question.startswith("Term:"), "the field that training did not assess is not asked"
        return stated if TERM in window else absent

    def generate(self: Any, prompts: Sequence[Sequence[int]], options: Any, grammars: Any = None) -> list[Any]:
        from lextune.expert.engines.base import Generation

        return [Generation(text=answer(prompt), ids=(1,), prompt_tokens=1) for prompt in prompts]

    monkeypatch.setattr(TransformersEngine, "generate", generate)
    assert _metric(base, schema, "text")(model) == pytest.approx(score)


def test_documents_without_a_clause_are_refused(base: Base, schema: Schema) -> None:
    for documents in ([], [_document(0)]):
        with pytest.raises(DataError, match=f"nothing is to be found in the {len(documents)} validation documents"):
            _metric(base, schema, "tag", documents)


def test_a_clause_of_an_untrained_field_is_nothing_to_be_found(base: Base, schema: Schema) -> None:
    with pytest.raises(DataError, match="nothing is to be found in the 1 validation documents of the metric"):
        ServingMetric(base, schema, [_document(1)], strategy="tag", window=WINDOW, trained=("Term",))


def test_a_window_is_tagged_once(make_window: Callable[..., WindowExample]) -> None:
    asked: list[TagInput] = []

    def script(item: TagInput) -> Any:
        asked.append(item)
        return np.full((1, 3), float(item.ids[0]), np.float32)

    tagger = TaggedOnce(ScriptedTagger(script))
    one, two = (TagInput(ids=(n, 5), bounds=((0, 2),)) for n in (1, 2))
    assert [m[0, 0] for m in tagger.tag([one, two, one])] == [1.0, 2.0, 1.0]
    assert [m[0, 0] for m in tagger.tag([two])] == [2.0]
    assert asked == [one, two]


def test_the_shortest_documents_are_read() -> None:
    assert [d.id for d in shortest(list(reversed(DOCUMENTS)), 3)] == ["d0", "d2", "d1"]
    assert len(shortest(DOCUMENTS, 9)) == 4


def test_the_head_is_the_one_in_training(base: Base, codec: Codec, schema: Schema) -> None:
    """The score follows the head's weights from one evaluation to the next."""
    torch.manual_seed(0)
    model = TagModel(base, TrainConfig(precision="fp32"), [-4.0, -4.0, -4.0])
    metric = _metric(base, schema, "tag")
    low = metric(model)
    sign = torch.ones_like(model.head.weight)
    with torch.no_grad():
        model.head.weight.copy_(sign * 7)
    other = metric(model)
    assert metric._engine.head.weight.max() == 7.0
    assert 0 <= low <= 1
    assert 0 <= other <= 1
