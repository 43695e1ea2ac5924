"""`lextune data spotcheck|suspects|agreement`, as functions of a small app."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lextune.apps.cli import console, data_quality
from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import ArtifactError, DataError, UserError
from lextune.core.records import Document, FieldLabel, Span

LAW, TERM = "Governing Law", "Renewal Term"
Run = Callable[..., Any]


def contract(number: int, annotator: str | None = None, quoted: bool = True) -> Document:
    law = f"Agreement {number} is governed by the laws of {'Ohio' if number % 2 else 'Texas'}."
    text = f"The Supplier delivers {number} boxes of [red] goods.\n\n{law}\n\nInvoices go to office {number}."
    start = text.index(law)
    label = FieldLabel(parts=(law,), spans=((Span(start=start, end=start + len(law)),),)) if quoted else FieldLabel()
    labels = {LAW: label, TERM: FieldLabel()}
    name = f"d{number}-{annotator}"
    return Document(id=name, name=name, sha256="0", text=text, annotator=annotator, labels=labels)


@pytest.fixture
def folder(seal: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve contracts by two annotators, who disagree on one; one law is missing of a thirteenth."""
    monkeypatch.chdir(tmp_path)
    rows = [contract(n, who, quoted=(n, who) != (3, "bo")) for n in range(12) for who in ("al", "bo")]
    rows.append(contract(12, quoted=False))

    def fill(to: Path) -> None:
        write_jsonl(to / "documents.jsonl", rows)

    return seal("documents", fill).path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call a command; return stdout, or parsed JSON."""
    for each in (console.out, console.log):
        monkeypatch.setattr(each, "_width", 200)
    app = typer.Typer()
    for function in (data_quality.spotcheck, data_quality.suspects, data_quality.agreement):
        app.command()(function)

    def call(*words: str | Path) -> Any:
        found = CliRunner().invoke(app, [str(word) for word in words])
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout) if "--json" in words else found.stdout

    return call


def judge(path: Path, verdicts: list[str]) -> None:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = list(csv.reader(stream))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([*row[:5], verdicts[i % len(verdicts)], "[bold]"] for i, row in enumerate(rows))


def test_the_next_command_stays_on_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.log, "_width", 20)
    app = typer.Typer()
    app.command()(data_quality.spotcheck)
    found = CliRunner().invoke(app, [str(folder), "--csv", "sheet.csv"])
    assert f"lextune data spotcheck {folder} --read sheet.csv\n" in found.stderr


def test_a_sheet_goes_out_and_comes_back(run: Run, folder: Path) -> None:
    made = run("spotcheck", folder, "--n", "8", "--csv", "s.csv", "--html", "s.html", "--seed", "2", "--json")
    assert (made["n"], made["present"] + made["absent"], made["files"]) == (8, 8, ["s.html", "s.csv"])
    assert made["labels"] == {"present": 23, "absent": 27}
    page = Path("s.html").read_text(encoding="utf-8")
    assert page.count("<article") == 8
    assert "The law of which state or country governs the contract?" in page
    judge(Path("s.csv"), ["right", "wrong", "right", "unsure"])
    said = run("spotcheck", folder, "--read", "s.csv")
    assert said.startswith("8 labels: 4 right, 2 wrong, 2 unsure\nerror rate 33.3% (9.7% to 70.0%, n=6)\n")
    assert "if all unsure ones are wrong 50.0% (21.5% to 78.5%, n=8)\n" in said
    assert said.count(": [bold]\n") == 2
    found = run("spotcheck", folder, "--read", "s.csv", "--json")
    assert (found["sheet"], found["wrong"]) == (made["sheet"], 2)


def test_strata_and_what_to_do_next(run: Run, folder: Path) -> None:
    said = run("spotcheck", folder, "--n", "6", "--strata", "--csv", "s.csv")
    assert said == "6 of 50 labels (3 present, 3 absent)\nin s.csv\n"
    judge(Path("s.csv"), ["right"])
    assert "error rate 0.0% (" in run("spotcheck", folder, "--read", "s.csv")
    judge(Path("s.csv"), ["unsure"])
    assert "error rate n/a (n=0)\n" in run("spotcheck", folder, "--read", "s.csv")


@pytest.mark.parametrize("words", [(), ("--read", "s.csv", "--csv", "t.csv")])
def test_a_sheet_is_written_or_read(run: Run, folder: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as told:
        run("spotcheck", folder, *words)
    assert str(told.value) == (
        "data spotcheck: a sheet is written, or read\n  -> give --html or --csv or both, or --read alone"
    )


def test_suspects_are_listed(run: Run, folder: Path) -> None:
    found = run("suspects", folder, "--n", "2", "--folds", "3", "--csv", "list.csv", "--json")
    assert {s["document"] for s in found["suspects"]} == {"d12-None", "d3-bo"}
    assert (found["labels"], found["judged"], found["folds"]) == (50, 25, 3)
    with Path("list.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2
    said = run("suspects", folder, "--share", "0.06", "--folds", "3")
    lines = said.splitlines()
    assert len(lines) == 8
    assert lines[0].split(" ", 1)[1] in ("Governing Law, absent: d12-None", "Governing Law, absent: d3-bo")
    assert lines[1].startswith("      Agreement ")
    assert "25 of 50 labels judged by 3 models, trained on 25 of 25 documents\n" in said
    assert "25 not judged: no other document shows what the field looks like\n" in said
    with pytest.raises(UserError, match="data suspects: both --n and --share"):
        run("suspects", folder, "--n", "2", "--share", "0.1")


def test_annotators_are_compared(run: Run, folder: Path) -> None:
    said = run("agreement", folder)
    assert said.startswith("12 texts with several annotators: al (12), bo (12)\n1 document left out: no annotator\n")
    assert "Governing Law" in said
    assert "n/a" in said, "both always say that there is no renewal term"
    found = run("agreement", folder, "--json")
    assert found["fields"][0]["agreement"]["value"] == pytest.approx(11 / 12)
    assert found["fields"][1]["kappa"]["value"] is None


def test_another_folder_is_told(run: Run, folder: Path, tmp_path: Path) -> None:
    for command in ("suspects", "agreement"):
        with pytest.raises(ArtifactError, match="not an artifact"):
            run(command, tmp_path / "none")
    Path("s.csv").write_text("id\n")
    with pytest.raises(DataError, match="not a spot-check sheet"):
        run("spotcheck", folder, "--read", "s.csv")
