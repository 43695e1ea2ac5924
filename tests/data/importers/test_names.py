"""File names that differ in case, Unicode, punctuation and length belong together, or are refused."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.data.importers.names import match_names, name_key
from lextune.text.contract_types import CONTRACT_TYPES, contract_type_of

LONG = "ZETACORP,INC_04_21_2003-EX-10.16-AMENDMENT TO THE RESELLER AGREEMENT BETWEEN ALPHA AND"


@pytest.mark.parametrize(
    ("wanted", "available"),
    [
        ("Zeta Corp - Supply Agreement.PDF", "Zeta Corp - Supply Agreement.txt"),
        ("Zeta Corp - Supply Agreement .PDF", "Zeta Corp - Supply Agreement.txt"),
        ("ZETA'S,INC_05-FILING.PDF", "ZETA_S,INC_05-FILING.txt"),
        ("ZETA&CO_A&R.pdf", "ZETA_CO_A_R.txt"),
        ("ZETA_2011-ALLIANCE.PDF'", "ZETA_2011-ALLIANCE.txt"),
        ("ZETA, INC..PDF", "ZETA, INC.txt"),
        ("zeta - supply.pdf", "ZETA - SUPPLY.txt"),
        ("ZÉTA S.A.pdf", unicodedata.normalize("NFD", "ZÉTA S.A.txt")),
        ("ZÉTA S.A.pdf", "ZETA S.A.txt"),
        (f"{LONG} NETCO-.pdf", f"{LONG}.txt"),
        (f"{LONG}.pdf", f"{LONG} NETCO.txt"),
    ],
)
def test_one_name_written_two_ways_matches(wanted: str, available: str) -> None:
    names = ["Other - Agreement.txt", available, "Third.txt"]
    assert match_names([wanted], names) == ({0: 1}, {})


def test_an_exact_name_wins_over_a_like_one() -> None:
    matches = match_names(["A B.pdf", "A_B.pdf"], ["A_B.txt", "A B.txt"])
    assert matches == ({0: 1, 1: 0}, {})


def test_copies_and_numbered_parts_are_not_cut_names() -> None:
    matches = match_names([f"{LONG}(1).pdf"], [f"{LONG}.txt"])
    assert matches == ({}, {0: "no text has this name"})


def test_a_short_name_is_not_the_beginning_of_a_long_one() -> None:
    assert match_names(["ZETA.pdf"], [f"{LONG}.txt"]).failures == {0: "no text has this name"}


def test_a_name_that_fits_two_texts_matches_neither() -> None:
    matches = match_names([f"{LONG}.pdf"], [f"{LONG} ONE.txt", f"{LONG} TWO.txt"])
    assert matches.failures == {0: "ambiguous name: it stands for 1 of the names given and 2 of the texts"}


def test_two_names_for_one_text_match_neither() -> None:
    matches = match_names(["A-B.pdf", "A_B.pdf"], ["A&B.txt"])
    assert matches.pairs == {}
    assert set(matches.failures.values()) == {"ambiguous name: it stands for 2 of the names given and 1 of the texts"}


@given(st.lists(st.text("abAB&_-. é1", min_size=1, max_size=6), max_size=8), st.randoms())
@settings(max_examples=150)
def test_matching_is_one_to_one_and_complete(names: list[str], random: object) -> None:
    available = [n.upper() for n in names]
    pairs, failures = match_names(names, available)
    assert sorted([*pairs, *failures]) == list(range(len(names)))
    assert len(set(pairs.values())) == len(pairs)
    assert all(name_key(names[i]) == name_key(available[j]) for i, j in pairs.items())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ZETAINC_04_01_2010-EX-10.2-HOSTING AND MANAGEMENT AGREEMENT.PDF", "Hosting"),
        ("Zeta - SOFTWARE LICENSE AND MAINTENANCE AGREEMENT.pdf", "Maintenance"),
        ("ZETA-JOINT FILING AGREEMENT.PDF", "Joint Venture"),
        ("Affiliate_Agreements", "Affiliate"),
        ("Non_Compete_Non_Solicit", "Non-Compete/Non-Solicit"),
        ("Co_Branding", "Co-Branding"),
        ("IP", "Intellectual Property"),
        ("Strategic Alliance", "Strategic Alliance"),
        ("ZETA-EX-10-AGREEMENT.pdf", None),
        ("Microservices shipping.pdf", None),
    ],
)
def test_contract_type_from_a_name(name: str, expected: str | None) -> None:
    assert contract_type_of(name) == expected


def test_there_are_25_types_and_each_is_found_by_its_own_name() -> None:
    assert len(CONTRACT_TYPES) == 25
    assert all(contract_type_of(f"{name} Agreement.pdf") == name for name in CONTRACT_TYPES)
