"""How exact quotes and values are: `python -m benchmarks.values [--part validation] [--quick]`.

`recipes/clause-extraction-cpu.yaml` is run as far as its split. The edges of quotes are learnt on the training
contracts, as the stage `linear` does, and marked on a held-out part of them:

- edges: given the sentences that hold the annotated quotes, what is quoted of them: token Jaccard, and the share of
  pairs in which every annotated part is a substring of the quotes (the TP of ContractEval), of whole sentences, of the
  rules alone and of the learnt edges;
- values: the normalised value of the annotated quotes, and of our own, against CUAD's answer columns.

Scores have 95 % intervals over contracts. Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._command import command, say, stages
from lextune.core.artifacts import Artifact, read_jsonl
from lextune.core.records import Document, Span
from lextune.expert.edges import PART_OF_SENTENCE, EdgeTagger, edges, fit_edges
from lextune.expert.schema import Schema, SchemaField, load_schema
from lextune.expert.scoring import contracteval
from lextune.expert.scoring.fields import gold_value
from lextune.expert.scoring.intervals import Bootstrap, Score, ratio
from lextune.expert.windowing import label
from lextune.pipeline import read_recipe
from lextune.text.dates import names_end
from lextune.text.segments import Window, sentences
from lextune.text.spans import merge_adjacent
from lextune.text.values import end_from, normalise, same_value

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "clause-extraction-cpu.yaml"
PARTS = ("validation", "test")
QUICK_TRAIN, QUICK_HELD_OUT = 60, 12  # contracts
ALL = "all fields"
Groups = list[list[Span]]
Place = Callable[[SchemaField, Document, Groups], list[Span]]


def gold_groups(document: Document, schema: Schema) -> dict[str, Groups]:
    """Return the runs of neighbouring sentences that answer each field of an annotated document."""
    spans = tuple(sentences(document.text))
    whole = Window(document_id=document.id, index=0, heading="", sentences=spans, tokens=0)
    groups: dict[str, Groups] = {}
    last: dict[str, int] = {}
    for example in label(document, [whole] if spans else [], schema):
        for place, numbers in enumerate(example.positives):
            for name in (schema.names[number] for number in numbers):
                if last.get(name) == place - 1:
                    groups[name][-1].append(spans[place])
                else:
                    groups.setdefault(name, []).append([spans[place]])
                last[name] = place
    return groups


def placing(tagger: EdgeTagger | None) -> Place:
    """Return what quotes a field's sentences as an expert does."""

    def place(field: SchemaField, document: Document, groups: Groups) -> list[Span]:
        if field.type not in PART_OF_SENTENCE:
            return [Span(start=group[0].start, end=group[-1].end) for group in groups]
        return [span for group in groups for span in edges(field, document.text, group, tagger)]

    return place


def annotated(field: SchemaField, document: Document, _groups: Groups) -> list[Span]:
    """Return the annotated quotes themselves."""
    return sorted((spans[0] for spans in document.labels[field.name].spans if spans), key=lambda s: (s.start, s.end))


def whole(_field: SchemaField, _document: Document, groups: Groups) -> list[Span]:
    """Return the sentences."""
    return [span for group in groups for span in group]


def edge_counts(held: Sequence[tuple[Document, dict[str, Groups]]], schema: Schema, place: Place) -> Any:
    """Return documents x fields x (TP, Jaccard, pairs)."""
    table, marker = np.zeros((len(held), len(schema.fields), 3)), contracteval.Marker()
    for row, (document, groups) in enumerate(held):
        for column, field in enumerate(schema.fields):
            given = document.labels.get(field.name)
            if given is not None and given.present:
                spans = merge_adjacent(document.text, place(field, document, groups.get(field.name, [])))
                answer = "\n".join(document.text[s.start : s.end] for s in spans)
                marks = marker.mark(given.parts, answer)
                table[row, column] = marks[contracteval.TP], marks[contracteval.JACCARD], 1
    return table


def value_counts(held: Sequence[tuple[Document, dict[str, Groups]]], schema: Schema, place: Place) -> Any:
    """Return documents x fields x (right, pairs), of the fields whose answer is more than yes or the text itself."""
    table = np.zeros((len(held), len(schema.fields), 2))
    for row, (document, groups) in enumerate(held):
        values: dict[str, Any] = {}
        joined: dict[str, str] = {}
        for field in schema.fields:
            given = document.labels.get(field.name)
            if given is not None and given.present and field.type not in ("boolean", "text"):
                texts = [
                    " ".join(document.text[s.start : s.end].split())
                    for s in place(field, document, groups.get(field.name, []))
                ]
                joined[field.name] = ("; " if field.type == "parties" else " ").join(texts)
                values[field.name] = normalise(field.type, joined[field.name], field=field.name)
        dates = {f.name: values[f.name] for f in schema.fields if f.type == "date" and f.name in values}
        for column, field in enumerate(schema.fields):
            if field.name not in values:
                continue
            gold, value = gold_value(field.type, document.labels[field.name]), values[field.name]
            if value is None and field.name in dates and names_end(field.name):
                value = end_from(joined[field.name], dates)
            if gold is not None:
                table[row, column] = same_value(field.type, gold, value), 1
    return table


def scores(table: Any, column: int, schema: Schema, bootstrap: Bootstrap) -> dict[str, Score]:
    """Return the share of one column of counts in the last one, by field and over all."""
    summed = np.concatenate([table, table.sum(axis=1, keepdims=True)], axis=1)
    units = [int(n) for n in summed[..., -1].sum(axis=0)]
    found = bootstrap.scores(summed, lambda sums: ratio(sums[..., column], sums[..., -1]), units)
    return {name: one for name, one in zip((*schema.names, ALL), found, strict=True) if one.n}


def show(title: str, columns: dict[str, dict[str, Score]], names: Sequence[str]) -> None:
    print(f"\n{title}\n{'':36}" + "".join(f"{column:>26}" for column in columns))
    for name in names:
        row = [found[name] for found in columns.values()]
        cells = (
            f"{s.value:.3f} ({s.low:.3f} to {s.high:.3f})" if s.value is not None and s.low is not None else "-"
            for s in row
        )
        print(f"{name:<31}{row[0].n:>5}" + "".join(f"{cell:>26}" for cell in cells))


def split_of(out: Path) -> Artifact:
    """Run the recipe as far as its split."""
    recipe = read_recipe(RECIPE)
    return stages(recipe, out, "split")["split"]


def main() -> None:
    """Run the benchmark."""
    parser = command(__doc__, "a few contracts: shows the way, no result")
    parser.add_argument("--part", choices=PARTS, default="validation", help="the held-out part of the split")
    given = parser.parse_args()
    split, schema = split_of(given.out), load_schema(read_recipe(RECIPE).schema_name)
    train = list(read_jsonl(split.file("train.jsonl"), Document))[: QUICK_TRAIN if given.quick else None]
    documents = list(read_jsonl(split.file(f"{given.part}.jsonl"), Document))[: QUICK_HELD_OUT if given.quick else None]
    started = time.process_time()
    tagger = fit_edges(train, schema)
    seconds = time.process_time() - started
    say(f"edges learnt on {len(train)} contracts in {seconds:.0f} s of processor time")
    held = [(document, gold_groups(document, schema)) for document in documents]
    bootstrap = Bootstrap(len(held), seed=0)
    ways: dict[str, Place] = {"whole sentences": whole, "rules": placing(None), "learnt": placing(tagger)}
    counts = {name: edge_counts(held, schema, place) for name, place in ways.items()}
    edge = {
        name: {what: scores(table, column, schema, bootstrap) for column, what in enumerate(("tp", "jaccard"))}
        for name, table in counts.items()
    }
    inside = [f.name for f in schema.fields if f.type in PART_OF_SENTENCE]
    for what, title in (("jaccard", "Jaccard"), ("tp", "share with every annotated part in the quotes")):
        show(title, {name: found[what] for name, found in edge.items()}, (*inside, ALL))
    quotes: dict[str, Place] = {"annotated quotes": annotated, "rules": ways["rules"], "learnt": ways["learnt"]}
    value = {n: scores(value_counts(held, schema, place), 0, schema, bootstrap) for n, place in quotes.items()}
    show("values, of", value, list(value["learnt"]))
    print(
        json.dumps(
            {
                "benchmark": "values",
                "quick": given.quick,
                "part": given.part,
                "contracts": len(held),
                "train_contracts": len(train),
                "fit_cpu_seconds": round(seconds, 1),
                "edges": {
                    n: {w: {k: s.as_json() for k, s in f.items()} for w, f in e.items()} for n, e in edge.items()
                },
                "values": {n: {k: s.as_json() for k, s in found.items()} for n, found in value.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
