"""The one path that answers: evaluation, batch, server and web all call `Expert.answer`.

A document is cut into windows; a reader gives each sentence a confidence for each field; neighbouring
sentences are joined into candidates; thresholds decide which fields are present; quotes are rendered from the
document's own text; values are normalised from the quotes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lextune.core.errors import RequestError
from lextune.core.records import (
    Candidate,
    Document,
    DocumentInfo,
    FieldAnswer,
    Message,
    Prediction,
    Record,
    Span,
    Usage,
    total,
)
from lextune.expert.edges import EdgeTagger
from lextune.expert.engines.base import Chatter, GenerateOptions, Generation
from lextune.expert.placing import Placed, Read, answer_quotes, place, quoted, stated
from lextune.expert.readers import Passage, WindowReader
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowConfig, cut, sentence_texts
from lextune.text.dates import names_end
from lextune.text.values import end_from, normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 64  # windows read at once: what bounds the memory of a document of any length


class Identity(NamedTuple):
    """Who answers: the release's name and hash, and the strategy it uses."""

    name: str
    hash: str
    strategy: str


class Identified:
    """What every expert has: who it is, which fields it answers, and the layout of its records."""

    identity: Identity
    schema: Schema

    @property
    def name(self) -> str:
        """The release's name."""
        return self.identity.name

    @property
    def release_hash(self) -> str:
        """The hash of the release, or of the model where it is not released."""
        return self.identity.hash

    @property
    def strategy(self) -> str:
        """`tag`, `point` or `text`."""
        return self.identity.strategy

    def _record(self, document: Document, fields: dict[str, FieldAnswer | None]) -> Record:
        return Record(
            document=DocumentInfo.of(document),
            release=self.identity.name,
            schema_name=self.schema.name,
            fields=fields,
            not_assessed=tuple(n for n in self.schema.names if n not in fields),
        )


class Expert(Identified):
    """A model that answers a schema from documents.

    Args:
        identity: recorded in every answer.
        schema: the fields.
        reader: the strategy's way to read windows.
        codec: cuts documents by the base model's tokens.
        thresholds: when a field is present; `trained_fields` says which fields may be answered at all.
        window: how documents are cut.
        chatter: who answers in `chat`; None for a release that only tags.
        edge_tagger: finds the edges of quotes inside sentences; None leaves them to the rules.
    """

    def __init__(  # noqa: PLR0913 - the parts of an expert, each by name
        self,
        identity: Identity,
        schema: Schema,
        reader: WindowReader,
        *,
        codec: Codec,
        thresholds: Thresholds,
        window: WindowConfig,
        chatter: Chatter | None = None,
        edge_tagger: EdgeTagger | None = None,
    ) -> None:
        self.identity, self.schema, self._reader = identity, schema, reader
        self._codec, self._thresholds, self._window = codec, thresholds, window
        self._chatter, self._edge_tagger = chatter, edge_tagger

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        """Answer every field of the schema from one document.

        Args:
            document: what to read.
            min_confidence: answers less sure than this are marked for review; None takes the release's own limit.
        """
        started = time.perf_counter()
        read = self._read(document)
        candidates: list[Candidate] = []
        fields: dict[str, FieldAnswer | None] = {}
        assessed = self._thresholds.trained_fields
        sure_from = self._thresholds.review_below if min_confidence is None else min_confidence
        for number, field in enumerate(self.schema.fields):
            if assessed is not None and field.name not in assessed:
                continue
            placed = place(number, field, document.text, read, self._thresholds.quote_share, self._edge_tagger)
            candidates += [
                Candidate(field=field.name, start=s.start, end=s.end, confidence=one.confidence)
                for one in placed
                for s in one.spans
            ]
            sure = self._thresholds.sure(number, placed[0].confidence) if placed else 0.0
            fields[field.name] = self._answer_field(field, document, placed, read, sure, sure_from)
        fields |= self._ends(fields)
        return Prediction(
            document_id=document.id,
            record=self._record(document, fields),
            candidates=tuple(candidates),
            usage=read.usage.model_copy(update={"seconds": time.perf_counter() - started}),
        )

    def chat(self, messages: Sequence[Message], options: GenerateOptions) -> Generation:
        """Continue a conversation.

        Raises:
            RequestError: this release only extracts.
            ContextError: the conversation is longer than the model's context.
        """
        if self._chatter is None:
            raise RequestError(
                f"the release {self.name} reads documents with a tagging head and cannot chat",
                do="send documents to /v1/extract, or serve a release trained with strategy: point or text",
            )
        return self._chatter.chat([messages], options)[0]

    def _read(self, document: Document) -> Read:
        import numpy as np

        windows = cut(document, self._codec, self._window)
        rows: list[NDArray[np.float32]] = []
        usage: dict[str, Any] = {"windows": len(windows), "prompt_tokens": 0, "generated_tokens": 0}
        usage |= {"outputs": 0, "valid": 0, "ungrounded": 0, "skipped": 0}
        parts: dict[tuple[int, int], Sequence[tuple[int, int]]] = {}
        done, cached = 0, list[int | None]()
        for start in range(0, len(windows), CHUNK):
            chunk = windows[start : start + CHUNK]
            passages = [Passage(w.heading, sentence_texts(document.text, w)) for w in chunk]
            for reading in self._reader.read(passages):
                rows.append(reading.confidence)
                parts |= {(done + row, number): each for (row, number), each in reading.parts.items()}
                done += len(reading.confidence)
                cached.append(reading.cached_tokens)
                for name in usage.keys() - {"windows"}:
                    usage[name] += getattr(reading, name)
        sentences = [s for w in windows for s in w.sentences]
        matrix = np.concatenate(rows) if rows else np.zeros((0, len(self.schema.fields)), dtype=np.float32)
        return Read(sentences, matrix, parts, Usage(**usage, cached_tokens=total(cached)))

    def _ends(self, fields: Mapping[str, FieldAnswer | None]) -> dict[str, FieldAnswer]:
        """Return the ends that are counted from a start which another field states."""
        dates = {f.name: one for f in self.schema.fields if f.type == "date" and (one := fields.get(f.name))}
        starts = {name: one.answer for name, one in dates.items()}
        return {
            name: one.model_copy(update={"answer": end_from(" ".join(q.text for q in one.quotes), starts)})
            for name, one in dates.items()
            if one.answer is None and names_end(name)
        }

    def _answer_field(
        self,
        field: SchemaField,
        document: Document,
        placed: Sequence[Placed],
        read: Read,
        sure: float,
        sure_from: float,
    ) -> FieldAnswer | None:
        if sure < self._thresholds.of(field.name) or sure <= 0:
            return None
        quoting = self._thresholds.quoting_of(field.name)
        quotes = answer_quotes(document, quoted(field, placed, read.sentences, quoting))
        return FieldAnswer(
            answer=_value(field, document, stated(field, placed, read.sentences, quoting)),
            quotes=quotes,
            confidence=round(sure, 4),
            status="accepted" if sure >= sure_from else "review",
        )


def _value(field: SchemaField, document: Document, passages: Iterable[Sequence[Span]]) -> Any:
    """Return the value of a field that is present, read from the first of the passages that states one."""
    if field.type == "boolean":
        return True
    apart = "; " if field.type == "parties" else " "
    for spans in passages:
        words = (" ".join(document.text[s.start : s.end].split()) for s in spans)
        value = normalise(field.type, apart.join(words), field=field.name)
        if value is not None:
            return value
    return None
