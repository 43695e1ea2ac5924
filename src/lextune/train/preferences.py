"""Preference pairs: to each prompt the gold answer, and a wrong one that the model gave itself.

The SFT adapter answers documents that it was not trained on, without a grammar; `lextune.train.mistakes` says what is
wrong with each answer. Where a kind of mistake is rare, gold answers are edited into it; such pairs are marked.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import SCRATCH, read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import DataError
from lextune.core.journal import Journal
from lextune.core.recipe import Config
from lextune.core.records import Drop, Message, Preference
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.build import in_openvino, load_model
from lextune.expert.engines.base import GenerateOptions, Generator
from lextune.expert.merging import merge
from lextune.expert.point import ChatExample, parse_point
from lextune.expert.quoting import Absent, FieldQuestion
from lextune.expert.readers import PointReader
from lextune.expert.schema import Schema, load_schema
from lextune.expert.tasks import Example, as_chats
from lextune.expert.templates import Codec
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowExample
from lextune.expert.writing import MAX_TOKENS
from lextune.text.values import NULL
from lextune.train.dpo_settings import PairSettings
from lextune.train.kept_out import KEPT_OUT
from lextune.train.mistakes import (
    KINDS,
    Kind,
    Verdict,
    judge_point,
    judge_quotes,
    judge_text,
    point_mistakes,
    quote_mistakes,
    text_mistakes,
)

CHUNK = 16  # prompts whose answers are drawn together, while the engine still has them in its cache
LONG_GOLD = "its gold answer is longer than what is generated"
LONG = "prompt and gold answer are longer than train.max_tokens"
TWICE = "the same answer to the same prompt is a pair already"
CAPPED = "its kind has its most pairs, dpo.pairs.per_kind"
NULLS = ("{}", NULL)


class PreferencesConfig(Config):
    """What answers, and how pairs are chosen."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    strategy: str
    """How the model was trained: `point` or `text`."""
    engine: str
    """The engine that generates: `openvino`, `openvino-f32` or `transformers`."""
    max_tokens: int
    """Tokens in the longest example that is trained on."""
    absent_fields: int = Absent().fields
    """Fields that a window does not state and that are asked of it all the same (`text`)."""
    pairs: PairSettings
    """Where pairs come from."""


class Pair(BaseModel):
    """A preference. `made` answers were edited, and not generated; `stopped` is false where one did not end."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    document_id: str
    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    kind: Kind | Literal["human"]
    reason: str
    made: bool = False
    stopped: bool = True

    @property
    def key(self) -> tuple[object, ...]:
        """What two pairs that are the same have in common."""
        return self.messages, self.chosen, self.rejected, self.stopped

    @property
    def for_null(self) -> int:
        """1 where null is chosen, -1 where it is refused, 0 where both sides answer."""
        return (self.chosen in NULLS) - (self.rejected in NULLS)


class Answer(NamedTuple):
    """A generated answer, and whether it came to its end."""

    text: str
    stopped: bool


class Drawn(BaseModel):
    """The answers to one prompt, one a round."""

    answers: tuple[Answer, ...]


class Asked(NamedTuple):
    """An example of the part kept out, as it is asked."""

    example: WindowExample | ChatExample
    chat: ChatExample

    @property
    def where(self) -> str:
        """Its document, its window, and the field that is asked."""
        index, field = getattr(self.example, "index", None), getattr(self.chat, "field", "")
        return self.chat.document_id + ("" if index is None else f": window {index}") + (field and f", {field}")


class _Judge:
    """Judges answers and makes mistakes by strategy."""

    def __init__(self, schema: Schema, asked: Sequence[Asked], seed: int) -> None:
        self._schema, self._asked, self._draw = schema, asked, random.Random(f"{seed} mistakes")

    def verdict(self, one: Asked, answer: Answer) -> Verdict:
        if isinstance(one.example, WindowExample) and isinstance(one.chat, FieldQuestion):
            number = self._schema.names.index(one.chat.field)
            return judge_quotes(self._schema, one.example, number, answer.text, stopped=answer.stopped)
        if isinstance(one.example, WindowExample):
            return judge_point(self._schema, one.example, answer.text, stopped=answer.stopped)
        return judge_text(one.chat.completion, answer.text, stopped=answer.stopped)

    def mistakes(self, one: Asked) -> Iterator[Pair]:
        """Yield pairs made of a gold answer; an edit that is no such mistake after all is passed over."""
        if isinstance(one.example, WindowExample) and isinstance(one.chat, FieldQuestion):
            number = self._schema.names.index(one.chat.field)
            edited = quote_mistakes(self._schema, one.example, number, self._draw)
        elif isinstance(one.example, WindowExample):
            edited = point_mistakes(self._schema, one.example, self._draw)
        else:
            edited = text_mistakes(
                one.chat.completion, lambda: self._draw.choice(self._asked).chat.completion, self._draw
            )
        for kind, text in edited:
            verdict = self.verdict(one, Answer(text, True))
            if verdict.kind == kind:
                yield _pair(one, Answer(text, True), verdict, made=True)


def _pair(one: Asked, answer: Answer, verdict: Verdict, *, made: bool = False) -> Pair:
    return Pair(
        document_id=one.chat.document_id,
        messages=one.chat.messages,
        chosen=one.chat.completion,
        rejected=answer.text,
        kind=verdict.kind,
        reason=verdict.reason,
        made=made,
        stopped=answer.stopped,
    )


def choose_asked(examples: Sequence[Asked], settings: PairSettings, seed: int) -> list[Asked]:
    """Return at most `windows` examples, `empty` of them without an answer where there are so many, shuffled."""
    order = list(examples)
    random.Random(f"{seed} asked").shuffle(order)
    empty = [one for one in order if one.chat.completion in NULLS]
    full = [one for one in order if one.chat.completion not in NULLS]
    most = min(settings.windows, len(order))
    without = max(min(round(most * settings.empty), len(empty)), most - len(full))
    chosen = [*full[: most - without], *empty[:without]]
    random.Random(f"{seed} order").shuffle(chosen)
    return chosen


def draw_answers(
    generator: Generator,
    prompts: Sequence[Sequence[int]],
    rounds: Sequence[GenerateOptions],
    notes: Path,
    progress: Callable[[int, int, str], None],
) -> list[list[Answer]]:
    """Return the answers to each prompt, one a round, generated without a grammar.

    What was generated is noted, so that a run that was killed goes on where it was.
    """
    journal = Journal(notes, Drawn)
    done = [list(each.answers) for each in journal][: len(prompts)]
    for start in range(len(done), len(prompts), CHUNK):
        chunk = prompts[start : start + CHUNK]
        drawn = [generator.generate(chunk, options) for options in rounds]
        for each in zip(*drawn, strict=True):
            done.append([Answer(one.text, one.stopped) for one in each])
            journal.add(Drawn(answers=tuple(done[-1])))
        progress(len(done), len(prompts), "answers")
    return done


class Chosen(NamedTuple):
    """Pairs, and what was left out of them."""

    pairs: list[Pair]
    drops: list[Drop]


def choose_pairs(found: Iterable[tuple[str, Pair]], made: Iterable[Pair], settings: PairSettings, seed: int) -> Chosen:
    """Balance pairs by kind, and those that choose null with those that refuse it.

    At most `per_kind` of each kind; where fewer than `made` are found, made ones are added. Then made ones are added
    until as many refuse null as choose it: a model that has learnt little moves all its answers the way that most
    pairs point, and then says null always, or never (experiments/LOG.md).

    Args:
        found: where each pair of the model's own is from, and the pair.
        made: pairs of edited gold answers, as many as there may be.
        settings: sizes; with `made` 0 no pair is made.
        seed: draws which of a kind stay, and which are made.
    """
    seen: set[tuple[object, ...]] = set()
    kinds: dict[str, list[tuple[str, Pair]]] = {kind: [] for kind in KINDS}
    drops = []
    for where, pair in found:
        if pair.key in seen:
            drops.append(Drop(what="answer", where=where, reason=TWICE))
        else:
            seen.add(pair.key)
            kinds[pair.kind].append((where, pair))
    for kind in KINDS:
        random.Random(f"{seed} {kind}").shuffle(kinds[kind])
        drops += [Drop(what="answer", where=where, reason=CAPPED) for where, _ in kinds[kind][settings.per_kind :]]
    kept = {kind: [pair for _, pair in each[: settings.per_kind]] for kind, each in kinds.items()}
    least = min(settings.made, settings.per_kind)
    spare = list[Pair]()
    for pair in made if least else ():
        if pair.key not in seen:
            seen.add(pair.key)
            (kept[pair.kind] if len(kept[pair.kind]) < least else spare).append(pair)
    chosen = [pair for kind in KINDS for pair in kept[kind]]
    return Chosen([*chosen, *_counterweight(chosen, spare, seed)], drops)


def _counterweight(chosen: Sequence[Pair], spare: Sequence[Pair], seed: int) -> list[Pair]:
    """Return spare pairs on the side, for null or against it, that has fewer, as many as it lacks."""
    excess = sum(pair.for_null for pair in chosen)
    others = [pair for pair in spare if pair.for_null * excess < 0]
    random.Random(f"{seed} null").shuffle(others)
    return others[: abs(excess)]


def human_pair(one: Preference) -> Pair:
    """Return a person's preference as a pair; each counts as a document of its own."""
    return Pair(
        document_id=f"human-{one.line}",
        messages=one.messages,
        chosen=one.chosen,
        rejected=one.rejected,
        kind="human",
        reason="a person prefers the other",
    )


def run_preferences(config: PreferencesConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Let the SFT adapter answer the part kept out, judge its answers, and write `pairs.jsonl` and `pairs.json`.

    Raises:
        DataError: there is no pair.
    """
    given = read_jsonl(inputs["human"].file("preferences.jsonl"), Preference) if "human" in inputs else ()
    human = [human_pair(one) for one in given]
    schema = load_schema(config.schema_name)
    codec = Codec(resolve_base(config.base).path)
    limit = PointReader.MAX_TOKENS if config.strategy == "point" else MAX_TOKENS
    lines = (line.root for line in read_jsonl(inputs["examples"].file(KEPT_OUT), Example))
    absent = Absent(config.absent_fields, context.seed)
    examples = [Asked(line, chat) for line in lines for chat in as_chats(schema, line, config.strategy, absent)]
    chosen = choose_asked(examples, config.pairs, context.seed)
    asked, drops = _fitting(chosen, codec, limit, config.max_tokens)
    answers, minutes = _answers(config, inputs, asked, codec, limit, out / SCRATCH, context)
    judge = _Judge(schema, asked, context.seed)
    found, right = _judged(judge, asked, answers)
    mined = choose_pairs(found, (pair for one in asked for pair in judge.mistakes(one)), config.pairs, context.seed)
    pairs, drops = [*mined.pairs, *human], [*drops, *right, *mined.drops]
    drawn, made = sum(map(len, answers)), sum(pair.made for pair in pairs)
    if not pairs:
        raise _no_pairs(drawn)
    write_jsonl(out / "pairs.jsonl", pairs)
    write_jsonl(out / "drops.jsonl", drops)
    counts: dict[str, Any] = {
        "kept_out": len(examples),
        "asked": len(asked),
        "answers": drawn,
        "kinds": _kinds(pairs, found),
        "made_share": made / len(pairs),
        "human": len(human),
        "choose_null": sum(pair.chosen in NULLS for pair in pairs),
        "refuse_null": sum(pair.rejected in NULLS for pair in pairs),
        "dropped": dict(Counter(drop.reason for drop in drops).most_common()),
        "asked_a_minute": round(len(asked) / max(minutes, 1e-9), 1),
        "free_validity": _free_validity(schema, asked, answers),
    }
    write_atomic(out / "pairs.json", json.dumps(counts, indent=1))
    note = f"{len(pairs)} pairs of {drawn} answers, {made} of them made by editing"
    n_in = drawn + made + len(human) + len(chosen) - len(asked)
    return {"n_in": n_in, "n_out": len(pairs), "n_dropped": len(drops), "made": made, "note": note}


def _judged(
    judge: _Judge, asked: Sequence[Asked], answers: Sequence[Sequence[Answer]]
) -> tuple[list[tuple[str, Pair]], list[Drop]]:
    """Return the pairs that answers make, each with where it is from, and the answers that make none."""
    found, drops = [], []
    for one, each in zip(asked, answers, strict=True):
        for number, answer in enumerate(each):
            where, verdict = f"{one.where}, answer {number}", judge.verdict(one, answer)
            if verdict.kind is None:
                drops.append(Drop(what="answer", where=where, reason=verdict.reason))
            else:
                found.append((where, _pair(one, answer, verdict)))
    return found, drops


def _free_validity(schema: Schema, asked: Sequence[Asked], answers: Sequence[Sequence[Answer]]) -> float | None:
    """Return the share of the most probable `point` answers that are valid without a grammar; None with `text`."""
    valid = [
        each[0].stopped and parse_point(schema, len(one.example.texts), each[0].text) is not None
        for one, each in zip(asked, answers, strict=True)
        if isinstance(one.example, WindowExample) and not isinstance(one.chat, FieldQuestion)
    ]
    return sum(valid) / len(valid) if valid else None


def _fitting(chosen: Sequence[Asked], codec: Codec, limit: int, max_tokens: int) -> tuple[list[Asked], list[Drop]]:
    asked, drops = [], []
    for one in chosen:
        answer = len(codec.answer(one.chat.completion))
        long = LONG_GOLD if answer > limit else None
        if long is None and len(codec.prompt(one.chat.messages)) + answer > max_tokens:
            long = LONG
        if long is None:
            asked.append(one)
        else:
            drops.append(Drop(what="example", where=one.where, reason=long))
    return asked, drops


def _answers(  # noqa: PLR0913 - private, called once
    config: PreferencesConfig,
    inputs: Inputs,
    asked: Sequence[Asked],
    codec: Codec,
    limit: int,
    scratch: Path,
    context: Context,
) -> tuple[list[list[Answer]], float]:
    """Merge the adapter for the engine and let it answer; return the answers, and the minutes that they took."""
    model = scratch / "model"
    shutil.rmtree(model, ignore_errors=True)
    context.progress(0, len(asked), "merging the SFT adapter")
    merge(config.base, inputs["adapter"].path, model)
    if in_openvino(config.engine):
        from lextune.expert.engines.openvino_ import export_generator

        export_generator(model, model)
    rounds = [GenerateOptions(max_tokens=limit)]
    for number in range(config.pairs.samples):
        seed = context.seed * 1000 + number + 1
        rounds.append(GenerateOptions(max_tokens=limit, temperature=config.pairs.temperature, seed=seed))
    prompts = [codec.prompt(one.chat.messages) for one in asked]
    generator = load_model(model, config.engine).generator()
    started = time.perf_counter()
    answers = draw_answers(generator, prompts, rounds, scratch / "answers.jsonl", context.progress)
    return answers, (time.perf_counter() - started) / 60


def _kinds(pairs: Sequence[Pair], found: Sequence[tuple[str, Pair]]) -> dict[str, dict[str, int]]:
    """Return, for each kind, the pairs of the model's own and those made, and how many answers made the mistake."""
    own = Counter(pair.kind for pair in pairs if not pair.made)
    made = Counter(pair.kind for pair in pairs if pair.made)
    mistakes = Counter(pair.kind for _, pair in found)
    return {kind: {"own": own[kind], "made": made[kind], "answers": mistakes[kind]} for kind in KINDS}


def _no_pairs(answers: int) -> DataError:
    return DataError(
        f"no preference pair: none of {answers} answers has a mistake that can be told",
        where="dpo.pairs",
        do="ask more (dpo.pairs.windows, samples, temperature), let pairs be made (dpo.pairs.made), or leave `dpo` out",
    )


STAGES = (Stage("preferences", 3, ("examples", "adapter", "human"), PreferencesConfig, run_preferences, "pairs"),)
