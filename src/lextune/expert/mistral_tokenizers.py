"""Mistral's own tokenizer files, read without Mistral's library and written as `tokenizer.json`.

Mistral publishes a tokenizer as a SentencePiece file (`tokenizer.model`, `tokenizer.model.v3`) or as `tekken.json`.
A model folder may carry nothing else; `write_tokenizer` puts the `tokenizer.json` beside it that everything here
reads. It gives the ids that Mistral's library gives, and its control tokens say which version it is.

A merge in SentencePiece and Tekken has the rank of the token that it makes; in `tokenizer.json` each pair has a
rank of its own. So every pair of tokens that makes a token is listed, in the order of the tokens made.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.artifacts import write_atomic
from lextune.core.errors import ModelError

SPACE = "\u2581"  # how SentencePiece writes a space
NORMAL, CONTROL, BYTE = 1, 3, 6  # SentencePiece's types of pieces that matter here
BPE = 2  # SentencePiece's number for that algorithm
SENTENCEPIECE = re.compile(r"tokenizer\.model(\.v\d+(m\d+)?)?")
TEKKEN_TOKENS = [  # those of a tekken.json that lists none
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    "[SUFFIX]",
]
TEKKEN_V7 = ["[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"]
TEKKEN_VERSIONS = ("v3", "v7", "v11", "v13")


class Vocabulary(NamedTuple):
    """A tokenizer's parts: ids of all tokens, pairs to merge in order, control tokens."""

    ids: dict[str, int]
    merges: list[tuple[str, str]]
    control: list[str]


def native_file(folder: Path) -> Path | None:
    """Return the tokenizer file of Mistral's own that a model folder carries, the newest; None without one."""
    tekken = folder / "tekken.json"
    if tekken.is_file():
        return tekken
    found = [p for p in folder.glob("tokenizer.model*") if SENTENCEPIECE.fullmatch(p.name)]
    return max(found, key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)], default=None)


def write_tokenizer(folder: Path) -> Path:
    """Write `tokenizer.json` and `tokenizer_config.json` into a folder that has a Mistral file; return the first.

    Raises:
        ModelError: the folder has no such file, or it is damaged or of a version not known here.
        MachineError: the folder cannot be written.
    """
    source = native_file(folder)
    if source is None:
        raise ModelError(
            "a model folder without a tokenizer",
            where=folder.name,
            do="give one with tokenizer.json, tekken.json or tokenizer.model",
        )
    data = tekken_json(source) if source.suffix == ".json" else sentencepiece_json(source)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
    }
    if not (folder / "tokenizer_config.json").exists():
        write_atomic(folder / "tokenizer_config.json", json.dumps(settings, indent=1))
    write_atomic(folder / "tokenizer.json", json.dumps(data, ensure_ascii=False))
    return folder / "tokenizer.json"


def sentencepiece_json(path: Path) -> dict[str, Any]:
    """Return the content of a `tokenizer.json` for a SentencePiece file.

    Raises:
        ModelError: the file is damaged, or not a byte-fallback BPE model as Mistral's are.
    """
    try:
        vocabulary = _sentencepiece(path.read_bytes())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise _damaged(path, error) from None
    words = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    decoders = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    return _tokenizer_json(
        vocabulary,
        normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, words]},
        pre_tokenizer=None,
        decoder={"type": "Sequence", "decoders": decoders},
        model={"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "ignore_merges": False},
    )


def _sentencepiece(raw: bytes) -> Vocabulary:
    """Read a SentencePiece model, which is a protocol buffer (sentencepiece_model.proto): pieces and settings."""
    pieces: list[tuple[str, float, int]] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for number, value in _fields(raw):
        if number == 1:
            piece = dict(_fields(value))
            pieces.append((piece[1].decode("utf-8"), piece.get(2, 0.0), piece.get(3, NORMAL)))
        elif number == 2:
            trainer = dict(_fields(value))
        elif number == 3:
            normalizer = dict(_fields(value))
    if not pieces or trainer.get(3) != BPE or not trainer.get(35):
        raise ValueError("not a byte-fallback BPE model")
    if normalizer.get(2) or normalizer.get(4, 1) or not normalizer.get(3, 1):
        raise ValueError("a model that changes text")
    ids = {text: i for i, (text, _, _) in enumerate(pieces)}
    ranks = {text: -score for text, score, kind in pieces if kind == NORMAL}
    control = [text for text, _, kind in pieces if kind == CONTROL]
    return _whole(Vocabulary(ids, list(_merges(ranks)), ["<unk>", *control]))


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of a protocol buffer's fields: int, float or bytes."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(raw, at)
            yield key >> 3, value
        elif kind == 2:
            size, at = _varint(raw, at)
            if at + size > len(raw):
                raise ValueError("cut off")
            yield key >> 3, raw[at : at + size]
            at += size
        elif kind in (1, 5):
            form, size = ("<d", 8) if kind == 1 else ("<f", 4)
            yield key >> 3, struct.unpack_from(form, raw, at)[0]
            at += size
        else:
            raise ValueError("not a protocol buffer")


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("not a protocol buffer")


def tekken_json(path: Path) -> dict[str, Any]:
    """Return the content of a `tokenizer.json` for a `tekken.json`.

    Raises:
        ModelError: the file is damaged, or of a version not known here.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        config, version = raw["config"], raw["config"]["version"]
        if version in TEKKEN_VERSIONS:
            vocabulary, pattern = _tekken(raw), str(config["pattern"])
    except (OSError, ValueError, LookupError, TypeError) as error:  # bad base64 is a ValueError
        raise _damaged(path, error) from None
    if version not in TEKKEN_VERSIONS:
        raise ModelError(
            f"a Tekken tokenizer of version {version!r}",
            where=str(path),
            do=f"use a model whose tokenizer is of version {', '.join(TEKKEN_VERSIONS)}",
        )
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return _tokenizer_json(
        vocabulary,
        normalizer=None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split, to_bytes]},
        decoder=to_bytes,
        model={"unk_token": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True},
    )


def _tekken(raw: Mapping[str, Any]) -> Vocabulary:
    """Read a Tekken file: control tokens have the first ids, then tokens of bytes by rank, as many as it says."""
    config = raw["config"]
    reserved = int(config["default_num_special_tokens"])
    listed = raw.get("special_tokens")
    names = [*TEKKEN_TOKENS, *TEKKEN_V7] if listed is None else [entry["token_str"] for entry in listed]
    unused = TEKKEN_V7 if config["version"] == "v3" else ()  # listed, and never shown to a model of v3
    control = [f"<SPECIAL_{i}>" if name in unused else name for i, name in enumerate(names)]
    control += [f"<SPECIAL_{i}>" for i in range(len(names), reserved)]
    letters = _byte_letters()
    kept = raw["vocab"][: int(config["default_vocab_size"]) - reserved]
    tokens = ["".join(letters[b] for b in base64.b64decode(entry["token_bytes"])) for entry in kept]
    ranks = {token: float(rank) for rank, token in enumerate(tokens)}
    ids = {token: i for i, token in enumerate([*control, *tokens])}
    if len(control) != reserved or len(ids) != reserved + len(tokens):
        raise ValueError("tokens that occur twice")
    return _whole(Vocabulary(ids, list(_merges(ranks)), control))


def _whole(vocabulary: Vocabulary) -> Vocabulary:
    missing = {"<unk>", "<s>", "</s>"} - set(vocabulary.ids)
    if missing:
        raise ValueError(f"no {min(missing)}")
    return vocabulary


def _byte_letters() -> list[str]:
    """Return the letter that stands for each byte in `tokenizer.json`: itself where it prints, else one over 255."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (chr(n) for n in range(0x100, 0x200))
    return [chr(byte) if byte in prints else next(others) for byte in range(0x100)]


def _merges(ranks: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield every pair of tokens that makes a token, by the rank of the token made, then of the pair's."""
    for token in sorted((t for t in ranks if len(t) > 1), key=ranks.__getitem__):
        cuts = [(token[:i], token[i:]) for i in range(1, len(token))]
        pairs = [(left, right) for left, right in cuts if left in ranks and right in ranks]
        yield from sorted(pairs, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))


def _tokenizer_json(vocabulary: Vocabulary, *, model: dict[str, Any], **parts: Any) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    begin = {"id": "<s>", "ids": [vocabulary.ids["<s>"]], "tokens": ["<s>"]}
    start, first, second = ({"SpecialToken": {"id": "<s>", "type_id": 0}}, *_sequences())
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocabulary.ids[t], "content": t, **flags} for t in vocabulary.control],
        **parts,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [start, first],
            "pair": [start, first, second],
            "special_tokens": {"<s>": begin},
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "vocab": vocabulary.ids,
            "merges": [list(pair) for pair in vocabulary.merges],
            **model,
        },
    }


def _sequences() -> tuple[dict[str, Any], dict[str, Any]]:
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for name, kind in (("A", 0), ("B", 1)))
    return first, second


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"not a tokenizer of Mistral's ({type(error).__name__}: {error})",
        where=str(path),
        do="download the file again, or give the folder a tokenizer.json",
    )
