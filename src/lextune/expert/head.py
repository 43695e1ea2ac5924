"""The `tag` head: from the backbone's hidden states to one logit per sentence and field.

A sentence is represented by the mean of its tokens' last hidden states beside the state of its last token
(which, in a causal model, has seen the whole sentence); a linear layer gives the logits. The head is stored
as a safetensors file of its own, so that the LoRA folder stays a plain PEFT adapter; the file also says whether the
backbone reads a window causally, as it learnt, or in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lextune.core.errors import ModelError
from lextune.expert.engines.base import TagInput
from lextune.expert.templates import Codec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEAD_FILE = "tag_head.safetensors"
Attention = Literal["causal", "bidirectional"]


def tag_input(codec: Codec, heading: str, texts: Sequence[str]) -> TagInput:
    """Return a window as ids: its heading, then each sentence followed by a line break.

    Args:
        codec: of the base model.
        heading: the title the window stands under, empty where there is none.
        texts: the window's sentences, white space collapsed.
    """
    pieces = codec.encode_many([f"[{heading}]\n" if heading else "\n", *(f"{text}\n" for text in texts)])
    ids = list(pieces[0])
    bounds = []
    for encoded in pieces[1:]:
        bounds.append((len(ids), len(ids) + len(encoded)))
        ids += encoded
    return TagInput(ids=tuple(ids), bounds=tuple(bounds))


def window_mask(real: Any) -> Any:
    """Return the mask [batch, 1, T, T] under which every token sees its whole window.

    Args:
        real: tensor [batch, T], true where there is a token and not padding.
    """
    batch, width = real.shape
    return real.bool()[:, None, None, :].expand(batch, 1, width, width)


class Head:
    """The linear layer, in numpy. weight: [fields, 2 * hidden], bias: [fields].

    `attention` is how the backbone reads the windows whose states it was trained on.
    """

    def __init__(self, weight: NDArray[np.float32], bias: NDArray[np.float32], attention: Attention = "causal") -> None:
        self.weight, self.bias, self.attention = weight, bias, attention

    @property
    def fields(self) -> int:
        """The number of fields it scores."""
        return int(self.bias.shape[0])

    @property
    def both_ways(self) -> bool:
        """Whether a token sees what follows it in its window."""
        return self.attention == "bidirectional"

    def __call__(self, hidden: NDArray[np.float32], bounds: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Return logits [sentences, fields] from hidden states [tokens, hidden]."""
        return self.represent(hidden, bounds) @ self.weight.T + self.bias

    @staticmethod
    def represent(hidden: NDArray[np.float32], bounds: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Return sentence representations [sentences, 2 * hidden]: mean beside last state."""
        import numpy as np

        rows = [np.concatenate([hidden[a:b].mean(axis=0), hidden[b - 1]]) for a, b in bounds]
        return np.stack(rows).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the head as safetensors."""
        from safetensors.numpy import save_file

        tensors = {"weight": self.weight, "bias": self.bias}
        save_file(tensors, folder / HEAD_FILE, {"attention": self.attention})

    @classmethod
    def load(cls, folder: Path) -> Head:
        """Read a head.

        Raises:
            ModelError: the folder has none.
        """
        from safetensors import safe_open

        if not (folder / HEAD_FILE).is_file():
            raise ModelError(f"no {HEAD_FILE}: this model cannot tag", where=str(folder), do="train with strategy: tag")
        with safe_open(folder / HEAD_FILE, framework="numpy") as file:
            attention: Any = (file.metadata() or {}).get("attention", "causal")
            return cls(file.get_tensor("weight"), file.get_tensor("bias"), attention)
