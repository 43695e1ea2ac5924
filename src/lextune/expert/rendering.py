"""Chat templates written here: how each family of models writes a conversation.

A template turns messages into pieces. A *control* piece is one token of the model's own (`<|im_start|>`,
`[INST]`); a *plain* piece is ordinary text, which `lextune.expert.templates.Codec` tokenises so that it can never
become a control token. Nothing of a model folder's own template is run.

The pieces of a prompt are the first pieces of that prompt with its answer, whatever the answer is: what a model
is served is what it was trained to continue. So that this holds, an answer is a piece of its own. Its ids are
those of the family's own tokenizer wherever an answer does not begin with white space.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.records import Message

SMOLLM_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
QWEN2_SYSTEM = "You are a helpful assistant."
QWEN25_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
LLAMA31_DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"  # its template's fixed date
BLANK = "\n\n"  # what Mistral puts between texts that it joins


class Piece(NamedTuple):
    """A part of a rendered prompt: one control token, or plain text."""

    text: str
    control: bool


class ChatTemplate(BaseModel):
    """How one family of models writes a conversation.

    `kind` is `chatml` (every role between `<|im_start|>` and `stop`), `llama3` (every role under a header), or
    `mistral` (`[INST]` turns). `stop` is the token that ends an answer, `bos` the one that begins a prompt.
    `default_system` is said where a conversation has no system message; `system_head` comes before every first
    one. `system` says where Mistral's system text goes: a turn of its own, or inside the first or last user turn.
    `marks` says whether `[INST]` is a control token or, as in Mistral's first version, text. `trim` is what is
    cut from an answer's ends. `no_thoughts`: an answer follows an empty `<think>` block.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    kind: Literal["chatml", "llama3", "mistral"]
    stop: str
    bos: str | None = None
    default_system: str | None = None
    system_head: str | None = None
    system: Literal["own", "first", "last"] = "own"
    marks: Literal["control", "text"] = "control"
    trim: Literal["nothing", "spaces after", "both ends"] = "nothing"
    no_thoughts: bool = False

    @property
    def sha256(self) -> str:
        """Hash of what the template defines (not of what it leaves alone), recorded with what was made with it."""
        return hashlib.sha256(self.model_dump_json(exclude_defaults=True).encode()).hexdigest()

    def pieces(self, messages: Sequence[Message], *, answer_next: bool) -> list[Piece]:
        """Render messages; with `answer_next` the prompt ends where the model's answer starts."""
        if self.kind == "mistral":
            return self._mistral(messages)
        unsaid = not messages or messages[0].role != "system"
        if unsaid and (self.default_system or self.system_head):
            messages = [Message(role="system", content=self.default_system or ""), *messages]
        return self._llama3(messages, answer_next) if self.kind == "llama3" else self._chatml(messages, answer_next)

    def answer(self, text: str) -> list[Piece]:
        """Render an answer, which follows a prompt's pieces: its text and the token that ends it."""
        if self.trim == "spaces after":
            text = text.rstrip(" ")
        elif self.trim == "both ends":
            text = text.strip()
        return [Piece(text, False), Piece(self.stop, True)]

    def _chatml(self, messages: Sequence[Message], answer_next: bool) -> list[Piece]:
        out: list[Piece] = []
        for index, message in enumerate(messages):
            last = index + 1 == len(messages) and not answer_next
            if message.role == "assistant":
                out += [*self._chatml_head(thoughts=self.no_thoughts and last), *self.answer(message.content)]
            else:
                out += [Piece("<|im_start|>", True), Piece(f"{message.role}\n{message.content}", False)]
                out.append(Piece("<|im_end|>", True))
            if not last or message.role != "assistant":
                out.append(Piece("\n", False))
        return [*out, *self._chatml_head(thoughts=self.no_thoughts)] if answer_next else out

    @staticmethod
    def _chatml_head(*, thoughts: bool) -> list[Piece]:
        head = [Piece("<|im_start|>", True), Piece("assistant\n", False)]
        if thoughts:
            head += [Piece("<think>", True), Piece("\n\n", False), Piece("</think>", True), Piece("\n\n", False)]
        return head

    def _llama3(self, messages: Sequence[Message], answer_next: bool) -> list[Piece]:
        def header(role: str) -> list[Piece]:
            return [Piece("<|start_header_id|>", True), Piece(role, False), Piece("<|end_header_id|>", True)]

        out = [Piece(self.bos, True)] if self.bos else []
        for index, message in enumerate(messages):
            out += header(message.role)
            if message.role == "assistant":
                out += [Piece("\n\n", False), *self.answer(message.content)]
            else:
                head = self.system_head if index == 0 and self.system_head else ""
                out += [Piece(f"\n\n{head}{message.content.strip()}", False), Piece(self.stop, True)]
        if answer_next:
            out += [*header("assistant"), Piece("\n\n", False)]
        return out

    def _mistral(self, messages: Sequence[Message]) -> list[Piece]:
        turns = self._mistral_turns(messages)
        asked = [i for i, (role, _) in enumerate(turns) if role == "user"]
        host = asked[0 if self.system == "first" else -1] if asked and self.system != "own" else None
        system = BLANK.join(m.content for m in messages if m.role == "system" and m.content)
        out = [Piece(self.bos, True)] if self.bos else []
        for index, (role, content) in enumerate(turns):
            if role == "assistant":
                out += self.answer(content)
            elif role == "system":
                out += [Piece("[SYSTEM_PROMPT]", True), Piece(content, False), Piece("[/SYSTEM_PROMPT]", True)]
            else:
                out += self._inst(f"{system}{BLANK}{content}" if system and index == host else content)
        return out

    def _mistral_turns(self, messages: Sequence[Message]) -> list[tuple[str, str]]:
        """Return (role, content): neighbours of one role are one turn, and an empty user turn is put first if needed.

        A system message that is no turn of its own still parts the user's turns before and after it.
        """
        turns: list[tuple[str, str]] = []
        for role, group in groupby(messages, key=lambda m: m.role):
            contents = [m.content for m in group]
            if role == "system":
                turns += [(role, content) for content in contents if self.system == "own"]
            else:
                turns.append((role, BLANK.join(c for c in contents if c)))
        if not turns or (self.system != "own" and turns[0][0] != "user"):
            turns.insert(0, ("user", ""))
        return turns

    def _inst(self, content: str) -> list[Piece]:
        if self.marks == "text":
            return [Piece(f"[INST] {content} [/INST]", False)]
        return [Piece("[INST]", True), Piece(content, False), Piece("[/INST]", True)]


def _mistral(name: str, **rules: str) -> ChatTemplate:
    return ChatTemplate.model_validate({"name": name, "kind": "mistral", "stop": "</s>", "bos": "<s>", **rules})


TEMPLATES = {
    template.name: template
    for template in (
        ChatTemplate(name="smollm", kind="chatml", stop="<|im_end|>", default_system=SMOLLM_SYSTEM),
        ChatTemplate(name="chatml", kind="chatml", stop="<|im_end|>"),
        ChatTemplate(name="qwen2", kind="chatml", stop="<|im_end|>", default_system=QWEN2_SYSTEM),
        ChatTemplate(name="qwen2.5", kind="chatml", stop="<|im_end|>", default_system=QWEN25_SYSTEM),
        ChatTemplate(name="qwen3", kind="chatml", stop="<|im_end|>", no_thoughts=True),
        ChatTemplate(name="llama3", kind="llama3", stop="<|eot_id|>", bos="<|begin_of_text|>", trim="both ends"),
        ChatTemplate(
            name="llama3.1",
            kind="llama3",
            stop="<|eot_id|>",
            bos="<|begin_of_text|>",
            trim="both ends",
            system_head=LLAMA31_DATES,
        ),
        _mistral("mistral-v1", system="first", marks="text"),
        _mistral("mistral-v3", system="last", trim="spaces after"),  # v2 and v3 write conversations alike
        _mistral("mistral-tekken", system="last", trim="spaces after"),  # the same turns, another vocabulary
        _mistral("mistral-v7", system="own", trim="spaces after"),  # v7 to v13, of both vocabularies
    )
}
