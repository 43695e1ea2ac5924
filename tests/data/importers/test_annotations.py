"""Exports of Label Studio and doccano: spans checked against the text, in whichever way the tool counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DataError
from lextune.core.mistakes import Mistake
from lextune.core.records import Document, Drop, Span
from lextune.data.importers.annotations import read_doccano, read_label_studio
from lextune.data.importers.marked import POINTS, UNITS, Mark, Marking
from lextune.data.importers.report import Item
from lextune.expert.schema import Schema, SchemaField

NAMES = ("Governing Law", "Parties", "Term")
SCHEMA = Schema(name="three", fields=tuple(SchemaField(name=name, type="text", question="?") for name in NAMES))
TEXT = "Acme and Bolt agree. The law of Ohio governs."


def region(quote: str, label: str, text: str = TEXT, **other: Any) -> dict[str, Any]:
    start = text.index(quote)
    value = {"start": start, "end": start + len(quote), "text": quote, "labels": [label]}
    return {"id": "x", "from_name": "label", "to_name": "text", "type": "labels", "value": value | other}


def task(*results: Any, text: str = TEXT, **annotation: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "data": {"text": text},
        "annotations": [{"id": 1, "completed_by": 3, "result": results} | annotation],
    }


def label_studio(tmp_path: Path, *tasks: Any) -> list[Item]:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return list(read_label_studio(path, SCHEMA))


def doccano(tmp_path: Path, *rows: Any) -> list[Item]:
    path = tmp_path / "export.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return list(read_doccano(path, SCHEMA))


def only_document(items: list[Item]) -> Document:
    (document,) = items
    assert isinstance(document, Document), document
    return document


def only_mistake(items: list[Item]) -> Mistake:
    (mistake,) = items
    assert isinstance(mistake, Mistake), mistake
    return mistake


def test_every_annotator_of_a_task_is_a_document(tmp_path: Path) -> None:
    one = {"id": 1, "completed_by": 3, "result": [region("Acme", "Parties"), region("Bolt", "parties")]}
    two = {
        "id": 2,
        "completed_by": {"id": 4, "email": "bo@example.org"},
        "result": [region("law of Ohio", "governing_law")],
    }
    cancelled = {"id": 3, "completed_by": 5, "was_cancelled": True, "result": []}
    again = {"id": 4, "completed_by": 3, "result": []}
    exported = {"id": 7, "data": {"text": TEXT, "title": "Supply.pdf"}, "annotations": [one, two, cancelled, again]}
    first, second, dropped, third = label_studio(tmp_path, exported)
    assert isinstance(first, Document)
    assert (first.id, first.annotator, first.name, first.source) == ("7-3", "3", "Supply.pdf", "label-studio")
    assert first.labels["Parties"].parts == ("Acme", "Bolt")
    assert first.labels["Parties"].spans == ((Span(start=0, end=4),), (Span(start=9, end=13),))
    assert list(first.labels) == list(NAMES)
    assert not first.labels["Term"].present  # asked and not found: absent, not unassessed
    assert isinstance(second, Document)
    assert (second.id, second.annotator) == ("7-bo@example.org", "bo@example.org")
    assert second.sha256 == first.sha256
    assert second.labels["Governing Law"].parts == ("law of Ohio",)
    assert dropped == Drop(
        what="annotation", where="export.json:1, task 7, annotation 3", reason="its annotator cancelled it"
    )
    assert isinstance(third, Document)
    assert third.id == "7-3-4"


def test_what_is_no_span_is_a_drop_of_its_own(tmp_path: Path) -> None:
    choice = {"type": "choices", "value": {"choices": ["Lease"]}}
    relation = {"type": "relation", "from_id": "a", "to_id": "b"}
    *drops, document = label_studio(tmp_path, task(choice, relation, region("Ohio", "Governing Law")))
    assert isinstance(document, Document)
    assert [(drop.what, drop.where[-8:], drop.reason) for drop in drops if isinstance(drop, Drop)] == [
        ("label", "result 1", "a result of type 'choices', no span of text"),
        ("label", "result 2", "a result of type 'relation', no span of text"),
    ]
    (nobody,) = label_studio(tmp_path, {"id": 9, "data": {"text": TEXT}, "annotations": [], "predictions": [{}]})
    assert nobody == Drop(what="task", where="export.json:1, task 9", reason="nobody annotated it")


def test_json_min(tmp_path: Path) -> None:
    spans = [region("Acme", "Parties")["value"], region("Bolt", "Parties")["value"]]
    row = {"id": 7, "contract": TEXT, "clauses": spans, "annotator": 2, "annotation_id": 5}
    document = only_document(label_studio(tmp_path, row))
    assert (document.id, document.annotator) == ("7-2", "2")
    assert document.labels["Parties"].parts == ("Acme", "Bolt")


@pytest.mark.parametrize(
    ("exported", "where", "what"),
    [
        ({"id": 7, "data": {"image": 1}}, "task 7", "no text: a task's data needs one, under `text`"),
        ({"id": 7, "data": [], "annotations": []}, "task 7", "no text"),
        ({"id": 7, "data": {"a": "x", "b": "y"}, "annotations": []}, "task 7", "no text"),
        (task(text=" \n"), "task 7", "the text is empty"),
        (task(text="half \ud83d"), "task 7", "the text holds half a character (a lone surrogate)"),
        ({"data": {"text": "x"}, "annotations": {}}, "task export-1", "`annotations` is not a list of objects"),
        (task(result={}), "task 7, annotation 1", "`result` is not a list"),
        (
            task(region("Ohio", "Governing Lav")),
            "task 7, annotation 1, result 1",
            "the schema three has no field 'Governing Lav'; did you mean 'Governing Law'?",
        ),
        (task(region("Ohio", "Term", labels=[])), "result 1", "a span without a label"),
        (task(region("Ohio", "Term", end=46)), "result 1", "the span 32 to 46 is not inside the text (0 to 45)"),
        (task(region("Ohio", "Term", start=-1)), "result 1", "the span -1 to 36 is not inside the text (0 to 45)"),
        (task(region("Ohio", "Term", end=32)), "result 1", "the span 32 to 32 is empty"),
        (task(region("Ohio", "Term", end=3)), "result 1", "the span 32 to 3 ends before it starts"),
        (task(region("Ohio", "Term", end=36.0)), "result 1", "offsets that are no whole numbers: 32, 36.0"),
        (task(region("Ohio", "Term", start=True)), "result 1", "offsets that are no whole numbers: True, 36"),
        (
            task(region("Ohio", "Term", start=28)),
            "result 1",
            "the span 28 to 36 is 'of Ohio' and not 'Ohio', as is said there",
        ),
        (
            task(region(" ", "Term")),
            "result 1",
            "the span 4 to 5 is white space",
        ),
        (
            task(region("law of Ohio", "Term"), region("Ohio governs", "Term"), region("Acme", "Nobody")),
            "result 3",
            "the schema three has no field 'Nobody' (and 1 more here)",
        ),
        (
            task(region("law of Ohio", "Term"), region("Ohio governs", "Term")),
            "result 2",
            "the spans 25 to 36 and 32 to 44 of 'Term' overlap",
        ),
    ],
)
def test_mistakes(exported: Any, where: str, what: str, tmp_path: Path) -> None:
    mistake = only_mistake(label_studio(tmp_path, exported))
    assert mistake.where.startswith("export.json:1, ")
    assert mistake.where.endswith(where)
    assert mistake.what.startswith(what)


def test_the_same_span_twice_counts_once_and_fields_may_overlap(tmp_path: Path) -> None:
    results = [region("Ohio", "Term"), region(" Ohio ", "Term"), region("law of Ohio", "Governing Law")]
    document = only_document(label_studio(tmp_path, task(*results)))
    assert document.labels["Term"].parts == ("Ohio",)
    assert document.labels["Governing Law"].parts == ("law of Ohio",)


def test_other_places_of_the_same_words_come_after_the_one_marked() -> None:
    text = "Acme pays. Acme signs."
    labels = Marking(text, SCHEMA).labels([Mark("x", "Parties", 11, 15)])
    assert isinstance(labels, dict)
    assert labels["Parties"].spans == ((Span(start=11, end=15), Span(start=0, end=4)),)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


COUNTS = [
    len,
    units,
    lambda text: len(text.replace("\r\n", "\n")),
    lambda text: units(text.replace("\r\n", "\n")),
]


@given(
    st.text(st.sampled_from("ab \U0001f600\r\n"), max_size=30),
    st.sampled_from(COUNTS),
    st.sampled_from([POINTS, UNITS]),
)
@settings(max_examples=200)
def test_quotes_decide_how_a_text_was_counted(before: str, count: Any, own: str) -> None:
    """The words marked occur once, so that no other way of counting can fit the quote."""
    text = before + "Q\U0001f600R" + before[::-1]
    start, end = count(before), count(before + "Q\U0001f600R")
    labels = Marking(text, SCHEMA, own).labels([Mark("x", "Term", start, end, "Q\U0001f600R")])
    assert isinstance(labels, dict), labels
    assert labels["Term"].parts == ("Q\U0001f600R",)
    assert labels["Term"].spans[0][0] == Span(start=len(before), end=len(before) + 3)


def test_without_quotes_the_tools_own_way_counts_unless_it_does_not_fit() -> None:
    text = "\U0001f600\U0001f600 Acme"
    found = {
        own: Marking(text, SCHEMA, own).labels([Mark("x", "Parties", 3, 7)])["Parties"].parts  # type: ignore[index]
        for own in (POINTS, UNITS)
    }
    assert found == {POINTS: ("Acme",), UNITS: ("Acme",)}  # in units, 3 is inside of a character
    assert Marking(text, SCHEMA, UNITS).labels([Mark("x", "Parties", 5, 9)])["Parties"].parts == ("Acme",)  # type: ignore[index]
    cut = Marking("\U0001f600", SCHEMA, UNITS).labels([Mark("x", "Term", 1, 2)])
    assert cut == Mistake("x", "the span 1 to 2 cuts a character in two")


@given(st.lists(st.tuples(st.integers(-2, 14), st.integers(-2, 14), st.sampled_from([*NAMES, "?"])), max_size=4))
@settings(max_examples=200)
def test_any_spans_give_labels_of_the_text_or_a_mistake(spans: list[tuple[int, int, str]]) -> None:
    text = "ab \U0001f600 cd\r\nef gh"
    labels = Marking(text, SCHEMA).labels([Mark("x", name, start, end) for start, end, name in spans])
    if isinstance(labels, Mistake):
        return
    assert list(labels) == list(NAMES)
    for label in labels.values():
        for part, places in zip(label.parts, label.spans, strict=True):
            assert part.strip() == part != ""
            assert all(text[place.start : place.end] == part for place in places)


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "text": TEXT, "label": [[0, 4, "Parties"], [32, 36, "Governing Law"]]},
        {"id": 1, "data": TEXT, "labels": [[0, 4, "Parties"], [32, 36, "Governing Law"]], "Comments": []},
        {
            "id": 1,
            "text": TEXT,
            "entities": [
                {"id": 5, "label": "Parties", "start_offset": 0, "end_offset": 4},
                {"id": 6, "label": "Governing Law", "start_offset": 32, "end_offset": 36},
            ],
            "relations": [],
        },
    ],
)
def test_doccano_in_its_three_layouts(row: Any, tmp_path: Path) -> None:
    document = only_document(doccano(tmp_path, row))
    assert (document.id, document.annotator, document.source) == ("1", None, "doccano")
    assert document.labels["Parties"].parts == ("Acme",)
    assert document.labels["Governing Law"].parts == ("Ohio",)
    assert not document.labels["Term"].present


def test_doccano_counts_in_utf_16_units(tmp_path: Path) -> None:
    document = only_document(doccano(tmp_path, {"text": "\U0001f600 Acme signs", "label": [[3, 7, "Parties"]]}))
    assert document.id == "export-1"
    assert document.labels["Parties"].parts == ("Acme",)


@pytest.mark.parametrize(
    ("row", "where", "what"),
    [
        ({"label": []}, "", "no text: a row needs one, under `text`"),
        ({"text": "", "label": []}, "", "the text is empty"),
        ({"text": "x"}, "", "no list of spans: a row needs one, under `label`"),
        ({"text": "x", "label": ["Lease"]}, ", span 1", "the schema three has no field 'Lease'"),
        ({"text": "x", "label": ["Term"]}, ", span 1", "offsets that are no whole numbers: None, None"),
        ({"text": "x", "label": [[0, 1, 2]]}, ", span 1", "a label that is no name but a int"),
        ({"text": "x", "label": [[0, 2, "Term"]]}, ", span 1", "the span 0 to 2 is not inside the text (0 to 1)"),
        ({"text": "x", "entities": [{"label": "Term"}]}, ", span 1", "offsets that are no whole numbers"),
    ],
)
def test_doccanos_mistakes(row: Any, where: str, what: str, tmp_path: Path) -> None:
    mistake = only_mistake(doccano(tmp_path, row))
    assert mistake.where == "export.jsonl:1" + where
    assert mistake.what.startswith(what)


def test_doccanos_relations_are_drops(tmp_path: Path) -> None:
    drop, document = doccano(tmp_path, {"text": TEXT, "entities": [], "relations": [{"id": 1}]})
    assert drop == Drop(what="label", where="export.jsonl:1", reason="relations between spans, no spans of text")
    assert isinstance(document, Document)


@pytest.mark.parametrize(("tool", "row"), [("doccano", {"label": []}), ("label-studio", {})])
def test_an_id_that_occurs_twice_is_a_mistake_with_its_line(tool: str, row: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_text((json.dumps({"id": 7, "text": "Ohio law", **row}) + "\n") * 2, encoding="utf-8")
    read = {"doccano": read_doccano, "label-studio": read_label_studio}[tool]
    _, mistake = list(read(path, SCHEMA))
    place = "export.jsonl:2" + (", task 7" if tool == "label-studio" else "")
    assert mistake == Mistake(place, "the id '7' occurs a second time")


@pytest.mark.parametrize("given", [None, ""])
def test_rows_without_an_id_are_named_after_their_places(given: str | None, tmp_path: Path) -> None:
    rows = [{"id": given, "text": TEXT, "label": []} for _ in range(2)]
    assert [item.id for item in doccano(tmp_path, *rows) if isinstance(item, Document)] == ["export-1", "export-2"]
    tasks = [{"id": given, **{k: v for k, v in task().items() if k != "id"}} for _ in range(2)]
    assert [type(item) for item in label_studio(tmp_path, *tasks)] == [Document, Document]


def test_doccanos_folder_of_annotators(tmp_path: Path) -> None:
    row = json.dumps({"id": 1, "text": TEXT, "label": []})
    for name in ("bo", "ada"):
        (tmp_path / f"{name}.jsonl").write_text(row, encoding="utf-8")
    found = [(item.id, item.annotator) for item in read_doccano(tmp_path, SCHEMA) if isinstance(item, Document)]
    assert found == [("1-ada", "ada"), ("1-bo", "bo")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.jsonl file in this folder\n  -> unpack doccano's export there"):
        list(read_doccano(tmp_path / "empty", SCHEMA))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": 1, "data": {"text": "x"}, "annot', r"export\.json:1: not JSON: Unterminated string"),
        ('[{"id": 1}\n,{"id": 2,,}]', r"export\.json:2: not JSON"),
    ],
)
def test_broken_files_are_one_error(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(read_label_studio(path, SCHEMA))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"text": "x", "text": "y", "label": []}', "the key 'text' occurs twice in one object"),
        ('{"text": "x", "label": [[NaN, 1, "Term"]]}', "NaN is no JSON value"),
        ('["x"]', "not a JSON object but a list"),
    ],
)
def test_json_that_is_no_task_is_a_mistake_of_its_line(text: str, what: str, tmp_path: Path) -> None:
    for name, content, read in (
        ("a.jsonl", text, read_doccano),
        ("a.json", f"[{text}]", read_label_studio),
    ):
        path = tmp_path / name
        path.write_text(content + "\n", encoding="utf-8")
        assert only_mistake(list(read(path, SCHEMA))) == Mistake(f"{name}:1", what)
