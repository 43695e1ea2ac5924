"""`diff` and `card` as commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lextune.apps.cli.data_versions import card, diff
from lextune.core.artifacts import Artifact, build_folder, write_jsonl
from lextune.core.errors import ArtifactError
from lextune.core.records import Document, FieldLabel

app = typer.Typer()
app.command()(diff)
app.command()(card)
HEADER = {"kind": "documents", "stage": "documents", "stage_version": 1, "config": {}, "seed": 0}
HEADER |= {"inputs": {}, "parents": {}}


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Artifact, Artifact]:
    def make(name: str, answers: list[str]) -> Artifact:
        rows = [
            Document(id=f"r{i}", name="", sha256="0", text=f"q{i}", labels={"output": FieldLabel(parts=(a,), answer=a)})
            for i, a in enumerate(answers)
        ]
        return build_folder(tmp_path / name, HEADER, lambda out: {"n": write_jsonl(out / "documents.jsonl", rows)})

    return make("one", ["a", "b"]), make("two", ["a", "[bold]c", "d"])


def test_diff(versions: tuple[Artifact, Artifact]) -> None:
    one, two = (version.path for version in versions)
    result = call("diff", one, two)
    assert result.exit_code == 0
    assert "1 same, 1 added, 0 removed, 1 relabelled, 0 rewritten" in result.stdout
    assert "r1: output changed: 'b' -> '[bold]c'" in result.stdout
    found = json.loads(call("diff", one, two, "--json", "--limit", 0).stdout)
    assert (found["added"], found["relabelled"], found["details"]) == (1, 1, [])
    assert found["by_field"] == {"output": {"changed": 1}}


def test_card(versions: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    page, text = tmp_path / "card.html", tmp_path / "card.md"
    result = call("card", versions[1].path, "--html", page, "--md", text, "--licence", "CC0")
    lines = result.stdout.splitlines()
    assert lines[0] == f"two ({versions[1].hash[:12]}): 3 rows"
    assert lines[-2] == "warning: 3 rows, fewer than 200: a prompt with worked examples will do as well"
    assert f"written: {page}" in "".join(result.stderr.splitlines())
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "CC0" in text.read_text(encoding="utf-8")


def test_card_as_json_in_tokens(versions: tuple[Artifact, Artifact], tiny_base: Path) -> None:
    found = json.loads(call("card", versions[1].path, "--json", "--base", tiny_base, "--max-tokens", 5).stdout)
    assert found["lengths"]["unit"] == "tokens"
    assert found["over_window"] == {"longer": 3, "of": 3, "tokens": 5}
    assert [caution["code"] for caution in found["warnings"]] == ["few_examples", "over_window"]


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"not an artifact: no manifest\.json"):
        call("card", tmp_path)
    made = build_folder(tmp_path / "s", {**HEADER, "kind": "split"}, lambda out: {})
    with pytest.raises(ArtifactError, match="this is a split, a documents is needed"):
        call("diff", made.path, made.path)
