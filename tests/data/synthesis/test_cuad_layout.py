"""CUAD's layout: what is written is what the importer reads."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from lextune.core.errors import DataError, MachineError
from lextune.core.records import Document, FieldLabel, Span
from lextune.data.importers.cuad import import_cuad
from lextune.data.synthesis import generate, write_cuad_layout
from lextune.expert.schema import load_schema

SCHEMA = load_schema("clauses-47")


def test_the_importer_reads_back_what_was_generated(tmp_path: Path) -> None:
    documents = generate(8, seed=21, schema=SCHEMA)
    write_cuad_layout(documents, tmp_path)
    imported = import_cuad(tmp_path, SCHEMA)
    assert list(imported.rejects) == []
    for written, read in zip(documents, imported.documents, strict=True):
        assert (read.id, read.name, read.sha256) == (written.id, written.name, written.sha256)
        assert (read.text, read.contract_type) == (written.text, written.contract_type)
        for name in SCHEMA.names:
            assert read.labels[name].parts == written.labels[name].parts
            assert read.labels[name].answer == written.labels[name].answer
            assert read.labels[name].spans == written.labels[name].spans


def _document(text: str, parts: tuple[str, ...], name: str = "a") -> Document:
    spans = tuple((Span(start=text.index(p), end=text.index(p) + len(p)),) for p in parts)
    label = FieldLabel(parts=parts, spans=spans, answer="Yes" if parts else None)
    return Document(id=name, name=f"{name}.txt", sha256="0", text=text, labels={"Insurance": label})


def test_quotes_of_one_paragraph_are_joined_by_omitted(tmp_path: Path) -> None:
    write_cuad_layout([_document("One two three.\n\nFour. Five.", ("One", "three", "Four.", "Five."))], tmp_path)
    with (tmp_path / "master_clauses.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row == {
        "Filename": "a.pdf",
        "Insurance": "['One<omitted>three', 'Four.', 'Five.']",
        "Insurance-Answer": "Yes",
    }
    assert (tmp_path / "contract_types.csv").read_bytes() == b"Filename,Contract Type\r\na.pdf,\r\n"
    assert (tmp_path / "full_contract_txt" / "a.txt").read_bytes() == b"One two three.\n\nFour. Five."


def test_an_absent_field_is_an_empty_list_without_answer(tmp_path: Path) -> None:
    write_cuad_layout([_document("Nothing.", ())], tmp_path)
    assert (tmp_path / "master_clauses.csv").read_text().splitlines()[1] == "a.pdf,[],"


def test_no_documents_two_of_a_name_and_different_fields_are_refused(tmp_path: Path) -> None:
    one = _document("x", ())
    other = one.model_copy(update={"id": "b", "name": "b.txt", "labels": {"Non-Compete": FieldLabel()}})
    for documents, message in (
        ([], f"{tmp_path}: no documents to write\n  -> give at least one"),
        ([one, one], f"{tmp_path}: two documents are named 'a'\n  -> give each an id of its own"),
        (
            [one, other],
            "b.txt: assessed for other fields than the first document; the table cannot show the difference\n"
            "  -> write documents with the same fields together",
        ),
    ):
        with pytest.raises(DataError) as error:
            write_cuad_layout(documents, tmp_path)
        assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MachineError, match="cannot write"):
        write_cuad_layout([_document("x", ())], tmp_path / "file")
