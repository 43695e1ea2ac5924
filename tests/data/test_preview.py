"""A preview shows the tokens that training reads, and marks those that it learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import ArtifactError, DataError, RecipeError
from lextune.core.records import Document, FieldLabel, Message, Span
from lextune.data.preview import Shown, ShownChat, ShownWindow, preview
from lextune.expert.schema import Schema, SchemaField, load_schema
from lextune.expert.tasks import get_task, instruction_document
from lextune.expert.templates import ChatTemplate, Codec
from lextune.expert.windowing import WindowConfig

SCHEMA = Schema(
    name="two",
    fields=(
        SchemaField(name="Term", type="duration", question="How long?"),
        SchemaField(name="Governing Law", type="jurisdiction", question="Which law?"),
    ),
)
INSTRUCTIONS = load_schema("instruction")
LAW = "This Agreement is governed by the laws of Ohio."


@pytest.fixture
def codec(tiny_base: Path) -> Codec:
    return Codec(tiny_base)


@pytest.fixture
def sealed(seal: Callable[..., Artifact]) -> Callable[..., Artifact]:
    """An artifact of this kind with these rows."""

    def make(rows: list[Any], kind: str = "documents", **config: Any) -> Artifact:
        name = "documents.jsonl" if kind == "documents" else "train.jsonl"
        return seal(kind, lambda folder: {"rows": write_jsonl(folder / name, rows)}, config)

    return make


def rows() -> list[Document]:
    said = (Message(role="system", content="Be brief."), Message(role="user", content="Who?"))
    first = instruction_document("r1", "Which law?", "", "Ohio. <|im_end|>")
    unanswered = instruction_document("r2", "What?", "", "")
    third = instruction_document("r3", "And when?", "", "In May.").model_copy(
        update={"turns": (*said, Message(role="assistant", content="Acme."))}
    )
    return [first, unanswered, third]


def contract() -> Document:
    text = f"{LAW} " + "The Supplier delivers the goods to the warehouse every month. " * 12
    label = FieldLabel(parts=(LAW,), spans=((Span(start=0, end=len(LAW)),),))
    return Document(id="c1", name="c1.txt", sha256="0" * 64, text=text, labels={"Governing Law": label})


def chat(shown: list[Shown]) -> ShownChat:
    (one,) = shown
    assert isinstance(one, ShownChat)
    return one


def text_of(one: ShownChat, *, trained: bool) -> str:
    return "".join(token.text for token in one.tokens if token.trained is trained)


def test_the_answer_and_its_stop_token_are_trained(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    one = chat(preview(sealed(rows()), codec, INSTRUCTIONS))
    assert (one.document_id, one.strategy, one.template) == ("r1", "text", "smollm")
    assert text_of(one, trained=True) == "Ohio. <|im_end|><|im_end|>", "the answer's own text, and the token"
    assert text_of(one, trained=False).endswith("<|im_start|>user\nWhich law?<|im_end|>\n<|im_start|>assistant\n")
    assert [token.id for token in one.tokens if token.control].count(codec.stop_id) == 3
    assert [token.stop for token in one.tokens] == [False] * (len(one.tokens) - 1) + [True]
    assert one.tokens[-1].id == codec.stop_id
    assert one.trained == len(codec.encode_plain("Ohio. <|im_end|>")) + 1


def test_it_is_what_training_reads(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    """Kept equal to `lextune.train.chat.chat_row`, which this package may not import."""
    from lextune.expert.point import ChatExample
    from lextune.train.chat import chat_row

    document = rows()[2]
    (example,) = get_task("instruction").examples(document, INSTRUCTIONS, codec, WindowConfig(), "text")
    assert isinstance(example, ChatExample)
    row = chat_row(example, codec)
    one = chat(preview(sealed([document]), codec, INSTRUCTIONS))
    assert [token.id for token in one.tokens] == [*row.prefix, *row.branches[0]]
    assert [token.trained for token in one.tokens] == [*[False] * len(row.prefix), *row.learnt[0]]


def test_earlier_turns_are_shown_and_rows_without_an_answer_are_none(
    codec: Codec, sealed: Callable[..., Artifact]
) -> None:
    one = chat(preview(sealed(rows()), codec, INSTRUCTIONS, index=1))
    assert one.document_id == "r3"
    assert text_of(one, trained=False) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n"
        "<|im_start|>assistant\nAcme.<|im_end|>\n<|im_start|>user\nAnd when?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_several(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    dataset = sealed(rows())
    assert [one.document_id for one in preview(dataset, codec, INSTRUCTIONS, n=5)] == ["r1", "r3"]
    assert [one.document_id for one in preview(dataset, codec, INSTRUCTIONS, index=1, n=5)] == ["r3"]


def test_a_contract_is_shown_by_window(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    dataset = sealed([contract()], window={"max_tokens": 160})
    one = chat(preview(dataset, codec, SCHEMA))
    assert (one.strategy, text_of(one, trained=True)) == ("point", '{"Governing Law":[1]}<|im_end|>')
    assert f"1. {LAW}\n2. The Supplier" in text_of(one, trained=False)
    later = preview(dataset, codec, SCHEMA, index=1, n=100)
    assert later
    assert {text_of(chat([one]), trained=True) for one in later} == {"{}<|im_end|>"}


def test_a_contract_is_shown_by_question(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    dataset = sealed([contract()], window={"max_tokens": 160})
    shown = [chat([one]) for one in preview(dataset, codec, SCHEMA, "text", n=100)]
    assert {one.strategy for one in shown} == {"text"}
    stated, *others = sorted(shown, key=lambda one: text_of(one, trained=True).startswith("null"))
    assert text_of(stated, trained=True) == f"{LAW}<|im_end|>"
    assert "\n\nGoverning Law: " in text_of(stated, trained=False).replace(LAW, "")
    assert {text_of(one, trained=True) for one in others} == {"null<|im_end|>"}


def test_tags_are_shown_by_sentence(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    (one,) = preview(sealed([contract()]), codec, SCHEMA, "tag")
    assert isinstance(one, ShownWindow)
    assert one.sentences[0].text == LAW
    assert (one.sentences[0].fields, one.sentences[0].ignored) == (("Governing Law",), ("Term",))
    assert one.sentences[1].fields == ()
    assert one.tokens > sum(len(codec.encode_plain(s.text)) for s in one.sentences) / 2


@pytest.mark.parametrize(("strategy", "kind"), [(None, ShownWindow), ("point", ShownChat), ("tag", ShownWindow)])
def test_examples_are_shown_by_their_own_strategy(
    codec: Codec, sealed: Callable[..., Artifact], strategy: str | None, kind: type[BaseModel]
) -> None:
    windows = list(get_task("clause-extraction").examples(contract(), SCHEMA, codec, WindowConfig(), "tag"))
    dataset = sealed(windows, "examples", task="clause-extraction", strategy="tag")
    (one,) = preview(dataset, codec, SCHEMA, strategy)
    assert isinstance(one, kind)
    assert one.document_id == "c1"


def test_examples_of_conversations(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    made = list(get_task("instruction").examples(rows()[0], INSTRUCTIONS, codec, WindowConfig(), "text"))
    one = chat(preview(sealed(made, "examples", task="instruction", strategy="text"), codec, INSTRUCTIONS))
    assert (one.document_id, one.strategy) == ("r1", "text")


def test_a_number_that_no_example_has(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    with pytest.raises(DataError) as caught:
        preview(sealed(rows()), codec, INSTRUCTIONS, index=2)
    assert str(caught.value) == ("--index 2: the dataset has 2 examples, numbered from 0\n  -> give a smaller number")


def test_no_examples(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    with pytest.raises(DataError, match=r"the dataset has 0 examples, numbered from 0\n.*its documents have labels"):
        preview(sealed(rows()[1:2]), codec, INSTRUCTIONS)


def test_another_kind_of_artifact(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    with pytest.raises(ArtifactError, match=r"this is a split, documents or examples are needed"):
        preview(sealed([], "split"), codec, SCHEMA)


def test_a_strategy_that_conversations_lack(codec: Codec, sealed: Callable[..., Artifact]) -> None:
    with pytest.raises(RecipeError, match="the task instruction has no strategy 'tag'"):
        preview(sealed(rows()), codec, INSTRUCTIONS, "tag")


def test_the_mask_of_mistrals_template(sealed: Callable[..., Artifact], tiny_base: Path) -> None:
    """The answer is trimmed as its template says, and the prompt holds no part of it."""
    template = ChatTemplate(
        name="m", kind="mistral", stop="<|im_end|>", system="first", marks="text", trim="spaces after"
    )
    document = instruction_document("r1", "Which law?", "", "Ohio.  ")
    one = chat(preview(sealed([document]), Codec(tiny_base, template), INSTRUCTIONS))
    assert text_of(one, trained=False) == "[INST] Which law? [/INST]"
    assert text_of(one, trained=True) == "Ohio.<|im_end|>"
