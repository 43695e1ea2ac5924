"""Tables of (text, expected) that any implementation must pass; all sample text is our own."""

from __future__ import annotations

import ast
import csv
import datetime
import string
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.text.tokens import jaccard, tokens
from lextune.text.values import end_from, in_words, is_null, normalise, same_value

YEAR, MONTH = {"value": 1, "unit": "year"}, {"value": 1, "unit": "month"}
KINDS = ("boolean", "text", "date", "duration", "parties", "jurisdiction", "money")


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "  ", "N/A", "n/a", "none", "None.", "not specified", "Not  Specified", "[]", [], {}),
        *("No related clause", "no related clause.", ["N/A"], [None, ""]),
    ],
)
def test_null_with_or_without_a_quote(value: object, quoted: bool) -> None:
    assert is_null(value, quoted=quoted)


@pytest.mark.parametrize("value", ["No", "no.", "NO", "false", False, ["No"]])
def test_no_is_null_only_without_a_quote(value: object) -> None:
    assert is_null(value, quoted=False)
    assert not is_null(value, quoted=True)


@pytest.mark.parametrize("value", ["Yes", True, 0, 0.0, "nothing", "none of the parties", ["N/A", "x"], {"a": None}])
def test_not_null(value: object) -> None:
    assert not is_null(value, quoted=True)
    assert not is_null(value, quoted=False)


DATES = [
    ("June 21, 1999", "1999-06-21"),
    ("21st day of June, 1999", "1999-06-21"),
    ("the first day of July, 2017 (", "2017-07-01"),
    ("(1st)  day of January, 1996", "1996-01-01"),
    ("6/21/1999", "1999-06-21"),
    ("5/8/14", "[2014-05-08,2014-08-05]"),
    ("05-08-2014", "[2014-05-08,2014-08-05]"),
    ("5/5/2014", "2014-05-05"),
    ("5/8/2014 and 31/12/2014", "2014-08-05"),  # the other date says that the day is written first
    ("5/8/2014 and 12/31/2014", "2014-05-08"),  # here that the month is
    ("5/8/2014, 12/31/2014 and 31/12/2014", "2014-05-08"),  # at odds: the month is taken to be first
    ("5.8.2014", "[2014-08-05,2014-05-08]"),  # dots: the day is usually first
    ("5.5.2014", "2014-05-05"),
    ("5.8.2014 and 31.12.2014", "2014-08-05"),
    ("5.8.2014 and 12.31.2014", "2014-05-08"),
    ("5 Aug 14", None),  # 14 is no day of August, but a year
    ("dated 5th Aug 14", None),
    ("19 DAY OF MAY , 2010", "2010-05-19"),
    ("[2014-05-08,2014-08-05]", "[2014-05-08,2014-08-05]"),
    ("1/14/98", "1998-01-14"),
    ("31/01/2025", "2025-01-31"),
    ("31 December 2020", "2020-12-31"),
    ("31.12.2020", "2020-12-31"),
    ("31 December,\n1996", "1996-12-31"),
    ("06 October 2000", "2000-10-06"),
    ("Sept 29, 2004", "2004-09-29"),
    ("Dec. 8, 2005", "2005-12-08"),
    ("MAY 31, 2019", "2019-05-31"),
    ("March 12,1999", "1999-03-12"),
    ("14t h day of April, 2015", "2015-04-14"),
    ("2020-06-01", "2020-06-01"),
    ("This Agreement is dated as of June 1, 2005, by and between the parties", "2005-06-01"),
    ("[]/[]/2020", "2020-XX-XX"),
    ("[ ]/[ ]/20[ ]", "20XX-XX-XX"),
    ("11/[]/2006", "2006-11-XX"),
    ("09/14/200[]", "200X-09-14"),
    ("12/01/[]", "XXXX-12-01"),
    ("___ day of ____________, 2015.", "2015-XX-XX"),
    ("[●] day of [●], 2019", "2019-XX-XX"),
    ("this  day of , 2012", "2012-XX-XX"),
    ("[___], 2020", "2020-XX-XX"),
    ("14 day of SEPTEMBER, 200_", "200X-09-14"),
    ("March ___, 1999", "1999-03-XX"),
    ("June 2005", "2005-06-XX"),
    ("1st day of December", "XXXX-12-01"),
    ("March 5", "XXXX-03-05"),
    ("2020", "2020-XX-XX"),
    ("2020-06-XX", "2020-06-XX"),
    ("perpetual", "perpetual"),
    ("Perpetual", "perpetual"),
    ("shall continue in perpetuity", "perpetual"),
    ("shall remain in effect until terminated by either party", "perpetual"),
    ("2/30/2020", None),
    ("13/13/2013", None),
    ("[]/[]/[]", None),
    ("the date first written above", None),
    ("the Securities Exchange Act of 1934", None),
    ("either party may 10 days later march 3 miles", None),
    ("Section 1.2.10", None),
    ("see page 12, 2005 edition", None),
]


@pytest.mark.parametrize(("text", "expected"), DATES)
def test_dates(text: str, expected: str | None) -> None:
    assert normalise("date", text) == expected


SPAN = "The term begins on February 1, 1998 and, unless renewed, ends on January 31, 2001 or when sold."


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("Effective Date", SPAN, "1998-02-01"),
        ("Expiration Date", SPAN, "2001-01-31"),
        ("Agreement Date", SPAN, "1998-02-01"),
        ("Effective Date", "It starts today and shall end as of December 31, 2000.", None),
        ("Effective Date", "Signed on May 5, 2007, to be effective January 1, 2008.", "2008-01-01"),
        ("Expiration Date", "12/31/2020", "2020-12-31"),
        (
            "Expiration Date",
            "Unless earlier terminated, the term begins on February 1, 1998 and ends on January 31, 2001.",
            "2001-01-31",
        ),
        ("Expiration Date", "to be in force from January 1, 2010 until December 31, 2012", "2012-12-31"),
        ("Expiration Date", "Termination within August 31, 1999 to October 31, 1999", "1999-08-31"),
        ("Expiration Date", "Termination with the period from August 31, 1999 to October 31, 1999", "1999-10-31"),
        ("Expiration Date", "This Agreement shall terminate effective December 31, 2005.", "2005-12-31"),
        ("Expiration Date", "until five years from January 1, 2000", "2005-01-01"),
        ("Agreement Date", "made this twenty first day of June, 2019", "2019-06-21"),
        ("Agreement Date", "this thirty\u2011first day of December, 1999", "1999-12-31"),
        ("Expiration Date", "shall expire five (5) years after January 1, 2019", "2024-01-01"),
        ("Expiration Date", "expires on the fifth anniversary of January 1, 2019", "2024-01-01"),
        ("Expiration Date", "until the third anniversary of June 1, 2015", "2018-06-01"),
        ("Expiration Date", "expires two years after the Effective Date of June 1, 2015", "2017-06-01"),
        ("Expiration Date", "terminate on the date that is 90 days following December 1, 2020", "2021-03-01"),
        ("Expiration Date", "shall terminate automatically on the day ten days after June 1, 2015", "2015-06-11"),
        ("Expiration Date", "begins January 1, 2019 and ends three years after June 1, 2019", "2022-06-01"),
        ("Expiration Date", "terminate on the date that is 90 days before December 1, 2020", None),
        ("Expiration Date", "until the last day of the month following June 1, 2015", None),
        ("Expiration Date", "ends on the last day of December 2012", "2012-12-XX"),
        ("Expiration Date", "It begins on January 20, 2014 and continues for six (6) months.", "2014-07-20"),
        ("Expiration Date", "from March 1, 2010 to its third anniversary", "2013-03-01"),
        ("Expiration Date", "five years from the Effective Date", None),
        ("Expiration Date", "from May 1, 2010 in perpetuity", "perpetual"),
        ("Effective Date", "granted in perpetuity", None),
    ],
)
def test_the_field_chooses_among_dates(field: str, text: str, expected: str | None) -> None:
    assert normalise("date", text, field=field) == expected


TERM = "for five (5)\nyears from the Effective Date"


@pytest.mark.parametrize(
    ("text", "starts", "expected", "reason"),
    [
        (TERM, {"Agreement Date": "2010-02-01", "Effective Date": "2010-03-01"}, "2015-03-01", "effect before signing"),
        (TERM, {"Effective Date": None, "Agreement Date": "2010-02-01"}, "2015-02-01", "the one that is known"),
        (TERM, {"Commencement": "2010-XX-XX"}, "2015-XX-XX", "partial dates stay partial"),
        (TERM, {"Effective Date": "[2010-03-02,2010-02-03]"}, "[2015-03-02,2015-02-03]", "read in two ways"),
        (TERM, {"Expiration Date": "2012-01-01", "Delivery": "2010-01-01"}, None, "neither is a start"),
        (TERM, {}, None, "nothing known"),
        ("until June 1, 2012", {"Effective Date": "2010-03-01"}, "2012-06-01", "the date that is named"),
        ("until the Study ends", {"Effective Date": "2010-03-01"}, None, "no length"),
    ],
)
def test_an_end_is_counted_from_a_start_that_another_field_states(
    text: str, starts: dict[str, object], expected: str | None, reason: str
) -> None:
    assert end_from(text, starts) == expected, reason


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("2020-06-01", "2020-06-01", True),
        ("2020-06-01", "2020-06-02", False),
        ("2020-XX-XX", "2020-06-01", True),
        ("2020-XX-XX", "2020-XX-XX", True),
        ("2020-06-01", "2020-XX-XX", False),  # what the annotator knows has to be found
        ("20XX-XX-XX", "2012-01-01", True),
        ("20XX-XX-XX", "1912-01-01", False),
        ("[2014-05-08,2014-08-05]", "2014-05-08", True),
        ("2014-08-05", "[2014-05-08,2014-08-05]", False),  # the likelier reading is the one that is compared
        ("perpetual", "perpetual", True),
        ("perpetual", "2020-06-01", False),
        ("2020-06-01", None, False),
    ],
)
def test_same_date(gold: str, answer: str | None, same: bool) -> None:
    assert same_value("date", gold, answer) is same


DURATIONS = [
    ("one (1) year", YEAR),
    ("1 year", YEAR),
    ("Successive 1 year", YEAR | {"successive": True}),
    ("succesive 1 year", YEAR | {"successive": True}),
    ("2 successive 5 years", {"value": 5, "unit": "year", "successive": True}),
    ("10 1 years", YEAR),
    ("thirty (30) days", {"value": 30, "unit": "day"}),
    ("ninety days'", {"value": 90, "unit": "day"}),
    ("(6) months", {"value": 6, "unit": "month"}),
    ("60) days", {"value": 60, "unit": "day"}),
    ("one hundred eighty (180) days", {"value": 180, "unit": "day"}),
    ("twenty-four months", {"value": 24, "unit": "month"}),
    ("two-year", {"value": 2, "unit": "year"}),
    ("ten (10) business days", {"value": 10, "unit": "business day"}),
    ("two (2) years and six (6) months", {"value": 30, "unit": "month"}),
    ("for a period of 12 full calendar months", {"value": 12, "unit": "month"}),
    ("6 weeks", {"value": 6, "unit": "week"}),
    ("year-to-year", YEAR | {"successive": True}),
    ("perpetual", "perpetual"),
    ("successive [] years", None),
    ("one hundred and twenty (120) days", {"value": 120, "unit": "day"}),
    ("one or more ninety (90) day periods", {"value": 90, "unit": "day"}),
    ("two (2) - one (1) year terms", YEAR),
    ("open 365 days a year", {"value": 365, "unit": "day"}),
    ("24-hour/365-day service", {"value": 365, "unit": "day"}),
    ("Section 9 and thirty (30) days", {"value": 30, "unit": "day"}),
    ("annually", YEAR | {"successive": True}),
    ("a period of a year", YEAR),
    ("the initial term", None),
    *((text, None) for text in ("3 1/2 years", "2-1/2 years", "1/2 year", "two and 1/2 years", "2½ years")),
    *((text, None) for text in ("half a year", "a half-year", "two and one-half (2.5) years", "two (2½) years")),
    ("one year and a half", None),
    *((text, None) for text in ("semi-annually", "on a semi- annual basis", "bi-annually", "half-yearly")),
    ("two years and 1/2 month", None),
    ("2½ years, renewable for one year", None),
    ("2 to 3 years", None),
    ("2-3 years", None),
    ("three (3), five (5) or ten (10) years", None),
    ("not less than two but not more than five years", None),
    ("two or three years and six months", None),
    ("12 months and 15 days", None),
    ("three (3) years and one half of the royalties are due", {"value": 3, "unit": "year"}),
    ("two years and one half of a year", None),
    ("Phase 1 and 12 months", {"value": 12, "unit": "month"}),
    ("Version 2 and 30 days", {"value": 30, "unit": "day"}),
    ("Version 2 or 30 days", {"value": 30, "unit": "day"}),
    ("by 5:00 or 30 days after notice", {"value": 30, "unit": "day"}),
    *((text, None) for text in ("between 30 and 60 days", "30 or 60 days", "at least 2 and at most 3 years")),
    *((text, None) for text in ("two (2) and 3 years", "each year 2 or 3 days")),
    ("sixty (30) days", None),
    ("0 days", None),
]


@pytest.mark.parametrize(("text", "expected"), DURATIONS)
def test_durations(text: str, expected: object) -> None:
    assert normalise("duration", text) == expected


BOTH = (
    "The term is five (5) years and shall be renewed for additional two (2) year terms unless a party "
    "gives notice at least six (6) months prior to its end."
)


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("Warranty Duration", BOTH, {"value": 5, "unit": "year"}),
        ("Renewal Term", BOTH, {"value": 2, "unit": "year"}),
        ("Notice Period to Terminate Renewal", BOTH, {"value": 6, "unit": "month"}),
        (
            "Renewal Term",
            "for one year, with automatic annual renewals on 60 days notice",
            YEAR | {"successive": True},
        ),
        ("Renewal Term", "runs on a month to month basis after one year", MONTH | {"successive": True}),
        ("Renewal Term", "for ten years; it then continues until terminated by either party", "perpetual"),
        ("Renewal Term", "is renewed for two one-year periods", YEAR),
        ("Renewal Term", "renewed for two five-year terms", {"value": 5, "unit": "year"}),
        ("", "between thirty and sixty days", None),
        ("Notice Period", "between thirty and sixty days", {"value": 30, "unit": "day"}),
        ("Notice Period", "sixty (30) days", {"value": 30, "unit": "day"}),
        ("Notice Period", "not less than 30 nor more than 60 days prior notice", {"value": 30, "unit": "day"}),
        ("Notice Period", "August 31 and sixty (60) days before it", {"value": 60, "unit": "day"}),
        ("Notice Period", "12 months and 15 days", None),
        (
            "",
            "at least thirty (30) but no more than ninety (90) days' prior written notice",
            {"value": 30, "unit": "day"},
        ),
        ("", "at the end of Year 2 and 30 days' prior written notice", {"value": 30, "unit": "day"}),
        ("Notice Period", "at the end of Year 2 or 30 days' prior written notice", {"value": 30, "unit": "day"}),
        ("Notice Period", "as set out in Annex 2 and 30 days' prior written notice", {"value": 30, "unit": "day"}),
        ("", "for one year and 60 days' prior notice", YEAR),
        ("Renewal Term", "renewed for 3 to 5 years, then for one year", None),
        ("", "in the 2019 Calendar Year", None),
        ("Renewal Term", "may end it upon ninety (90) days' written notice", None),
        ("Notice Period", "upon ninety (90) days' written notice", {"value": 90, "unit": "day"}),
    ],
)
def test_the_field_chooses_among_durations(field: str, text: str, expected: object) -> None:
    found = normalise("duration", text, field=field)
    assert found == expected


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        (YEAR, {"value": 12, "unit": "month"}, True),
        (YEAR, {"value": 365, "unit": "day"}, True),
        (YEAR, YEAR | {"successive": True}, True),
        (MONTH, {"value": 30, "unit": "day"}, True),
        ({"value": 6, "unit": "month"}, {"value": 180, "unit": "day"}, True),
        (MONTH, {"value": 4, "unit": "week"}, False),
        ({"value": 60, "unit": "day"}, {"value": 65, "unit": "day"}, False),
        ("perpetual", "perpetual", True),
        ("perpetual", YEAR, False),
        (YEAR, "perpetual", False),
        (YEAR, "1 year", False),
        (YEAR, {"value": "1", "unit": "year"}, False),
        (YEAR, {"value": 1, "unit": "aeon"}, False),
    ],
)
def test_same_duration(gold: object, answer: object, same: bool) -> None:
    assert same_value("duration", gold, answer) is same


JURISDICTIONS = [
    ("California", "California"),
    ("governed by the laws of the State of California", "California"),
    ("under New York law, without regard to the conflict rules of Delaware", "New York"),
    ("laws of the State of Texas, United States of America", "Texas"),
    ("laws of the Province of Ontario and the federal laws of Canada applicable therein", "Ontario"),
    ("Ontario, Canada", "Ontario"),
    ("British  Columbia,Canada", "British Columbia"),
    ("laws of England and Wales", "England and Wales"),
    ("England; Wales", "England and Wales"),
    ("This Agreement is governed by English law.", "England and Wales"),
    ("construed in accordance with Swiss law", "Switzerland"),
    ("People’s Republic of China", "China"),
    ("governed by the laws of PRC", "China"),
    ("the laws of New Mexico", "New Mexico"),
    ("California; Hong Kong", "California; Hong Kong"),
    ("Illinois; New York", "Illinois; New York"),
    ("made in the State of Nevada and construed under the laws thereof", "Nevada"),
    ("laws of Utah; the parties submit to the courts of Idaho", "Utah"),
    ("COMMONWEALTH OF VIRGINIA", "Virginia"),
    ("Papua New Guinea", "Papua New Guinea"),
    ("New South Wales", "New South Wales"),
    ("Washington, D.C.", "District of Columbia"),
    ("governed by the laws of New York and any action shall be brought in Cook County, Illinois", "New York"),
    ("the laws of the State of Delaware. Licensee, a Texas company, agrees", "Delaware"),
    ("construed in accordance with Dutch law; arbitration in Paris, France", "Netherlands"),
    ("laws of the PRC (other than Hong Kong, Macau and Taiwan)", "China"),
    ("governed by the laws of the PRC, which do not include the laws of Hong Kong, the Macau SAR or Taiwan", "China"),
    ("governed by the laws of Utah, excluding those of Idaho", "Utah"),
    ("laws of Delaware, and not by the laws of California", "Delaware"),
    ("China (excluding Hong Kong)", "China"),
    ("governed exclusively by the laws of Utah", "Utah"),
    ("governed by the internal law, and not the law of conflicts, of the State of Utah", "Utah"),
    ("shall waive the application of any law other than the law of Utah", "Utah"),
    ("This Agreement shall not be assigned and New York law governs it.", "New York"),
    ("shall not be governed by the laws of California", None),
    ("Democratic People's Republic of Korea", "North Korea"),
    ("the laws of the Republic of Korea", "South Korea"),
    ("[* * *]", None),
    ("Us and them", None),
    ("turkey and china served cold", None),
]


@pytest.mark.parametrize(("text", "expected"), JURISDICTIONS)
def test_jurisdictions(text: str, expected: str | None) -> None:
    assert normalise("jurisdiction", text) == expected


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("California", "State of California", True),
        ("China", "People's Republic of China", True),
        ("Illinois; New York", "New York; Illinois", True),
        ("Illinois; New York", "Illinois", False),
        ("Texas", "Nevada", False),
        ("Atlantis", "atlantis", True),
    ],
)
def test_same_jurisdiction(gold: str, answer: str, same: bool) -> None:
    assert same_value("jurisdiction", gold, answer) is same


PARTIES = [
    ('Alder Tools, Inc. ("Alder"); Birch LLC ("Distributor")', ["Alder Tools, Inc.", "Birch LLC"]),
    ("Alder Tools, Inc.\nAlder\nDistributor\nBirch LLC", ["Alder Tools, Inc.", "Birch LLC"]),
    (
        "Alder Tools, Inc., Birch LLC and Cedar Co., Ltd.",
        ["Alder Tools, Inc.", "Birch LLC", "Cedar Co., Ltd."],
    ),
    ("Elm Bank, N.A.", ["Elm Bank, N.A."]),
    ("Elm Bank, National Association; Birch LLC", ["Elm Bank, National Association", "Birch LLC"]),
    (
        "Elm Street Bank and Trust Company; Fir Bank and Trust",
        ["Elm Street Bank and Trust Company", "Fir Bank and Trust"],
    ),
    ("Alder Oleo GmbH & Co. KG and Birch LLC", ["Alder Oleo GmbH & Co. KG", "Birch LLC"]),
    ("Alder Tools, Inc. & Birch LLC", ["Alder Tools, Inc.", "Birch LLC"]),
    ("Fir Online (Lisbon) Co., Ltd. (“Party A”)", ["Fir Online (Lisbon) Co., Ltd."]),
    ("ATL\nAlder Tools Ltd\nParty B\nBirch LLC", ["Alder Tools Ltd", "Birch LLC"]),
    ('MARY STONE ("Employee"); Birch LLC ("Company")', ["MARY STONE", "Birch LLC"]),
    (
        'This Agreement is made by and between Alder Tools, Inc., a Delaware corporation ("Alder"), and '
        'Birch LLC, a limited liability company with offices at 1 High Street ("Birch") (each a "Party" and '
        'together the "Parties").',
        ["Alder Tools, Inc.", "Birch LLC"],
    ),
    ('Alder and Birch (collectively the "Parties")', None),
    ('[] ("Member")', None),
    ("Distributor", None),
    ("Party A: Alder Tools Ltd; Birch LLC; WHEREAS, Alder Tools Ltd", ["Alder Tools Ltd", "Birch LLC"]),
    ("John Stone; John Stone Family Trust", ["John Stone", "John Stone Family Trust"]),
    ("John Stone; John Stone Family Trust; Birch LLC", ["John Stone", "John Stone Family Trust", "Birch LLC"]),
    ("Alder; Alder Music Entertainment", ["Alder", "Alder Music Entertainment"]),
    ("Alder Music Entertainment; Alder", ["Alder Music Entertainment"]),
    ("Alder Tools, Inc.; Alder", ["Alder Tools, Inc."]),
    ("Shell; Shelter Holdings", ["Shell", "Shelter Holdings"]),  # of its letters, but no initials
    (
        'Alder ("Alder"); Alder Music Entertainment ("AME"); Birch LLC ("Birch")',
        ["Alder", "Alder Music Entertainment", "Birch LLC"],
    ),
    (
        'Alder Tools, Inc. ("Alder"); Birch LLC ("Birch"); Cedar ("Licensee")',
        ["Alder Tools, Inc.", "Birch LLC", "Cedar"],
    ),
    (
        'Alder Tools, Inc.; Birch LLC; Cedar (collectively the "Parties")',
        ["Alder Tools, Inc.", "Birch LLC"],
    ),
    ("This License Agreement is between Alder Tools, Inc. and Birch LLC", ["Alder Tools, Inc.", "Birch LLC"]),
    ("Between Alder Tools, Inc.; and Birch LLC", ["Alder Tools, Inc.", "Birch LLC"]),
    (
        'This Agreement (the "Agreement") is made on June 1, 2019; by and between Alder Tools, Inc.; Birch LLC',
        ["Alder Tools, Inc.", "Birch LLC"],
    ),
    *((text, [text]) for text in ("Between The Lines LLC", "Among Friends LLC", "Between Friends and Family LLC")),
    ("Birch LLC; Between The Lines LLC", ["Birch LLC", "Between The Lines LLC"]),
    ("BETWEEN: Alder Tools, Inc.; Birch LLC", ["Alder Tools, Inc.", "Birch LLC"]),
    ('This Agreement is between Acme Corp. ("Acme") and John Smith', ["Acme Corp.", "John Smith"]),
    ('It is made by and between Acme Corp. ("Acme"), and John A. Smith.', ["Acme Corp.", "John A. Smith"]),
    ("The Space Between Us LLC; Birch LLC", ["The Space Between Us LLC", "Birch LLC"]),
]


@pytest.mark.parametrize(("text", "expected"), PARTIES)
def test_parties(text: str, expected: list[str] | None) -> None:
    found = normalise("parties", text)
    assert (found and [party["name"] for party in found]) == expected


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        (
            'Alder Tools, Inc. ("Alder"); Birch LLC ("Distributor")',
            [("Alder Tools, Inc.", None), ("Birch LLC", "Distributor")],
            "a short name is no role",
        ),
        (
            "Alder Tools, Inc.; Licensor; Birch LLC; the Licensee",
            [("Alder Tools, Inc.", "Licensor"), ("Birch LLC", "Licensee")],
            "names and defined terms quoted apart",
        ),
        (
            'by and between Alder Tools, Inc., a Delaware corporation (the "Seller"), and Birch LLC, a limited '
            'liability company (hereinafter "Buyer") (each a "Party" and together the "Parties")',
            [("Alder Tools, Inc.", "Seller"), ("Birch LLC", "Buyer")],
            "in the sentence that introduces them; everybody is a party",
        ),
        ('Birch LLC ("Birch" or the "Company")', [("Birch LLC", "Company")], "the term that is one"),
        ("Birch LLC", [("Birch LLC", None)], "no term"),
    ],
)
def test_roles(text: str, expected: list[tuple[str, str | None]], reason: str) -> None:
    assert [(party["name"], party["role"]) for party in normalise("parties", text) or ()] == expected, reason


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        (["Alder Tools, Inc.", "Birch LLC"], ["BIRCH, L.L.C.", "The Alder Tools Incorporated"], True),
        (["Société Orme S.A."], ["Societe Orme SA"], True),
        (["Alder Inc. d/b/a Old Alder"], ["Alder Inc."], True),
        (["Alder Tools, Inc.", "Birch LLC"], ["Alder Tools, Inc."], False),
        (["Alder Tools, Inc."], ["Alder Tools, Inc.", "Birch LLC"], False),
        (["Alder Tools, Inc."], ["Birch LLC"], False),
        (["Alder Tools, Inc."], "Alder Tools, Inc.", False),
        ([{"name": "Birch LLC", "role": "Buyer"}], [{"name": "Birch, L.L.C.", "role": None}], True),
        ([{"name": "Birch LLC", "role": "Buyer"}], ["Alder Tools, Inc."], False),
        (["Birch LLC"], [{"role": "Buyer"}], False),
    ],
)
def test_same_parties(gold: list[object], answer: object, same: bool) -> None:
    assert same_value("parties", gold, answer) is same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$1,000,000", (1_000_000, "USD")),
        ("one million dollars ($1,000,000.00)", (1_000_000, "USD")),
        ("a cap of US$ 5 million", (5_000_000, "USD")),
        ("USD 10,000.50", (10_000.5, "USD")),
        ("€3.5 billion", (3_500_000_000, "EUR")),
        ("£250k", (250_000, "GBP")),
        ("5,000 euros", (5_000, "EUR")),
        ("RMB 300", (300, "CNY")),
        ("ten thousand dollars", (10_000, "USD")),
        ("10,000 US dollars", (10_000, "USD")),
        ("thirty (30) days", None),
        ("One Million Five Hundred Thousand and 00/100 Dollars ($1,500,000.00)", (1_500_000, "USD")),
        ("Five Thousand and No/100 Dollars ($5,000.00)", (5_000, "USD")),
        ("S$500,000", (500_000, "SGD")),
        ("AU$ 500,000", (500_000, "AUD")),
        ("NZ$5,000", (5_000, "NZD")),
        ("R$5,000", (5_000, "BRL")),
        ("X$5,000", None),
        ("EUR 250.000", None),  # a quarter of a million, or 250
        ("EUR 1.250.000,50", (1_250_000.5, "EUR")),
        ("EUR 250.000,00", (250_000, "EUR")),
        ("$1.125 a unit", (1.125, "USD")),
        ("INR 10,00,000", (1_000_000, "INR")),
        ("CHF 1'000’000", (1_000_000, "CHF")),
        ("$1,00,00", None),
        ("$" + "9" * 400, None),
        ("Five (5) Million Dollars ($5,000,000)", (5_000_000, "USD")),
        ("two and one-half million dollars ($2,500,000)", (2_500_000, "USD")),
        ("$55 CAD", (55, "CAD")),
        ("$117,605.60 CDN", (117_605.6, "CAD")),
        ("$500 Canadian", (500, "CAD")),
        ("100 Canadian dollars", (100, "CAD")),
        ("one hundred Australian dollars", (100, "AUD")),
        ("$500 U.S. dollars", (500, "USD")),
        ("20,000 pounds of Product at $2.50", (2.5, "USD")),
        ("20,000 pounds sterling", (20_000, "GBP")),
        ("the cap is 500 000 USD", (500_000, "USD")),
        ("shall not exceed 2\u00a0000\u00a0000 EUR", (2_000_000, "EUR")),
        ("EUR 250 000 per year", (250_000, "EUR")),
        ("£50 000", (50_000, "GBP")),
        ("EUR 250 000,50", (250_000.5, "EUR")),
        ("$1 000 000.50", (1_000_000.5, "USD")),
        ("a fee of $25 4 times a year", (25, "USD")),
        ("$250 365 days", (250, "USD")),
        ("$100 500 shares", (100, "USD")),
        ("$50 100% paid", (50, "USD")),
        *(
            (text, None)
            for text in ("Article 3 100 dollars", "Article 3 100 000 dollars", "$2 000 365 days", "$12 500")
        ),
        ("$1 234 567", (1_234_567, "USD")),
        ("CDN $500,000", (500_000, "CAD")),
        ("Cdn. $500,000", (500_000, "CAD")),
        ("500,000 CDN", (500_000, "CAD")),
        ("Canadian $500", (500, "CAD")),
        ("Australian $500,000", (500_000, "AUD")),
        ("US $500", (500, "USD")),
        ("in Hong Kong. $500 is due", (500, "USD")),
        ("$500,000 (CAD)", (500_000, "CAD")),
        ("$500,000 (Canadian dollars)", (500_000, "CAD")),
        ("$500,000 (CAD 650,000)", (500_000, "USD")),
        ("¥500,000 RMB", (500_000, "CNY")),
        ("RMB ¥500,000", (500_000, "CNY")),
        ("USD 5 mil", (5_000_000, "USD")),
        ("USD 5 mn", (5_000_000, "USD")),
        ("EUR 5 Mio.", (5_000_000, "EUR")),
        ("INR 5 crore", (50_000_000, "INR")),
        ("INR 2.5 lakhs", (250_000, "INR")),
        ("$1 trillion", (1_000_000_000_000, "USD")),
        ("$5 millions", (5_000_000, "USD")),
        ("$5-10 million", (5_000_000, "USD")),
        ("between $1 and $2 million", (1_000_000, "USD")),
        ("$500,000 to $1 million", (500_000, "USD")),
        ("$100 and $2 million", (100, "USD")),
        ("$1 million five days after signing", (1_000_000, "USD")),
        ("$14.570 million", (14_570_000, "USD")),
        ("EUR 0.125", (0.125, "EUR")),
        ("$0.250", (0.25, "USD")),
        *((text, None) for text in ("1 0000 USD", "$1 0000", "$500 2019", "on June 1, 2019 500 USD", "EUR 5 000,000")),
        *((text, None) for text in ("Jamaican $500", "USD 10.000", "MXN 1.000", "USD 12.345", "$10.000")),
        *((text, None) for text in ("MXN 5 mil", "$1 million five hundred thousand")),  # "mil" is a thousand in Spanish
    ],
)
def test_money(text: str, expected: tuple[float, str] | None) -> None:
    found = normalise("money", text)
    assert found == (None if expected is None else {"amount": expected[0], "currency": expected[1]})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (False, "no"),
        ("New York", "New York"),
        ([{"name": "Birch LLC", "role": "Distributor"}, {"name": "Oak", "role": None}], "Birch LLC (Distributor); Oak"),
        ({"value": 1, "unit": "year", "successive": True}, "1 year, successive"),
        ({"value": 30, "unit": "day"}, "30 days"),
        ({"amount": 1000000, "currency": "USD"}, "USD 1,000,000"),
        ({"amount": 12.5, "currency": "EUR"}, "EUR 12.5"),
        ({"kind": "cap", "of": [1, 2], "note": None}, "kind: cap, of: 1; 2"),
        (None, ""),
    ],
)
def test_a_value_in_words(value: object, words: str) -> None:
    assert in_words(value) == words


def test_same_money() -> None:
    gold = {"amount": 100, "currency": "USD"}
    assert same_value("money", gold, {"amount": 100.004, "currency": "USD"})
    assert not same_value("money", gold, {"amount": 100.01, "currency": "USD"})
    assert not same_value("money", gold, {"amount": 100, "currency": "EUR"})
    assert not same_value("money", gold, {"amount": None, "currency": "USD"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes", True),
        ("true", True),
        ("No", False),
        ("A party may audit the books.", True),
        ("N/A", None),
        ("", None),
    ],
)
def test_booleans(text: str, expected: bool | None) -> None:
    assert normalise("boolean", text) is expected


def test_same_boolean_is_exact() -> None:
    assert same_value("boolean", True, True)
    assert not same_value("boolean", True, False)
    assert not same_value("boolean", True, "Yes")
    assert not same_value("boolean", True, None)


def test_text() -> None:
    assert normalise("text", "  Supply\n  Agreement ") == "Supply Agreement"
    assert same_value("text", "SUPPLY AGREEMENT", "Supply Agreement.")
    assert not same_value("text", "Supply Agreement", "Agreement")


def test_text_is_the_same_from_085_on() -> None:
    gold = " ".join(string.ascii_lowercase[:20])
    assert same_value("text", gold, " ".join(string.ascii_lowercase[:17]))  # 17 / 20 = 0.85
    assert not same_value("text", gold, " ".join(string.ascii_lowercase[:16]))


def test_tokens_are_cuads() -> None:
    assert tokens("And/Or: the U.S.,\n the END;") == {"and", "or", "the", "us", "end"}
    assert jaccard(tokens("a b c"), tokens("b c d")) == 0.5
    assert jaccard(tokens(""), tokens("..")) == 0.0


def test_an_unknown_type_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        normalise("colour", "red")
    with pytest.raises(KeyError):
        same_value("colour", "red", "red")


@settings(max_examples=60)
@given(st.dates(min_value=datetime.date(1900, 1, 1), max_value=datetime.date(2099, 12, 31)))
def test_every_date_is_read_back_from_every_style(day: datetime.date) -> None:
    suffix = "th" if 4 <= day.day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    for text in (
        day.isoformat(),
        f"{day:%B} {day.day}, {day.year}",
        f"dated as of {day:%b} {day.day}, {day.year} between",
        f"{day.day}{suffix} day of {day:%B}, {day.year}",
        f"{day.day} {day:%B} {day.year}",
    ):
        assert normalise("date", text) == day.isoformat()
    written = normalise("date", f"{day.month}/{day.day}/{day.year}")
    both = day.month != day.day <= 12
    swapped = f"{day.year}-{day.day:02d}-{day.month:02d}"
    assert written == (f"[{day.isoformat()},{swapped}]" if both else day.isoformat())
    assert same_value("date", day.isoformat(), written)
    assert normalise("date", f"{day.day}/{day.month}/{day.year} or 31/1/2000") == day.isoformat()


@settings(max_examples=60)
@given(st.integers(1, 999), st.sampled_from(["day", "week", "month", "year"]))
def test_every_duration_is_read_back(value: int, unit: str) -> None:
    assert normalise("duration", f"for a term of {value} {unit}s from now") == {"value": value, "unit": unit}


LEGAL = st.text(alphabet="abcAI019 ,.;/()[]_\n-\"'“”$é●", max_size=60)
PIECES = (
    *(
        "one",
        "thirty",
        "(30)",
        "days",
        "year",
        "anniversary",
        "third",
        "June",
        "21,",
        "1999",
        "___",
        "[]",
        "/",
    ),
    *("5/8/14", "State of", "New York", "laws", "the", "Inc.", "LLC", "and", ",", "(", ")", '"', "Company"),
    *("perpetual", "until terminated", "renew", "notice", "prior", "$5", "million"),
)
WORDS = st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join)


@settings(max_examples=150)
@given(
    st.sampled_from(KINDS),
    st.one_of(LEGAL, WORDS),
    st.sampled_from(["", "Renewal Term", "Notice", "Expiration Date"]),
)
def test_any_text_is_read_and_a_value_is_the_same_as_itself(kind: str, text: str, field: str) -> None:
    value = normalise(kind, text, field=field)
    if value is not None and not (kind == "text" and not tokens(value)):
        assert same_value(kind, value, value)
    if kind in ("date", "jurisdiction") and value is not None:
        assert normalise(kind, value) == value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "piece", ["_ ", "_", "[ ] ", "one ", "( ", '"', "and A, ", "Inc, ", "law of ", "1/", "within 1 day ", "100 "]
)
def test_long_runs_take_linear_time(kind: str, piece: str) -> None:
    started = time.process_time()
    for field in ("", "Renewal Term", "Notice Period", "Expiration Date"):
        normalise(kind, piece * 1500 + "x", field=field)
    assert time.process_time() - started < 2.0


SHARES = {  # field: type, least share of answers that are read, least share of quotes that give the answer
    "Document Name": ("text", 1.0, 0.98),
    "Parties": ("parties", 0.99, 0.82),
    "Agreement Date": ("date", 0.99, 0.98),
    "Effective Date": ("date", 0.99, 0.94),
    "Expiration Date": ("date", 0.99, 0.34),
    "Renewal Term": ("duration", 0.98, 0.93),
    "Notice Period to Terminate Renewal": ("duration", 1.0, 0.96),
    "Governing Law": ("jurisdiction", 0.99, 0.98),
}


@pytest.fixture(scope="module")
def rows(cuad_dir: Path) -> list[dict[str, str]]:
    with (cuad_dir / "master_clauses.csv").open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("field", SHARES)
def test_share_of_cuads_answers_that_are_read(rows: list[dict[str, str]], field: str) -> None:
    kind, least_read, least_agreed = SHARES[field]
    answers, agreed = [], []
    for row in rows:
        if is_null(row[f"{field}-Answer"], quoted=True):
            continue
        gold = normalise(kind, row[f"{field}-Answer"])
        answers.append(gold is not None)
        cell = row[field]
        quotes = ast.literal_eval(cell) if cell.startswith("[") else [cell]
        text = "\n".join(quotes).replace("<omitted>", "\n")
        if gold is not None and text.strip():
            agreed.append(same_value(kind, gold, normalise(kind, text, field=field)))
    assert sum(answers) / len(answers) >= least_read
    assert sum(agreed) / len(agreed) >= least_agreed
