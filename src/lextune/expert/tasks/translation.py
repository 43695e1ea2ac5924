"""Translation: BLEU, chrF, and whether the glossary's terms are used.

BLEU (Papineni et al. 2002) and chrF2 (Popovic 2015) are sacrebleu's, of the whole test set: sacrebleu gives the
n-gram counts of each text, and its formulas are applied to their sums, so that a resample of documents is scored as
the corpus that it is. Both are on sacrebleu's scale, 0 to 100.

Terminology accuracy: of the glossary's terms that stand in a source text, the share whose translation, or one of its
variants, stands in the answer. Terms are whole words, of which a longer one is looked for first (`service level
agreement` is no `agreement`). A term that is written in capitals throughout (`VAT`) counts in capitals only, any other
in any case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lextune.core.errors import DataError, shorten
from lextune.core.files import read_sheet
from lextune.core.records import Document, Prediction
from lextune.expert.scoring.intervals import Array
from lextune.expert.tasks.base import OUTPUT
from lextune.expert.tasks.instruction import Instruction
from lextune.expert.tasks.options import TaskOptions, sample
from lextune.expert.tasks.scoring import Metric, Scorer, gold, share, written

SOURCE = "source"
BLEU = slice(0, 10)  # hypothesis and reference words, matched and all 1- to 4-grams
CHRF = slice(10, 28)  # hypothesis, reference and matched 1- to 6-grams of characters
USED, TERMS, TEXTS = 28, 29, 30


def prompt(text: str, source: str = "", target: str = "") -> str:
    """Return the question that asks for a translation; the languages are named where they are given."""
    languages = f"{f' from {source}' if source else ''}{f' into {target}' if target else ''}"
    return f"Translate this text{languages}. Answer with the translation alone.\n\n{text}"


class Translation(Instruction):
    """One text in another language."""

    name = "translation"

    def scorer(self, options: TaskOptions) -> Scorer:
        """Return the scorer, with the terms of the glossary where the options name one.

        Raises:
            DataError: the glossary cannot be read.
        """
        if options.glossary is None:
            return TranslationScorer(tokenizer=options.bleu_tokenizer)
        path = sample("translation-glossary.csv") if options.glossary == "auto" else Path(options.glossary)
        return TranslationScorer(load_glossary(path), tokenizer=options.bleu_tokenizer)


class Term(NamedTuple):
    """A term, and every translation that is right."""

    source: str
    targets: tuple[str, ...]


def load_glossary(path: Path) -> tuple[Term, ...]:
    """Return a glossary's terms.

    Args:
        path: CSV with the columns source, target and, where wanted, variants (`a|b`).

    Raises:
        DataError: the file cannot be read, lacks a column, has an empty cell, or a term twice; names the line.
    """
    terms: dict[str, Term] = {}
    do = "head the columns source, target and, where wanted, variants, and fill source and target"
    for where, cells in read_sheet(path, ("source", "target"), "a glossary", do):
        source, target = cells["source"], cells["target"]
        if not source or not target:
            raise DataError("not one source and one target", where=where, do=do)
        if source.casefold() in terms:
            once = "keep one line, with the others' targets in variants"
            raise DataError(f"the term {shorten(source, 40)!r} is there twice", where=where, do=once)
        variants = [each.strip() for each in cells.get("variants", "").split("|") if each.strip()]
        terms[source.casefold()] = Term(source, (target, *variants))
    return tuple(terms.values())


class TranslationScorer(Scorer):
    """Marks translations.

    Args:
        terms: of the glossary; empty for none, then nothing is said of terminology.
        tokenizer: sacrebleu's name of how BLEU cuts words.
    """

    primary = "chrf"

    def __init__(self, terms: Sequence[Term] = (), *, tokenizer: str = "13a") -> None:
        from sacrebleu import metrics

        self._bleu, self._chrf = metrics.BLEU(tokenize=tokenizer), metrics.CHRF()
        self._terms = sorted(terms, key=lambda term: -len(term.source))
        self.metrics = {
            "chrf": _corpus(self._chrf, CHRF),
            "bleu": _corpus(self._bleu, BLEU),
            **({"terminology_accuracy": share(USED, TERMS)} if terms else {}),
        }

    def counts(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> Array:
        """Return documents x (BLEU's 10 statistics, chrF's 18, terms used, terms in the source, 1).

        Raises:
            DataError: a document without a translation.
        """
        table = np.zeros((len(documents), 31))
        said = [written(prediction) for prediction in predictions]
        references = [[_reference(document) for document in documents]]
        table[:, BLEU] = self._bleu._extract_corpus_statistics(said, references)
        table[:, CHRF] = self._chrf._extract_corpus_statistics(said, references)
        for row, (document, answer) in enumerate(zip(documents, said, strict=True)):
            stated = self._stated(document)
            table[row, USED:] = sum(_uses(answer, term) for term in stated), len(stated), 1
        return table

    def detail(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return {signatures: sacrebleu's, missed: {term: how often its translation was missing}, most first}."""
        missed: dict[str, int] = {}
        for document, prediction in zip(documents, predictions, strict=True):
            for term in self._stated(document):
                if not _uses(written(prediction), term):
                    missed[term.source] = missed.get(term.source, 0) + 1
        signatures = [str(metric.get_signature()) for metric in (self._bleu, self._chrf)]
        return {"signatures": signatures, "missed": dict(sorted(missed.items(), key=lambda item: (-item[1], item[0])))}

    def _stated(self, document: Document) -> list[Term]:
        """Return the terms that stand in a document's source text, the longest first, each place for one term only."""
        text, stated = next(iter(gold(document, SOURCE)), document.text), []
        for term in self._terms:
            rest = _pattern(term.source).sub(" \0 ", text)
            if rest != text:
                stated.append(term)
                text = rest
        return stated


def _corpus(metric: Any, columns: slice) -> Metric:
    """Return a corpus metric of sacrebleu's as one of summed statistics, on its own scale."""

    def of(sums: Array) -> Array:
        statistics = np.rint(sums[..., columns]).astype(int)
        rows = statistics.reshape(-1, statistics.shape[-1]).tolist()
        return np.array([metric._compute_score_from_stats(row).score for row in rows]).reshape(statistics.shape[:-1])

    return Metric(of, lambda sums: sums[..., TEXTS])


def _pattern(term: str) -> re.Pattern[str]:
    words = r"\s+".join(re.escape(word) for word in term.split())
    capitals = term.isupper() and len(term) > 1
    return re.compile(rf"(?<!\w){words}(?!\w)", 0 if capitals else re.IGNORECASE)


def _uses(answer: str, term: Term) -> bool:
    return any(_pattern(target).search(answer) for target in term.targets)


def _reference(document: Document) -> str:
    parts = gold(document, OUTPUT)
    if not parts:
        raise DataError("no translation", where=f"document {shorten(document.id, 40)}", do="give every row its target")
    return parts[0]
