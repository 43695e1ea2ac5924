"""A model folder's template, and tokenisation that content cannot escape from.

Plain pieces of a prompt go through a tokenizer whose added tokens have been taken out, so that `<|im_end|>` or
`[/INST]` inside a contract can never become a control id. How each family writes a conversation is in
`lextune.expert.rendering`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.errors import ModelError
from lextune.core.records import Message
from lextune.expert.rendering import SMOLLM_SYSTEM, TEMPLATES, ChatTemplate, Piece
from lextune.text.reading.base import well_formed

__all__ = ["SMOLLM_SYSTEM", "TEMPLATES", "ChatTemplate", "Codec", "Piece", "Token", "template_for"]
MISTRAL = ("mistral", "mixtral")  # model types that Mistral's first tokenizer, which marks no turns, is known by


class Token(NamedTuple):
    """One token of a rendered prompt. A character of several tokens is the text of the last of them."""

    id: int
    text: str
    control: bool


def template_for(base: Path) -> ChatTemplate:
    """Return the template of a model folder, by its architecture and control tokens.

    Raises:
        ModelError: no template written here fits.
    """
    raw = _tokenizer(base)
    model_type = str(_config(base).get("model_type"))
    name = _family({entry["content"] for entry in raw.get("added_tokens", [])}, model_type, raw)
    if name is None:
        raise ModelError(
            "no chat template is known for this model",
            where=base.name,
            do=f"use a model of these families: {', '.join(TEMPLATES)}",
        )
    return TEMPLATES[name]


def _family(added: set[str], model_type: str, raw: dict[str, Any]) -> str | None:
    if {"<|im_start|>", "<|im_end|>"} <= added:
        return _chatml_family(added, model_type)
    if "<|start_header_id|>" in added:
        return "llama3.1" if "<|eom_id|>" in added else "llama3"
    if {"[INST]", "[/INST]"} <= added:
        if "[SYSTEM_PROMPT]" in added:
            return "mistral-v7"
        return "mistral-v3" if raw.get("model", {}).get("byte_fallback") else "mistral-tekken"
    return "mistral-v1" if model_type in MISTRAL and {"<s>", "</s>"} <= added else None


def _chatml_family(added: set[str], model_type: str) -> str:
    if model_type == "llama":
        return "smollm"
    if not model_type.startswith("qwen"):
        return "chatml"
    if "<think>" in added:
        return "qwen3"
    return "qwen2.5" if "<tool_call>" in added else "qwen2"


def _tokenizer(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))


def _config(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))


class Codec:
    """Token ids for one base model and its template: plain text in, ids out, and back.

    Attributes:
        stop_id: the id that ends an answer. pad_id: an id that differs from it.
        context: tokens that the model reads and writes at most, None where its config does not say.
    """

    def __init__(self, folder: Path, template: ChatTemplate | None = None) -> None:
        from tokenizers import Tokenizer

        self.template = template or template_for(folder)
        raw = _tokenizer(folder)
        self.control: dict[str, int] = {entry["content"]: entry["id"] for entry in raw.get("added_tokens", [])}
        self._ids = frozenset(self.control.values())
        self._whole = Tokenizer.from_str(json.dumps(raw))
        self._plain = Tokenizer.from_str(json.dumps(_without_control(raw)))
        self._plain.no_truncation()
        self._plain.no_padding()
        self.stop_id = self.control_id(self.template.stop)
        self.pad_id = self._pick_pad()
        self.context: int | None = _config(folder).get("max_position_embeddings")

    def _pick_pad(self) -> int:
        for name in ("<|endoftext|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<unk>"):
            if name in self.control and self.control[name] != self.stop_id:
                return self.control[name]
        return next(i for i in sorted(self._ids) if i != self.stop_id)

    def control_id(self, token: str) -> int:
        """Return the id of a control token.

        Raises:
            ModelError: the tokenizer has none by that name.
        """
        if token not in self.control:
            raise ModelError(
                f"the tokenizer has no {token}",
                where=self.template.name,
                do="use the template of this model's family",
            )
        return self.control[token]

    def encode_plain(self, text: str) -> list[int]:
        """Return the ids of ordinary text; no control id is ever among them."""
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of many texts at once (uses all cores); a lone surrogate is read as U+FFFD."""
        texts = [well_formed(text) for text in texts]
        encoded = self._plain.encode_batch_fast(texts, add_special_tokens=False)
        return [e.ids if self._ids.isdisjoint(e.ids) else self._spelled(t) for e, t in zip(encoded, texts, strict=True)]

    def _spelled(self, text: str) -> list[int]:
        """Encode character by character: the way out for a vocabulary that merges into a control token."""
        ids: list[int] = []
        for character in text:
            ids += [i for i in self._plain.encode(character, add_special_tokens=False).ids if i not in self._ids]
        return ids

    def encode(self, pieces: Iterable[Piece]) -> list[int]:
        """Return the ids of a rendered prompt."""
        pieces = list(pieces)
        plain = iter(self.encode_many([piece.text for piece in pieces if not piece.control]))
        ids: list[int] = []
        for piece in pieces:
            ids += [self.control_id(piece.text)] if piece.control else next(plain)
        return ids

    def tokens(self, pieces: Iterable[Piece]) -> list[Token]:
        """Return what `encode` gives with the text of each token; the texts together are the pieces' text."""
        out: list[Token] = []
        for piece in pieces:
            if piece.control:
                out.append(Token(self.control_id(piece.text), piece.text, True))
                continue
            text = well_formed(piece.text)
            places = self._places(text)
            starts = [*(start for _, start in places[1:]), len(text)]
            out += [Token(i, text[a:b], False) for (i, a), b in zip(places, starts, strict=False)]
        return out

    def _places(self, text: str) -> list[tuple[int, int]]:
        """Return (id, where it starts in the text); the first starts at 0, so that no text is left out."""
        encoded = self._plain.encode(text, add_special_tokens=False)
        places = [(i, span[0]) for i, span in zip(encoded.ids, encoded.offsets, strict=True)]
        if not self._ids.isdisjoint(encoded.ids):
            places = [(i, at) for at, character in enumerate(text) for i in self._spelled(character)]
        return [(places[0][0], 0), *places[1:]] if places else []

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids of messages with the answer to come next."""
        return self.encode(self.template.pieces(messages, answer_next=True))

    def answer(self, text: str) -> list[int]:
        """Return the ids of an answer, which a model learns after a prompt's: its text and the stop token."""
        return self.encode(self.template.answer(text))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, control tokens left out."""
        text = self._whole.decode([i for i in ids if i not in self._ids], skip_special_tokens=False)
        return str(text)


def _without_control(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a tokenizer that knows no control tokens and adds none.

    A `Metaspace` step that begins a text with a space leaves it out where one is there already; SentencePiece,
    which it stands for, never does. So it is replaced by SentencePiece's rule.
    """
    plain = {**raw, "added_tokens": [], "post_processor": None}
    step = raw.get("pre_tokenizer") or {}
    if step.get("type") == "Metaspace" and raw.get("normalizer") is None and step.get("split") is False:
        space = step["replacement"]
        steps: list[dict[str, Any]] = [{"type": "Replace", "pattern": {"String": " "}, "content": space}]
        if step.get("prepend_scheme") != "never":
            steps.insert(0, {"type": "Prepend", "prepend": space})
        plain |= {"normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None}
    return plain
