"""The data card: what is in a data set, where it came from, and what to beware of.

    card = make_card(Artifact.open("v2", kind="documents"), CardOptions(base="smollm2-135m"))
    html, markdown = card_html(card), card_markdown(card)     # lextune.data.card_pages

Two passes over the documents, the second for near-duplicates, with a few numbers kept of each. The same data set
gives the same card, byte for byte.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import Artifact, read_jsonl
from lextune.core.mistakes import SHOWN
from lextune.core.records import Document, Drop, Message
from lextune.data.dedupe import NEAR_DUPLICATE, near_duplicates, opening, own_words
from lextune.data.warnings import Caution, Counted, OverWindow, cautions, is_conversation
from lextune.expert.tasks import OUTPUT
from lextune.expert.templates import Codec
from lextune.expert.weights import resolve_base

BATCH = 64  # documents that are tokenised at once
UNKNOWN = "unknown"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bin(_Frozen):
    """How many documents have from `low` to below `high` of something."""

    low: int
    high: int
    count: int


class Lengths(_Frozen):
    """How long documents are. `unit` is `tokens` of `base`, or `words`; percentiles are nearest ranks."""

    unit: str
    base: str | None
    total: int
    mean: float
    median: int
    p95: int
    longest: int
    bins: tuple[Bin, ...]


class Presence(_Frozen):
    """In how many documents a field was assessed and is present, and those present by contract type."""

    field: str
    assessed: int
    present: int
    by_type: dict[str, int]


class Dropped(_Frozen):
    """Things that did not go on for one reason; `places` are the first ones."""

    what: str
    reason: str
    count: int
    places: tuple[str, ...]


class Duplicates(_Frozen):
    """Documents whose words another one has in the same order, and families of near-duplicates.

    Documents of one family are joined by pairs with a Jaccard similarity of at least `threshold` of their shingles.
    """

    repeated: int
    threshold: float
    families: int
    in_families: int
    largest: int


class Card(_Frozen):
    """A data set's card. Counts by name are in falling order, equal ones by name."""

    name: str
    hash: str
    stage: str
    made_of: dict[str, str]
    source: str | None
    licences: dict[str, int]
    sources: dict[str, int]
    annotators: dict[str, int]
    unit: str
    documents: int
    n_in: int
    n_dropped: int
    dropped: tuple[Dropped, ...]
    lengths: Lengths
    over_window: OverWindow | None
    fields_per_document: dict[int, int]
    presence: tuple[Presence, ...]
    contract_types: dict[str, int]
    preferences: int
    duplicates: Duplicates
    nulls: dict[str, int]
    tags: dict[str, dict[str, int]]
    warnings: tuple[Caution, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the card as plain JSON types."""
        found = self.model_dump(mode="json")
        found["warnings"] = [caution.as_json() for caution in self.warnings]
        found["over_window"] = self.over_window and self.over_window._asdict()
        return found


@dataclass(frozen=True)
class CardOptions:
    """How a card is made.

    Attributes:
        base: the model whose tokens lengths are measured in; None measures words.
        max_tokens: with a base, rows that are longer are counted and warned about. Contracts are cut to windows.
        licence: of all documents whose tag `licence` does not say it; None where it is not known.
    """

    base: str | None = None
    max_tokens: int | None = None
    licence: str | None = None


class _Gathered:
    """What one pass over the documents keeps."""

    def __init__(self, licence: str | None) -> None:
        self.lengths = array("Q")
        self.preferences = 0
        self.counted = Counted()
        self.per_document, self.assessed = Counter[int](), Counter[str]()
        self.present: dict[str, Counter[str]] = defaultdict(Counter)
        self.types, self.sources = Counter[str](), Counter[str]()
        self.annotators, self.licences = Counter[str](), Counter[str]()
        self.tags: dict[str, Counter[str]] = defaultdict(Counter)
        self._licence = licence or "not stated"

    def add(self, document: Document) -> None:
        """Count one document."""
        kind = document.contract_type or UNKNOWN
        self.counted.add(document)
        self.types[kind] += 1
        self.sources[document.source or UNKNOWN] += 1
        self.annotators[document.annotator or UNKNOWN] += 1
        self.licences[document.tags.get("licence", self._licence)] += 1
        self.preferences += document.rejected is not None
        for name, value in document.tags.items():
            self.tags[name][value] += 1
        if not is_conversation(document):
            self.per_document[sum(label.present for label in document.labels.values())] += 1
            for name, label in document.labels.items():
                self.assessed[name] += 1
                self.present[name][kind] += label.present


def whole_text(document: Document) -> str:
    """Return what a document says: its text; of a conversation all turns, the question and the answer."""
    if not is_conversation(document):
        return document.text
    answer = document.labels[OUTPUT].answer or ""
    return "\n".join([*(turn.content for turn in document.turns), document.text, answer])


def make_card(dataset: Artifact, options: CardOptions | None = None) -> Card:
    """Describe a data set.

    Args:
        dataset: an artifact of kind `documents`.
        options: how lengths are measured, and what is known of the licence.

    Raises:
        ModelError: the base's tokenizer is not complete.
        MachineError: the base is not on this machine.
    """
    options = options or CardOptions()
    codec = Codec(resolve_base(options.base).path) if options.base else None
    found = _Gathered(options.licence)
    documents = read_jsonl(dataset.file("documents.jsonl"), Document)
    while batch := list(islice(documents, BATCH)):
        found.lengths.extend(_lengths(batch, codec))
        for document in batch:
            found.add(document)
    over = _over_window(found, options)
    dropped = _dropped(dataset)
    summary = dataset.manifest.summary
    lost = sum(drop.count for drop in dropped)
    n_in = int(summary.get("n_in", len(found.lengths) + lost))
    return Card(
        name=dataset.path.name,
        hash=dataset.hash,
        stage=dataset.manifest.stage,
        made_of=dict(sorted(dataset.manifest.inputs.items())),
        source=None if summary.get("source") is None else str(summary["source"]),
        licences=falling(found.licences),
        sources=falling(found.sources),
        annotators=falling(found.annotators),
        unit=found.counted.facts().unit,
        documents=len(found.lengths),
        n_in=n_in,
        n_dropped=int(summary.get("n_dropped", n_in - len(found.lengths))),
        dropped=dropped,
        lengths=_summary(found.lengths, options.base),
        over_window=over,
        fields_per_document=dict(sorted(found.per_document.items())),
        presence=_presence(found),
        contract_types=falling(found.types),
        preferences=found.preferences,
        duplicates=_duplicates(dataset),
        nulls=_nulls(dataset),
        tags={name: falling(counts) for name, counts in sorted(found.tags.items())},
        warnings=tuple(cautions(found.counted.facts(over_window=over))),
    )


def falling(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts from the largest to the smallest, equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _lengths(documents: list[Document], codec: Codec | None) -> list[int]:
    """Return tokens (a conversation's with its template, as it is trained on) or words of documents."""
    if codec is None:
        return [len(whole_text(document).split()) for document in documents]
    texts = codec.encode_many([d.text for d in documents if not is_conversation(d)])
    contracts = iter(texts)
    return [_conversation(d, codec) if is_conversation(d) else len(next(contracts)) for d in documents]


def _conversation(document: Document, codec: Codec) -> int:
    asked = [*document.turns, Message(role="user", content=document.text)]
    answer = codec.encode_plain(document.labels[OUTPUT].answer or "")
    return len(codec.prompt(asked)) + len(answer) + 1  # and the stop token


def _over_window(found: _Gathered, options: CardOptions) -> OverWindow | None:
    """Count rows that are too long; contracts are cut into windows, so of a set of them there is nothing to say."""
    if options.base is None or options.max_tokens is None or not found.counted.rows or found.counted.contracts:
        return None
    longer = sum(length > options.max_tokens for length in found.lengths)
    return OverWindow(longer, len(found.lengths), options.max_tokens)


def _summary(lengths: array[int], base: str | None) -> Lengths:
    ordered = sorted(lengths) or [0]
    bins = Counter(length.bit_length() for length in lengths)
    return Lengths(
        unit="tokens" if base else "words",
        base=base,
        total=sum(lengths),
        mean=round(sum(ordered) / len(ordered), 1),
        median=_rank(ordered, 0.5),
        p95=_rank(ordered, 0.95),
        longest=ordered[-1],
        bins=tuple(_bin(bits, bins[bits]) for bits in range(min(bins), max(bins) + 1)) if bins else (),
    )


def _rank(ordered: list[int], share: float) -> int:
    """Return the nearest-rank percentile: the smallest value that at least this share is not over."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _bin(bits: int, count: int) -> Bin:
    """Return the bin of numbers with so many bits: 0, 1, 2-3, 4-7, ..."""
    return Bin(low=1 << (bits - 1) if bits else 0, high=1 << bits, count=count)


def _presence(found: _Gathered) -> tuple[Presence, ...]:
    rows = [
        Presence(
            field=name,
            assessed=found.assessed[name],
            present=found.present[name].total(),
            by_type={kind: count for kind, count in falling(found.present[name]).items() if count},
        )
        for name in found.assessed
    ]
    return tuple(sorted(rows, key=lambda row: (-row.present, row.field)))


def _duplicates(dataset: Artifact) -> Duplicates:
    path = dataset.file("documents.jsonl")
    shared = opening(read_jsonl(path, Document))
    texts = (own_words(document, shared) for document in read_jsonl(path, Document))
    near = near_duplicates(texts, NEAR_DUPLICATE.jaccard)
    sizes = [len(family) for family in near.repeated()]
    return Duplicates(
        repeated=len(near.row_of) - len(set(near.row_of.tolist())),
        threshold=NEAR_DUPLICATE.jaccard,
        families=len(sizes),
        in_families=sum(sizes),
        largest=max(sizes, default=0),
    )


class _Reason(NamedTuple):
    what: str
    reason: str


def _dropped(dataset: Artifact) -> tuple[Dropped, ...]:
    counts = Counter[_Reason]()
    places: dict[_Reason, list[str]] = defaultdict(list)
    for drop in _drops(dataset):
        reason = _Reason(drop.what, drop.reason)
        counts[reason] += 1
        if len(places[reason]) < SHOWN:
            places[reason].append(drop.where)
    ordered = sorted(counts, key=lambda reason: (-counts[reason], reason))
    return tuple(Dropped(**r._asdict(), count=counts[r], places=tuple(places[r])) for r in ordered)


def _drops(dataset: Artifact) -> Iterator[Drop]:
    if "drops.jsonl" in dataset.manifest.files:
        yield from read_jsonl(dataset.file("drops.jsonl"), Drop)


def _nulls(dataset: Artifact) -> dict[str, int]:
    """Return how many values of each field the null contract made null."""
    if "nulls.json" not in dataset.manifest.files:
        return {}
    return falling({field: sum(raw.values()) for field, raw in dataset.json("nulls.json").items()})
