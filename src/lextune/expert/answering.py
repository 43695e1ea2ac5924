"""The one path that answers: evaluation, batch, server and web all call `Expert.answer`.

A document is cut into windows; a reader gives each sentence a confidence for each field; neighbouring
sentences are joined into candidates; thresholds decide which fields are present; quotes are rendered from the
document's own text; values are normalised from the quotes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lextune.core.errors import RequestError
from lextune.core.records import (
    Candidate,
    Document,
    DocumentInfo,
    FieldAnswer,
    Message,
    Prediction,
    Quote,
    Record,
    Span,
    Usage,
)
from lextune.expert.engines.base import Chatter, GenerateOptions, Generation
from lextune.expert.grounding import edges
from lextune.expert.readers import Passage, WindowReader
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowConfig, cut, sentence_texts
from lextune.text.spans import CollapsedText, merge_adjacent
from lextune.text.values import normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 64  # windows read at once: what bounds the memory of a document of any length
FLOOR = 0.005  # a sentence below this confidence is no candidate
PART_OF_SENTENCE = ("text", "date", "parties")


class Identity(NamedTuple):
    """Who answers: the release's name and hash, and the strategy it uses."""

    name: str
    hash: str
    strategy: str


class Joined(NamedTuple):
    """Neighbouring sentences that answer one field: indexes first..last, and the highest confidence."""

    first: int
    last: int
    confidence: float


class Read(NamedTuple):
    """What a reader said of a document: `confidence` [sentences, fields], and quoted parts as in `readers.Reading`."""

    sentences: list[Span]
    confidence: NDArray[np.float32]
    parts: dict[tuple[int, int], Sequence[tuple[int, int]]]
    usage: Usage


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
            document=DocumentInfo(
                name=document.name,
                sha256=document.sha256,
                pages=len(document.pages) or None,
                characters=len(document.text),
            ),
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
    ) -> None:
        self.identity, self.schema, self._reader = identity, schema, reader
        self._codec, self._thresholds, self._window = codec, thresholds, window
        self._chatter = chatter

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
            found = list(join(read.confidence[:, number], self._thresholds.quote_share)) if read.sentences else []
            placed = [(self._place(number, document.text, read, j), j.confidence) for j in found]
            candidates += [
                Candidate(field=field.name, start=s.start, end=s.end, confidence=sure)
                for spans, sure in placed
                for s in spans
            ]
            fields[field.name] = self._answer_field(field, document, placed, sure_from)
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
        usage |= {"outputs": 0, "valid": 0, "ungrounded": 0}
        parts: dict[tuple[int, int], Sequence[tuple[int, int]]] = {}
        done = 0
        for start in range(0, len(windows), CHUNK):
            chunk = windows[start : start + CHUNK]
            passages = [Passage(w.heading, sentence_texts(document.text, w)) for w in chunk]
            for reading in self._reader.read(passages):
                rows.append(reading.confidence)
                parts |= {(done + row, number): each for (row, number), each in reading.parts.items()}
                done += len(reading.confidence)
                for name in usage.keys() - {"windows"}:
                    usage[name] += getattr(reading, name)
        sentences = [s for w in windows for s in w.sentences]
        matrix = np.concatenate(rows) if rows else np.zeros((0, len(self.schema.fields)), dtype=np.float32)
        return Read(sentences, matrix, parts, Usage(**usage))

    def _place(self, number: int, text: str, read: Read, joined: Joined) -> list[Span]:
        field, rows = self.schema.fields[number], range(joined.first, joined.last + 1)
        known = {row: _quoted(text, read.sentences[row], read.parts.get((row, number), ())) for row in rows}
        if field.type not in PART_OF_SENTENCE:
            if not any(known.values()):
                return [Span(start=read.sentences[joined.first].start, end=read.sentences[joined.last].end)]
            return list(merge_adjacent(text, (s for row in rows for s in known[row] or [read.sentences[row]])))
        return [s for row in rows for s in known[row] or edges(field, text, read.sentences[row])]

    def _answer_field(
        self, field: SchemaField, document: Document, placed: Sequence[tuple[list[Span], float]], sure_from: float
    ) -> FieldAnswer | None:
        best = max((sure for _, sure in placed), default=0.0)
        if best < self._thresholds.of(field.name) or best <= 0:
            return None
        kept = [(spans, sure) for spans, sure in placed if sure >= best * self._thresholds.quote_share]
        if field.type in PART_OF_SENTENCE:  # one place states a name, a date or the parties
            kept = [max(kept, key=lambda item: item[1])]
        spans = sorted({(s.start, s.end) for group, _ in kept for s in group})
        if field.type in ("text", "date"):
            spans = spans[:1]
        quotes = tuple(Quote(text=document.text[a:b], start=a, end=b, page=document.page_of(a)) for a, b in spans)
        joined = (
            " ".join(" ".join(q.text for q in quotes).split())
            if field.type != "parties"
            else "; ".join(" ".join(q.text.split()) for q in quotes)
        )
        return FieldAnswer(
            answer=True if field.type == "boolean" else normalise(field.type, joined, field=field.name),
            quotes=quotes,
            confidence=round(best, 4),
            status="accepted" if best >= sure_from else "review",
        )


def _quoted(text: str, sentence: Span, parts: Sequence[tuple[int, int]]) -> list[Span]:
    """Return the parts of a sentence as spans of the text; none where they are the whole sentence."""
    if not parts:
        return []
    known = CollapsedText(text[sentence.start : sentence.end])
    if list(parts) == [(0, len(known.collapsed))]:
        return []
    found = [known.span(start, end) for start, end in parts]
    return [Span(start=sentence.start + s.start, end=sentence.start + s.end) for s in found]


def join(confidence: NDArray[np.float32], share: float) -> Iterator[Joined]:
    """Yield groups of neighbouring sentences of one field, most confident first.

    Args:
        confidence: [sentences]. share: a neighbour joins where it has at least this share of the group's best.
    """
    import numpy as np

    free = confidence >= FLOOR
    for seed in np.argsort(-confidence, kind="stable"):
        if not free[seed]:
            if confidence[seed] < FLOOR:
                return
            continue
        first = last = int(seed)
        least = max(FLOOR, share * float(confidence[seed]))
        while first > 0 and free[first - 1] and confidence[first - 1] >= least:
            first -= 1
        while last + 1 < len(free) and free[last + 1] and confidence[last + 1] >= least:
            last += 1
        free[first : last + 1] = False
        yield Joined(first, last, float(confidence[seed]))
