"""The metric of `best_by: metric`: validation documents, read and marked while the model is trained.

They take the path that serves and evaluates: `lextune.expert.build.expert_over` an engine that holds the model in
training, thresholds fitted as `calibrate` does, marks from `lextune.expert.scoring`. So the best weights are those that
will answer best, where a lower loss may only be surer of what was right already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lextune.core.errors import DataError
from lextune.core.records import Document, Prediction
from lextune.core.stage import Context
from lextune.expert.answering import Expert, Identity
from lextune.expert.build import expert_over
from lextune.expert.engines.base import Tagger, TagInput
from lextune.expert.readers import TagReader
from lextune.expert.schema import Schema
from lextune.expert.tasks import is_prose
from lextune.expert.templates import Codec
from lextune.expert.thresholds import POINTED, Thresholds, fit_thresholds
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowConfig
from lextune.expert.writing import WritingExpert
from lextune.train.calibrate import assessed, condense, read_all


class ServingMetric:
    """Scores the module in training: micro F1 of fields, or for free text the share of words in common (Jaccard).

    Args:
        base: of the model.
        schema: the fields.
        documents: validation documents; all are read each time.
        strategy: `tag`, `point` or `text`.
        window: how documents are cut.
        trained: the fields that training assessed; others are not answered and do not count.

    Raises:
        DataError: no document has anything to be found, so that every model would score the same.
    """

    def __init__(
        self,
        base: Base,
        schema: Schema,
        documents: Sequence[Document],
        *,
        strategy: str,
        window: WindowConfig,
        trained: tuple[str, ...],
    ) -> None:
        if not any(d.labels[n].present for d in documents for n in trained if n in d.labels):
            raise DataError(
                f"nothing is to be found in the {len(documents)} validation documents of the metric",
                where="train.best_by: metric",
                do="raise train.metric_documents, or use best_by: loss",
            )
        self._base, self._schema, self._documents = base, schema, documents
        self._strategy, self._window, self._trained = strategy, window, trained
        self._codec = Codec(base.path)
        self._engine: Any = None

    def __call__(self, module: Any) -> float:
        """Return the score of a `TagModel` or `CausalModel` as it is, from 0 to 1."""
        with self._serving(module) as engine:
            expert = self._expert(engine)
            return self._marks([expert.answer(document) for document in self._documents])

    @contextmanager
    def _serving(self, module: Any) -> Iterator[Any]:
        """Give the engine over a module; meanwhile it attends as in serving, where nobody says who sees whom."""
        from lextune.expert.engines.transformers_ import TransformersEngine

        model = module.model
        attention, training = model.config._attn_implementation, module.training
        model.set_attn_implementation("sdpa")
        try:
            if self._engine is None:
                self._engine = TransformersEngine(self._base, model=model)
            module.eval()
            if self._strategy == "tag":
                self._engine.head = module.served_head()
            yield self._engine
        finally:
            model.set_attn_implementation(attention)
            module.train(training)

    def _expert(self, engine: Any) -> Expert | WritingExpert:
        identity = Identity("in training", "", self._strategy)
        thresholds = Thresholds(pooled=POINTED, trained_fields=self._trained)
        if self._strategy == "tag":
            engine = TaggedOnce(engine)
            thresholds = self._fitted(TagReader(self._codec, engine, Thresholds()))
        return expert_over(engine, self._codec, self._schema, thresholds, self._window, identity)

    def _fitted(self, reader: TagReader) -> Thresholds:
        documents = assessed(self._documents, self._trained)
        held = read_all(reader, documents, self._schema, self._codec, self._window, Context())
        fitted = fit_thresholds(condense(held, self._schema), self._trained)
        return fitted.model_copy(update={"trained_fields": self._trained})

    def _marks(self, predictions: Sequence[Prediction]) -> float:
        from lextune.expert.scoring import contracteval, fields, pairs

        data = pairs.scored(self._documents, predictions, self._schema)
        shape = len(data.documents), len(data.fields)
        if is_prose(self._schema):
            return float(contracteval.jaccard(contracteval.counts(data.pairs, *shape).sum(axis=(0, 1))))
        return float(fields.f1(fields.counts(data.pairs, *shape).sum(axis=(0, 1))))


class TaggedOnce:
    """A tagger that remembers: fitting thresholds and answering read the same windows."""

    name = "remembering"

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._known: dict[tuple[int, ...], Any] = {}

    def tag(self, inputs: Sequence[TagInput]) -> list[Any]:
        """Return logits [sentences, fields] of each window."""
        new = list({item.ids: item for item in inputs if item.ids not in self._known}.values())
        self._known |= {item.ids: logits for item, logits in zip(new, self._tagger.tag(new), strict=True)}
        return [self._known[item.ids] for item in inputs]


def shortest(documents: Sequence[Document], count: int) -> list[Document]:
    """Return the `count` shortest documents, which are read in the least time."""
    return sorted(documents, key=lambda d: (len(d.text), d.id))[:count]
