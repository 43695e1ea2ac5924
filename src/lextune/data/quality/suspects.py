"""Labels that a model, trained on other documents, does not believe.

    ranking = find_suspects(read)
    for suspect in ranking.top(50): ...

Documents are cut into folds, near-duplicates together, and the `linear` baseline of every fold reads the
documents it was not trained on. A *label* is what a document says of one field: present, with quotes, or
absent. Let x be the highest logit among the sentences that a present label quotes, or among all sentences of a
document whose label is absent. Two curves are fitted to the x of all documents of a field:

- of an absent label: the odds that x comes from a document where the field is present;
- of a present label: the odds that x is that of a sentence nobody quoted, drawn from the same document.

Each curve is a logistic regression with both classes weighted alike (Platt 1999), to which the log odds of the
field's own frequency are added: an unbelievable label of a frequent field and one of a rare field then stand
on one scale, the *disagreement*, in [0, 1]. It ranks well; it is no probability of error, which would need the
rate of errors. The idea, to rank labels by out-of-fold probabilities with the model's habits in each class taken
out of them, is confident learning's (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068).
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lextune.core.errors import DataError
from lextune.core.records import Document, Span
from lextune.data.dedupe import LEAK, near_duplicates, wording
from lextune.data.quality import Read
from lextune.data.quality.sampling import ABSENT, PRESENT
from lextune.data.quality.tables import csv_text
from lextune.expert.linear import LinearTagger, fit_linear
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.thresholds import FEW
from lextune.expert.windowing import WindowExample, label
from lextune.text.segments import Window, sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRAINED_CHARACTERS = 25_000_000  # of text that is held for training; all of CUAD's 510 contracts are 27 million
NOWHERE, EMPTY, UNKNOWN = (
    "the quotes have no place in the text",
    "the document has no text",
    "no other document shows what the field looks like",
)
COLUMNS = [
    ("document", "i4"),  # its place in the dataset
    ("field", "i2"),
    ("present", "?"),
    ("best", "f4"),  # highest logit: of the quoted sentences, or of all where the label is absent
    ("unquoted", "f4"),  # logit of a sentence drawn from those nobody quoted; NaN where there is none
    ("start", "i4"),  # of the sentence that `best` is of
    ("end", "i4"),
]


class Suspect(NamedTuple):
    """A label, how strongly the model disagrees, and the sentence that this is about.

    `present` is what the label says; `disagreement` in [0, 1]; `text` (code points `start` to `end` of the
    document, page `page`) is the quoted sentence that convinces the model most, or, where the label is absent, the
    sentence that the model would quote.
    """

    document: str
    name: str
    field: str
    present: bool
    disagreement: float
    text: str
    start: int
    end: int
    page: int | None


def suspects_csv(suspects: Iterable[Suspect]) -> str:
    """Return suspects as CSV, one a row, with a column `note` to be filled in."""
    return csv_text(("document", "name", "field", "label", "disagreement", "text", "page", "note"), map(_row, suspects))


def _row(suspect: Suspect) -> list[str]:
    label, page = PRESENT if suspect.present else ABSENT, "" if suspect.page is None else str(suspect.page)
    named = [suspect.document, suspect.name, suspect.field, label]
    return [*named, f"{suspect.disagreement:.4f}", suspect.text, page, ""]


@dataclass(frozen=True)
class Ranking:
    """All labels of a dataset, by disagreement.

    labels = judged + the sum of `skipped`, which counts labels that could not be judged, by reason; `trained` of
    `documents` documents taught the models.
    """

    labels: int
    judged: int
    skipped: Mapping[str, int]
    documents: int
    trained: int
    folds: int
    read: Read
    fields: tuple[str, ...]
    rows: NDArray[Any]
    """Judged labels, most suspicious first (see COLUMNS)."""
    disagreement: NDArray[np.float64]
    """Of each row."""

    def as_json(self) -> dict[str, Any]:
        """Return the counts as plain JSON types."""
        names = ("labels", "judged", "documents", "trained", "folds")
        return {**{name: getattr(self, name) for name in names}, "skipped": dict(self.skipped)}

    def top(self, n: int) -> list[Suspect]:
        """Return the `n` labels with the highest disagreement, highest first; reads the documents once."""
        wanted: dict[int, list[int]] = defaultdict(list)
        for rank, row in enumerate(self.rows[:n]):
            wanted[int(row["document"])].append(rank)
        found: dict[int, Suspect] = {}
        for place, document in enumerate(self.read()) if wanted else ():
            for rank in wanted.get(place, ()):
                found[rank] = self._suspect(document, rank)
        return [found[rank] for rank in sorted(found)]

    def _suspect(self, document: Document, rank: int) -> Suspect:
        row = self.rows[rank]
        start, end = int(row["start"]), int(row["end"])
        return Suspect(
            document=document.id,
            name=document.name,
            field=self.fields[int(row["field"])],
            present=bool(row["present"]),
            disagreement=float(self.disagreement[rank]),
            text=document.text[start:end],
            start=start,
            end=end,
            page=document.page_of(start),
        )


class _Census(NamedTuple):
    """What the first pass learns: the fields in order of appearance, and how long each document is."""

    schema: Schema
    labels: int
    quoted: bool  # whether any quote has a place in its text
    characters: list[int]


class _Cut(NamedTuple):
    """A document as sentences: labelled for training, and where each stands."""

    example: WindowExample
    spans: tuple[Span, ...]


def find_suspects(
    read: Read, *, folds: int = 5, seed: int = 0, progress: Callable[[int, int], None] = lambda done, total: None
) -> Ranking:
    """Rank all labels of a dataset by how strongly a cross-validated model disagrees with them.

    Args:
        read: the documents; read four times, and once more for every `Ranking.top`.
        folds: models trained; fewer where there are fewer families of near-duplicates.
        seed: draws folds, training documents and unquoted sentences.
        progress: told how many models of how many are trained.

    Raises:
        DataError: fewer than two folds, or fewer than two families.
    """
    import numpy as np

    if folds < 2:
        raise DataError(f"folds: {folds}; a label is judged by a model that has not seen it", do="use 2 folds or more")
    census = _census(read)
    fold_of, held, taggers = list[int](), dict[int, _Cut](), list[LinearTagger]()
    if census.quoted:
        fold_of = _folds(_families(read), folds, seed)
        held = _hold(read, census, seed)
        taggers = _train(held, fold_of, len(census.schema.names), progress)
    judge = _Judge(census.schema, seed)
    parts = [np.empty(0, dtype=COLUMNS)]
    for place, document in enumerate(read()):
        parts.append(judge(place, document, held.get(place), taggers[fold_of[place]] if taggers else None))
    rows = np.concatenate(parts)
    disagreement = _disagreement(rows, len(census.schema.names))
    order = np.argsort(-disagreement, kind="stable")
    return Ranking(
        labels=census.labels,
        judged=len(rows),
        skipped=dict(judge.skipped),
        documents=len(census.characters),
        trained=len(held),
        folds=len(taggers),
        read=read,
        fields=census.schema.names,
        rows=rows[order],
        disagreement=disagreement[order],
    )


def _census(read: Read) -> _Census:
    fields: dict[str, None] = {}
    characters: list[int] = []
    labels, quoted = 0, False
    for document in read():
        fields |= dict.fromkeys(document.labels)
        labels += len(document.labels)
        quoted = quoted or any(spans for given in document.labels.values() for spans in given.spans)
        characters.append(len(document.text))
    schema = Schema(name="labels", fields=tuple(SchemaField(name=f, type="text", question=f) for f in fields))
    return _Census(schema, labels, quoted, characters)


def _families(read: Read) -> list[int]:
    """Return the number of each document's family: near-duplicates may not teach the model that judges them."""
    near = near_duplicates((wording(document) for document in read()), LEAK.jaccard)
    keys: list[int] = near.root[near.row_of].tolist()
    if len(set(keys)) < 2:
        raise DataError(
            f"{len(keys)} documents, all alike: none is left to learn from",
            do="give at least two documents that are not copies of one another",
        )
    return keys


def _folds(keys: Sequence[int], folds: int, seed: int) -> list[int]:
    """Return each document's fold: a family in one, folds about equal, families in a seeded order."""
    sizes = Counter(keys)
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    order.sort(key=sizes.__getitem__, reverse=True)
    filled = [(0, fold) for fold in range(min(folds, len(order)))]
    fold_of: dict[int, int] = {}
    for key in order:
        size, fold_of[key] = heapq.heappop(filled)
        heapq.heappush(filled, (size + sizes[key], fold_of[key]))
    return [fold_of[key] for key in keys]


def _hold(read: Read, census: _Census, seed: int) -> dict[int, _Cut]:
    """Return the documents that models are trained on, by place: all, or as many as TRAINED_CHARACTERS allow."""
    order = list(range(len(census.characters)))
    random.Random(seed).shuffle(order)
    chosen, total = set[int](), 0
    for place in order:
        if total and total + census.characters[place] > TRAINED_CHARACTERS:
            break
        chosen.add(place)
        total += census.characters[place]
    cuts = ((place, _cut(document, census.schema)) for place, document in enumerate(read()) if place in chosen)
    return {place: cut for place, cut in cuts if cut is not None}


def _cut(document: Document, schema: Schema) -> _Cut | None:
    """Return a document as one window of all its sentences, None where it has none."""
    spans = tuple(sentences(document.text))
    if not spans:
        return None
    window = Window(document_id=document.id, index=0, heading="", sentences=spans, tokens=0)
    (example,) = label(document, [window], schema)
    return _Cut(example, spans)


def _train(
    held: Mapping[int, _Cut], fold_of: Sequence[int], fields: int, progress: Callable[[int, int], None]
) -> list[LinearTagger]:
    """Return one model a fold, trained on the other folds' documents."""
    count = max(fold_of) + 1
    taggers = []
    for fold in range(count):
        others = (cut.example for place, cut in held.items() if fold_of[place] != fold)
        taggers.append(fit_linear(others, fields))
        progress(fold + 1, count)
    return taggers


class _Judge:
    """Turns documents into rows of COLUMNS, and counts the labels that it cannot judge."""

    def __init__(self, schema: Schema, seed: int) -> None:
        import numpy as np

        self.schema, self.skipped = schema, Counter[str]()
        self._generator = np.random.default_rng(seed)

    def __call__(self, place: int, document: Document, cut: _Cut | None, tagger: LinearTagger | None) -> NDArray[Any]:
        """Return one row for each label of a document that a model not trained on it can judge."""
        import numpy as np

        cut = cut or (_cut(document, self.schema) if tagger else None)
        if cut is None or tagger is None:
            self.skipped[EMPTY if tagger else NOWHERE] += len(document.labels)
            return np.empty(0, dtype=COLUMNS)
        (logits,) = tagger.tag_texts([cut.example.texts])
        known: NDArray[np.bool_] = np.asarray(tagger.weight.any(axis=1))
        rows = []
        for number, name in enumerate(self.schema.names):
            if name not in document.labels:
                continue
            quoted = np.array([number in row for row in cut.example.positives])
            present = document.labels[name].present
            if not known[number] or (present and not quoted.any()):
                self.skipped[UNKNOWN if not known[number] else NOWHERE] += 1
                continue
            rows.append((place, number, present, *self._evidence(logits[:, number], quoted, cut, number)))
        return np.array(rows, dtype=COLUMNS)

    def _evidence(
        self, logits: NDArray[np.float32], quoted: NDArray[np.bool_], cut: _Cut, number: int
    ) -> tuple[float, float, int, int]:
        """Return the columns `best`, `unquoted`, `start` and `end`."""
        import numpy as np

        best = int(np.argmax(np.where(quoted, logits, -np.inf) if quoted.any() else logits))
        repeats = np.array([number in row for row in cut.example.ignored])
        free = np.flatnonzero(~quoted & ~repeats)
        unquoted = float(logits[self._generator.choice(free)]) if len(free) else float("nan")
        return float(logits[best]), unquoted, cut.spans[best].start, cut.spans[best].end


def _disagreement(rows: NDArray[Any], fields: int) -> NDArray[np.float64]:
    """Return the disagreement of each row; fields with few labels of a kind share a curve (see the module)."""
    import numpy as np

    odds, is_present = np.zeros(len(rows)), np.asarray(rows["present"], dtype=bool)
    shared = _Curves.fit(rows) if len(rows) else None
    for number in range(fields):
        mine = np.asarray(rows["field"] == number)
        present, absent = mine & is_present, mine & ~is_present
        few = min(present.sum(), absent.sum()) < FEW
        curves = shared if few or shared is None else _Curves.fit(rows[mine])
        if curves is None:
            continue
        frequency = np.log((present.sum() + 1) / (absent.sum() + 1))
        odds[absent] = curves.presence(rows["best"][absent]) + frequency
        odds[present] = -curves.quote(rows["best"][present]) - frequency
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


class _Line(NamedTuple):
    """A logistic curve: from a logit to log odds."""

    slope: float
    shift: float

    def __call__(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        import numpy as np

        return np.asarray(self.slope * logits.astype(np.float64) + self.shift)

    @classmethod
    def fit(cls, yes: NDArray[np.float32], no: NDArray[np.float32]) -> _Line:
        """Fit with both classes weighted alike; the logit itself where a class is missing or nothing is learnt."""
        import numpy as np
        from sklearn.linear_model import LogisticRegression

        if not len(yes) or not len(no):
            return cls(1.0, 0.0)
        target = np.concatenate([np.ones(len(yes)), np.zeros(len(no))])
        model = LogisticRegression(class_weight="balanced").fit(np.concatenate([yes, no])[:, None], target)
        slope = float(model.coef_[0, 0])
        return cls(slope, float(model.intercept_[0])) if slope > 0 else cls(1.0, 0.0)


class _Curves(NamedTuple):
    """Log odds that a document's best sentence means that the field is present, and that a sentence is quoted."""

    presence: _Line
    quote: _Line

    @classmethod
    def fit(cls, rows: NDArray[Any]) -> _Curves:
        """Fit both curves to the rows of one field, or of all."""
        import numpy as np

        present = np.asarray(rows["present"], dtype=bool)
        best, unquoted = rows["best"], rows["unquoted"]
        return cls(
            presence=_Line.fit(best[present], best[~present]),
            quote=_Line.fit(best[present], unquoted[~np.isnan(unquoted)]),
        )
