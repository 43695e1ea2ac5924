"""Operating points: the best there is by brute force, counted as the answers that are served are marked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel, Span
from lextune.expert import operating
from lextune.expert.answering import Expert, Identity
from lextune.expert.held_out import HeldOut, read_held_out
from lextune.expert.operating import (
    ANSWERED,
    FP,
    GRID,
    JACCARD,
    TP,
    Limits,
    Tables,
    choose,
    fit_operating,
    tabulate,
)
from lextune.expert.readers import Passage, Reading
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.scoring import contracteval, pairs
from lextune.expert.templates import Codec
from lextune.expert.thresholds import FEW, Thresholds
from lextune.expert.windowing import WindowConfig


def f1(sums: np.ndarray, present: float) -> float:
    return float(2 * sums[TP] / (sums[TP] + sums[FP] + present))


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Tables]:
    """Two fields, three cuts, two quotings: the second quotes more, so that it hits more and is less alike."""
    monkeypatch.setattr(operating, "PRIOR", 0.0)

    def make(seed: int) -> Tables:
        random = np.random.default_rng(seed)
        counts = np.zeros((2, 3, 2, 4))
        for field, cut in itertools.product(range(2), range(3)):
            answered = random.integers(0, 8)
            hit = random.integers(0, answered + 1)
            counts[field, cut, :, ANSWERED] = answered
            counts[field, cut, :, FP] = random.integers(0, 6)
            counts[field, cut, :, TP] = hit, random.integers(hit, answered + 1)
            counts[field, cut, :, JACCARD] = 0.8 * answered, random.uniform(0.2, 0.8) * answered
        return Tables(np.array([0.9, 0.5, 0.1]), counts.cumsum(axis=1), np.array([25.0, 24.0]), np.array([20.0, 20.0]))

    return make


def every_choice(tables: Tables) -> list[np.ndarray]:
    one = list(itertools.product(range(3), range(2)))
    return [tables.counts[0][a] + tables.counts[1][b] for a in one for b in one]


def sums_of(tables: Tables, aim: str, limits: Limits) -> np.ndarray:
    chosen = choose(tables, aim, limits)
    first, second = (tables.counts[field, chosen.cut[field], chosen.quoting[field]] for field in range(2))
    return np.asarray(first + second)


@pytest.mark.parametrize("seed", range(20))
def test_no_choice_has_a_better_f1_at_as_good_a_jaccard(tables: Callable[[int], Tables], seed: int) -> None:
    given, present = tables(seed), 49.0
    alike = sorted({choice[JACCARD] / present for choice in every_choice(given)})
    for floor in (0.0, alike[len(alike) // 2], alike[-1]):
        found = sums_of(given, "contracteval", Limits(jaccard=floor - 1e-9, recall=0.0))
        assert found[JACCARD] / present >= floor - 1e-6
        rivals = [choice for choice in every_choice(given) if choice[JACCARD] >= found[JACCARD] - 1e-9]
        assert f1(found, present) == pytest.approx(max(f1(choice, present) for choice in rivals))


def test_a_floor_out_of_reach_gives_the_highest_jaccard(tables: Callable[[int], Tables]) -> None:
    given = tables(3)
    found = sums_of(given, "contracteval", Limits(jaccard=0.99, recall=0.0))
    assert found[JACCARD] == pytest.approx(max(choice[JACCARD] for choice in every_choice(given)), abs=1e-3)


@pytest.mark.parametrize("seed", range(10))
def test_no_choice_has_fewer_false_answers_at_as_good_a_recall(tables: Callable[[int], Tables], seed: int) -> None:
    given = tables(seed)
    most = max(choice[ANSWERED] for choice in every_choice(given))
    found = sums_of(given, "precision_at_recall", Limits(recall=0.6 * most / 49))
    assert found[ANSWERED] >= 0.6 * most
    rivals = [choice for choice in every_choice(given) if choice[ANSWERED] >= found[ANSWERED]]
    assert found[FP] == min(choice[FP] for choice in rivals)


def test_rare_fields_share_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone one of them would take the first cut and the other the second; together the second pays more."""
    monkeypatch.setattr(operating, "PRIOR", 0.0)
    counts = np.zeros((2, 2, 1, 4))
    counts[0, :, 0] = [[5, 0, 5, 5], [0, 2, 0, 0]]
    counts[1, :, 0] = [[0, 0, 0, 0], [9, 1, 9, 9]]
    rare = Tables(np.array([0.9, 0.1]), counts.cumsum(axis=1), np.array([5.0, FEW - 1]), np.full(2, 10.0))
    assert choose(rare, "contracteval", Limits(0.0, 0.0)).cut.tolist() == [1, 1]
    frequent = rare._replace(present=np.full(2, float(FEW)))
    assert choose(frequent, "contracteval", Limits(0.0, 0.0)).cut.tolist() == [0, 1]


def test_fields_without_documents_do_not_choose_for_rare_ones() -> None:
    """What all fields do weighs on the rare ones once, and not once for each field that no document was asked."""
    counts = np.zeros((33, 2, 1, 4))
    counts[0, :, 0] = [[100, 0, 100, 100], [0, 100, 0, 0]]  # alone in being frequent, and ruined by the lower cut
    counts[1:3, 1, 0] = 15, 0, 15, 15
    present, absent = np.zeros(33), np.zeros(33)
    present[:3], absent[:3] = [100, FEW - 5, FEW - 5], [100, 10, 10]
    given = Tables(np.array([0.9, 0.1]), counts.cumsum(axis=1), present, absent)
    assert choose(given, "contracteval", Limits(0.0, 0.0)).cut[:3].tolist() == [0, 1, 1]


def test_the_prior_draws_a_field_to_the_others(
    tables: Callable[[int], Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One field alone would take the highest cut; with a heavy prior it takes that of the others."""
    counts = np.zeros((4, 2, 1, 4))
    counts[0, 0, 0] = 20, 0, 20, 20
    counts[0, 1, 0] = 0, 3, 0, 0
    counts[1:, 1, 0] = 100, 0, 100, 100
    given = Tables(np.array([0.9, 0.1]), counts.cumsum(axis=1), np.array([20.0, 100, 100, 100]), np.full(4, 10.0))
    assert choose(given, "contracteval", Limits(0.0, 0.0)).cut.tolist() == [0, 1, 1, 1]
    monkeypatch.setattr(operating, "PRIOR", 500.0)
    assert choose(given, "contracteval", Limits(0.0, 0.0)).cut.tolist() == [1, 1, 1, 1]


SENTENCES = 12


@pytest.fixture(scope="module")
def schema() -> Schema:
    kinds = {"Law": "boolean", "Date": "date", "Audit": "boolean"}
    return Schema(name="s", fields=tuple(SchemaField(name=n, type=t, question=n) for n, t in kinds.items()))


@pytest.fixture(scope="module")
def documents(schema: Schema) -> list[Document]:
    """Contracts of twelve sentences; a field is present in half of them, in one sentence or two neighbours."""
    random, out = np.random.default_rng(5), []
    for number in range(60):
        texts = [f"Sentence {i} of contract {number} is of June {1 + i}, 1999." for i in range(SENTENCES)]
        text = "\n\n".join(texts)
        labels = {}
        for name in schema.names:
            places = (
                random.choice(SENTENCES, size=random.integers(1, 3), replace=False) if random.random() < 0.5 else ()
            )
            parts = tuple(texts[i] if name != "Date" else f"June {1 + i}, 1999" for i in sorted(places))
            spans = tuple((Span(start=text.index(p), end=text.index(p) + len(p)),) for p in parts)
            labels[name] = FieldLabel(parts=parts, spans=spans)
        out.append(Document(id=f"d{number}", name="d", sha256="0" * 64, text=text, labels=labels))
    return out


class Noisy:
    """Says 3 of labelled sentences and -1 of others, with noise drawn from the sentence itself."""

    def __init__(self, documents: Sequence[Document], schema: Schema) -> None:
        self._labelled = {
            (text, number)
            for d in documents
            for number, name in enumerate(schema.names)
            for text in d.text.split("\n\n")
            if any(part in text for part in d.labels[name].parts)
        }
        self._fields = len(schema.names)

    def logits(self, passages: Sequence[Passage]) -> list[np.ndarray]:
        return [np.array([self._row(t) for t in p.texts], np.float32).reshape(-1, self._fields) for p in passages]

    def _row(self, text: str) -> list[float]:
        random = np.random.default_rng(list(text.encode()))
        return [(3 if (text, f) in self._labelled else -1) + float(random.normal(0, 2)) for f in range(self._fields)]


class Served(Noisy):
    """The same, calibrated."""

    thresholds = Thresholds()

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        return [Reading(self.thresholds.confidence(logits)) for logits in self.logits(passages)]


@pytest.fixture(scope="module")
def held(tiny_codec: Codec, documents: list[Document], schema: Schema) -> list[HeldOut]:
    return list(read_held_out(Noisy(documents, schema), documents, schema, tiny_codec, WindowConfig()))


@pytest.mark.parametrize("limits", [Limits(0.0, 0.0), Limits(0.7, 0.0), Limits(0.0, 0.95)])
@pytest.mark.parametrize("presence", [(), ((1.0, 0.5), (0.7, -1.0), (1.2, 2.0))])
def test_what_is_counted_is_what_is_served(
    tiny_codec: Codec,
    documents: list[Document],
    schema: Schema,
    held: list[HeldOut],
    limits: Limits,
    presence: tuple[tuple[float, float], ...],
) -> None:
    aim = Thresholds(aim="contracteval", presence=presence)
    fitted = fit_operating(held, schema, aim, limits)
    assert fitted.n_documents == 60
    assert set(fitted.quoting) == set(schema.names)
    reader = Served(documents, schema)
    identity = Identity("x", "y", "tag")
    expert = Expert(identity, schema, reader, codec=tiny_codec, thresholds=fitted, window=WindowConfig())
    data = pairs.scored(documents, [expert.answer(d) for d in documents], schema)
    served = contracteval.counts(data.pairs, 60, 3).sum(axis=0)
    tables = tabulate(held, schema, aim)
    for number, name in enumerate(schema.names):
        cut = int(np.argmin(abs(tables.cuts - fitted.of(name))))
        counted = tables.counts[number, cut, GRID.index(fitted.quoting[name])]
        expected = served[number, [contracteval.TP, contracteval.FP, contracteval.JACCARD]]
        np.testing.assert_allclose(counted[:3], expected)
        assert tables.present[number] - counted[ANSWERED] == served[number, contracteval.NULL]
    assert contracteval.jaccard(served.sum(axis=0)) >= limits.jaccard
    assert contracteval.false_null_rate(served.sum(axis=0)) <= 1 - limits.recall


def test_a_floor_of_jaccard_costs_f1(schema: Schema, held: list[HeldOut]) -> None:
    """Two places are quoted for a better F1, fewer for a better Jaccard."""
    free, strict = (
        fit_operating(held, schema, Thresholds(aim="contracteval"), Limits(floor, 0.0)) for floor in (0.0, 1.0)
    )
    shares = [sum(q.share for q in fitted.quoting.values()) for fitted in (free, strict)]
    assert shares[0] < shares[1]


def test_more_recall_takes_lower_cuts(schema: Schema, held: list[HeldOut]) -> None:
    aim = Thresholds(aim="precision_at_recall")
    low, high = (fit_operating(held, schema, aim, Limits(recall=recall)) for recall in (0.3, 0.99))
    assert all(high.of(name) <= low.of(name) for name in schema.names)
    assert high.of("Law") < low.of("Law")


def test_nothing_to_fit_on_is_refused(schema: Schema) -> None:
    with pytest.raises(DataError, match=r"no validation document has a labelled clause\n.*more validation documents"):
        fit_operating([], schema, Thresholds(aim="contracteval"))


def test_a_model_that_finds_nothing_is_refused(schema: Schema, held: list[HeldOut]) -> None:
    silent = [replace(each, logits=np.full_like(each.logits, -9)) for each in held]
    with pytest.raises(DataError, match=r"the model finds no clause in any validation document\n.*train for longer"):
        fit_operating(silent, schema, Thresholds(aim="contracteval"))


def test_a_document_without_sentences_is_never_answered(
    tiny_codec: Codec, documents: list[Document], schema: Schema, held: list[HeldOut]
) -> None:
    empty = documents[0].model_copy(update={"text": " \n"})
    (none,) = read_held_out(Noisy(documents, schema), [empty], schema, tiny_codec, WindowConfig())
    assert none.logits.shape == none.truth.shape == (0, 3)
    before, after = (tabulate(some, schema, Thresholds()) for some in (held, [*held, none]))
    np.testing.assert_array_equal(before.counts, after.counts)
    assert after.present.sum() + after.absent.sum() == before.present.sum() + before.absent.sum() + 3
