"""The data card: what it counts, and how it is shown."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree, html

from lextune.core.artifacts import Artifact, build_folder, write_jsonl
from lextune.core.records import Document, Drop, FieldLabel, Message, Span
from lextune.data.card import Card, CardOptions, _rank, _summary, make_card
from lextune.data.card_pages import card_html, card_markdown
from lextune.expert.templates import Codec
from lextune.expert.weights import resolve_base

HEADER = {"kind": "documents", "stage": "documents", "stage_version": 1, "config": {}, "seed": 0}
HEADER |= {"inputs": {"clean": "0" * 64}, "parents": {}}
PRESENT = FieldLabel(parts=("the fee",), spans=((Span(start=0, end=7),),))
SENTENCE = "The supplier delivers the goods to the warehouse of the buyer before the end of the month agreed"
WORDS = SENTENCE.split()
Dataset = Callable[..., Artifact]


def contract(number: int, kind: str | None = "Lease", **more: Any) -> Document:
    text = " ".join(f"{word}{number}" for word in WORDS)
    labels = {"Fee": PRESENT if number % 2 else FieldLabel(), "Cap": PRESENT}
    values = {"id": f"c{number}", "name": "c", "sha256": "0", "text": text, "contract_type": kind, "labels": labels}
    return Document(**{**values, **more})


def row(number: int, answer: str = "Yes", **more: Any) -> Document:
    labels = {"output": FieldLabel(parts=(answer,), answer=answer)}
    return Document(id=f"r{number}", name="r", sha256="0", text=f"Question {number}?", labels=labels, **more)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    def make(name: str, *documents: Document, drops: tuple[Drop, ...] = (), nulls: Any = None) -> Artifact:
        def fill(folder: Path) -> dict[str, Any]:
            write_jsonl(folder / "documents.jsonl", documents)
            write_jsonl(folder / "drops.jsonl", drops)
            (folder / "nulls.json").write_text(json.dumps(nulls or {}))
            lost = sum(drop.what == "contract" for drop in drops)
            return {"n_in": len(documents) + lost, "n_out": len(documents), "n_dropped": lost, "source": "given"}

        return build_folder(tmp_path / name, HEADER, fill)

    return make


def test_a_card_counts_contracts(dataset: Dataset) -> None:
    drops = (*(Drop(what="quote", where=f"c{i}", reason="not found") for i in range(7)),)
    drops += (Drop(what="contract", where="x.txt", reason="empty"),)
    tags = {"language": "en", "drafting": "uk"}
    made = make_card(
        dataset(
            "set",
            *(contract(i, source="cuad", annotator="Ann") for i in range(4)),
            contract(5, kind=None, tags={**tags, "licence": "CC0"}),
            contract(6, kind="Supply", tags=tags),
            contract(6, kind="Supply", id="again"),
            drops=drops,
            nulls={"Fee": {"N/A": 2, "none": 1}, "Cap": {"-": 9}},
        ),
        CardOptions(licence="CC BY 4.0"),
    )
    assert (made.name, made.documents, made.n_in, made.n_dropped) == ("set", 7, 8, 1)
    assert (made.unit, made.source, made.made_of) == ("contracts", "given", {"clean": "0" * 64})
    assert [(d.reason, d.count, len(d.places)) for d in made.dropped] == [("not found", 7, 5), ("empty", 1, 1)]
    assert made.contract_types == {"Lease": 4, "Supply": 2, "unknown": 1}
    assert made.licences == {"CC BY 4.0": 6, "CC0": 1}
    assert made.sources == {"cuad": 4, "unknown": 3}
    assert made.annotators == {"Ann": 4, "unknown": 3}
    assert made.tags == {"drafting": {"uk": 2}, "language": {"en": 2}, "licence": {"CC0": 1}}
    assert made.nulls == {"Cap": 9, "Fee": 3}
    assert made.fields_per_document == {1: 4, 2: 3}
    assert [(p.field, p.present, p.assessed) for p in made.presence] == [("Cap", 7, 7), ("Fee", 3, 7)]
    assert made.presence[1].by_type == {"Lease": 2, "unknown": 1}
    found = made.duplicates
    assert (found.repeated, found.families, found.in_families, found.largest) == (1, 1, 2, 2)
    assert made.lengths.unit == "words"
    assert (made.lengths.total, made.lengths.longest) == (7 * len(WORDS), len(WORDS))
    assert [caution.code for caution in made.warnings] == ["few_examples", "one_type", "rare_fields"]


def test_a_card_counts_rows_in_the_tokens_they_are_trained_in(dataset: Dataset, tiny_base: Path) -> None:
    turns = (Message(role="system", content="Be brief."),)
    rows = [row(0), row(1, turns=turns, rejected="No"), row(2, answer="Yes, " * 60)]
    made = make_card(dataset("rows", *rows), CardOptions(base=str(tiny_base), max_tokens=100))
    codec = Codec(resolve_base(str(tiny_base)).path)
    expected = []
    for each in rows:
        asked = codec.prompt([*each.turns, Message(role="user", content=each.text)])
        answer = codec.encode_plain(each.labels["output"].answer or "")
        expected.append(len([*asked, *answer, codec.stop_id]))
    assert made.lengths.total == sum(expected)
    assert (made.lengths.unit, made.lengths.base) == ("tokens", str(tiny_base))
    assert made.over_window == (sum(n > 100 for n in expected), 3, 100)
    assert (made.unit, made.preferences, made.presence, made.fields_per_document) == ("rows", 1, (), {})
    assert [caution.code for caution in made.warnings] == ["few_examples", "over_window"]


def test_contracts_have_no_window_to_be_over(dataset: Dataset, tiny_base: Path) -> None:
    made = make_card(dataset("set", contract(1), contract(2)), CardOptions(base=str(tiny_base), max_tokens=4))
    assert made.over_window is None
    assert made.lengths.total == sum(
        len(ids) for ids in Codec(tiny_base).encode_many([contract(1).text, contract(2).text])
    )


def test_an_empty_data_set_has_a_card(dataset: Dataset) -> None:
    made = make_card(dataset("empty"))
    assert (made.documents, made.lengths.total, made.lengths.bins) == (0, 0, ())
    assert "0 contracts" in card_html(made)
    assert "0 contracts" in card_markdown(made)


def test_the_same_data_set_gives_the_same_card(dataset: Dataset) -> None:
    documents = [contract(i, kind=f"T{i % 3}") for i in range(6)]
    one, two = (make_card(dataset(f"{place}/set", *documents)) for place in ("one", "two"))
    assert one == two
    assert card_html(one) == card_html(two)
    assert card_markdown(one) == card_markdown(two)
    assert json.loads(json.dumps(one.as_json())) == one.as_json()


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=50), st.sampled_from([0.5, 0.95]))
@settings(max_examples=60)
def test_percentiles_are_the_nearest_ranks(values: list[int], share: float) -> None:
    ordered = sorted(values)
    expected = next(v for v in ordered if sum(w <= v for w in ordered) >= share * len(ordered) - 1e-9)
    assert _rank(ordered, share) == expected


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=50))
@settings(max_examples=40)
def test_bins_hold_each_length_once(values: list[int]) -> None:
    from array import array

    made = _summary(array("Q", values), None)
    assert sum(each.count for each in made.bins) == len(values)
    for each in made.bins:
        assert each.count == sum(each.low <= value < each.high for value in values)
    assert all(one.high == two.low for one, two in zip(made.bins, made.bins[1:], strict=False))


EVIL = "<script>alert('x')</script> | *b* \x00 [x](http://e.test)"


def shown(dataset: Dataset) -> Card:
    documents = [contract(i, kind=EVIL if i else "Lease", annotator=EVIL) for i in range(3)]
    drop = Drop(what="quote", where=EVIL, reason=EVIL)
    return make_card(dataset("a set", *documents, drops=(drop,), nulls={EVIL: {"": 1}}))


def test_the_page_is_one_file_that_runs_nothing_and_fetches_nothing(dataset: Dataset) -> None:
    page = card_html(shown(dataset))
    page.encode()
    assert "<script" not in page
    assert "\x00" not in page
    tree = html.fromstring(page)
    sources = tree.xpath("//@src")
    assert len(sources) == 4
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert tree.xpath("//@href") == ["#main"]
    policy = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_the_page_can_be_read_without_seeing_it(dataset: Dataset) -> None:
    tree = html.fromstring(card_html(shown(dataset)))
    assert tree.get("lang") == "en"
    assert all(len(image.get("alt")) > 20 for image in tree.xpath("//img"))
    for table in tree.xpath("//table"):
        assert table.xpath("caption/text()")
        assert table.xpath("thead//th[@scope='col']")
        assert all(cells == 1 for cells in (len(line.xpath("th[@scope='row']")) for line in table.xpath("tbody/tr")))
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert set(tree.xpath("//@aria-labelledby")) <= set(ids)


def test_plots_are_svg_and_show_every_field(dataset: Dataset) -> None:
    page = card_html(make_card(dataset("set", *(contract(i) for i in range(3)))))
    uris = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(uris) == 3  # of one contract type there is nothing to draw
    for uri in uris:
        assert etree.QName(etree.fromstring(base64.b64decode(uri))).localname == "svg"
    assert "Presence of each field, most frequent first: Cap 3 of 3; Fee 1 of 3" in page


def test_markdown_escapes_what_it_would_read(dataset: Dataset) -> None:
    text = card_markdown(shown(dataset))
    text.encode()
    assert "<script" not in re.sub(r"\\<", "", text)
    assert r"\<script\>" in text
    columns = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")]
    assert columns
    for block in re.split(r"\n\n", text):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1
    assert "- **3 contracts, fewer than 200: a prompt with worked examples will do as well**: compare" in text


def test_a_long_table_says_how_much_is_left_out(dataset: Dataset) -> None:
    made = make_card(dataset("set", *(contract(i, kind=f"Type {i:03}") for i in range(130))))
    assert "and 30 more." in card_html(made)
    assert "and 30 more." in card_markdown(made)
