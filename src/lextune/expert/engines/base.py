"""The two protocols an engine can speak. Asking an engine for what it lacks is the user's mistake (exit 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
    """One generated answer. `confidence` is the geometric mean of its tokens' probabilities, where known."""

    model_config = ConfigDict(frozen=True)
    text: str
    ids: tuple[int, ...]
    prompt_tokens: int
    confidence: float | None = None
    stopped: bool = True


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
