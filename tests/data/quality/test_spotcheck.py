"""The sheet shows what is needed to judge a label, exactly, and nothing in a document can break it."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Document, FieldLabel, Message, Span
from lextune.data.quality.sampling import plan_sheet
from lextune.data.quality.spotcheck import (
    CONTEXT,
    MAX_QUOTE,
    Item,
    Sheet,
    likely_place,
    make_sheet,
    sheet_csv,
    sheet_html,
)
from lextune.expert.schema import load_schema

SCHEMA = load_schema("clauses-47")
LAW = "Governing Law"


def sheet(*documents: Document) -> Sheet:
    plan = plan_sheet(lambda: documents, "a" * 64, n=99)
    return make_sheet(lambda: documents, plan, SCHEMA)


def item(document: Document) -> Item:
    (only,) = sheet(document).items
    return only


def law(text: str, quote: str | None, **more: object) -> Document:
    start = text.index(quote) if quote else 0
    label = FieldLabel(parts=(quote,), spans=((Span(start=start, end=start + len(quote)),),)) if quote else FieldLabel()
    return Document(id="d", name="d.txt", sha256="0", text=text, labels={LAW: label}, **more)  # type: ignore[arg-type]


def test_a_quote_stands_in_its_context_on_its_page() -> None:
    text = "word " * 200 + "Ohio law governs. " + "more " * 200
    quote = "Ohio law governs."
    pages = (Span(start=0, end=900), Span(start=900, end=len(text)))
    found = item(law(text, quote, pages=pages))
    assert (found.kind, found.question) == ("quoted", SCHEMA.field(LAW).question)
    (passage,) = found.passages
    assert (passage.text, passage.page, passage.cut) == (quote, 2, 0)
    assert passage.before.startswith("… word")
    assert passage.after.endswith("more …")
    assert passage.before.removeprefix("… ") + passage.text + passage.after.removesuffix(" …") in text
    assert CONTEXT - 10 <= len(passage.before) <= CONTEXT + 10


@settings(max_examples=60)
@given(st.text("ab \n", min_size=1, max_size=1500), st.data())
def test_context_is_verbatim(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    document = Document(
        id="d",
        name="d",
        sha256="",
        text=text,
        labels={LAW: FieldLabel(parts=(text[start:end],), spans=((Span(start=start, end=end),),))},
    )
    (passage,) = item(document).passages
    whole = passage.before.removeprefix("… ") + passage.text + passage.after.removesuffix(" …")
    assert passage.text == text[start:end]
    assert whole in text


def test_long_quotes_lose_their_middle_and_say_so() -> None:
    text = "x" * (MAX_QUOTE + 500)
    (passage,) = item(law(text, text)).passages
    assert (passage.cut, passage.before, passage.after) == (500, "", "")
    assert "500 characters of the quote are left out" in sheet_html(sheet(law(text, text)), "mine")


def test_an_absent_label_shows_the_likeliest_place() -> None:
    text = "The Supplier delivers boxes.\n\nThis contract is governed by the laws of Ohio.\n\nBoxes are blue."
    found = item(law(text, None))
    assert (found.kind, found.passages[0].text) == ("likely", "This contract is governed by the laws of Ohio.")
    lost = item(law("Zzz yyy xxx.", None))
    assert (lost.kind, lost.passages[0].text, lost.passages[0].after) == ("start", "", "Zzz yyy xxx.")
    assert item(law("", None)).kind == "start"
    assert likely_place("", {"law": 1.0}) is None


def test_quotes_of_other_documents_lead_to_the_likeliest_place() -> None:
    text = "Who governs the ropes?\n\nOf this deed Ohio statutes are the measure.\n\nBoxes are blue."
    assert item(law(text, None)).passages[0].text == "Who governs the ropes?", "by the words of the question"
    quote = "Texas statutes are the measure of this deed."
    others = [law(f"{quote} Paid by ship {n}.", quote).model_copy(update={"id": f"o{n}"}) for n in range(2)]
    found = sheet(*others, law(text, None)).items[-1]
    assert (found.kind, found.passages[0].text) == ("likely", "Of this deed Ohio statutes are the measure.")


def test_answers_without_a_place_show_the_question() -> None:
    row = Document(
        id="r",
        name="r",
        sha256="0",
        text="What is a lease?",
        turns=(Message(role="system", content="Be brief."),),
        labels={"output": FieldLabel(parts=("A contract.",), answer="A contract.")},
    )
    found = item(row)
    assert (found.kind, found.question, found.answer) == ("without a place", "", "A contract.")
    assert [p.text or p.after for p in found.passages] == ["A contract.", "What is a lease?"]


class Page(HTMLParser):
    """Collects ids, links and the names of tags, and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.ids, self.links, self.tags, self.open = list[str](), list[str](), set[str](), list[str]()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        assert not {"src", "onclick", "style"} & set(given)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_offline_and_safe(contracts: list[Document]) -> None:
    evil = '</blockquote><script>alert(1)</script> \x00 & "quoted" law'
    page = Page()
    html = sheet_html(sheet(*contracts[:3], law(evil, evil)), "<mine>")
    page.feed(html)
    assert page.open == []
    assert not {"script", "img", "link", "iframe"} & page.tags
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert evil.replace("\x00", "\N{REPLACEMENT CHARACTER}") in page.text
    assert "<mine>" in page.text
    assert "default-src 'none'" in html
    assert page.text.count("☐ right") == 10
    assert "drawn from 10 labels:\n6 present and 4 absent." in page.text


def test_the_table_has_a_row_a_label_and_no_formula(contracts: list[Document]) -> None:
    risky = law("=1+1 is law\nhere", "=1+1 is law\nhere").model_copy(update={"id": "@d"})
    text = sheet_csv(sheet(*contracts[:2], risky))
    assert text.startswith("\ufeffid,document,field,label,quote,verdict,note\r\n")
    rows = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    assert len(rows) == 7
    assert {(row["verdict"], row["note"]) for row in rows} == {("", "")}
    assert (rows[-1]["document"], rows[-1]["quote"]) == ("'@d", "'=1+1 is law here")
    assert [row["quote"] for row in rows if row["label"] == "absent"] == ["", ""]
    assert {row["label"] for row in rows} == {"present", "absent"}
