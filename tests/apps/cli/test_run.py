"""`lextune run` and `demo`, with stages that need no model."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from lextune.apps.cli import run as run_module
from lextune.pipeline import read_recipe
from lextune.pipeline.table import ASKED_FOR
from lextune.pipeline.table import ORDER as ALL

pytestmark = pytest.mark.usefixtures("light")

ORDER = [name for name in ALL if name not in ASKED_FOR]


def test_a_run_tells_on_stderr_and_answers_on_stdout(cli: Any, recipe: Path, data: Path, tmp_path: Path) -> None:
    found = cli("run", recipe, "--data", data)
    assert found.code == 0
    assert f"data: {data} (given)" in found.err
    assert f"made: {', '.join(ORDER)}" in found.err
    assert "done in" not in found.out
    assert "before and after, on held-out documents" in found.out
    assert "tuned" in found.out
    (bundle,) = Path("runs/try").glob("bundle-*")
    assert f"release: {bundle}\n" in found.out
    assert f"report:  {next(Path('runs/try').glob('report-*')) / 'report.html'}\n" in found.out
    assert "nothing to do: every stage is up to date" in cli("run", recipe, "--data", data).err


def test_json_is_the_last_line_and_the_only_one(cli: Any, recipe: Path, data: Path) -> None:
    found = cli("run", recipe, "--data", data, "--json")
    assert found.code == 0
    assert len(found.out.splitlines()) == 1
    result = found.json()
    assert list(result) == ["release", "report", "arms"]
    assert set(result["arms"]) == {"tuned", "echo", "base-zero-shot"}
    assert Path(result["release"]).is_dir()


def test_a_part_of_a_run_names_its_artifacts(cli: Any, recipe: Path, data: Path, tmp_path: Path) -> None:
    found = cli("run", recipe, "--data", data, "--until", "split", "--json", "--out", tmp_path / "elsewhere")
    assert list(found.json()) == ["documents", "split"]
    assert Path(found.json()["split"]).parent == tmp_path / "elsewhere" / "try"
    plain = cli("run", recipe, "--data", data, "--until", "split", "--from", "split", "--out", tmp_path / "elsewhere")
    assert (plain.code, plain.out) == (0, "")
    assert "documents: up to date" in plain.err
    assert "made: split" in plain.err


def test_a_dry_run_checks_and_lists_and_makes_nothing(cli: Any, recipe: Path) -> None:
    found = cli("run", recipe, "--dry-run", "--set", "train.lr=3e-4", "--set", "aim=recall")
    shown = json.loads(found.out)
    assert shown["stages"] == ORDER
    assert (shown["recipe"]["train"]["lr"], shown["recipe"]["aim"]) == (3e-4, "recall")
    assert cli("run", recipe, "--dry-run", "--json").json()["stages"] == ORDER
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "train.lrr=1"], "train.lrr: unknown setting; did you mean 'lr'?"),
        (["--set", "train"], "error: --set: cannot read --set 'train'"),
        (["--set", "schema_name=mine"], "error: schema: no schema 'mine'"),
        (["--until", "stf"], "error: --until: no stage 'stf'\n  -> use one of documents, split"),
        (["--from", "stf"], "error: --from: no stage 'stf'"),
        (["--from", "sft", "--until", "split"], "error: --from: sft comes after split"),
        (
            ["--data", "nowhere"],
            "error: nowhere: no such data\n  -> give a dataset version, a folder",
        ),
    ],
)
def test_the_users_mistakes_are_told(cli: Any, recipe: Path, words: list[str], message: str) -> None:
    found = cli("run", recipe, *words)
    assert found.code == 2
    assert message in found.err
    assert found.out == ""
    if "--data" not in words:
        dry = cli("run", recipe, *words, "--dry-run")
        assert (dry.code, dry.err) == (2, found.err.lstrip())


def test_a_recipe_that_is_not_there_is_told(cli: Any) -> None:
    found = cli("run", "none.yaml")
    assert (found.code, found.err) == (
        2,
        "error: none.yaml: no such recipe\n  -> check the path; recipes/ has examples\n",
    )


def test_a_second_run_into_the_same_folder_is_told(cli: Any, recipe: Path, data: Path) -> None:
    Path("runs/try").mkdir(parents=True)
    with Path("runs/try/.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        found = cli("run", recipe, "--data", data)
    assert found.code == 3
    assert "error: runs/try: another run is writing here" in found.err


def test_a_folder_that_cannot_be_written_is_told(cli: Any, recipe: Path, data: Path) -> None:
    Path("runs").write_text("a file")
    found = cli("run", recipe, "--data", data)
    assert found.code == 3
    assert "error: runs/try: cannot write: " in found.err


@pytest.mark.usefixtures("released")
def test_the_demo_reads_a_pdf_at_the_end(cli: Any, data: Path) -> None:
    found = cli("demo", "--data", data)
    assert found.code == 0, found.err
    assert "Governing Law" in found.out
    assert "the PDF with its clauses lit: runs/demo/extract.html" in found.out
    assert "<html" in Path("runs/demo/extract.html").read_text()
    result = cli("demo", "--data", data, "--json").json()
    assert list(result) == ["release", "report", "arms", "extract"]
    assert result["extract"]["document"] == "sample_contract.pdf"
    assert result["extract"]["record"]["fields"]["Governing Law"]["status"] == "accepted"


def test_the_demo_recipe_is_at_hand() -> None:
    assert read_recipe(run_module.demo_recipe()).name == "demo"


def test_the_demo_reads_the_smallest_pdf_of_cuad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "full_contract_pdf"
    folder.mkdir()
    (folder / "large.pdf").write_bytes(b"x" * 10)
    (folder / "small.PDF").write_bytes(b"x")
    monkeypatch.setenv("LEXTUNE_CUAD", str(tmp_path))
    assert run_module.sample_pdf() == folder / "small.PDF"
    monkeypatch.delenv("LEXTUNE_CUAD")
    monkeypatch.chdir(tmp_path)
    assert run_module.sample_pdf().name == "sample_contract.pdf", "a folder of that name here is not CUAD's"
