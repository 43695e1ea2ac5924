"""What is personal data, where it stands, and what is not."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import MachineError, UserError
from lextune.data.privacy import find
from lextune.data.privacy.find import find_personal
from lextune.data.privacy.kinds import KINDS, Finding, masked, parse_kinds, settle

PLANTED = json.loads((Path(__file__).parent / "planted.json").read_text(encoding="utf-8"))
CLAUSE = "The parties agree that this Agreement is governed by the laws of the State of New York. "


def found(text: str, kinds: str = "") -> list[tuple[str, str]]:
    return [(f.kind, text[f.start : f.end]) for f in find_personal(text, parse_kinds(kinds.split()))]


def survivors(rows: list[dict[str, object]]) -> tuple[int, list[str]]:
    """Return how many values were planted, and those of which a letter or digit is left."""
    planted, left = 0, []
    for row in rows:
        text = f"{CLAUSE}{row['text']} {CLAUSE}"
        covered = {at for f in find_personal(text) for at in range(f.start, f.end)}
        for value in row["values"]:  # type: ignore[attr-defined]
            planted += 1
            start = text.index(value)
            if any(text[at].isalnum() and at not in covered for at in range(start, start + len(value))):
                left.append(value)
    return planted, left


@pytest.mark.parametrize("kind", ["email", "phone", "id"])
def test_no_planted_email_phone_or_id_survives(kind: str) -> None:
    assert survivors(PLANTED[kind]) == (50, [])


@pytest.mark.parametrize("rows", ["person", "person2"])
def test_planted_names_are_caught(rows: str, capsys: pytest.CaptureFixture[str]) -> None:
    planted, missed = survivors(PLANTED[rows])
    print("missed:", missed)
    assert planted == 50
    assert len(missed) <= 5, missed


@pytest.mark.parametrize(
    "text",
    [
        "John Smith, Inc. shall pay the fee.",
        "Baker & McKenzie LLP acts as counsel.",
        "by and between John Deere Company and James Bond Holdings LLC",
        "Charles Schwab & Co., Inc. and Johnson, Smith & Wesson Ltd.",
        'Martin Marietta Corporation ("Martin Marietta"). Martin Marietta shall deliver.',
        "Section 4. Grant of License. Licensor hereby grants to Licensee a license.",
        "the State of Virginia, Santa Clara County, and the City of Houston",
        "Effective Date: 12/31/2004; term of 36 months; fee of $1,250,000.00; 3,000,000 shares; 1.2.3.4",
        "Rick Smithson Enterprises and Mary Roe & Sons, Tel Aviv 6770007",
        "Company No. 01234567 and VAT number GB 123 4567 82",
        "Registration No. 333-12345 and 2001-04-15",
        "THE COMPANY MAKES NO WARRANTY OF MERCHANTABILITY OR FITNESS FOR A PARTICULAR PURPOSE",
    ],
)
def test_companies_places_dates_and_amounts_are_not_personal(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IBAN GB82 WEST 1234 5698 7654 32 BIC WESTGB2L", ("account", "GB82 WEST 1234 5698 7654 32")),
        ("IBAN: GB00 WEST 1234 5698 7654 32", ("account", "GB00 WEST 1234 5698 7654 32")),
        ("pay to 4111 1111 1111 1111 today", ("account", "4111 1111 1111 1111")),
        ("ABA routing number 021000021", ("account", "021000021")),
        ("Account No.: 000123456789", ("account", "000123456789")),
        ("sort code 12-34-56", ("account", "12-34-56")),
        (
            "at 1200 Main Street, Suite 300, Dover, DE 19901.",
            ("address", "1200 Main Street, Suite 300, Dover, DE 19901"),
        ),
        ("of 10 Downing Street, London SW1A 2AA", ("address", "10 Downing Street, London SW1A 2AA")),
        ("P.O. Box 1234, Austin, Texas 78701", ("address", "P.O. Box 1234, Austin, Texas 78701")),
    ],
)
def test_accounts_and_addresses(text: str, expected: tuple[str, str]) -> None:
    assert expected in found(text)


def test_a_card_with_a_wrong_check_digit_needs_a_label() -> None:
    assert found("lot 4111 1111 1111 1112 of goods") == []
    assert found("Visa 4111 1111 1111 1112") == [("account", "4111 1111 1111 1112")]


def test_what_is_known_of_a_name_holds_in_the_whole_document() -> None:
    text = "/s/ Ottoline Quaverly\nLater Quaverly signs; OTTOLINE QUAVERLY agrees."
    assert [value for _, value in found(text)] == ["Ottoline Quaverly", "Quaverly", "OTTOLINE QUAVERLY"]


def test_two_names_side_by_side_are_two() -> None:
    assert [v for _, v in found("Name: Lance Mitchell Jamie Samson")] == ["Lance Mitchell", "Jamie Samson"]


def test_only_the_kinds_asked_for() -> None:
    assert found("/s/ Jane Roe, jane@example.com", "email") == [("email", "jane@example.com")]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match="no kind of personal data 'persons'") as error:
        parse_kinds(["persons"])
    assert "use person, email, phone, id, account, address" in str(error.value)
    assert parse_kinds([]) == KINDS


@pytest.mark.parametrize(
    ("kind", "package"), [("person", "faker"), ("phone", "phonenumbers"), ("id", "stdnum"), ("account", "stdnum")]
)
def test_a_missing_library_is_named(kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=f"finding {kind} needs the package {package}") as error:
        found("x", kind)
    assert f"leave {kind} out of --kinds" in str(error.value)


def test_overlaps_become_one_that_covers_all() -> None:
    rows = [Finding("phone", 0, 12, 0.5, "a"), Finding("id", 8, 20, 0.9, "b"), Finding("email", 30, 40, 0.9, "c")]
    assert [f[:3] for f in settle(rows)] == [("id", 0, 20), ("email", 30, 40)]


def test_values_are_shown_masked() -> None:
    assert masked("jane@example.com") == "ja**@*******.***"


@settings(max_examples=60)
@given(st.text(max_size=200) | st.lists(st.sampled_from("Aa1@.-_ \n/sé+(&Inc"), max_size=200).map("".join))
def test_findings_are_in_order_apart_and_inside(text: str) -> None:
    rows = find_personal(text)
    assert all(0 <= f.start < f.end <= len(text) for f in rows)
    assert all(a.end <= b.start for a, b in pairwise(rows))


@pytest.mark.parametrize(
    "unit", ["1", "_", "a@", "A ", "1-", "Aa1 ", "account number ", "A. ", "/s/ ", "A & ", "+1", "the "]
)
def test_time_is_linear_in_the_text(unit: str) -> None:
    find_personal("warm up")
    started = time.process_time()
    find_personal(unit * (40_000 // len(unit)))
    assert time.process_time() - started < 3
