"""British twins of training documents: what a model trained on American drafts alone has not seen.

The stage `uk_twins` stands between a split and its examples. It gives the same split with twins
(`lextune.text.anglicise`) of some training documents after them; validation and test are as they were, so the locks
of the test hold. A twin belongs to its document's family.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import Field

from lextune.core.artifacts import read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import DataError
from lextune.core.recipe import Config
from lextune.core.records import Document
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.text.anglicise import SUFFIX, anglicise, has_twin

TRAIN, CARD = "train.jsonl", "card.json"


class TwinConfig(Config):
    """How many twins are added."""

    uk_twins: int = Field(0, ge=0)
    """Training documents whose British twins are trained on too, drawn by the seed from those in American drafting."""


def choose_twins(documents: Iterable[Document], count: int, seed: int) -> frozenset[str]:
    """Return the ids of the documents to make twins of, whatever order the documents come in.

    Documents in British drafting, and twins, have no twin.

    Args:
        documents: those of the train part; one at a time is in memory.
        count: how many at most.
        seed: draws them.
    """
    american = (document.id for document in documents if has_twin(document))
    order = ((hashlib.sha256(f"{seed} {name}".encode()).digest(), name) for name in american)
    return frozenset(name for _, name in heapq.nsmallest(count, order))


def run_twins(config: TwinConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write the split with twins in its train part.

    Raises:
        DataError: no training document is in American drafting.
    """
    split = inputs["split"]
    for name in split.manifest.files:
        if name not in (TRAIN, CARD):
            shutil.copyfile(split.file(name), out / name)
    chosen = choose_twins(read_jsonl(split.file(TRAIN), Document), config.uk_twins, context.seed)
    if config.uk_twins and not chosen:
        raise DataError(
            "no training document is in American drafting, so none has a British twin",
            where="data.uk_twins",
            do="set it to 0",
        )
    lines = write_jsonl(out / TRAIN, _with_twins(split.file(TRAIN), chosen))
    card = split.json(CARD)
    card["families"] = _families(card.get("families", []), chosen)
    card["documents"] = {**card["documents"], "train": lines}
    card["uk_twins"] = len(chosen)
    write_atomic(out / CARD, json.dumps(card, indent=1, ensure_ascii=False))
    return {"n_in": lines - len(chosen), "n_out": lines, "n_dropped": 0, "uk_twins": len(chosen)}


def _with_twins(path: Path, chosen: frozenset[str]) -> Iterator[Document]:
    yield from read_jsonl(path, Document)
    yield from (anglicise(document).document for document in read_jsonl(path, Document) if document.id in chosen)


def _families(families: Sequence[Sequence[str]], chosen: frozenset[str]) -> list[list[str]]:
    """Return the families, each with the twins of its documents; a document alone is one with its twin."""
    grown = [[*family, *(f"{name}{SUFFIX}" for name in family if name in chosen)] for family in families]
    known = {name for family in families for name in family}
    return [*grown, *([name, f"{name}{SUFFIX}"] for name in sorted(chosen - known))]


STAGES = (Stage("uk_twins", 1, ("split",), TwinConfig, run_twins, "split"),)
