"""Results: a table worked by hand, properties that any votes must have, and pairs that the trainer reads."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from lextune.core.errors import DataError
from lextune.core.records import Document, DocumentInfo, FieldAnswer, Prediction, Record
from lextune.data.human import read_preferences
from lextune.evaluate.answer_pairs import AnswerPair, pairs_of
from lextune.evaluate.blind.results import VOTES, Results, export, majority, marks, outcome, results
from lextune.evaluate.blind.session import Session, make_session

from .conftest import judge, pairs

ONE = {"i0": "a", "i1": "a", "i2": "b", "i3": "tie", "i4": "both-bad", "i5": "a"}
TWO = {"i0": "a", "i1": "b", "i2": "b", "i3": "tie", "i4": "both-bad"}
THREE = {"i0": "b", "i1": "a"}


@pytest.mark.parametrize(
    ("votes", "found"),
    [
        (["a"], ("a", "win")),
        (["b"], ("b", "loss")),
        (["a", "b"], (None, "tie")),
        (["a", "tie"], (None, "tie")),
        (["a", "a", "b"], ("a", "win")),
        (["a", "a", "b", "tie"], (None, "tie")),
        (["a", "b", "b", "b"], ("b", "loss")),
        (["both-bad", "both-bad", "a"], ("both-bad", "tie")),
        (["tie", "both-bad"], (None, "tie")),
    ],
)
def test_the_majority_of_an_item(votes: list, found: tuple) -> None:
    assert (majority(votes), outcome(votes)) == found


def test_a_session_worked_by_hand(session: Session) -> None:
    # i0 a a b: won; i1 a b a: won; i2 b b: lost; i3, i4: ties; i5 a: won; i6 judged by nobody
    found = results(judge(session, {"one": ONE, "two": TWO, "three": THREE}))
    assert (found.a, found.b, found.n_items) == ("arm-one", "arm-two", 6)
    assert (found.win, found.tie, found.loss) == (3, 2, 1)
    assert (found.both_bad, found.identical, found.unjudged) == (1, 0, 1)
    assert found.net.value == pytest.approx(2 / 6)
    assert found.net.low is not None
    assert found.net.high is not None
    assert -1 <= found.net.low < 2 / 6 < found.net.high <= 1
    assert [(r.rater, r.judged, r.win, r.loss, r.tie, r.both_bad) for r in found.by_rater] == [
        ("one", 6, 3, 1, 1, 1),
        ("two", 5, 1, 2, 1, 1),
        ("three", 2, 1, 1, 0, 0),
    ]
    kappas = {pair.raters: pair.kappa for pair in found.pairs}
    shared = [(ONE[item], TWO[item]) for item in TWO]
    assert kappas["one", "two"].value == pytest.approx(cohen_kappa_score(*zip(*shared, strict=True)))
    assert (kappas["one", "two"].n, kappas["two", "three"].n) == (5, 2)
    assert kappas["two", "three"].value == pytest.approx(cohen_kappa_score(["a", "b"], ["b", "a"]))
    assert found.alpha.n == 5


def test_json_has_the_layout_that_the_report_reads(session: Session) -> None:
    found = json.loads(json.dumps(results(judge(session, {"one": ONE, "two": TWO})).as_json()))
    assert found["raters"] == 2
    assert found["net"].keys() == {"value", "low", "high", "n"}
    assert found["agreement"]["alpha"]["n"] == 5
    assert found["agreement"]["pairs"][0]["raters"] == ["one", "two"]
    assert found.keys() >= {"a", "b", "n_items", "win", "tie", "loss"}


def test_the_same_answer_twice_is_a_tie_that_nobody_is_asked_about(tmp_path: Path) -> None:
    same = AnswerPair(id="same", prompt="?", a="Yes.", b="Yes. ")
    session = make_session(tmp_path / "s", [*pairs(2), same], ("x", "y"))
    assert session.shown == ["i0", "i1"]
    after = judge(session, {"one": {"i0": "a", "i1": "a"}})
    found = results(after)
    assert (found.n_items, found.win, found.tie, found.identical) == (3, 2, 1, 1)
    assert found.net.value == pytest.approx(2 / 3)
    assert export(after).left_out == {"the two answers are the same": 1}


def test_a_changed_mind_and_the_time_taken(session: Session) -> None:
    judge(session, {"one": {"i0": "a", "i1": "a"}})
    found = results(judge(session, {"one": {"i0": "b"}}))
    (rater,) = found.by_rater
    assert (found.win, found.loss, rater.judged, rater.changed, rater.seconds) == (1, 1, 2, 1, 2.0)


def test_a_rater_who_always_takes_the_left_one_is_seen(session: Session) -> None:
    wishes = {}
    judged = judge(session, {"lefty": {}})
    for place in judged.key.raters["lefty"]:
        wishes[place.item] = place.left
    found = results(judge(session, {"lefty": wishes}))
    assert (found.left.value, found.left.n) == (1.0, 7)
    assert abs(found.win - found.loss) == 1, "the order is balanced: a side favours no arm"


def test_nothing_to_reveal(session: Session) -> None:
    with pytest.raises(DataError) as told:
        results(session)
    assert str(told.value) == (f"{session.folder}: nobody has judged anything yet\n  -> serve it to its raters first")


VOTE = st.sampled_from(VOTES)
TABLE = st.lists(st.dictionaries(st.sampled_from(["one", "two", "three"]), VOTE), min_size=1, max_size=12)


@settings(max_examples=40)
@given(table=TABLE, seed=st.integers(0, 99))
def test_any_votes(table: list[dict[str, str]], seed: int) -> None:
    wishes = {
        who: {f"i{n}": votes[who] for n, votes in enumerate(table) if who in votes} for who in ("one", "two", "three")
    }
    judged = [list(votes.values()) for votes in table if votes]
    with TemporaryDirectory() as folder:
        session = make_session(Path(folder) / "s", pairs(len(table)), ("x", "y"), seed=seed)
        after = judge(session, wishes)
        pairs_found = export(after)
        assert pairs_found.n_in == len(table) == len(pairs_found.rows) + sum(pairs_found.left_out.values())
        assert len(list(marks(after))) == sum(map(len, judged))
        if not judged:
            return
        found = results(after)
    ahead = [Counter(votes).most_common(1)[0] for votes in judged]
    wins = sum(vote == "a" and 2 * count > len(votes) for (vote, count), votes in zip(ahead, judged, strict=True))
    losses = sum(vote == "b" and 2 * count > len(votes) for (vote, count), votes in zip(ahead, judged, strict=True))
    assert (found.win, found.loss, found.n_items) == (wins, losses, len(judged))
    assert found.win + found.tie + found.loss == found.n_items
    assert found.unjudged == len(table) - len(judged)
    assert found.net.value == pytest.approx((wins - losses) / len(judged))
    assert len(pairs_found.rows) == wins + losses
    assert sum(rater.judged for rater in found.by_rater) == sum(map(len, judged))
    if found.net.low is not None and found.net.high is not None:
        assert found.net.low <= found.net.value <= found.net.high or len(judged) < 4
    for score in (found.alpha, *(pair.kappa for pair in found.pairs)):
        assert score.value is None or score.value <= 1 + 1e-9


def test_swapping_the_arms_swaps_the_result(tmp_path: Path) -> None:
    draw = random.Random(1)
    votes = {who: {f"i{n}": draw.choice(VOTES) for n in range(20)} for who in ("one", "two", "three")}
    other = {"a": "b", "b": "a", "tie": "tie", "both-bad": "both-bad"}
    swapped = {who: {item: other[vote] for item, vote in said.items()} for who, said in votes.items()}
    one = results(judge(make_session(tmp_path / "1", pairs(20), ("x", "y")), votes))
    two = results(judge(make_session(tmp_path / "2", pairs(20), ("x", "y")), swapped))
    assert (one.win, one.tie, one.loss) == (two.loss, two.tie, two.win)
    assert one.net.value == pytest.approx(-two.net.value)  # type: ignore[operator]
    assert (one.net.low, one.net.high) == (pytest.approx(-two.net.high), pytest.approx(-two.net.low))  # type: ignore[operator]
    assert one.alpha.value == pytest.approx(two.alpha.value)


def test_the_interval_is_that_of_resampled_items(tmp_path: Path) -> None:
    votes = {f"i{n}": ("a", "a", "tie", "b")[n % 4] for n in range(200)}
    found = results(judge(make_session(tmp_path / "s", pairs(200), ("x", "y")), {"one": votes}))
    signs = np.array([{"a": 1, "b": -1, "tie": 0}[vote] for vote in votes.values()])
    half = 1.96 * signs.std() / np.sqrt(len(signs))  # of the mean, by the normal approximation
    assert found.net.low == pytest.approx(0.25 - half, abs=0.02)
    assert found.net.high == pytest.approx(0.25 + half, abs=0.02)


def contracts(count: int, fields: int) -> list[AnswerPair]:
    """Return what two arms quote differently: of each contract, so many fields."""
    names = [f"field / {n}" for n in range(fields)]

    def answers(document: Document, text: str) -> Prediction:
        info = DocumentInfo(name=document.name, sha256="0", pages=None, characters=1)
        said = FieldAnswer(answer=text, quotes=(), confidence=1.0, status="review")
        record = Record(document=info, release="r", schema_name="s", fields=dict.fromkeys(names, said))
        return Prediction(document_id=document.id, record=record)

    documents = [Document(id=f"c / {n}", name=f"{n}.txt", sha256="0", text="T") for n in range(count)]
    return pairs_of(documents, [answers(d, "x") for d in documents], [answers(d, "y") for d in documents])


def test_items_of_one_contract_are_drawn_together(tmp_path: Path) -> None:
    draw = random.Random(4)
    votes = {who: [draw.choice(VOTES) for _ in range(12)] for who in ("one", "two")}

    def found(name: str, items: list[AnswerPair], each: int) -> Results:
        wishes = {who: {item.id: said[n // each] for n, item in enumerate(items)} for who, said in votes.items()}
        return results(judge(make_session(tmp_path / name, items, ("x", "y")), wishes))

    alone, many = found("1", pairs(12), 1), found("2", contracts(12, 10), 10)
    assert (many.n_items, many.win, many.net.n) == (120, 10 * alone.win, 120)
    for one, other in ((alone.net, many.net), (alone.pairs[0].kappa, many.pairs[0].kappa)):
        assert (other.value, other.low, other.high) == pytest.approx((one.value, one.low, one.high))
    both = (alone.alpha, many.alpha)  # which has a correction for few items, so that the two are near and not the same
    assert both[1].high - both[1].low == pytest.approx(both[0].high - both[0].low, rel=0.1)  # type: ignore[operator]


def test_pairs_are_read_by_the_trainer(session: Session, tmp_path: Path) -> None:
    found = export(judge(session, {"one": ONE, "two": TWO, "three": THREE}))
    assert found.left_out == {"a tie": 1, "both bad": 1, "nobody judged it": 1}
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in found.rows))
    assert [(p.messages[0].content, p.chosen, p.rejected) for p in read_preferences(file)] == [
        ("Question 0?", "First 0.", "Second 0."),
        ("Question 1?", "First 1.", "Second 1."),
        ("Question 2?", "Second 2.", "First 2."),
        ("Question 5?", "First 5.", "Second 5."),
    ]


def test_disagreement_is_no_pair(session: Session) -> None:
    found = export(judge(session, {"one": {"i0": "a"}, "two": {"i0": "b"}}))
    assert (found.rows, found.left_out) == ((), {"no majority": 1, "nobody judged it": 6})


def test_marks_for_a_judge_to_be_compared_with(session: Session) -> None:
    after = judge(session, {"one": {"i1": "both-bad", "i0": "b"}, "two": {"i0": "a"}})
    assert list(marks(after)) == [
        {"item": "i0", "mark": "b"},
        {"item": "i0", "mark": "a"},
        {"item": "i1", "mark": "tie"},
    ]
