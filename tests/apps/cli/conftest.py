"""A way to call the command line in this process, and stages and releases that need no model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lextune import api
from lextune.apps.cli import console
from lextune.apps.cli.main import main
from lextune.core.records import Document, FieldAnswer, Prediction, Quote, Record
from lextune.core.stage import Context, Inputs, Stage
from lextune.expert.schema import load_schema
from lextune.expert.scoring import score, trivial
from lextune.pipeline.table import TABLE

RESOURCES = Path(api.__file__).parent / "resources"


class Result(NamedTuple):
    """What a command left: its exit code, and the text of both streams."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the last line of stdout, parsed."""
        return json.loads(self.out.splitlines()[-1])


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Call `lextune` with these words in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEXTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LEXTUNE_CUAD", raising=False)
    monkeypatch.setattr(sys, "argv", ["lextune"])
    monkeypatch.setenv("COLUMNS", "200")
    for each in (console.out, console.log):
        monkeypatch.setattr(each, "_width", 400)

    def call(*words: str | Path) -> Result:
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


class Expert:
    """Finds `Governing Law` in every document: its first sixteen characters."""

    schema = load_schema("clauses-47")
    name, release_hash, strategy = "tried", "0", "tag"

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        empty = trivial.ARMS["always-null"](document, self.schema)
        quote = Quote(text=document.text[:16], start=0, end=16, page=None)
        status = "accepted" if (min_confidence or 0) <= 0.75 else "review"
        answer = FieldAnswer(answer=document.text[:16], quotes=(quote,), confidence=0.75, status=status)
        fields = {**empty.record.fields, "Governing Law": answer, "Payment Terms": None}
        record: Record = empty.record.model_copy(
            update={"fields": fields, "release": "tried", "not_assessed": ("Payment Terms",)}
        )
        return empty.model_copy(update={"record": record})


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Path | None, str | None]]:
    """Let `lextune.api.load` return a release without a model; the list is what it was asked for."""
    asked: list[tuple[Path | None, str | None]] = []

    def load(path: Path | None, *, engine: str | None = None) -> api.Release:
        asked.append((path, engine))
        return api.Release(tmp_path, Expert(), {"task": "clause-extraction"})  # type: ignore[arg-type]

    monkeypatch.setattr(api, "load", load)
    return asked


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace every stage by one that writes a small file at once."""

    def light_stage(stage: Stage) -> Stage:
        def run(config: Any, inputs: Inputs, out: Path, context: Context) -> dict[str, Any]:
            context.progress(1, 2, "[half]")
            given = {name: artifact.hash for name, artifact in inputs.items()}
            (out / "made.json").write_text(json.dumps([stage.name, config.model_dump(mode="json"), given]))
            if stage.name == "score":
                (out / "evaluation.json").write_text(json.dumps(evaluation()))
            if stage.name == "report":
                (out / "report.html").write_text("<p>report</p>")
            if stage.name == "bundle":
                (out / "release.json").write_text(json.dumps({"name": config.name}))
                (out / "verdict.json").write_text(json.dumps({"verdict": "ungated"}))
            return {"n": 1}

        return stage._replace(run=run)

    for name, stage in TABLE.items():
        monkeypatch.setitem(TABLE, name, light_stage(stage))


def evaluation() -> dict[str, Any]:
    """Return the evaluation of two arms on one document, as the stage `score` stores it."""
    schema = load_schema("clauses-47")
    documents = [Document(id="a", name="a", sha256="0", text="Some text of a contract.")]
    arms = {}
    for name in ("tuned", "echo"):
        rows = [trivial.ARMS["echo"](d, schema) for d in documents]
        arms[name] = score(documents, rows, schema).as_json()
    return {"arms": arms, "subset_arms": {"base-zero-shot": arms["echo"]}, "paired": [], "tuned": "tuned"}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The shortest recipe there is."""
    file = tmp_path / "try.yaml"
    file.write_text("name: try\n")
    return file
