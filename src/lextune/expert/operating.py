"""Operating points: from which confidence a field counts as present, and how much is quoted for it, for a stated aim.

Every held-out document is answered once with each `Quoting` of `GRID`, by the path that serves and marked by
`lextune.expert.scoring.contracteval`. That gives, for each field, the counts at each cut and quoting. The aims:

- `contracteval`: the best F1 with a mean Jaccard of at least a floor, and at least a share of present fields answered;
- `precision_at_recall`: the best precision of presence with at least that share answered.

Both are sums over fields under constraints that are too. So with a weight on each constraint every field is chosen
alone, and the weights are found by bisection (Everett 1963, Generalized Lagrange Multiplier Method). F1 = 2TP / (2TP +
FP + FN) is a ratio of sums; its maximum is that of 2TP - F1 * (TP + FP), iterated (Dinkelbach 1967, On Nonlinear
Fractional Programming).

A field is shrunk towards all: what is best for it is decided by its counts together with those of `PRIOR` documents
that state it, drawn from all fields, and of as many others as there are beside them. Fields with fewer than `FEW`
present documents share a cut, for which they count as one field. F1 and the constraints are of the counts themselves;
so the two methods are exact where there is no prior, and near it otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lextune.core.errors import DataError
from lextune.core.records import FieldAnswer, FieldLabel
from lextune.expert.edges import EdgeTagger
from lextune.expert.held_out import HeldOut
from lextune.expert.placing import Placed, Read, answer_quotes, place, quoted
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.scoring import contracteval
from lextune.expert.scoring.intervals import Array
from lextune.expert.scoring.pairs import answer_text
from lextune.expert.thresholds import FEW, Quoting, Thresholds, review_limit

HOW = (*(Quoting(around=around) for around in range(3)), Quoting(extent="between"), Quoting(extent="sentences"))
GRID = tuple(how.model_copy(update={"share": s}) for s in (0.9, 0.6, 0.4, 0.25, 0.15, 0.08, 0.03, 0.01) for how in HOW)
CUTS = 120  # thresholds that are tried
PRIOR = 10.0  # documents
TP, FP, JACCARD, ANSWERED = range(4)  # ANSWERED: present fields that are answered
LIGHT, HEAVY = 1e-4, 1e4  # weights of a constraint between which its own is looked for
ROUNDS = 16  # of bisection, which then knows a weight to 0.1 %


class Limits(NamedTuple):
    """What an aim is subject to: the least mean Jaccard, and the least share of present fields that are answered."""

    jaccard: float = 0.5
    recall: float = 0.8


DEFAULT = Limits()


class Tables(NamedTuple):
    """What answering gives, by field, cut and quoting.

    `cuts` [cuts] are confidences, falling; `counts` [fields, cuts, quotings, 4]; `present` and `absent` [fields] the
    documents that state a field, and those that do not.
    """

    cuts: Array
    counts: Array
    present: Array
    absent: Array


class Chosen(NamedTuple):
    """The cut and the quoting of each field, as indexes [fields]."""

    cut: Array
    quoting: Array


class Solution(NamedTuple):
    """A choice, and its counts [4] over all fields, each as a share of the present fields."""

    chosen: Chosen
    sums: Array


def fit_operating(
    held: Sequence[HeldOut],
    schema: Schema,
    thresholds: Thresholds,
    limits: Limits = DEFAULT,
    *,
    edge_tagger: EdgeTagger | None = None,
    sure: Array | None = None,
) -> Thresholds:
    """Choose thresholds and quotings for the aim of `thresholds`, whose calibration is kept.

    Where no setting reaches the floor of Jaccard (or of recall), that with the highest is taken.

    Args:
        held: documents with log odds.
        schema: the fields.
        thresholds: the aim, and the calibration.
        limits: what the aim is subject to.
        edge_tagger: what will find edges inside sentences.
        sure: as `tabulate` takes it.

    Raises:
        DataError: no field is present in any document.
    """
    tables = tabulate(held, schema, thresholds, edge_tagger, sure)
    if not tables.present.any():
        raise DataError("no validation document has a labelled clause", do="give the split more validation documents")
    if not len(tables.cuts):
        raise DataError("the model finds no clause in any validation document", do="train for longer")
    frequent = tables.present >= FEW
    chosen = choose(tables, thresholds.aim, limits)
    cut = tables.cuts[chosen.cut]
    pooled = float(cut[~frequent][0] if not frequent.all() else np.median(cut))
    return thresholds.model_copy(
        update={
            "pooled": pooled,
            "by_field": {schema.names[number]: float(cut[number]) for number in np.flatnonzero(frequent)},
            "quoting": {name: GRID[int(q)] for name, q in zip(schema.names, chosen.quoting, strict=True)},
            "review_below": review_limit(pooled),
            "n_documents": len(held),
        }
    )


def tabulate(
    held: Sequence[HeldOut],
    schema: Schema,
    thresholds: Thresholds,
    edge_tagger: EdgeTagger | None = None,
    sure: Array | None = None,
) -> Tables:
    """Answer held-out documents with every quoting of `GRID`, and count what each cut gives.

    `sure` [documents, fields] are the probabilities that a field is present; None takes those of `thresholds`.
    """
    best: list[list[tuple[float, Array | None]]] = [[] for _ in schema.fields]
    for document, each in enumerate(held):
        read = Read(each.sentences, thresholds.confidence(each.logits))
        marker = contracteval.Marker()
        for number, field in enumerate(schema.fields):
            label = each.document.labels.get(field.name)
            if label is None:
                continue
            placed = place(number, field, each.document.text, read, thresholds.quote_share, edge_tagger)
            marks = _marks(each, field, label, placed, marker) if label.present else None
            presence = 0.0
            if placed:
                presence = thresholds.sure(number, placed[0].confidence) if sure is None else sure[document, number]
            best[number].append((presence, marks))
    cuts = _cuts([confidence for rows in best for confidence, _ in rows])
    counts = np.zeros((len(best), len(cuts), len(GRID), 4))
    present, absent = np.zeros(len(best)), np.zeros(len(best))
    for number, rows in enumerate(best):
        for confidence, marks in rows:
            reached = np.searchsorted(-cuts, -confidence)  # from this cut on the field is answered
            present[number] += marks is not None
            absent[number] += marks is None
            if reached == len(cuts):
                continue
            if marks is None:
                counts[number, reached, :, FP] += 1
            else:
                counts[number, reached] += marks
    return Tables(cuts, counts.cumsum(axis=1), present, absent)


def _marks(
    held: HeldOut, field: SchemaField, label: FieldLabel, placed: Sequence[Placed], marker: contracteval.Marker
) -> Array:
    """Return [quotings, 4]: what a present field's answer adds to the counts where it is given."""
    document, sentences = held.document, held.sentences
    known: dict[tuple[int, ...], contracteval.Marks] = {}
    out = np.zeros((len(GRID), 4))
    for row, quoting in enumerate(GRID if placed else ()):
        spans = quoted(field, placed, sentences, quoting)
        key = tuple(edge for s in spans for edge in (s.start, s.end))
        if key not in known:
            quotes = answer_quotes(document, spans)
            text = answer_text(document, FieldAnswer(answer=True, quotes=quotes, confidence=1, status="accepted"))
            known[key] = marker.mark(label.parts, text)
        out[row] = known[key][contracteval.TP], 0, known[key][contracteval.JACCARD], 1
    return out


def _cuts(confidences: Sequence[float]) -> Array:
    """Return thresholds from high to low, each midway between two confidences, so that it does not sit on one."""
    values = np.unique([c for c in confidences if c > 0])
    if len(values) < 2:
        return values / 2
    middles = (values[1:] + values[:-1]) / 2
    wanted = np.quantile(middles, np.linspace(0, 1, CUTS), method="nearest")
    return np.asarray(np.unique(np.append(wanted, values[0] / 2))[::-1])


def choose(tables: Tables, aim: str, limits: Limits) -> Chosen:
    """Return the best cut and quoting of each field for an aim."""
    rare = tables.present < FEW
    shrunk = tables.counts + _prior(tables, tables.present, tables.absent)
    together = _prior(tables, tables.present[rare].sum(), tables.absent[rare].sum())

    def at(*weights: float) -> tuple[Chosen, Array]:
        """Return what is best by weights of the counts, and the sum of its counts over fields."""
        by = np.array(weights)
        worth = shrunk @ by  # [fields, cuts, quotings]
        quoting = worth.argmax(axis=2)
        by_cut = worth.max(axis=2)
        own = np.take_along_axis(tables.counts @ by, quoting[..., None], axis=2)[..., 0]
        by_cut[rare] = own[rare].sum(axis=0) + (together @ by).max(axis=1)  # they share one
        cut = by_cut.argmax(axis=1)
        rows = np.arange(len(cut))
        return Chosen(cut, quoting[rows, cut]), tables.counts[rows, cut, quoting[rows, cut]].sum(axis=0)

    present = tables.present.sum()

    def f1_at(alike: float, answered: float) -> Solution:
        f1 = 0.0
        for _ in range(ROUNDS):
            chosen, sums = at(2 - f1, -f1, alike, answered)
            before, f1 = f1, 2 * sums[TP] / (sums[TP] + sums[FP] + present)
            if abs(f1 - before) < 1e-6:
                break
        return Solution(chosen, sums / present)

    def best_f1(answered: float) -> Solution:
        return _least_weight(lambda alike: f1_at(alike, answered), JACCARD, limits.jaccard)

    def least_wrong(answered: float) -> Solution:
        chosen, sums = at(0, -1, 1e-6, answered)
        return Solution(chosen, sums / present)

    solve = best_f1 if aim == "contracteval" else least_wrong
    return _least_weight(solve, ANSWERED, limits.recall).chosen


def _least_weight(solve: Callable[[float], Solution], column: int, wanted: float) -> Solution:
    """Return the solution of the smallest weight that reaches what is wanted; that of the largest if none does.

    Args:
        solve: from the constraint's weight to a solution, whose counts in the column rise with the weight (priors may
            bend that a little: what is returned has been seen to reach what is wanted).
        column: the counts that are constrained.
        wanted: what they have to reach, a share of the present fields.
    """
    found = solve(0.0)
    if found.sums[column] >= wanted:
        return found
    low, high = LIGHT, HEAVY
    best = solve(high)
    for _ in range(ROUNDS):
        middle = (low * high) ** 0.5
        found = solve(middle)
        if found.sums[column] >= wanted:
            high, best = middle, found
        else:
            low = middle
    return best


def _prior(tables: Tables, present: Array, absent: Array) -> Array:
    """Return [..., cuts, quotings, 4]: the counts of `PRIOR` documents that state a field, drawn from all fields.

    `present` and `absent` [...] are the documents of what it is the prior of; they say how many that do not state it
    there are beside them.
    """
    counts = tables.counts
    shares = counts.sum(axis=0) / max(1.0, tables.present.sum())  # of a present document
    shares[..., FP] = counts[..., FP].sum(axis=0) / max(1.0, tables.absent.sum())  # of an absent one
    scale = np.full((*np.shape(present), 4), PRIOR)
    scale[..., FP] = PRIOR * (absent + 1) / (present + 1)
    return np.asarray(shares * scale[..., None, None, :])
