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
    """One wording."""

    text: str
    """The template; see `lextune.data.synthesis.template`."""
    answer: str | None = None
    """The answer of the clause's field where this wording does not give the usual one."""
    dialect: Dialect | None = None
    """Keeps the wording to US or to UK contracts."""
    matter: tuple[Matter, ...] = ()
    """Keeps the wording to contracts about such things; empty for all."""
    rules_out: tuple[str, ...] = ()
    """Fields that this wording would contradict."""


class Clause(Config):
    """A clause in several wordings."""

    field: str | None = None
    """The field that it answers; None for neutral wording and near misses."""
    section: str
    """The key of the section that it stands in."""
    headings: tuple[str, ...]
    """Its possible headings."""
    rate: float | None = None
    """The chance that a contract draws it."""
    rates: dict[str, float] = Field(default_factory=dict)
    """Overrides `rate` by contract type."""
    repeats: bool = True
    """A contract may have two of its wordings, in different places."""
    leads: bool = False
    """It comes first in its section."""
    types: tuple[str, ...] = ()
    """The only contract types that draw it; empty for all."""
    matter: tuple[Matter, ...] = ()
    """The only matters that it suits; empty for all."""
    needs: tuple[str, ...] = ()
    """It is drawn only where one of these fields is present."""
    unless: tuple[str, ...] = ()
    """It is drawn only where none of these fields is present (what makes a near miss true)."""
    variants: tuple[str | Variant, ...]
    """The wordings; a bare template is one without conditions."""

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
    """What one type of contract is about."""

    name: str
    """The contract type."""
    titles: tuple[str, ...]
    """Titles of such contracts."""
    roles: tuple[tuple[str, str], ...]
    """Pairs of defined terms for the two parties, `a` then `b` (provider, customer)."""
    items: tuple[tuple[str, str], ...]
    """The defined term for the subject matter, plural then singular."""
    licensed: tuple[str, ...]
    """Defined terms for what is licensed."""
    matter: Matter
    """What is delivered."""
    restricted: Literal["a", "b"]
    """The party that accepts restrictions."""
    maker: Literal["a", "b"]
    """The party that creates intellectual property."""
    recitals: tuple[str, ...]
    """Templates of recitals."""
    scope: tuple[str, ...]
    """Templates of what the parties undertake."""


class Sector(Config):
    """The vocabulary of a line of business."""

    name: str
    """The line of business."""
    goods: tuple[str, ...]
    """What it sells."""
    services: tuple[str, ...]
    """What it does for others."""
    software: tuple[str, ...]
    """What it licenses."""
    customers: tuple[str, ...]
    """Whom it sells to."""
    standard: str
    """The standard its work conforms to."""
    metric: str
    """What its use is counted in, plural."""
    lines: tuple[str, ...]
    """Items of a price list."""


class Names(Config):
    """What fictional parties, people and places are made of."""

    stems: tuple[str, ...]
    """First words of company names."""
    tails: tuple[str, ...]
    """Second words of company names."""
    people: tuple[str, ...]
    """Names of people who sign."""
    posts: tuple[str, ...]
    """Their posts."""
    streets: tuple[str, ...]
    """Streets."""
    us_law: tuple[tuple[str, str], ...]
    """US states, each with a city in it."""
    us_territories: tuple[str, ...]
    """Sales territories in US contracts."""
    uk_territories: tuple[str, ...]
    """Sales territories in UK contracts."""
    uk_cities: tuple[str, ...]
    """Cities in England."""


class Frame(Config):
    """The parts of a contract around its clauses."""

    sections: dict[str, tuple[str, ...]]
    """Titles of each section, by its key."""
    openings: dict[Dialect, tuple[str, ...]]
    """Templates of the first paragraph."""
    us_party: tuple[str, ...]
    """Templates that present a US party."""
    uk_party: tuple[str, ...]
    """Templates that present a UK party."""
    recital_headings: dict[Dialect, tuple[str, ...]]
    """Headings of the recitals."""
    bridges: dict[Dialect, tuple[str, ...]]
    """Templates between recitals and clauses."""
    definition_leads: tuple[str, ...]
    """Templates before the definitions."""
    definitions: tuple[tuple[str, ...], ...]
    """Defined terms, each in several wordings."""
    start_clauses: tuple[str, ...]
    """Templates of the clause with the effective date."""
    closings: tuple[str, ...]
    """Templates before the signatures."""
    schedules: tuple[tuple[str, ...], ...]
    """Schedules: title, label of a row, lead."""
    schedule_rows: tuple[str, ...]
    """Templates of a schedule's row."""


class Library(Config):
    """All the wording."""

    kinds: tuple[ContractKind, ...]
    """Contract types."""
    sectors: tuple[Sector, ...]
    """Lines of business."""
    names: Names
    """Names and places."""
    frame: Frame
    """The parts around the clauses."""
    answers: dict[str, str]
    """Answers, by field, that are not a yes or no, as templates."""
    clauses: tuple[Clause, ...]
    """Clauses that answer a field."""
    near_misses: tuple[Clause, ...]
    """Wording that resembles a field's and does not answer it."""
    neutral: tuple[Clause, ...]
    """Wording that has nothing to do with any field."""


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
