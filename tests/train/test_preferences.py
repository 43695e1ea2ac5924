"""Mining preferences: what is asked, what becomes a pair, how pairs are balanced, and people's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.core.artifacts import Artifact, read_jsonl, write_jsonl
from lextune.core.errors import DataError
from lextune.core.records import Message, Preference
from lextune.core.stage import Context
from lextune.expert.engines.base import GenerateOptions, Generation
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowExample
from lextune.train import preferences
from lextune.train.dpo_settings import PairSettings
from lextune.train.mistakes import KINDS, OTHER_WORDS, RIGHT
from lextune.train.preferences import Answer, Asked, Pair, choose_asked, choose_pairs, draw_answers

SCHEMA = """name: small
fields:
  - {name: Law, type: boolean, question: "Which law?"}
  - {name: Term, type: boolean, question: "How long?"}
  - {name: Audit, type: boolean, question: "May the books be inspected?"}
"""


@pytest.fixture
def schema_file(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SCHEMA)
    return str(path)


class Scripted:
    """A generator that gives prepared answers, round after round, and remembers what it was asked."""

    name = "scripted"

    def __init__(self, answers: Callable[[GenerateOptions, int], Answer]) -> None:
        self._answers, self.asked = answers, list[GenerateOptions]()
        self._counts: Counter[tuple[float, int]] = Counter()

    def generate(
        self, prompts: Sequence[Sequence[int]], options: GenerateOptions, grammars: object = None
    ) -> list[Generation]:
        assert grammars is None
        self.asked.append(options)
        out = []
        for prompt in prompts:
            answer = self._answers(options, self._counts[options.temperature, options.seed])
            self._counts[options.temperature, options.seed] += 1
            out.append(Generation(text=answer.text, ids=(1,), prompt_tokens=len(prompt), stopped=answer.stopped))
        return out


def _config(base: Base, schema: str, strategy: str = "point", **pairs: Any) -> preferences.PreferencesConfig:
    return preferences.PreferencesConfig(
        schema_name=schema,
        base=base.name,
        strategy=strategy,
        engine="transformers",
        max_tokens=1024,
        pairs=PairSettings(**pairs),
    )


@pytest.fixture
def mine(
    base: Base, seal: Callable[..., Artifact], schema_file: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Artifact]:
    """Run the stage on kept-out examples with prepared answers."""

    def run(
        examples: Sequence[Any],
        generator: Scripted,
        strategy: str = "point",
        *,
        human: Sequence[Preference] = (),
        **pairs: Any,
    ) -> Artifact:
        monkeypatch.setattr(preferences, "merge", lambda base, adapter, out: out.mkdir(parents=True))
        loaded = type("Loaded", (), {"generator": lambda self: generator})
        monkeypatch.setattr(preferences, "load_model", lambda folder, engine: loaded())
        inputs = {
            "examples": seal("examples", lambda f: write_jsonl(f / "kept_out.jsonl", examples) * 0),
            "adapter": seal("adapter", lambda f: (f / "a").write_text("a") * 0),
        }
        if human:
            inputs["human"] = seal("human_pairs", lambda f: write_jsonl(f / "preferences.jsonl", human) * 0)
        schema = schema_file if isinstance(examples[0], WindowExample) else "instruction"
        config = _config(base, schema, strategy, **pairs)
        return seal("pairs", lambda f: preferences.run_preferences(config, inputs, f, Context(1)))

    return run


def _empty(number: int) -> WindowExample:
    return WindowExample(
        document_id=f"e{number}",
        index=number,
        heading="",
        texts=("Invoices are sent.", f"Goods of kind {number} are delivered."),
        positives=((), ()),
        ignored=((), ()),
    )


def test_answers_become_pairs_of_the_gold_answer_and_the_mistake(
    mine: Callable[..., Artifact], make_window: Callable[..., WindowExample]
) -> None:
    said = ["{}", "None", '{"Audit":[1]}', "{", "{}", '{"Law":[1]}']

    def answer(options: GenerateOptions, number: int) -> Answer:
        return Answer(said[number % 6], number % 5 != 4) if options.temperature else Answer("{}", True)

    generator = Scripted(answer)
    examples = [*(make_window(n) for n in range(6)), *map(_empty, range(6))]
    made = mine(examples, generator, samples=1, made=0)
    pairs = list(read_jsonl(made.file("pairs.jsonl"), Pair))
    assert pairs
    assert all(p.chosen == "{}" if p.document_id.startswith("e") else p.chosen.startswith('{"') for p in pairs)
    assert all(p.rejected != p.chosen or not p.stopped for p in pairs)
    assert {p.kind for p in pairs if p.document_id.startswith("d")} >= {"missed"}
    assert all(not p.made for p in pairs)
    counts = made.json("pairs.json")
    assert counts["asked"] == 12
    assert counts["answers"] == 24
    assert counts["free_validity"] == 1.0
    assert counts["made_share"] == 0
    assert sum(each["own"] for each in counts["kinds"].values()) == len(pairs)
    summary = made.manifest.summary
    assert summary["n_in"] == 24 == summary["n_out"] + summary["n_dropped"]
    drops = [json.loads(line) for line in made.file("drops.jsonl").read_text().splitlines()]
    assert Counter(d["reason"] for d in drops) == counts["dropped"]
    assert counts["dropped"][RIGHT] >= 6
    assert [(o.temperature, o.max_tokens) for o in generator.asked] == [(0.0, 64), (0.8, 64)]
    assert set(made.manifest.files) == {"pairs.jsonl", "pairs.json", "drops.jsonl"}


def test_rare_kinds_are_made_and_marked(
    mine: Callable[..., Artifact], make_window: Callable[..., WindowExample]
) -> None:
    examples = [*(make_window(n) for n in range(8)), *map(_empty, range(8))]
    made = mine(examples, Scripted(lambda options, n: Answer("{}", True)), samples=0, made=4, per_kind=6)
    counts = made.json("pairs.json")
    kinds = counts["kinds"]
    assert kinds["missed"] == {"own": 6, "made": 0, "answers": 8}
    assert counts["dropped"][preferences.CAPPED] == 2
    assert {k for k in KINDS if kinds[k]["made"] == 4} == {"malformed", "invented", "wrong_field", "null_form"}
    assert kinds["cut_quote"] == {"own": 0, "made": 0, "answers": 0}  # no clause has two sentences
    pairs = list(read_jsonl(made.file("pairs.jsonl"), Pair))
    assert counts["made_share"] == sum(p.made for p in pairs) / len(pairs) == 16 / 22
    assert made.manifest.summary["note"] == "22 pairs of 16 answers, 16 of them made by editing"


def test_written_answers_are_judged_too(mine: Callable[..., Artifact]) -> None:
    def row(n: int, answer: str) -> ChatExample:
        return ChatExample(
            document_id=f"r{n}", messages=(Message(role="user", content=f"Question {n}?"),), completion=answer
        )

    examples = [row(n, "null" if n % 2 else "The laws of the State of Ohio.") for n in range(6)]
    made = mine(examples, Scripted(lambda o, n: Answer("N/A" if n < 4 else "Texas.", True)), "text", samples=0, made=0)
    counts = made.json("pairs.json")
    assert counts["free_validity"] is None
    found = {kind: each["own"] for kind, each in counts["kinds"].items() if each["own"]}
    assert sum(found.values()) + counts["dropped"].get(OTHER_WORDS, 0) == 6
    assert set(found) >= {"missed", "null_form"}


def test_quoted_clauses_are_judged_against_their_window(
    mine: Callable[..., Artifact], make_window: Callable[..., WindowExample]
) -> None:
    said = ["null", "N/A", "Invoices are sent at the end of each month.", "This Agreement is governed", "Made up."]
    generator = Scripted(lambda o, n: Answer(said[n % 5], n % 7 != 6))
    two = make_window(0).model_copy(update={"document_id": "two", "positives": ((0,), (1,), (), ())})
    examples = [two, *(make_window(n) for n in range(8)), *map(_empty, range(8))]
    made = mine(examples, generator, "text", samples=2, made=3)
    pairs = list(read_jsonl(made.file("pairs.jsonl"), Pair))
    counts = made.json("pairs.json")
    assert counts["asked"] == 2 + 8 * 2 + 8 * 3, "what a window states, and what it does not (one field is left open)"
    assert counts["free_validity"] is None
    assert {o.max_tokens for o in generator.asked} == {256}
    assert {p.kind for p in pairs} == set(KINDS)
    assert all(counts["kinds"][kind]["own"] for kind in ("malformed", "invented", "missed", "null_form"))
    for pair in pairs:
        assert pair.messages[-1].content.rsplit("\n\n", 1)[1].split(":")[0] in ("Law", "Term", "Audit")
        assert pair.chosen == "null" or pair.chosen in pair.messages[-1].content
        assert (pair.kind == "null_form") <= (pair.chosen == "null")
        assert (pair.kind in ("missed", "cut_quote", "wrong_field")) <= (pair.chosen != "null")
    drops = [json.loads(line) for line in made.file("drops.jsonl").read_text().splitlines()]
    assert any(d["where"].startswith("d0: window 0, Law, answer ") for d in drops)
    assert made.manifest.summary["n_in"] == made.manifest.summary["n_out"] + made.manifest.summary["n_dropped"]


def test_answers_without_a_mistake_are_refused(mine: Callable[..., Artifact]) -> None:
    with pytest.raises(DataError, match=r"dpo.pairs: no preference pair: none of 4 answers has a mistake .*\n  -> ask"):
        mine([_empty(n) for n in range(4)], Scripted(lambda o, n: Answer("{}", True)), samples=0, made=0)


def test_examples_that_do_not_fit_are_listed(
    mine: Callable[..., Artifact], make_window: Callable[..., WindowExample]
) -> None:
    long = _empty(1).model_copy(update={"document_id": "long", "texts": ("word " * 3000,) * 2})
    many = make_window(0).model_copy(update={"texts": ("A.",) * 60, "positives": ((0,),) * 60, "ignored": ((),) * 60})
    made = mine([long, many, _empty(2)], Scripted(lambda o, n: Answer("None", True)), samples=0, made=0)
    drops = [json.loads(line) for line in made.file("drops.jsonl").read_text().splitlines()]
    assert {(d["what"], d["where"], d["reason"]) for d in drops} == {
        ("example", "long: window 1", preferences.LONG),
        ("example", "d0: window 0", preferences.LONG_GOLD),
    }
    assert made.manifest.summary["n_in"] == 3


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60), st.floats(0, 1), st.integers(0, 5))
def test_windows_without_a_clause_have_their_share(full: int, empty: int, most: int, share: float, seed: int) -> None:
    def asked(name: str, completion: str) -> Asked:
        chat = ChatExample(document_id=name, messages=(), completion=completion)
        return Asked(chat, chat)

    every = [*(asked(f"f{n}", "x") for n in range(full)), *(asked(f"e{n}", "{}") for n in range(empty))]
    chosen = choose_asked(every, PairSettings(windows=most, empty=share), seed)
    names = [one.chat.document_id for one in chosen]
    assert len(set(names)) == len(names) == min(most, full + empty)
    without = sum(name.startswith("e") for name in names)
    wanted = min(empty, max(round(len(names) * share), len(names) - full))
    assert without == wanted


def _pair(number: int, kind: str, made: bool = False) -> Pair:
    messages = (Message(role="user", content=str(number)),)
    return Pair(document_id="d", messages=messages, chosen="{}", rejected=kind, kind=kind, reason="r", made=made)


pairs_of = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(KINDS)), max_size=40)


@given(pairs_of, pairs_of, st.integers(1, 8), st.integers(0, 8), st.integers(0, 3))
def test_pairs_are_balanced_and_none_is_there_twice(
    found: list[tuple[int, str]], made: list[tuple[int, str]], per_kind: int, least: int, seed: int
) -> None:
    own = [(f"at {n}", _pair(*each)) for n, each in enumerate(found)]
    chosen = choose_pairs(
        own, (_pair(*each, made=True) for each in made), PairSettings(per_kind=per_kind, made=least), seed
    )
    keys = [pair.key for pair in chosen.pairs]
    assert len(set(keys)) == len(keys)
    distinct = Counter(kind for _, kind in set(found))
    both = Counter(kind for _, kind in set(found) | set(made))
    kinds = Counter(pair.kind for pair in chosen.pairs)
    for kind in KINDS:
        kept = min(distinct[kind], per_kind)
        assert kinds[kind] == max(kept, min(both[kind], least, per_kind))
    assert sum(not pair.made for pair in chosen.pairs) + len(chosen.drops) == len(found)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=30),
    st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=30),
    st.integers(0, 3),
)
def test_as_many_pairs_refuse_null_as_choose_it_where_made_ones_allow(
    found: list[tuple[bool, int]], made: list[tuple[bool, int]], seed: int
) -> None:
    def pair(chooses: bool, number: int, made: bool) -> Pair:
        sides = {"chosen": "{}", "rejected": '{"Law":[1]}'} if chooses else {"chosen": '{"Law":[1]}', "rejected": "{}"}
        kind = "invented" if chooses else "missed"
        return _pair(number, kind, made).model_copy(update=sides)

    own = [(f"at {n}", pair(*each, made=False)) for n, each in enumerate(found)]
    edited = [pair(*each, made=True) for each in made]
    chosen = choose_pairs(own, edited, PairSettings(made=1, per_kind=40), seed).pairs
    chooses, refuses = (sum(each.for_null == side for each in chosen) for side in (1, -1))
    assert sum(not each.made for each in chosen) == len(set(found)), "none of the model's own is lost"
    unused = {each.key for each in edited} - {each.key for each in chosen}
    if chooses != refuses:
        lacking = -1 if chooses > refuses else 1
        assert not [each for each in edited if each.key in unused and each.for_null == lacking]


def test_a_model_that_invents_everywhere_learns_as_often_to_speak_as_to_be_silent(
    mine: Callable[..., Artifact], make_window: Callable[..., WindowExample]
) -> None:
    full = (make_window(n) for n in range(40))
    different = [each.model_copy(update={"heading": f"Article {n}"}) for n, each in enumerate(full)]
    examples = [*different, *map(_empty, range(30))]
    made = mine(examples, Scripted(lambda o, n: Answer('{"Audit":[1]}', True)), samples=0, made=2)
    counts = made.json("pairs.json")
    assert counts["choose_null"] == counts["refuse_null"] >= 30


def test_a_killed_generation_goes_on_where_it_was(tmp_path: Path) -> None:
    notes = tmp_path / "answers.jsonl"
    rounds = [GenerateOptions(), GenerateOptions(temperature=0.8, seed=1)]
    prompts = [[n] for n in range(40)]
    calls: list[list[int]] = []

    class Counting(Scripted):
        def generate(self, prompts: Sequence[Sequence[int]], options: GenerateOptions, grammars: object = None) -> Any:
            calls.append([p[0] for p in prompts])
            if len(calls) == 4:
                raise KeyboardInterrupt
            return [
                Generation(text=f"{p[0]} {options.seed}", ids=(1,), prompt_tokens=1, stopped=p[0] != 7) for p in prompts
            ]

    generator = Counting(lambda o, n: Answer("", True))
    with pytest.raises(KeyboardInterrupt):
        draw_answers(generator, prompts, rounds, notes, lambda *_: None)
    with notes.open("a") as stream:
        stream.write('{"answers": [["half a li')
    found = draw_answers(generator, prompts, rounds, notes, lambda *_: None)
    assert found == [[Answer(f"{n} 0", n != 7), Answer(f"{n} 1", n != 7)] for n in range(40)]
    assert [c[0] for c in calls] == [0, 0, 16, 16, 16, 16, 32, 32]


def test_people_s_preferences_are_added(
    mine: Callable[..., Artifact], make_window: Callable[..., WindowExample]
) -> None:
    asked = (Message(role="user", content="Which law?"),)
    human = [Preference(line=n, messages=asked, chosen="Ohio.", rejected=f"Texas {n}.") for n in (1, 3)]
    made = mine([make_window(0)], Scripted(lambda o, n: Answer("{}", True)), human=human, samples=0, made=0)
    pairs = list(read_jsonl(made.file("pairs.jsonl"), Pair))
    assert [(p.document_id, p.rejected) for p in pairs if p.kind == "human"] == [
        ("human-1", "Texas 1."),
        ("human-3", "Texas 3."),
    ]
    assert pairs[-1].messages == asked
    assert made.json("pairs.json")["human"] == 2
    assert made.manifest.summary["n_out"] == 3


def test_the_prompt_is_the_one_that_is_served(base: Base, make_window: Callable[..., WindowExample]) -> None:
    from lextune.expert.point import point_messages
    from lextune.expert.quoting import Absent
    from lextune.expert.schema import load_schema
    from lextune.expert.tasks import as_chats

    schema, window = load_schema("clauses-47"), make_window(1, heading="Term")
    codec = Codec(base.path)
    served = codec.prompt(point_messages(schema, window.heading, window.texts))
    (chat,) = as_chats(schema, window, "point", Absent())
    assert codec.prompt(chat.messages) == served
