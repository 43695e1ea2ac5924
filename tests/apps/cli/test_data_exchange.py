"""`lextune data import|export` as functions on a small command line of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lextune.apps.cli import console
from lextune.apps.cli.data_exchange import export, import_data
from lextune.core.artifacts import Artifact
from lextune.core.errors import ArtifactError, DataError, LextuneError, UserError
from lextune.expert.point import ChatExample
from lextune.expert.schema import load_schema

ROWS = [
    {"id": "a", "prompt": "What law?", "completion": "New York"},
    {"id": "b", "prompt": "Which </s> cap?", "completion": "N/A"},
    {"id": "c", "prompt": "Which cap?", "completion": ""},
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Call a command in an empty folder; return both streams, or raise the user's error."""
    monkeypatch.chdir(tmp_path)
    for each in (console.out, console.log):
        monkeypatch.setattr(each, "_width", 400)
    app = typer.Typer()
    app.command("import")(import_data)
    app.command("export")(export)

    def call(*words: str) -> str:
        found = CliRunner().invoke(app, words)
        if isinstance(found.exception, LextuneError):
            raise found.exception
        assert found.exit_code == 0, found.output
        return found.output

    return call


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return path


def test_import_says_what_went_on_and_what_did_not(run: Callable[..., str], rows: Path) -> None:
    before = rows.read_bytes()
    assert run("import", "rows.jsonl", "--out", "v1").splitlines() == [
        "2 of 3 documents in v1, 1 dropped",
        "  1 x output: a word for null, now null (nulls.json)",
        "  1 x row: the output is empty (rows.jsonl:3)",
        "  1 document holds control tokens of some model, which stay ordinary text",
    ]
    assert rows.read_bytes() == before
    found = json.loads(run("import", "rows.jsonl", "--out", "v2", "--json"))
    counts = {name: found[name] for name in ("path", "n_in", "n_out", "n_dropped", "nulls")}
    assert counts == {"path": "v2", "n_in": 3, "n_out": 2, "n_dropped": 1, "nulls": {"output": 1}}
    assert found["hash"] == Artifact.open(Path("v1"), kind="documents").hash


def test_a_folder_says_which_names_lie_and_how_many_reasons_are_not_told(run: Callable[..., str]) -> None:
    Path("docs").mkdir()
    Path("docs/a.docx").write_text("Plain text.")
    for number in range(22):
        Path(f"docs/b.x{number:02}").touch()
    first, *told, more, kinds = run("import", "docs", "--out", "v").splitlines()
    assert first == "1 of 23 documents in v, 22 dropped"
    assert told[0] == "  1 x document: a file that ends in '.x00' is no document (b.x00)"
    assert (len(told), more) == (20, "  2 more, for other reasons (drops.jsonl)")
    assert kinds == "  1 document is of another kind than the file's name says, and read as what it is (tag read_as)"


def test_a_folder_of_contracts_says_what_the_null_contract_changed(run: Callable[..., str]) -> None:
    names = load_schema("clauses-47").names[:6]

    def contracts(count: int) -> None:
        Path("cuad/full_contract_txt").mkdir(parents=True, exist_ok=True)
        Path("cuad/full_contract_txt/A.txt").write_text("A contract.")
        columns = ["Filename", *(each for name in names[:count] for each in (name, f"{name}-Answer"))]
        cells = ["A.pdf", *(["[]", "No"] * count)]
        Path("cuad/master_clauses.csv").write_text(f"{','.join(columns)}\n{','.join(cells)}\n")

    contracts(2)
    told = [f"  1 x {name}: a word for null, now null (nulls.json)" for name in sorted(names[:2])]
    assert run("import", "cuad", "--out", "v1").splitlines()[1:] == told
    assert json.loads(Path("v1/nulls.json").read_text()) == {name: {"No": 1} for name in names[:2]}
    contracts(6)
    many = "  6 words for null in 6 fields, now null (nulls.json)"
    assert run("import", "cuad", "--out", "v2").splitlines()[1:] == [many]


def test_options_of_an_import(run: Callable[..., str], rows: Path) -> None:
    rows.write_text('{"prompt": "Q", "completion": "A", "score": 3}\noops\n')
    with pytest.raises(DataError, match="2 mistakes"):
        run("import", "rows.jsonl", "--out", "v")
    made = run("import", "rows.jsonl", "--out", "v", "--ignore", "score", "--skip-bad", "--format", "prompt-completion")
    assert made.splitlines()[0] == "1 of 2 documents in v, 1 dropped"
    with pytest.raises(DataError, match="no format 'chta'; did you mean 'chat'"):
        run("import", "rows.jsonl", "--out", "w", "--format", "chta")


def test_many_places_of_a_reason_are_cut(run: Callable[..., str], rows: Path) -> None:
    rows.write_text("".join(f"{json.dumps(ROWS[i] if i < 1 else {**ROWS[2], 'id': str(i)})}\n" for i in range(8)))
    places = "; ".join(f"rows.jsonl:{n}" for n in range(2, 7))
    assert f"  7 x row: the output is empty ({places}, ...)\n" in run("import", "rows.jsonl", "--out", "v")


def test_a_version_is_exported_and_imports_again_to_the_same(run: Callable[..., str], rows: Path) -> None:
    run("import", "rows.jsonl", "--out", "v1")
    assert run("export", "v1", "--format", "sharegpt", "--out", "out.jsonl") == "2 examples in out.jsonl\n"
    run("import", "out.jsonl", "--out", "v2")
    first, second = (Path(v, "documents.jsonl").read_bytes() for v in ("v1", "v2"))
    assert first == second
    found = json.loads(run("export", "v1", "--format", "alpaca", "--out", "a.jsonl", "--json"))
    assert found == {"a.jsonl": {"rows": 2, "without_rejected": 0, "left_behind": {}, "times": []}}
    with pytest.raises(UserError, match="this exists already"):
        run("export", "v1", "--format", "alpaca", "--out", "a.jsonl")


def test_what_an_export_leaves_out_is_told(run: Callable[..., str], seal: Callable[..., Artifact]) -> None:
    from lextune.core.artifacts import write_jsonl
    from lextune.core.records import Message
    from lextune.data.importers.conversation import Conversation
    from lextune.data.importers.shapes import conversation_document

    asked = (Message(role="user", content="Q"),)
    document = conversation_document("a", Conversation(asked, "2021-05-04", "B")).model_copy(
        update={"annotator": "kim"}
    )
    made = seal("documents", lambda folder: write_jsonl(folder / "documents.jsonl", [document]) and None)
    said = run("export", str(made.path), "--format", "alpaca", "--out", "out.jsonl", "--chosen-only")
    assert sorted(said.splitlines()) == [
        "1 example in out.jsonl",
        "1 rejected answer left out",
        "dates in output: where nothing else stands there, load_dataset reads them as times; export as chat "
        "(docs/guides/curate.md)",
        "not in the export, still in the dataset: annotator (1)",
    ]


@pytest.fixture
def parts(seal: Callable[..., Artifact]) -> Callable[[str], Path]:
    """Make a split or examples whose parts hold one row each."""

    def make(kind: str) -> Path:
        from lextune.core.records import Message
        from lextune.data.importers.conversation import Conversation
        from lextune.data.importers.shapes import conversation_document

        asked = (Message(role="user", content="Q"),)

        def fill(folder: Path) -> None:
            for part in ("train", "validation", "test"):
                one: Any = ChatExample(document_id=part, messages=asked, completion="A")
                if kind == "split":
                    one = conversation_document(part, Conversation(asked, "A"))
                (folder / f"{part}.jsonl").write_text(f"{one.model_dump_json()}\n")

        return seal(kind, fill, {"schema_name": "instruction"}).path

    return make


@pytest.mark.parametrize("kind", ["split", "examples"])
def test_parts_are_exported_but_not_the_test(
    run: Callable[..., str], parts: Callable[[str], Path], kind: str, tmp_path: Path
) -> None:
    said = run("export", str(parts(kind)), "--format", "chat", "--out", "out")
    train, validation = Path("out") / "train.jsonl", Path("out") / "validation.jsonl"
    assert said == f"1 example in {train}\n1 example in {validation}\n"
    assert sorted(Path("out").iterdir()) == [train, validation]
    assert json.loads(train.read_text())["id"] == "train"
    with pytest.raises(UserError, match="this exists already"):
        run("export", str(parts(kind)), "--format", "chat", "--out", "out")
    with pytest.raises(DataError, match="it has no rejected answer"):
        run("export", str(parts(kind)), "--format", "preference", "--out", "none")
    assert not list(tmp_path.glob("*none*"))


def test_only_data_are_exported(run: Callable[..., str], seal: Callable[..., Artifact]) -> None:
    made = seal("adapter", lambda folder: (folder / "a").write_text("x") and None)
    with pytest.raises(ArtifactError, match="this is a adapter: no data to export"):
        run("export", str(made.path), "--format", "chat", "--out", "out")
