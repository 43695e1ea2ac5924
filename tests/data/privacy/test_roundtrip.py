"""Pseudonymise, then restore: the same document, whatever it holds."""

from __future__ import annotations

import hashlib
import string
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lextune.core.records import Document, Edit, FieldLabel, Message, Span
from lextune.data.privacy.beside import Beside, each_string
from lextune.data.privacy.kinds import KINDS
from lextune.data.privacy.pseudonyms import PSEUDONYM, Mask, Pseudonyms
from lextune.data.privacy.rewrite import TAG, look, replace_personal, restore_document
from lextune.text.reading import read_document
from lextune.text.spans import collapse, locate

TAGS = {TAG: "abc"}
SNIPPETS = st.sampled_from(
    [
        "John Smith", "JOHN SMITH", "J. Smith", "Mr. Smith", "John\nSmith", "John  A. Smith, Jr.", "Acme Widgets, Inc.",
        "jane@example.com", "(212) 555-0147", "123-45-6789", "GB82 WEST 1234 5698 7654 32",
        "12 Elm Street, Dover, DE 19901",
        "[PERSON_1]", "[PERSON_", "1]", "[EMAIL_2.3]", "⟦Alan", "Whitfield⟧", "⟦x⟧", "[", "]", "⟦", "⟧", "[LITERAL_1]",
        "/s/ ", "Name: ", " ", "\n", "\u00a0", ", ", "Attention: ", "the Company shall", "é", "\U0001f600",
    ]
)  # fmt: skip
TEXTS = st.lists(st.one_of(SNIPPETS, st.text(string.printable + "⟦⟧é \u2028", max_size=8)), max_size=14).map("".join)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = draw(TEXTS)
    offsets = st.integers(-2, len(text) + 3)
    spans = st.builds(lambda a, b: Span(start=min(a, b), end=max(a, b)), offsets, offsets)

    def label() -> FieldLabel:
        kept = draw(st.lists(spans, max_size=3))
        parts = [text[max(0, s.start) : max(0, s.end)] for s in kept]
        parts = [draw(st.sampled_from([part, collapse(part), draw(TEXTS)])) for part in parts]
        places = tuple((span, *draw(st.lists(spans, max_size=1))) for span in kept)
        return FieldLabel(parts=tuple(parts), spans=places, answer=draw(st.none() | TEXTS))

    sha256 = hashlib.sha256(draw(st.sampled_from([text, "", "other bytes"])).encode()).hexdigest()
    return Document(
        id=draw(TEXTS | TEXTS.map(lambda stem: f"{stem}-{sha256[:8]}")),
        name=draw(TEXTS),
        sha256=sha256,
        text=text,
        pages=tuple(draw(st.lists(spans, max_size=2))),
        source=draw(st.none() | TEXTS),
        annotator=draw(st.none() | TEXTS),
        rejected=draw(st.none() | TEXTS),
        turns=tuple(Message(role="user", content=t) for t in draw(st.lists(TEXTS, max_size=2))),
        edits=tuple(Edit(start=s.start, end=s.end, original=draw(TEXTS)) for s in draw(st.lists(spans, max_size=1))),
        tags=draw(st.dictionaries(st.sampled_from(["language", "lawyer"]), TEXTS)),
        labels={name: label() for name in draw(st.sets(st.sampled_from("ab")))},
    )


@settings(max_examples=60)
@given(st.lists(documents(), min_size=1, max_size=3), st.sampled_from(["placeholder", "realistic"]))
def test_restoring_gives_the_same_documents(rows: list[Document], style: str) -> None:
    pseudonyms = Pseudonyms(style)  # type: ignore[arg-type]
    changed = [replace_personal(d, look(d, KINDS, reversible=True), pseudonyms, TAGS) for d in rows]
    again = Pseudonyms(style, list(pseudonyms.rows()))  # type: ignore[arg-type]
    assert [restore_document(d, again) for d in changed] == rows
    assert len(set(pseudonyms.originals)) == len(pseudonyms.originals)


@settings(max_examples=60)
@given(st.lists(documents(), min_size=1, max_size=2), st.data(), st.sampled_from(["placeholder", "realistic"]))
def test_restoring_gives_the_same_strings_beside_the_documents(
    rows: list[Document], data: st.DataObject, style: str
) -> None:
    pseudonyms = Pseudonyms(style)  # type: ignore[arg-type]
    beside = Beside(KINDS, pseudonyms, reversible=True)
    for document in rows:
        found = look(document, KINDS, reversible=True)
        beside.learn(document, replace_personal(document, found, pseudonyms, TAGS), found)
    called = st.sampled_from([s for d in rows for s in (d.id, d.name, d.annotator or "")])
    strings = st.lists(st.one_of(called, SNIPPETS, st.just("1")), max_size=5).map("".join)
    value = data.draw(st.dictionaries(st.sampled_from("ab"), strings | st.lists(strings, max_size=2)))
    assert each_string(beside.rewritten(value), pseudonyms.restore) == value


@settings(max_examples=60)
@given(TEXTS, TEXTS)
@example("/s/ John Smith", "John  Smith")
def test_offsets_point_at_the_same_words_afterwards(before: str, inside: str) -> None:
    text = f"{before} {inside} /s/ John Smith\nof [PERSON_1]."
    start = len(before) + 1
    spans = (Span(start=start, end=start + len(inside)),)
    document = Document(id="d", name="d", sha256="0", text=text, pages=spans)
    pseudonyms = Pseudonyms()
    new = replace_personal(document, look(document, KINDS, reversible=True), pseudonyms, TAGS)
    page = new.pages[0]
    assert pseudonyms.restore(new.text[page.start : page.end]) == inside
    assert all(found in pseudonyms.originals for found in PSEUDONYM.findall(new.text))


def contract() -> Document:
    text = (
        "This Agreement is between Acme Widgets, Inc. and John A.\nSmith, an individual (\"Smith\").\n"
        "Mr. Smith may be reached at john.smith@example.com.\n/s/ JOHN A. SMITH\nName: John A. Smith"
    )  # fmt: skip
    quote = "Acme Widgets, Inc. and John A. Smith, an individual"  # as an annotator copies it: one line
    return Document(
        id="1",
        name="Smith agreement",
        sha256="0",
        text=text,
        labels={
            "Parties": FieldLabel(
                parts=(quote, "John A. Smith"),
                spans=(locate(text, quote), locate(text, "John A. Smith")),
                answer="Acme Widgets, Inc.; John A. Smith",
            )
        },
    )


def test_one_person_has_one_number_and_labels_follow() -> None:
    document, pseudonyms = contract(), Pseudonyms()
    new = replace_personal(document, look(document, KINDS, reversible=True), pseudonyms, TAGS)
    assert "Smith" not in new.text
    assert "SMITH" not in new.text
    assert "Acme Widgets, Inc." in new.text
    assert "[PERSON_2" not in new.text
    assert new.text.count("[EMAIL_1]") == 1
    for part, places in zip(new.labels["Parties"].parts, new.labels["Parties"].spans, strict=True):
        assert collapse(part) == collapse(new.text[places[0].start : places[0].end])
    assert "[PERSON_1" in str(new.labels["Parties"].answer)
    assert "Smith" not in new.model_dump_json()


def test_the_same_name_is_the_same_in_every_document() -> None:
    pseudonyms = Pseudonyms()
    first = Document(id="1", name="1", sha256="0", text="Name: Ximena Castellanos\nEmail: X@example.com")
    other = Document(id="2", name="2", sha256="0", text="to x@example.com from /s/ Ximena Castellanos")
    texts = [replace_personal(d, look(d, KINDS, reversible=True), pseudonyms, TAGS).text for d in (first, other)]
    assert texts == ["Name: [PERSON_1]\nEmail: [EMAIL_1]", "to [EMAIL_1.2] from /s/ [PERSON_1]"]


@pytest.mark.parametrize("short", ["SMITH", "J. Smith", "John Smith", "JOHN A. SMITH"])
def test_a_surname_that_fits_two_people_is_neither(short: str) -> None:
    from lextune.data.privacy.pseudonyms import identify

    one = identify([("person", "John A. Smith"), ("person", short)])
    assert one["person", short].fuller == "john a smith"
    two = identify([("person", "John A. Smith"), ("person", "Jack Smith"), ("person", "Smith")])
    assert two["person", "Smith"].fuller == "smith"


def test_a_mask_keeps_offsets_and_nothing_else() -> None:
    document = contract()
    new = replace_personal(document, look(document, KINDS, reversible=False), Mask(), {})
    assert "Smith" not in new.model_dump_json()
    assert "[PERSON]" in new.text
    span = new.labels["Parties"].spans[0][0]
    assert collapse(new.text[span.start : span.end]) == collapse(new.labels["Parties"].parts[0])


def test_realistic_pseudonyms_are_marked_and_keep_their_shape() -> None:
    document, pseudonyms = contract(), Pseudonyms("realistic")
    new = replace_personal(document, look(document, KINDS, reversible=True), pseudonyms, TAGS)
    assert "⟦" in new.text
    assert any(p[1:-1].isupper() for p, original in pseudonyms.originals.items() if original == "JOHN A. SMITH")
    assert restore_document(new, pseudonyms) == document


def rewritten(pseudonyms: Pseudonyms | Mask, **values: Any) -> Document:
    document = Document(**{"id": "1", "name": "1", "sha256": "0", "text": "", **values})
    reversible = isinstance(pseudonyms, Pseudonyms)
    new = replace_personal(document, look(document, KINDS, reversible=reversible), pseudonyms, {})
    if isinstance(pseudonyms, Pseudonyms):
        assert restore_document(new, Pseudonyms("placeholder", list(pseudonyms.rows()))) == document
    return new


def test_tags_are_searched_but_lextunes_own() -> None:
    own = {"scanned_pages": "212 555 0147", "language": "en"}
    tags = {"lawyer": "John Smith", "email": "john.smith@acme.com", **own}
    new = rewritten(Pseudonyms(), text="Mr. Smith, John Smith", tags=tags)
    assert new.text == "Mr. [PERSON_1], [PERSON_1.2]"
    assert new.tags == {"lawyer": "[PERSON_1.2]", "email": "[EMAIL_1]", **own}
    assert rewritten(Mask(), tags=tags).tags == {"lawyer": "[PERSON]", "email": "[EMAIL]", **own}


@pytest.mark.parametrize(
    ("annotator", "id_", "name", "expected"),
    [
        ("jroe", "12-jroe", "jroe's lease", ("[PERSON_1]", "12-[PERSON_1]", "[PERSON_1]'s lease")),
        ("jane.roe@firm.com", "12-jane.roe@firm.com", "12", ("[EMAIL_1]", "12-[EMAIL_1]", "12")),
        ("jane.roe@firm.com", "12-jane.roe@firm.com-7", "12", ("[EMAIL_1]", "12-[EMAIL_1]-7", "12")),
        ("2", "2-2", "task 2", ("[PERSON_1]", "2-[PERSON_1]", "task 2")),
        ("roe", "12-roentgen", "12", ("[PERSON_1]", "12-roentgen", "12")),
    ],
)
def test_the_annotator_has_one_pseudonym(annotator: str, id_: str, name: str, expected: tuple[str, str, str]) -> None:
    new = rewritten(Pseudonyms(), id=id_, name=name, annotator=annotator)
    assert (new.annotator, new.id, new.name) == expected


@pytest.mark.parametrize(
    ("annotator", "value", "expected"),
    [
        ("A", "A label of Exhibit A", "A label of Exhibit A"),
        ("A", ["A", "7-A", "A.jsonl:3, span 1"], ["[PERSON_1]", "7-[PERSON_1]", "[PERSON_1].jsonl:3, span 1"]),
        (
            "row",
            {"what": "row", "where": "row", "reason": "a row"},
            {"what": "row", "where": "[PERSON_1]", "reason": "a row"},
        ),
        ("row", "12-row", "12-[PERSON_1]"),
    ],
)
def test_an_annotators_name_that_is_a_word_is_replaced_where_it_is_all(
    annotator: str, value: Any, expected: Any
) -> None:
    pseudonyms = Pseudonyms()
    beside = Beside(KINDS, pseudonyms, reversible=True)
    document = Document(id=f"12-{annotator}", name="12", sha256="0", text="", annotator=annotator)
    found = look(document, KINDS, reversible=True)
    beside.learn(document, replace_personal(document, found, pseudonyms, TAGS), found)
    assert beside.rewritten(value) == expected


def test_a_mask_names_an_annotator_once() -> None:
    assert rewritten(Mask(), annotator="jane.roe@firm.com").annotator == "[EMAIL]"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("namer", [Mask(), Pseudonyms()])
def test_no_hash_tells_what_was_replaced(namer: Mask | Pseudonyms) -> None:
    text = "Does the SSN 123-45-6789 belong here?"
    new = rewritten(namer, id=f"row-{digest(text)[:8]}", text=text, sha256=digest(text))
    assert new.sha256 == digest(new.text)
    assert digest(text)[:8] not in new.model_dump_json()
    same = rewritten(namer, id=f"row-{digest('x')[:8]}", name="John Smith", text="x", sha256=digest("x"))
    assert (same.id, same.sha256) == (f"row-{digest('x')[:8]}", digest("x"))


def test_sources_of_one_text_keep_their_own_hashes() -> None:
    pseudonyms = Pseudonyms()
    made = [rewritten(pseudonyms, text="/s/ John Smith", sha256=digest(source)) for source in ("a", "b", "a")]
    assert made[0].sha256 == made[2].sha256 != made[1].sha256


def test_ids_and_names_keep_no_address_or_number() -> None:
    name = "Lease 12 Main Street, SSN 123-45-6789, 2020-01-02 0001234567.txt"
    new = rewritten(
        Pseudonyms(),
        id="Lease-12-Main-Street-SSN-123-45-6789-2020-01-02-0001234567-aaaaaaaa",
        name=name,
        text="at 12 Main Street, SSN 123-45-6789",
    )
    assert new.text == "at [ADDRESS_1], SSN [ID_1]"
    assert new.name == "Lease [ADDRESS_1], SSN [ID_1], 2020-01-02 0001234567.txt"
    assert new.id == "Lease-[ADDRESS_1.2]-SSN-[ID_1]-2020-01-02-0001234567-aaaaaaaa"


def test_an_id_has_the_people_of_the_name() -> None:
    new = rewritten(Pseudonyms(), id="Jane-Roe-offer-aaaaaaaa", name="Jane Roe offer.txt")
    assert (new.id, new.name) == ("[PERSON_1]-offer-aaaaaaaa", "[PERSON_1.2] offer.txt")


def test_an_id_that_was_cut_has_no_part_of_what_the_name_has() -> None:
    document = read_document(b"SSN 123-45-6789", name=f"{'Agreement of the Parties ' * 2}SSN 123-45-6789.txt")
    assert "SSN-123-45-" in document.id
    assert rewritten(Mask(), **dict(document)).id == f"{'Agreement-of-the-Parties-' * 2}SSN-[ID]-[LITERAL]"


SHORT, LONG = "Name: John Smith", "Name: John Albert Smith\nName: John Smith\nMr. Smith"


@pytest.mark.parametrize(
    "texts", [(SHORT, LONG), (LONG, SHORT), (SHORT, "Mr. Smith\nName: John Albert Smith\n" + SHORT)]
)
def test_one_person_has_one_number_in_whatever_order_documents_come(texts: tuple[str, str]) -> None:
    pseudonyms = Pseudonyms()
    made = [rewritten(pseudonyms, text=text).text for text in texts]
    assert "PERSON_2" not in "".join(made)


@pytest.mark.parametrize("name", ["Name: John B. Smith\nName: John Smith", "Name: John Smith\nName: John B. Smith"])
def test_a_shorter_name_makes_two_people_no_one(name: str) -> None:
    pseudonyms = Pseudonyms()
    first = rewritten(pseudonyms, text="Name: John A. Smith\nName: John Smith")
    assert first.text == "Name: [PERSON_1]\nName: [PERSON_1.2]"
    again = Pseudonyms("placeholder", list(pseudonyms.rows()))
    for known in (pseudonyms, again):
        assert rewritten(known, text=name).text == "Name: [PERSON_2]\nName: [PERSON_2.2]"
        assert rewritten(known, text="Name: John Albert Smith\nName: John Smith").text.count("[PERSON_1.") == 2


def test_one_phone_has_one_number_however_it_is_written() -> None:
    pseudonyms = Pseudonyms()
    british = ("020 7946 0958", "0044 20 7946 0958", "011 44 20 7946 0958", "+44 (0)20 7946 0958")
    made = [rewritten(pseudonyms, text=f"Tel: {number}").text for number in british]
    assert made == ["Tel: [PHONE_1]", *(f"Tel: [PHONE_1.{n}]" for n in (2, 3, 4))]
    assert rewritten(pseudonyms, text="Tel: (207) 946-0958").text == "Tel: [PHONE_2]"
    assert rewritten(pseudonyms, text="Tel: 0114 496 0018").text == "Tel: [PHONE_3]"
    assert rewritten(pseudonyms, text="Tel: +44 114 496 0018").text == "Tel: [PHONE_3.2]"
