"""One evaluation of predictions against labels, and the paired comparison of two systems.

    evaluation = score(documents, predictions, schema)
    evaluation.as_json()["contracteval"]["f1"]    # {"value": 0.79, "low": 0.75, "high": 0.82, "n": 2460}

Every score is a `Score`: value, 95 % interval over documents, and n. What n counts: pairs for field scores,
ContractEval's F1 and F2; fields for the macro means; pairs with gold for Jaccard and the false-null rate;
pairs without gold for the invented rate; quotes, generations and candidates for the grounded rate, the
valid-JSON rate and the ECE; answers for AURC; gold parts for AUPR and precision at 80 % recall.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lextune.core.records import Document, Prediction
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.scoring import contracteval, fields, ranking
from lextune.expert.scoring.curves import Curves, answers, aurc, draw_curves
from lextune.expert.scoring.intervals import (
    Array,
    Bootstrap,
    PairedTest,
    Score,
    Statistic,
    paired_test,
    ratio,
)
from lextune.expert.scoring.pairs import Scored, Skipped, grounded, not_assessed, scored
from lextune.expert.scoring.slices import TAGS, Slice, SliceScores, dimensions, score_slices


@dataclass(frozen=True)
class PRF:
    """Precision, recall and F1."""

    precision: Score
    recall: Score
    f1: Score


@dataclass(frozen=True)
class MacroPRF(PRF):
    """Means over fields; a field with neither gold nor prediction has no F1 and is left out.

    `n_fields` counts the fields in the mean F1, `n_left_out` the assessed fields that are not; precision and
    recall are each means over the fields in which they are defined.
    """

    n_fields: int
    n_left_out: int


@dataclass(frozen=True)
class FieldScores:
    """Field metrics: over all pairs, and the mean over fields."""

    micro: PRF
    macro: MacroPRF


@dataclass(frozen=True)
class ContractEvalScores:
    """The ContractEval protocol."""

    f1: Score
    f2: Score
    jaccard: Score
    false_null_rate: Score


@dataclass(frozen=True)
class Evaluation:
    """All scores of one system on one set of documents.

    `n_not_assessed` counts the labelled pairs that the release does not assess, which are not scored.
    `seconds_per_document` and `contracts_per_hour` are None where no time was recorded. `slices` holds the parts of
    the documents by dimension and value (see `scoring.slices`), `curves` what is plotted.
    """

    n_documents: int
    n_not_assessed: int
    field: FieldScores
    contracteval: ContractEvalScores
    aupr: Score
    precision_at_80_recall: Score
    ece: Score
    answer_ece: Score
    aurc: Score
    valid_json_rate: Score
    grounded_rate: Score
    invented_rate: Score
    seconds_per_document: float | None
    tokens_per_document: float
    contracts_per_hour: float | None
    by_field: dict[str, SliceScores]
    by_contract_type: dict[str, SliceScores]
    slices: dict[str, dict[str, Slice]]
    curves: Curves

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation as plain JSON types."""
        return asdict(self)


def score(
    documents: Sequence[Document],
    predictions: Sequence[Prediction],
    schema: Schema,
    *,
    seed: int = 0,
    tags: Sequence[str] = TAGS,
    skip: Skipped | None = None,
) -> Evaluation:
    """Mark predictions against labels.

    Args:
        documents: annotated documents.
        predictions: one for each document, in any order.
        schema: the fields to score; pairs without a label or in `not_assessed` are not scored.
        seed: of the resamples behind the intervals.
        tags: names of the documents' tags that they are sliced by besides.
        skip: pairs to leave out besides, as those that a system it stands beside did not assess.

    Raises:
        DataError: no documents, or documents and predictions do not match one to one.
    """
    data = scored(documents, predictions, schema, skip=skip)
    n_documents, n_fields = len(data.documents), len(data.fields)
    bootstrap = Bootstrap(n_documents, seed=seed)
    judged = fields.counts(data.pairs, n_documents, n_fields)
    marked = contracteval.counts(data.pairs, n_documents, n_fields)
    ranks, found = ranking.rank(data), answers(data.pairs)
    ranked = _ranked(data, ranks, bootstrap)
    rates = _rates(data, bootstrap)
    seconds = sum(p.usage.seconds for p in data.predictions)
    used = sum(p.usage.prompt_tokens + p.usage.generated_tokens for p in data.predictions)
    overall = marked.sum(axis=1)
    n_absent = int(overall[:, contracteval.ABSENT].sum())
    slices = score_slices(dimensions(data.documents, tags), judged, marked, seed=seed)
    return Evaluation(
        n_documents=n_documents,
        n_not_assessed=data.n_not_assessed,
        field=_field_scores(judged, marked, bootstrap),
        contracteval=_contracteval_scores(overall, bootstrap),
        aupr=ranked["aupr"],
        precision_at_80_recall=ranked["precision"],
        ece=ranked["ece"],
        answer_ece=bootstrap.score(ranking.answer_table(data.pairs, n_documents), ranking.ece, len(found.row)),
        aurc=bootstrap.of_weights(aurc(found), len(found.row)),
        valid_json_rate=rates["valid"],
        grounded_rate=rates["grounded"],
        invented_rate=bootstrap.score(overall, contracteval.invented_rate, n_absent),
        seconds_per_document=seconds / n_documents if seconds else None,
        tokens_per_document=used / n_documents,
        contracts_per_hour=3600.0 * n_documents / seconds if seconds else None,
        by_field=_by_field(data, judged, marked, bootstrap),
        by_contract_type={value: one.scores() for value, one in slices["contract_type"].items()},
        slices=slices,
        curves=draw_curves(ranks, found, bootstrap),
    )


def paired(
    documents: Sequence[Document],
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    schema: Schema,
    *,
    seed: int = 0,
) -> PairedTest:
    """Compare two systems by micro field F1, `a` minus `b`, on the pairs that both assessed.

    Raises:
        DataError: no documents, or documents and predictions do not match one to one.
    """
    skip = not_assessed(a) | not_assessed(b)
    first, second = (
        fields.counts(scored(documents, arm, schema, skip=skip).pairs, len(documents), len(schema.fields))
        for arm in (a, b)
    )
    return paired_test(first.sum(axis=1), second.sum(axis=1), fields.f1, seed=seed)


def _field_scores(judged: Array, marked: Array, bootstrap: Bootstrap) -> FieldScores:
    per_field = _assessed(marked).sum(axis=0)
    n_pairs = int(per_field.sum())
    pooled, flat = judged.sum(axis=1), judged.reshape(len(judged), -1)
    sums = judged.sum(axis=0)

    def micro(statistic: Statistic) -> Score:
        return bootstrap.score(pooled, statistic, n_pairs)

    def macro(statistic: Statistic) -> Score:
        n = int(np.count_nonzero(~np.isnan(statistic(sums))))
        return bootstrap.score(
            flat,
            lambda counts: fields.mean_of_defined(statistic(counts.reshape(*counts.shape[:-1], -1, 3))),
            n,
        )

    f1 = macro(fields.f1)
    return FieldScores(
        micro=PRF(precision=micro(fields.precision), recall=micro(fields.recall), f1=micro(fields.f1)),
        macro=MacroPRF(
            precision=macro(fields.precision),
            recall=macro(fields.recall),
            f1=f1,
            n_fields=f1.n,
            n_left_out=int(np.count_nonzero(per_field)) - f1.n,
        ),
    )


def _assessed(marked: Array) -> Array:
    """Return how many pairs each cell of a ContractEval table counts: 1 where the pair was scored."""
    return marked[..., contracteval.PRESENT] + marked[..., contracteval.ABSENT]


def _contracteval_scores(overall: Array, bootstrap: Bootstrap) -> ContractEvalScores:
    n_pairs, n_present = int(_assessed(overall).sum()), int(overall[:, contracteval.PRESENT].sum())
    return ContractEvalScores(
        f1=bootstrap.score(overall, contracteval.f1, n_pairs),
        f2=bootstrap.score(overall, contracteval.f2, n_pairs),
        jaccard=bootstrap.score(overall, contracteval.jaccard, n_present),
        false_null_rate=bootstrap.score(overall, contracteval.false_null_rate, n_present),
    )


def _ranked(data: Scored, ranks: ranking.Ranking, bootstrap: Bootstrap) -> dict[str, Score]:
    """Return the scores of ranked candidates; undefined for a system that answers but ranks nothing."""
    n_gold, n_ranked = int(ranks.gold.sum()), len(ranks.row)
    if not n_ranked and any(pair.answer is not None for pair in data.pairs):
        nothing = Score(None, None, None, n_gold)
        return {"aupr": nothing, "precision": nothing, "ece": Score(None, None, None, 0)}
    return {
        "aupr": bootstrap.of_weights(ranking.aupr(ranks), n_gold),
        "precision": bootstrap.of_weights(ranking.precision_at_recall(ranks), n_gold),
        "ece": bootstrap.score(ranking.calibration_table(ranks), ranking.ece, n_ranked),
    }


def _rates(data: Scored, bootstrap: Bootstrap) -> dict[str, Score]:
    valid = np.array([_valid(p, data.fields) for p in data.predictions], dtype=np.float64)
    verbatim = np.zeros((len(data.documents), 2))
    for row, (document, prediction) in enumerate(zip(data.documents, data.predictions, strict=True)):
        answers = (answer for answer in prediction.record.fields.values() if answer is not None)
        checks = [grounded(document, quote) for answer in answers for quote in answer.quotes]
        verbatim[row] = sum(checks), len(checks)

    def rate(table: Array) -> Score:
        return bootstrap.score(table, lambda sums: ratio(sums[..., 0], sums[..., 1]), int(table[:, 1].sum()))

    return {"valid": rate(valid), "grounded": rate(verbatim)}


def _valid(prediction: Prediction, fields_asked: Sequence[SchemaField]) -> tuple[int, int]:
    """Return (valid, all) of a document's generated outputs; where nothing is generated, of its one record.

    A record is valid where its JSON parses and has every field of the schema once, answered, null or not assessed.
    """
    if prediction.usage.outputs:
        return prediction.usage.valid, prediction.usage.outputs
    record = json.loads(json.dumps(prediction.record.as_json()))
    given = [*record["fields"], *record["not_assessed"]]
    return int(sorted(given) == sorted(field.name for field in fields_asked)), 1


def _by_field(data: Scored, judged: Array, marked: Array, bootstrap: Bootstrap) -> dict[str, SliceScores]:
    """Return the scores of every field that was assessed in at least one document."""
    assessed = _assessed(marked).sum(axis=0).astype(int)
    present = marked[..., contracteval.PRESENT].sum(axis=0).astype(int)
    columns = zip(
        bootstrap.scores(judged, fields.f1, assessed.tolist()),
        bootstrap.scores(marked, contracteval.f1, assessed.tolist()),
        bootstrap.scores(marked, contracteval.jaccard, present.tolist()),
        strict=True,
    )
    return {
        field.name: SliceScores(int(assessed[i]), int(present[i]), *scores)
        for i, (field, scores) in enumerate(zip(data.fields, columns, strict=True))
        if assessed[i]
    }
