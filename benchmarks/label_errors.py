"""Planted label errors found again: `python -m benchmarks.label_errors [--quick]`.

Of the labels of annotated contracts 5 % are made wrong: half are present fields whose quotes are dropped, half
absent fields to which a random sentence is attached. `recall` is the share of them on the list of the most
suspicious labels, with as many places as there are errors. The labels that were there count as right, so a true
error of the annotators takes a place on the list. `neighbours` repeats it with attached sentences that quote another
field of the same document: a mistake that people make. `--quick` reads 150 contracts and plants once.

The contracts are those of $LEXTUNE_CUAD, else of `../shared/cuad`, else the package's own samples, which are easy.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks._command import contracts
from lextune.core.records import Document, FieldLabel, Span
from lextune.data.importers.cuad import import_cuad
from lextune.data.quality.suspects import find_suspects
from lextune.expert.schema import load_schema
from lextune.text.segments import sentences

SHARE = 0.05
SEEDS = (1, 2)
QUICK = 150
WORDS = 5  # in the shortest sentence that is attached

Pair = tuple[str, str]  # document id, field


class Planted(NamedTuple):
    """Documents with wrong labels, and which labels are wrong: dropped or attached."""

    documents: list[Document]
    dropped: frozenset[Pair]
    attached: frozenset[Pair]


def plant_errors(documents: Sequence[Document], share: float, seed: int, *, neighbours: bool = False) -> Planted:
    """Make a share of all labels wrong.

    Args:
        documents: labelled documents; they are not changed.
        share: of the labels, half of them present ones and half absent ones (as far as there are as many).
        seed: draws labels and sentences.
        neighbours: attach sentences that another field of the document quotes, instead of any sentence.
    """
    chance = random.Random(seed)
    labels = [(d.id, f, label.present) for d in documents for f, label in d.labels.items()]
    wanted = round(share * len(labels))
    places = {d.id: _places(d, neighbours) for d in documents}
    present = [(i, f) for i, f, there in labels if there]
    absent = [(i, f) for i, f, there in labels if not there and places[i]]
    dropped = frozenset(chance.sample(present, min(wanted // 2, len(present))))
    attached = frozenset(chance.sample(absent, min(wanted - len(dropped), len(absent))))
    changed = []
    for document in documents:
        new = dict(document.labels)
        for field in document.labels:
            if (document.id, field) in dropped:
                new[field] = FieldLabel()
            elif (document.id, field) in attached:
                span = chance.choice(places[document.id])
                new[field] = FieldLabel(parts=(document.text[span.start : span.end],), spans=((span,),))
        changed.append(document.model_copy(update={"labels": new}))
    return Planted(changed, dropped, attached)


def _places(document: Document, neighbours: bool) -> list[Span]:
    if neighbours:
        return [spans[0] for label in document.labels.values() for spans in label.spans if spans]
    return [s for s in sentences(document.text) if len(document.text[s.start : s.end].split()) >= WORDS]


def measure(documents: Sequence[Document], seed: int, neighbours: bool) -> dict[str, Any]:
    """Plant, look, and count what was found."""
    planted = plant_errors(documents, SHARE, seed, neighbours=neighbours)
    wrong = planted.dropped | planted.attached
    started = time.perf_counter()
    ranking = find_suspects(lambda: planted.documents)
    listed = {(suspect.document, suspect.field) for suspect in ranking.top(len(wrong))}
    return {
        "seed": seed,
        "k": len(wrong),
        "labels": ranking.labels,
        "recall": round(len(wrong & listed) / len(wrong), 4),
        "recall_dropped": round(len(planted.dropped & listed) / len(planted.dropped), 4),
        "recall_attached": round(len(planted.attached & listed) / len(planted.attached), 4),
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Print the results; the last line of stdout is one JSON object."""
    quick = "--quick" in sys.argv[1:]
    folder, what = contracts()
    documents = import_cuad(folder, load_schema("clauses-47")).documents[: QUICK if quick else None]
    runs: dict[str, list[dict[str, Any]]] = {"random": [], "neighbours": []}
    for kind, found in runs.items():
        for seed in SEEDS[: 1 if quick else None]:
            found.append(measure(documents, seed, kind == "neighbours"))
            print(kind, found[-1], file=sys.stderr, flush=True)
    recall = min(run["recall"] for run in runs["random"])
    print(json.dumps({"contracts": len(documents), "data": what, "share": SHARE, "recall": recall, "runs": runs}))


if __name__ == "__main__":
    main()
