"""Sessions: made once, open to one command, and nothing of them lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lextune.core.errors import DataError, MachineError, UserError
from lextune.evaluate.answer_pairs import AnswerPair
from lextune.evaluate.blind import session as sessions
from lextune.evaluate.blind.session import Choice, Session, make_session, sit

from .conftest import judge, pairs


def test_items_hold_no_arm_and_the_key_alone_tells(session: Session) -> None:
    text = (session.folder / "items.jsonl").read_text()
    assert "arm-" not in text
    key = json.loads((session.folder / "key.json").read_text())
    assert (key["a"], key["b"], key["seed"], key["raters"]) == ("arm-one", "arm-two", 3, {})


def test_a_card_shows_both_answers_as_the_rater_sees_them(session: Session) -> None:
    with sit(session.folder) as sitting:
        rater = sitting.seat("AB")
        places = sitting.key.raters[rater]
        for place in places:
            card, item = sitting.card(place), sitting.items[place.item]
            assert (card.left, card.right) == ((item.a, item.b) if place.left == "a" else (item.b, item.a))
            assert (card.code, card.prompt) == (place.code, item.prompt)


def test_a_rater_comes_back_to_the_same_seat(session: Session) -> None:
    with sit(session.folder) as sitting:
        assert sitting.seat("  Ada  Byron ") == "Ada Byron"
        before = sitting.key.raters["Ada Byron"]
    with sit(session.folder) as sitting:
        assert sitting.seat("ada byron") == "Ada Byron"
        assert sitting.seat("CD") == "CD"
        assert sitting.key.raters["Ada Byron"] == before
    assert list(Session(session.folder).key.raters) == ["Ada Byron", "CD"]


@pytest.mark.parametrize(("name", "where"), [(" ", ""), ("x" * 41, f"{'x' * 39}…: ")])
def test_a_name_is_needed_and_bounded(session: Session, name: str, where: str) -> None:
    with sit(session.folder) as sitting, pytest.raises(DataError) as told:
        sitting.seat(name)
    assert str(told.value) == f"{where}a rater's name has 1 to 40 characters\n  -> type initials"


def test_the_last_choice_counts_and_the_history_is_kept(session: Session) -> None:
    judge(session, {"AB": {"i0": "a", "i1": "tie"}})
    after = judge(session, {"AB": {"i0": "both-bad"}})
    assert {item: choice.choice for (_, item), choice in after.last.items()} == {"i0": "both-bad", "i1": "tie"}
    assert len(after.history) == 3


def test_a_choice_cut_off_by_a_kill_is_dropped_and_the_others_stay(session: Session) -> None:
    judge(session, {"AB": {"i0": "a", "i1": "b"}})
    with (session.folder / "choices.jsonl").open("a") as stream:
        stream.write('{"rater":"AB","item":"i2","cho')
    assert len(Session(session.folder).history) == 2
    assert len(judge(session, {"AB": {"i2": "a"}}).history) == 3


def test_a_rater_who_met_a_full_disk_tries_again_and_is_seated(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise MachineError("the disk is full")

    with sit(session.folder) as sitting:
        with monkeypatch.context() as patch:
            patch.setattr(sessions, "write_atomic", full)
            with pytest.raises(MachineError, match="the disk is full"):
                sitting.seat("AB")
        rater = sitting.seat("AB")
        sitting.choose(Choice(rater=rater, item="i0", choice="tie"))
    after = Session(session.folder)
    assert (list(after.key.raters), len(after.history)) == (["AB"], 1)


def test_one_command_at_a_time_and_results_may_be_read_meanwhile(session: Session) -> None:
    with sit(session.folder):
        with pytest.raises(MachineError) as told, sit(session.folder):
            pass
        assert str(told.value) == (
            f"{session.folder}: another run is writing here\n"
            "  -> stop the other `lextune review blind` of this session first"
        )
        assert Session(session.folder).history == []


def test_items_are_drawn_by_lot(tmp_path: Path) -> None:
    one, again, other = (
        make_session(tmp_path / name, pairs(50), ("x", "y"), n=10, seed=seed)
        for name, seed in (("1", 5), ("2", 5), ("3", 6))
    )
    assert len(one.items) == 10
    assert list(one.items) == list(again.items) != list(other.items)
    assert make_session(tmp_path / "4", pairs(3), ("x", "y"), n=10).shown == ["i0", "i1", "i2"]


def test_without_a_seed_nobody_knows_the_order(tmp_path: Path) -> None:
    seeds = {make_session(tmp_path / str(n), pairs(2), ("x", "y")).key.seed for n in range(4)}
    assert len(seeds) == 4


def test_a_session_is_not_made_twice_nor_of_nothing(session: Session, tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        make_session(session.folder, pairs(2), ("x", "y"))
    assert str(told.value) == (
        f"{session.folder}: this exists already\n  -> choose another folder, or leave out what makes it"
    )
    with pytest.raises(UserError, match="both arms are called 'x'\n  -> name two arms"):
        make_session(tmp_path / "new", pairs(2), ("x", "x"))
    same = [AnswerPair(id="1", prompt="?", a="Yes.", b=" Yes.\n")]
    with pytest.raises(DataError, match="no pair of answers to compare: the two are the same everywhere\n"):
        make_session(tmp_path / "new", same, ("x", "y"))
    assert not (tmp_path / "new").exists()


def test_another_folder_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(DataError) as told, sit(tmp_path / "none"):
        pass
    assert str(told.value) == f"{tmp_path / 'none'}: no review session\n  -> make one with --items or --run"
    assert not (tmp_path / "none").exists()


def test_damage_is_told(session: Session) -> None:
    choices = session.folder / "choices.jsonl"
    choices.write_text("nonsense\n")
    with pytest.raises(DataError, match=r"a damaged review session \(ValidationError\)"):
        Session(session.folder)
    choices.write_text(Choice(rater="nobody", item="i0", choice="tie").model_dump_json() + "\n")
    with pytest.raises(DataError, match=r"a damaged review session \(ValueError\)"):
        Session(session.folder)
