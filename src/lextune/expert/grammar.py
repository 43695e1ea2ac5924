"""Grammars: EBNF text that generation must satisfy, and its compiled form for the transformers engine.

OpenVINO GenAI and vLLM take the same EBNF through the same library (xgrammar); a grammar is always written by
lextune, never by a caller.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from lextune.expert.templates import Codec


@functools.lru_cache(maxsize=256)
def point_grammar(fields: tuple[str, ...], sentences: int) -> str:
    """Return EBNF for `{"Field":[1,2],...}` over these fields and sentence numbers 1..`sentences`."""
    names = " | ".join(_literal(json.dumps(name, ensure_ascii=False)) for name in fields)
    numbers = " | ".join(_literal(str(n)) for n in range(1, sentences + 1))
    return "\n".join(
        [
            'root ::= "{}" | "{" pair ("," pair)* "}"',
            'pair ::= name ":[" number ("," number)* "]"',
            f"name ::= {names}",
            f"number ::= {numbers}",
        ]
    )


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class GrammarCompiler:
    """Compiles grammars for one tokenizer and gives logits processors for transformers."""

    def __init__(self, folder: Path, codec: Codec) -> None:
        self._folder, self._codec = folder, codec

    @functools.cached_property
    def _compiler(self) -> Any:
        import xgrammar
        from transformers import AutoConfig, AutoTokenizer

        size = AutoConfig.from_pretrained(self._folder).vocab_size
        tokenizer = AutoTokenizer.from_pretrained(self._folder)
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=size, stop_token_ids=[self._codec.stop_id])
        return xgrammar.GrammarCompiler(info, max_threads=2)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - a compiler lives as long as its engine
    def compiled(self, grammar: str) -> Any:
        """Return the compiled form of an EBNF grammar."""
        return self._compiler.compile_grammar(grammar)

    def processor(self, grammar: str) -> Any:
        """Return a logits processor for one generation under this grammar."""
        return _MaskTokens(self.compiled(grammar))


class _MaskTokens:
    """Masks, at every step of one sequence, the tokens the grammar does not allow next."""

    def __init__(self, compiled: Any) -> None:
        import xgrammar

        self._matcher = xgrammar.GrammarMatcher(compiled)
        self._mask: Any = None
        self._started = False

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import xgrammar

        if self._mask is None:
            self._mask = xgrammar.allocate_token_bitmask(1, scores.shape[-1])
        if self._started and not self._matcher.is_terminated():
            self._matcher.accept_token(int(input_ids[0, -1]))
        self._started = True
        if not self._matcher.is_terminated():
            self._matcher.fill_next_token_bitmask(self._mask)
            xgrammar.apply_token_bitmask_inplace(scores, self._mask.to(scores.device))
        return scores
