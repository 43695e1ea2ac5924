"""The wording itself: enough variants, known names, nothing left over."""

from __future__ import annotations

import random
import re

import pytest

from lextune.core.errors import DataError
from lextune.data.synthesis.brief import Brief
from lextune.data.synthesis.generator import known_fields
from lextune.data.synthesis.library import Clause, Dialect, Variant, library
from lextune.data.synthesis.selection import Selection, fields_in
from lextune.data.synthesis.template import choose, render
from lextune.expert.schema import load_schema
from lextune.text.contract_types import CONTRACT_TYPES

WORDING = library()
DIALECTS: tuple[Dialect, ...] = ("us", "uk")


def _texts(clause: Clause) -> list[str]:
    return [v.text if isinstance(v, Variant) else v for v in clause.variants]


def test_every_field_of_the_schema_can_be_answered() -> None:
    reached = {f for c in WORDING.clauses for text in _texts(c) for f in fields_in(text, c.field)}
    basic = {"Document Name", "Parties", "Agreement Date", "Effective Date"}
    assert reached | basic == known_fields(WORDING) == set(load_schema("clauses-47").names)


def test_types_are_cuads_and_at_least_eight() -> None:
    names = [kind.name for kind in WORDING.kinds]
    assert len(set(names)) == len(names) >= 8
    assert set(names) <= set(CONTRACT_TYPES)
    assert {t for c in WORDING.clauses for t in (*c.types, *c.rates)} <= set(names)


@pytest.mark.parametrize("clause", WORDING.clauses, ids=lambda clause: clause.field)
def test_a_field_has_at_least_four_wordings_in_either_dialect(clause: Clause) -> None:
    for kind in WORDING.kinds:
        for dialect in DIALECTS:
            assert len(clause.wordings(dialect, kind.matter)) >= 4
    assert len(set(_texts(clause))) == len(clause.variants)
    assert all(set(fields_in(text, clause.field)) >= {clause.field} for text in _texts(clause))


def test_near_misses_and_neutral_wording_quote_nothing() -> None:
    for clause in (*WORDING.near_misses, *WORDING.neutral):
        assert clause.field is None
        assert not any("<" in text for text in _texts(clause))


def test_needs_and_unless_name_fields_and_sections_exist() -> None:
    for clause in (*WORDING.clauses, *WORDING.near_misses, *WORDING.neutral):
        assert {*clause.needs, *clause.unless} <= known_fields(WORDING)
        assert clause.section in WORDING.frame.sections


@pytest.mark.parametrize("seed", range(6))
def test_every_wording_renders_without_a_trace_of_the_template(seed: int) -> None:
    rng = random.Random(seed)
    brief = Brief(rng, WORDING, WORDING.kinds[seed])
    for clause in (*WORDING.clauses, *WORDING.near_misses, *WORDING.neutral):
        for text in _texts(clause):
            shown = render(choose(brief.style.spelt(text), rng), brief.slot, ("F",)).text
            assert not re.search(r"[\[\]{}<>|]|  |^ | $|\(\)| [.,;]", shown), shown
            assert shown[0].isupper() or shown[0] in '"', shown
            assert shown.endswith("."), shown


def test_an_unknown_slot_is_refused() -> None:
    brief = Brief(random.Random(0), WORDING, WORDING.kinds[0])
    with pytest.raises(DataError) as error:
        brief.slot("colour")
    assert str(error.value) == (
        "resources/samples: unknown slot 'colour'\n  -> use one that data/synthesis/brief.py knows"
    )


def test_a_named_quantity_keeps_its_value_and_its_answer_is_in_figures() -> None:
    brief = Brief(random.Random(1), WORDING, WORDING.kinds[0])
    assert brief.slot("days:notice 30 60 90") == brief.slot("days:notice 1 2")
    days = brief.quantities["notice"][0]
    assert brief.answer("{notice}") == f"{days} days"
    brief.slot("years:renewal 1")
    assert brief.answer("successive {renewal}") == "successive 1 year"


def test_a_clause_that_would_contradict_another_is_not_drawn() -> None:
    for seed in range(40):
        kind = WORDING.kinds[seed % len(WORDING.kinds)]
        selection = Selection(random.Random(seed), kind, DIALECTS[seed % 2], size=2.0)
        for choice in selection.draw(WORDING):
            clause = choice.clause
            assert not selection.present & set(clause.unless)
            assert not clause.needs or selection.present & set(clause.needs)
            assert clause.suits(kind)
        assert not selection.present & selection.ruled_out
