"""Warnings from practice: what those who fine-tuned before would say of a data set before any time is spent on it.

    for caution in cautions(Facts(examples=180, unit="contracts", ...)):
        print(caution)

An example is a contract or a row: the windows of one contract hang together and count once. None of the warnings
stops anything; each says what the numbers are and what to do next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lextune.core.records import Document
from lextune.expert.tasks import OUTPUT

FEW_SHOT_WINS = 200  # examples; below, a prompt with worked examples is as good and costs nothing
OVERFITS = 500  # examples; below, the model learns the examples by heart
MOST_OF_ONE_TYPE = 0.5  # share of the examples that one contract type may have
FEW_POSITIVES = 10  # of a field; below, neither learnt nor measured
MOST_OVER_WINDOW = 0.05  # share of the examples that may be longer than what the model is trained on
NAMED = 5  # fields that a message names; how many more there are is said


class OverWindow(NamedTuple):
    """How many training examples, `of` how many, are longer than `tokens`."""

    longer: int
    of: int
    tokens: int


@dataclass(frozen=True)
class Facts:
    """What is judged: counts of a data set, or of the training examples made from it.

    Attributes:
        examples: contracts or rows with labels; `unit` names them, in the plural.
        by_type: examples of each known contract type.
        positives: for each field that was assessed, the examples that state it.
        over_window: training examples longer than what is trained on; None where they were not counted.
        negatives: how many examples show that something is absent; None where the task has no such examples.
    """

    examples: int
    unit: str = "examples"
    by_type: Mapping[str, int] = field(default_factory=dict)
    positives: Mapping[str, int] = field(default_factory=dict)
    over_window: OverWindow | None = None
    negatives: int | None = None


class Counted:
    """Counts of documents, one at a time, that `cautions` judges. Documents without labels are no examples."""

    def __init__(self) -> None:
        self.rows = self.contracts = self.absent = 0
        self.by_type, self.positives = Counter[str](), Counter[str]()

    def add(self, document: Document) -> None:
        """Count one document."""
        if not document.labels:
            return
        if document.contract_type is not None:
            self.by_type[document.contract_type] += 1
        if is_conversation(document):
            self.rows += 1
            return
        self.contracts += 1
        for name, label in document.labels.items():
            self.positives[name] += label.present
            self.absent += not label.present

    def facts(self, *, over_window: OverWindow | None = None, negatives: int | None = None) -> Facts:
        """Return the facts, with `negatives` in place of the absent fields where they are given."""
        absent = self.absent if negatives is None else negatives
        return Facts(
            examples=self.rows + self.contracts,
            unit="examples" if self.rows and self.contracts else "rows" if self.rows else "contracts",
            by_type=self.by_type,
            positives=self.positives,
            over_window=over_window,
            negatives=absent if self.contracts else None,
        )


def is_conversation(document: Document) -> bool:
    """Say whether a document is a row of a conversation: it has an answer."""
    return OUTPUT in document.labels


class Caution(NamedTuple):
    """One warning: a short name for machines, what was found, the numbers behind it, what to do next."""

    code: str
    what: str
    numbers: dict[str, int | float | str | list[str]]
    do: str

    def __str__(self) -> str:
        return f"{self.what}\n  -> {self.do}"

    def as_json(self) -> dict[str, object]:
        """Return the warning as plain JSON types."""
        return self._asdict()


def cautions(facts: Facts) -> list[Caution]:
    """Return the warnings that a data set deserves, the heaviest first; none for one that deserves none."""
    return [*_size(facts), *_one_type(facts), *_rare_fields(facts), *_over_window(facts), *_negatives(facts)]


def _size(facts: Facts) -> Iterator[Caution]:
    numbers: dict[str, int | float | str | list[str]] = {"examples": facts.examples, "unit": facts.unit}
    if facts.examples < FEW_SHOT_WINS:
        yield Caution(
            "few_examples",
            f"{facts.examples} {facts.unit}, fewer than {FEW_SHOT_WINS}: a prompt with worked examples will do as well",
            {**numbers, "limit": FEW_SHOT_WINS},
            "compare with the few-shot arm before you ship, or annotate more",
        )
    elif facts.examples < OVERFITS:
        yield Caution(
            "may_overfit",
            f"{facts.examples} {facts.unit}, fewer than {OVERFITS}: the model may learn them by heart",
            {**numbers, "limit": OVERFITS},
            "train one or two epochs, and watch the validation loss",
        )


def _one_type(facts: Facts) -> Iterator[Caution]:
    if not facts.by_type or not facts.examples:
        return
    name, count = min(facts.by_type.items(), key=lambda item: (-item[1], item[0]))
    share = count / facts.examples
    if share > MOST_OF_ONE_TYPE:
        yield Caution(
            "one_type",
            f"{count} of {facts.examples} {facts.unit} ({percent(share)}) are of the type {name!r}",
            {"type": name, "count": count, "of": facts.examples, "share": share, "limit": MOST_OF_ONE_TYPE},
            "add contracts of other types, or set balance.per_type",
        )


def _rare_fields(facts: Facts) -> Iterator[Caution]:
    rare = sorted((count, name) for name, count in facts.positives.items() if count < FEW_POSITIVES)
    if not rare:
        return
    named = ", ".join(f"{name} ({count})" for count, name in rare[:NAMED])
    more = f" and {len(rare) - NAMED} more" if len(rare) > NAMED else ""
    yield Caution(
        "rare_fields",
        f"{len(rare)} of {len(facts.positives)} fields stand in fewer than {FEW_POSITIVES} {facts.unit}: {named}{more}",
        {"fields": [name for _, name in rare], "of": len(facts.positives), "limit": FEW_POSITIVES},
        "annotate more of them or set balance.rare; their scores say little",
    )


def _over_window(facts: Facts) -> Iterator[Caution]:
    over = facts.over_window
    if over is None or not over.of or over.longer / over.of <= MOST_OVER_WINDOW:
        return
    share = over.longer / over.of
    yield Caution(
        "over_window",
        f"{over.longer} of {over.of} training examples ({percent(share)}) are longer than {over.tokens} tokens"
        " and would not be trained on",
        {**over._asdict(), "share": share, "limit": MOST_OVER_WINDOW},
        "raise train.max_tokens, or shorten the inputs",
    )


def _negatives(facts: Facts) -> Iterator[Caution]:
    if facts.negatives == 0:
        yield Caution(
            "no_negatives",
            f"none of the {facts.examples} {facts.unit} shows that something is absent: the model will always answer",
            {"examples": facts.examples, "negatives": 0},
            "add contracts or passages without the clauses, or raise train.negatives",
        )


def percent(share: float) -> str:
    """Write a share in per cent with three digits, so that what is over a limit reads so."""
    return f"{100 * share:.3g} %"
