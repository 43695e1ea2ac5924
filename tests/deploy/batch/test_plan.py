"""A month's plan from rates that were measured or are given."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace as Tools
from typing import Any

import pytest

from lextune.core.errors import DataError, UserError
from lextune.deploy.batch.options import BatchOptions
from lextune.deploy.batch.plan import Rate, given_rate, measured_rate, plan


def test_a_month_by_hand() -> None:
    found = plan(Rate("this", 400.0, 2.0, measured=True), 50_000, 0.5)
    assert found.machine_hours == 125.0  # 50,000 / 400
    assert found.machines == 1  # 125 / 365
    assert found.on_demand == 500.0  # 125 / 0.5 x 2
    assert found.reserved == 1460.0  # 730 x 2
    assert found.price_per_contract == 0.01
    assert plan(Rate("this", 400.0, 2.0, measured=True), 5_000_000, 0.5).machines == 35  # 12,500 / 365 = 34.2


@pytest.mark.parametrize("machines", range(1, 60))
def test_machines_that_are_just_enough_are_enough(machines: int) -> None:
    """730 x 0.7 is 510.99999999999994 to a computer."""
    full = plan(Rate("this", 400.0, None, measured=True), 204_400 * machines, 0.7)
    assert full.machines == machines


def test_without_a_price_there_are_hours_and_machines() -> None:
    found = plan(Rate("this", 1000.0, None, measured=False), 1_000_000)
    assert (found.machine_hours, found.machines) == (1000.0, 2)
    assert (found.on_demand, found.reserved, found.price_per_contract) == (None, None, None)


def test_a_rate_is_given() -> None:
    assert given_rate("H100=2500@3.10") == Rate("H100", 2500.0, 3.1, measured=False)
    assert given_rate("two cores=400") == Rate("two cores", 400.0, None, measured=False)


@pytest.mark.parametrize(
    "text",
    ["", "H100", "=4", "H100=", "H100=0", "H100=-1", "H100=nan", "H100=inf", "A=4@-1", "A=4@x", "A=4@inf", "A=1e-320"],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        given_rate(text)
    assert str(caught.value) == (
        f"--machine: no rate of a machine: {text!r}\n"
        "  -> give NAME=CONTRACTS_PER_HOUR or NAME=CONTRACTS_PER_HOUR@PRICE_OF_AN_HOUR, such as H100=2500@3.10"
    )


def test_a_rate_is_measured(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="Ohio", b="none")
    ledger = batch.run(options=BatchOptions(machine_price=0.4))["ledger"]
    rate = measured_rate(batch.out)
    assert rate == Rate(str(batch.out), ledger["contracts_per_machine_hour"], 0.4, measured=True)
    assert measured_rate(batch.out / "ledger.json", 7.0).price == 7.0


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_what_is_no_ledger_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ledger.json").write_text(text)
    with pytest.raises(DataError) as caught:
        measured_rate(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: this is no ledger of a batch\n"
        "  -> give the --out of a `lextune batch` that has ended, or its ledger.json"
    )


@pytest.mark.parametrize(("rate", "price"), [("NaN", "1"), ("-1", "1"), ("4", "NaN"), ("4", "Infinity")])
def test_a_ledger_without_sound_numbers_is_refused(tmp_path: Path, rate: str, price: str) -> None:
    (tmp_path / "ledger.json").write_text(f'{{"contracts_per_machine_hour": {rate}, "machine_price": {price}}}')
    with pytest.raises(DataError) as caught:
        measured_rate(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: a rate or a price of no size\n  -> give --machine-price, or run the batch again"
    )


def test_a_batch_that_answered_nothing_has_no_rate(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text(json.dumps({"contracts_per_machine_hour": None, "machine_price": 1.0}))
    with pytest.raises(DataError, match="this batch has answered nothing"):
        measured_rate(tmp_path)
