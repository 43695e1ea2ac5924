"""The model that is trained: base and adapter, computed in as few steps as exact arithmetic allows.

The folders that are written are PEFT's own. Only while training, `fuse` replaces how PEFT computes a plain LoRA
layer: one autograd function, which keeps the layer's input and nothing else, and stays in the base's precision.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

from lextune.core.errors import MachineError, ModelError
from lextune.expert.released import find_adapter
from lextune.expert.weights import ADAPTER_CONFIG, Base, check_binding, load_backbone
from lextune.train.kernels import LoraLinear, use_segments
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.team import sharding

TORCH_DTYPES = {"bf16": "bfloat16", "fp32": "float32"}


def build_model(base: Base, config: TrainConfig) -> Any:
    """Return the causal language model that `config` trains, under a PEFT adapter unless all of it is trained.

    Raises:
        ModelError: `init_adapter` was trained on another base, or has other settings.
        MachineError: 4 bits are asked for and bitsandbytes is not installed.
    """
    if config.method == "qlora":
        model = load_in_4_bits(base)
    else:
        # what is trained keeps fp32 weights: small updates are lost in bf16
        model = load_backbone(base, dtype="float32" if config.method == "full" else TORCH_DTYPES[config.precision])
    if config.packing:
        use_segments(model)
    whole = config.method == "full"
    if not whole:
        model = _continue(model, base, config) if config.init_adapter else add_lora(model, config.lora)
    # where fp32 weights meet bf16 states, autocast decides; fused layers are in the base's precision throughout
    model.lextune_autocast = config.precision == "bf16" and (whole or not fuse(model))
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def add_lora(model: Any, settings: LoraSettings) -> Any:
    """Wrap a causal language model in LoRA; the adapter's weights stay in fp32 whatever the base is in.

    Raises:
        ModelError: no layer has a name that `target` asks for, or one of them is the embedding as well.
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.target if isinstance(settings.target, str) else list(settings.target),
        use_rslora=settings.rslora,
        use_dora=settings.dora,
        task_type="CAUSAL_LM",
    )
    embedding = model.get_input_embeddings().weight
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Model has `tie_word_embeddings=True`")  # refused below
            adapted = get_peft_model(model, config)
    except ValueError as error:
        names = sorted({n.rsplit(".", 1)[-1] for n, m in model.named_modules() if type(m).__name__ == "Linear"})
        raise ModelError(
            f"no layer to adapt is called {settings.target!r} ({str(error)[:60]})",
            where="train.lora.target",
            do=f"use all-linear, or some of {', '.join(names)}",
        ) from None
    if any(isinstance(m, LoraLayer) and m.get_base_layer().weight is embedding for m in adapted.modules()):
        raise ModelError(
            "the output layer of this base is its embedding: an adapter merged into one would change the other",
            where="train.lora.target",
            do="leave lm_head out",
        )
    return adapted


def _continue(model: Any, base: Base, config: TrainConfig) -> Any:
    """Return the model under the adapter of `init_adapter`, to be trained further, with the dropout of `config`."""
    from peft import LoraConfig, PeftModel

    folder = find_adapter(str(config.init_adapter))
    check_binding(folder, base)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(
            "all weights were trained there: this is a model, and no adapter",
            where=f"train.init_adapter: {folder}",
            do="give it as the base",
        )
    found, asked = LoraConfig.from_pretrained(folder), config.lora
    found.lora_dropout, found.inference_mode = asked.dropout, False
    differs = [
        f"{name} {had} (asked for: {wanted})"
        for name, had, wanted in (
            ("rank", found.r, asked.r),
            ("alpha", found.lora_alpha, asked.alpha),
            ("rslora", found.use_rslora, asked.rslora),
            ("dora", found.use_dora, asked.dora),
            ("layers", _layers(found.target_modules), _layers(asked.target)),
        )
        if had != wanted and wanted != "all-linear"
    ]
    if differs:
        raise ModelError(
            f"the adapter to go on from has {', '.join(differs)}",
            where=f"train.init_adapter: {folder}",
            do="give train.lora the adapter's own settings",
        )
    return PeftModel.from_pretrained(model, folder, is_trainable=True, config=found)


def _layers(target: Any) -> str:
    return target if isinstance(target, str) else " ".join(sorted({name.rpartition(".")[2] for name in target}))


def load_in_4_bits(base: Base) -> Any:
    """Load a base with its layers' matrices in nf4 (QLoRA, Dettmers et al. 2023) and the rest in bf16.

    PEFT's own preparation would make that rest fp32, embeddings and head with it (3.9 GiB more for Llama-3-70B), and
    with them every state between layers. RMSNorm computes in fp32 of itself, and so does the loss.

    Raises:
        MachineError: bitsandbytes is not installed.
    """
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise MachineError(
            "bitsandbytes is not installed: the base cannot be read in 4 bits",
            where="train.method: qlora",
            do="pip install 'lextune[gpu]'",
        ) from None
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    quantised = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16,  # so that FSDP2 can divide it as it does the rest
    )
    # what is divided goes to its GPU layer by layer; else all of it goes there at once
    place = {"": "cpu"} if sharding() == "fsdp" else None
    model = AutoModelForCausalLM.from_pretrained(
        base.path,
        quantization_config=quantised,
        device_map=place,
        dtype=torch.bfloat16,
        trust_remote_code=False,
        use_safetensors=True,
    )
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # else an evaluation on a CPU packs the weights anew, and what is packed passes no gradient on
            module.support_avx512bf16_for_cpu = False
    return model


def fuse(model: Any) -> bool:
    """Let plain LoRA layers compute by one function each; return whether all of the adapter's layers do.

    A layer with dropout, DoRA or a quantised base weight keeps PEFT's own way.
    """
    from peft.tuners.lora import LoraLayer
    from peft.tuners.lora.layer import Linear
    from torch import nn

    layers = [m for m in model.modules() if isinstance(m, LoraLayer)]
    for layer in layers:
        name = layer.active_adapters[0]
        plain = type(layer) is Linear and type(layer.get_base_layer()) is nn.Linear
        if plain and not layer.lora_variant and isinstance(layer.lora_dropout[name], nn.Identity):
            layer.forward = partial(_fused, layer, name)
    return all(isinstance(layer.forward, partial) for layer in layers)


def _fused(layer: Any, name: str, x: Any, *_: Any, **__: Any) -> Any:
    base = layer.get_base_layer()
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    out = LoraLinear.apply(x.reshape(-1, x.shape[-1]), base.weight, base.bias, a, b, layer.scaling[name])
    return out.view(*x.shape[:-1], -1)


def noisy_embeddings(model: Any, input_ids: Any, lengths: Any, size: float) -> Any:
    """Return embeddings [batch, T, width] with NEFTune's noise: uniform in +-size / sqrt(length * width)."""
    import torch

    embeddings = model.get_input_embeddings()(input_ids)
    if not size:
        return embeddings
    reach = size / (lengths * embeddings.shape[-1]).float().sqrt().unsqueeze(-1)
    return embeddings + (torch.rand_like(embeddings, dtype=torch.float32) * 2 - 1).mul_(reach).to(embeddings.dtype)
