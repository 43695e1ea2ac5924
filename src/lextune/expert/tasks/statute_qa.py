"""Statute QA: a question answered with the articles that it rests on.

Citations are compared article by article (`Article 6(1)(a)` cites article 6), each once an answer, whatever the unit
is called; the pinpoint F1 compares them with their paragraphs. An article that the corpus does not have is invented.
What an answer says beyond its citations is marked by `lextune.expert.tasks.faithfulness`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lextune.core.errors import DataError, shorten
from lextune.core.files import read_text
from lextune.core.records import Document, Prediction
from lextune.expert.scoring import fields
from lextune.expert.scoring.intervals import Array, Statistic
from lextune.expert.tasks.instruction import Instruction, with_citations
from lextune.expert.tasks.options import TaskOptions, sample
from lextune.expert.tasks.scoring import Metric, Scorer, gold, share, written
from lextune.text.articles import Provision, find_provisions, read_provision

ARTICLES = "articles"
TP, FP, FN, PIN_TP, PIN_FP, PIN_FN, CITED, INVENTED, CITING, ASKED = range(10)


def prompt(question: str, context: str = "") -> str:
    """Return the question that asks for an answer with its articles, after the statute's text where it is given."""
    asked = f"{question}\n\nAnswer, and cite each article that the answer rests on."
    return f"{context}\n\n{asked}" if context else asked


class StatuteQa(Instruction):
    """A question answered with the articles that it rests on."""

    name = "statute-qa"

    def scorer(self, options: TaskOptions) -> Scorer:
        """Return the scorer, with the articles of the corpus and known cases where the options name them.

        Raises:
            DataError: the corpus or the list of cases cannot be read.
        """
        return with_citations(ArticleScorer(corpus_of(options)), options)


def corpus_of(options: TaskOptions) -> dict[str, str] | None:
    """Return the articles that the options name, None where they name none.

    Raises:
        DataError: the corpus cannot be read.
    """
    if options.corpus is None:
        return None
    return load_corpus(sample("statute-qa-corpus.jsonl") if options.corpus == "auto" else Path(options.corpus))


def load_corpus(path: Path) -> dict[str, str]:
    """Return a statute's articles by their numbers.

    Args:
        path: JSON Lines, each an object with `article` (`12`, or `Article 12`) and `text`.

    Raises:
        DataError: the file cannot be read or is empty, has a line that is no article, or one article twice.
    """
    articles: dict[str, str] = {}
    for number, line in enumerate(read_text(path)[1].split("\n"), start=1):
        if not line.strip():
            continue
        article, text = _article(line, f"{path}:{number}")
        if article in articles:
            raise DataError(f"article {article} is there twice", where=f"{path}:{number}", do="keep one of them")
        articles[article] = text
    if not articles:
        raise DataError("no articles", where=str(path), do="give one object with article and text a line")
    return articles


def _article(line: str, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise DataError("not an object with article and text", where=where, do="write it so")
    provision = read_provision(str(row.get("article", "")))
    if provision is None or provision.paragraphs:
        what = f"{shorten(str(row.get('article')), 30)!r} is no number of an article"
        raise DataError(what, where=where, do="write `12`, `12a` or `Article 12`")
    return provision.article, row["text"]


class ArticleScorer(Scorer):
    """Marks the articles that answers cite.

    Args:
        corpus: the numbers of all articles there are; None where no list is at hand, then nothing is said of invented
            ones.
    """

    primary = "article_f1"

    def __init__(self, corpus: Collection[str] | None = None) -> None:
        self._corpus = None if corpus is None else frozenset(corpus)
        self.metrics: Mapping[str, Metric] = {
            "article_f1": _of_counts(fields.f1, TP),
            "article_precision": _of_counts(fields.precision, TP),
            "article_recall": _of_counts(fields.recall, TP),
            "pinpoint_f1": _of_counts(fields.f1, PIN_TP),
            "citing_rate": share(CITING, ASKED),
            **({} if corpus is None else {"invented_article_rate": share(INVENTED, CITED)}),
        }

    def counts(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> Array:
        """Return documents x (TP, FP, FN of articles, the same of provisions, cited, invented, citing, asked).

        Raises:
            DataError: a gold article that cannot be read, or that the corpus does not have.
        """
        table = np.zeros((len(documents), 10))
        for row, (document, prediction) in enumerate(zip(documents, predictions, strict=True)):
            wanted, cited = self._gold(document), find_provisions(written(prediction))
            articles = {provision.article for provision in cited}
            table[row, TP : FN + 1] = _marked({p.article for p in wanted}, articles)
            table[row, PIN_TP : PIN_FN + 1] = _marked({str(p) for p in wanted}, {str(p) for p in cited})
            invented = len(articles - self._corpus) if self._corpus is not None else 0
            table[row, CITED:] = len(articles), invented, bool(articles), 1
        return table

    def detail(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return {invented: the first twenty citations of articles that do not exist, {document, article, start, end}}.

        The offsets are of the answer.
        """
        invented = [
            {"document": document.id, "article": p.article, "start": p.span.start, "end": p.span.end}
            for document, prediction in zip(documents, predictions, strict=True)
            for p in find_provisions(written(prediction))
            if self._corpus is not None and p.article not in self._corpus
        ]
        return {"invented": invented[:20]}

    def _gold(self, document: Document) -> list[Provision]:
        found = []
        for part in gold(document, ARTICLES):
            provision = read_provision(part)
            if provision is None:
                what, do = f"{shorten(part, 30)!r} is no article", "write `12`, `12(2)` or `Article 12(2)`"
                raise DataError(what, where=f"document {shorten(document.id, 40)}", do=do)
            if self._corpus is not None and provision.article not in self._corpus:
                what, do = f"the corpus has no article {provision.article}", "correct the row or task_options.corpus"
                raise DataError(what, where=f"document {shorten(document.id, 40)}", do=do)
            found.append(provision)
        return found


def _of_counts(statistic: Statistic, first: int) -> Metric:
    """Return a metric of the (TP, FP, FN) that begin at a column, in units of gold and cited ones."""
    return Metric(
        lambda sums: statistic(sums[..., first : first + 3]), lambda sums: sums[..., first : first + 3].sum(axis=-1)
    )


def _marked(wanted: set[str], given: set[str]) -> tuple[int, int, int]:
    return len(wanted & given), len(given - wanted), len(wanted - given)
