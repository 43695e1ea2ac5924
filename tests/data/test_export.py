"""Exports import again to the same examples; what a format cannot hold is refused, never lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lextune.core.errors import DataError, MachineError, UserError
from lextune.core.records import Document, Edit, FieldLabel, Message, Span
from lextune.data import columns
from lextune.data import export as exporting
from lextune.data.export import FORMATS, export, export_examples, read_examples
from lextune.data.importers.conversation import Conversation
from lextune.data.importers.intake import Options, find_format, import_source
from lextune.data.importers.shapes import conversation_document
from lextune.expert.point import ChatExample
from lextune.expert.quoting import Absent, field_questions
from lextune.expert.schema import load_schema
from lextune.expert.windowing import WindowExample

SCHEMA = load_schema("clauses-47")
END_OF_QUESTION = 4  # [/INST] of Mistral's v7
SYSTEM, HI, HELLO = (Message(role=r, content=c) for r, c in (("system", "S"), ("user", "Hi"), ("assistant", "Hello")))


def row(name: str = "a", *turns: Message, text: str = "Q", answer: str = "A", rejected: str | None = None) -> Document:
    return conversation_document(name, Conversation((*turns, Message(role="user", content=text)), answer, rejected))


def again(path: Path) -> list[Any]:
    return list(import_source(path, Options(SCHEMA)))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def refused(documents: Iterable[Document], format: str, out: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        export(documents, format, out, **options)
    assert not out.exists()
    assert list(out.parent.iterdir()) == []
    return str(caught.value)


def test_the_layouts(tmp_path: Path) -> None:
    def written(format: str, **options: Any) -> Any:
        export([row("a", SYSTEM, HI, HELLO, **options)], format, tmp_path / f"{format}.jsonl")
        (line,) = lines(tmp_path / f"{format}.jsonl")
        return line

    system, hi = {"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}
    asked, answer = [system, hi, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Q"}], "A"
    said = {"role": "assistant", "content": answer}
    assert written("chat") == {"id": "a", "messages": [*asked, said]}
    assert written("alpaca") == {
        "id": "a",
        "instruction": "Q",
        "input": "",
        "output": "A",
        "system": "S",
        "history": [["Hi", "Hello"]],
    }
    assert written("sharegpt") == {
        "id": "a",
        "conversations": [
            {"from": "system", "value": "S"},
            {"from": "human", "value": "Hi"},
            {"from": "gpt", "value": "Hello"},
            {"from": "human", "value": "Q"},
            {"from": "gpt", "value": "A"},
        ],
    }
    assert written("prompt-completion") == {"id": "a", "prompt": asked, "completion": [said]}
    worse = {"role": "assistant", "content": "B"}
    assert written("preference", rejected="B") == {"id": "a", "prompt": asked, "chosen": [said], "rejected": [worse]}


def test_an_answer_that_is_null_is_the_word_null(tmp_path: Path) -> None:
    null = row(answer="N/A")
    assert null.labels["output"] == FieldLabel()
    export([null], "alpaca", tmp_path / "a.jsonl")
    assert lines(tmp_path / "a.jsonl")[0]["output"] == "null"
    assert again(tmp_path / "a.jsonl") == [null]


said = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    ["", " ", "N/A", "null", "<|im_end|>", "[/INST] </s>", "a\u2028b\r\n", "\U0001f600", "\ud83d", "é\u0301", "0"]
)
messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=said)
labels = st.one_of(
    said.map(lambda text: {"output": FieldLabel(parts=(text,), answer=text)}),
    st.just({"output": FieldLabel()}),
    st.sampled_from([{}, {"Parties": FieldLabel()}, {"output": FieldLabel(), "Parties": FieldLabel()}]),
)
documents = st.builds(
    Document,
    id=said,
    name=st.just("n"),
    sha256=st.just("0"),
    text=said,
    turns=st.lists(messages, max_size=4).map(tuple),
    rejected=st.none() | said,
    labels=labels,
)


def example(document: Document) -> tuple[Any, ...]:
    return document.id, document.turns, document.text, document.rejected, document.labels


@given(st.lists(documents, min_size=1, max_size=3), st.sampled_from(sorted(FORMATS)))
@settings(max_examples=200)
def test_any_documents_come_back_the_same_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Document], format: str
) -> None:
    path = tmp_path_factory.mktemp("export") / "rows.jsonl"
    try:
        export(rows, format, path)
    except DataError:
        assert list(path.parent.iterdir()) == []
        return
    assert [example(d) for d in again(path)] == [example(d) for d in rows]


plain = st.text(min_size=1, max_size=20) | st.sampled_from(["<|im_end|>", "[/INST] </s>", "a\u2028b", "\U0001f600"])
spoken = plain.filter(lambda text: bool(text.strip()))


@st.composite
def conversations(draw: Callable[[st.SearchStrategy[Any]], Any], pairs: bool) -> Document:
    turns = [Message(role="system", content=draw(plain))] if draw(st.booleans()) else []
    for asked, answered in draw(st.lists(st.tuples(plain | st.just(""), plain), max_size=2)):
        turns += [Message(role="user", content=asked), Message(role="assistant", content=answered)]
    answer, rejected = draw(spoken), draw(spoken) if pairs else None
    assume(answer != rejected and answer.strip().casefold() not in ("null", "none", "n/a"))
    return row("x", *turns, text=draw(spoken), answer=answer, rejected=rejected)


@given(st.data(), st.sampled_from(sorted(FORMATS)))
@settings(max_examples=100)
def test_every_conversation_can_be_exported_and_comes_back_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, format: str
) -> None:
    rows = data.draw(st.lists(conversations(format == "preference"), min_size=1, max_size=3))
    rows = [d.model_copy(update={"id": f"r{i}", "name": f"r{i}"}) for i, d in enumerate(rows)]
    path = tmp_path_factory.mktemp("export") / "rows.jsonl"
    assert export(rows, format, path).rows == len(rows)
    assert find_format(path) == {"alpaca": "instruction"}.get(format, format)
    assert again(path) == rows


words = plain | st.sampled_from(["", "N/A", " none ", "NULL", "2021-05-04"])


def chat(asked: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def call(asked: str, name: str) -> dict[str, Any]:
    made = {"tool_calls": [{"type": "function", "function": {"name": name, "arguments": '{"a":1}'}}]}
    answer = {"choices": [{"message": {"role": "assistant", "content": None, **made}}]}
    return {"request": {"messages": chat(asked, "")[:1]}, "response": answer}


RAW = {
    "instruction": st.fixed_dictionaries({"instruction": words, "input": words, "output": words}),
    "chat": st.builds(lambda a, b, c, d: {"messages": [*chat(a, b), *chat(c, d)]}, words, words, words, words),
    "prompt-completion": st.fixed_dictionaries({"prompt": words, "completion": words}),
    "openai-log": st.builds(call, words, st.from_regex("[a-z_]{1,9}", fullmatch=True)),
    "preference": st.fixed_dictionaries({"prompt": words, "chosen": words, "rejected": words}),
}


@given(st.data(), st.sampled_from(sorted(RAW)), st.booleans())
@settings(max_examples=100)
def test_what_was_imported_is_exported_and_imports_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, shape: str, arguments: bool
) -> None:
    folder = tmp_path_factory.mktemp("export")
    raw = data.draw(st.lists(RAW[shape], min_size=1, max_size=4))
    (folder / "raw.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in raw), encoding="utf-8")
    found = import_source(folder / "raw.jsonl", Options(SCHEMA, arguments=arguments))
    rows = [item for item in found if isinstance(item, Document)]
    assume(rows)
    for format in ("preference",) if shape == "preference" else sorted(set(FORMATS) - {"preference"}):
        if format == "chat" and any(not turn.content for d in rows for turn in d.turns if turn.role == "assistant"):
            continue  # Mistral refuses it
        assert export(rows, format, folder / f"{format}.jsonl").rows == len(rows)
        assert again(folder / f"{format}.jsonl") == rows


@given(st.lists(conversations(False), min_size=1, max_size=3))
@settings(max_examples=50)
def test_mistral_accepts_every_line_for_fine_tuning(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Document]
) -> None:
    from mistral_common.protocol.instruct.messages import FinetuningMessage
    from mistral_common.protocol.instruct.validator import ValidationMode, get_validator
    from mistral_common.tokens.tokenizers.base import TokenizerVersion

    path = tmp_path_factory.mktemp("export") / "rows.jsonl"
    export([d.model_copy(update={"id": f"r{i}"}) for i, d in enumerate(rows)], "chat", path)
    for line in lines(path):
        messages = TypeAdapter(list[FinetuningMessage]).validate_python(line["messages"])
        for version in TokenizerVersion:
            get_validator(version, ValidationMode.finetuning).validate_messages(messages)


def test_mistral_refuses_what_chat_refuses() -> None:
    from mistral_common.exceptions import InvalidAssistantMessageException
    from mistral_common.protocol.instruct.messages import FinetuningAssistantMessage, UserMessage
    from mistral_common.protocol.instruct.validator import MistralRequestValidatorV3, ValidationMode

    turns: list[Any] = [
        each for said in ("", "A") for each in (UserMessage(content="Q"), FinetuningAssistantMessage(content=said))
    ]
    with pytest.raises(InvalidAssistantMessageException, match="must have either content or tool_calls"):
        MistralRequestValidatorV3(ValidationMode.finetuning).validate_messages(turns)


def test_mistral_learns_the_answer(tmp_path: Path) -> None:
    import mistral_common
    from mistral_common.protocol.instruct.messages import FinetuningMessage
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.protocol.instruct.validator import ValidationMode
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    file = Path(mistral_common.__file__).parent / "data" / "mistral_instruct_tokenizer_241114.model.v7"
    tokenizer: Any = MistralTokenizer.from_file(str(file), mode=ValidationMode.finetuning)
    export([row("a", SYSTEM, HI, HELLO, answer="Ohio. [/INST] é")], "chat", tmp_path / "out.jsonl")
    (line,) = lines(tmp_path / "out.jsonl")
    request: Any = ChatCompletionRequest[FinetuningMessage](messages=line["messages"])
    tokens = tokenizer.encode_chat_completion(request).tokens
    learnt = tokens[len(tokens) - tokens[::-1].index(END_OF_QUESTION) :]
    assert tokenizer.decode(learnt) == "Ohio. [/INST] é"


def load(path: Path) -> list[Any]:
    """Read a file as the trainers do, with a guess from 16 KiB."""
    from datasets import load_dataset

    found = load_dataset("json", data_files=str(path), split="train", cache_dir=str(path.parent), chunksize=1 << 14)
    return list(found)


UNLIKE = {
    "id": ([row(f"2021-05-{i:02}", text="Q" * 1000) for i in range(1, 32)], row("last")),
    "output": ([row(f"r{i}", text="Q" * 1000, answer="2021-05-04") for i in range(31)], row("last")),
    "history": ([row(f"r{i}", text="Q" * 1000) for i in range(31)], row("last", HI, HELLO)),
}


@pytest.mark.parametrize("key", UNLIKE)
def test_datasets_reads_a_column_that_changes_late(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets.exceptions import DatasetGenerationError

    alike, last = UNLIKE[key]
    export([*alike, last], "alpaca", tmp_path / "naive.jsonl")
    with pytest.raises(DatasetGenerationError):
        load(tmp_path / "naive.jsonl")
    monkeypatch.setattr(columns, "FIRST", 1 << 14)
    found = export([*alike, last], "alpaca", tmp_path / "out.jsonl")
    read, written = load(tmp_path / "out.jsonl"), lines(tmp_path / "out.jsonl")
    assert [line | {key: None} for line in read] == [line | {key: None} for line in written]
    assert again(tmp_path / "out.jsonl") == [last, *alike]
    assert (found.rows, found.times) == (32, ("output",) if key == "output" else ())


def test_a_column_of_dates_is_told_and_read_by_other_means(tmp_path: Path) -> None:
    from datasets import Dataset

    dated = [row(f"r{i}", answer="2021-05-04") for i in range(3)]
    assert export(dated, "prompt-completion", tmp_path / "out.jsonl").times == ("completion",)
    assert str(load(tmp_path / "out.jsonl")[0]["completion"][0]["content"]) == "2021-05-04 00:00:00"
    assert list(Dataset.from_list(lines(tmp_path / "out.jsonl"))) == lines(tmp_path / "out.jsonl")
    assert export(dated, "chat", tmp_path / "chat.jsonl").times == ()
    assert load(tmp_path / "chat.jsonl") == lines(tmp_path / "chat.jsonl")


@pytest.mark.parametrize(
    ("document", "format", "message"),
    [
        (row(rejected="B"), "chat", "it has a rejected answer, for which chat has no place"),
        (row(), "preference", "it has no rejected answer"),
        (
            row("a", Message(role="system", content="")),
            "alpaca",
            "its system message is empty, which Alpaca reads as none",
        ),
        (
            row("a", HI, Message(role="assistant", content="")),
            "chat",
            "one of its earlier answers is empty, which Mistral refuses",
        ),
        (row("a", HELLO), "chat", "message 1 is of the assistant, the user's turn it is"),
        (row("a", HI), "alpaca", "message 2 is of the user, the assistant's turn it is"),
        (row(text=" "), "alpaca", "import would drop it: the instruction is empty"),
        (row(text=" "), "chat", "import would drop it: the question is empty"),
        (
            row(answer=" x").model_copy(update={"rejected": " x"}),
            "preference",
            "import would drop it: chosen and rejected",
        ),
        (
            row().model_copy(update={"labels": {}}),
            "chat",
            "a contract with labels, no conversation: export the examples",
        ),
        (
            row().model_copy(update={"labels": {**row().labels, "choices": FieldLabel(parts=("A", "B"))}}),
            "chat",
            "a conversation has no place for its choices: keep it in a dataset version",
        ),
        (
            row().model_copy(update={"labels": {"output": FieldLabel(parts=("B",), answer="A")}}),
            "chat",
            "its answer is not what its label quotes",
        ),
        (
            row().model_copy(update={"labels": {"output": FieldLabel(parts=("null",), answer="null")}}),
            "chat",
            "its answer is the word null, which would come back as null",
        ),
        (
            row().model_copy(update={"labels": {"output": FieldLabel(parts=("N/A",), answer="N/A")}}),
            "chat",
            "its answer 'N/A' is a word for null, and would come back as null",
        ),
        (row().model_copy(update={"text": "\ud83d"}), "chat", "half a character: the lone surrogate U+D83D"),
        (row(""), "chat", "it has no id"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, document: Document, format: str, message: str) -> None:
    first, advice = refused([document], format, tmp_path / "out.jsonl").splitlines()
    assert first.startswith(f"{document.id or 'an example'}: {message}")
    assert advice.startswith("  -> leave these examples out, or choose another format")


def test_a_line_that_import_would_refuse_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MAX_LINE", 100)
    assert "a: 1,098 bytes as a line; 100 is the most" in refused(
        [row(text="x" * 1000)], "chat", tmp_path / "out.jsonl"
    )


def test_many_refusals_make_one_report(tmp_path: Path) -> None:
    found = refused([row(f"r{i}", rejected="B") for i in range(8)], "chat", tmp_path / "out.jsonl").splitlines()
    assert found[0] == "as chat: 8 mistakes"
    assert found[1] == "  r0: it has a rejected answer, for which chat has no place (--chosen-only leaves it out)"
    assert found[6:] == ["  and 3 more", "  -> leave these examples out, or choose another format"]


def test_an_id_twice_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    assert refused([row(), row()], "chat", tmp_path / "out.jsonl").startswith("a: the id 'a' occurs a second time")
    assert "nothing to export: no example at all" in refused([], "chat", tmp_path / "out.jsonl")


def test_rejected_answers_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    found = export([row("a", rejected="B"), row("b")], "chat", tmp_path / "out.jsonl", chosen_only=True)
    assert (found.rows, found.without_rejected) == (2, 1)
    assert again(tmp_path / "out.jsonl") == [row("a"), row("b")]
    assert export([row(rejected="B")], "preference", tmp_path / "p.jsonl", chosen_only=True).without_rejected == 0


def test_what_stays_behind_is_counted(tmp_path: Path) -> None:
    update = {"tags": {"language": "en"}, "annotator": "kim", "edits": (Edit(start=0, end=1, original="q"),)}
    found = export([row().model_copy(update=update), row("b")], "chat", tmp_path / "out.jsonl")
    assert found.left_behind == {"annotator": 1, "edits": 1, "tags": 1}


def test_the_users_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--format: no format 'alpca'; did you mean 'alpaca'"):
        export([row()], "alpca", tmp_path / "out.jsonl")
    with pytest.raises(UserError, match=r"out: an export is JSON Lines\n  -> give a name that ends in \.jsonl"):
        export([row()], "chat", tmp_path / "out")
    (tmp_path / "out.jsonl").write_text("mine")
    with pytest.raises(UserError, match=r"out\.jsonl: this exists already"):
        export([row()], "chat", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "mine"
    with pytest.raises(MachineError, match="cannot write"):
        export([row()], "chat", tmp_path / "out.jsonl" / "below.jsonl")


def window(index: int) -> WindowExample:
    return WindowExample(
        document_id="deed",
        index=index,
        heading="Law",
        texts=("The law of Ohio governs.", "Nothing else </s>."),
        positives=((SCHEMA.names.index("Governing Law"),), ()) if index else ((), ()),
        ignored=((), ()),
    )


@pytest.mark.parametrize("format", ["chat", "alpaca", "sharegpt", "prompt-completion"])
def test_training_examples_are_exported_as_what_is_trained_on(tmp_path: Path, format: str) -> None:
    chat = ChatExample(document_id="general-1", messages=(Message(role="user", content="Q"),), completion="A")
    file = tmp_path / "train.jsonl"
    file.write_text("".join(f"{e.model_dump_json()}\n" for e in (window(0), chat, window(1))))
    examples = list(read_examples(file, SCHEMA))
    assert export_examples(examples, format, tmp_path / "out.jsonl").rows == 3
    found = again(tmp_path / "out.jsonl")
    assert [d.id for d in found] == ["deed", "general-1", "deed#2"]
    assert [(*d.turns, Message(role="user", content=d.text)) for d in found] == [e.messages for e in examples]
    assert [d.labels["output"].answer for d in found] == ["{}", "A", '{"Governing Law":[1]}']


def test_questions_are_exported_as_they_are_asked(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(f"{window(1).model_dump_json()}\n")
    asked = list(read_examples(file, SCHEMA, "text", Absent(2, 7)))
    assert asked == list(field_questions(SCHEMA, window(1), Absent(2, 7)))
    assert sorted(chat.completion for chat in asked) == ["The law of Ohio governs.", "null", "null"]


def test_a_page_map_is_no_conversation(tmp_path: Path) -> None:
    contract = Document(id="c", name="c", sha256="0", text="x", pages=(Span(start=0, end=1),), labels={})
    assert "a contract with labels, no conversation" in refused([contract], "chat", tmp_path / "out.jsonl")
