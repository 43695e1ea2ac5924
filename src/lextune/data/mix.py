"""Mixing general instructions into training, so that a model which learns one task keeps the others.

    for example in mixed(examples, MixConfig(share=0.1), seed=0): ...

The rows come from this package (`general`), a file of rows in any shape that can be imported, or a hub set.
They are spread evenly between the task's own examples; their `document_id` begins with `general-`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from lextune.core.errors import DataError, MachineError, NetworkError, RecipeError, shorten
from lextune.core.mistakes import Mistake, refuse
from lextune.core.recipe import Config
from lextune.core.records import Document, Drop, Message
from lextune.data.fetch import failure_to_reach
from lextune.data.importers.lines import Row
from lextune.data.importers.report import Normalised
from lextune.data.importers.rows import is_row_file, read_rows
from lextune.data.importers.shapes import convert, shapes
from lextune.expert.point import GENERAL, ChatExample
from lextune.expert.tasks import OUTPUT
from lextune.text.values import NULL

PACKAGED = "general"
WRITES = ("point", "text")  # the strategies that write text
T = TypeVar("T")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class MixConfig(Config):
    """General instructions among the training examples; none by default."""

    share: float = Field(0.0, ge=0, lt=1)
    """Their share of the mixed examples (`point` and `text` only)."""
    source: str = PACKAGED
    """`general` (about 120 instructions of this package), a file of rows, or a hub set (`owner/name`)."""
    rows: int = Field(10_000, ge=1)
    """The most rows of the source that are used, drawn at random."""
    repeats: int = Field(4, ge=1)
    """How often one of them is used at most; where that is too few, the share stays smaller."""


def check_mix(config: MixConfig, strategy: str) -> None:
    """Refuse general instructions for a strategy that cannot learn them.

    Raises:
        RecipeError: a share is given and the strategy writes no text.
    """
    if config.share and strategy not in WRITES:
        raise RecipeError(
            f"the strategy {strategy} writes no text, so it cannot learn general instructions",
            where="mix.share",
            do=f"set it to 0, or train.strategy to {' or '.join(WRITES)}",
        )


def _unheard(drop: Drop) -> None:
    """Take a drop that nobody asked for."""


def mixed(
    examples: Iterable[T], config: MixConfig, seed: int, drop: Callable[[Drop], object] = _unheard
) -> Iterator[T | ChatExample]:
    """Yield the examples in their order, with general instructions spread between them.

    After k examples there are round(k * share / (1 - share)) instructions, so the share is right at every length
    and no example is held. The source is read where the share is not 0, before the first example is yielded;
    `drop` is told of each of its rows that is of no use.

    Raises:
        DataError: the source is missing or wrong.
        NetworkError: it is a hub set, and the hub cannot be reached.
    """
    if not config.share:
        yield from examples
        return
    general = _in_rounds(_drawn(general_rows(config.source, drop), config.rows, seed), config.repeats, seed)
    rate, given = config.share / (1 - config.share), 0
    for count, example in enumerate(examples, start=1):
        yield example
        while given < round(count * rate):
            one = next(general, None)
            if one is None:
                break
            given += 1
            yield one


def _drawn(rows: Iterable[ChatExample], most: int, seed: int) -> list[ChatExample]:
    """Return at most so many rows, each as likely as another (reservoir sampling), without holding the others."""
    draw, kept = random.Random(f"mix {seed}"), list[ChatExample]()
    for count, row in enumerate(rows):
        if count < most:
            kept.append(row)
        elif (place := draw.randrange(count + 1)) < most:
            kept[place] = row
    return kept


def _in_rounds(rows: list[ChatExample], rounds: int, seed: int) -> Iterator[ChatExample]:
    """Yield all rows, in another order every round."""
    draw = random.Random(f"mix order {seed}")
    for _ in range(rounds):
        draw.shuffle(rows)
        yield from rows


def general_rows(source: str, drop: Callable[[Drop], object] = _unheard) -> Iterator[ChatExample]:
    """Yield the instructions of a source, named after their places in it.

    Args:
        source: `general`, the path of a file of rows in any shape that is imported, or a hub set's name.
        drop: is told of each row that is of no use.

    Raises:
        DataError: no such file, or it (or the hub set) has no rows of a shape that is known, or wrong ones.
        NetworkError: a hub set, and the hub cannot be reached.
        MachineError: a hub set, and the package `datasets` is missing.
    """
    if source == PACKAGED:
        path = Path(str(resources.files("lextune.resources").joinpath("general_instructions.jsonl")))
    else:
        path = Path(source)
    on_hub = not path.exists() and not is_row_file(path) and _HUB_NAME.fullmatch(source) is not None
    mistakes, found = list[Mistake](), 0
    for number, row in enumerate(_from_hub(source) if on_hub else read_rows(path), start=1):
        said = row if isinstance(row, Mistake) else _read(row, f"{GENERAL}{number}")
        if isinstance(said, Mistake):
            mistakes.append(said)
        elif isinstance(said, Drop):
            drop(said)
        else:
            found += 1
            yield said
    do = f"write instruction and output, prompt and completion, or messages; or use {PACKAGED}"
    if mistakes:
        raise refuse(mistakes, f"mix.source: {source}", do)
    if not found:
        raise DataError("no row can be used", where=f"mix.source: {source}", do=do)


def _read(row: Row, name: str) -> ChatExample | Drop | Mistake:
    """Return what a row teaches, read as an import reads it; other keys than those of its shape do not count."""
    shape = next((shape for shape in shapes().values() if all(key in row.values for key in shape.keys)), None)
    if shape is None:
        return Mistake(row.where, f"no shape that is known; its keys: {shorten(', '.join(row.values), 60)}")
    known = (*shape.keys, *shape.optional)
    item, *_ = convert(shape, row, [key for key in row.values if key not in known and not shape.open])
    if not isinstance(item, Document):
        assert not isinstance(item, Normalised)  # it comes after its document
        return item
    messages = (*item.turns, Message(role="user", content=item.text))
    return ChatExample(document_id=name, messages=messages, completion=item.labels[OUTPUT].answer or NULL)


def _from_hub(name: str) -> Iterator[Row]:
    try:
        import datasets
        from huggingface_hub import constants
    except ImportError:
        raise MachineError("the package datasets is missing", where="mix.source", do="pip install datasets") from None
    if not constants.HF_HUB_OFFLINE and (reason := failure_to_reach(constants.ENDPOINT)):
        raise _no_answer(name, reason)
    try:
        rows = datasets.load_dataset(name, split="train", streaming=True)
        for number, values in enumerate(rows, start=1):
            yield Row(f"{name}:{number}", f"{name}-{number}", values)
    except ConnectionError as error:
        raise _no_answer(name, type(error).__name__) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"the hub has no such set, or it cannot be read ({type(error).__name__})",
            where=f"mix.source: {name}",
            do=f"name a hub set (owner/name) with a split train, a .jsonl file, or {PACKAGED}",
        ) from None


def _no_answer(name: str, reason: str) -> NetworkError:
    do = f"check the name and the network, name a .jsonl file, or use {PACKAGED}, which works offline"
    return NetworkError(f"the hub does not answer ({reason})", where=f"mix.source: {name}", do=do)
