"""One of documents that are near-duplicates: a dataset version without the others, or what is alike alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO

from pydantic import Field

from lextune.core.artifacts import read_jsonl
from lextune.core.errors import UserError
from lextune.core.recipe import Config
from lextune.core.records import Document, Drop
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.data.clauses import Places, clauses
from lextune.data.dedupe import NEAR_DUPLICATE, Near, near_duplicates, opening, own_words
from lextune.expert.tasks import OUTPUT

LISTED = 20  # places of a clause that are named; all are counted
Level = Literal["document", "clause"]


class DedupeConfig(Config):
    """What counts as a near-duplicate."""

    threshold: float = Field(NEAR_DUPLICATE.jaccard, ge=0.3, le=1)
    """Jaccard similarity of 5-word shingles from which two texts are near-duplicates."""


def document_families(path: Path, threshold: float, ray: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield what is alike in a JSONL file: the id `kept`, those `dropped` as near-duplicates of it, `same_words`.

    Kept is the document with the most labels, the first of several. Rows with other system messages, and preference
    pairs with other answers, are no duplicates.
    """
    read = _documents(path, threshold, ray)
    unused = len(read.ids)
    yield from _dropping(read, threshold, array("q", [-1]) * unused, array("d", [0]) * unused)


def clause_families(path: Path, threshold: float, ray: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the families of clauses of a JSONL file's documents, the largest first.

    Each has the beginning of its first `text`, the number `n` of its places and of the `documents` they are in, and
    the first `places`.
    """
    places = Places()

    def texts() -> Iterator[str]:
        for document in read_jsonl(path, Document):
            places.open(document)
            for start, end, text in clauses(document):
                places.add(start, end)
                yield text

    families = sorted(near_duplicates(texts(), threshold, ray).repeated(), key=lambda family: (-len(family), family[0]))
    beginnings = {
        place: places.excerpt(document, place)
        for document, firsts in places.visit(read_jsonl(path, Document), (family[0] for family in families))
        for place in firsts
    }
    for family in families:
        yield {
            "text": beginnings[family[0]],
            "n": len(family),
            "documents": len({places.documents[i] for i in family}),
            "places": [
                {"document": places.id_of(i), "start": places.starts[i], "end": places.ends[i]} for i in family[:LISTED]
            ],
        }


def families_of(path: Path, level: str, threshold: float, ray: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the families of documents or of clauses.

    Raises:
        UserError: the level is neither.
    """
    if level not in ("document", "clause"):
        raise UserError(f"no level {level!r}", where="--level", do="use document or clause")
    yield from (document_families if level == "document" else clause_families)(path, threshold, ray)


def run_dedupe(config: DedupeConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write the documents that are kept, a Drop for each other, and the families (`families.json`)."""
    source = inputs["documents"]
    path = source.file("documents.jsonl")
    read = _documents(path, config.threshold, context.options.get("ray"))
    ids = read.ids
    kept_for, alike = array("q", [-1]) * len(ids), array("d", [0]) * len(ids)
    with (out / "families.json").open("w", encoding="utf-8") as stream:
        count = _write_array(stream, _dropping(read, config.threshold, kept_for, alike))
    dropped = sum(kept >= 0 for kept in kept_for)
    with (
        path.open(encoding="utf-8") as lines,
        (out / "documents.jsonl").open("w", encoding="utf-8") as going_on,
        (out / "drops.jsonl").open("w", encoding="utf-8") as drops,
    ):
        for name, kept, jaccard, line in zip(ids, kept_for, alike, lines, strict=True):
            if kept < 0:
                going_on.write(line if line.endswith("\n") else f"{line}\n")
                continue
            reason = f"a near-duplicate of {ids[kept]} (Jaccard similarity {jaccard:.2f})"
            drops.write(Drop(what="document", where=name, reason=reason).model_dump_json() + "\n")
    if "nulls.json" in source.manifest.files:
        shutil.copyfile(source.file("nulls.json"), out / "nulls.json")
    counts = {"n_in": len(ids), "n_out": len(ids) - dropped, "n_dropped": dropped}
    return {**counts, "families": count, "source": source.manifest.summary.get("source")}


def _write_array(stream: TextIO, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as one JSON array, as `json.dumps(..., indent=1)` lays it out, one at a time; return how many."""
    count = 0
    for count, row in enumerate(rows, start=1):
        text = json.dumps(row, ensure_ascii=False, indent=1).replace("\n", "\n ")
        stream.write(f"{'[' if count == 1 else ','}\n {text}")
    stream.write("\n]" if count else "[]")
    return count


def _dropping(read: _Read, threshold: float, kept_for: array[int], alike: array[float]) -> Iterator[dict[str, Any]]:
    """Yield what is dropped for each document that is kept.

    Of documents that a chain of likeness joins, the best is kept and those that are like it are dropped; then the same
    with those that are left. A document that is dropped is noted in `kept_for`, by the place of the one that is kept,
    and in `alike`, by their similarity.
    """
    for family in read.near.repeated():
        groups: dict[int, list[int]] = {}
        for place in family:
            groups.setdefault(read.kinds[place], []).append(place)
        for group in groups.values():
            rest = sorted(group, key=lambda place: (-read.labels[place], place))
            while len(rest) > 1:
                kept, others = rest[0], rest[1:]
                similar = read.near.jaccards(kept, others)
                dropped, rest = list[int](), list[int]()
                for place, jaccard in zip(others, similar, strict=True):
                    if jaccard >= threshold:
                        kept_for[place], alike[place] = kept, jaccard
                    (dropped if jaccard >= threshold else rest).append(place)
                if dropped:
                    yield _named(read, kept, sorted(dropped))


def _named(read: _Read, kept: int, dropped: list[int]) -> dict[str, Any]:
    same = len({int(read.near.row_of[i]) for i in (kept, *dropped)}) == 1
    return {"kept": read.ids[kept], "dropped": [read.ids[i] for i in dropped], "same_words": same}


class _Read(NamedTuple):
    """Which documents are alike, and of each its id, how many fields are present, and its kind.

    Documents of two kinds are never duplicates: rows with other system messages, and other pairs of answers.
    """

    near: Near
    ids: list[str]
    labels: array[int]
    kinds: array[int]


def _documents(path: Path, threshold: float, ray: str | None) -> _Read:
    ids: list[str] = []
    labels, kinds = array("q"), array("Q")
    shared = opening(read_jsonl(path, Document))

    def texts() -> Iterator[str]:
        for document in read_jsonl(path, Document):
            ids.append(document.id)
            labels.append(sum(label.present for label in document.labels.values()))
            kinds.append(_kind(document))
            yield own_words(document, shared)

    return _Read(near_duplicates(texts(), threshold, ray), ids, labels, kinds)


def _kind(document: Document) -> int:
    said: list[Any] = [turn.content for turn in document.turns if turn.role == "system"]
    if document.rejected is not None:
        said += [document.labels[OUTPUT].answer if OUTPUT in document.labels else None, document.rejected]
    digest = hashlib.blake2b(json.dumps([document.rejected is None, said]).encode(), digest_size=8).digest()
    return int.from_bytes(digest)


STAGE = Stage("dedupe", 2, ("documents",), DedupeConfig, run_dedupe, "documents")
