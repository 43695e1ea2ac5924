"""The British twin: what changes, what stays, and labels that go with it."""

from __future__ import annotations

import time
from collections import Counter
from importlib import resources
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.core.records import Document, FieldLabel, Span
from lextune.data.importers.intake import Options, import_source
from lextune.data.synthesis import generate
from lextune.expert.schema import load_schema
from lextune.text.anglicise import TERMS, anglicise, anglicise_text, find_changes
from lextune.text.dates import find_dates
from lextune.text.drafting import drafting
from lextune.text.edits import restore
from lextune.text.rewriting import Rewritten, rewrite
from lextune.text.spans import collapse, cuts_word
from lextune.text.values import normalise

SCHEMA = load_schema("clauses-47")
CASES = [
    # dates
    ("dated January 5, 2020.", "dated 5 January 2020."),
    ("dated January\n5, 2020.", "dated 5\nJanuary 2020."),
    ("MARCH 1st, 1999", "1st MARCH 1999"),
    ("Sept. 5, 2020", "5 Sept. 2020"),
    ("as of the 12th day of April, 2021", "as of 12 April 2021"),
    ("this 5th day of January, 2020", "this 5th day of January, 2020"),
    ("from January 1 to December 31 of a year", "from 1 January to 31 December of a year"),
    ("5 January 2020", "5 January 2020"),
    ("January 1-15, 2020", "January 1-15, 2020"),
    ("on 01/31/2020 and 1/31/20", "on 31/01/2020 and 31/1/20"),
    ("on 01/05/2020", "on 01/05/2020"),  # it can be read both ways
    ("on 01/05/2020 and 01/31/2020", "on 05/01/2020 and 31/01/2020"),  # and here in one alone
    ("on 01/05/2020, 31/01/2020 and 02/28/2020", "on 05/01/2020, 31/01/2020 and 28/02/2020"),
    ("on 01-05-2020 and 01-31-2020", "on 05-01-2020 and 31-01-2020"),
    ("31/01/2020", "31/01/2020"),
    # the parts of a contract, and of a statute
    ("Under Section 5.1 hereof and Sections 6 and 7", "Under clause 5.1 hereof and clauses 6 and 7"),
    ("Section 5. Term", "Clause 5. Term"),
    ("SECTION 5", "CLAUSE 5"),
    ("Section 365 of the Bankruptcy Code", "Section 365 of the Bankruptcy Code"),
    ("Section 10(b) of the Securities Exchange Act", "Section 10(b) of the Securities Exchange Act"),
    ("an Exhibit and Exhibits A and B", "a Schedule and Schedules A and B"),
    ("Exhibit A and Schedule 1", "Annex A and Schedule 1"),
    ("Exhibit A, Schedule 1, Annex 2", "Exhibit A, Schedule 1, Annex 2"),
    ("to exhibit the goods", "to exhibit the goods"),
    # terms
    ("Attorneys’ Fees", "Legal Costs"),
    ("reasonable attorney's\nfees", "reasonable legal costs"),
    ("an attorney", "a legal adviser"),
    ("a power of attorney and an attorney-in-fact", "a power of attorney and an attorney-in-fact"),
    ("the Attorney General", "the Attorney General"),
    ("by registered or certified mail, return receipt requested", "by recorded delivery"),
    ("sales and use taxes", "value added taxes"),
    ("paid by check; checks payable; check it", "paid by cheque; cheques payable; check it"),
    ("except as provided", "save as provided"),
    ("W I T N E S S E T H:", "BACKGROUND:"),
    ("the judgment of a court", "the judgment of a court"),
    # spelling by sense
    ("grants a license to use", "grants a licence to use"),
    ("to license or sublicense the Works", "to license or sublicense the Works"),
    ("Licensor hereby licenses the Marks", "Licensor hereby licenses the Marks"),
    ("LICENSE AGREEMENT", "LICENCE AGREEMENT"),
    ("an exclusive sublicense", "an exclusive sublicence"),
    ("may practice the invention; best practice", "may practise the invention; best practice"),
    ("the loyalty program", "the loyalty programme"),
    ("a computer program; the Program", "a computer program; the Program"),
    # names, addresses, law
    ("Harbor Labor Systems, Inc. shall labor", "Harbor Labor Systems, Inc. shall labour"),
    ("the Fair Labor Standards Act and labor", "the Fair Labor Standards Act and labour"),
    ("at 5 Harbor Street in a harbor", "at 5 Harbor Street in a harbour"),
    ("mail to color@labor.com or www.center.com", "mail to color@labor.com or www.center.com"),
    (
        "the laws of the State of Delaware; $5,000 in U.S. dollars",
        "the laws of the State of Delaware; $5,000 in U.S. dollars",
    ),
]


@pytest.mark.parametrize(("american", "expected"), CASES)
def test_what_changes(american: str, expected: str) -> None:
    assert anglicise_text(american) == expected
    assert anglicise_text(expected) == expected, "a twin's twin is itself"


def test_names_of_the_parties_stay_wherever_they_stand() -> None:
    text = "Between Labor Ready and Color Center. Labor Ready sells labor by color."
    assert anglicise_text(text, ["Labor Ready", "Color Center"]) == text.replace("labor by color", "labour by colour")


def _document(text: str, **parts: str) -> Document:
    labels = {}
    for name, part in parts.items():
        start = text.index(part)
        labels[name] = FieldLabel(
            parts=(part,), spans=((Span(start=start, end=start + len(part)),),), answer="as it was"
        )
    return Document(id="d", name="d.txt", sha256="0", text=text, labels=labels, tags={"drafting": "US"})


def test_a_twin_has_labels_pages_and_a_name_of_its_own() -> None:
    text = "The program starts on January 5, 2020.\fColor is labor in any center."
    cut = text.index("\f") + 1
    document = _document(text, Start="January 5, 2020", Work="labor in any center").model_copy(
        update={"pages": (Span(start=0, end=cut), Span(start=cut, end=len(text)))}
    )
    twin = anglicise(document).document
    assert twin.text == "The programme starts on 5 January 2020.\fColour is labour in any centre."
    assert (twin.id, twin.name, twin.tags) == ("d+uk", "d.txt (UK twin)", {"drafting": "UK", "twin": "UK"})
    assert twin.sha256 != document.sha256
    assert twin.labels["Start"].parts == ("5 January 2020",)
    assert twin.labels["Work"].parts == ("labour in any centre",)
    assert twin.labels["Work"].answer == "as it was"
    assert [(p.start, p.end) for p in twin.pages] == [(0, cut + 1), (cut + 1, len(twin.text))]
    assert restore(twin.text, twin.edits) == text
    assert anglicise(twin).document == twin


def test_a_change_that_a_quote_ends_inside_of_is_not_made() -> None:
    twin = anglicise(_document("It starts on January 5, 2020 in color.", Start="January 5")).document
    assert twin.text == "It starts on January 5, 2020 in colour."
    assert twin.labels["Start"].parts == ("January 5",)


def test_places_of_a_part_that_read_otherwise_now_are_left_out() -> None:
    text = "a license. They license."
    places = (Span(start=2, end=9), Span(start=16, end=23))
    document = _document(text).model_copy(update={"labels": {"L": FieldLabel(parts=("license",), spans=(places,))}})
    label = anglicise(document).document.labels["L"]
    assert (label.parts, label.spans) == (("licence",), ((Span(start=2, end=9),),))


def test_a_part_that_stands_nowhere_is_changed_by_itself() -> None:
    document = _document("No such words.").model_copy(
        update={"labels": {"L": FieldLabel(parts=("the favorable color",), spans=((),))}}
    )
    assert anglicise(document).document.labels["L"].parts == ("the favourable colour",)


@pytest.fixture(scope="module")
def samples() -> list[tuple[Document, Rewritten]]:
    """The package's sample contracts with their twins."""
    folder = Path(str(resources.files("lextune.resources").joinpath("sample_contracts")))
    found = import_source(folder, Options(SCHEMA), "cuad")
    return [(document, anglicise(document)) for document in found if isinstance(document, Document)]


def test_the_twins_of_the_samples_keep_their_labels_and_answers(samples: list[tuple[Document, Rewritten]]) -> None:
    assert len(samples) == 48
    for document, made in samples[::3]:
        _check(document, made)


def _check(document: Document, made: Rewritten) -> None:
    twin = made.document
    for change in made.changes:
        assert not cuts_word(document.text, change.start)
        assert not cuts_word(document.text, change.end)
    assert rewrite(twin, find_changes(twin.text, _names(twin))).changes == ()
    for page in twin.pages[1:]:
        assert 0 <= page.start <= page.end <= len(twin.text)
    for name, label in document.labels.items():
        moved = twin.labels[name]
        assert (moved.answer, len(moved.parts)) == (label.answer, len(label.parts))
        for part, spans, before in zip(moved.parts, moved.spans, label.spans, strict=True):
            assert {collapse(twin.text[s.start : s.end]) for s in spans} <= {collapse(part)}
            assert bool(spans) == bool(before)
        kind = next(field.type for field in SCHEMA.fields if field.name == name)
        if kind != "text":
            values = [normalise(kind, "\n".join(one.parts), field=name) for one in (label, moved)]
            assert values[0] == values[1], name


def _names(document: Document) -> tuple[str, ...]:
    return document.labels["Parties"].parts if "Parties" in document.labels else ()


def test_the_twins_of_the_samples_are_in_british_drafting(samples: list[tuple[Document, Rewritten]]) -> None:
    kinds = Counter((drafting(d.text).kind, drafting(made.document.text).kind) for d, made in samples)
    assert kinds["US", "UK"] >= 0.8 * sum(count for (before, _), count in kinds.items() if before == "US")
    assert not [after for _, after in kinds if after == "US"]


def test_the_twins_of_generated_contracts_keep_theirs() -> None:
    for document in generate(6, 5, schema=SCHEMA):
        _check(document, anglicise(document))


@given(st.lists(st.sampled_from([american for american, _ in CASES]), max_size=8), st.sampled_from(["; ", ".\n"]))
def test_a_twin_of_a_twin_is_itself_and_its_dates_are_the_same(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    twin = anglicise_text(text)
    assert anglicise_text(twin) == twin
    assert sorted(d.value for d in find_dates(twin)) == sorted(d.value for d in find_dates(text))


def test_long_runs_of_anything_take_no_time() -> None:
    started = time.perf_counter()
    for text in (
        "_" * 200_000,
        "A" * 200_000,
        "January x 5" + " " * 200_000,
        "Aa " * 70_000,
        "x@" * 100_000,
        "A-" * 100_000,
    ):
        assert find_changes(text) == []
    assert [change.new for change in find_changes("January 5" + " " * 200_000)] == ["5 January"]
    assert time.perf_counter() - started < 20, "quadratic, it would take hours"


def test_no_term_is_changed_twice() -> None:
    for _, british in TERMS:
        assert anglicise_text(british) == british


def test_twins_of_real_contracts(cuad_dir: Path) -> None:
    found = import_source(cuad_dir, Options(SCHEMA), "cuad")
    for document in islice((item for item in found if isinstance(item, Document)), 8):
        _check(document, anglicise(document))
