"""Language and drafting: what either side writes, and that one word decides nothing."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from lextune.core.records import Document
from lextune.data.synthesis import generate
from lextune.expert.schema import load_schema
from lextune.text.drafting import drafting, language, tag

CASES = [
    ("The licence fee is due in instalments; the licensor shall procure that its staff fulfil their duties.", "UK"),
    ("This agreement is governed by the laws of England and Wales. Clause 3 is subject to VAT.", "UK"),
    (
        "Registered office: 1 High Street. Dated 31 January 2020, ending on 28 February 2021 at the registered office.",
        "UK",
    ),
    ("Delivered on 31/01/2020, 28/02/2020 and 30/03/2020, and labelled with the colour of the programme.", "UK"),
    ("The labor is authorized; fulfillment at the center is in installments.", "US"),
    ("Acme LLC, a Delaware limited liability company, pays attorneys’ fees under Section 9 and Exhibit A.", "US"),
    ("Dated January 31, 2020 and ending February 28, 2021, under the laws of the State of Ohio.", "US"),
    ("Delivered on 01/31/2020, 02/28/2020 and 03/30/2020 to the county by the corporation.", "US"),
    ("The parties agree to talk.", "unknown"),
    ("A licence was shown to the United States.", "unknown"),
    ("", "unknown"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_drafting(text: str, expected: str) -> None:
    found = drafting(text)
    assert found.kind == expected, found
    assert -1 < found.score < 1
    assert set(found.evidence) == {"spelling", "terms", "dates"}
    assert drafting(text.upper()).kind == expected


def test_evidence_names_both_sides() -> None:
    found = drafting("The colour and the color. 1 May 2020. May 1, 2020.")
    assert found.evidence["spelling"] == (1.5, 1.0)
    assert found.evidence["dates"] == (2.0, 2.0)
    assert found.evidence["terms"] == (0, 0)


def test_both_ends_of_a_long_text_are_read() -> None:
    ends = "governed by the laws of England and Wales under the Companies Act 2006. " * 3
    middle = "the corporation of the State of Delaware " * 20_000
    assert drafting(ends + middle).evidence["terms"].uk > 0
    assert drafting(middle + ends).evidence["terms"].uk > 0
    assert drafting("x " * 120_000 + ends + "x " * 120_000).evidence["terms"].uk == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This agreement is made between the parties and is governed by the law of the place.", "en"),
        ("GOVERNING LAW THIS AGREEMENT SHALL BE GOVERNED BY THE LAWS OF ENGLAND", "en"),
        ("Le présent contrat est régi par le droit français et les parties en conviennent.", "fr"),
        ("Dieser Vertrag unterliegt deutschem Recht; die Parteien vereinbaren das Folgende.", "de"),
        ("1. 2. 3.", "unknown"),
        ("", "unknown"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert language(text) == expected


def test_the_middle_of_a_long_text_counts() -> None:
    german = "Dieser Vertrag unterliegt deutschem Recht und die Parteien vereinbaren das Folgende. "
    assert language("Agreement " * 5 + german * 200 + "by and between") == "de"


def test_tags_are_added_to_those_there_are() -> None:
    text = "The licence is governed by the laws of England and Wales; the licensee shall procure that VAT is paid."
    document = Document(id="a", name="a", sha256="0", text=text, tags={"mine": "x"})
    assert tag(document).tags == {"mine": "x", "language": "en", "drafting": "UK"}
    french = document.model_copy(
        update={"text": "Le présent contrat est régi par le droit français. England and Wales."}
    )
    assert tag(french).tags["drafting"] == "unknown"


def test_generated_contracts_are_told() -> None:
    """Their house style is not in the record; the form of the first party's company gives it away."""
    found: Counter[bool] = Counter()
    for document in generate(80, 991, schema=load_schema("clauses-47")):
        british = re.search(r" (?:limited|ltd|plc) - ", document.name, re.IGNORECASE)
        found[drafting(document.text).kind == ("UK" if british else "US")] += 1
    assert found[True] >= 0.95 * found.total()


def test_governing_law_of_real_contracts_agrees(cuad_dir: Path) -> None:
    """Another measure, with exceptions: English law can govern an American draft."""
    with (cuad_dir / "master_clauses.csv").open(encoding="utf-8-sig", newline="") as stream:
        law = {row["Filename"]: row["Governing Law-Answer"] for row in csv.DictReader(stream)}
    us = [name for name, answer in law.items() if answer in ("New York", "Delaware", "California", "Texas")][:25]
    uk = [name for name, answer in law.items() if "England" in answer]
    folder = cuad_dir / "full_contract_txt"
    kinds: dict[str, Counter[str]] = {"US": Counter(), "UK": Counter()}
    for expected, names in (("US", us), ("UK", uk)):
        for name in names:
            file = folder / f"{Path(name).stem}.txt"
            if file.is_file():
                kinds[expected][drafting(file.read_text(encoding="utf-8")).kind] += 1
    assert kinds["US"]["US"] >= 0.95 * kinds["US"].total() > 0
    assert kinds["UK"]["UK"] >= 0.7 * kinds["UK"].total() > 0
