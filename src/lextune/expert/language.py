"""A language model asked for likelihoods: of answers after a prompt, and of texts. By transformers, on CPU or GPU.

model = LanguageModel(resolve_base("smollm2-135m"))
model.likelihoods(asked(items, model.codec))
model.losses(["It rained all night."])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lextune.expert.engines.base import LocalChat
from lextune.expert.scoring.general import Asked
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone

BEGIN = ("<s>", "<|begin_of_text|>", "<bos>")  # what some families begin every text with


class LanguageModel:
    """A causal language model with its own head; `tag` models keep the base's.

    Args:
        base: the model's folder.
        dtype: `float32` or `bfloat16`; None takes the latter on a GPU and the former on a CPU, where it is exact.
    """

    def __init__(self, base: Base, dtype: str | None = None) -> None:
        import torch

        self._base, self._device = base, "cuda" if torch.cuda.is_available() else "cpu"
        self.codec = Codec(base.path)
        dtype = dtype or ("bfloat16" if self._device == "cuda" else "float32")
        self._model = load_backbone(base, dtype=dtype).to(self._device).eval()
        self._begin = [self.codec.control[name] for name in BEGIN if name in self.codec.control][:1]

    def chatter(self) -> LocalChat:
        """Return the model as what answers conversations."""
        from lextune.expert.engines.transformers_ import TransformersEngine

        return LocalChat(TransformersEngine(self._base, model=self._model), self.codec)

    def likelihoods(self, items: Sequence[Asked]) -> list[list[float]]:
        """Return, for each answer of each item, the log-probability (nats) of its tokens after the prompt."""
        return [[-self._loss(item.prompt, answer) for answer in item.answers] for item in items]

    def losses(self, texts: Sequence[str]) -> list[tuple[float, int]]:
        """Return, for each text, its negative log-likelihood (nats) and the number of tokens predicted."""
        found = []
        for text in texts:
            ids = self._begin + self.codec.encode_plain(text)
            found.append((self._loss(ids[:1], ids[1:]), len(ids) - 1))
        return found

    def _loss(self, given: Sequence[int], ids: Sequence[int]) -> float:
        """Return the summed cross-entropy of `ids`, which come after `given`."""
        import torch

        row = torch.tensor([[*given, *ids]], device=self._device)
        with torch.inference_mode():
            logits: Any = (
                self._model(input_ids=row, use_cache=False, logits_to_keep=len(ids) + 1).logits[0, :-1].float()
            )
        return float(torch.nn.functional.cross_entropy(logits, row[0, len(given) :], reduction="sum"))
