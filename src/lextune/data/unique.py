"""One document of each near-duplicate family: a dataset version without the others, or the families alone."""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lextune.core.artifacts import read_jsonl, write_atomic
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


def document_families(path: Path, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield the families of more than one document of a JSONL file: the id `kept`, those `dropped`, `same_words`.

    Kept is the document with the most labels, the first of several.
    """
    near, ids, labels = _documents(path, threshold)
    for family in near.repeated():
        kept = _kept(family, labels)
        same = len({int(near.row_of[i]) for i in family}) == 1
        yield {"kept": ids[kept], "dropped": [ids[i] for i in family if i != kept], "same_words": same}


def clause_families(path: Path, threshold: float) -> Iterator[dict[str, Any]]:
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

    families = sorted(near_duplicates(texts(), threshold).repeated(), key=lambda family: (-len(family), family[0]))
    excerpts = places.excerpts(read_jsonl(path, Document), [family[0] for family in families])
    for family, text in zip(families, excerpts, strict=True):
        yield {
            "text": text,
            "n": len(family),
            "documents": len({places.documents[i] for i in family}),
            "places": [
                {"document": places.id_of(i), "start": places.starts[i], "end": places.ends[i]} for i in family[:LISTED]
            ],
        }


def families_of(path: Path, level: str, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield the families of documents or of clauses.

    Raises:
        UserError: the level is neither.
    """
    if level not in ("document", "clause"):
        raise UserError(f"no level {level!r}", where="--level", do="use document or clause")
    yield from (document_families if level == "document" else clause_families)(path, threshold)


def run_dedupe(config: DedupeConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write the documents that are kept, a Drop for each other, and the families (`families.json`)."""
    source = inputs["documents"]
    path = source.file("documents.jsonl")
    families = list(document_families(path, config.threshold))
    kept_for = {name: family["kept"] for family in families for name in family["dropped"]}
    counts = {"n_in": 0, "n_out": 0, "n_dropped": 0}
    with (
        path.open(encoding="utf-8") as lines,
        (out / "documents.jsonl").open("w", encoding="utf-8") as kept,
        (out / "drops.jsonl").open("w", encoding="utf-8") as dropped,
    ):
        for line in lines:
            name = Document.model_validate_json(line).id
            counts["n_in"] += 1
            counts["n_dropped" if name in kept_for else "n_out"] += 1
            if name in kept_for:
                reason = (
                    f"a near-duplicate of {kept_for[name]} (Jaccard similarity of its family >= {config.threshold})"
                )
                dropped.write(Drop(what="document", where=name, reason=reason).model_dump_json() + "\n")
            else:
                kept.write(line if line.endswith("\n") else f"{line}\n")
    write_atomic(out / "families.json", json.dumps(families, ensure_ascii=False, indent=1))
    if "nulls.json" in source.manifest.files:
        shutil.copyfile(source.file("nulls.json"), out / "nulls.json")
    return {**counts, "families": len(families), "source": source.manifest.summary.get("source")}


def _documents(path: Path, threshold: float) -> tuple[Near, list[str], array[int]]:
    """Return which documents are alike, their ids, and how many fields of each are present."""
    ids: list[str] = []
    labels = array("q")

    def texts() -> Iterator[str]:
        for document in read_jsonl(path, Document):
            ids.append(document.id)
            labels.append(sum(label.present for label in document.labels.values()))
            yield wording(document)

    return near_duplicates(texts(), threshold), ids, labels


def _kept(family: tuple[int, ...], labels: array[int]) -> int:
    return min(family, key=lambda place: (-labels[place], place))


STAGE = Stage("dedupe", 1, ("documents",), DedupeConfig, run_dedupe, "documents")
