"""The shape of a base model: what its `config.json` says of sizes, known without a byte of its weights.

A folder's own file is read; the shapes of the bases that the recipes name are in a table here, so that a run can be
planned with no network; of any other hub id the file alone is fetched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.errors import ModelError
from lextune.expert.weights import SMOLLM2, ask_hub


class Shape(NamedTuple):
    """Sizes of a decoder of Llama's kind (Llama, Mistral, Qwen2, SmolLM2)."""

    layers: int
    hidden: int
    inner: int
    """Width inside the feed-forward part."""
    heads: int
    key_heads: int
    head_width: int
    vocabulary: int
    tied: bool = False
    """Whether input and output embeddings are one matrix."""
    biased: bool = False
    """Whether queries, keys and values have biases."""

    @property
    def queries(self) -> int:
        """Width of all queries of a token."""
        return self.heads * self.head_width

    @property
    def keys(self) -> int:
        """Width of all keys of a token."""
        return self.key_heads * self.head_width

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """(in, out) of each matrix of a layer."""
        return {
            "q_proj": (self.hidden, self.queries),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.queries, self.hidden),
            "gate_proj": (self.hidden, self.inner),
            "up_proj": (self.hidden, self.inner),
            "down_proj": (self.inner, self.hidden),
        }

    @property
    def in_layers(self) -> int:
        """Weights in the layers' matrices, which are all that an adapter adapts and 4 bits hold."""
        return self.layers * sum(a * b for a, b in self.linear.values())

    @property
    def embedding(self) -> int:
        """Weights in one embedding matrix."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All weights."""
        biases = self.layers * (self.queries + 2 * self.keys) * self.biased
        norms = (2 * self.layers + 1) * self.hidden
        return self.in_layers + self.embedding * (1 if self.tied else 2) + biases + norms


_FAMILY = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM"}
KNOWN: dict[str, tuple[str, Shape]] = {  # base -> (model type, shape), as its public config.json gives them
    SMOLLM2: ("llama", Shape(30, 576, 1536, 9, 3, 64, 49152, tied=True)),
    "mistralai/Mistral-7B-Instruct-v0.3": ("mistral", Shape(32, 4096, 14336, 32, 8, 128, 32768)),
    "meta-llama/Llama-3.2-1B-Instruct": ("llama", Shape(16, 2048, 8192, 32, 8, 64, 128256, tied=True)),
    "meta-llama/Llama-3.2-3B-Instruct": ("llama", Shape(28, 3072, 8192, 24, 8, 128, 128256, tied=True)),
    "meta-llama/Llama-3.1-8B-Instruct": ("llama", Shape(32, 4096, 14336, 32, 8, 128, 128256)),
    "meta-llama/Llama-3.1-70B-Instruct": ("llama", Shape(80, 8192, 28672, 64, 8, 128, 128256)),
    "meta-llama/Llama-3.3-70B-Instruct": ("llama", Shape(80, 8192, 28672, 64, 8, 128, 128256)),
    "Qwen/Qwen2.5-0.5B-Instruct": ("qwen2", Shape(24, 896, 4864, 14, 2, 64, 151936, tied=True, biased=True)),
    "Qwen/Qwen2.5-1.5B-Instruct": ("qwen2", Shape(28, 1536, 8960, 12, 2, 128, 151936, tied=True, biased=True)),
    "Qwen/Qwen2.5-7B-Instruct": ("qwen2", Shape(28, 3584, 18944, 28, 4, 128, 152064, biased=True)),
    "Qwen/Qwen2.5-32B-Instruct": ("qwen2", Shape(64, 5120, 27648, 40, 8, 128, 152064, biased=True)),
    "Qwen/Qwen2.5-72B-Instruct": ("qwen2", Shape(80, 8192, 29568, 64, 8, 128, 152064, biased=True)),
}


def config_of(base: str) -> dict[str, Any]:
    """Return the `config.json` of a base, or for one of `KNOWN` as much of it as its shape decides.

    Raises:
        ModelError: a folder without one, or not a model's name.
        MachineError: a hub id that is not on this machine, while the hub cannot be reached.
    """
    if base in KNOWN:
        return _as_config(*KNOWN[base])
    file = Path(base) / "config.json" if Path(base).is_dir() else _from_hub(base)
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise ModelError("a model folder without config.json", where=base, do="give a complete model folder") from None


def shape_of(config: dict[str, Any], base: str) -> Shape:
    """Return the shape that a `config.json` describes.

    Raises:
        ModelError: a model of another kind than Llama's; `base` names it in the message.
    """
    if config.get("model_type") not in _FAMILY:
        raise ModelError(
            f"the memory of a model of type {config.get('model_type')!r} cannot be estimated",
            where=base,
            do=f"leave out --gpu, or use a model of type {', '.join(_FAMILY)}",
        )
    heads = config["num_attention_heads"]
    return Shape(
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        inner=config["intermediate_size"],
        heads=heads,
        key_heads=config.get("num_key_value_heads") or heads,
        head_width=config.get("head_dim") or config["hidden_size"] // heads,
        vocabulary=config["vocab_size"],
        tied=config.get("tie_word_embeddings", False),
        biased=config["model_type"] == "qwen2" or config.get("attention_bias", False),
    )


def _as_config(model_type: str, shape: Shape) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "architectures": [_FAMILY[model_type]],
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "head_dim": shape.head_width,
        "vocab_size": shape.vocabulary,
        "tie_word_embeddings": shape.tied,
    }


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download

    return ask_hub(
        lambda: hf_hub_download(name, "config.json"),
        name,
        lacks="the shape of the model is not known here",
        known=f"one of {', '.join(KNOWN)}",
    )
