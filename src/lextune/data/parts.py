"""From a file of documents to the files of a split, in two or three passes, with one document in memory at a time."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median
from typing import Any

from lextune.core.artifacts import read_jsonl, write_atomic, write_jsonl
from lextune.core.learnt import LEARNT_FILE, LOCK_FILE, learnt_json
from lextune.core.records import Document
from lextune.data.dedupe import LEAK, Near, opening, overlaps, own_words
from lextune.data.lock import make_lock, text_hash
from lextune.data.split import SPLITS, Split, SplitConfig, divide, left_out, refuse_leaks, sorted_leaks
from lextune.data.stratify import Item, item


class PartCard:
    """What the card of one part says, gathered one document at a time."""

    def __init__(self) -> None:
        self._lengths = array("q")
        self._types: Counter[str] = Counter()
        self._present: Counter[str] = Counter()
        self._assessed: Counter[str] = Counter()

    def add(self, document: Document) -> None:
        """Count one document."""
        self._lengths.append(len(document.text))
        self._types[document.contract_type or "unknown"] += 1
        self._assessed.update(iter(document.labels))
        self._present.update(field for field, label in document.labels.items() if label.present)

    def as_json(self) -> dict[str, Any]:
        """Return the card; fields are those that were assessed in some document."""
        lengths = self._lengths or [0]
        return {
            "n": len(self._lengths),
            "characters": {"mean": mean(lengths), "median": median(lengths), "max": max(lengths)},
            "contract_types": dict(self._types.most_common()),
            "fields_per_document": sum(self._present.values()) / max(1, len(self._lengths)),
            "presence": {f: {"present": self._present[f], "assessed": n} for f, n in self._assessed.items()},
        }


def write_split(documents: Path, config: SplitConfig, out: Path) -> dict[str, Any]:
    """Divide the documents of a JSONL file by family, refuse a split that leaks, and write its files.

    Written are a file for each part, `drops.jsonl`, `assignment.json` (id to part), `test_lock.json` and, of the other
    documents, `learnt_from.json`.

    Returns:
        What the card says of the split.

    Raises:
        DataError: as `divide`, or near-duplicates are in different parts.
    """
    items: list[Item] = []
    near = overlaps(_wordings(documents, items), LEAK)
    ids = [document.id for document in items]
    division = divide(items, ([ids[i] for i in family] for family in near.families()), config)
    assignment = division.parts
    # Families come from the same pairs, so this fires only where the placing is wrong; the guide says so.
    refuse_leaks(sorted_leaks(near, ids, assignment))
    cards, hashes = _write_parts(documents, assignment, out)
    lock = make_lock({name: digest for name, digest in hashes.items() if assignment[name] == "test"})
    write_jsonl(out / "drops.jsonl", left_out(division))
    write_atomic(out / "assignment.json", json.dumps(assignment, indent=0, sort_keys=True))
    write_atomic(out / LOCK_FILE, lock.model_dump_json(indent=0))
    learnt = [digest for name, digest in hashes.items() if assignment[name] != "test"]
    tuned = [digest for name, digest in hashes.items() if assignment[name] == "validation"]
    write_atomic(out / LEARNT_FILE, learnt_json(learnt, tuned))
    return {
        "documents": {name: cards[name]["n"] for name in SPLITS},
        "families": [[ids[i] for i in family] for family in near.repeated()],
        "leakage": _verdict(near),
        "test_lock": {"sha256": lock.sha256, "documents": len(lock.texts)},
        "parts": cards,
    }


def _wordings(path: Path, items: list[Item]) -> Iterator[str]:
    """Yield the own words of each document, and note what the split needs to know of it."""
    shared = opening(read_jsonl(path, Document))
    strata: dict[tuple[str, ...], tuple[str, ...]] = {}
    for document in read_jsonl(path, Document):
        found = item(document)
        items.append(found._replace(strata=strata.setdefault(found.strata, found.strata)))
        yield own_words(document, shared)


def _write_parts(path: Path, assignment: dict[str, Split], out: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Write a file for each part; return the parts' cards, and `text_hash` of each document by its id."""
    cards = {name: PartCard() for name in SPLITS}
    hashes: dict[str, str] = {}
    with ExitStack() as stack:
        lines = stack.enter_context(path.open(encoding="utf-8"))
        files = {n: stack.enter_context((out / f"{n}.jsonl").open("w", encoding="utf-8")) for n in SPLITS}
        for line in lines:
            document = Document.model_validate_json(line)
            part = assignment.get(document.id)
            if part is None:
                continue
            files[part].write(line if line.endswith("\n") else f"{line}\n")
            cards[part].add(document)
            hashes[document.id] = text_hash(document)
    return {name: card.as_json() for name, card in cards.items()}, hashes


def _verdict(near: Near) -> str:
    how = "all pairs counted" if near.exact else "crowds of like rows compared with leaders, whole families in one part"
    return f"none found (Jaccard >= {LEAK.jaccard} or containment >= {LEAK.containment} of 5-word shingles; {how})"
