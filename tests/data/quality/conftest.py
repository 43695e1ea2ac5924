"""Documents of our own, small and labelled exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.records import Document, FieldLabel
from lextune.text.spans import locate

LAW, TERM, CAP = "Governing Law", "Renewal Term", "Cap On Liability"
PLACES = ["Ohio", "Texas", "Utah", "Maine", "Nevada", "Iowa"]
GOODS = ["boxes", "seeds", "lamps", "pipes", "ropes", "tools", "boots"]


def labelled(text: str, quotes: dict[str, str | None], name: str = "d") -> Document:
    """Return a document whose fields quote these texts; None is a field that it does not have."""
    labels = {
        field: FieldLabel() if quote is None else FieldLabel(parts=(quote,), spans=(locate(text, quote),))
        for field, quote in quotes.items()
    }
    return Document(id=name, name=f"{name}.txt", sha256="0", text=text, labels=labels)


def contract(number: int) -> Document:
    """Return a short contract: every one has a law, half of them a renewal, a third a cap."""
    place, goods = PLACES[number % 6], GOODS[number % 7]
    law = f"This Agreement number {number} is governed by the laws of the State of {place}."
    term = f"After the first year this Agreement renews for {number + 2} further years of {goods}."
    cap = f"The liability of the Supplier is limited to {number * 100} dollars a year for {goods}."
    fillers = [
        f"The Supplier delivers {number * 7} {goods} to {place} in the month of June {1990 + number}.",
        f"Invoices number {number} are sent to the office at {number} Main Street in {place}.",
        f"The {goods} are packed by {number + 3} workers in the warehouse of {place}.",
    ]
    parts = [fillers[0], law, fillers[1]] + [term] * (number % 2) + [fillers[2]] + [cap] * (number % 3 == 0)
    quotes = {LAW: law, TERM: term if number % 2 else None, CAP: cap if number % 3 == 0 else None}
    return labelled("\n\n".join(parts), quotes, f"d{number:02d}")


@pytest.fixture(scope="session")
def contracts() -> list[Document]:
    return [contract(number) for number in range(36)]


@pytest.fixture
def dataset(seal: Callable[..., Artifact]) -> Callable[[list[Document]], Artifact]:
    """Seal documents as a dataset."""

    def make(documents: list[Document]) -> Artifact:
        def fill(folder: Path) -> None:
            write_jsonl(folder / "documents.jsonl", documents)

        return seal("documents", fill)

    return make
