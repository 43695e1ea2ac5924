"""Near-duplicates: pairs and families of documents that share most of their wording.

Two documents are compared by their sets of shingles, five words in a row each. Jaccard similarity is
|A & B| / |A | B|; containment is |A & B| / min(|A|, |B|), which also finds an amendment or a first part
inside a longer document. MinHash estimates the first and misses the second, so all pairs are counted
exactly: the product of the sparse document x shingle matrix with its own transpose. The time grows with the
squares of the numbers of documents that share a shingle; 408 contracts of CUAD take under three seconds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lextune.core.records import Document

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS = 5
BLOCK = 256  # rows of the product held at a time
_WORD = re.compile(r"\w+")


class Limits(NamedTuple):
    """From where on two documents are too alike; either limit suffices."""

    jaccard: float
    containment: float


NEAR_DUPLICATE = Limits(jaccard=0.8, containment=0.8)
LEAK = Limits(jaccard=0.5, containment=0.7)


class Pair(NamedTuple):
    """Two documents (by their places in the sequence, a < b) and how alike they are, each in [0, 1]."""

    a: int
    b: int
    jaccard: float
    containment: float


def shingles(text: str) -> set[str]:
    """Return the shingles of a text: all runs of five words, without case and punctuation.

    A text of fewer words is one shingle, a text without words none.
    """
    words = _WORD.findall(text.casefold())
    return {" ".join(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))} if words else set()


def similar_pairs(texts: Sequence[str], limits: Limits) -> list[Pair]:
    """Return all pairs of texts at or over one of the limits, in order."""
    if not texts:
        return []
    matrix, sizes = _matrix(texts)
    pairs = []
    for first in range(0, len(texts), BLOCK):
        shared = (matrix[first : first + BLOCK] @ matrix.T).tocoo()
        a, b, count = shared.row + first, shared.col, shared.data
        containment = count / sizes[[a, b]].min(axis=0)
        jaccard = count / (sizes[a] + sizes[b] - count)
        alike = (a < b) & ((jaccard >= limits.jaccard) | (containment >= limits.containment))
        pairs += [
            Pair(int(i), int(j), float(x), float(y))
            for i, j, x, y in zip(a[alike], b[alike], jaccard[alike], containment[alike], strict=True)
        ]
    return sorted(pairs)


def _matrix(texts: Sequence[str]) -> tuple[Any, NDArray[np.int64]]:
    """Return the documents x shingles matrix of zeros and ones (CSR), and each document's number of shingles.

    Shingles stand as 64-bit hashes. Those of a single document, most of them, are left out of the matrix.
    """
    import numpy as np
    from rensa import RMinHash
    from scipy.sparse import csr_array

    hashes = (RMinHash.hash_token_sets([list(shingles(text))])[0] for text in texts)
    rows = [np.unique(np.array(row, dtype=np.uint64)) for row in hashes]
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    unique, columns, counts = np.unique(np.concatenate(rows), return_inverse=True, return_counts=True)
    documents = np.repeat(np.arange(len(rows)), sizes)
    shared = counts[columns] > 1
    ones = np.ones(int(shared.sum()), dtype=np.int32)
    shape = (len(rows), len(unique))
    return csr_array((ones, (documents[shared], columns[shared])), shape=shape), sizes


def families(documents: Sequence[Document], limits: Limits = NEAR_DUPLICATE) -> list[tuple[str, ...]]:
    """Group documents: two that are alike, and all that a chain of such pairs joins, are one family.

    Returns:
        Families of document ids, every document in exactly one (alone where it is like no other), both in
        the order of `documents`.
    """
    pairs = similar_pairs([document.text for document in documents], limits)
    return [tuple(documents[i].id for i in group) for group in joined(len(documents), pairs)]


def joined(count: int, pairs: Iterable[Pair]) -> Iterator[tuple[int, ...]]:
    """Yield the connected groups of 0..count-1 (union-find), each sorted, in the order of their first."""
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for pair in pairs:
        first, second = sorted((root(pair.a), root(pair.b)))
        parent[second] = first
    groups: dict[int, list[int]] = defaultdict(list)
    for node in range(count):
        groups[root(node)].append(node)
    yield from (tuple(group) for group in groups.values())
