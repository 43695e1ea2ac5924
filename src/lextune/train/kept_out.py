"""A part of the training documents that SFT does not see: what a model says of them is what it says of new ones.

The stage `keep_out` divides the training examples by document. Families of alike documents stay together, and what
is kept out is not in the examples that SFT is given.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lextune.core.artifacts import write_atomic, write_jsonl
from lextune.core.errors import DataError
from lextune.core.recipe import Config
from lextune.core.records import Drop
from lextune.core.stage import Context, Inputs, Stage, Summary

KEPT_OUT = "kept_out.jsonl"


class KeepOutConfig(Config):
    """How much is kept out."""

    kept_out: float
    """Share of the training documents."""


def choose_documents(
    documents: Sequence[str], families: Sequence[Sequence[str]], share: float, seed: int
) -> frozenset[str]:
    """Return the documents to keep out: whole families, in a seeded order that does not hang on the files' order.

    Args:
        documents: all training documents.
        families: groups of documents that are alike; the others are alone.
        share: of the documents; at least one family is kept out, and at least one is not.
        seed: draws them.

    Raises:
        DataError: the documents are one family.
    """
    known = set(documents)
    groups = [sorted(known.intersection(family)) for family in families]
    groups += [[name] for name in known.difference(*groups)]
    groups = sorted((g for g in groups if g), key=lambda g: hashlib.sha256(f"{seed} {g[0]}".encode()).digest())
    if len(groups) < 2:
        raise DataError(
            "nothing can be kept out of SFT: the training documents are one, or all alike",
            where="dpo.kept_out",
            do="bring more training documents, or leave `dpo` out",
        )
    chosen: set[str] = set()
    for group in groups[:-1]:
        if chosen and len(chosen) + len(group) / 2 > share * len(known):
            break
        chosen.update(group)
    return frozenset(chosen)


def run_keep_out(config: KeepOutConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write examples for SFT without the documents kept out, and those documents' examples by themselves.

    General instructions stay with SFT. The documents are listed in `drops.jsonl`.
    """
    source = inputs["examples"]
    documents = {name for name, _ in _lines(source.file("train_all.jsonl"))}
    families = inputs["split"].json("card.json")["families"]
    chosen = choose_documents(sorted(documents), families, config.kept_out, context.seed)
    counts = {
        "train": _write(source.file("train.jsonl"), out / "train.jsonl", lambda name: name not in chosen),
        "train_all": _write(source.file("train_all.jsonl"), out / "train_all.jsonl", lambda name: name not in chosen),
        "kept_out": _write(source.file("train_all.jsonl"), out / KEPT_OUT, lambda name: name in chosen),
    }
    if not counts["train"]:
        raise DataError("no training example is left for SFT", where="dpo.kept_out", do="keep less out")
    shutil.copyfile(source.file("validation.jsonl"), out / "validation.jsonl")
    reason = "kept out of SFT: preferences are mined on it"
    write_jsonl(out / "drops.jsonl", (Drop(what="document", where=name, reason=reason) for name in sorted(chosen)))
    write_atomic(out / "kept_out.json", json.dumps({"documents": sorted(chosen)}, indent=1))
    sizes = {"n_in": len(documents), "n_out": len(documents) - len(chosen), "n_dropped": len(chosen)}
    return {**sizes, **counts, "note": f"{len(chosen)} of {len(documents)} documents kept out"}


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the document of each line, and the line."""
    with path.open("rb") as stream:
        for line in stream:
            yield json.loads(line)["document_id"], line


def _write(source: Path, target: Path, wanted: Callable[[str], bool]) -> int:
    count = 0
    with target.open("wb") as stream:
        for name, line in _lines(source):
            if wanted(name):
                stream.write(line)
                count += 1
    return count


STAGES = (Stage("keep_out", 1, ("examples", "split"), KeepOutConfig, run_keep_out, "examples"),)
