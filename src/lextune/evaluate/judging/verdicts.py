"""Verdicts: asked of a judge, read as strict JSON, asked once more where they cannot be read, and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lextune.core.errors import ContextError, shorten
from lextune.core.records import Message
from lextune.evaluate.judging.prompts import repair_prompt
from lextune.evaluate.judging.rubric import Rubric
from lextune.expert.engines.base import Chatter, GenerateOptions, Generation

MAX_TOKENS = 300  # of a verdict: one sentence and a little JSON
CHUNK = 32  # conversations after which progress is told
T = TypeVar("T")
Conversation = list[Message]


class _Verdict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    reason: str


class PairVerdict(_Verdict):
    """Which of two answers is better, by its place."""

    winner: Literal["first", "second", "tie"]


class Marks(_Verdict):
    """The points that an answer gets for each criterion."""

    scores: dict[str, int]


class Told(NamedTuple):
    """Whom to tell of progress, and how long a verdict may be."""

    max_tokens: int = MAX_TOKENS
    progress: Callable[[int, int], None] = lambda done, total: None


QUIET = Told()


class Asked(NamedTuple, Generic[T]):
    """What came of asking for verdicts: None where there is none.

    verdicts = those given + `invalid` + `too_long`; `repaired` of those given could be read at the second attempt only.
    `tokens_in` and `tokens_out` count what was read and written for all of them, whether asked now or earlier.
    """

    verdicts: tuple[T | None, ...]
    repaired: int
    invalid: int
    too_long: int
    tokens_in: int
    tokens_out: int

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "verdicts": len(self.verdicts),
            "repaired": self.repaired,
            "invalid": self.invalid,
            "too_long": self.too_long,
            "costs": {"tokens_in": self.tokens_in, "tokens_out": self.tokens_out},
        }


def parse_pair(text: str) -> PairVerdict:
    """Read a verdict on two answers.

    Raises:
        ValueError: it is not exactly the JSON that was asked for; says why.
    """
    return PairVerdict.model_validate_json(text.strip())


def parse_marks(text: str, rubric: Rubric) -> Marks:
    """Read the marks of one answer.

    Raises:
        ValueError: it is not exactly the JSON that was asked for, or a mark is missing, unknown or out of range.
    """
    marks = Marks.model_validate_json(text.strip())
    points = {criterion.name: criterion.points for criterion in rubric.criteria}
    if marks.scores.keys() != points.keys():
        raise ValueError(f"scores must be of {', '.join(points)}")
    for name, most in points.items():
        if not 0 <= marks.scores[name] <= most:
            raise ValueError(f"the score of {name} must be 0 to {most}")
    return marks


def ask_for(
    chatter: Chatter, conversations: Sequence[Conversation], parse: Callable[[str], T], told: Told = QUIET
) -> Asked[T]:
    """Ask a judge for verdicts; one that cannot be read is asked for once more, with the reason.

    Args:
        chatter: the judge.
        conversations: one a verdict.
        parse: reads a verdict; raises ValueError where it cannot.
        told: how long a verdict may be; `progress` is called with the conversations done and their number.

    Raises:
        LextuneError: as the chatter does; a conversation that is longer than its context is counted instead.
    """
    options = GenerateOptions(max_tokens=told.max_tokens)
    said: list[Generation | None] = []
    for start in range(0, len(conversations), CHUNK):
        said += _answers(chatter, conversations[start : start + CHUNK], options)
        told.progress(len(said), len(conversations))
    verdicts, problems = _read(said, parse)
    again = [
        repair_prompt(conversations[place], said[place].text, problem)  # type: ignore[union-attr]
        for place, problem in problems.items()
    ]
    second = _answers(chatter, again, options)
    repaired, _ = _read(second, parse)
    verdicts |= {place: repaired[n] for n, place in enumerate(problems) if n in repaired}
    every = [one for one in (*said, *second) if one is not None]
    return Asked(
        verdicts=tuple(verdicts.get(place) for place in range(len(conversations))),
        repaired=len(repaired),
        invalid=len(problems) - len(repaired),
        too_long=sum(one is None for one in said),
        tokens_in=sum(one.prompt_tokens for one in every),
        tokens_out=sum(one.written for one in every),
    )


def _answers(
    chatter: Chatter, conversations: Sequence[Conversation], options: GenerateOptions
) -> list[Generation | None]:
    """Return the answers, None where a conversation is too long: halves are asked apart until it is found."""
    if not conversations:
        return []
    try:
        return list(chatter.chat(conversations, options))
    except ContextError:
        if len(conversations) == 1:
            return [None]
        middle = len(conversations) // 2
        halves = conversations[:middle], conversations[middle:]
        return [answer for half in halves for answer in _answers(chatter, half, options)]


def _read(said: Sequence[Generation | None], parse: Callable[[str], T]) -> tuple[dict[int, T], dict[int, str]]:
    """Return the verdicts that can be read, and what is wrong with the others, by their places."""
    verdicts: dict[int, T] = {}
    problems: dict[int, str] = {}
    for place, answer in enumerate(said):
        if answer is None:
            continue
        try:
            verdicts[place] = parse(answer.text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            problems[place] = shorten(f"{where}: {first['msg']}" if where else first["msg"])
        except ValueError as error:
            problems[place] = shorten(str(error))
    return verdicts, problems
