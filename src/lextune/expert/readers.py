"""Readers: how each strategy turns windows into confidences [sentences, fields]. All else is shared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lextune.core.errors import DocumentError, shorten
from lextune.core.records import total
from lextune.expert.engines.base import Chatter, GenerateOptions, Generation, LocalChat, Tagger
from lextune.expert.grammar import point_grammar
from lextune.expert.grounding import ground
from lextune.expert.head import tag_input
from lextune.expert.linear import LinearTagger
from lextune.expert.point import parse_point, point_messages
from lextune.expert.quoting import parse_quotes, question_messages, says_null
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowExample
from lextune.text.values import NULL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNKNOWN = 0.5  # the confidence of an answer from an engine that gives no probabilities


class Passage(NamedTuple):
    """What a reader sees of one window: its heading and its sentences, white space collapsed."""

    heading: str
    texts: Sequence[str]


class Reading(NamedTuple):
    """What a reader says of one window: confidences [sentences, fields], and what it took.

    `parts[sentence, field]` is what of a sentence answers a field, as [start, end) of its text, where that is known.
    `outputs`, `valid`, `ungrounded`, `skipped` and `cached_tokens` count as those of `lextune.core.records.Usage`.
    """

    confidence: NDArray[np.float32]
    prompt_tokens: int = 0
    generated_tokens: int = 0
    outputs: int = 0
    valid: int = 0
    ungrounded: int = 0
    parts: Mapping[tuple[int, int], Sequence[tuple[int, int]]] = MappingProxyType({})
    skipped: int = 0
    cached_tokens: int | None = 0


class Tagged(NamedTuple):
    """What a tagger says of one window: logits [sentences, fields]; and the tokens read, none where it was skipped."""

    logits: NDArray[np.float32]
    prompt_tokens: int = 0
    skipped: bool = False


class WindowReader(Protocol):
    """Reads windows, each once."""

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Return one reading a passage."""
        ...


class TaggedReader(Protocol):
    """Tags windows, each at most once."""

    def tagged(self, passages: Sequence[Passage]) -> list[Tagged]:
        """Return what is said of each passage."""
        ...


def no_number(of: str, part: str) -> DocumentError:
    """Return what to say where a model's arithmetic ran over: its logits are not numbers."""
    return DocumentError(
        f"the model gave no number for {of}",
        where=f"the part {shorten(part, 60)!r}",
        do="read the document with --engine openvino-f32",
    )


class TagReader:
    """A tagger's logits, calibrated."""

    def __init__(self, codec: Codec, tagger: Tagger, thresholds: Thresholds) -> None:
        self._codec, self._tagger, self._thresholds = codec, tagger, thresholds

    def tagged(self, passages: Sequence[Passage]) -> list[Tagged]:
        """Return raw logits.

        Raises:
            DocumentError: the engine gave no number for a sentence.
        """
        import numpy as np

        inputs = [tag_input(self._codec, p.heading, p.texts) for p in passages]
        found = self._tagger.tag(inputs)
        for passage, logits in zip(passages, found, strict=True):
            if not np.isfinite(logits).all():
                raise no_number("a sentence", passage.heading or passage.texts[0])
        return [Tagged(logits, len(each.ids)) for logits, each in zip(found, inputs, strict=True)]

    def logits(self, passages: Sequence[Passage]) -> list[NDArray[np.float32]]:
        """Return raw logits, for calibration."""
        return [each.logits for each in self.tagged(passages)]

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Tag every passage."""
        return [Reading(self._thresholds.confidence(t.logits), t.prompt_tokens) for t in self.tagged(passages)]


class LinearReader:
    """The linear baseline's logits, calibrated."""

    def __init__(self, tagger: LinearTagger, thresholds: Thresholds) -> None:
        self._tagger, self._thresholds = tagger, thresholds

    def logits(self, passages: Sequence[Passage]) -> list[NDArray[np.float32]]:
        """Return raw logits, for calibration."""
        return self._tagger.tag_texts([p.texts for p in passages])

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Tag every passage."""
        return [Reading(self._thresholds.confidence(logits)) for logits in self.logits(passages)]


class PointReader:
    """A generator's pointers, constrained by the schema's grammar; each carries its answer's confidence.

    Args:
        chatter: who is asked.
        schema: its fields are what may be named.
        shots: worked examples put before the question.
        constrained: False leaves the output free, to measure how often it is valid by itself, and because an endpoint
            takes no grammar of ours.
    """

    MAX_TOKENS = 64

    def __init__(
        self,
        chatter: LocalChat | Chatter,
        schema: Schema,
        *,
        shots: Sequence[WindowExample] = (),
        constrained: bool = True,
    ) -> None:
        self._chatter, self._schema, self._shots = chatter, schema, shots
        self._local = chatter if constrained and isinstance(chatter, LocalChat) else None

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Ask every passage's question once.

        An answer that was cut at the token limit keeps its whole pairs; an invalid one points nowhere and is
        counted as invalid.
        """
        import numpy as np

        asked = [point_messages(self._schema, *p, self._shots) for p in passages]
        names, options = self._schema.names, GenerateOptions(max_tokens=self.MAX_TOKENS)
        if self._local is not None:
            done = self._local.chat(asked, options, [point_grammar(names, len(p.texts)) for p in passages])
        else:
            done = self._chatter.chat(asked, options)
        out = []
        for passage, generation in zip(passages, done, strict=True):
            text = generation.text
            if self._local is not None and not generation.stopped:
                text = close_answer(text)
            found = parse_point(self._schema, len(passage.texts), text)
            confidence = np.zeros((len(passage.texts), len(names)), dtype=np.float32)
            for name, rows in (found or {}).items():
                confidence[rows, names.index(name)] = _sure(generation)
            out.append(
                Reading(
                    confidence,
                    generation.prompt_tokens,
                    generation.written,
                    outputs=1,
                    valid=found is not None,
                    cached_tokens=generation.cached_tokens,
                )
            )
        return out


class TextReader:
    """A generator's quotes, one question a field; each carries its answer's confidence.

    The questions of a window follow one another, so that an engine with a prefix cache reads the window once. A quote
    that does not stand in the window is dropped and counted.

    Args:
        chatter: who is asked.
        schema: its fields are what may be asked.
        fields: the names of those that are; None for all.
    """

    MAX_TOKENS = 256

    def __init__(self, chatter: Chatter, schema: Schema, fields: Sequence[str] | None = None) -> None:
        self._chatter, self._schema = chatter, schema
        self._asked = [n for n, name in enumerate(schema.names) if fields is None or name in fields]

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Ask every field of every passage."""
        fields = [self._schema.fields[number] for number in self._asked]
        asked = [question_messages(field, *passage) for passage in passages for field in fields]
        done = iter(self._chatter.chat(asked, GenerateOptions(max_tokens=self.MAX_TOKENS)))
        return [self._reading(passage, [next(done) for _ in self._asked]) for passage in passages]

    def _reading(self, passage: Passage, answers: Sequence[Generation]) -> Reading:
        import numpy as np

        confidence = np.zeros((len(passage.texts), len(self._schema.fields)), dtype=np.float32)
        parts: dict[tuple[int, int], list[tuple[int, int]]] = {}
        valid = ungrounded = 0
        for number, answer in zip(self._asked, answers, strict=True):
            found = ground(passage.texts, parse_quotes(answer.text))
            for row, start, end in found.places:
                confidence[row, number] = _sure(answer)
                parts.setdefault((row, number), []).append((start, end))
            valid += answer.stopped and (answer.text.strip() == NULL or not says_null(answer.text))
            ungrounded += found.ungrounded
        return Reading(
            confidence,
            sum(answer.prompt_tokens for answer in answers),
            sum(answer.written for answer in answers),
            outputs=len(answers),
            valid=valid,
            ungrounded=ungrounded,
            parts=parts,
            cached_tokens=total(answer.cached_tokens for answer in answers),
        )


def _sure(generation: Generation) -> float:
    return UNKNOWN if generation.confidence is None else generation.confidence


def close_answer(text: str) -> str:
    """Return the whole pairs of a point answer that was cut at the token limit, as valid JSON."""
    end = text.rfind("]")
    while end != -1:
        closed = text[: end + 1] + "}"
        try:
            json.loads(closed)
        except ValueError:  # the bracket is inside a field's name
            end = text.rfind("]", 0, end)
        else:
            return closed
    return "{}"
