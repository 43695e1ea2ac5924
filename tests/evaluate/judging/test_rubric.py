"""Rubrics: the one of the package, and a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from lextune.core.errors import RecipeError
from lextune.evaluate.judging.rubric import load_rubric

OWN = """name: memo
note: The readers are judges.
criteria:
  - {name: holding, question: Does it state the holding?, points: 2}
  - {name: plain, question: Is it plain?}
"""


def test_the_rubric_of_the_package_gives_three_points() -> None:
    rubric = load_rubric("legal")
    assert [criterion.name for criterion in rubric.criteria] == ["citation", "argument", "structure"]
    assert rubric.points == 3


def test_a_rubric_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "memo.yaml"
    path.write_text(OWN)
    rubric = load_rubric(str(path))
    assert (rubric.name, rubric.points, rubric.note) == ("memo", 3, "The readers are judges.")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a\n- b\n", "a rubric is a mapping with name and criteria"),
        ("name: x\ncriteria: []\n", "criteria: tuple should have at least 1 item"),
        ("name: x\ncriteria: [{name: a, question: b, weight: 2}]\n", "unknown setting"),
        ("name: x\ncriteria: [{name: a, question: b}, {name: a, question: c}]\n", "the criterion 'a' occurs twice"),
        ("name: [\n", "not valid YAML"),
    ],
)
def test_a_rubric_that_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=why) as caught:
        load_rubric(str(path))
    assert str(path) in str(caught.value)


def test_a_rubric_that_is_not_there_or_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no rubric 'legel'\n  -> use legal, or the path of a YAML file"):
        load_rubric("legel")
    with pytest.raises(RecipeError, match=r"cannot read the rubric \(IsADirectoryError\)"):
        load_rubric(str(tmp_path))
