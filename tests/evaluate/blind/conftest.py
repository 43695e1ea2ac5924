"""Sessions made of plain pairs of answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from lextune.evaluate.answer_pairs import AnswerPair
from lextune.evaluate.blind.session import Choice, Session, Verdict, make_session, sit

Wishes = Mapping[str, Mapping[str, str]]  # rater to item to vote: a, b, tie or both-bad


def pairs(count: int) -> list[AnswerPair]:
    """Return items i0, i1, ... whose answers say which is which."""
    return [AnswerPair(id=f"i{n}", prompt=f"Question {n}?", a=f"First {n}.", b=f"Second {n}.") for n in range(count)]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Seven items, two arms."""
    return make_session(tmp_path / "session", pairs(7), ("arm-one", "arm-two"), seed=3)


def judge(session: Session, wishes: Wishes) -> Session:
    """Let raters choose so that their votes are these, and return the session as it is then."""
    with sit(session.folder) as sitting:
        for name, votes in wishes.items():
            rater = sitting.seat(name)
            left = {place.item: place.left for place in sitting.key.raters[rater]}
            for item, vote in votes.items():
                side: Verdict = "left" if left[item] == vote else "right"
                choice = cast(Verdict, vote) if vote in ("tie", "both-bad") else side
                sitting.choose(Choice(rater=rater, item=item, choice=choice, seconds=2.0))
    return Session(session.folder)
