"""A plan: how many machines a month's contracts need, and what they cost, from rates that were measured or are given.

    machine hours = contracts / contracts an hour of one machine
    machines      = machine hours / (730 hours a month x utilisation), rounded up
    on demand     = machine hours / utilisation x price of an hour     (machines run while there is work)
    reserved      = machines x 730 x price of an hour                  (machines run all month)

Utilisation is the share of its time in which a machine answers: the rest is starting, waiting for documents, failures.
It is assumed that machines do not slow each other down: contracts are independent.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.errors import DataError, UserError, shorten
from lextune.text.reading.base import well_formed

HOURS_A_MONTH = 730.0
CONTRACTS = (50_000, 5_000_000)
UTILISATION = 0.8


class Rate(NamedTuple):
    """How fast one machine is.

    Attributes:
        name: of the machine.
        contracts_per_hour: that one machine answers.
        price: of an hour of it; None where it is not known.
        measured: True from a ledger, False where it was given.
    """

    name: str
    contracts_per_hour: float
    price: float | None
    measured: bool


class Planned(NamedTuple):
    """What one month takes on one kind of machine; costs are None where the price is not known."""

    machine: str
    measured: bool
    contracts_per_hour: float
    contracts: int
    machine_hours: float
    machines: int
    on_demand: float | None
    reserved: float | None
    price_per_contract: float | None


def plan(rate: Rate, contracts: int, utilisation: float = UTILISATION) -> Planned:
    """Return what a month of so many contracts takes.

    Args:
        rate: of one machine; more than 0 contracts an hour.
        contracts: a month.
        utilisation: the share of its time in which a machine answers, over 0 and at most 1.
    """
    hours = contracts / rate.contracts_per_hour
    machines = math.ceil(round(hours / (HOURS_A_MONTH * utilisation), 9))  # 730 x 0.7 is a little less than 511
    on_demand = None if rate.price is None else hours / utilisation * rate.price
    return Planned(
        machine=rate.name,
        measured=rate.measured,
        contracts_per_hour=rate.contracts_per_hour,
        contracts=contracts,
        machine_hours=hours,
        machines=machines,
        on_demand=on_demand,
        reserved=None if rate.price is None else machines * HOURS_A_MONTH * rate.price,
        price_per_contract=None if on_demand is None else on_demand / contracts,
    )


def measured_rate(path: Path, price: float | None = None) -> Rate:
    """Return the rate that a batch's ledger states.

    Args:
        path: the batch's folder, or its `ledger.json`.
        price: of an hour of the machine; None takes the ledger's.

    Raises:
        DataError: no ledger, or none of a batch that answered anything.
    """
    file = path / "ledger.json" if path.is_dir() else path
    try:
        ledger: Any = json.loads(file.read_text(encoding="utf-8"))
        rate, known = ledger["contracts_per_machine_hour"], ledger["machine_price"]
    except (OSError, ValueError, TypeError, KeyError):
        do = "give the --out of a `lextune batch` that has ended, or its ledger.json"
        raise DataError("this is no ledger of a batch", where=str(path), do=do) from None
    if not rate:
        raise DataError("this batch has answered nothing", where=str(path), do="give the ledger of one that has")
    found = Rate(well_formed(str(path)), rate, known if price is None else price, measured=True)
    if not _sound(found):
        raise DataError(
            "a rate or a price of no size", where=str(path), do="give --machine-price, or run the batch again"
        )
    return found


def _sound(rate: Rate) -> bool:
    """Say whether a month can be planned with a rate: a contract does not take longer than ten thousand years."""
    return 1e-8 < rate.contracts_per_hour < math.inf and 0 <= (rate.price or 0) < math.inf


def given_rate(text: str) -> Rate:
    """Return the rate that `NAME=CONTRACTS_PER_HOUR` or `NAME=CONTRACTS_PER_HOUR@PRICE` states.

    Raises:
        UserError: it states none.
    """
    name, _, numbers = text.partition("=")
    rate, _, price = numbers.partition("@")
    try:
        found = Rate(name.strip(), float(rate), float(price) if price else None, measured=False)
    except ValueError:
        found = None
    if found is None or not found.name or not _sound(found):
        raise UserError(
            f"no rate of a machine: {shorten(text)!r}",
            where="--machine",
            do="give NAME=CONTRACTS_PER_HOUR or NAME=CONTRACTS_PER_HOUR@PRICE_OF_AN_HOUR, such as H100=2500@3.10",
        )
    return found
