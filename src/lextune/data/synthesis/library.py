"""The wording of the sample contracts: YAML in `resources/samples/`, read once and checked."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any, Literal

from pydantic import Field

from lextune.core.recipe import Config, parse_yaml, validate

Dialect = Literal["us", "uk"]
Matter = Literal["goods", "services", "software"]
FOLDER = "samples"


class Variant(Config):
    """One wording.

    Attributes:
        text: the template; see `lextune.data.synthesis.template`.
        answer: the answer of the clause's field where this wording does not give the usual one.
        dialect: keeps the wording to US or to UK contracts.
        matter: keeps the wording to contracts about such things; empty for all.
        rules_out: fields that this wording would contradict.
    """

    text: str
    answer: str | None = None
    dialect: Dialect | None = None
    matter: tuple[Matter, ...] = ()
    rules_out: tuple[str, ...] = ()


class Clause(Config):
    """A clause in several wordings.

    Attributes:
        field: the field that it answers; None for neutral wording and near misses.
        section: the key of the section that it stands in.
        headings: its possible headings.
        rate: the chance that a contract draws it; `rates` overrides that by contract type.
        repeats: a contract may have two of its wordings, in different places.
        leads: it comes first in its section.
        types: the only contract types that draw it; empty for all.
        matter: the only matters that it suits; empty for all.
        needs: it is drawn only where one of these fields is present.
        unless: it is drawn only where none of these fields is present (what makes a near miss true).
    """

    field: str | None = None
    section: str
    headings: tuple[str, ...]
    rate: float | None = None
    rates: dict[str, float] = Field(default_factory=dict)
    repeats: bool = True
    leads: bool = False
    types: tuple[str, ...] = ()
    matter: tuple[Matter, ...] = ()
    needs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    variants: tuple[str | Variant, ...]

    def wordings(self, dialect: Dialect, matter: Matter) -> list[Variant]:
        """Return the wordings that fit a dialect and what the contract is about."""
        variants = [Variant(text=item) if isinstance(item, str) else item for item in self.variants]
        return [v for v in variants if v.dialect in (None, dialect) and (not v.matter or matter in v.matter)]

    def suits(self, kind: ContractKind) -> bool:
        """Say whether contracts of a type can have this clause."""
        return (not self.types or kind.name in self.types) and (not self.matter or kind.matter in self.matter)

    def rate_of(self, kind: str, default: float = 0.3) -> float:
        """Return the chance that a contract of a type draws it."""
        return self.rates.get(kind, default if self.rate is None else self.rate)


class ContractKind(Config):
    """What one type of contract is about: its titles, roles, subject matter, recitals and scope.

    `roles` are pairs of defined terms (provider, customer). `restricted` and `maker` say which of the two
    accepts restrictions and which creates intellectual property.
    """

    name: str
    titles: tuple[str, ...]
    roles: tuple[tuple[str, str], ...]
    items: tuple[tuple[str, str], ...]
    licensed: tuple[str, ...]
    matter: Matter
    restricted: Literal["a", "b"]
    maker: Literal["a", "b"]
    recitals: tuple[str, ...]
    scope: tuple[str, ...]


class Sector(Config):
    """The vocabulary of a line of business."""

    name: str
    goods: tuple[str, ...]
    services: tuple[str, ...]
    software: tuple[str, ...]
    customers: tuple[str, ...]
    standard: str
    metric: str
    lines: tuple[str, ...]


class Names(Config):
    """What fictional parties, people and places are made of."""

    stems: tuple[str, ...]
    tails: tuple[str, ...]
    people: tuple[str, ...]
    posts: tuple[str, ...]
    streets: tuple[str, ...]
    us_law: tuple[tuple[str, str], ...]
    us_territories: tuple[str, ...]
    uk_territories: tuple[str, ...]
    uk_cities: tuple[str, ...]


class Frame(Config):
    """The parts of a contract around its clauses."""

    sections: dict[str, tuple[str, ...]]
    openings: dict[Dialect, tuple[str, ...]]
    us_party: tuple[str, ...]
    uk_party: tuple[str, ...]
    recital_headings: dict[Dialect, tuple[str, ...]]
    bridges: dict[Dialect, tuple[str, ...]]
    definition_leads: tuple[str, ...]
    definitions: tuple[tuple[str, ...], ...]
    start_clauses: tuple[str, ...]
    closings: tuple[str, ...]
    schedules: tuple[tuple[str, ...], ...]
    schedule_rows: tuple[str, ...]


class Library(Config):
    """All the wording. `answers` gives the answer of a field that is not a yes or no, as a template."""

    kinds: tuple[ContractKind, ...]
    sectors: tuple[Sector, ...]
    names: Names
    frame: Frame
    answers: dict[str, str]
    clauses: tuple[Clause, ...]
    near_misses: tuple[Clause, ...]
    neutral: tuple[Clause, ...]


@functools.cache
def library() -> Library:
    """Read the wording.

    Raises:
        RecipeError: one of the files is not what it should be; names the file and the place in it.
    """
    merged: dict[str, Any] = {}
    folder = resources.files("lextune.resources").joinpath(FOLDER)
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if not file.name.endswith(".yaml"):
            continue
        for key, value in parse_yaml(file.read_text(encoding="utf-8"), file.name).items():
            if isinstance(value, list):
                merged[key] = [*merged.get(key, []), *value]
            else:
                merged[key] = value
    return validate(merged, Library, f"{FOLDER}/*.yaml")
