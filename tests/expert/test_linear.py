"""The linear baseline learns from a handful of sentences and is stored without a pickle."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lextune.expert import linear
from lextune.expert.linear import VOCABULARY, WEIGHTS, LinearTagger, fit_linear
from lextune.expert.readers import LinearReader, Passage
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowExample

LAW = "This Agreement is governed by the laws of the State of {}."
TERM = "The term of this Agreement is {} years."
PLAIN = ["The Supplier delivers {} boxes.", "Invoices are sent to {}.", "The parties meet in {}."]
WORDS = ["Ohio", "Texas", "Utah", "12", "Paris", "June"]


def examples() -> list[WindowExample]:
    out = []
    for number in range(24):
        word = WORDS[number % len(WORDS)]
        texts = (LAW.format(word), *(p.format(word) for p in PLAIN), TERM.format(word))
        positives: tuple[tuple[int, ...], ...] = ((0,), (), (), (), (1,))
        ignored = ((2,),) * 5
        window = {"document_id": f"d{number}", "index": 0, "heading": "", "texts": texts}
        out.append(WindowExample(**window, positives=positives, ignored=ignored))
    return out


@pytest.fixture(scope="module")
def tagger() -> LinearTagger:
    return fit_linear(examples(), 4)


def test_it_learns(tagger: LinearTagger) -> None:
    texts = [LAW.format("Nevada"), "The Supplier delivers nine boxes.", TERM.format("ten")]
    (logits,) = tagger.tag_texts([texts])
    assert logits.shape == (3, 4)
    assert logits.dtype == np.float32
    assert logits[:, :2].argmax(axis=0).tolist() == [0, 2]
    assert logits[0, 0] > 0 > logits[1, 0]
    assert (logits[:, 2:] < -10).all(), "a field without positives or without negatives is never found"


def test_windows_keep_their_own_rows(tagger: LinearTagger) -> None:
    windows = [[LAW.format("Ohio")], [TERM.format("5"), "zzz", ""], [PLAIN[0]]]
    together = tagger.tag_texts(windows)
    assert [len(t) for t in together] == [1, 3, 1]
    for window, logits in zip(windows, together, strict=True):
        np.testing.assert_allclose(tagger.tag_texts([window])[0], logits, rtol=1e-6)
    np.testing.assert_allclose(together[1][1], tagger.bias, rtol=1e-6)


def test_stored_as_fp16_and_json(tagger: LinearTagger, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    tagger.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {WEIGHTS, VOCABULARY}
    assert {t.dtype for t in load_file(tmp_path / WEIGHTS).values()} == {np.dtype(np.float16)}
    words = json.loads((tmp_path / VOCABULARY).read_text(encoding="utf-8"))
    assert words == sorted(words)
    again = LinearTagger.load(tmp_path)
    texts = [[LAW.format("Ohio"), TERM.format("2"), PLAIN[1]]]
    assert again.vocabulary == tagger.vocabulary
    np.testing.assert_allclose(again.tag_texts(texts)[0], tagger.tag_texts(texts)[0], atol=0.02)


def test_the_same_seed_gives_the_same_weights(tagger: LinearTagger) -> None:
    again = fit_linear(examples(), 4)
    np.testing.assert_array_equal(again.weight, tagger.weight)


def test_rare_ngrams_stay_out(tagger: LinearTagger) -> None:
    one = examples()[0].model_copy(update={"texts": ("unique words here",) * 5, "document_id": "other"})
    assert "unique" not in fit_linear([*examples(), one], 4).vocabulary
    assert "state of" in tagger.vocabulary


def test_no_examples_find_nothing() -> None:
    empty = fit_linear([], 2)
    (logits,) = empty.tag_texts([["Ohio law governs."]])
    assert (logits == -12).all()


def test_the_reader_calibrates(tagger: LinearTagger) -> None:
    reader = LinearReader(tagger, Thresholds(slope=2.0, shift=-1.0))
    passages = [Passage("", [LAW.format("Ohio")])]
    (reading,) = reader.read(passages)
    expected = 1 / (1 + np.exp(-(2 * reader.logits(passages)[0] - 1)))
    np.testing.assert_allclose(reading.confidence, expected, atol=1e-6)
    assert reading.outputs == reading.valid == 0


def test_the_vocabulary_is_what_counting_every_ngram_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, words = random.Random(4), [f"w{i}" for i in range(40)]
    documents = [[" ".join(rng.choices(words, k=6)) for _ in range(3)] for _ in range(30)]
    rows = [
        WindowExample(document_id=f"d{number}", index=part, heading="", texts=(text,), positives=((),), ignored=((),))
        for part in range(3)  # the windows of a document need not stand together
        for number, document in enumerate(documents)
        for text in document[part : part + 1]
    ]

    def grams(text: str) -> set[str]:
        found = text.split()
        return {*found, *(f"{a} {b}" for a, b in pairwise(found))}

    contracts = Counter(gram for document in documents for gram in set().union(*map(grams, document)))
    sentences = Counter(gram for document in documents for text in document for gram in grams(text))
    expected = sorted(gram for gram, n in contracts.items() if n >= linear.MIN_CONTRACTS)
    for hashes in (1 << 20, 64):  # with so few, most n-grams have the hash of another
        monkeypatch.setattr(linear, "HASHES", hashes)
        vocabulary, idf = linear._vocabulary(rows)
        assert list(vocabulary) == expected
        np.testing.assert_allclose(idf, [math.log(91 / (1 + sentences[w])) + 1 for w in expected], rtol=1e-5)
