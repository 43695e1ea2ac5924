"""People's preferences, checked against the test: what holds text of a test document is not learnt from.

The locks of a test (`lextune.data.lock`) know whole documents. A prompt holds a piece of one, so here runs of words
are compared: a preference is left out if it has `RUN` words in a row (or all words of a shorter text) of a test
document that no document to learn from has. What both have, such as a standard clause, tells nothing of the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lextune.core.artifacts import read_jsonl, write_jsonl
from lextune.core.errors import DataError, shorten
from lextune.core.files import read_text
from lextune.core.mistakes import Mistake, refuse
from lextune.core.recipe import Config
from lextune.core.records import Document, Drop, Message, Preference
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.data.dedupe import wording
from lextune.data.lock import refuse_locked

PREFERENCES = "preferences.jsonl"
RUN = 30  # words: about a sentence of a contract
SHORTEST = 5  # words of a text that is looked for inside others; a shorter one must be the whole prompt
IN_TEST = "it has words in a row that stand in a test document, and in none to learn from"
_WORD = re.compile(r"\w+")


class HumanPairsConfig(Config):
    """Where people's preferences are."""

    human: str
    """File of JSON Lines of `prompt`, `chosen` and `rejected`."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")
    prompt: tuple[Message, ...] | str
    chosen: tuple[Message, ...] | str
    rejected: tuple[Message, ...] | str


def read_preferences(path: Path) -> Iterator[Preference]:
    """Yield people's preferences, as `lextune data export --format preference` writes them.

    Empty lines are passed over.

    Raises:
        DataError: the file is missing or not UTF-8, or lines are no preferences: one error for all of them.
    """
    if not path.is_file():
        raise DataError("no such file of preferences", where=f"dpo.pairs.human: {path}", do="give a JSON Lines file")
    mistakes: list[Mistake] = []
    for number, line in enumerate(read_text(path)[1].split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield _preference(line, number)
        except ValueError as error:
            mistakes.append(Mistake(f"{path}:{number}", f"no preference: {error}"))
    if mistakes:
        do = 'write {"prompt": [message, ...], "chosen": [message], "rejected": [message]} on each line'
        raise refuse(mistakes, f"dpo.pairs.human: {path}", do)


def _preference(line: str, number: int) -> Preference:
    """Return the preference that a line holds.

    Raises:
        ValueError: it holds none; says why.
    """
    try:
        row = _Row.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(": ".join([*map(str, first["loc"][:1]), first["msg"]])) from None
    prompt = (Message(role="user", content=row.prompt),) if isinstance(row.prompt, str) else row.prompt
    chosen, rejected = (_said(answer) for answer in (row.chosen, row.rejected))
    if not prompt or chosen is None or rejected is None:
        raise ValueError("an answer is one message of the assistant")
    if chosen == rejected:
        raise ValueError("the chosen answer and the rejected one are the same")
    return Preference(line=number, messages=prompt, chosen=chosen, rejected=rejected)


def _said(answer: tuple[Message, ...] | str) -> str | None:
    if isinstance(answer, str):
        return answer
    return answer[0].content if len(answer) == 1 and answer[0].role == "assistant" else None


def of_test(preferences: Sequence[Preference], test: Iterable[Document], others: Iterable[Document]) -> dict[int, str]:
    """Return which preferences have text of the test: the place of each, and the id of the first such document.

    Args:
        preferences: what would be learnt; prompt and both answers are compared, the system's message is not.
        test: read once.
        others: documents to learn from, read once, and only if some text was found.
    """
    runs = _Runs(preferences)
    found: dict[int, dict[str, str]] = {}
    for document in test:
        for text, places in runs.of(_words(wording(document))):
            for place in places:
                found.setdefault(place, {}).setdefault(text, document.id)
    if found:
        for document in others:
            for text, places in runs.of(_words(wording(document)), runs.asked):
                for place in places:
                    found.get(place, {}).pop(text, None)
    return {place: next(iter(ids.values())) for place, ids in sorted(found.items()) if ids}


class _Runs:
    """The runs of words of preferences, by their length."""

    def __init__(self, preferences: Sequence[Preference]) -> None:
        said = [[m.content for m in p.messages if m.role != "system"] for p in preferences]
        self._prompts = [_words("\n".join(each)) for each in said]
        answers = [(p.chosen, p.rejected) for p in preferences]
        self._texts = [_words("\n".join([*each, *both])) for each, both in zip(said, answers, strict=True)]
        self._by_length: dict[int, Mapping[str, Sequence[int]]] = {}

    @property
    def asked(self) -> tuple[int, ...]:
        """The lengths that were looked for."""
        return tuple(self._by_length)

    def of(self, words: Sequence[str], lengths: Sequence[int] = ()) -> Iterator[tuple[str, Sequence[int]]]:
        """Yield the runs of a text that preferences have, each with their places.

        Args:
            words: of the text.
            lengths: of runs; by default that which the length of the text asks for.
        """
        for length in lengths or ((min(RUN, len(words)),) if words else ()):
            known = self._by_length.get(length)
            if known is None:
                known = self._by_length[length] = self._index(length)
            for text in _runs(words, length):
                if text in known:
                    yield text, known[text]

    def _index(self, length: int) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for place, words in enumerate(self._texts):
            if length < SHORTEST:
                index.setdefault(" ".join(self._prompts[place]), []).append(place)
                continue
            for text in set(_runs(words, length)):
                index.setdefault(text, []).append(place)
        return index


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: Sequence[str], length: int) -> Iterator[str]:
    return (" ".join(words[i : i + length]) for i in range(len(words) - length + 1))


def run_human_pairs(config: HumanPairsConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Take over people's preferences but for those with text of the test, which are listed in `drops.jsonl`.

    Raises:
        DataError: the file is missing or wrong, or a prompt is a whole document of the test of an earlier split.
    """
    path, split = Path(config.human), inputs["split"]
    given = list(read_preferences(path))
    parts = (read_jsonl(split.file(f"{part}.jsonl"), Document) for part in ("train", "validation"))
    found = of_test(given, read_jsonl(split.file("test.jsonl"), Document), chain.from_iterable(parts))
    kept = [one for place, one in enumerate(given) if place not in found]
    refuse_locked(inputs, map(_as_document, kept), f"dpo.pairs.human: {path}")
    drops = [
        Drop(what="preference", where=f"line {given[place].line}, as in {shorten(name, 60)}", reason=IN_TEST)
        for place, name in found.items()
    ]
    write_jsonl(out / PREFERENCES, kept)
    write_jsonl(out / "drops.jsonl", drops)
    if drops:
        context.warn(f"{len(drops)} of {len(given)} preferences have text of the test and are left out")
    return {"n_in": len(given), "n_out": len(kept), "n_dropped": len(drops)}


def _as_document(one: Preference) -> Document:
    """Return a prompt as the document that its words are compared by."""
    *turns, last = one.messages
    return Document(id=f"line {one.line}", name="", sha256="", text=last.content, turns=tuple(turns))


STAGES = (Stage("human_pairs", 1, ("split",), HumanPairsConfig, run_human_pairs, "human_pairs"),)
