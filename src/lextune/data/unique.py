"""One document of each near-duplicate family: a dataset version without the others, or the families alone."""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import Field

from lextune.core.artifacts import read_jsonl
from lextune.core.errors import UserError
from lextune.core.recipe import Config
from lextune.core.records import Document, Drop
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.data.clauses import Places, clauses
from lextune.data.dedupe import NEAR_DUPLICATE, Near, near_duplicates, wording

LISTED = 20  # places of a clause that are named; all are counted
Level = Literal["document", "clause"]


class DedupeConfig(Config):
    """What counts as a near-duplicate."""

    threshold: float = Field(NEAR_DUPLICATE.jaccard, ge=0.3, le=1)
    """Jaccard similarity of 5-word shingles from which two texts are near-duplicates."""


def document_families(path: Path, threshold: float, ray: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the families of more than one document of a JSONL file: the id `kept`, those `dropped`, `same_words`.

    Kept is the document with the most labels, the first of several.
    """
    near, ids, labels = _documents(path, threshold, ray)
    for family in near.repeated():
        yield _named(near, family, ids, _kept(family, labels))


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
    near, ids, labels = _documents(path, config.threshold, context.options.get("ray"))
    kept_for = array("q", [-1]) * len(ids)
    with (out / "families.json").open("w", encoding="utf-8") as stream:
        count = _write_array(stream, _dropping(near, ids, labels, kept_for))
    dropped = sum(kept >= 0 for kept in kept_for)
    with (
        path.open(encoding="utf-8") as lines,
        (out / "documents.jsonl").open("w", encoding="utf-8") as going_on,
        (out / "drops.jsonl").open("w", encoding="utf-8") as drops,
    ):
        for name, kept, line in zip(ids, kept_for, lines, strict=True):
            if kept < 0:
                going_on.write(line if line.endswith("\n") else f"{line}\n")
                continue
            reason = f"a near-duplicate of {ids[kept]} (Jaccard similarity of its family >= {config.threshold})"
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


def _dropping(near: Near, ids: list[str], labels: array[int], kept_for: array[int]) -> Iterator[dict[str, Any]]:
    """Yield the families, and note for each document that is dropped the place of the one that is kept."""
    for family in near.repeated():
        kept = _kept(family, labels)
        for place in family:
            if place != kept:
                kept_for[place] = kept
        yield _named(near, family, ids, kept)


def _named(near: Near, family: tuple[int, ...], ids: list[str], kept: int) -> dict[str, Any]:
    same = len({int(near.row_of[i]) for i in family}) == 1
    return {"kept": ids[kept], "dropped": [ids[i] for i in family if i != kept], "same_words": same}


def _documents(path: Path, threshold: float, ray: str | None) -> tuple[Near, list[str], array[int]]:
    """Return which documents are alike, their ids, and how many fields of each are present."""
    ids: list[str] = []
    labels = array("q")

    def texts() -> Iterator[str]:
        for document in read_jsonl(path, Document):
            ids.append(document.id)
            labels.append(sum(label.present for label in document.labels.values()))
            yield wording(document)

    return near_duplicates(texts(), threshold, ray), ids, labels


def _kept(family: tuple[int, ...], labels: array[int]) -> int:
    return min(family, key=lambda place: (-labels[place], place))


STAGE = Stage("dedupe", 1, ("documents",), DedupeConfig, run_dedupe, "documents")
