"""Faithfulness and answer relevancy of written answers, in RAGAS's definitions, through any judge.

Faithfulness: the judge cuts the answer into statements and says of each whether it can be inferred from the context;
the share that can is the answer's faithfulness. Answer relevancy: the judge writes questions to which the answer would
be the answer; the mean cosine of their embeddings with the real question's is the relevancy, 0 where the judge finds
the answer to say nothing. Source: Es et al. 2023, RAGAS, arXiv 2309.15217; the zero is its library's.

Without an embedding model the cosine is that of TF-IDF vectors, which knows words and no meaning: numbers of one kind
of embedding are not to be compared with those of another, and the detail says which was used. A reply of the judge
that cannot be read is counted, and its answer left out of the mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lextune.core.errors import DataError, MachineError, shorten
from lextune.core.records import Document, Message, Prediction
from lextune.expert.engines.base import Chatter, GenerateOptions
from lextune.expert.scoring.intervals import Array
from lextune.expert.tasks.scoring import Metric, Scorer, gold, share, written
from lextune.expert.tasks.statute_qa import ARTICLES
from lextune.text.articles import read_provision

Embed = Callable[[Sequence[str]], Array]
"""Gives one row a text, of which cosines are taken."""

CONTEXT, QUESTION = "context", "question"
FAITHFUL, CHECKED, RELEVANT, COMPARED, UNREAD, ASKED = range(6)
QUESTIONS = 3
_TOKENS = 1024
_TFIDF = "TF-IDF cosine (words alone, no embedding model)"

STATEMENTS = """Cut the answer into statements, each a full sentence that can be understood alone, without pronouns.
Reply with JSON alone: {{"statements": ["...", "..."]}}

Question: {question}

Answer: {answer}"""
VERDICTS = """Say of each statement whether it can be inferred from the context alone: 1 if it can, 0 if it cannot.
Reply with JSON alone, one number a statement in their order: {{"verdicts": [1, 0]}}

Context: {context}

Statements:
{statements}"""
GENERATE = """Write {count} different questions to which this text would be the answer. Say too whether the text is
noncommittal: evasive, vague, or that it does not know.
Reply with JSON alone: {{"questions": ["...", "..."], "noncommittal": false}}

Text: {answer}"""


class FaithfulnessScorer(Scorer):
    """Marks answers by what a judge says of them.

    Args:
        judge: is asked three times an answer, greedily.
        corpus: the articles by number, which are the context of a row that brings none; None where all rows bring it.
        embed: for relevancy; None for TF-IDF.
        embedding: what `embed` is, for the record.
    """

    primary = "faithfulness"
    metrics: Mapping[str, Metric] = {
        "faithfulness": share(FAITHFUL, CHECKED),
        "answer_relevancy": share(RELEVANT, COMPARED),
        "unreadable_verdict_rate": share(UNREAD, ASKED),
    }

    def __init__(
        self,
        judge: Chatter,
        corpus: Mapping[str, str] | None = None,
        embed: Embed | None = None,
        embedding: str = "an embedding model",
    ) -> None:
        self._judge, self._corpus = judge, corpus
        self._embed, self._embedding = (embed, embedding) if embed else (tfidf, _TFIDF)

    def counts(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> Array:
        """Return documents x (faithfulness, 1 where known, relevancy, 1 where known, 1 where a reply is unread, 1).

        Null and answers without a statement have no faithfulness; null has a relevancy of 0.

        Raises:
            DataError: a document without a context.
        """
        table = np.zeros((len(documents), 6))
        table[:, ASKED] = 1
        answers = [written(prediction) for prediction in predictions]
        rows = [row for row, answer in enumerate(answers) if answer]
        table[[row for row in range(len(answers)) if not answers[row]], COMPARED] = 1
        questions = [question(document) for document in documents]
        statements = self._statements([(questions[row], answers[row]) for row in rows])
        contexts = [context(documents[row], self._corpus) for row in rows]
        for row, value in zip(rows, self._faithful(contexts, statements), strict=True):
            table[row, [FAITHFUL, CHECKED]] = (value, 1) if value is not None and value >= 0 else (0, 0)
            table[row, UNREAD] = value is None
        for row, value in zip(rows, self._relevant([(questions[r], answers[r]) for r in rows]), strict=True):
            table[row, [RELEVANT, COMPARED]] = (value, 1) if value is not None else (0, 0)
            table[row, UNREAD] = max(table[row, UNREAD], value is None)
        return table

    def detail(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return {judge: its name, similarity: what relevancy's cosine is of, questions: how many an answer}."""
        return {"judge": self._judge.name, "similarity": self._embedding, "questions": QUESTIONS}

    def _statements(self, pairs: Sequence[tuple[str, str]]) -> list[list[str] | None]:
        replies = self._ask([STATEMENTS.format(question=asked, answer=answer) for asked, answer in pairs])
        return [_texts(reply, "statements") for reply in replies]

    def _faithful(self, contexts: Sequence[str], statements: Sequence[list[str] | None]) -> list[float | None]:
        """Return each answer's faithfulness: None where a reply was unread, -1 where it states nothing."""
        prompts = [
            VERDICTS.format(context=own, statements="\n".join(f"{i}. {s}" for i, s in enumerate(said, start=1)))
            for own, said in zip(contexts, statements, strict=True)
            if said
        ]
        replies = iter(self._ask(prompts))
        return [
            _supported(next(replies), len(said)) if said else (None if said is None else -1.0) for said in statements
        ]

    def _relevant(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        replies = self._ask([GENERATE.format(count=QUESTIONS, answer=answer) for _, answer in pairs])
        return [self._relevancy(asked, reply) for (asked, _), reply in zip(pairs, replies, strict=True)]

    def _relevancy(self, asked: str, reply: dict[str, Any] | None) -> float | None:
        questions = _texts(reply, "questions")
        if reply is None or not questions or not isinstance(reply.get("noncommittal", False), bool | int):
            return None
        if reply.get("noncommittal", False):
            return 0.0
        vectors = np.asarray(self._embed([asked, *questions]), dtype=np.float64)
        lengths = np.linalg.norm(vectors, axis=1)
        lengths[lengths == 0] = 1.0
        unit = vectors / lengths[:, None]
        return float((unit[1:] @ unit[0]).mean())

    def _ask(self, prompts: Sequence[str]) -> list[dict[str, Any] | None]:
        conversations = [[Message(role="user", content=prompt)] for prompt in prompts]
        replies = self._judge.chat(conversations, GenerateOptions(max_tokens=_TOKENS)) if prompts else []
        return [_object(reply.text) for reply in replies]


def question(document: Document) -> str:
    """Return the question alone, without the context and the instruction around it, where the row brings it."""
    return next(iter(gold(document, QUESTION)), document.text)


def context(document: Document, corpus: Mapping[str, str] | None) -> str:
    """Return what an answer is checked against: the row's context, or else its gold articles.

    Raises:
        DataError: the row has no context, and no articles that the corpus has.
    """
    given = gold(document, CONTEXT)
    if given:
        return "\n".join(given)
    found = [read_provision(part) for part in gold(document, ARTICLES)]
    texts = [f"Article {p.article}. {corpus[p.article]}" for p in found if corpus and p and p.article in corpus]
    if texts:
        return "\n".join(dict.fromkeys(texts))
    do = "give the row a context, or its articles and task_options.corpus"
    raise DataError("no context to check the answer against", where=f"document {shorten(document.id, 40)}", do=do)


def tfidf(texts: Sequence[str]) -> Array:
    """Return the TF-IDF vectors of texts over their own words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        return np.asarray(TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit_transform(texts).toarray())
    except ValueError:  # no text has a word
        return np.zeros((len(texts), 1))


def ragas_scores(
    documents: Sequence[Document],
    predictions: Sequence[Prediction],
    llm: Any,
    embeddings: Any,
    corpus: Mapping[str, str] | None = None,
) -> list[dict[str, float]]:
    """Return ragas's own faithfulness and answer relevancy of the same rows, to compare with.

    Args:
        documents: the questions, with their contexts.
        predictions: `predictions[i]` answers `documents[i]`.
        llm: the judge, as ragas wraps it.
        embeddings: the embedding model, as ragas wraps it.
        corpus: as of `FaithfulnessScorer`.

    Raises:
        MachineError: ragas is not installed.
        DataError: a document without a context.
    """
    try:
        from ragas import EvaluationDataset, SingleTurnSample, evaluate
        from ragas.metrics import Faithfulness, ResponseRelevancy
    except ImportError:
        raise MachineError("ragas is not installed", do='pip install "lextune[judge]"') from None
    samples = [
        SingleTurnSample(
            user_input=question(document),
            response=written(prediction),
            retrieved_contexts=[context(document, corpus)],
        )
        for document, prediction in zip(documents, predictions, strict=True)
    ]
    metrics = [Faithfulness(llm=llm), ResponseRelevancy(llm=llm, embeddings=embeddings, strictness=QUESTIONS)]
    result = evaluate(EvaluationDataset(samples), metrics=metrics, show_progress=False)
    return [{name: float(value) for name, value in row.items()} for row in result.scores]


def _object(reply: str) -> dict[str, Any] | None:
    """Return the JSON object in a reply, None where there is none."""
    try:
        value = json.loads(reply[reply.index("{") : reply.rindex("}") + 1])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _texts(reply: dict[str, Any] | None, key: str) -> list[str] | None:
    values = reply.get(key) if reply is not None else None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return [value for value in values if value.strip()]


def _supported(reply: dict[str, Any] | None, statements: int) -> float | None:
    verdicts = reply.get("verdicts") if reply is not None else None
    if not isinstance(verdicts, list) or len(verdicts) != statements or not all(v in (0, 1) for v in verdicts):
        return None
    return sum(verdicts) / statements
