"""How far annotators agree, where two or more labelled the same text.

A *unit* is one field of one text that at least two annotators assessed. For each field:

- `agreement`: of the pairs of annotators of a unit, the share that says the same (present or absent), mean over units.
- `kappa`: Cohen's kappa of presence, where the field's units have the same two annotators; undefined with more of them,
  and where both always say the same one thing.
- `alpha`: Krippendorff's alpha of presence, for any number of annotators and with gaps; undefined where all say the
  same one thing.
- `quotes`: over pairs of annotators that both quote, the mean F1 of their quotes' words, counted with repetition, as
  SQuAD marks answers (Rajpurkar et al. 2016). Words and not offsets, because one in six quotes of CUAD stands in its
  contract more than once and tables do not say which place was meant.

Every number is a function of counts summed over texts, so that all intervals come from resampling texts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel
from lextune.data.quality import Read
from lextune.expert.scoring.agreement import alpha, coincidence, kappa
from lextune.expert.scoring.intervals import Array, Bootstrap, Score, ratio

ALL = "all fields"
BLOCKS = 2_000  # texts are resampled in so many blocks at most: the resamples of more would not fit in memory
_WORD = re.compile(r"\w+")

# Counts of one unit. Of two annotators in the order of their names (of more, nothing): neither says present, only the
# second, only the first, both. Of any number: the share of pairs that agree; 1; coincidences (see `_alpha`)
# absent-absent, mixed, present-present; the sum of the F1 of quotes over pairs that both quote; the number of these.
COUNTS = 11
NEITHER, SECOND, FIRST, BOTH, AGREEING, UNIT, ABSENT, MIXED, PRESENT, F1, QUOTED = range(COUNTS)
Labels = dict[str, dict[str, FieldLabel]]  # annotator to field to label


class FieldAgreement(NamedTuple):
    """How far the annotators agree on one field; see the module. `annotators` are their names."""

    field: str
    units: int
    annotators: tuple[str, ...]
    agreement: Score
    kappa: Score
    alpha: Score
    quotes: Score

    def as_json(self) -> dict[str, Any]:
        """Return the scores as plain JSON types."""
        scores = {name: getattr(self, name).as_json() for name in ("agreement", "kappa", "alpha", "quotes")}
        return {"field": self.field, "units": self.units, "annotators": list(self.annotators), **scores}


class Agreement(NamedTuple):
    """How far the annotators of a dataset agree.

    documents = those of `texts` that several annotators labelled + the sum of `left_out`, by reason. `total` is all
    fields together, `fields` each one in the order of the dataset.
    """

    documents: int
    texts: int
    left_out: Mapping[str, int]
    annotators: Mapping[str, int]
    total: FieldAgreement
    fields: tuple[FieldAgreement, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain JSON types."""
        return {
            "documents": self.documents,
            "texts": self.texts,
            "left_out": dict(self.left_out),
            "annotators": dict(self.annotators),
            "total": self.total.as_json(),
            "fields": [field.as_json() for field in self.fields],
        }


def agreement(read: Read, *, seed: int = 0) -> Agreement:
    """Compare the annotators of every text that more than one of them labelled.

    Documents with the same text (of a row: the same conversation) and different `annotator` are compared. Left out,
    and counted: documents without an annotator, texts that one annotator labelled, and a second labelling by the same
    annotator (the first one counts).

    Args:
        read: the documents; read twice.
        seed: of the resamples.

    Raises:
        DataError: no field of any text was labelled by two annotators.
    """
    left_out: Counter[str] = Counter()
    texts = _shared_texts(read, left_out)
    if not texts:
        reasons = "".join(f"; {count} x {reason}" for reason, count in left_out.items())
        raise DataError(
            f"no text was labelled by two annotators{reasons}",
            do="give a dataset in which documents with the same text have different annotators",
        )
    fields = list(dict.fromkeys(field for labels in texts for given in labels.values() for field in given))
    units = {field: list(_units(texts, field)) for field in fields}
    if not any(units.values()):
        raise DataError(
            f"{len(texts)} texts were labelled by two annotators, who have no field in common",
            do="give annotators the same fields",
        )
    table = _table(len(texts), [units[field] for field in fields])
    return Agreement(
        documents=sum(len(labels) for labels in texts) + sum(left_out.values()),
        texts=len(texts),
        left_out=dict(left_out),
        annotators=dict(Counter(name for labels in texts for name in sorted(labels))),
        total=_compare([ALL], [[unit for field in fields for unit in units[field]]], table.sum(1, keepdims=True), seed)[
            0
        ],
        fields=tuple(_compare(fields, [units[field] for field in fields], table, seed)),
    )


class _Unit(NamedTuple):
    """One field of one text (its place), with the annotators' labels by name, in the order of names."""

    place: int
    labels: tuple[tuple[str, FieldLabel], ...]


def _shared_texts(read: Read, left_out: Counter[str]) -> list[Labels]:
    """Return the labels of each text that several annotators labelled; only these are held."""
    annotators: dict[bytes, set[str]] = defaultdict(set)
    for document in read():
        if document.annotator is not None:
            annotators[_text_hash(document)].add(document.annotator)
    texts: dict[bytes, Labels] = {}
    for document in read():
        if document.annotator is None:
            left_out["no annotator"] += 1
            continue
        text = _text_hash(document)
        if len(annotators[text]) < 2:
            left_out["labelled by one annotator"] += 1
            continue
        labels = texts.setdefault(text, {})
        if document.annotator in labels:
            left_out["labelled again by the same annotator"] += 1
            continue
        labels[document.annotator] = dict(document.labels)
    return list(texts.values())


def _text_hash(document: Document) -> bytes:
    """Return a hash of what was labelled: the text, and in a conversation all that was said before it."""
    said = json.dumps([*([turn.role, turn.content] for turn in document.turns), document.text])
    return hashlib.blake2b(said.encode(), digest_size=16).digest()


def _units(texts: Sequence[Labels], field: str) -> Iterator[_Unit]:
    for place, labels in enumerate(texts):
        given = tuple((name, labels[name][field]) for name in sorted(labels) if field in labels[name])
        if len(given) > 1:
            yield _Unit(place, given)


def _table(texts: int, units: Sequence[Sequence[_Unit]]) -> Array:
    """Return counts [texts, fields, counts]; texts beyond BLOCKS are summed in blocks."""
    import numpy as np

    blocks = min(texts, BLOCKS)
    table = np.zeros((blocks, len(units), COUNTS))
    for number, some in enumerate(units):
        for unit in some:
            table[unit.place % blocks, number] += _counts([label for _, label in unit.labels])
    return table


def _counts(labels: Sequence[FieldLabel]) -> Array:
    """Return the counts of one unit."""
    import numpy as np

    counts = np.zeros(COUNTS)
    said = [label.present for label in labels]
    if len(said) == 2:
        counts[NEITHER + 2 * said[0] + said[1]] = 1
    yes, n = sum(said), len(said)
    no = n - yes
    pairs = n * (n - 1) / 2
    counts[AGREEING] = (yes * (yes - 1) + no * (no - 1)) / 2 / pairs
    counts[UNIT] = 1
    (counts[ABSENT], counts[MIXED]), (_, counts[PRESENT]) = coincidence([no, yes])
    quoting = [label for label in labels if label.present]
    for one, other in combinations(quoting, 2):
        counts[F1] += quote_f1(one.parts, other.parts)
        counts[QUOTED] += 1
    return counts


def quote_f1(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the F1 of the words of two annotators' quotes, in [0, 1]: 2 shared / (words of a + words of b)."""
    first, second = (Counter(_WORD.findall(" ".join(parts).casefold())) for parts in (a, b))
    words = first.total() + second.total()
    return 2 * (first & second).total() / words if words else float(list(a) == list(b))


def _compare(names: Sequence[str], units: Sequence[Sequence[_Unit]], table: Array, seed: int) -> list[FieldAgreement]:
    """Return the scores of each of these fields."""
    bootstrap = Bootstrap(len(table), seed=seed)
    sizes = [len(some) for some in units]
    who = [tuple(sorted({name for unit in some for name, _ in unit.labels})) for some in units]
    both = [int(table[:, number, QUOTED].sum()) for number in range(len(names))]

    def scores(statistic: Callable[[Array], Array], n: Sequence[int]) -> list[Score]:
        return bootstrap.scores(table, statistic, n)

    agreed, kappas, alphas = (scores(statistic, sizes) for statistic in (_agreement, _kappa, _alpha))
    quotes = scores(_quotes, both)
    return [
        FieldAgreement(
            field=name,
            units=sizes[i],
            annotators=who[i],
            agreement=agreed[i],
            kappa=kappas[i] if len(who[i]) == 2 else Score(None, None, None, sizes[i]),
            alpha=alphas[i],
            quotes=quotes[i],
        )
        for i, name in enumerate(names)
    ]


def _agreement(counts: Array) -> Array:
    return ratio(counts[..., AGREEING], counts[..., UNIT])


def _kappa(counts: Array) -> Array:
    """Return Cohen's kappa of the table (neither, only the second, only the first, both)."""
    return kappa(counts[..., NEITHER : BOTH + 1].reshape(*counts.shape[:-1], 2, 2))


def _alpha(counts: Array) -> Array:
    """Return Krippendorff's alpha; the cell present-absent of the coincidences equals absent-present."""
    cells = counts[..., [ABSENT, MIXED, MIXED, PRESENT]]
    return alpha(cells.reshape(*counts.shape[:-1], 2, 2))


def _quotes(counts: Array) -> Array:
    return ratio(counts[..., F1], counts[..., QUOTED])
