"""The reference engine: transformers on CPU or GPU, adapter applied by PEFT, grammar by xgrammar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lextune.core.errors import ModelError
from lextune.expert.engines.base import WORTH_SHARING, GenerateOptions, Generation, TagInput, agreement
from lextune.expert.grammar import GrammarCompiler
from lextune.expert.head import HEAD_FILE, Head, window_mask
from lextune.expert.merging import folded
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone, load_trained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TransformersEngine:
    """Tags and generates with a base model, or a base model under an adapter.

    Args:
        base: the base model (or a merged one).
        adapter: what was trained, a PEFT folder or a whole model, with `lextune.json`; checked against the base.
        dtype: `float32` or `bfloat16`.
        batch: windows or prompts in one forward pass.
        model: the model itself where it is loaded already; then `adapter` and `dtype` are not read.

    Raises:
        ModelError: the adapter belongs to another base.
    """

    name = "transformers"

    def __init__(
        self,
        base: Base,
        *,
        adapter: Path | None = None,
        dtype: str = "bfloat16",
        batch: int = 8,
        model: Any = None,
    ) -> None:
        import torch

        self._codec = Codec(base.path)
        self._batch = batch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        if model is None:
            model = load_trained(base, adapter, dtype=dtype) if adapter else load_backbone(base, dtype=dtype)
        self._model = model.to(self._device).eval()
        self._grammars = GrammarCompiler(base.path, self._codec)
        folder = adapter or base.path
        self.head = Head.load(folder) if (folder / HEAD_FILE).is_file() else None

    def merge_adapter(self) -> None:
        """Fold the adapter into the weights, in this engine's precision; the answers should not change."""
        self._model = folded(self._model)

    def stored_as(self, other: TransformersEngine) -> bool:
        """Say whether `other` holds exactly these weights, rounded to bf16."""
        import torch

        theirs = other._model.state_dict()
        return all(
            torch.equal(value.to(torch.bfloat16).float(), theirs[name].float())
            for name, value in self._model.state_dict().items()
        )

    def top_two_gap(self, ids: Sequence[int]) -> float:
        """Return the difference in nats between the two most probable tokens after `ids`."""
        import torch

        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([list(ids)], device=self._device)).logits[0, -1].float()
        best = torch.topk(torch.log_softmax(logits, -1), 2).values
        return float(best[0] - best[1])

    def _backbone(self) -> Any:
        model = self._model.get_base_model() if hasattr(self._model, "peft_config") else self._model
        return model.model

    def hidden(self, inputs: Sequence[TagInput]) -> list[NDArray[np.float32]]:
        """Return last hidden states [tokens, hidden] of each window."""
        import torch

        out: list[NDArray[np.float32]] = []
        for start in range(0, len(inputs), self._batch):
            chunk = inputs[start : start + self._batch]
            ids = _right_pad([i.ids for i in chunk], self._codec.pad_id).to(self._device)
            both_ways = self.head is not None and self.head.both_ways
            mask = window_mask(ids != self._codec.pad_id) if both_ways else None
            with torch.inference_mode():
                read = self._backbone()(input_ids=ids, attention_mask=mask, use_cache=False)
                states = read.last_hidden_state.float().cpu().numpy()
            out += [states[row, : len(item.ids)] for row, item in enumerate(chunk)]
        return out

    def tag(self, inputs: Sequence[TagInput]) -> list[NDArray[np.float32]]:
        """Return logits [sentences, fields] of each window.

        Raises:
            ModelError: there is no head.
        """
        if self.head is None:
            raise ModelError(f"no {HEAD_FILE}: this model cannot tag", do="train with strategy: tag")
        head = self.head
        return [head(states, item.bounds) for states, item in zip(self.hidden(inputs), inputs, strict=True)]

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        options: GenerateOptions,
        grammars: Sequence[str | None] | None = None,
    ) -> list[Generation]:
        """Continue each prompt; a grammar masks every token that would leave it.

        What a prompt begins with like the one before it is read once for both.
        """
        from transformers import DynamicCache

        out: list[Generation] = []
        cache, before = None, list[int]()
        for number, prompt in enumerate(prompts):
            shared = min(agreement(before, prompt), len(prompt) - 1)  # the last token is read for what comes after it
            if cache is None or shared < WORTH_SHARING:
                # without the model's config a cache keeps all that it has seen, and can be cropped
                shared, cache = 0, DynamicCache()
            cache.crop(shared)
            done = self._one(prompt, options, grammars[number] if grammars else None, cache)
            out.append(done.model_copy(update={"cached_tokens": shared}))
            before = list(prompt)
        return out

    def _one(self, prompt: Sequence[int], options: GenerateOptions, grammar: str | None, cache: Any) -> Generation:
        import torch
        from transformers import LogitsProcessorList

        processors = LogitsProcessorList([self._grammars.processor(grammar)] if grammar else [])
        sampling: dict[str, Any] = {"do_sample": False}
        if options.temperature > 0:
            torch.manual_seed(options.seed)
            sampling = {"do_sample": True, "temperature": options.temperature}
        ids = torch.tensor([list(prompt)], device=self._device)
        with torch.inference_mode():
            done = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                past_key_values=cache,
                max_new_tokens=options.max_tokens,
                eos_token_id=self._codec.stop_id,
                pad_token_id=self._codec.pad_id,
                logits_processor=processors,
                return_dict_in_generate=True,
                output_scores=True,
                **sampling,
            )
        new = done.sequences[0, ids.shape[1] :].tolist()
        chosen = [torch.log_softmax(s[0].float(), -1)[t].item() for s, t in zip(done.scores, new, strict=False)]
        stopped = bool(new) and new[-1] == self._codec.stop_id
        kept = new[:-1] if stopped else new
        confidence = float(torch.tensor(chosen).mean().exp()) if chosen else None
        return Generation(
            text=self._codec.decode(kept),
            ids=tuple(kept),
            prompt_tokens=len(prompt),
            confidence=confidence,
            stopped=stopped,
        )


def _right_pad(rows: Sequence[Sequence[int]], pad: int) -> Any:
    """Pad on the right: what follows a token cannot change its state, under causal attention or `window_mask`."""
    import torch

    width = max(len(r) for r in rows)
    return torch.tensor([list(r) + [pad] * (width - len(r)) for r in rows])
