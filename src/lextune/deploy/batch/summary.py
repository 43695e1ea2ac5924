"""The summary of a batch: how often each field was found, absent or for review, for all and for each contract type."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from lextune.core.records import Record

REASONS = 50  # different ones that are counted apart
OTHER = "other reasons"
_NUMBER = re.compile(r"(?<![\w-])(?:0x[0-9a-fA-F]+|\d[\d.,]*)")


class Tally:
    """Counts of documents and fields; its size does not grow with the number of documents."""

    def __init__(self) -> None:
        self._fields: dict[str, Counter[str]] = {}
        self._types: dict[str, Counter[str]] = {}
        self._failures, self._skipped = Counter[str](), Counter[str]()
        self.scanned = 0
        """How many records are of documents with pages that are pictures, which were not read."""

    def add(self, record: Record, type_: str | None) -> None:
        """Count a document's record under its contract type."""
        of_type = self._types.setdefault(type_ or "unknown", Counter())
        of_type["documents"] += 1
        self.scanned += bool(record.document.scanned_pages)
        for name, answer in record.fields.items():
            marks = ["absent"] if answer is None else ["present"]
            marks += ["review"] if answer is not None and answer.status == "review" else []
            self._fields.setdefault(name, Counter()).update(marks)
            of_type.update(marks)
        for name in record.not_assessed:
            self._fields.setdefault(name, Counter())["not_assessed"] += 1

    def fail(self, reason: str) -> None:
        """Count a failure."""
        _count(self._failures, reason)

    def skip(self, reason: str) -> None:
        """Count a file that was passed over."""
        _count(self._skipped, reason)

    @property
    def failed(self) -> int:
        """How many failures there were."""
        return self._failures.total()

    @property
    def skipped(self) -> int:
        """How many files were passed over."""
        return self._skipped.total()

    @property
    def documents(self) -> int:
        """How many records there were."""
        return sum(counts["documents"] for counts in self._types.values())

    def as_json(self) -> dict[str, Any]:
        """Return {fields, types, failures, skipped}; rates are shares of assessed pairs, `review` of present ones."""
        return {
            "fields": {name: _rates(counts) | _unassessed(counts) for name, counts in self._fields.items()},
            "types": {
                name: {"documents": counts["documents"], **_rates(counts)}
                for name, counts in sorted(self._types.items(), key=lambda item: (-item[1]["documents"], item[0]))
            },
            "failures": dict(self._failures.most_common()),
            "skipped": dict(self._skipped.most_common()),
        }


def _count(counts: Counter[str], reason: str) -> None:
    """Count a reason; those that differ in their numbers alone are one."""
    alike = _NUMBER.sub("N", reason)
    counts[alike if alike in counts or len(counts) < REASONS else OTHER] += 1


def _rates(counts: Counter[str]) -> dict[str, Any]:
    present, absent, review = counts["present"], counts["absent"], counts["review"]
    assessed = present + absent
    return {
        "present": present,
        "null": absent,
        "review": review,
        "present_rate": present / assessed if assessed else None,
        "null_rate": absent / assessed if assessed else None,
        "review_rate": review / present if present else None,
    }


def _unassessed(counts: Counter[str]) -> dict[str, int]:
    return {"not_assessed": counts["not_assessed"]}
