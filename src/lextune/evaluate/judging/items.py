"""What is judged: a question with one answer or two, from a file of them, or from two arms' predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lextune.core.files import read_rows
from lextune.core.records import Document, Prediction
from lextune.evaluate.answer_pairs import pairs_of


class Item(BaseModel):
    """A question, the right answer where one is known, and the answers that are judged."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)
    id: str
    prompt: str
    gold: str | None = None
    a: str
    b: str | None = None
    document: str | None = None
    """What it is of, where several items are of one document."""


def read_items(path: Path) -> list[Item]:
    """Read items from JSON Lines, or from CSV with these columns: id, prompt, a; gold, b, document where there are any.

    Raises:
        DataError: the file cannot be read or has no rows, or rows are no items or have an id twice (one error for all).
    """
    do = "give each row an id of its own, prompt and a, and gold, b and document where there are any"
    return [item for _, item in read_rows(path, Item, do, key="id")]


def items_of(documents: Sequence[Document], a: Sequence[Prediction], b: Sequence[Prediction]) -> list[Item]:
    """Return what two arms answered to the documents that both read; see `lextune.evaluate.answer_pairs.pairs_of`.

    Raises:
        DataError: the arms have no document in common.
    """
    return [Item(**pair.model_dump()) for pair in pairs_of(documents, a, b)]
