"""What a row means: each shape of fine-tuning data, known by its keys, and the conversation it holds.

Every shape is read into the same thing, a conversation with its last answer; `lextune.data.export` writes it back.
Text of a row is never interpreted: `<|im_end|>` or `[/INST]` inside it stays ordinary text.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from lextune.core.artifacts import sha256_json
from lextune.core.errors import DataError, shorten
from lextune.core.mistakes import Mistake
from lextune.core.records import Document, Drop, FieldLabel, Message
from lextune.data.importers.conversation import Conversation, Shape, Values, text_of
from lextune.data.importers.lines import Row
from lextune.data.importers.openai_log import answer_of, is_log, request_of
from lextune.data.importers.report import Item, Normalised
from lextune.data.importers.task_rows import TASK_SHAPES
from lextune.data.importers.turns import Unfit, Wrong, check_turns, read_messages, unknown_key
from lextune.expert.tasks import OUTPUT
from lextune.text.values import NULL, is_null

ID, TAGS = "id", "tags"
LOG = "openai-log"


def _instruction(values: Values) -> Conversation:
    instruction, given = text_of(values, "instruction"), text_of(values, "input", "")
    if not instruction.strip():
        raise Unfit("the instruction is empty")
    system = text_of(values, "system", "")
    messages = [Message(role="system", content=system)] if system else []
    history = values.get("history") or ()
    if isinstance(history, str) and not history.strip():  # an empty cell of a table
        history = ()
    if not isinstance(history, list | tuple):
        raise Wrong("'history' is not a list of pairs of texts")
    for index, pair in enumerate(history):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(side, str) for side in pair):
            raise Wrong(f"history[{index}] is not a pair of texts")
        messages += [Message(role="user", content=pair[0]), Message(role="assistant", content=pair[1])]
    question = f"{instruction}\n\n{given}" if given else instruction
    return Conversation((*messages, Message(role="user", content=question)), text_of(values, "output"))


def _last_answer(messages: Sequence[Message], key: str) -> Conversation:
    """Return the conversation up to its last message, which must be an answer; it may have none else."""
    if not messages:
        raise Wrong(f"{key!r} is empty")
    if messages[-1].role != "assistant":
        raise Wrong(f"{key!r} ends with a message of the {messages[-1].role}, an assistant's answer is needed")
    return Conversation(tuple(messages[:-1]), messages[-1].content)


def _chat(values: Values) -> Conversation:
    if values.get("tools"):
        raise Unfit("a conversation with tools")
    return _last_answer(read_messages(values["messages"], "messages"), "messages")


def _sharegpt(values: Values) -> Conversation:
    if values.get("tools"):
        raise Unfit("a conversation with tools")
    messages = read_messages(values["conversations"], "conversations", role="from", content="value")
    system = text_of(values, "system", "")
    if system:
        messages.insert(0, Message(role="system", content=system))
    return _last_answer(messages, "conversations")


def _prompt(values: Values) -> list[Message]:
    prompt = values["prompt"]
    return [Message(role="user", content=prompt)] if isinstance(prompt, str) else read_messages(prompt, "prompt")


def _prompt_completion(values: Values) -> Conversation:
    completion = values["completion"]
    if isinstance(values["prompt"], str) != isinstance(completion, str):
        raise Wrong("'prompt' and 'completion' are not both texts or both lists of messages")
    if isinstance(completion, str):
        return Conversation(tuple(_prompt(values)), completion)
    return _last_answer([*_prompt(values), *read_messages(completion, "completion")], "completion")


def _preference(values: Values) -> Conversation:
    chosen, rejected = values["chosen"], values["rejected"]
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise Wrong("'chosen' and 'rejected' are not both texts or both lists of messages")
    given = values.get("prompt") is not None and (values["prompt"] != "" or isinstance(chosen, str))
    prompt = _prompt(values) if given else []
    if isinstance(chosen, str):
        if not given:
            raise Wrong("'prompt' is missing, which texts without messages need")
        return Conversation(tuple(prompt), chosen, rejected)
    better = _last_answer(_after(prompt, read_messages(chosen, "chosen")), "chosen")
    worse = _last_answer(_after(prompt, read_messages(rejected, "rejected")), "rejected")
    if better.messages != worse.messages:
        raise Unfit("chosen and rejected differ before their last answers")
    return better._replace(rejected=worse.answer)


def _after(prompt: list[Message], answer: list[Message]) -> list[Message]:
    """Return a prompt with its answer; an answer that repeats the prompt before it holds both already."""
    return answer if prompt and answer[: len(prompt)] == prompt else [*prompt, *answer]


def _log(arguments: bool) -> Callable[[Values], Conversation]:
    def read(values: Values) -> Conversation:
        messages = read_messages(request_of(values), "messages", strict=False)
        if messages and messages[-1].role == "assistant":
            raise Unfit("the request ends with a message of the assistant")
        return Conversation(tuple(messages), answer_of(values, arguments=arguments))

    return read


def shapes(*, arguments: bool = False) -> dict[str, Shape]:
    """Return all shapes by name, those with the most telling keys first.

    Args:
        arguments: whether a function call in a log is learnt with its arguments, as JSON, or by its name alone.
    """
    every = (
        Shape(LOG, ("request", "response"), (), _log(arguments), open=True),
        Shape("preference", ("chosen", "rejected"), ("prompt",), _preference),
        Shape("chat", ("messages",), ("tools",), _chat),
        Shape("sharegpt", ("conversations",), ("system", "tools"), _sharegpt),
        Shape("prompt-completion", ("prompt", "completion"), (), _prompt_completion),
        Shape("instruction", ("instruction", "output"), ("input", "system", "history"), _instruction),
        *TASK_SHAPES,
    )
    return {shape.name: shape for shape in every}


def detect(values: Values, known: Mapping[str, Shape]) -> Shape | None:
    """Return the shape that a row has by its keys, None where no shape has them."""
    if is_log(values):
        return known[LOG]
    return next((shape for shape in known.values() if all(key in values for key in shape.keys)), None)


def no_shape(values: Values, where: str) -> DataError:
    """Return the error for a first row that has no known shape; names the shape that its keys are most like."""
    keys = [str(key) for key in values]
    best = max(shapes().values(), key=lambda shape: _likeness(keys, shape))
    near = [unknown_key(key, best.keys) for key in keys if key not in (ID, TAGS, *best.keys, *best.optional)]
    hint = f"nearest is {best.name} ({', '.join(best.keys)})" if _likeness(keys, best) else ""
    said = [part for part in (hint, *(n for n in near if "did you mean" in n)) if part]
    shown = ", ".join(repr(shorten(key, 30)) for key in keys[:6]) + (", ..." if len(keys) > 6 else "")
    what = f"rows of no known shape: their keys are {shown or 'none'}{'; ' if said else ''}{'; '.join(said)}"
    return DataError(what, where=where, do=f"rename the keys, or say --format {'|'.join(shapes())}")


def _likeness(keys: Sequence[str], shape: Shape) -> int:
    """Return how much a row's keys look like a shape's: two for each that is there, one for each that nearly is."""
    return sum(2 * (key in keys) or bool(difflib.get_close_matches(key, keys, n=1)) for key in shape.keys)


def convert(shape: Shape, row: Row, ignore: Collection[str] = ()) -> list[Item]:
    """Return what a row becomes: its Document and what the null contract changed in it, or a Drop, or a Mistake.

    Args:
        shape: how the row is read.
        row: the row; without an `id` it is named after its place.
        ignore: keys to leave out of account.
    """
    values = {key: value for key, value in row.values.items() if key not in ignore} if ignore else row.values
    try:
        name = _id(values) or row.name
        tags = {} if shape.open else _tags(values)
        check_keys(shape, values)
        found = shape.read(values)
        check_turns(found.messages)
        _check_texts((name, *tags, *tags.values()), found)
    except Wrong as error:
        return [Mistake(row.where, str(error))]
    except Unfit as error:
        return [Drop(what="row", where=row.where, reason=str(error))]
    document = conversation_document(name, found).model_copy(update={"tags": tags})
    if document.labels[OUTPUT].present or found.answer == NULL:
        return [document]
    return [document, Normalised(row.where, OUTPUT, found.answer)]


def _id(values: Values) -> str:
    given = values.get(ID)
    if given is None:
        return ""
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise Wrong(f"{ID!r} is not a string")
    return str(given)


def _tags(values: Values) -> dict[str, str]:
    """Return a row's tags: of an object under `tags`, and of columns such as `tags.tenant`; empty ones are none."""
    given = values.get(TAGS) or {}
    if not isinstance(given, Mapping):
        raise Wrong(f"{TAGS!r} is not an object of texts")
    flat = {key.removeprefix(f"{TAGS}."): value for key, value in values.items() if _is_tag(key)}
    found = {str(name): "" if value is None else value for name, value in {**given, **flat}.items()}
    wrong = next((name for name, value in found.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise Wrong(f"the tag {shorten(wrong, 30)!r} is not a string")
    return {name: value.strip() for name, value in found.items() if value.strip()}


def _is_tag(key: str) -> bool:
    return key.startswith(f"{TAGS}.")


def check_keys(shape: Shape, values: Values) -> None:
    """Check that a row has all keys of its shape and no others; any may have an id and tags.

    Raises:
        Wrong: an unknown key, with the nearest that is known, or a missing one.
    """
    known = (ID, TAGS, *shape.keys, *shape.optional)
    unknown = [] if shape.open else [key for key in values if key not in known and not _is_tag(str(key))]
    if unknown:
        raise Wrong(unknown_key(unknown[0], known))
    missing = [key for key in shape.keys if key not in values]
    if missing and not shape.open:
        raise Wrong(f"{missing[0]!r} is missing")


def _check_texts(names: Iterable[str], found: Conversation) -> None:
    """Check that a conversation and the row's `names` can be written, and that something is asked and answered."""
    labels = (part for _, parts in found.labels for part in parts)
    texts = [*names, *(message.content for message in found.messages), found.answer, found.rejected or "", *labels]
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        code = ord("".join(texts)[error.start])
        raise Wrong(f"half a character: the lone surrogate U+{code:04X}") from None
    if not found.messages[-1].content.strip():
        raise Unfit("the question is empty")
    if not found.answer.strip():
        raise Unfit("the output is empty")
    if found.rejected is not None and not found.rejected.strip():
        raise Unfit("the rejected answer is empty")
    if found.rejected == found.answer:
        raise Unfit("chosen and rejected are the same")


def answer_label(answer: str) -> FieldLabel:
    """Return the label of an answer; one that is null has no parts."""
    null = answer.strip().casefold() == NULL or is_null(answer, quoted=True)
    return FieldLabel() if null else FieldLabel(parts=(answer,), answer=answer)


def conversation_document(name: str, found: Conversation) -> Document:
    """Return a conversation as a document whose field `output` is labelled; an answer that is null has no parts.

    What its task's scorer wants beside the answer are further labels. Its sha256 is of what is said before the
    answer: the question's UTF-8, or of all messages as JSON.
    """
    *turns, question = found.messages
    digest = hashlib.sha256(question.content.encode()).hexdigest()
    if turns:
        digest = sha256_json([[message.role, message.content] for message in found.messages])
    return Document(
        id=name,
        name=name,
        sha256=digest,
        text=question.content,
        turns=tuple(turns),
        rejected=found.rejected,
        labels={OUTPUT: answer_label(found.answer), **{name: FieldLabel(parts=parts) for name, parts in found.labels}},
    )
