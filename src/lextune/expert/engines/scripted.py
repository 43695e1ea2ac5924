"""An engine that answers from a function: for tests of everything around a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lextune.core.records import Message
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


class ScriptedChat:
    """Answers conversations with what `script` returns; `seen` are those it was asked (tokens are characters)."""

    def __init__(self, script: Callable[[Sequence[Message]], str], name: str = "scripted") -> None:
        self.name, self._script = name, script
        self.seen: list[tuple[Message, ...]] = []

    def chat(self, conversations: Sequence[Sequence[Message]], options: GenerateOptions) -> list[Generation]:
        """Return the scripted answers."""
        out = []
        for messages in conversations:
            self.seen.append(tuple(messages))
            whole = self._script(messages)
            text, read = whole[: options.max_tokens], sum(len(message.content) for message in messages)
            stopped = len(text) == len(whole)
            out.append(Generation(text=text, ids=tuple(map(ord, text)), prompt_tokens=read, stopped=stopped))
        return out
