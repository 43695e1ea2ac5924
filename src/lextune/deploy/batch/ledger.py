"""The cost ledger: tokens, seconds, and what they cost.

    machine hours = sum over runs (wall-clock seconds x machines) / 3600
    cost = machine hours x price of an hour of one machine
    price per contract = cost / documents answered;   price per accepted field = cost / answers with status `accepted`

A run's wall-clock time goes from its start (the loading of the model included) to its last row in the journal, so that
a run that was killed is counted too, but for the document that it was at.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lextune.core.records import Usage, total

HOUR = 3600.0


class Spent(NamedTuple):
    """What one row took: the run it is of, that run's seconds so far and machines, seconds of reading, and usage."""

    run: int
    wall: float
    machines: int
    reading: float
    usage: Usage


class Ledger:
    """What a batch took so far."""

    def __init__(self) -> None:
        self.answered = self.accepted = self.characters = 0
        self._read = self._written = self._windows = 0
        self._cached: int | None = 0
        self._busy = self._reading = 0.0
        self._walls: dict[int, tuple[float, int]] = {}

    @property
    def runs(self) -> int:
        """How many runs have rows."""
        return max(self._walls, default=0)

    def add(self, spent: Spent, *, answered: bool, accepted: int, characters: int) -> None:
        """Enter a row.

        Args:
            spent: what it took.
            answered: whether it is a new document's record.
            accepted: that record's accepted answers. characters: of the document's text.
        """
        usage = spent.usage
        self.answered += answered
        self.accepted += accepted
        self.characters += characters
        self._read += usage.prompt_tokens
        self._written += usage.generated_tokens
        self._windows += usage.windows
        if answered:
            self._cached = total((self._cached, usage.cached_tokens))
        self._busy += usage.seconds
        self._reading += spent.reading
        wall, machines = self._walls.get(spent.run, (0.0, 1))
        self._walls[spent.run] = max(wall, spent.wall), max(machines, spent.machines)

    def wall(self) -> float:
        """Return the seconds of all runs."""
        return sum(wall for wall, _ in self._walls.values())

    def machine_hours(self) -> float:
        """Return the hours of all machines of all runs."""
        return sum(wall * machines for wall, machines in self._walls.values()) / HOUR

    def cost(self, machine_price: float | None) -> float | None:
        """Return what it cost so far, None where the price of an hour is not known."""
        return None if machine_price is None else self.machine_hours() * machine_price

    def as_json(self, machine_price: float | None) -> dict[str, Any]:
        """Return the ledger as `ledger.json` holds it; what cannot be said is null.

        `tokens.cached`, of those read, is null where an engine does not tell how many its cache held.
        """
        wall, hours, cost = self.wall(), self.machine_hours(), self.cost(machine_price)
        return {
            "contracts": self.answered,
            "accepted_fields": self.accepted,
            "characters": self.characters,
            "windows": self._windows,
            "tokens": {"read": self._read, "cached": self._cached, "written": self._written},
            "runs": len(self._walls),
            "seconds": {"wall": round(wall, 3), "answering": round(self._busy, 3), "reading": round(self._reading, 3)},
            "machine_hours": round(hours, 6),
            "machine_price": machine_price,
            "cost": cost,
            "price_per_contract": _per(cost, self.answered),
            "price_per_accepted_field": _per(cost, self.accepted),
            "contracts_per_hour": _per(self.answered, wall / HOUR),
            "million_characters_per_hour": _per(self.characters / 1e6, wall / HOUR),
            "contracts_per_machine_hour": _per(self.answered, hours),
            "million_characters_per_machine_hour": _per(self.characters / 1e6, hours),
        }


def _per(amount: float | None, of: float) -> float | None:
    return amount / of if amount is not None and of else None
