"""Counting what goes through an import or export, in memory that does not grow with the length of rows."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

from lextune.core.errors import DataError, shorten
from lextune.core.mistakes import SHOWN, Mistake, refuse
from lextune.core.records import Document, Drop
from lextune.core.stage import Summary
from lextune.data.importers.report import Normalised, Reasons, line

READ_AS = "read_as"
"""The tag of a document that is of another kind than its file's name says: the kind."""

PARTS = ("quote", "offset", "column", "category", "question", "label", "tags")
"""A Drop of one of these is a part of a document that goes on; any other is a whole one."""

TOLD = 20  # reasons in a summary
_CONTROL = re.compile(
    r"<\|[A-Za-z0-9_]{1,40}\|>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\]|</?s>|<</?SYS>>"
)


class Seen:
    """Names that have occurred, by a hash of 16 bytes each."""

    def __init__(self) -> None:
        self._hashes: set[bytes] = set()

    def add(self, name: str) -> bool:
        """Take a name in; say whether it had occurred."""
        before = len(self._hashes)
        self._hashes.add(hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=16).digest())
        return len(self._hashes) == before


def repeated_id(name: str) -> str:
    """Return what is said of an id that had occurred."""
    return f"the id {shorten(name, 40)!r} occurs a second time"


class Mistakes:
    """Mistakes: how many, and the first five."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[Mistake] = []

    def add(self, mistake: Mistake) -> None:
        """Count one."""
        self.count += 1
        if len(self._first) < SHOWN:
            self._first.append(mistake)

    def error(self, source: str, do: str) -> DataError:
        """Return the one error for all of them; there must be one."""
        if self.count <= SHOWN:
            return refuse(self._first, source, do)
        lines = [f"{self.count} mistakes", *(f"  {where}: {what}" for where, what in self._first)]
        return DataError("\n".join([*lines, f"  and {self.count - SHOWN} more"]), where=source, do=do)


class Tally:
    """Counts of an import, in constant memory."""

    def __init__(self) -> None:
        self.n_out = self.n_dropped = self.control = self.other_kind = 0
        self.mistakes = Mistakes()
        self.reasons = Reasons()
        self.nulls: dict[str, Counter[str]] = {}

    def document(self, document: Document) -> None:
        """Count a document that goes on."""
        self.n_out += 1
        answers = [label.answer or "" for label in document.labels.values()]
        texts = (document.text, document.rejected or "", *(turn.content for turn in document.turns), *answers)
        self.control += any(_CONTROL.search(text) for text in texts)
        self.other_kind += READ_AS in document.tags

    def drop(self, drop: Drop) -> None:
        """Count a drop, and keep the first places of its reason."""
        self.n_dropped += drop.what not in PARTS
        self.reasons.add(drop)

    def null(self, item: Normalised) -> None:
        """Count a value that became null."""
        self.nulls.setdefault(item.field, Counter())[shorten(item.raw, 40)] += 1

    def error(self, source: Path) -> DataError | None:
        """Return the one error that an import ends with, None where it is well."""
        do = "correct these places; `lextune data import --skip-bad` leaves them out and lists them in drops.jsonl"
        if self.mistakes.count:
            return self.mistakes.error(str(source), do)
        if self.n_out:
            return None
        if not self.n_dropped:
            return DataError("nothing in it: no row and no document", where=str(source), do="give the complete file")
        said = "\n  ".join(["nothing in it is of use", *map(line, self.reasons.rows(SHOWN))])
        return DataError(said, where=str(source), do="see `lextune data import --help` for what is read")

    def summary(self) -> Summary:
        """Return the counts, with the drops by reason, most frequent first."""
        return {
            "n_in": self.n_out + self.n_dropped,
            "n_out": self.n_out,
            "n_dropped": self.n_dropped,
            "rejects": self.reasons.total,
            "reasons": self.reasons.rows(TOLD),
            "nulls": {field: raw.total() for field, raw in sorted(self.nulls.items())},
            "with_control_tokens": self.control,
            "of_another_kind": self.other_kind,
        }
