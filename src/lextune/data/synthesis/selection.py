"""Which clauses a sample contract has: fields present, near misses for absent ones, neutral wording."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lextune.data.synthesis.library import Clause, ContractKind, Dialect, Library, Variant

SECOND_WORDING = 0.2  # the chance that a field is answered in two places
NEAR_MISS = 0.5  # the chance of a near miss where nothing contradicts it, at size 1
MOST = 0.85  # its limit in long contracts: an absent field must not always have a near miss
_TAG = re.compile(r"<([^<>/][^<>]*)>|<>")


class Choice(NamedTuple):
    """A clause and the wordings of it that the contract uses: a paragraph each, or one of all `together`."""

    clause: Clause
    variants: tuple[Variant, ...]
    together: bool = False


class Selection:
    """The clauses drawn for one contract, and what their wording makes present or impossible.

    Args:
        rng: the source of chance.
        kind: the contract type; rates and suitable wordings differ by it.
        dialect: keeps out the wordings of the other dialect.
        size: 1 for a short contract, 3 for a long one; scales near misses and neutral wording, not fields.
    """

    def __init__(self, rng: random.Random, kind: ContractKind, dialect: Dialect, size: float) -> None:
        self.rng, self.kind, self.dialect, self.size = rng, kind, dialect, size
        self.choices: list[Choice] = []
        self.present: set[str] = set()
        self.ruled_out: set[str] = set()

    def draw(self, wording: Library) -> list[Choice]:
        """Draw the clauses: those that depend on others after those, and unlabelled ones last."""
        dependent = [clause for clause in wording.clauses if clause.needs or clause.unless]
        for clause in [c for c in wording.clauses if c not in dependent] + dependent:
            if clause.field not in self.ruled_out and self._drawn(clause, clause.rate_of(self.kind.name)):
                self._add(clause)
        for clause in wording.near_misses:
            if self._drawn(clause, min(MOST, clause.rate_of(self.kind.name, NEAR_MISS) * self.size)):
                self._add_together(clause)
        for clause in wording.neutral:
            if self._drawn(clause, clause.rate_of(self.kind.name) * (0.5 + self.size / 2)):
                self._add_together(clause)
        return self.choices

    def _drawn(self, clause: Clause, rate: float) -> bool:
        if not clause.suits(self.kind) or (clause.needs and not self.present.intersection(clause.needs)):
            return False
        return not (self.present | self.ruled_out).intersection(clause.unless) and self.rng.random() < rate

    def _add(self, clause: Clause) -> None:
        """Take one wording of a field's clause, or two in different places."""
        twice = clause.repeats and self.rng.random() < SECOND_WORDING
        variants = self.rng.sample(clause.wordings(self.dialect, self.kind.matter), 2 if twice else 1)
        self.choices.append(Choice(clause, tuple(variants)))
        for variant in variants:
            self.present.update(fields_in(variant.text, clause.field))
            self.ruled_out.update(variant.rules_out)

    def _add_together(self, clause: Clause) -> None:
        """Run some wordings of an unlabelled clause together: more of them in a longer contract."""
        wordings = clause.wordings(self.dialect, self.kind.matter)
        count = min(len(wordings), 1 + int(self.rng.random() * (1 + self.size)))
        self.choices.append(Choice(clause, tuple(self.rng.sample(wordings, count)), together=True))


def fields_in(template: str, own: str | None) -> Iterable[str]:
    """Yield the fields that a template's quotes answer; a bare tag stands for `own`."""
    for tag in _TAG.finditer(template):
        if tag[1]:
            yield from (name.strip() for name in tag[1].split(","))
        elif own:
            yield own


def in_order(rng: random.Random, choices: Sequence[Choice]) -> list[Choice]:
    """Return the clauses of a section shuffled: leading ones first, those that need another field last."""
    shuffled = rng.sample(list(choices), len(choices))
    return sorted(shuffled, key=lambda choice: (not choice.clause.leads, bool(choice.clause.needs)))
