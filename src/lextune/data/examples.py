"""Examples on disk: written as documents are cut, read back in the order that a plan wants.

    pool = Pool(out / "train_all.jsonl")
    for document in documents:
        pool.add(document, task.examples(document, ...))
    plan = make_plan(pool.table, config.balance, config.negatives, seed)
    written = write_mixed(out / "train.jsonl", pool.rows(plan.order), config.mix, seed)

No example is held: of each, a few numbers and where its line begins.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from lextune.core.records import Document, Drop
from lextune.data.balance import Plan, Table
from lextune.data.importers.conversation import Conversation
from lextune.data.importers.shapes import conversation_document
from lextune.data.mix import MixConfig, mixed
from lextune.data.warnings import Counted
from lextune.expert.point import GENERAL, ChatExample


class Pool:
    """Examples in a JSON Lines file; use as a context manager to write it, then read from it.

    Attributes:
        table: what balancing needs of each example.
        counted: what the warnings need of the documents.
        longer: for each example, whether `is_long` said that it is too long to train on.
    """

    def __init__(self, path: Path, is_long: Callable[[Any], bool] = lambda example: False) -> None:
        self.path, self.table, self.counted = path, Table(), Counted()
        self.longer = bytearray()
        self._is_long = is_long
        self._documents: list[str] = []
        self._starts = array("q", [0])

    def __enter__(self) -> Pool:
        self._stream = self.path.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stream.close()

    def __len__(self) -> int:
        return len(self.table)

    def add(self, document: Document, examples: Iterable[Any]) -> None:
        """Write what one document teaches."""
        self.counted.add(document)
        self._documents.append(document.id)
        for example in examples:
            line = f"{example.model_dump_json()}\n".encode()
            self._stream.write(line)
            self._starts.append(self._starts[-1] + len(line))
            self.table.add(len(self._documents) - 1, document.contract_type, example)
            self.longer.append(self._is_long(example))

    def rows(self, order: Iterable[int]) -> Iterator[bytes]:
        """Yield the lines of examples, by their places, as often as they are named."""
        with self.path.open("rb") as stream:
            for row in order:
                stream.seek(self._starts[row])
                yield stream.read(self._starts[row + 1] - self._starts[row])

    def drops(self, plan: Plan) -> Iterator[Drop]:
        """Yield what a plan leaves out, in the order of the documents."""
        for row, reason in sorted(plan.dropped.items()):
            document, window = self._documents[self.table.documents[row]], self.table.windows[row]
            yield Drop(what="example", where=document if window < 0 else f"{document}: window {window}", reason=reason)


class Written(NamedTuple):
    """How many lines a file of examples has, how many are general instructions, and which of those are of no use."""

    lines: int
    general: int
    dropped: tuple[Drop, ...] = ()


def write_mixed(path: Path, rows: Iterable[bytes], config: MixConfig, seed: int) -> Written:
    """Write the lines of examples with general instructions between them; see `lextune.data.mix`."""
    lines = general = 0
    dropped: list[Drop] = []
    with path.open("wb") as stream:
        for row in mixed(rows, config, seed, dropped.append):
            lines += 1
            if isinstance(row, ChatExample):
                general += 1
                row = f"{row.model_dump_json()}\n".encode()
            stream.write(row)
    return Written(lines, general, tuple(dropped))


def general_documents(path: Path) -> Iterator[Document]:
    """Yield the general instructions of a file that `write_mixed` wrote, as the rows that they were."""
    with path.open("rb") as stream:
        for line in stream:
            row = json.loads(line)
            if row["document_id"].startswith(GENERAL) and "completion" in row:
                said = ChatExample.model_validate(row)
                yield conversation_document(said.document_id, Conversation(said.messages, said.completion))
