"""`lextune data preview`: the mask in colour, in brackets where there is none, and as JSON."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from lextune.apps.cli import data_preview
from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel, Span
from lextune.expert.schema import load_schema
from lextune.expert.tasks import get_task, instruction_document
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig

LAW = "This Agreement is governed by the laws of Ohio."


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Callable[..., Any]:
    """Run the command; with `colour` on a terminal that has it."""
    app = typer.Typer()
    app.command()(data_preview.preview)

    def call(*words: object, colour: bool = False, **terminal: Any) -> Any:
        shown = io.StringIO()
        kind = {"force_terminal": True, "color_system": "standard", "no_color": False} if colour else {"no_color": True}
        console = Console(file=shown, soft_wrap=True, highlight=False, width=80, **{**kind, **terminal})
        monkeypatch.setattr(data_preview, "out", console)
        done = CliRunner().invoke(app, [str(word) for word in words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return shown.getvalue() or done.stdout

    return call


@pytest.fixture
def dataset(seal: Callable[..., Artifact]) -> Callable[..., Path]:
    """A sealed dataset of these rows."""

    def make(rows: list[Any], kind: str = "documents", **config: Any) -> Path:
        name = "documents.jsonl" if kind == "documents" else "train.jsonl"
        return seal(kind, lambda folder: {"rows": write_jsonl(folder / name, rows)}, config).path

    return make


@pytest.fixture
def rows(dataset: Callable[..., Path]) -> Path:
    first = instruction_document("r1", "Which [law]?", "", "Ohio.")
    second = instruction_document("r2", "And when?\x1b[2J\u202e", "", "In May.")
    return dataset([first, second], schema_name="instruction")


@pytest.fixture
def contracts(dataset: Callable[..., Path]) -> Path:
    label = FieldLabel(parts=(LAW,), spans=((Span(start=0, end=len(LAW)),),))
    text = f"{LAW} The Supplier delivers the goods to the warehouse every month."
    document = Document(id="c1", name="c1", sha256="0" * 64, text=text, labels={"Governing Law": label})
    return dataset([document])


def test_without_colour_brackets_say_what_is_learnt(run: Callable[..., Any], rows: Path, tiny_base: Path) -> None:
    shown = run(rows, "--base", tiny_base)
    assert shown.startswith("example 0 of r1: strategy text, template smollm, ")
    assert ", stop token <|im_end|> learnt\nlearnt: between {+ and +}\n<|im_start|>system\n" in shown
    assert shown.endswith("user\nWhich [law]?<|im_end|>\n<|im_start|>assistant\n{+Ohio.<|im_end|>+}\n\n")
    assert "\x1b" not in shown


def test_on_a_terminal_what_is_learnt_is_green(run: Callable[..., Any], rows: Path, tiny_base: Path) -> None:
    shown = run(rows, "--base", tiny_base, colour=True)
    assert "{+" not in shown
    assert "\x1b[32mlearnt\x1b[0m, \x1b[2mnot learnt\x1b[0m" in shown
    assert re.sub(r"\x1b\[0m\x1b\[32m", "", shown).count("\x1b[32mOhio.\x1b[0m") == 1
    assert shown.rstrip().endswith("\x1b[1;7;32m<|im_end|>\x1b[0m"), "the stop token stands out, and is green too"
    assert "\x1b[1m<|im_start|>\x1b[0m" in shown


def test_a_terminal_that_was_told_no_color_gets_brackets(run: Callable[..., Any], rows: Path, tiny_base: Path) -> None:
    shown = run(rows, "--base", tiny_base, colour=True, no_color=True)
    assert "{+" in shown
    assert "\x1b[32m" not in shown


def test_a_document_cannot_command_the_terminal(run: Callable[..., Any], rows: Path, tiny_base: Path) -> None:
    shown = run(rows, "--base", tiny_base, "--index", 1)
    assert "And when?\\x1b[2J\\x202e<|im_end|>" in shown
    assert "\u202e" not in shown


def test_json_has_every_token(run: Callable[..., Any], rows: Path, tiny_base: Path) -> None:
    found = json.loads(run(rows, "--base", tiny_base, "--n", 5, "--json"))
    assert [(e["index"], e["document_id"], e["template"]) for e in found["examples"]] == [
        (0, "r1", "smollm"),
        (1, "r2", "smollm"),
    ]
    tokens = found["examples"][0]["tokens"]
    assert "".join(t["text"] for t in tokens if t["trained"]) == "Ohio.<|im_end|>"
    assert tokens[-1] == {"id": 2, "text": "<|im_end|>", "control": True, "trained": True, "stop": True}
    assert "\x1b[2J" in "".join(t["text"] for t in found["examples"][1]["tokens"]), "JSON keeps the text as it is"


def test_contracts_are_shown_by_window(run: Callable[..., Any], contracts: Path, tiny_base: Path) -> None:
    shown = run(contracts, "--base", tiny_base, "--strategy", "point", "--schema", "clauses-47")
    assert f"1. {LAW}\n2. The Supplier" in shown
    assert shown.endswith('{+{"Governing Law":[1]}<|im_end|>+}\n\n')


def test_tags_are_shown_by_sentence(run: Callable[..., Any], contracts: Path, tiny_base: Path) -> None:
    shown = run(contracts, "--base", tiny_base, "--strategy", "tag")
    assert shown.startswith("example 0 of c1: strategy tag, ")
    assert f"  1. {LAW}  [Governing Law]  (not counted: Document Name; Parties; Agreement Date and 43 more)\n" in shown
    assert "2 sentences, 1 with a field\n" in shown
    assert "\n  2. The Supplier delivers the goods to the warehouse every month.  (not counted: " in shown


def test_a_window_says_what_it_stands_under(
    run: Callable[..., Any], dataset: Callable[..., Path], tiny_base: Path
) -> None:
    schema = load_schema("clauses-47")
    document = Document(id="c1", name="c1", sha256="0" * 64, text="The Supplier delivers.", labels={})
    (window,) = get_task("clause-extraction").examples(document, schema, Codec(tiny_base), WindowConfig(), "tag")
    config = {"task": "clause-extraction", "strategy": "tag", "schema_name": "clauses-47", "base": str(tiny_base)}
    headed = window.model_copy(update={"heading": "Article I"})
    shown = run(dataset([headed], "examples", **config))
    assert "sentence, 0 with a field\nArticle I\n  1. The Supplier delivers." in shown


def test_the_users_mistakes_are_told(run: Callable[..., Any], rows: Path, tiny_base: Path) -> None:
    with pytest.raises(DataError, match="--index 7: the dataset has 2 examples, numbered from 0"):
        run(rows, "--base", tiny_base, "--index", 7)
