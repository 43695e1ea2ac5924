"""Preflight: what is refused before time is spent, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lextune.core.errors import DataError
from lextune.core.records import Message
from lextune.expert.point import ChatExample
from lextune.expert.templates import ChatTemplate, Codec
from lextune.expert.windowing import WindowExample
from lextune.train import preflight
from lextune.train.batches import Row
from lextune.train.chat import chat_row
from lextune.train.preflight import check_chat, check_learnt, check_windows
from lextune.train.settings import TrainConfig

CONFIG = TrainConfig(strategy="text", max_tokens=80)


def _example(name: str, question: str = "Is it?", answer: str = "Yes.") -> ChatExample:
    return ChatExample(document_id=name, messages=(Message(role="user", content=question),), completion=answer)


def test_conversations_are_counted(codec: Codec) -> None:
    examples = [_example("a"), _example("b", "long " * 90), _example("c", "Is it, or is it not?")]
    found = check_chat(examples, codec, CONFIG)
    lengths = [chat_row(e, codec).tokens for e in (examples[0], examples[2])]
    assert found["rows"] == 3
    assert found["too_long"] == 1
    assert found["tokens"] == sum(lengths)
    assert found["tokens_max"] == found["tokens_p95"] == max(lengths)
    assert found["tokens_mean"] == round(sum(lengths) / 2)
    assert found["learnt_tokens"] == 2 * (len(codec.encode_plain("Yes.")) + 1)


def test_an_example_without_an_answer_is_refused(codec: Codec) -> None:
    with pytest.raises(DataError, match="a training example without an answer") as caught:
        check_chat([_example("a"), _example("b", answer=" ")], codec, CONFIG)
    assert caught.value.where == "b"
    assert caught.value.do == "remove the row"


def test_a_stop_token_that_is_not_learnt_is_refused(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(example: ChatExample, codec: Codec) -> Row:
        row = chat_row(example, codec)
        return row._replace(learnt=((*row.learnt[0][:-1], False),))

    monkeypatch.setattr(preflight, "chat_row", hidden)
    with pytest.raises(DataError, match="the stop token is not learnt") as caught:
        check_chat([_example("a")], codec, CONFIG)
    assert caught.value.where == "a"


@pytest.mark.parametrize("learns", ["the prompt too", "less than the answer", "another answer", "another prompt"])
def test_learning_anything_but_the_answer_is_refused(codec: Codec, learns: str) -> None:
    example = _example("a")
    row = chat_row(example, codec)
    (answer,), (learnt,) = row.branches, row.learnt
    wrong = {
        "the prompt too": Row(row.prefix[:-2], (row.prefix[-2:] + answer,), ((True, True, *learnt),)),
        "less than the answer": row._replace(learnt=((*learnt[:-2], False, True),)),
        "another answer": row._replace(branches=((*answer[:-2], answer[-2] + 1, answer[-1]),)),
        "another prompt": row._replace(prefix=(*row.prefix[:3], row.prefix[3] + 1, *row.prefix[4:])),
    }
    with pytest.raises(DataError, match="the answer is not what is learnt") as caught:
        check_learnt(example, wrong[learns], codec)
    assert (caught.value.where, caught.value.do) == ("a", "report this: it is a bug")
    check_learnt(example, row, codec)


def test_a_prompt_that_changes_once_it_is_answered_is_refused(tiny_base: Path) -> None:
    """Mistral writes neighbouring turns of one role as one, so that an answer after an answer changes both."""
    marks = ChatTemplate(name="m", kind="mistral", stop="<|im_end|>", system="first", marks="text")
    codec = Codec(tiny_base, marks)
    said = (Message(role="user", content="Is it?"), Message(role="assistant", content="Yes."))
    unstable = ChatExample(document_id="b", messages=said, completion="No.")
    with pytest.raises(DataError, match="the prompt changes once it is answered") as caught:
        check_chat([_example("a"), unstable], codec, CONFIG)
    assert (caught.value.where, caught.value.do) == ("b", "let a user's message be the last before the answer")


@pytest.mark.parametrize("examples", [[_example("a", "long " * 90)] * 2, []])
def test_a_loss_of_zero_is_refused(codec: Codec, examples: list[ChatExample]) -> None:
    with pytest.raises(DataError, match=f"all {len(examples)} train examples are longer than 80 tokens") as caught:
        check_chat(examples, codec, CONFIG)
    assert caught.value.where == "train.max_tokens"


def test_windows_are_counted(codec: Codec, make_window: Callable[..., WindowExample]) -> None:
    empty = make_window(2).model_copy(update={"positives": ((),) * 4})
    found = check_windows([make_window(0), make_window(1), empty], codec, TrainConfig())
    assert found["rows"] == 3
    assert found["positive_rows"] == 2
    assert found["too_long"] == 0


def test_windows_without_a_label_are_refused(codec: Codec, make_window: Callable[..., WindowExample]) -> None:
    empty = make_window(2).model_copy(update={"positives": ((),) * 4})
    with pytest.raises(DataError, match="no training window has a label: the loss would teach nothing"):
        check_windows([empty], codec, TrainConfig())


def test_windows_over_the_limit_are_refused(codec: Codec, make_window: Callable[..., WindowExample]) -> None:
    long = make_window(0, heading="heading " * 90)
    with pytest.raises(DataError, match="1 of 2 windows are longer than 128 tokens") as caught:
        check_windows([make_window(1), long], codec, TrainConfig(max_tokens=128))
    assert caught.value.where == "train.max_tokens"
    assert caught.value.do is not None
    assert caught.value.do.startswith("raise it to ")
