"""A review session: a folder that raters come back to, and that survives whatever stops the machine."""

from __future__ import annotations

import random
import secrets
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import read_jsonl, write_atomic
from lextune.core.errors import DataError, UserError, shorten
from lextune.core.files import one_at_a_time
from lextune.core.journal import Journal
from lextune.core.machine import disk_error
from lextune.evaluate.answer_pairs import AnswerPair
from lextune.evaluate.blind.order import Place, draw_places
from lextune.text.printable import printable

Verdict = Literal["left", "right", "tie", "both-bad"]
VERDICTS: tuple[Verdict, ...] = ("left", "right", "tie", "both-bad")
ITEMS, KEY, CHOICES = "items.jsonl", "key.json", "choices.jsonl"
MAX_NAME = 40
MAX_COMMENT = 2_000


class Key(BaseModel):
    """What must not leave the folder: the arms, and each rater's order, by the rater's name."""

    model_config = ConfigDict(extra="forbid")
    format: Literal[1] = 1
    a: str
    b: str
    seed: int
    secret: str
    raters: dict[str, list[Place]] = {}


class Choice(BaseModel):
    """What a rater chose for an item, as the rater saw it; `seconds` is None where nobody measured them (paper)."""

    model_config = ConfigDict(frozen=True)
    rater: str
    item: str
    choice: Verdict
    comment: str = ""
    seconds: float | None = None


class Card(NamedTuple):
    """An item as a rater may see it: no arm, no order, no name of its own."""

    code: str
    prompt: str
    left: str
    right: str


class Session:
    """A session to read.

    Args:
        folder: of the session.

    Raises:
        DataError: the folder is no session, or a file of it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.key = Key.model_validate_json((folder / KEY).read_text(encoding="utf-8"))
            self.items = {item.id: item for item in read_jsonl(folder / ITEMS, AnswerPair)}
            self.history = list(_whole_rows(folder / CHOICES))
            self._check()
        except (OSError, ValueError) as error:
            missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
            what = "no review session" if missing else f"a damaged review session ({type(error).__name__})"
            raise DataError(what, where=str(folder), do="make one with --items or --run") from None

    def _check(self) -> None:
        placed = {(rater, place.item) for rater, places in self.key.raters.items() for place in places}
        if not placed >= self.last.keys() or not self.items.keys() >= {item for _, item in placed}:
            raise ValueError("choices, key and items are not of one session")

    @property
    def shown(self) -> list[str]:
        """The ids of the items that raters are asked about: those whose answers differ."""
        return [item.id for item in self.items.values() if not item.same]

    @property
    def last(self) -> dict[tuple[str, str], Choice]:
        """What counts: the last choice of each rater for each item."""
        return {(choice.rater, choice.item): choice for choice in self.history}

    def card(self, place: Place) -> Card:
        """Return an item as the rater with this place sees it."""
        item = self.items[place.item]
        left, right = (item.a, item.b) if place.left == "a" else (item.b, item.a)
        return Card(place.code, item.prompt, left, right)

    def known(self, name: str) -> str | None:
        """Return the rater whose name this is, whatever its case and spaces; None where there is none."""
        return next((rater for rater in self.key.raters if rater.casefold() == _spaced(name).casefold()), None)


class Sitting(Session):
    """A session that raters sit in; open one with `sit`."""

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder / CHOICES, Choice)
        super().__init__(folder)

    def seat(self, name: str) -> str:
        """Give a rater a place in the session, or back the one of before; returns the name that is kept.

        Raises:
            DataError: no name, or one that is too long.
            MachineError: the disk is full or cannot be written; nobody was seated then.
        """
        rater = self.known(name)
        if rater is not None:
            return rater
        rater = _spaced(name)
        if not rater or len(rater) > MAX_NAME:
            raise DataError(
                f"a rater's name has 1 to {MAX_NAME} characters", where=shorten(name, 40) or None, do="type initials"
            )
        places = draw_places(self.shown, len(self.key.raters), self.key.seed)
        key = self.key.model_copy(update={"raters": {**self.key.raters, rater: places}})
        _write_key(self.folder, key)  # first: a rater whom the folder does not know must not choose
        self.key = key
        return rater

    def choose(self, choice: Choice) -> None:
        """Keep a choice; when this returns it is on disk. An earlier one for the item stays in the history."""
        self._journal.add(choice)
        self.history.append(choice)


def make_session(
    folder: Path, pairs: Sequence[AnswerPair], arms: tuple[str, str], *, n: int | None = None, seed: int | None = None
) -> Session:
    """Make a session of pairs of answers.

    Args:
        folder: where; it must not exist, or be empty.
        pairs: the items, with different ids.
        arms: what `a` and `b` are called in the results.
        n: so many items, drawn at random; all by default.
        seed: of the order and of the items drawn; one that nobody knows by default.

    Raises:
        UserError: the folder holds something, or the arms have one name.
        DataError: in no pair do the answers differ.
        MachineError: the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            "this exists already", where=str(folder), do="choose another folder, or leave out what makes it"
        )
    if arms[0] == arms[1]:
        raise UserError(f"both arms are called {shorten(arms[0], 40)!r}", do="name two arms")
    seed = secrets.randbits(53) if seed is None else seed
    if n is not None and n < len(pairs):
        kept = set(random.Random(f"{seed}:items").sample(range(len(pairs)), n))
        pairs = [pair for place, pair in enumerate(pairs) if place in kept]
    if all(pair.same for pair in pairs):
        raise DataError("no pair of answers to compare: the two are the same everywhere", do="give other arms")
    key = Key(a=arms[0], b=arms[1], seed=seed, secret=secrets.token_hex(32))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    write_atomic(folder / ITEMS, "".join(f"{pair.model_dump_json()}\n" for pair in pairs))
    write_atomic(folder / CHOICES, "")
    _write_key(folder, key)
    return Session(folder)


@contextmanager
def sit(folder: Path) -> Iterator[Sitting]:
    """Open a session for choices; one command at a time may.

    Raises:
        DataError: the folder is no session.
        MachineError: another command has it open, or it cannot be written.
    """
    Session(folder)
    with one_at_a_time(folder, "stop the other `lextune review blind` of this session first"):
        yield Sitting(folder)


def by_code(places: Sequence[Place]) -> Mapping[str, Place]:
    """Return a rater's places by their codes."""
    return {place.code: place for place in places}


def _spaced(name: str) -> str:
    return printable(" ".join(unicodedata.normalize("NFKC", name).split()))


def _write_key(folder: Path, key: Key) -> None:
    write_atomic(folder / KEY, key.model_dump_json(indent=1))


def _whole_rows(path: Path) -> Iterator[Choice]:
    """Yield the choices but for a last line that is being written."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if line.endswith("\n"):
                yield Choice.model_validate_json(line)
