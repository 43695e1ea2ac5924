from __future__ import annotations

import pytest

from lextune.text.durations import end_of, end_of_term


@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [
        ("1999-06-21", {"value": 1, "unit": "year"}, "2000-06-21"),
        ("2010-01-31", {"value": 1, "unit": "month"}, "2010-02-28"),
        ("2012-02-29", {"value": 1, "unit": "year"}, "2013-02-28"),
        ("2010-11-15", {"value": 1, "unit": "quarter"}, "2011-02-15"),
        ("2010-12-31", {"value": 2, "unit": "week"}, "2011-01-14"),
        ("2010-12-31", {"value": 30, "unit": "day"}, "2011-01-30"),
        ("2015-XX-XX", {"value": 24, "unit": "month"}, "2017-XX-XX"),
        ("2015-11-XX", {"value": 3, "unit": "month"}, "2016-02-XX"),
        ("2015-XX-XX", {"value": 6, "unit": "month"}, None),
        ("20XX-01-01", {"value": 1, "unit": "year"}, None),
        ("2015-XX-XX", {"value": 6, "unit": "day"}, None),
        ("2015-01-01", {"value": 6, "unit": "business day"}, None),
        ("2015-XX-XX", {"value": 6, "unit": "business day"}, None),
        ("9999-12-31", {"value": 60, "unit": "day"}, None),
        ("", {"value": 1, "unit": "year"}, None),
        ("perpetual", {"value": 1, "unit": "year"}, None),
        ("2015-01-01", "perpetual", "perpetual"),
    ],
)
def test_end_of(start: str, duration: object, expected: str | None) -> None:
    assert end_of(start, duration) == expected


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("five (5) years from the Effective Date", "2010-03-01", "2015-03-01"),
        ("until the fifth (5t h) anniversary of the Effective Date", "2010-03-01", "2015-03-01"),
        ("until the 2nd anniversary hereof", "2010-03-01", "2012-03-01"),
        ("until the second anniversary of June 1, 2015", "2010-03-01", "2017-06-01"),
        ("until thirty days before December 31, 2012", "2010-03-01", None),
        ("until December 31, 2012, or two years", "2010-03-01", "2012-12-31"),
        ("on thirty (30) days notice, after two years", "2010-03-01", "2012-03-01"),
        ("five (5) years from the Effective Date", None, None),
        (
            "It begins March 1, 2018 and runs five years; the first fee is due 30 days after April 1, 2018",
            None,
            "2023-03-01",
        ),
        (
            "The term commences on January 1, 2015 and continues for five (5) years. "
            "Fees are due within 30 days after June 30, 2015",
            None,
            "2020-01-01",
        ),
        ("shall expire five (5) years after January 1, 2019", None, "2024-01-01"),
        ("expires on the fifth anniversary of January 1, 2019", None, "2024-01-01"),
        ("expires on the 5-year anniversary of January 1, 2019", None, "2024-01-01"),
        ("two to three years from the Effective Date", "2010-03-01", None),
        ("2 1/2 years from the Effective Date", "2010-03-01", None),
        ("until it is terminated by a party", "2010-03-01", "perpetual"),
        ("until the patents expire", "2010-03-01", None),
    ],
)
def test_end_of_term(text: str, start: str | None, expected: str | None) -> None:
    assert end_of_term(text, start) == expected
