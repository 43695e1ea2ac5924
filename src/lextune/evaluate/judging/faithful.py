"""Faithfulness and answer relevancy of two arms, by one judge: what `kind: faithfulness` of the stage `judge` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lextune.core.records import Document, Prediction
from lextune.expert.engines.base import Chatter
from lextune.expert.tasks import paired_task, score_task
from lextune.expert.tasks.faithfulness import FaithfulnessScorer

Arm = tuple[str, Sequence[Prediction]]


def judge_faithfulness(
    documents: Sequence[Document],
    arms: tuple[Arm, Arm],
    judge: Chatter,
    corpus: Mapping[str, str] | None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what a judge says of both arms' answers to the documents that both answered.

    Args:
        documents: rows with a context, or with articles that are in the corpus.
        arms: the names and predictions of two.
        judge: is asked three times an answer.
        corpus: articles by number; None where all rows bring their context.
        seed: of the intervals.

    Returns:
        {kind, a, b, n, scores: {arm: {metric: Score}}, paired, similarity}: `paired` is the faithfulness of a minus b,
        `similarity` what the cosine of answer relevancy is of.

    Raises:
        DataError: a document without a context.
    """
    (a, ours), (b, theirs) = arms
    shared = {document.id for document in documents}
    shared &= {one.document_id for one in ours} & {one.document_id for one in theirs}
    both = [document for document in documents if document.id in shared]
    first, second = ([one for one in arm if one.document_id in shared] for arm in (ours, theirs))
    scorer = FaithfulnessScorer(judge, corpus)
    marked = {name: score_task(scorer, both, arm, seed=seed) for name, arm in ((a, first), (b, second))}
    return {
        "kind": "faithfulness",
        "a": a,
        "b": b,
        "n": len(both),
        "scores": {name: each["scores"] for name, each in marked.items()},
        "paired": paired_task(scorer, both, first, second, seed=seed).as_json(),
        "similarity": marked[a]["detail"]["similarity"],
    }
