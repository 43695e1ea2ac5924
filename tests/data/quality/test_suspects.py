"""Wrong labels rise to the top, and what cannot be judged is counted and not ranked."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel, Span
from lextune.data.quality.suspects import Ranking, _folds, find_suspects, suspects_csv
from lextune.text.segments import sentences

LAW, TERM, CAP = "Governing Law", "Renewal Term", "Cap On Liability"
Errors = dict[tuple[str, str], FieldLabel]


def relabel(documents: list[Document], errors: Errors) -> list[Document]:
    return [
        d.model_copy(update={"labels": {f: errors.get((d.id, f), label) for f, label in d.labels.items()}})
        for d in documents
    ]


def find(documents: list[Document], **how: int) -> Ranking:
    return find_suspects(lambda: documents, **how)


@pytest.fixture(scope="module")
def errors(contracts: list[Document]) -> Errors:
    """Two laws and a renewal dropped; a renewal and two caps attached to what is not one."""

    def attached(number: int) -> FieldLabel:
        text = contracts[number].text
        span = sentences(text)[0]
        return FieldLabel(parts=(text[span.start : span.end],), spans=((span,),))

    return {
        ("d04", LAW): FieldLabel(),
        ("d17", LAW): FieldLabel(),
        ("d21", TERM): FieldLabel(),
        ("d08", TERM): attached(8),
        ("d10", CAP): attached(10),
        ("d25", CAP): attached(25),
    }


@pytest.fixture(scope="module")
def ranking(contracts: list[Document], errors: Errors) -> Ranking:
    return find(relabel(contracts, errors))


def test_planted_errors_come_first(ranking: Ranking, errors: Errors) -> None:
    top = ranking.top(len(errors))
    assert {(s.document, s.field) for s in top} == set(errors)
    assert [s.disagreement for s in top] == sorted((s.disagreement for s in top), reverse=True)
    assert all(0.5 < s.disagreement <= 1 for s in top)


def test_a_suspect_shows_the_sentence_it_is_about(ranking: Ranking, contracts: list[Document], errors: Errors) -> None:
    texts = {d.id: d.text for d in contracts}
    for suspect in ranking.top(len(errors)):
        assert texts[suspect.document][suspect.start : suspect.end] == suspect.text
        assert suspect.present == errors[suspect.document, suspect.field].present
        if suspect.field == LAW:
            assert "governed by the laws" in suspect.text
        if suspect.present:
            assert suspect.text == errors[suspect.document, suspect.field].parts[0]


def test_every_label_is_judged_or_counted(ranking: Ranking) -> None:
    assert ranking.as_json() == {
        "labels": 108,
        "judged": 108,
        "documents": 36,
        "trained": 36,
        "folds": 5,
        "skipped": {},
    }
    assert len(ranking.top(1000)) == 108
    assert ranking.top(0) == []


def test_the_same_seed_gives_the_same_list(contracts: list[Document], ranking: Ranking, errors: Errors) -> None:
    again = find(relabel(contracts, errors))
    np.testing.assert_array_equal(again.disagreement, ranking.disagreement)
    assert again.top(20) == ranking.top(20)


def test_what_cannot_be_judged_is_counted(contracts: list[Document]) -> None:
    empty = Document(id="e", name="e", sha256="0", text=" ", labels={LAW: FieldLabel()})
    unplaced = Document(id="u", name="u", sha256="0", text="Some text.", labels={LAW: FieldLabel(parts=("gone",))})
    once = contracts[0].model_copy(update={"labels": {"Rare": contracts[0].labels[LAW], "Never": FieldLabel()}})
    found = find([*contracts[1:], empty, unplaced, once], folds=3)
    assert found.skipped == {
        "the document has no text": 1,
        "the quotes have no place in the text": 1,
        "no other document shows what the field looks like": 2,
    }
    assert found.judged == found.labels - 4


def test_answers_without_a_place_need_no_model() -> None:
    rows = [
        Document(id=f"r{i}", name="r", sha256="0", text="Say it.", labels={"output": FieldLabel(parts=("It.",))})
        for i in range(3)
    ]
    found = find(rows)
    assert (found.judged, found.folds, found.trained) == (0, 0, 0)
    assert found.skipped == {"the quotes have no place in the text": 3}
    assert found.top(5) == []
    assert find([]).labels == 0


def test_a_field_that_all_documents_have(contracts: list[Document]) -> None:
    always = [d.model_copy(update={"labels": {LAW: d.labels[LAW]}}) for d in contracts[:8]]
    found = find(always, folds=2)
    assert found.judged == 8
    assert (found.disagreement < 0.5).all()


def test_one_sentence_documents_do_not_break_it() -> None:
    texts = [f"Ohio law governs the delivery of {n} {w}." for n, w in enumerate(["boxes", "ropes", "lamps", "seeds"])]
    whole = [FieldLabel(parts=(t,), spans=((Span(start=0, end=len(t)),),)) for t in texts]
    documents = [
        Document(id=str(i), name="", sha256="", text=t, labels={LAW: label})
        for i, (t, label) in enumerate(zip(texts, whole, strict=True))
    ]
    assert find(documents, folds=2).labels == 4


def test_near_duplicates_share_a_fold() -> None:
    keys = [7, 3, 7, 7, 5, 1, 3, 9]
    folds = _folds(keys, 3, seed=1)
    assert len({folds[i] for i in (0, 2, 3)}) == len({folds[i] for i in (1, 6)}) == 1
    assert sorted(np.bincount(folds).tolist()) == [2, 3, 3]
    assert max(_folds([1, 2], 5, seed=0)) == 1, "fewer families than folds: fewer folds"


def test_too_little_to_learn_from_is_told(contracts: list[Document]) -> None:
    with pytest.raises(DataError) as told:
        find([contracts[1], contracts[1].model_copy(update={"id": "copy"})])
    assert str(told.value) == (
        "2 documents, all alike: none is left to learn from"
        "\n  -> give at least two documents that are not copies of one another"
    )
    with pytest.raises(DataError, match="folds: 1; a label is judged by a model that has not seen it"):
        find(contracts, folds=1)


def test_progress_is_reported(contracts: list[Document]) -> None:
    seen: list[tuple[int, int]] = []
    find_suspects(lambda: contracts, folds=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_the_table(ranking: Ranking) -> None:
    rows = list(csv.DictReader(io.StringIO(suspects_csv(ranking.top(3)).lstrip("\ufeff"))))
    assert [row["document"] for row in rows] == [s.document for s in ranking.top(3)]
    assert list(rows[0]) == ["document", "name", "field", "label", "disagreement", "text", "page", "note"]


def test_a_large_dataset_teaches_with_a_part_of_it(contracts: list[Document], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lextune.data.quality.suspects.TRAINED_CHARACTERS", 6_000)
    found = find(contracts)
    assert 5 < found.trained < 36
    assert found.judged + sum(found.skipped.values()) == 108
