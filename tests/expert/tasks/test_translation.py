"""BLEU and chrF against sacrebleu on whole sets and on resamples of them; terms of a glossary."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu

from lextune.core.errors import DataError
from lextune.expert.tasks import TaskOptions, get_task, score_task
from lextune.expert.tasks.translation import Term, TranslationScorer, load_glossary, prompt

SAID = [
    "Le vendeur livre les biens à la date convenue.",
    "Chaque partie peut mettre fin au contrat par écrit.",
    "",
    "Le présent contrat est régi par le droit de Velmar.",
    "TVA",
]
WANTED = [
    "Le Vendeur livre les marchandises à la date convenue.",
    "Chaque partie peut résilier le présent contrat par notification écrite.",
    "La garantie dure deux ans.",
    "Le présent contrat est régi par le droit de Velmar.",
    "Les prix ne comprennent pas la TVA.",
]


def test_scores_are_sacrebleus(row: Any, answer: Any) -> None:
    rows = [row(f"r{i}", "text", text) for i, text in enumerate(WANTED)]
    result = score_task(TranslationScorer(), rows, [answer(r, text) for r, text in zip(rows, SAID, strict=True)])
    assert result["scores"]["bleu"]["value"] == pytest.approx(sacrebleu.corpus_bleu(SAID, [WANTED]).score)
    assert result["scores"]["chrf"]["value"] == pytest.approx(sacrebleu.corpus_chrf(SAID, [WANTED]).score)
    assert result["detail"]["signatures"][0].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp")


@pytest.mark.parametrize("seed", range(5))
def test_a_resample_is_scored_as_the_corpus_it_is(seed: int, row: Any, answer: Any) -> None:
    rows = [row(f"r{i}", "text", text) for i, text in enumerate(WANTED)]
    scorer = TranslationScorer()
    table = scorer.counts(rows, [answer(r, text) for r, text in zip(rows, SAID, strict=True)])
    drawn = random.Random(seed).choices(range(5), k=5)
    weights = np.bincount(drawn, minlength=5).astype(float)
    said, wanted = [SAID[i] for i in drawn], [WANTED[i] for i in drawn]
    sums = np.stack([weights @ table, table.sum(axis=0)])
    assert scorer.metrics["bleu"](sums)[0] == pytest.approx(sacrebleu.corpus_bleu(said, [wanted]).score)
    assert scorer.metrics["chrf"](sums)[0] == pytest.approx(sacrebleu.corpus_chrf(said, [wanted]).score)


TERMS = (
    Term("agreement", ("contrat", "accord")),
    Term("service level agreement", ("niveau de service",)),
    Term("VAT", ("TVA",)),
    Term("notice", ("notification",)),
)


@pytest.mark.parametrize(
    ("source", "said", "used", "stated", "reason"),
    [
        ("This agreement ends.", "Ce contrat prend fin.", 1, 1, "the first translation"),
        ("This Agreement ends.", "Cet Accord prend fin.", 1, 1, "a variant; case does not matter"),
        ("This agreement ends.", "Cette convention prend fin.", 0, 1, "no translation of the glossary"),
        ("The agreements end.", "Les contrats prennent fin.", 0, 0, "whole words only: plurals are other words"),
        ("A service level agreement.", "Un niveau de service.", 1, 1, "the longer term hides the shorter"),
        ("The agreement on the service level agreement.", "Le niveau de service.", 1, 2, "both stand there"),
        ("A vat of wine.", "Une cuve.", 0, 0, "capitals are another word"),
        ("Without VAT.", "Hors tva.", 0, 1, "in capitals in the answer too"),
        ("A\nservice  level agreement", "niveau\nde service", 1, 1, "any white space between words"),
        ("Nothing of it.", "Rien.", 0, 0, "no term"),
    ],
)
def test_terms(source: str, said: str, used: int, stated: int, reason: str, row: Any, answer: Any) -> None:
    rows = [row("r", "prompt: notice", "x", source=(source,))]
    result = score_task(TranslationScorer(TERMS), rows, [answer(rows[0], said)])
    score = result["scores"]["terminology_accuracy"]
    assert (score["n"], score["value"]) == (stated, used / stated if stated else None), reason
    assert sum(result["detail"]["missed"].values()) == stated - used


def test_a_glossary_with_variants(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("source,target,variants\nlease,bail,location | contrat de bail\nVAT,TVA,\n", encoding="utf-8")
    assert load_glossary(path) == (Term("lease", ("bail", "location", "contrat de bail")), Term("VAT", ("TVA",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("english,french\na,b\n", r"g.csv:1: no column 'source': not a glossary"),
        ("source,target\nlease,\n", r"g.csv:2: not one source and one target"),
        ("source,target\nlease,bail\nLease,x\n", r"g.csv:3: the term 'Lease' is there twice"),
    ],
)
def test_a_glossary_that_is_none(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        get_task("translation").scorer(TaskOptions(glossary=str(path)))


def test_a_row_without_its_target(row: Any, answer: Any) -> None:
    rows = [row("r", "text", "")]
    with pytest.raises(DataError, match=r"document r: no translation\n.*give every row its target"):
        score_task(TranslationScorer(), rows, [answer(rows[0], "x")])


def test_languages_are_named_where_they_are_given() -> None:
    assert prompt("Hi.", "English", "French").startswith("Translate this text from English into French. Answer")
    assert prompt("Hi.").startswith("Translate this text. Answer")
