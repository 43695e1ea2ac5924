"""An engine that answers from a function: for tests of everything around a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lextune.expert.engines.base import GenerateOptions, Generation, TagInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ScriptedTagger:
    """Gives the logits that `script` returns for each window."""

    name = "scripted"

    def __init__(self, script: Callable[[TagInput], NDArray[np.float32]]) -> None:
        self._script = script

    def tag(self, inputs: Sequence[TagInput]) -> list[NDArray[np.float32]]:
        """Return the scripted logits."""
        return [self._script(item) for item in inputs]


class ScriptedGenerator:
    """Gives the text that `script` returns for each prompt (ids are the text's code points)."""

    name = "scripted"

    def __init__(self, script: Callable[[Sequence[int], str | None], str]) -> None:
        self._script = script

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        options: GenerateOptions,
        grammars: Sequence[str | None] | None = None,
    ) -> list[Generation]:
        """Return the scripted answers."""
        out = []
        for index, prompt in enumerate(prompts):
            text = self._script(prompt, grammars[index] if grammars else None)[: options.max_tokens]
            out.append(Generation(text=text, ids=tuple(map(ord, text)), prompt_tokens=len(prompt), confidence=0.9))
        return out
