"""The `linear` baseline: TF-IDF of word 1- and 2-grams and a logistic regression a field, over sentences.

It is trained on the same windows as the model and answers through the same path, as a `Tagger`. A fine-tune
that does not beat it is doing nothing useful.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lextune.core.artifacts import write_atomic
from lextune.expert.windowing import WindowExample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS, VOCABULARY = "linear.safetensors", "linear_vocabulary.json"
MIN_CONTRACTS = 5
HASHES = 1 << 23  # of n-grams, of which a count is held while the vocabulary is chosen
NEGATIVES = 12  # negative sentences kept for each positive one of a field; the intercept is corrected for it
LEAST_NEGATIVES = 60_000  # kept of any field, where there are so many


class LinearTagger:
    """Sparse text features times a weight matrix.

    Args:
        vocabulary: n-gram to column. idf: [columns]. weight: [fields, columns]. bias: [fields].
    """

    name = "linear"

    def __init__(
        self,
        vocabulary: dict[str, int],
        idf: NDArray[np.float32],
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> None:
        self.vocabulary, self.idf, self.weight, self.bias = vocabulary, idf, weight, bias

    def tag_texts(self, batch: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        """Return logits [sentences, fields] for each window, given as sentence texts."""
        import numpy as np

        features = _features([t for texts in batch for t in texts], self.vocabulary, self.idf)
        used = np.unique(features.indices)  # the other columns of the weights are not copied
        logits = np.asarray(features[:, used] @ self.weight[:, used].T + self.bias, dtype=np.float32)
        cuts = np.cumsum([len(texts) for texts in batch])[:-1]
        return list(np.split(logits, cuts))

    def save(self, folder: Path) -> None:
        """Write fp16 safetensors and the vocabulary as JSON."""
        import numpy as np
        from safetensors.numpy import save_file

        tensors = {"idf": self.idf, "weight": self.weight, "bias": self.bias}
        save_file({k: np.ascontiguousarray(v, dtype=np.float16) for k, v in tensors.items()}, folder / WEIGHTS)
        words = sorted(self.vocabulary, key=self.vocabulary.__getitem__)
        write_atomic(folder / VOCABULARY, json.dumps(words, ensure_ascii=False))

    @classmethod
    def load(cls, folder: Path) -> LinearTagger:
        """Read what `save` wrote."""
        import numpy as np
        from safetensors.numpy import load_file

        tensors = {k: v.astype(np.float32) for k, v in load_file(folder / WEIGHTS).items()}
        words = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
        return cls({w: i for i, w in enumerate(words)}, tensors["idf"], tensors["weight"], tensors["bias"])


def fit_linear(examples: Iterable[WindowExample], fields: int, *, seed: int = 0) -> LinearTagger:
    """Fit the baseline on labelled windows.

    Args:
        examples: all windows of the training documents, with and without labels.
        fields: number of fields of the schema.
        seed: draws the negatives.

    Returns:
        The tagger; a field without positives gets a logit that is always low.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    rows = list(examples)
    texts = [t for e in rows for t in e.texts]
    vocabulary, idf = _vocabulary(rows)
    features = _features(texts, vocabulary, idf)
    yes = [set(r) for e in rows for r in e.positives]
    skip = [set(r) for e in rows for r in e.ignored]
    random = np.random.default_rng(seed)
    weight = np.zeros((fields, len(vocabulary)), dtype=np.float32)
    bias = np.full(fields, -12.0, dtype=np.float32)
    for field in range(fields):
        positive = np.array([i for i, s in enumerate(yes) if field in s], dtype=np.int64)
        negative = np.array(
            [i for i, (s, g) in enumerate(zip(yes, skip, strict=True)) if field not in s and field not in g],
            dtype=np.int64,
        )
        if not len(positive) or not len(negative):
            continue
        wanted = max(LEAST_NEGATIVES, NEGATIVES * len(positive))
        kept = random.choice(negative, size=min(len(negative), wanted), replace=False)
        chosen = np.concatenate([positive, kept])
        target = np.concatenate([np.ones(len(positive)), np.zeros(len(kept))])
        model = LogisticRegression(C=10.0, solver="liblinear", random_state=seed)
        model.fit(features[chosen], target)
        weight[field] = model.coef_[0]
        bias[field] = model.intercept_[0] + np.log(len(kept) / len(negative))
    return LinearTagger(vocabulary, idf, weight, bias)


def _ngrams(text: str) -> list[str]:
    words = [w.strip(".,;:()[]\"'“”‘’").lower() for w in text.split()]
    words = [("0" if w.isdigit() else w) for w in words if w]
    return words + [f"{a} {b}" for a, b in pairwise(words)]


def _vocabulary(rows: Sequence[WindowExample]) -> tuple[dict[str, int], NDArray[np.float32]]:
    """Return the n-grams found in at least MIN_CONTRACTS documents, and their smoothed inverse frequency.

    Most n-grams are in one document only. So documents are first counted by a hash of theirs, which never counts too
    few, and n-grams are held and counted themselves where that count is high enough.
    """
    import numpy as np

    by_document: dict[str, list[WindowExample]] = {}
    for example in rows:
        by_document.setdefault(example.document_id, []).append(example)
    least = min(MIN_CONTRACTS, max(1, len(by_document) // 4))
    counts = np.zeros(HASHES, np.int32)
    for examples in by_document.values():
        seen = {hash(gram) % HASHES for example in examples for text in example.texts for gram in _ngrams(text)}
        counts[np.fromiter(seen, np.int64, len(seen))] += 1
    likely = (counts >= least).tobytes()
    contracts, sentences = Counter[str](), Counter[str]()
    for examples in by_document.values():
        grams_of = ({g for g in _ngrams(t) if likely[hash(g) % HASHES]} for e in examples for t in e.texts)
        here = Counter(gram for grams in grams_of for gram in grams)
        contracts.update(here.keys())
        sentences.update(here)
    total = sum(len(example.texts) for example in rows)
    words = sorted(gram for gram, n in contracts.items() if n >= least)
    idf = np.log((1 + total) / (1 + np.array([sentences[w] for w in words], dtype=np.float32))) + 1
    return {w: i for i, w in enumerate(words)}, idf.astype(np.float32)


def _features(texts: Sequence[str], vocabulary: dict[str, int], idf: NDArray[np.float32]) -> Any:
    """Return a sparse matrix [texts, columns]: sublinear term frequency times idf, rows of length one."""
    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    bounds, columns, times = array("q", [0]), array("i"), array("i")
    for text in texts:
        counts = Counter(vocabulary[g] for g in _ngrams(text) if g in vocabulary)
        columns.extend(counts.keys())
        times.extend(counts.values())
        bounds.append(len(columns))
    values = (1 + np.log(np.array(times, dtype=np.int32))).astype(np.float32)
    matrix = csr_matrix((values, np.array(columns), np.array(bounds)), shape=(len(texts), len(vocabulary)))
    matrix.sort_indices()
    matrix.data *= idf[matrix.indices]
    return normalize(matrix, copy=False) if matrix.nnz else matrix
