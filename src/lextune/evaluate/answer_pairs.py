"""Two answers to the same question, side by side: what a judge or a person is asked to compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import read_jsonl
from lextune.core.errors import ArtifactError, DataError, shorten
from lextune.core.files import read_rows
from lextune.core.records import Document, FieldAnswer, FieldLabel, Prediction, Span
from lextune.evaluate.measured import newest_evaluation, parent
from lextune.expert.tasks import OUTPUT
from lextune.text.values import NULL

CONTEXT = 300  # characters of a document shown on either side of what was quoted


class AnswerPair(BaseModel):
    """A prompt and the answers of two arms; `gold` is the annotated answer, None where there is none.

    An arm that found no answer says `null`, as models are taught to. `document` is what it is of, where several
    pairs are of one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)
    id: str
    prompt: str
    a: str
    b: str
    gold: str | None = None
    document: str | None = None

    @property
    def same(self) -> bool:
        """Whether the answers differ in white space at most, so that there is nothing to choose."""
        return self.a.split() == self.b.split()


def read_pairs(path: Path) -> list[AnswerPair]:
    """Read pairs from JSON Lines or CSV of `id`, `prompt`, `a` and `b`, and `gold` where there is one.

    Raises:
        DataError: the file cannot be read or has no rows, or rows are no pairs or have an id twice (one error for all).
    """
    do = "give JSON Lines or CSV of id, prompt, a and b, and gold where there is one"
    return [pair for _, pair in read_rows(path, AnswerPair, do, key="id")]


def pairs_of(documents: Sequence[Document], a: Sequence[Prediction], b: Sequence[Prediction]) -> list[AnswerPair]:
    """Return what two arms answered to the documents that both read, in the documents' order.

    Of a task that writes there is one pair a document. Of an extraction there is one for each document and field on
    which the arms quote different text: the prompt names both and shows the passages that either quotes.

    Raises:
        DataError: the arms have no document in common.
    """
    first, second = ({prediction.document_id: prediction for prediction in arm} for arm in (a, b))
    shared = [document for document in documents if document.id in first and document.id in second]
    if not shared:
        raise DataError("no document was answered by both arms", do="give two arms that read the same documents")
    return [pair for document in shared for pair in _pairs(document, first[document.id], second[document.id])]


def pairs_of_run(run: Path, a: str, b: str) -> list[AnswerPair]:
    """Return what two arms of a run's newest evaluation answered; see `pairs_of`.

    Raises:
        ArtifactError: the run has no evaluation, or what it was made from is gone.
        DataError: there is no such arm, or the two read no document in common.
    """
    evaluation = newest_evaluation(run)
    parents = [(name, parent(evaluation, name)) for name in evaluation.manifest.parents]
    arms = {
        file.stem: file
        for _, found in parents
        if found is not None and found.kind == "predictions"
        for file in sorted(found.path.glob("*.jsonl"))
    }
    for name in (a, b):
        if name not in arms:
            known = f"use one of {', '.join(arms)}" if arms else "run the recipe again"
            raise DataError(f"no predictions of an arm {shorten(name, 40)!r}", where=str(run), do=known)
    split = dict(parents).get("split")
    if split is None:
        raise ArtifactError("the documents of this evaluation are gone", where=str(run), do="run the recipe again")
    documents = list(read_jsonl(split.file("test.jsonl"), Document))
    first, second = (list(read_jsonl(arms[name], Prediction)) for name in (a, b))
    return pairs_of(documents, first, second)


def _pairs(document: Document, a: Prediction, b: Prediction) -> Iterator[AnswerPair]:
    ours, theirs = a.record.fields, b.record.fields
    if OUTPUT in ours:
        yield AnswerPair(
            id=document.id,
            prompt=_conversation(document),
            a=_text(ours[OUTPUT]),
            b=_text(theirs[OUTPUT]),
            gold=_gold(document.labels.get(OUTPUT)),
        )
        return
    for field in (name for name in ours if name in theirs):
        pair = AnswerPair(
            id=f"{document.id} / {field}",
            prompt=f"{field}: what does {document.name} say?{_passages(document, (ours[field], theirs[field]))}",
            a=_text(ours[field]),
            b=_text(theirs[field]),
            gold=_gold(document.labels.get(field)),
            document=document.id,
        )
        if not pair.same:
            yield pair


def _conversation(document: Document) -> str:
    """Return what was said before the answer; a single question stands alone."""
    if not document.turns:
        return document.text
    said = [*((turn.role, turn.content) for turn in document.turns), ("user", document.text)]
    return "\n\n".join(f"{role}: {content}" for role, content in said)


def _text(answer: FieldAnswer | None) -> str:
    if answer is None:
        return NULL
    return "\n…\n".join(quote.text for quote in answer.quotes) or str(answer.answer)


def no_answer(text: str) -> bool:
    """Say whether an arm's text says that it found no answer."""
    return text.strip() in ("", NULL)


def _gold(label: FieldLabel | None) -> str | None:
    if label is None:
        return None
    if not label.present:
        return NULL
    return label.answer if label.answer is not None and not any(label.spans) else "\n…\n".join(label.parts)


def _passages(document: Document, answers: Sequence[FieldAnswer | None]) -> str:
    """Return the pieces of the document around all quotes of all answers, in its order."""
    text, joined = document.text, list[Span]()
    spans = [(quote.start, quote.end) for answer in answers if answer is not None for quote in answer.quotes]
    for start, end in sorted(spans):
        low, high = max(0, start - CONTEXT), min(len(text), end + CONTEXT)
        if joined and low <= joined[-1].end:
            joined[-1] = Span(start=joined[-1].start, end=max(high, joined[-1].end))
        else:
            joined.append(Span(start=low, end=high))
    return "".join(f"\n\n… {text[span.start : span.end].strip()} …" for span in joined)


def preference(pair: AnswerPair, chosen: str) -> Mapping[str, Any]:
    """Return a pair as a row of people's preferences, which `dpo.pairs.human` reads.

    Args:
        pair: the two answers.
        chosen: the better one, `a` or `b`.
    """
    better, worse = (pair.a, pair.b) if chosen == "a" else (pair.b, pair.a)
    return {
        "prompt": [{"role": "user", "content": pair.prompt}],
        "chosen": [{"role": "assistant", "content": better}],
        "rejected": [{"role": "assistant", "content": worse}],
    }
