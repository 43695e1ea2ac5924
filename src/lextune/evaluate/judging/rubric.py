"""A rubric: what a judge looks at, as data. It is additive: the total is the sum of the criteria's points."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pydantic import Field

from lextune.core.errors import RecipeError
from lextune.core.recipe import Config, parse_yaml, validate

BUILT_IN = ("legal",)


class Criterion(Config):
    """One thing that an answer is marked for."""

    name: str = Field(pattern=r"^\w[\w -]*$")
    """What the mark is called."""
    question: str
    """What the judge asks itself."""
    points: int = Field(1, ge=1, le=100)
    """The most points it gives; the least is 0."""


class Rubric(Config):
    """Criteria whose points are added."""

    name: str
    """The name that results carry."""
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    """What is marked, in the order of the results."""
    note: str = ""
    """What else the judge should know, such as who the readers of the answers are."""

    @property
    def points(self) -> int:
        """The most points that an answer can have."""
        return sum(criterion.points for criterion in self.criteria)


def load_rubric(name: str) -> Rubric:
    """Load a built-in rubric by name, or a user's own from a YAML file.

    Raises:
        RecipeError: no such rubric, or its file is wrong.
    """
    text = resources.files("lextune.resources").joinpath(f"rubrics/{name}.yaml") if name in BUILT_IN else Path(name)
    try:
        values = parse_yaml(text.read_text(encoding="utf-8"), name)
    except FileNotFoundError:
        do = f"use {' or '.join(BUILT_IN)}, or the path of a YAML file"
        raise RecipeError(f"no rubric {name!r}", where="rubric", do=do) from None
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot read the rubric ({type(error).__name__})"
        raise RecipeError(what, where=name, do="give a UTF-8 YAML file") from None
    if not isinstance(values, dict):
        raise RecipeError("a rubric is a mapping with name and criteria", where=name, do="see docs/guides/judge.md")
    rubric = validate(values, Rubric, name)
    names = [criterion.name for criterion in rubric.criteria]
    repeated = next((each for each in names if names.count(each) > 1), None)
    if repeated is not None:
        what = f"the criterion {repeated!r} occurs twice"
        raise RecipeError(what, where=name, do="give every criterion a name of its own")
    return rubric
