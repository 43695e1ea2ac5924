"""The protocols an engine can speak. Asking an engine for what it lacks is the user's mistake (exit 2).

A `Tagger` and a `Generator` are engines on this machine, which own the tokenizer; a `Chatter` answers conversations,
wherever it runs, and `LocalChat` makes one of a `Generator`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from lextune.core.errors import ContextError
from lextune.core.records import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lextune.expert.templates import Codec


WORTH_SHARING = 64  # tokens of a common beginning that are worth being computed once


def agreement(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two texts have in common at their beginning."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(second)))


class TagInput(BaseModel):
    """One window as token ids; sentence i covers ids[bounds[i][0]:bounds[i][1]]."""

    model_config = ConfigDict(frozen=True)
    ids: tuple[int, ...]
    bounds: tuple[tuple[int, int], ...]


class Generation(BaseModel):
    """One generated answer. `confidence` is the geometric mean of its tokens' probabilities, where known.

    Where the engine keeps the tokens' ids to itself `ids` is empty, and `generated_tokens` says how many there were.
    `cached_tokens` of the prompt's were in the engine's cache; None where it does not tell.
    """

    model_config = ConfigDict(frozen=True)
    text: str
    ids: tuple[int, ...]
    prompt_tokens: int
    confidence: float | None = None
    stopped: bool = True
    generated_tokens: int | None = None
    cached_tokens: int | None = None

    @property
    def written(self) -> int:
        """How many tokens were generated."""
        return len(self.ids) if self.generated_tokens is None else self.generated_tokens


class GenerateOptions(BaseModel):
    """How to generate: greedy where temperature is 0."""

    model_config = ConfigDict(frozen=True)
    max_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0


@runtime_checkable
class Tagger(Protocol):
    """Reads windows and gives one logit per sentence and field."""

    name: str

    def tag(self, inputs: Sequence[TagInput]) -> list[NDArray[np.float32]]:
        """Return, for each window, logits of shape [sentences, fields]."""
        ...


@runtime_checkable
class Generator(Protocol):
    """Continues prompts of token ids."""

    name: str

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        options: GenerateOptions,
        grammars: Sequence[str | None] | None = None,
    ) -> list[Generation]:
        """Return one generation a prompt; `grammars[i]` (EBNF) constrains generation i."""
        ...


@runtime_checkable
class Chatter(Protocol):
    """Answers conversations. `name` tells it from all whose answers differ: what is kept of them is found by it.

    One that may be asked from several threads at once says from how many by an attribute `concurrency`.
    """

    name: str

    def chat(self, conversations: Sequence[Sequence[Message]], options: GenerateOptions) -> list[Generation]:
        """Return one answer a conversation.

        Raises:
            ContextError: a conversation is longer than what the model reads.
        """
        ...


class LocalChat:
    """A `Generator` as a `Chatter`: it renders conversations by the base model's own template.

    Args:
        generator: the engine.
        codec: of the model that it runs.
        name: as of any `Chatter`; the engine's, where it is empty.
    """

    def __init__(self, generator: Generator, codec: Codec, name: str = "") -> None:
        self.name = name or generator.name
        self._generator, self._codec = generator, codec

    def chat(
        self,
        conversations: Sequence[Sequence[Message]],
        options: GenerateOptions,
        grammars: Sequence[str | None] | None = None,
    ) -> list[Generation]:
        """Return one answer a conversation; it ends at the latest where the model's context does.

        Args:
            conversations: what was said.
            options: of all of them.
            grammars: as of `Generator.generate`.

        Raises:
            ContextError: a conversation alone fills the model's context.
        """
        prompts = [self._codec.prompt(messages) for messages in conversations]
        limits = [self._limit(len(prompt), options.max_tokens) for prompt in prompts]
        found: dict[int, Generation] = {}
        for limit in sorted(set(limits), reverse=True):  # nearly always one
            places = [place for place, own in enumerate(limits) if own == limit]
            done = self._generator.generate(
                [prompts[place] for place in places],
                options.model_copy(update={"max_tokens": limit}),
                [grammars[place] for place in places] if grammars else None,
            )
            found |= zip(places, done, strict=True)
        return [found[place] for place in range(len(prompts))]

    def _limit(self, length: int, wanted: int) -> int:
        """Return how many tokens may follow a prompt."""
        context = self._codec.context
        if context is None:
            return wanted
        if length >= context:
            raise ContextError(
                f"the prompt has {length} tokens, and the model reads {context} with its answer",
                do="shorten it, or leave out earlier turns",
            )
        return min(wanted, context - length)
