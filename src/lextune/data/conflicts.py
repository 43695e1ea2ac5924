"""Label conflicts: the same words, labelled in two ways.

Contracts share boilerplate. Where the same sentence is a field's answer in one contract and not in another that was
read for that field too, one of the two labels is wrong, or the guideline is; a model learns the mean of both. Found
are sentences that are equal but for case, punctuation and white space, or have a Jaccard similarity of at least 0.9
(`near_duplicates`), and, of rows without quoted spans, those whose short answers differ.

A contradiction is between documents; lines that one document repeats, as on every page, are left out.
A field labels a sentence where its spans cover at least half of it: a party's name does not make its sentence a
clause about parties. A field that a document does not list was not looked for there, and is no contradiction.
"""

from __future__ import annotations

import functools
import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, NamedTuple

from lextune.core.errors import shorten
from lextune.core.records import Document, Span
from lextune.data.clauses import Places, clauses, is_row
from lextune.data.dedupe import near_duplicates

THRESHOLD = 0.9
COVERED = 0.5
SHORT_ANSWER = 80  # characters; of longer answers two good ones differ
FURNITURE = 3  # times that a line of page furniture is in one document, at least; it may stand inside a quote
LISTED = 20  # places that a conflict names; all are counted

Kind = Literal["annotators", "fields", "unlabelled", "answers"]
Labels = frozenset[tuple[str, str]]  # field and what it says: "" where a span was quoted, else the short answer
_Labelled = dict[int, Labels]
_Texts = dict[int, str]


class Place(NamedTuple):
    """Where the words stand, who labelled them, and as what (of answers: `field: answer`)."""

    document: str
    start: int
    end: int
    annotator: str | None
    labels: tuple[str, ...]


class Conflict(NamedTuple):
    """Words that were labelled in two ways.

    `kind` is `annotators` (two people labelled the same text), `fields` (as different fields), `answers` (rows with
    different answers) or `unlabelled` (as a field here, as none there). `counts` has for each label the number of
    places that carry it and the number that do not though its field was looked for. `places` are the first
    `LISTED` of `total`, those with the fewest labels like theirs first.
    """

    kind: Kind
    text: str
    counts: dict[str, tuple[int, int]]
    total: int
    places: tuple[Place, ...]


@dataclass
class _Units:
    """What is compared: where each sentence or row stands, a number for its labels, and which fields were looked for.

    Labels themselves, of which every row may have its own, are looked up for what is found.
    """

    places: Places = field(default_factory=Places)
    labels: array[int] = field(default_factory=lambda: array("q"))
    annotators: list[str | None] = field(default_factory=list)
    assessed: array[int] = field(default_factory=lambda: array("q"))
    field_sets: dict[frozenset[str], int] = field(default_factory=dict)

    def read(self, documents: Iterable[Document]) -> Iterator[str]:
        """Yield the text of each unit and note where it stands and its labels."""
        for document in documents:
            self.places.open(document)
            self.annotators.append(document.annotator)
            self.assessed.append(self.field_sets.setdefault(frozenset(document.labels), len(self.field_sets)))
            labelling = _labelling(document)
            if labelling is None:
                continue
            for start, end, text in clauses(document):
                self.places.add(start, end)
                self.labels.append(_number(labelling(start, end)))
                yield text

    def doubtful(self, family: Sequence[int]) -> bool:
        """Say whether units alike are in several documents and not all labelled alike, and no page furniture."""
        places = Counter(self.places.documents[i] for i in family)
        return len({self.labels[i] for i in family}) > 1 and len(places) > 1 and max(places.values()) < FURNITURE

    def look_up(self, documents: Iterable[Document], families: Sequence[Sequence[int]]) -> tuple[_Labelled, _Texts]:
        """Return the labels of the units of some families, and the beginning of the text of the first of each."""
        firsts = {family[0] for family in families}
        known: dict[Labels, Labels] = {}
        labels, texts = {}, {}
        for document, units in self.places.visit(documents, chain.from_iterable(families)):
            labelling = _labelling(document)
            assert labelling is not None  # it has units
            for unit in units:
                found = labelling(self.places.starts[unit], self.places.ends[unit])
                labels[unit] = known.setdefault(found, found)
                if unit in firsts:
                    texts[unit] = self.places.excerpt(document, unit)
        return labels, texts

    def annotator(self, unit: int) -> str | None:
        """Return who labelled a unit."""
        return self.annotators[self.places.documents[unit]]


def conflicts(read: Callable[[], Iterable[Document]]) -> Iterator[Conflict]:
    """Yield the label conflicts of documents, those of most places first.

    Args:
        read: opens the documents; called twice, the second time for the texts and labels of what was found.
    """
    units = _Units()
    near = near_duplicates(units.read(read()), THRESHOLD)
    families = sorted(filter(units.doubtful, near.repeated()), key=lambda family: (-len(family), family))
    labels, texts = units.look_up(read(), families)
    fields = list(units.field_sets)
    for family in families:
        sets = [labels[i] for i in family]
        counts = _counts(sets, [fields[units.assessed[units.places.documents[i]]] for i in family])
        if counts:
            yield Conflict(
                _kind(units, family, sets),
                texts[family[0]],
                {_name(label): count for label, count in sorted(counts.items())},
                len(family),
                _places(units, family, sets),
            )


def _labelling(document: Document) -> Callable[[int, int], Labels] | None:
    """Return what gives the labels of a sentence by its place; None for a row whose answers are too long to compare."""
    if document.turns or is_row(document):
        answers = {name: label.answer for name, label in document.labels.items() if label.present}
        if any(answer is None or len(answer) > SHORT_ANSWER for answer in answers.values()):
            return None
        said = frozenset((name, shorten(answer or "").casefold()) for name, answer in answers.items())
        return lambda start, end: said
    quoted = {
        name: sorted((span for occurrences in label.spans for span in occurrences), key=lambda span: span.start)
        for name, label in document.labels.items()
        if label.spans
    }
    reach = {name: (spans[0].start, max(span.end for span in spans)) for name, spans in quoted.items()}

    def covering(start: int, end: int) -> Labels:
        near = (name for name, (first, last) in reach.items() if first < end and start < last)
        return frozenset((name, "") for name in near if _covered(start, end, quoted[name]) >= COVERED)

    return covering


@functools.lru_cache(maxsize=4096)
def _number(labels: Labels) -> int:
    """Return a number of 64 bits that is the same for the same labels."""
    digest = hashlib.blake2b(repr(sorted(labels)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _covered(start: int, end: int, spans: Sequence[Span]) -> float:
    """Return the share of a sentence that spans cover together; the spans are in order."""
    reached, covered = start, 0
    for span in spans:
        begin, stop = max(span.start, reached), min(span.end, end)
        if stop > begin:
            covered += stop - begin
            reached = stop
    return covered / (end - start)


def _counts(sets: Sequence[Labels], assessed: Sequence[frozenset[str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return, of each label that some places carry and some deny, how many do either."""
    carried = Counter(label for labels in sets for label in labels)
    looked = Counter(name for names in assessed for name in names)
    counts = {label: (n, looked[label[0]] - n) for label, n in carried.items()}
    return {label: count for label, count in counts.items() if count[1] > 0}


def _kind(units: _Units, family: Sequence[int], sets: Sequence[Labels]) -> Kind:
    people = {units.annotator(i) for i in family} - {None}
    places = Counter((units.places.starts[i], units.places.ends[i]) for i in family)
    if len(people) > 1 and max(places.values()) > 1:
        return "annotators"
    if any(answer for labels in sets for _, answer in labels):
        return "answers"
    some = [labels for labels in set(sets) if labels]
    return "fields" if any(not (a & b) for a in some for b in some) else "unlabelled"


def _places(units: _Units, family: Sequence[int], sets: Sequence[Labels]) -> tuple[Place, ...]:
    common = Counter(sets)
    order = sorted(zip(family, sets, strict=True), key=lambda one: (common[one[1]], one[0]))
    return tuple(
        Place(
            units.places.id_of(i),
            units.places.starts[i],
            units.places.ends[i],
            units.annotator(i),
            tuple(sorted(map(_name, labels))),
        )
        for i, labels in order[:LISTED]
    )


def _name(label: tuple[str, str]) -> str:
    return f"{label[0]}: {label[1]}" if label[1] else label[0]
