"""What one sample contract is about: type, parties, dates, law, vocabulary; and the slots that they fill."""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Mapping
from typing import NamedTuple

from lextune.core.errors import DataError
from lextune.data.synthesis.house_style import MONTHS, HouseStyle, add_years, numeric_date
from lextune.data.synthesis.library import ContractKind, Dialect, Library, Sector

BRITISH_SHARE = 0.35
_QUANTITY = re.compile(r"(days|months|years|pct|money|num|plain)(?::(\w+))?((?: [\d.]+)*)")
_US_FORMS = (
    (", Inc.", "corporation"),
    (" Corporation", "corporation"),
    (", LLC", "limited liability company"),
    (" Corp.", "corporation"),
    (", L.P.", "limited partnership"),
)
_UK_FORMS = (" Limited", " Ltd", " plc", " (UK) Limited")
_UNDATED = "the date of the last signature below"


class PartyFacts(NamedTuple):
    """One party: its registered name, how the contract introduces it, and what it is called from there on.

    `term` is the defined term ("Supplier"), `called` what sentences use ("the Supplier").
    """

    name: str
    introduction: str
    term: str
    called: str


class Dates(NamedTuple):
    """The dates of a contract.

    Attributes:
        agreement: the date of the contract; only its month and year count where `dating` is `partial`.
        effective: the day on which it takes effect.
        end: the day that a fixed-date wording of the term names.
        dating: whether the contract is dated fully, with the day left blank, or not at all.
        effect: how it gives the effective date: as the agreement date, beside it, in a clause, or not at all.
    """

    agreement: datetime.date
    effective: datetime.date
    end: datetime.date
    dating: str
    effect: str

    @classmethod
    def draw(cls, rng: random.Random) -> Dates:
        """Draw dates between 2005 and 2024."""
        agreement = datetime.date(2005, 1, 1) + datetime.timedelta(days=rng.randrange(19 * 365))
        dating = rng.choices(("full", "partial", "none"), (88, 6, 6))[0]
        effect = rng.choices(("same", "beside", "clause", "none"), (34, 22, 26, 18))[0]
        if dating == "partial" and effect == "same":
            effect = "clause"
        if dating == "none":
            effect = "clause"
        later = 0 if effect in ("same", "none") else rng.choice((1, 5, 10, 14, 21, 30, 45, 60))
        effective = agreement + datetime.timedelta(days=later)
        end = add_years(effective, rng.choice((1, 2, 3, 5))) - datetime.timedelta(days=rng.choice((0, 1)))
        return cls(agreement, effective, end, dating, effect)

    def agreement_answer(self) -> str:
        """Return the agreement date as CUAD writes it, an unknown day as `[]`."""
        if self.dating == "partial":
            return f"{self.agreement.month}/[]/{self.agreement.year}"
        return numeric_date(self.agreement)

    def term_answer(self, years: int) -> str:
        """Return the day on which a term of some years ends, as CUAD writes it."""
        if self.effect == "none" and self.dating == "partial":
            return f"{self.agreement.month}/[]/{self.agreement.year + years}"
        return numeric_date(add_years(self.effective, years))


class Brief:
    """Everything that is fixed before the clauses of one contract are chosen."""

    def __init__(self, rng: random.Random, wording: Library, kind: ContractKind) -> None:
        self.rng, self.kind, self.wording = rng, kind, wording
        dialect: Dialect = "uk" if rng.random() < BRITISH_SHARE else "us"
        self.style = HouseStyle.draw(rng, dialect)
        self.sector = rng.choice(wording.sectors)
        self.dates = Dates.draw(rng)
        self.law, self.city = self._law()
        self.title = self._title()
        self.parties = self._parties()
        self.quantities: dict[str, tuple[str, str]] = {}
        self._slots = self._fixed_slots(self.sector)

    def slot(self, name: str) -> str:
        """Return the value of a slot; a quantity is drawn the first time that its name is used.

        Raises:
            DataError: the slot is unknown.
        """
        if name in self._slots:
            return self._slots[name]
        quantity = _QUANTITY.fullmatch(name)
        if quantity is None:
            raise DataError(
                f"unknown slot {name!r}",
                where="resources/samples",
                do="use one that data/synthesis/brief.py knows",
            )
        return self._quantity(quantity[1], quantity[2], quantity[3].split())

    def answer(self, template: str) -> str:
        """Return an answer in CUAD's format: `@value`, or text with `{quantity}` in figures ("30 days")."""
        computed = {
            "@title": lambda: self.title,
            "@parties": lambda: "; ".join(f'{party.name} ("{party.term}")' for party in self.parties),
            "@agreement_date": lambda: self.dates.agreement_answer(),
            "@effective_date": lambda: numeric_date(self.dates.effective),
            "@end_date": lambda: numeric_date(self.dates.end),
            "@term": lambda: self.dates.term_answer(int(self.quantities["term"][0])),
            "@law": lambda: self.law,
        }
        if template in computed:
            return computed[template]()
        return re.sub(r"\{(\w+)\}", lambda match: _counted(*self.quantities[match[1]]), template)

    def expanded(self, template: str) -> str:
        """Return an opening with its dates and parties written out, quotes marked."""
        style, dates = self.style, self.dates
        start = f'(the "{self._slots["start_bare"]}")'
        agreed = self._agreement_date()
        beside = ""
        if dates.effect == "same":
            agreed = f"<Agreement Date, Effective Date>{agreed}</>"
            beside = f" {start}"
        elif dates.dating != "none":
            agreed = f"<Agreement Date>{agreed}</>"
        if dates.effect == "beside":
            effective = f"<Effective Date>{style.date(dates.effective)}</>"
            beside = f", [with effect from|effective as of] {effective} {start}"
        values = {"agreement_date": agreed, "and_effective": beside}
        values |= {"party_a": self.parties[0].introduction, "party_b": self.parties[1].introduction}
        return _replaced(template, values)

    def _agreement_date(self) -> str:
        date = self.dates.agreement
        if self.dates.dating == "none":
            return _UNDATED
        if self.dates.dating == "partial":
            month = MONTHS[date.month - 1]
            return f"___ {month} {date.year}" if self.style.dialect == "uk" else f"{month} ___, {date.year}"
        return self.style.date(date)

    def _law(self) -> tuple[str, str]:
        names = self.wording.names
        if self.style.dialect == "us":
            return self.rng.choice(names.us_law)
        if self.rng.random() < 0.15:
            return "Scotland", self.rng.choice(("Edinburgh", "Glasgow"))
        return "England and Wales", self.rng.choice(names.uk_cities)

    def _title(self) -> str:
        title = self.style.spelt(self.rng.choice(self.kind.titles))
        return title.upper() if self.rng.random() < 0.6 else title

    def _parties(self) -> tuple[PartyFacts, PartyFacts]:
        """Draw two companies; both are called by their role, with or without article, or both by name."""
        rng, names = self.rng, self.wording.names
        roles = [self.style.spelt(role) for role in rng.choice(self.kind.roles)]
        stems = rng.sample(names.stems, 2)
        habit = rng.choices(("article", "role", "name"), (50, 30, 20))[0]
        capitals = rng.random() < 0.4
        british = self.style.dialect == "uk"
        template = rng.choice(self.wording.frame.uk_party if british else self.wording.frame.us_party)
        made = []
        for stem, role in zip(stems, roles, strict=True):
            term = stem if habit == "name" else role
            ending, form = (rng.choice(_UK_FORMS), "company") if british else rng.choice(_US_FORMS)
            name = self.style.spelt(f"{stem} {rng.choice(names.tails)}{ending}")
            name = name.upper() if capitals else name
            article = "the " if habit == "article" else ""
            values = {
                "name": f"<Parties>{name}</>",
                "defined": f'{article}"<Parties>{term}</>"',
                "form": form,
                "state": rng.choice(("Delaware", "Delaware", self.law, rng.choice(names.us_law)[0])),
                "address": self._address(),
                "number": str(rng.randrange(2_000_000, 13_000_000)).zfill(8),
            }
            introduction = _replaced(template, values)
            made.append(PartyFacts(name, introduction, term, article + term))
        return made[0], made[1]

    def _address(self) -> str:
        rng, names = self.rng, self.wording.names
        street = f"{rng.randrange(1, 400)} {self.style.spelt(rng.choice(names.streets))}"
        if self.style.dialect == "us":
            state, city = rng.choice(names.us_law)
            return f"{street}, {city}, {state} {rng.randrange(10_000, 99_999)}"
        city = rng.choice(names.uk_cities)
        area = f"{city[0]}{city[-1].upper()}{rng.randrange(1, 29)}"
        return f"{street}, {city} {area} {rng.randrange(1, 9)}{rng.choice('ABDEGHJL')}{rng.choice('NPQRSTUW')}"

    def _fixed_slots(self, sector: Sector) -> dict[str, str]:
        rng, style, kind, names = self.rng, self.style, self.kind, self.wording.names
        a, b = self.parties
        restricted, protected = (a, b) if kind.restricted == "a" else (b, a)
        maker, owner = (a, b) if kind.maker == "a" else (b, a)
        british = style.dialect == "uk"
        items, item = rng.choice(kind.items)
        start = rng.choice(("Effective Date", "Effective Date", "Commencement Date", "Start Date"))
        if british:
            law = f"the {rng.choice(('law', 'laws'))} of {self.law}"
        else:
            law = rng.choice((f"the laws of the State of {self.law}", f"{self.law} law"))
        people = rng.sample(names.people, 2)
        plural = style.party.removesuffix("y") + "ies"
        slots = {
            "A": a.called, "B": b.called, "R": restricted.called, "P": protected.called,
            "Maker": maker.called, "Owner": owner.called, "A_BARE": a.called.upper(), "B_bare": b.term,
            "items": f"the {items}", "Items": f"the {items}", "items_bare": items, "item": item,
            "ip": f"the {rng.choice(kind.licensed)}",
            "goods": rng.choice(getattr(sector, kind.matter)), "customers": rng.choice(sector.customers),
            "sector": f"the {sector.name} business", "standard": sector.standard, "metric": sector.metric,
            "territory": "the Territory",
            "territory_words": rng.choice(names.uk_territories if british else names.us_territories),
            "shall": style.shall, "agr": style.agreement, "Agr": "Agreement", "AGR": "AGREEMENT",
            "clause": style.clause, "CLAUSE": style.clause.upper(), "party": style.party,
            "parties": f"the {plural}", "Parties": f"the {plural}", "parties_bare": plural,
            "tax": "VAT" if british else "sales and use taxes",
            "currency": "sterling" if british else "US dollars",
            "city": self.city, "law": law, "Law": law,
            "start_bare": start,
            "start": f"the {start}" if self.dates.effect != "none" else f"the date of this {style.agreement}",
            "effective_date": style.date(self.dates.effective), "end_date": style.date(self.dates.end),
            "title": self.title.title() if self.title.isupper() else self.title, "TITLE": self.title.upper(),
            "post": rng.choice(names.posts), "person_1": people[0], "person_2": people[1],
        }  # fmt: skip
        return {name: style.spelt(value) for name, value in slots.items()}

    def _quantity(self, unit: str, name: str | None, values: list[str]) -> str:
        if name in self.quantities:
            unit, value = self.quantities[name][1], self.quantities[name][0]
        else:
            value = self.rng.choice(values)
            if name is not None:
                self.quantities[name] = value, unit
        if unit == "money":
            return self.style.money(int(value))
        if unit == "pct":
            return self.style.percent(value)
        if unit == "num":
            return self.style.number(int(value))
        if unit == "plain":
            return f"{int(value):,}"
        return f"{self.style.number(int(value))} {_counted(value, unit).split()[1]}"


def _replaced(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)


def _counted(value: str, unit: str) -> str:
    return f"{value} {unit.removesuffix('s') if value == '1' else unit}"
