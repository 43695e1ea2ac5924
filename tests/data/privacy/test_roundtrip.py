"""Pseudonymise, then restore: the same document, whatever it holds."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lextune.core.records import Document, Edit, FieldLabel, Message, Span
from lextune.data.privacy.kinds import KINDS
from lextune.data.privacy.pseudonyms import PSEUDONYM, Mask, Pseudonyms
from lextune.data.privacy.rewrite import TAG, look, replace_personal, restore_document
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

    return Document(
        id=draw(TEXTS),
        name=draw(TEXTS),
        sha256="0" * 64,
        text=text,
        pages=tuple(draw(st.lists(spans, max_size=2))),
        source=draw(st.none() | TEXTS),
        annotator=draw(st.none() | TEXTS),
        rejected=draw(st.none() | TEXTS),
        turns=tuple(Message(role="user", content=t) for t in draw(st.lists(TEXTS, max_size=2))),
        edits=tuple(Edit(start=s.start, end=s.end, original=draw(TEXTS)) for s in draw(st.lists(spans, max_size=1))),
        tags=draw(st.dictionaries(st.just("language"), st.just("en"))),
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
