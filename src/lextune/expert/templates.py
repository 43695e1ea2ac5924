"""Chat templates written here, and tokenisation that content cannot escape from.

A template turns messages into pieces. A *control* piece is one token of the model's own (`<|im_start|>`,
`[INST]`); a *plain* piece is ordinary text. Plain pieces go through a tokenizer whose added tokens have been
taken out, so that `<|im_end|>` or `[/INST]` inside a contract can never become a control id. Nothing of a
model folder's own template is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.errors import ModelError
from lextune.core.records import Message
from lextune.text.reading.base import well_formed

SMOLLM_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


class Piece(NamedTuple):
    """A part of a rendered prompt: one control token, or plain text."""

    text: str
    control: bool


class ChatTemplate(BaseModel):
    """How one family of models writes a conversation.

    `kind` is `chatml` (every role between `start` and `stop`), `llama3`, or `mistral` (`[INST]` turns, the
    system text inside the first user turn). `stop` is the token that ends an answer, `bos` the one that begins
    a prompt.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    kind: str
    stop: str
    bos: str | None = None
    default_system: str | None = None

    @property
    def sha256(self) -> str:
        """Hash of the template's definition, recorded with everything that was made with it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def pieces(self, messages: Sequence[Message], *, answer_next: bool) -> list[Piece]:
        """Render messages; with `answer_next` the prompt ends where the model's answer starts."""
        if self.kind == "mistral":
            return self._mistral(messages)
        if self.default_system and (not messages or messages[0].role != "system"):
            messages = [Message(role="system", content=self.default_system), *messages]
        return self._llama3(messages, answer_next) if self.kind == "llama3" else self._chatml(messages, answer_next)

    def _chatml(self, messages: Sequence[Message], answer_next: bool) -> list[Piece]:
        out: list[Piece] = []
        for index, message in enumerate(messages):
            out.append(Piece("<|im_start|>", True))
            out.append(Piece(f"{message.role}\n{message.content}", False))
            out.append(Piece("<|im_end|>", True))
            if index + 1 < len(messages) or answer_next or message.role != "assistant":
                out.append(Piece("\n", False))
        if answer_next:
            out += [Piece("<|im_start|>", True), Piece("assistant\n", False)]
        return out

    def _llama3(self, messages: Sequence[Message], answer_next: bool) -> list[Piece]:
        def header(role: str) -> list[Piece]:
            return [Piece("<|start_header_id|>", True), Piece(role, False), Piece("<|end_header_id|>", True)]

        out = [Piece(self.bos, True)] if self.bos else []
        for message in messages:
            out += [
                *header(message.role),
                Piece(f"\n\n{message.content.strip()}", False),
                Piece(self.stop, True),
            ]
        if answer_next:
            out += [*header("assistant"), Piece("\n\n", False)]
        return out

    def _mistral(self, messages: Sequence[Message]) -> list[Piece]:
        out = [Piece(self.bos, True)] if self.bos else []
        system = ""
        for message in messages:
            if message.role == "system":
                system = f"{message.content}\n\n"
            elif message.role == "user":
                content = f"{system}{message.content}"
                out += [Piece("[INST]", True), Piece(content, False), Piece("[/INST]", True)]
                system = ""
            else:
                out += [Piece(message.content, False), Piece("</s>", True)]
        return out


TEMPLATES = {
    template.name: template
    for template in (
        ChatTemplate(name="smollm", kind="chatml", stop="<|im_end|>", default_system=SMOLLM_SYSTEM),
        ChatTemplate(name="chatml", kind="chatml", stop="<|im_end|>"),
        ChatTemplate(name="llama3", kind="llama3", stop="<|eot_id|>", bos="<|begin_of_text|>"),
        ChatTemplate(name="mistral-v3", kind="mistral", stop="</s>", bos="<s>"),
    )
}


def template_for(base: Path) -> ChatTemplate:
    """Return the template of a model folder, by its architecture and control tokens.

    Raises:
        ModelError: no template written here fits.
    """
    added = set(_added_tokens(base))
    model_type = json.loads((base / "config.json").read_text(encoding="utf-8")).get("model_type")
    if {"<|im_start|>", "<|im_end|>"} <= added:
        return TEMPLATES["smollm" if model_type == "llama" else "chatml"]
    if "<|start_header_id|>" in added:
        return TEMPLATES["llama3"]
    if {"[INST]", "[/INST]"} <= added:
        return TEMPLATES["mistral-v3"]
    raise ModelError(
        "no chat template is known for this model",
        where=base.name,
        do=f"use a model of these families: {', '.join(TEMPLATES)}",
    )


def _added_tokens(base: Path) -> list[str]:
    data = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    return [entry["content"] for entry in data.get("added_tokens", [])]


class Codec:
    """Token ids for one base model and its template: plain text in, ids out, and back.

    Attributes:
        stop_id: the id that ends an answer. pad_id: an id that differs from it.
        context: tokens that the model reads and writes at most, None where its config does not say.
    """

    def __init__(self, folder: Path, template: ChatTemplate | None = None) -> None:
        from tokenizers import Tokenizer

        self.template = template or template_for(folder)
        raw = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self.control: dict[str, int] = {entry["content"]: entry["id"] for entry in raw.get("added_tokens", [])}
        self._ids = frozenset(self.control.values())
        self._whole = Tokenizer.from_str(json.dumps(raw))
        raw["added_tokens"], raw["post_processor"] = [], None
        self._plain = Tokenizer.from_str(json.dumps(raw))
        self._plain.no_truncation()
        self.stop_id = self.control_id(self.template.stop)
        self.pad_id = self._pick_pad()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.context: int | None = config.get("max_position_embeddings")

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
        ids: list[int] = []
        for piece in pieces:
            ids += [self.control_id(piece.text)] if piece.control else self.encode_plain(piece.text)
        return ids

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids of messages with the answer to come next."""
        return self.encode(self.template.pieces(messages, answer_next=True))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, control tokens left out."""
        text = self._whole.decode([i for i in ids if i not in self._ids], skip_special_tokens=False)
        return str(text)
