"""`lextune batch` and `lextune plan`, with a release that needs no model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune import api
from lextune.apps.cli import batch, console
from lextune.core.artifacts import Artifact
from lextune.core.errors import MachineError
from lextune.core.records import Document, Prediction
from lextune.deploy.batch.running import Standing
from lextune.expert import released as releases
from lextune.expert.released import start_release
from lextune.expert.schema import load_schema
from lextune.expert.scoring import trivial

SCHEMA = load_schema("clauses-47")


class Echo:
    """Answers every field with the whole document."""

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        return trivial.ARMS["echo"](document, SCHEMA)


@pytest.fixture
def release(seal: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """A sealed release whose model answers at once."""

    def fill(folder: Path) -> None:
        (folder / "release.json").write_text(json.dumps({"name": "tried", "engine": "openvino"}))

    monkeypatch.setattr(releases, "release_expert", lambda artifact, engine: (Echo(), {}))
    return seal("release", fill)


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "a.txt").write_text("The law of Spain governs.")
    (folder / "b.txt").write_text("It ends.")
    (folder / "notes.csv").write_text("x")
    return folder


def test_a_folder_is_read_and_told_in_tables(cli: Any, release: Artifact, contracts: Path) -> None:
    (contracts / "bad.pdf").write_bytes(b"%PDF-1.4 cut")
    words = ("batch", contracts, "--release", release.path, "--out", "d", "--machine-price", "0.5")
    found = cli(*words)
    assert found.code == 0, found.err
    for text in (
        "Fields, read by tried",
        "Governing Law",
        "Types of document",
        " 0.0 %",
        "2 of 3 documents answered",
        "1 failed: see failures.jsonl; --retry-failed reads them again (this pdf file is damaged",
        "1 passed over: see skipped.jsonl (a file that ends in '.csv' is no document: 1)",
        "tokens: read 0, cached not told by the engine, written 0",
        " by the clock, ",
        " contracts and ",
        " million characters an hour",
        " at 0.5 an hour: ",
        " an accepted field",
        "written to d",
    ):
        assert text.lower() in found.out.lower(), text
    assert len(Path("d/records.jsonl").read_text().splitlines()) == 2
    (contracts / "a.txt").unlink()
    (contracts / "c.txt").write_text("more")
    again = cli(*words, "--limit", "0")
    assert "1 not read yet: run the same command again" in again.out
    assert "1 answered before and no longer in the folder: their records are kept" in again.out


def test_a_batch_is_one_line_of_json(cli: Any, release: Artifact, contracts: Path) -> None:
    found = cli("batch", contracts, "--release", release.path, "--out", "d", "--json")
    assert len(found.out.splitlines()) == 1
    assert found.json()["documents"]["answered"] == 2
    assert found.json()["ledger"]["cost"] is None
    assert "cost: not known (--machine-price is what an hour of the machine costs)" in batch.ledger_lines(
        found.json()["ledger"]
    )


def test_options_reach_the_batch(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run(*words: Any, **options: Any) -> Any:
        asked.extend((*words, options.pop("progress") and options))
        raise MachineError("enough")

    monkeypatch.setattr(api, "batch", run)
    words = ["--min-confidence", "0.7", "--workers", "2", "--ray", "local", "--retry-failed", "--limit", "3"]
    found = cli("batch", "docs", "--out", "d", "--engine", "transformers", *words)
    assert (found.code, found.err) == (3, "error: enough\n")
    *places, options = asked
    assert places == [None, Path("docs"), Path("d")]
    assert options["engine"] == "transformers"
    chosen = options["options"]
    assert (chosen.min_confidence, chosen.workers, chosen.ray) == (0.7, 2, "local")
    assert (chosen.retry_failed, chosen.limit, chosen.machine_price) == (True, 3, None)


def test_a_folder_without_documents_and_other_settings_are_refused(
    cli: Any, release: Artifact, contracts: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    found = cli("batch", "empty", "--release", release.path, "--out", "d")
    assert found.code == 2
    assert found.err.startswith("error: empty: no files in this folder\n  -> give a folder with files of TXT")
    assert cli("batch", contracts, "--release", release.path, "--out", "d").code == 0
    found = cli("batch", contracts, "--release", release.path, "--out", "d", "--engine", "transformers")
    assert found.code == 2
    assert "error: d: this folder holds a batch with other settings: engine openvino, not transformers\n" in found.err


def test_a_batch_in_which_nothing_can_be_read_says_so(cli: Any, release: Artifact, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.txt").write_bytes(b"\xff\xff")
    found = cli("batch", "bad", "--release", release.path, "--out", "d")
    assert found.code == 2
    assert found.err == "error: no record: 1 document could not be read\n  -> see d/failures.jsonl\n"


def test_a_release_on_another_machine_must_be_the_same(release: Artifact, tmp_path: Path) -> None:
    assert isinstance(start_release(release.path, release.hash, "openvino"), Echo)
    with pytest.raises(MachineError) as caught:
        start_release(release.path, "0" * 64, "openvino")
    assert str(caught.value) == (
        f"{release.path}: another release is at this path\n  -> put the same one on every node"
    )
    with pytest.raises(MachineError, match=r"the release cannot be opened \(no such release\)"):
        start_release(tmp_path / "none", release.hash, "openvino")


@pytest.mark.parametrize(
    ("standing", "text"),
    [
        (Standing(1, 9, 0, 0.0, None, None), "0/h"),
        (Standing(1, 9, 0, 1980.4, 42.0, None), "1,980/h, 42 s left"),
        (Standing(1, 9, 2, 1980.0, 630.0, 0.127), "1,980/h, 10 min left, cost 0.13, 2 failed"),
        (Standing(1, 9, 0, 400.0, 450_000.0, 12.0), "400/h, 125 h 00 min left, cost 12.00"),
    ],
)
def test_progress_in_words(standing: Standing, text: str) -> None:
    assert batch.note(standing) == text


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "EVERY", 0.0)
    with batch.Shown() as shown:
        shown(Standing(1234, 9876, 0, 400.0, 60.0, None))
    assert capsys.readouterr().err == "1,234 of 9,876 documents, 400/h, 1 min left\n"


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(console.log, "_force_terminal", True)
    monkeypatch.setattr(console.log, "is_interactive", True)
    monkeypatch.setenv("TERM", "xterm")
    with batch.Shown() as shown:
        shown(Standing(1234, 9876, 0, 400.0, 60.0, None))
    assert "1234/9876 400/h, 1 min left" in capsys.readouterr().err


def test_a_plan_from_a_ledger_and_from_given_rates(cli: Any, release: Artifact, contracts: Path) -> None:
    cli("batch", contracts, "--release", release.path, "--out", "d", "--machine-price", "0.5")
    found = cli("plan", "d", "--machine", "H100=2500@3.10", "--contracts", "50000", "--utilisation", "0.5")
    assert found.code == 0, found.err
    assert "A month, machines answering 50 % of their time" in found.out
    for text in ("measured", "given", "50,000", "H100", "2,500", "20.0", "124.00", "2,263.00", "0.002480"):
        assert text in found.out, text
    rows = cli("plan", "--machine", "H100=2500@3.10", "--machine", "A100=400", "--json").json()
    assert [(row["contracts"], row["machine"], row["machines"]) for row in rows] == [
        (50_000, "H100", 1),
        (50_000, "A100", 1),
        (5_000_000, "H100", 4),
        (5_000_000, "A100", 22),
    ]


def test_a_plan_of_nothing_is_refused(cli: Any) -> None:
    found = cli("plan")
    assert found.code == 2
    assert found.err == (
        "error: no rate to plan with\n  -> give the --out of a finished `lextune batch`, or --machine NAME=RATE@PRICE\n"
    )
    assert cli("plan", "none").err.startswith("error: none: this is no ledger of a batch\n")
