"""What replacing personal data costs: the `linear` baseline trained with it and without it, on the same test documents.

Both arms are fitted, and their thresholds chosen, on the same training documents, as they are and rewritten. Both
answer the same held-out documents, which are left as they are: that is what a release will read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from lextune.core.errors import DataError
from lextune.core.records import Document
from lextune.data.privacy.kinds import KINDS, Kind
from lextune.data.privacy.pseudonyms import Mask, Pseudonyms
from lextune.data.privacy.rewrite import look, replace_personal
from lextune.expert.answering import Expert, Identity
from lextune.expert.linear import fit_linear
from lextune.expert.readers import LinearReader, Passage
from lextune.expert.schema import Schema
from lextune.expert.scoring import PairedTest, Score, paired, score
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Scored, Thresholds, fit_thresholds, score_document
from lextune.expert.windowing import WindowConfig, WindowExample, cut, label

CALIBRATION = 5  # every so many-th training document chooses thresholds and trains nothing


class Cost(NamedTuple):
    """Micro field F1 of each arm on the held-out documents, and the paired difference (rewritten minus original)."""

    original: Score
    rewritten: Score
    difference: PairedTest

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return {name: value.as_json() for name, value in self._asdict().items()}


class Setting(NamedTuple):
    """What both arms share: the fields, the tokenizer, how documents are cut, and the seed."""

    schema: Schema
    codec: Codec
    window: WindowConfig = WindowConfig()
    seed: int = 0


def rewrite_all(
    documents: Iterable[Document], mode: str = "pseudonym", kinds: Sequence[Kind] = KINDS
) -> list[Document]:
    """Return documents with their personal data replaced, the mapping thrown away."""
    namer = Mask() if mode == "mask" else Pseudonyms()
    reversible = mode != "mask"
    return [replace_personal(d, look(d, kinds, reversible=reversible), namer, {}) for d in documents]


def f1_cost(
    train: Sequence[Document], rewritten: Sequence[Document], held_out: Sequence[Document], setting: Setting
) -> Cost:
    """Measure what training on rewritten documents costs in F1.

    Args:
        train: the training documents as they are; at least two.
        rewritten: the same documents, in the same order, with their personal data replaced.
        held_out: documents to answer, as they are; none of them in `train`.
        setting: what both arms share.

    Raises:
        DataError: the documents do not match, or there are too few.
    """
    if len(train) != len(rewritten) or len(train) < 2 or not held_out:
        raise DataError(
            f"{len(train)} training documents, {len(rewritten)} rewritten ones, {len(held_out)} held out",
            where="f1_cost",
            do="give two or more training documents, each of them rewritten too, and one or more held out",
        )
    before, after = (_expert(documents, setting) for documents in (train, rewritten))
    first, second = ([expert.answer(d) for d in held_out] for expert in (before, after))
    schema, seed = setting.schema, setting.seed
    scores = [score(held_out, arm, schema, seed=seed).field.micro.f1 for arm in (first, second)]
    return Cost(scores[0], scores[1], paired(held_out, second, first, schema, seed=seed))


def _expert(documents: Sequence[Document], setting: Setting) -> Expert:
    schema = setting.schema
    examples = [list(label(d, cut(d, setting.codec, setting.window), schema)) for d in documents]
    kept = [row for number, rows in enumerate(examples) if number % CALIBRATION for row in rows]
    tagger = fit_linear(kept, len(schema.fields), seed=setting.seed)
    reader = LinearReader(tagger, Thresholds())
    scored = [
        _scored(document, rows, reader, schema)
        for number, (document, rows) in enumerate(zip(documents, examples, strict=True))
        if number % CALIBRATION == 0
    ]
    cuts = fit_thresholds(scored, schema.names)
    return Expert(
        Identity("linear", "", "linear"),
        schema,
        LinearReader(tagger, cuts),
        codec=setting.codec,
        thresholds=cuts,
        window=setting.window,
    )


def _scored(document: Document, rows: Sequence[WindowExample], reader: LinearReader, schema: Schema) -> Scored:
    matrices = reader.logits([Passage(row.heading, row.texts) for row in rows])
    assessed = [(number, name) for number, name in enumerate(schema.names) if name in document.labels]
    said = [pair for row in rows for pair in zip(row.positives, row.ignored, strict=True)]
    return score_document(
        document.id,
        {name: [float(v) for m in matrices for v in m[:, number]] for number, name in assessed},
        {
            name: [number in yes or (None if number in neither else False) for yes, neither in said]
            for number, name in assessed
        },
    )
