"""Readers: how each strategy turns windows into confidences [sentences, fields]. All else is shared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lextune.expert.engines.base import GenerateOptions, Generator, Tagger
from lextune.expert.grammar import point_grammar
from lextune.expert.head import tag_input
from lextune.expert.linear import LinearTagger
from lextune.expert.point import parse_point, point_messages
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowExample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNKNOWN = 0.5  # the confidence of a pointer from an engine that gives no probabilities


class Passage(NamedTuple):
    """What a reader sees of one window: its heading and its sentences, white space collapsed."""

    heading: str
    texts: Sequence[str]


class Reading(NamedTuple):
    """What a reader says of one window: confidences [sentences, fields], and what it took.

    `valid` is None for a strategy that generates nothing.
    """

    confidence: NDArray[np.float32]
    prompt_tokens: int = 0
    generated_tokens: int = 0
    valid: bool | None = None


class WindowReader(Protocol):
    """Reads windows, each once."""

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Return one reading a passage."""
        ...


class TagReader:
    """A tagger's logits, calibrated."""

    def __init__(self, codec: Codec, tagger: Tagger, thresholds: Thresholds) -> None:
        self._codec, self._tagger, self._thresholds = codec, tagger, thresholds

    def logits(self, passages: Sequence[Passage]) -> list[NDArray[np.float32]]:
        """Return raw logits, for calibration."""
        return self._tagger.tag([tag_input(self._codec, p.heading, p.texts) for p in passages])

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Tag every passage."""
        inputs = [tag_input(self._codec, p.heading, p.texts) for p in passages]
        return [
            Reading(self._thresholds.confidence(logits), prompt_tokens=len(item.ids))
            for logits, item in zip(self._tagger.tag(inputs), inputs, strict=True)
        ]


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
        codec: of the base model.
        generator: the engine.
        schema: its fields are what may be named.
        shots: worked examples put before the question.
        constrained: False leaves the output free, to measure how often it is valid by itself.
    """

    MAX_TOKENS = 64

    def __init__(
        self,
        codec: Codec,
        generator: Generator,
        schema: Schema,
        *,
        shots: Sequence[WindowExample] = (),
        constrained: bool = True,
    ) -> None:
        self._codec, self._generator, self._schema = codec, generator, schema
        self._shots, self._constrained = shots, constrained

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Ask every passage's question once.

        An answer that was cut at the token limit keeps its whole pairs; an invalid one points nowhere and is
        counted as invalid.
        """
        import numpy as np

        prompts = [self._codec.prompt(point_messages(self._schema, *p, self._shots)) for p in passages]
        names = self._schema.names
        grammars = [point_grammar(names, len(p.texts)) for p in passages] if self._constrained else None
        done = self._generator.generate(prompts, GenerateOptions(max_tokens=self.MAX_TOKENS), grammars)
        out = []
        for passage, generation in zip(passages, done, strict=True):
            text = generation.text
            if self._constrained and not generation.stopped:
                text = close_answer(text)
            found = parse_point(self._schema, len(passage.texts), text)
            confidence = np.zeros((len(passage.texts), len(names)), dtype=np.float32)
            sure = UNKNOWN if generation.confidence is None else generation.confidence
            for name, rows in (found or {}).items():
                confidence[rows, names.index(name)] = sure
            out.append(Reading(confidence, generation.prompt_tokens, len(generation.ids), found is not None))
        return out


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
