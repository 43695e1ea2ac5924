"""Cleaning documents: the text and everything that points into it - labels, quotes, pages.

    for item in clean_documents(documents, CleanConfig()):      # Documents and Drops, in the order of the source

A model trained on cleaned documents must read cleaned ones: whoever answers cleans with the same `CleanOptions`
(`lextune.text.cleaning.clean`), and maps quotes back by the edits (`lextune.text.edits.OffsetMap`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from lextune.core.cluster import spread
from lextune.core.errors import MachineError, shorten
from lextune.core.parallel import cores
from lextune.core.records import Document, Drop, Edit, FieldLabel, Span
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.data.importers.shapes import answer_label
from lextune.expert.tasks import OUTPUT
from lextune.text.cleaning import Cleaned, CleanOptions, clean, clean_message
from lextune.text.drafting import tag
from lextune.text.edits import OffsetMap, as_changes, as_edits, compose, restore

BATCH_CHARACTERS = 500_000  # of JSON that goes to another process at once
AHEAD = 3  # batches under way for each process

Item = Document | Drop


class CleanConfig(CleanOptions):
    """How documents are cleaned and what is found out about them."""

    tags: bool = True
    """Tag each document with its language and its drafting, US or UK."""


class CleanedLine(NamedTuple):
    """A Document or a Drop as a line of JSON: what it is (`document`, or the drop's `what`), and its edits' number."""

    what: str
    line: str
    edits: int


def clean_documents(
    documents: Iterable[Document], config: CleanConfig, *, workers: int | None = None
) -> Iterator[Item]:
    """Clean documents, on all cores where there is enough to do.

    A few batches are held at a time, never the whole source. The processes are started afresh (spawn): a script
    that calls this does so under `if __name__ == "__main__"`.

    Args:
        documents: contracts and rows of conversations, mixed as they come.
        config: the operations.
        workers: how many processes; by default one a core, and 1 works in this one.

    Yields:
        For each document, in order: it, cleaned, then a Drop (`quote`) for each quoted part of which nothing is
        left, and for an answer that means null now; or only a Drop (`contract`, `row`) where nothing is left of the
        document, or a row's two answers are the same now.

    Raises:
        MachineError: a process was killed, as a machine does that has no memory left.
    """
    if workers == 1:
        yield from chain.from_iterable(clean_document(document, config) for document in documents)
        return
    for made in clean_lines((document.model_dump_json() for document in documents), config, workers=workers):
        kind: type[Item] = Document if made.what == "document" else Drop
        yield kind.model_validate_json(made.line)


def clean_lines(
    lines: Iterable[str], config: CleanConfig, *, workers: int | None = None, ray: str | None = None
) -> Iterator[CleanedLine]:
    """Do what `clean_documents` does for documents as lines of JSON, which spares this process most of the work.

    With the address of a Ray cluster (`lextune.core.cluster`) the batches are cleaned there, and `workers` is unused.
    """
    batches = _batches(lines)
    if ray is not None:
        yield from _side_by_side(batches, config, 1, ray)
        return
    head = list(islice(batches, 2))
    workers = workers or cores()
    if workers == 1 or len(head) < 2:
        for batch in chain(head, batches):
            yield from _clean_batch(batch, config)
        return
    try:
        yield from _side_by_side(chain(head, batches), config, workers)
    except BrokenProcessPool:
        raise MachineError(
            "a process that cleans documents was killed", where="clean", do="free memory, or clean with one process"
        ) from None


def _side_by_side(
    batches: Iterable[Sequence[str]], config: CleanConfig, workers: int, ray: str | None = None
) -> Iterator[CleanedLine]:
    pool = partial(ProcessPoolExecutor, workers, mp_context=get_context("spawn"))
    for _, lines in spread(partial(_clean_batch, config=config), batches, pool, AHEAD * workers, ray=ray):
        yield from lines


def clean_document(document: Document, config: CleanConfig) -> list[Item]:
    """Clean one document; see `clean_documents` for what is returned."""
    row = bool(document.turns) or OUTPUT in document.labels
    cleaned = clean_message(document.text, config) if row else clean(document.text, document.pages, config)
    kind = "row" if row else "contract"
    if not cleaned.text.strip():
        return [Drop(what=kind, where=document.name, reason="nothing is left of its text after cleaning")]
    labels, drops = _labels(document, cleaned, config)
    rejected = None if document.rejected is None else _said(document.rejected, config)
    if row and OUTPUT in document.labels:
        reason = _useless(labels.get(OUTPUT), rejected)
        if reason:
            return [Drop(what=kind, where=document.name, reason=reason)]
        answer = labels[OUTPUT].answer
        if answer is not None and not answer_label(answer).present:
            labels[OUTPUT] = FieldLabel()
            reason = f"means null after cleaning: {shorten(answer, 60)!r}"
            drops.append(Drop(what="quote", where=f"{document.name}, {OUTPUT}", reason=reason))
    made = document.model_copy(
        update={
            "text": cleaned.text,
            "pages": cleaned.pages,
            "edits": _from_source(document, cleaned),
            "labels": labels,
            "turns": tuple(t.model_copy(update={"content": _said(t.content, config)}) for t in document.turns),
            "rejected": rejected,
        }
    )
    return [tag(made) if config.tags else made, *drops]


def _useless(answer: FieldLabel | None, rejected: str | None) -> str | None:
    """Return why the answers of a row, as cleaned, cannot be learnt from; an import refuses the same."""
    if answer is None:
        return "nothing is left of its answer after cleaning"
    if rejected is not None and not rejected.strip():
        return "nothing is left of its rejected answer after cleaning"
    if rejected is not None and rejected == answer.answer:
        return "chosen and rejected are the same after cleaning"
    return None


def run_clean(config: CleanConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Clean the documents of an artifact into `documents.jsonl`; what did not go on is in `drops.jsonl`."""
    source = inputs["documents"]
    total = int(source.manifest.summary.get("n_out", 0))
    counts = dict.fromkeys(("document", "contract", "row", "quote", "changed", "edits"), 0)
    with (
        source.file("documents.jsonl").open(encoding="utf-8") as lines,
        (out / "documents.jsonl").open("w", encoding="utf-8") as kept,
        (out / "drops.jsonl").open("w", encoding="utf-8") as dropped,
    ):
        workers, ray = context.options.get("workers"), context.options.get("ray")
        for what, line, edits in clean_lines(lines, config, workers=workers, ray=ray):
            (kept if what == "document" else dropped).write(line + "\n")
            counts[what] += 1
            counts["changed"] += edits > 0
            counts["edits"] += edits
            if what == "document" and counts[what] % 100 == 0:
                context.progress(counts[what], max(total, counts[what]), "documents")
    if "nulls.json" in source.manifest.files:
        shutil.copyfile(source.file("nulls.json"), out / "nulls.json")
    lost = counts["contract"] + counts["row"]
    return {
        "n_in": counts["document"] + lost,
        "n_out": counts["document"],
        "n_dropped": lost,
        "rejects": lost + counts["quote"],
        "quotes_lost": counts["quote"],
        "changed": counts["changed"],
        "edits": counts["edits"],
        "source": source.manifest.summary.get("source"),
    }


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _clean_batch(lines: Sequence[str], config: CleanConfig) -> list[CleanedLine]:
    return [_as_line(item) for line in lines for item in clean_document(Document.model_validate_json(line), config)]


def _as_line(item: Item) -> CleanedLine:
    if isinstance(item, Document):
        return CleanedLine("document", item.model_dump_json(), len(item.edits))
    return CleanedLine(item.what, item.model_dump_json(), 0)


def _from_source(document: Document, cleaned: Cleaned) -> tuple[Edit, ...]:
    """Return the edits that lead back to the source, through those that the document had already."""
    if not document.edits or not cleaned.edits:
        return cleaned.edits or document.edits
    earlier = as_changes(document.text, document.edits)
    changes = compose(earlier, as_changes(cleaned.text, cleaned.edits), document.text)
    return as_edits(restore(document.text, document.edits), changes)


def _said(text: str, options: CleanOptions) -> str:
    return clean_message(text, options).text


def _labels(document: Document, cleaned: Cleaned, config: CleanConfig) -> tuple[dict[str, FieldLabel], list[Drop]]:
    offsets = OffsetMap(cleaned.edits)
    labels: dict[str, FieldLabel] = {}
    drops: list[Drop] = []
    for field, label in document.labels.items():
        moved, lost = _moved(label, cleaned.text, offsets, config)
        drops += [
            Drop(what="quote", where=f"{document.name}, {field}", reason=f"gone in cleaning: {shorten(part, 60)!r}")
            for part in lost
        ]
        if moved.present or not label.present:  # else all of it was lost: then the field is not assessed
            labels[field] = moved
    return labels, drops


def _moved(label: FieldLabel, text: str, offsets: OffsetMap, config: CleanConfig) -> tuple[FieldLabel, list[str]]:
    """Return a label as the cleaned text has it, and the parts of which nothing is left.

    A part takes the words of its chosen place; one without a place, as an answer in a conversation, is cleaned
    by itself. A place inside furniture is gone, and another place of the part is chosen.
    """
    parts, spans, lost = list[str](), list[tuple[Span, ...]](), list[str]()
    for index, part in enumerate(label.parts):
        places = label.spans[index] if index < len(label.spans) else ()
        clear = (_trimmed(text, offsets.span_to_clean(place)) for place in places)
        moved = tuple(span for span in clear if span.start < span.end)
        said = text[moved[0].start : moved[0].end] if moved else "" if places else _said(part, config)
        if said.strip():
            parts.append(said)
            spans.append(moved)
        else:
            lost.append(part)
    answer = None if label.answer is None or (lost and not parts) else _said(label.answer, config)
    found = tuple(spans) if label.spans else ()
    return label.model_copy(update={"parts": tuple(parts), "spans": found, "answer": answer}), lost


def _trimmed(text: str, span: Span) -> Span:
    """Return a span without white space at either end."""
    said = text[span.start : span.end]
    start = span.start + len(said) - len(said.lstrip())
    return Span(start=start, end=start + len(said.strip()))


STAGE = Stage("clean", 2, ("documents",), CleanConfig, run_clean, "documents")
