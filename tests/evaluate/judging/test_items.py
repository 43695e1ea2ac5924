"""Items from files, and from the predictions of two arms."""

from __future__ import annotations

from pathlib import Path

import pytest

from lextune.core.errors import DataError
from lextune.core.records import Document, DocumentInfo, FieldAnswer, FieldLabel, Prediction, Record
from lextune.evaluate.judging.items import Item, items_of, read_items


def test_items_of_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(
        '\ufeff{"id": 7, "prompt": "p", "a": "x", "b": "y", "note": ""}\n\n{"id": "8", "prompt": "q", "a": ""}\n'
    )
    assert read_items(path) == [Item(id="7", prompt="p", a="x", b="y"), Item(id="8", prompt="q", a="")]


def test_items_may_name_their_document(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("id,prompt,a,document\n1,p,x,contract\n2,q,y,\n")
    assert [item.document for item in read_items(path)] == ["contract", None]


@pytest.mark.parametrize("apart", [",", ";", "\t"])
def test_items_of_a_table(tmp_path: Path, apart: str) -> None:
    path = tmp_path / "items.CSV"
    rows = [["id", "prompt", "gold", "a", "b"], ["1", '"two\nlines"', "", "x", "y"], ["2", "q", "right", "x", ""]]
    path.write_text("\n".join(apart.join(row) for row in rows))
    assert read_items(path) == [
        Item(id="1", prompt="two\nlines", a="x", b="y"),
        Item(id="2", prompt="q", gold="right", a="x"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "i.jsonl",
            '{"id": "1", "prompt": "p", "a": "x"}\n{"id": "2", "prompt": "p"}\n',
            "i.jsonl:2: a: Field required",
        ),
        ("i.jsonl", '{"id": \n', "i.jsonl:1: Invalid JSON: "),
        ("i.jsonl", '["x"]\n', "i.jsonl:1: Input should be an object"),
        ("i.jsonl", "\n", "i.jsonl: the file has no rows"),
        ("i.jsonl", '{"id": "1", "prompt": "p", "a": "x"}\n' * 2, "i.jsonl:2: the id '1' occurs a second time"),
        ("i.csv", "id,prompt\n1,p\n", "i.csv:2: a: Field required"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_items(tmp_path / name)
    assert why in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the file: No such file"):
        read_items(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xe9\n")
    with pytest.raises(DataError, match=r"latin\.jsonl:1: not UTF-8: byte 0xe9"):
        read_items(tmp_path / "latin.jsonl")


def test_items_of_two_arms() -> None:
    """What the pairs are is tested in tests/evaluate/test_answer_pairs.py."""
    label = FieldLabel(parts=("Ohio's.",), answer="Ohio's.")
    document = Document(id="1", name="1", sha256="0", text="Which law?", labels={"output": label})

    def said(text: str) -> list[Prediction]:
        info = DocumentInfo(name="1", sha256="0", pages=None, characters=1)
        answer = FieldAnswer(answer=text, quotes=(), confidence=0.5, status="review")
        record = Record(document=info, release="r", schema_name="s", fields={"output": answer})
        return [Prediction(document_id="1", record=record)]

    assert items_of([document], said("a"), said("b")) == [
        Item(id="1", prompt="Which law?", gold="Ohio's.", a="a", b="b")
    ]
