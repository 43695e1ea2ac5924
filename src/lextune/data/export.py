"""Export to the formats that other trainers read; what is exported imports again to the same examples.

| format | a line, beside its `id` | read by |
| --- | --- | --- |
| `chat` | `messages: [{"role", "content"}, ...]` | Mistral's hosted fine-tuning, TRL, Axolotl, LLaMA-Factory |
| `alpaca` | `instruction`, `input`, `output`, `system`, `history: [[question, answer], ...]` | LLaMA-Factory |
| `sharegpt` | `conversations: [{"from": "system", "human" or "gpt", "value"}, ...]` | LLaMA-Factory, Axolotl |
| `prompt-completion` | `prompt: [message, ...]`, `completion: [message]` | TRL, the loss on the completion only |
| `preference` | `prompt: [message, ...]`, `chosen: [message]`, `rejected: [message]` | DPO of TRL and Axolotl |

Every line has the same keys and types, which `datasets.load_dataset` needs; rows that it must see early are put first
(see `lextune.data.columns`). An answer that is null is written as the word `null`. Before a line is written it is read
back as import would; what would not come back the same is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from lextune.core.artifacts import Artifact, read_jsonl
from lextune.core.errors import ArtifactError, DataError, UserError, shorten
from lextune.core.machine import disk_error
from lextune.core.mistakes import Mistake
from lextune.core.records import Document, Drop, FieldLabel, Message
from lextune.data.columns import Columns, put_first
from lextune.data.importers.conversation import Conversation
from lextune.data.importers.lines import MAX_LINE, Row
from lextune.data.importers.report import Item, Normalised
from lextune.data.importers.shapes import ID, conversation_document, convert, shapes
from lextune.data.importers.tally import Mistakes, Seen, repeated_id
from lextune.data.importers.turns import Wrong, check_turns, nearest
from lextune.expert.point import ChatExample
from lextune.expert.quoting import Absent
from lextune.expert.schema import Schema, load_schema
from lextune.expert.tasks import OUTPUT, Example, as_chats
from lextune.text.values import NULL

_SHAPES = shapes()
Write = Callable[[Conversation], dict[str, Any]]
PARTS = ("train.jsonl", "validation.jsonl")
"""What is exported of a split or of examples: test documents stay closed."""

BESIDE = ("annotator", "contract_type", "edits", "pages", "source", "tags")
"""What a Document may hold beside the conversation, which no format has a place for."""


class Exported(NamedTuple):
    """What an export wrote and left out.

    rows: lines written. without_rejected: rejected answers that were left out. left_behind: what else of the documents
    is not in the file, by name. times: keys with dates that `datasets` may read as times.
    """

    rows: int
    without_rejected: int
    left_behind: dict[str, int]
    times: tuple[str, ...]


class Unwritable(ValueError):  # noqa: N818 - says what the example is
    """An example that a format cannot hold; the text says why."""


def _messages(messages: Sequence[Message], role: str = "role", content: str = "content") -> list[dict[str, str]]:
    return [{role: message.role, content: message.content} for message in messages]


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _chat(found: Conversation) -> dict[str, Any]:
    if any(message.role == "assistant" and not message.content for message in found.messages):
        raise Unwritable("one of its earlier answers is empty, which Mistral refuses")
    return {"messages": [*_messages(found.messages), _assistant(found.answer)]}


def _alpaca(found: Conversation) -> dict[str, Any]:
    messages = found.messages
    system = messages[0].content if messages[0].role == "system" else ""
    if messages[0].role == "system" and not system:
        raise Unwritable("its system message is empty, which Alpaca reads as none")
    *turns, question = messages[1:] if system else messages
    pairs = [[asked.content, said.content] for asked, said in zip(turns[::2], turns[1::2], strict=True)]
    row = {"instruction": question.content, "input": "", "output": found.answer}
    return {**row, "system": system, "history": pairs}


_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}


def _sharegpt(found: Conversation) -> dict[str, Any]:
    turns = [{"from": _SHAREGPT[message.role], "value": message.content} for message in found.messages]
    return {"conversations": [*turns, {"from": "gpt", "value": found.answer}]}


def _prompt_completion(found: Conversation) -> dict[str, Any]:
    return {"prompt": _messages(found.messages), "completion": [_assistant(found.answer)]}


def _preference(found: Conversation) -> dict[str, Any]:
    if found.rejected is None:
        raise Unwritable("it has no rejected answer")
    pair = {"chosen": [_assistant(found.answer)], "rejected": [_assistant(found.rejected)]}
    return {"prompt": _messages(found.messages), **pair}


FORMATS: dict[str, tuple[str, Write]] = {
    "chat": ("chat", _chat),
    "alpaca": ("instruction", _alpaca),
    "sharegpt": ("sharegpt", _sharegpt),
    "prompt-completion": ("prompt-completion", _prompt_completion),
    "preference": ("preference", _preference),
}
"""Every export format: the shape that it is imported as, and how a conversation is written."""


def export(documents: Iterable[Document], format: str, out: Path, *, chosen_only: bool = False) -> Exported:
    """Write conversations to a file of JSON Lines, all or none.

    Args:
        documents: conversations (see `Document`); contracts are exported as examples.
        format: a name of `FORMATS`.
        out: the file to write.
        chosen_only: leave rejected answers out where the format has no place for them, instead of refusing.

    Returns:
        The counts, with what the documents hold beside the conversation and the file does not, such as tags.

    Raises:
        UserError: no such format, a name that does not end in .jsonl, or `out` exists.
        DataError: documents that the format cannot hold or that would not import again to the same (one error with
            their number and the first five), an id that occurs twice, or no documents at all.
        MachineError: the disk is full or may not be written.
    """
    beside: Counter[str] = Counter()
    drop_rejected, without = chosen_only and format != "preference", 0

    def examples() -> Iterator[tuple[str, Conversation | str]]:
        nonlocal without
        for document in documents:
            if drop_rejected and document.rejected is not None:
                document = document.model_copy(update={"rejected": None})
                without += 1
            beside.update(name for name in BESIDE if getattr(document, name))
            yield document.id, _conversation(document)

    rows, times = _write(examples(), format, out)
    return Exported(rows, without, dict(sorted(beside.items())), times)


def export_artifact(artifact: Artifact, format: str, out: Path, *, chosen_only: bool = False) -> dict[Path, Exported]:
    """Export a dataset version to a file, or the parts of a split or of examples but the test to files in a folder.

    Returns:
        What was written, by path.

    Raises:
        ArtifactError: an artifact of another kind.
        DataError, UserError, MachineError: see `export`.
    """
    if artifact.kind == "documents":
        return {out: _export_file(artifact, "documents.jsonl", format, out, chosen_only)}
    if artifact.kind not in ("split", "examples"):
        do = "give a dataset version, a split or examples"
        raise ArtifactError(f"this is a {artifact.kind}: no data to export", where=str(artifact.path), do=do)
    _check_free(out)
    staging = out.with_name(f".{out.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        done = [_export_file(artifact, name, format, staging / name, chosen_only) for name in PARTS]
        staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {out / name: found for name, found in zip(PARTS, done, strict=True)}


def _export_file(artifact: Artifact, name: str, format: str, out: Path, chosen_only: bool) -> Exported:
    path = artifact.file(name)
    if artifact.kind == "examples":
        config = artifact.manifest.config
        schema, strategy = load_schema(config["schema_name"]), config.get("strategy", "point")
        return export_examples(read_examples(path, schema, strategy, Absent.of(artifact)), format, out)
    return export(read_jsonl(path, Document), format, out, chosen_only=chosen_only)


def _check_free(out: Path) -> None:
    if out.exists():
        raise UserError("this exists already", where=str(out), do="choose another --out, or remove it")


def export_examples(examples: Iterable[ChatExample], format: str, out: Path) -> Exported:
    """Write training examples as conversations; see `export`.

    Examples of one document are numbered in their order: their ids are `ID`, `ID#2`, `ID#3`, ...
    """
    counts: Counter[str] = Counter()

    def named() -> Iterator[tuple[str, Conversation | str]]:
        for example in examples:
            counts[example.document_id] += 1
            number = counts[example.document_id]
            name = example.document_id if number == 1 else f"{example.document_id}#{number}"
            yield name, Conversation(example.messages, example.completion)

    rows, times = _write(named(), format, out)
    return Exported(rows, 0, {}, times)


def read_examples(
    path: Path,
    schema: Schema,
    strategy: str = "point",
    absent: Absent = Absent(),  # noqa: B008 - immutable
) -> Iterator[ChatExample]:
    """Yield the training examples of a file, windows among them as the conversations that `point` or `text` learns."""
    for line in read_jsonl(path, Example):
        yield from as_chats(schema, line.root, strategy, absent)


def _conversation(document: Document) -> Conversation | str:
    """Return the conversation that a document is, or why it is none."""
    label = document.labels.get(OUTPUT)
    if label is None:
        return "a contract with labels, no conversation: export the examples that are made of it"
    beside = [name for name in document.labels if name != OUTPUT]
    if beside:
        return f"a conversation has no place for its {' and '.join(beside)}: keep it in a dataset version"
    messages = (*document.turns, Message(role="user", content=document.text))
    if label == FieldLabel():
        return Conversation(messages, NULL, document.rejected)
    if label.answer is None or label != FieldLabel(parts=(label.answer,), answer=label.answer):
        return "its answer is not what its label quotes"
    if label.answer == NULL:
        return "its answer is the word null, which would come back as null"
    return Conversation(messages, label.answer, document.rejected)


def _write(examples: Iterable[tuple[str, Conversation | str]], format: str, out: Path) -> tuple[int, tuple[str, ...]]:
    """Write examples; return how many, and the keys with dates that may be read as times."""
    if format not in FORMATS:
        what = f"no format {format!r}{nearest(format, FORMATS)}"
        raise UserError(what, where="--format", do=f"use one of {', '.join(FORMATS)}")
    if out.suffix.lower() != ".jsonl":
        do = "give a name that ends in .jsonl: by it the file is known when it is imported"
        raise UserError("an export is JSON Lines", where=str(out), do=do)
    _check_free(out)
    seen, mistakes, columns, rows = Seen(), Mistakes(), Columns(), 0
    first: list[bytes] = []
    with _new_file(out) as stream:
        for name, found in examples:
            row = repeated_id(name) if seen.add(name) else _row(name, found, format)
            if isinstance(row, str):
                mistakes.add(Mistake(shorten(name, 60) or "an example", row))
                continue
            late = columns.late(row.values, stream.tell())
            (first.append if late else stream.write)(row.line)
            rows += 1
        if mistakes.count:
            raise mistakes.error(f"as {format}", "leave these examples out, or choose another format")
        if not rows:
            raise DataError("nothing to export: no example at all", where=str(out), do="give a dataset with rows")
        if first:
            put_first(stream, b"".join(first))
        times = columns.times(stream.seek(0, os.SEEK_END))
    return rows, tuple(key for key in times if key != ID)


class _Row(NamedTuple):
    """A row, and the line that it is written as."""

    values: dict[str, Any]
    line: bytes


def _row(name: str, found: Conversation | str, format: str) -> _Row | str:
    """Return an example as a row, or why it cannot be one that imports again to the same."""
    if isinstance(found, str):
        return found
    if not name:
        return "it has no id"
    if found.rejected is not None and format != "preference":
        return f"it has a rejected answer, for which {format} has no place (--chosen-only leaves it out)"
    shape, write = FORMATS[format]
    try:
        check_turns(found.messages)
        row = {ID: name, **write(found)}
        line = f"{json.dumps(row, ensure_ascii=False)}\n".encode()
    except (Wrong, Unwritable) as error:
        return str(error)
    except UnicodeEncodeError as error:
        return f"half a character: the lone surrogate U+{ord(error.object[error.start]):04X}"
    if len(line) > MAX_LINE:
        return f"{len(line):,} bytes as a line; {MAX_LINE:,} is the most"
    return _lost(name, found, convert(_SHAPES[shape], Row(name, name, row))) or _Row(row, line)


def _lost(name: str, found: Conversation, items: Sequence[Item]) -> str | None:
    """Say what would not come back by an import, None where all would."""
    for item in items:
        if isinstance(item, Drop):
            return f"import would drop it: {item.reason}"
        if isinstance(item, Mistake):
            return item.what
        if isinstance(item, Normalised):
            return f"its answer {shorten(item.raw, 40)!r} is a word for null, and would come back as null"
    return None if items == [conversation_document(name, found)] else "it would come back as another example"


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside its name and give it the name at the end; a failure leaves nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
