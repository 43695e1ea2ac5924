"""Slices: the same scores on parts of the documents, and which parts do worse than the whole by more than chance.

A dimension gives every document one value: `contract_type`; `drafting` (US, UK or unknown: the document's tag, else
what its text says); `length` (about 8,000 tokens and more are apart); `year` and `tenant`, and any other tag that is
named, where a document has them. What a document has no value for is `unknown`.

A slice *falls* by more than a limit where its score is below the whole's by more than that, and where so low a slice
is not what chance gives: documents are dealt at random to slices of the same sizes, and p is how often any slice then
lies as far below the whole as this one does. So p holds for all slices together, whatever their number, sizes and
overlap: where they are all alike, one in twenty evaluations has a slice with p < 0.05, however many slices there are.
Source: Westfall and Young, Resampling-Based Multiple Testing (1993), section 2.3 (single-step max T).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lextune.core.records import Document
from lextune.expert.scoring import contracteval, fields
from lextune.expert.scoring.intervals import Array, Bootstrap, Score, Statistic
from lextune.text.dates import read_date
from lextune.text.drafting import drafting

UNKNOWN = "unknown"
TAGS = ("tenant", "language")
"""Tags that are dimensions where no others are named."""
LONG_TOKENS = 8_000
CHARACTERS_PER_TOKEN = 4.5
"""Of English contracts by SmolLM2's tokenizer: 4.1 to 5.3, median 4.5 over 25 contracts of CUAD."""
LENGTHS = ("up to 8,000 tokens", "over 8,000 tokens")
SMALLEST = 5
"""Documents in the smallest slice that is tested: of fewer, no order of the documents is rare."""
ROUNDS = 2_000
SIGNIFICANT = 0.05
_CHUNK = 2_000_000  # numbers gathered at once: 16 MB
_YEAR = re.compile(r"\d{4}")
_DATES = ("Agreement Date", "Effective Date")

Dimensions = Mapping[str, Sequence[str]]
"""Each dimension's value of every document, in the order of the documents."""


@dataclass(frozen=True)
class SliceScores:
    """One field, or one part of the documents: `n_present` of its pairs have gold."""

    n_documents: int
    n_present: int
    field_f1: Score
    contracteval_f1: Score
    jaccard: Score


@dataclass(frozen=True)
class Slice(SliceScores):
    """A part of the documents beside the whole.

    `drop` is the whole's micro field F1 minus its own; `p` the probability that chance alone puts any slice so far
    below the whole (see the module). Both are None where the score is undefined or the slice is the whole, p alone
    with fewer than five documents.
    """

    drop: float | None
    p: float | None

    def scores(self) -> SliceScores:
        """Return its scores alone."""
        return SliceScores(self.n_documents, self.n_present, self.field_f1, self.contracteval_f1, self.jaccard)


class Drop(NamedTuple):
    """How far a slice lies below the whole, and the probability of that by chance; see `Slice`."""

    drop: float | None
    p: float | None


def dimensions(documents: Sequence[Document], tags: Sequence[str] = TAGS) -> dict[str, list[str]]:
    """Return the value of every document in each dimension.

    Args:
        documents: in any order; the values are in the same.
        tags: names of tags that are dimensions too; one that no document carries is left out.
    """
    found = {
        "contract_type": [document.contract_type or UNKNOWN for document in documents],
        "drafting": [document.tags.get("drafting") or _drafted(document.text) for document in documents],
        "length": [LENGTHS[about_tokens(document.text) > LONG_TOKENS] for document in documents],
        "year": [year(document) for document in documents],
    }
    found |= {name: [document.tags.get(name) or UNKNOWN for document in documents] for name in tags}
    always = ("contract_type", "drafting", "length")
    return {name: values for name, values in found.items() if name in always or set(values) != {UNKNOWN}}


def about_tokens(text: str) -> float:
    """Return about how many tokens a text has: its characters over 4.5, whatever model reads it."""
    return len(text) / CHARACTERS_PER_TOKEN


def year(document: Document) -> str:
    """Return the year of a document: its tag `year` or `date`, else the date that annotators read in it."""
    told = document.tags.get("year") or document.tags.get("date")
    if told is None:
        answers = (label.answer for name in _DATES if (label := document.labels.get(name)) is not None)
        told = next((date for answer in answers if answer and (date := read_date(answer))), "")
    match = _YEAR.search(told)
    return match[0] if match else UNKNOWN


@functools.lru_cache(maxsize=1024)
def _drafted(text: str) -> str:
    """Tell the drafting of a text once: every arm is scored on the same documents."""
    return drafting(text).kind


def parts(values: Dimensions) -> tuple[list[tuple[str, str]], NDArray[np.bool_]]:
    """Return every slice as (dimension, value), values in alphabetical order, and slices x documents: who is in it."""
    named = [(name, value) for name, of in values.items() for value in sorted(set(of))]
    return named, np.array([[own == value for own in values[name]] for name, value in named])


def score_slices(values: Dimensions, judged: Array, marked: Array, *, seed: int) -> dict[str, dict[str, Slice]]:
    """Return the scores of every slice of every dimension, values in alphabetical order.

    Args:
        values: as `dimensions` returns them.
        judged: of `fields.counts`, documents x fields x 3.
        marked: of `contracteval.counts`, documents x fields x 7.
        seed: of the resamples.
    """
    named, members = parts(values)
    pooled, answers = judged.sum(axis=1), marked.sum(axis=1)
    drops = measure_drops(members, pooled, fields.f1, seed=seed)
    found: dict[str, dict[str, Slice]] = {name: {} for name in values}
    for (name, value), rows, drop in zip(named, members, drops, strict=True):
        found[name][value] = _scored(pooled[rows], answers[rows], drop, seed)
    return found


def _scored(judged: Array, marked: Array, drop: Drop, seed: int) -> Slice:
    bootstrap = Bootstrap(len(judged), seed=seed)
    n_present = int(marked[:, contracteval.PRESENT].sum())
    n_pairs = n_present + int(marked[:, contracteval.ABSENT].sum())
    return Slice(
        n_documents=len(judged),
        n_present=n_present,
        field_f1=bootstrap.score(judged, fields.f1, n_pairs),
        contracteval_f1=bootstrap.score(marked, contracteval.f1, n_pairs),
        jaccard=bootstrap.score(marked, contracteval.jaccard, n_present),
        drop=drop.drop,
        p=drop.p,
    )


def measure_drops(
    members: NDArray[np.bool_], table: Array, statistic: Statistic, *, seed: int, rounds: int = ROUNDS
) -> list[Drop]:
    """Return how far each slice lies below the whole, and the probability of that by chance.

    Args:
        members: slices x documents; slices may overlap.
        table: documents x counts.
        statistic: from summed counts (..., counts) to values (...), more being better.
        seed: of the random orders of documents.
        rounds: how many of them.

    Slices that hold the same documents are tested as one. A slice's drop is measured in standard deviations of its
    drops over the random orders, so that small slices, which scatter widely, do not hide a fall of a large one.
    """
    sizes = members.sum(axis=1)
    whole = statistic(table.sum(axis=0))
    observed = whole - statistic(members @ table)
    apart = (sizes < len(table)) & ~np.isnan(observed)
    tested = apart & (sizes >= SMALLEST)
    p = np.full(len(members), np.nan)
    if tested.any():
        p[tested] = _chance(members[tested].astype(np.float64), table, statistic, observed[tested], seed, rounds)
    return [
        Drop(float(drop) if own else None, None if np.isnan(chance) else float(chance))
        for drop, own, chance in zip(observed, apart, p, strict=True)
    ]


def _chance(members: Array, table: Array, statistic: Statistic, observed: Array, seed: int, rounds: int) -> Array:
    """Return for each observed drop the share of random orders in which the largest drop of any slice is as large."""
    distinct, inverse = np.unique(members, axis=0, return_inverse=True)
    dealt = _dealt(distinct, table, statistic, seed, rounds)
    centre, spread = np.nanmean(dealt, axis=0), np.nanstd(dealt, axis=0)
    spread = np.where(spread > 0, spread, np.inf)  # a slice that no order moves says nothing
    largest = np.nan_to_num((dealt - centre) / spread, nan=-np.inf, neginf=-np.inf).max(axis=1)
    own = (observed - centre[inverse.ravel()]) / spread[inverse.ravel()]
    as_large = (largest[:, None] >= own[None, :] - 1e-9).sum(axis=0)
    return np.asarray((as_large + 1) / (rounds + 1))


def _dealt(members: Array, table: Array, statistic: Statistic, seed: int, rounds: int) -> Array:
    """Return rounds x slices: how far each slice lies below the whole with documents dealt at random."""
    generator = np.random.default_rng(seed)
    whole, size = statistic(table.sum(axis=0)), max(1, _CHUNK // table.size)
    found = []
    for start in range(0, rounds, size):
        order = np.tile(np.arange(len(table)), (min(size, rounds - start), 1))
        dealt = table[generator.permuted(order, axis=1)]
        found.append(whole - statistic(members @ dealt))
    return np.concatenate(found)


def fell(drop: float | None, p: float | None, limit: float) -> bool:
    """Say whether a slice falls below the whole by more than `limit`, and by more than chance."""
    return drop is not None and p is not None and drop > limit and p < SIGNIFICANT
