"""`lextune data fetch|synth|check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lextune import api
from lextune.core.errors import MachineError
from lextune.data import fetch

SAMPLES = Path(api.__file__).parent / "resources" / "sample_contracts"


def test_samples_can_be_written_and_checked(cli: Any) -> None:
    made = cli("data", "synth", "--out", "mine", "--n", "3", "--seed", "5")
    assert (made.code, made.out) == (0, "3 contracts in mine\n")
    checked = cli("data", "check", "mine")
    assert checked.code == 0
    assert checked.out.startswith("3 documents, ")
    assert checked.out.endswith("0 rejects\n")
    assert cli("data", "check", "mine", "--json").json()["documents"] == 3


def test_what_would_not_be_used_is_listed(cli: Any) -> None:
    cli("data", "synth", "--out", "mine", "--n", "3")
    (Path("mine") / "full_contract_txt" / "Stray [x].txt").write_text("no row names this file")
    checked = cli("data", "check", "mine")
    line = "1 x contract: no row of master_clauses.csv names this file (full_contract_txt/Stray [x].txt)"
    assert checked.out.endswith(f"1 reject (--json lists all of them):\n  {line}\n")
    (reject,) = cli("data", "check", "mine", "--json").json()["rejects"]
    assert f"1 x {reject['what']}: {reject['reason']} ({reject['where']})" == line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "none"], "no such folder\n  -> give the folder of CUAD, or run `lextune data fetch cuad`"),
        (["check", str(SAMPLES), "--schema", "mine"], "error: schema: no schema 'mine'"),
        (["fetch", "enron"], "error: data fetch: no data set 'enron'\n  -> use: lextune data fetch cuad"),
    ],
)
def test_the_users_mistakes_are_told(cli: Any, words: list[str], message: str) -> None:
    found = cli("data", *words)
    assert (found.code, found.out) == (2, "")
    assert message in found.err


def test_fetch_prints_where_the_data_are(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "fetch_cuad", lambda destination: destination / fetch.NAME)
    assert cli("data", "fetch", "cuad").out == f"{tmp_path / 'cache' / 'cuad' / fetch.NAME}\n"
    assert cli("data", "fetch", "cuad", "--to", "here").out == f"{Path('here') / fetch.NAME}\n"


def test_fetch_without_a_network_is_told(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(destination: Path) -> Path:
        raise MachineError("cannot download CUAD: no connection", do="try again")

    monkeypatch.setattr(fetch, "fetch_cuad", offline)
    found = cli("data", "fetch", "cuad")
    assert (found.code, found.err) == (3, "error: cannot download CUAD: no connection\n  -> try again\n")
