"""What a model is trained on, shown before anything is trained: one example's tokens, and which of them are learnt.

An example of the generative strategies is a conversation, tokenised by the template that trains and serves it; one
of `tag` is a window's sentences with their fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import Artifact, read_jsonl
from lextune.core.errors import ArtifactError, DataError
from lextune.core.records import Document
from lextune.data.mix import WRITES
from lextune.expert.head import tag_input
from lextune.expert.point import ChatExample
from lextune.expert.quoting import Absent
from lextune.expert.schema import Schema
from lextune.expert.tasks import OUTPUT, TASKS, Example, as_chats, get_task
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, WindowExample

CLAUSES = "clause-extraction"
KINDS = {"documents": "documents.jsonl", "examples": "train.jsonl"}


class ShownToken(BaseModel):
    """One token; a character of several tokens is the `text` of the last of them."""

    model_config = ConfigDict(frozen=True)
    id: int
    text: str
    control: bool
    trained: bool
    stop: bool


class ShownChat(BaseModel):
    """A conversation as the model reads it; the trained tokens are the answer's, and the last one stops it."""

    model_config = ConfigDict(frozen=True)
    document_id: str
    strategy: str
    template: str
    tokens: tuple[ShownToken, ...]

    @property
    def trained(self) -> int:
        """How many tokens are learnt."""
        return sum(token.trained for token in self.tokens)


class ShownSentence(BaseModel):
    """A sentence of a window, the fields it answers, and those that are not counted there either way."""

    model_config = ConfigDict(frozen=True)
    text: str
    fields: tuple[str, ...]
    ignored: tuple[str, ...]


class ShownWindow(BaseModel):
    """A window as the `tag` strategy learns it; `tokens` is how many the model reads."""

    model_config = ConfigDict(frozen=True)
    document_id: str
    strategy: str
    heading: str
    tokens: int
    sentences: tuple[ShownSentence, ...]


Shown = ShownChat | ShownWindow


def preview(
    artifact: Artifact, codec: Codec, schema: Schema, strategy: str | None = None, *, index: int = 0, n: int = 1
) -> list[Shown]:
    """Return examples of a dataset as they are trained on.

    Args:
        artifact: of kind `documents` (conversations or contracts) or `examples` (of which it shows the training part).
        codec: of the base model.
        schema: names the fields of contracts; conversations need none of its fields.
        strategy: `tag`, `point` or `text`; None for that of the artifact, else `point` or `text` by what a row is.
        index: number of the first example, from 0. A contract is as many examples as it has windows (for `text`, as its
            windows are asked questions).
        n: how many at most.

    Raises:
        ArtifactError: another kind of artifact.
        DataError: there is no example of that number.
        RecipeError: a strategy that such rows do not have.
    """
    if artifact.kind not in KINDS:
        raise ArtifactError(
            f"this is a {artifact.kind}, documents or examples are needed",
            where=str(artifact.path),
            do=f"pass a dataset's folder; `lextune show {artifact.path}` says what this one is",
        )
    strategy = strategy or artifact.manifest.config.get("strategy")
    shown = [
        show_window(example, codec, schema) if isinstance(example, WindowExample) else show_chat(example, codec, way)
        for example, way in islice(_examples(artifact, codec, schema, strategy), index, index + n)
    ]
    if not shown:
        count = sum(1 for _ in _examples(artifact, codec, schema, strategy))
        raise DataError(
            f"the dataset has {count} example{'' if count == 1 else 's'}, numbered from 0",
            where=f"--index {index}",
            do="give a smaller number" if count else "check that its documents have labels",
        )
    return shown


def _examples(
    artifact: Artifact, codec: Codec, schema: Schema, strategy: str | None
) -> Iterator[tuple[WindowExample | ChatExample, str]]:
    """Yield a dataset's examples as a strategy learns them, one at a time, each with that strategy."""
    absent = Absent.of(artifact)
    for example, way in _stored(artifact, codec, schema, strategy):
        if way == "tag":
            yield example, way
        else:
            yield from ((chat, way) for chat in as_chats(schema, example, way, absent))


def _stored(
    artifact: Artifact, codec: Codec, schema: Schema, strategy: str | None
) -> Iterator[tuple[WindowExample | ChatExample, str]]:
    """Yield a dataset's windows and conversations, each with the strategy it is shown by."""
    file, config = artifact.file(KINDS[artifact.kind]), artifact.manifest.config
    if artifact.kind == "examples":
        way = _strategy(str(config["task"]), strategy)
        yield from ((line.root, way) for line in read_jsonl(file, Example))
        return
    window = WindowConfig.model_validate(config.get("window") or {})
    for document in read_jsonl(file, Document):
        task = "instruction" if OUTPUT in document.labels else CLAUSES
        way = _strategy(task, strategy)
        for example in get_task(task).examples(document, schema, codec, window, way):
            yield example, way


def _strategy(task: str, asked: str | None) -> str:
    strategy = asked or next(each for each in TASKS[task].strategies if each in WRITES)
    TASKS[task].check_strategy(strategy)
    return strategy


def show_chat(example: ChatExample, codec: Codec, strategy: str) -> ShownChat:
    """Return a conversation's tokens, those of its answer and stop token marked as trained."""
    prompt = codec.tokens(codec.template.pieces(example.messages, answer_next=True))
    answer = codec.tokens(codec.template.answer(example.completion))
    last = len(prompt) + len(answer) - 1
    tokens = tuple(
        ShownToken(**token._asdict(), trained=at >= len(prompt), stop=at == last)
        for at, token in enumerate([*prompt, *answer])
    )
    return ShownChat(document_id=example.document_id, strategy=strategy, template=codec.template.name, tokens=tokens)


def show_window(example: WindowExample, codec: Codec, schema: Schema) -> ShownWindow:
    """Return a window's sentences with the names of their fields."""

    def names(fields: Sequence[int]) -> tuple[str, ...]:
        return tuple(schema.names[number] for number in fields)

    rows = zip(example.texts, example.positives, example.ignored, strict=True)
    return ShownWindow(
        document_id=example.document_id,
        strategy="tag",
        heading=example.heading,
        tokens=len(tag_input(codec, example.heading, example.texts).ids),
        sentences=tuple(ShownSentence(text=t, fields=names(p), ignored=names(i)) for t, p, i in rows),
    )
