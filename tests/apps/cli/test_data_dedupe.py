"""`lextune data dedupe` and `conflicts` as commands of an app of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lextune.apps.cli.data_dedupe import conflicts, dedupe
from lextune.core.artifacts import Artifact, build_folder, write_jsonl
from lextune.core.errors import UserError
from lextune.core.records import Document, FieldLabel, Span

FORM = "The Supplier shall indemnify the Customer against all claims of third parties that arise from the goods."
app = typer.Typer()
app.command()(dedupe)
app.command()(conflicts)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two contracts with the same clause, which one of them quotes, and one of other words."""
    label = FieldLabel(parts=(FORM,), spans=((Span(start=0, end=len(FORM)),),))
    texts = {"a": FORM, "b": FORM, "c": "Nothing of this kind is in the third of these contracts, which is short."}
    documents = [
        Document(id=name, name=name, sha256="", text=text, labels={"Indemnity": label if name == "a" else FieldLabel()})
        for name, text in texts.items()
    ]
    header = {"kind": "documents", "stage": "documents", "stage_version": 1, "config": {}, "seed": 0}

    def make(out: Path) -> dict[str, object]:
        write_jsonl(out / "documents.jsonl", documents)
        return {}

    build_folder(tmp_path / "set", {**header, "inputs": {}, "parents": {}}, make)
    return tmp_path / "set"


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_a_new_version_without_the_duplicates(dataset: Path, tmp_path: Path) -> None:
    printed = run("dedupe", dataset, "--out", tmp_path / "one" / "new")
    assert printed.splitlines() == [
        f"2 of 3 documents in {tmp_path / 'one' / 'new'}",
        "1 near-duplicate dropped (drops.jsonl, families.json)",
    ]
    made = Artifact.open(tmp_path / "one" / "new", kind="documents")
    assert made.json("families.json") == [{"kept": "a", "dropped": ["b"], "same_words": True}]
    parent = made.path.parent / made.manifest.parents["documents"]
    assert Artifact.open(parent).hash == made.manifest.inputs["documents"]
    found = json.loads(run("dedupe", dataset, "--out", tmp_path / "again", "--json"))
    assert (found["n_out"], found["hash"]) == (2, made.hash)


def test_reports_alone(dataset: Path) -> None:
    assert run("dedupe", dataset, "--report-only").splitlines() == [
        "1 family of 2 documents (Jaccard >= 0.8)",
        "  a (2, same words): b",
    ]
    clauses = run("dedupe", dataset, "--report-only", "--level", "clause")
    assert clauses.splitlines()[1] == f"  2 x in 2 documents: {FORM[:79]}…"
    found = json.loads(run("dedupe", dataset, "--report-only", "--json"))
    assert found["families"] == [{"kept": "a", "dropped": ["b"], "same_words": True}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--out: nowhere to write\n  -> give --out, or --report-only to list families"),
        (
            ["--out", "x", "--level", "clause"],
            "--level clause: a clause is not taken out of its document: quotes, pages and the clauses that refer to it "
            "would be wrong\n  -> add --report-only to list repeated clauses",
        ),
        (["--report-only", "--level", "page"], "--level: no level 'page'"),
    ],
)
def test_what_cannot_be_done(dataset: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        CliRunner().invoke(app, ["dedupe", str(dataset), *arguments], catch_exceptions=False)
    assert str(caught.value).startswith(message)


def test_conflicts_are_printed(dataset: Path) -> None:
    assert run("conflicts", dataset).splitlines() == [
        "1 conflict of labels",
        f"  unlabelled, 2 places (Indemnity 1 of 2): {FORM[:79]}…",
        f"    a 0-{len(FORM)}: Indemnity",
        f"    b 0-{len(FORM)}: unlabelled",
    ]
    (found,) = json.loads(run("conflicts", dataset, "--json"))
    assert (found["kind"], found["counts"], found["places"][0]["document"]) == (
        "unlabelled",
        {"Indemnity": [1, 1]},
        "a",
    )
