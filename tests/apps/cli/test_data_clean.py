"""`lextune data clean`, called through an app of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lextune.apps.cli.data_clean import clean
from lextune.core.artifacts import Artifact, read_jsonl, write_jsonl
from lextune.core.errors import ArtifactError, UserError
from lextune.core.records import Document, FieldLabel, Span

FOOTER = "Source: ACME INC, 10-K, 3/31/2012"
app = typer.Typer()
app.command()(clean)


def call(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def dataset(seal: Callable[..., Artifact]) -> Artifact:
    text = f"The  buyer\n\n{FOOTER}\n\npays."
    at = text.index("3/31")
    label = FieldLabel(parts=("3/31/2012",), spans=((Span(start=at, end=at + 9),),))
    rows = [Document(id=str(n), name=f"{n}.txt", sha256="0", text=text, labels={"Date": label}) for n in range(2)]
    rows.append(Document(id="2", name="2.txt", sha256="0", text=FOOTER))

    def fill(folder: Path) -> dict[str, Any]:
        write_jsonl(folder / "documents.jsonl", rows)
        write_jsonl(folder / "drops.jsonl", [])
        return {"n_out": 3}

    return seal("documents", fill)


def test_a_new_version_is_made_and_names_its_parent(dataset: Artifact, tmp_path: Path) -> None:
    to = tmp_path / "clean"
    said = call(dataset.path, "--out", to)
    assert said == f"2 documents in {to}, 2 changed\n1 dropped, 2 quotes lost (drops.jsonl)\n".replace("\n\n", "\n")
    made = Artifact.open(to, kind="documents")
    assert made.manifest.inputs == {"documents": dataset.hash}
    assert (to.parent / made.manifest.parents["documents"]).resolve() == dataset.path.resolve()
    assert made.manifest.config["furniture"] is True
    documents = list(read_jsonl(made.file("documents.jsonl"), Document))
    assert [d.text for d in documents] == ["The buyer\npays."] * 2
    assert all(set(d.tags) == {"language", "drafting"} for d in documents)


def test_operations_and_tags_can_be_left_out(dataset: Artifact, tmp_path: Path) -> None:
    off = ("--no-encoding", "--no-spaces", "--no-hyphenation", "--no-furniture", "--no-tags")
    found = json.loads(call(dataset.path, "--out", tmp_path / "same", *off, "--workers", "1", "--json"))
    made = Artifact.open(tmp_path / "same")
    assert found == {"out": str(tmp_path / "same"), "hash": made.hash, **made.manifest.summary}
    assert (found["n_in"], found["n_out"], found["changed"], found["rejects"]) == (3, 3, 0, 0)
    same = made.manifest.files["documents.jsonl"].sha256
    assert same == dataset.manifest.files["documents.jsonl"].sha256


def test_the_users_mistakes_are_told(dataset: Artifact, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not an artifact"):
        call(tmp_path, "--out", tmp_path / "out")
    with pytest.raises(UserError, match="this exists already"):
        call(dataset.path, "--out", dataset.path)
