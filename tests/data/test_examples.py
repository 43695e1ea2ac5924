"""The examples stage on contracts and conversations: what is kept, repeated, left out, mixed in and warned about."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import DataError, RecipeError
from lextune.core.learnt import LOCK_FILE
from lextune.core.records import Document, Drop, FieldLabel
from lextune.core.stage import Context
from lextune.data.balance import BalanceConfig
from lextune.data.examples import Pool, write_mixed
from lextune.data.lock import make_lock, text_hash
from lextune.data.mix import MixConfig
from lextune.data.stages import ExamplesConfig, run_examples
from lextune.data.synthesis import generate
from lextune.expert.point import ChatExample
from lextune.expert.quoting import Absent, field_questions
from lextune.expert.schema import load_schema
from lextune.expert.tasks import get_task
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, WindowExample

WINDOW = WindowConfig(max_tokens=320)
Seal = Callable[..., Artifact]


@pytest.fixture(scope="module")
def contracts() -> list[Document]:
    """Six generated contracts, as they are imported from CUAD's layout."""
    import tempfile

    from lextune.data.importers.cuad import import_cuad
    from lextune.data.synthesis import write_cuad_layout

    schema = load_schema("clauses-47")
    with tempfile.TemporaryDirectory() as folder:
        write_cuad_layout(generate(6, 3, schema=schema), Path(folder))
        return list(import_cuad(Path(folder), schema).documents)


def split_of(seal: Seal, train: list[Document], validation: list[Document]) -> Artifact:
    def fill(folder: Path) -> None:
        write_jsonl(folder / "train.jsonl", train)
        write_jsonl(folder / "validation.jsonl", validation)

    return seal("split", fill)


def run(seal: Seal, split: Artifact, base: Path, **settings: Any) -> Artifact:
    values = {"task": "clause-extraction", "schema_name": "clauses-47", "base": str(base), "strategy": "tag"}
    config = ExamplesConfig(**{**values, "window": WINDOW, **settings})
    return seal("examples", lambda out: run_examples(config, {"split": split}, out, Context(seed=0)))


def lines(artifact: Artifact, name: str) -> list[str]:
    return artifact.file(name).read_text(encoding="utf-8").splitlines()


def chosen_before(rows: list[Any], negatives: float | None) -> list[str]:
    """What the first version of this stage wrote, with seed 0."""
    order = random.Random(0)
    positive = [r for r in rows if r.positive]
    empty = [r for r in rows if not r.positive]
    order.shuffle(empty)
    kept = positive + (empty if negatives is None else empty[: round(negatives * len(positive))])
    order.shuffle(kept)
    return [r.model_dump_json() for r in kept]


def test_the_demo_recipe_makes_the_examples_it_always_made(
    seal: Seal, contracts: list[Document], tiny_base: Path
) -> None:
    split = split_of(seal, contracts[:4], contracts[4:])
    made = run(seal, split, tiny_base, negatives=0.3)
    schema, codec, task = load_schema("clauses-47"), Codec(tiny_base), get_task("clause-extraction")
    every = [[e for d in part for e in task.examples(d, schema, codec, WINDOW, "tag")] for part in _halves(contracts)]
    assert lines(made, "train.jsonl") == chosen_before(every[0], 0.3)
    assert lines(made, "validation.jsonl") == chosen_before(every[1], None)
    assert lines(made, "train_all.jsonl") == [e.model_dump_json() for e in every[0]]
    summary = made.manifest.summary
    assert (summary["train_all"], summary["validation_all"]) == (len(every[0]), len(every[1]))
    assert summary["n_in"] == summary["n_out"] + summary["n_dropped"]
    assert summary["train"] == summary["n_out"]


def _halves(contracts: list[Document]) -> tuple[list[Document], list[Document]]:
    return contracts[:4], contracts[4:]


def test_general_instructions_of_no_use_are_told(tmp_path: Path) -> None:
    source = tmp_path / "general.jsonl"
    source.write_text("".join(f'{{"instruction": "Q", "output": "{answer}"}}\n' for answer in ("", "A")))
    config = MixConfig(share=0.5, source=str(source))
    written = write_mixed(tmp_path / "train.jsonl", [b"{}\n"], config, 0)
    assert (written.lines, written.general, [drop.where for drop in written.dropped]) == (2, 1, ["general.jsonl:1"])


def test_what_is_left_out_and_repeated_is_on_disk(seal: Seal, contracts: list[Document], tiny_base: Path) -> None:
    balance = BalanceConfig(per_field=3, rare=6, repeats=3)
    made = run(seal, split_of(seal, contracts[:4], contracts[4:]), tiny_base, negatives=0.1, balance=balance)
    summary = made.manifest.summary
    assert summary["n_in"] == summary["n_out"] + summary["n_dropped"]
    assert summary["train"] == summary["n_out"] + summary["repeated"]
    assert summary["repeated"] > 0
    train = Counter(lines(made, "train.jsonl"))
    dropped = list(read_jsonl(made.file("drops.jsonl"), Drop))
    assert len(dropped) == summary["n_dropped"]
    everywhere = {f"{e.document_id}: window {e.index}" for e in read_jsonl(made.file("train_all.jsonl"), WindowExample)}
    kept = {f"{e.document_id}: window {e.index}" for e in read_jsonl(made.file("train.jsonl"), WindowExample)}
    assert kept | {drop.where for drop in dropped} == everywhere
    assert max(train.values()) <= 3
    found = made.json("balance.json")
    assert found["dropped"] == Counter(d.reason for d in dropped)
    assert (found["kept"], found["repeated"]) == (summary["n_out"], summary["repeated"])
    assert all(entry["positives"] >= 6 or entry["repeated"] for entry in found["fields"].values())


def conversation(number: int, answer: str = "Yes") -> Document:
    labels = {"output": FieldLabel(parts=(answer,), answer=answer)}
    return Document(id=f"r{number}", name="", sha256="0", text=f"Is {number} even?", labels=labels)


def test_general_instructions_are_mixed_into_conversations(seal: Seal, tiny_base: Path) -> None:
    split = split_of(seal, [conversation(i) for i in range(30)], [conversation(99)])
    made = run(
        seal,
        split,
        tiny_base,
        task="instruction",
        schema_name="instruction",
        strategy="text",
        mix=MixConfig(share=0.25),
    )
    rows = list(read_jsonl(made.file("train.jsonl"), ChatExample))
    assert sum(row.document_id.startswith("general-") for row in rows) == 10
    summary = made.manifest.summary
    assert (summary["n_out"], summary["general"], summary["train"]) == (30, 10, 40)
    assert made.json("balance.json")["general_share"] == 0.25
    assert len(lines(made, "train_all.jsonl")) == 30
    assert len(lines(made, "validation.jsonl")) == 1


def test_windows_and_general_instructions_share_a_file_for_point(
    seal: Seal, contracts: list[Document], tiny_base: Path
) -> None:
    split = split_of(seal, contracts[:2], contracts[2:3])
    made = run(seal, split, tiny_base, strategy="point", mix=MixConfig(share=0.1))
    kinds = Counter("completion" in json.loads(line) for line in lines(made, "train.jsonl"))
    assert kinds[True] == made.manifest.summary["general"] == round(kinds[False] / 9)


def test_test_documents_are_refused_among_general_instructions(seal: Seal, tiny_base: Path, tmp_path: Path) -> None:
    file = tmp_path / "general.jsonl"
    asked = ["What is rent?", conversation(7).text.upper(), "What is a lease?"]
    file.write_text("".join(json.dumps({"instruction": text, "output": "No"}) + "\n" for text in asked))

    def fill(folder: Path) -> None:
        write_jsonl(folder / "train.jsonl", [conversation(i) for i in range(20, 50)])
        write_jsonl(folder / "validation.jsonl", [conversation(99)])
        write_atomic(folder / LOCK_FILE, make_lock({"r7": text_hash(conversation(7))}).model_dump_json())

    mix = MixConfig(share=0.2, source=str(file))
    with pytest.raises(DataError) as caught:
        run(
            seal,
            seal("split", fill),
            tiny_base,
            task="instruction",
            schema_name="instruction",
            strategy="text",
            mix=mix,
        )
    assert str(caught.value).startswith(f"mix.source: {file}: ")
    assert "in the locked test" in str(caught.value)
    assert "general-2 (there r7)" in str(caught.value)


def test_general_instructions_are_refused_for_tag(seal: Seal, tiny_base: Path) -> None:
    with pytest.raises(RecipeError, match="the strategy tag writes no text"):
        run(seal, split_of(seal, [], []), tiny_base, mix=MixConfig(share=0.1))


def test_the_warnings_of_the_training_examples_are_on_disk(seal: Seal, tiny_base: Path) -> None:
    rows = [conversation(i, "Yes, " * (99 if i < 3 else 1)) for i in range(20)]
    split = split_of(seal, rows, [conversation(99)])
    settings = {"task": "instruction", "schema_name": "instruction", "strategy": "text"}
    made = run(seal, split, tiny_base, **settings, max_tokens=128)
    found = made.json("warnings.json")
    assert [caution["code"] for caution in found] == ["few_examples", "over_window"]
    assert found[1]["numbers"] == {"longer": 3, "of": 20, "tokens": 128, "share": 0.15, "limit": 0.05}
    assert made.manifest.summary["note"] == "warnings: few examples, over window"
    without = run(seal, split, tiny_base, **settings)
    assert [caution["code"] for caution in without.json("warnings.json")] == ["few_examples"]


def test_a_window_is_too_long_where_one_of_its_questions_is(
    seal: Seal, contracts: list[Document], tiny_base: Path
) -> None:
    settings = {"strategy": "text", "absent_fields": 2, "max_tokens": 480}
    made = run(seal, split_of(seal, contracts[:2], contracts[2:3]), tiny_base, **settings)
    windows, codec, schema = (
        list(read_jsonl(made.file("train.jsonl"), WindowExample)),
        Codec(tiny_base),
        load_schema("clauses-47"),
    )
    assert all(bool(fields) == bool(parts) for w in windows for fields, parts in zip(w.positives, w.parts, strict=True))
    longer = sum(
        any(
            len(codec.prompt(q.messages)) + len(codec.answer(q.completion)) > 480
            for q in field_questions(schema, w, Absent(2, 0))
        )
        for w in windows
    )
    (found,) = [c["numbers"] for c in made.json("warnings.json") if c["code"] == "over_window"]
    assert 0 < longer < len(windows)
    assert (found["longer"], found["of"]) == (longer, len(windows))


def test_training_without_an_empty_window_is_warned_about(
    seal: Seal, contracts: list[Document], tiny_base: Path
) -> None:
    made = run(seal, split_of(seal, contracts[:1], contracts[1:2]), tiny_base, negatives=0)
    codes = [caution["code"] for caution in made.json("warnings.json")]
    assert codes == ["few_examples", "one_type", "rare_fields", "no_negatives"]


def test_a_pool_reads_back_any_order(tmp_path: Path) -> None:
    made = [ChatExample(document_id="d", messages=(), completion=f"ü{i}\n") for i in range(5)]
    with Pool(tmp_path / "pool.jsonl", lambda example: example.completion.startswith("ü3")) as pool:
        pool.add(conversation(0), made[:2])
        pool.add(conversation(1), made[2:])
    assert len(pool) == 5
    assert list(pool.longer) == [0, 0, 0, 1, 0]
    assert [ChatExample.model_validate_json(row) for row in pool.rows([4, 0, 4])] == [made[4], made[0], made[4]]
