"""Both layouts of CUAD, good and bad, and the real contracts where they are at hand."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lextune.core.errors import DataError
from lextune.core.records import Span
from lextune.data.importers.cuad import import_cuad
from lextune.data.importers.cuad_csv import NO_CONTRACT, parse_cell
from lextune.data.importers.cuad_json import HALF
from lextune.data.importers.report import Normalised, summarise
from lextune.expert.schema import Schema, SchemaField, load_schema

NAMES = ("Parties", "Governing Law", "Notice Period to Terminate Renewal", "Data Protection")
SCHEMA = Schema(name="four", fields=tuple(SchemaField(name=name, type="boolean", question="?") for name in NAMES))
TEXT = 'SUPPLY\r\nAGREEMENT between Acme Ltd. ("Acme") and\nBeta Ltd.  Governed by the laws\nof Ohio. Acme ships.'
COLUMNS = ["Filename", *(name + end for name in NAMES[:3] for end in ("", "-Answer"))]


def table(folder: Path, rows: list[list[str]], columns: list[str] | None = None) -> Path:
    texts = folder / "full_contract_txt"
    texts.mkdir(parents=True, exist_ok=True)
    with (folder / "master_clauses.csv").open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([columns or COLUMNS, *rows])
    return folder


def text_file(folder: Path, name: str, text: str = TEXT, encoding: str = "utf-8") -> None:
    (folder / "full_contract_txt" / name).write_bytes(text.encode(encoding))


def row(name: str, parties: str = "[]", law: str = "[]", answers: tuple[str, str] = ("", "")) -> list[str]:
    return [name, parties, answers[0], law, answers[1], "[]", ""]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    law = "['Governed by the laws<omitted>of Ohio.']"
    row_ = row("acme&beta - Supply Agreement.PDF", "['Acme Ltd.', 'Acme', 'Beta Ltd.']", law, ("Acme; Beta", "Ohio"))
    table(tmp_path, [row_])
    text_file(tmp_path, "ACME_BETA - Supply Agreement.txt", encoding="utf-8-sig")
    return tmp_path


def test_a_row_and_its_text_become_a_labelled_document(folder: Path) -> None:
    (document,), rejects, _ = import_cuad(folder, SCHEMA)
    assert rejects == []
    assert document.text == TEXT  # newlines untouched, byte order mark gone
    raw = (folder / "full_contract_txt" / "ACME_BETA - Supply Agreement.txt").read_bytes()
    assert document.sha256 == hashlib.sha256(raw).hexdigest()
    assert (document.id, document.contract_type, document.source) == (
        "ACME_BETA - Supply Agreement",
        "Supply",
        "cuad",
    )
    law = document.labels["Governing Law"]
    assert law.parts == ("Governed by the laws", "of Ohio.")
    assert law.answer == "Ohio"
    parties = document.labels["Parties"]
    first = [spans[0] for spans in parties.spans]
    assert [TEXT[s.start : s.end] for s in first] == ["Acme Ltd.", "Acme", "Beta Ltd."]
    assert TEXT[first[1].start - 1] == '"'  # the defined term, not the name or the last sentence
    assert len(parties.spans[1]) == 3


def test_absent_is_null_and_unknown_is_not_assessed(folder: Path) -> None:
    labels = import_cuad(folder, SCHEMA).documents[0].labels
    assert not labels["Notice Period to Terminate Renewal"].present
    assert "Data Protection" not in labels


def test_the_nested_folder_of_the_archive_is_found(tmp_path: Path) -> None:
    inner = table(tmp_path / "CUAD_v1", [row("A.pdf")])
    text_file(inner, "A.txt")
    assert len(import_cuad(tmp_path, SCHEMA).documents) == 1


@pytest.mark.parametrize(
    ("answer", "quoted", "expected"),
    [
        ("No", False, None),
        ("No", True, "No"),
        ("Yes", False, "Yes"),
        ("", True, None),
        (" Ohio ", True, "Ohio"),
    ],
)
def test_null_contract_of_answers(tmp_path: Path, answer: str, quoted: bool, expected: str | None) -> None:
    table(tmp_path, [row("A.pdf", law="['of Ohio.']" if quoted else "[]", answers=("", answer))])
    text_file(tmp_path, "A.txt")
    label = import_cuad(tmp_path, SCHEMA).documents[0].labels["Governing Law"]
    assert (label.present, label.answer) == (quoted, expected)


@pytest.mark.parametrize("cell", ["[]", "['N/A']", "", "None", "['']", "No related clause", "['<omitted>']"])
def test_null_contract_of_quotes(tmp_path: Path, cell: str) -> None:
    table(tmp_path, [row("A.pdf", law=cell)])
    text_file(tmp_path, "A.txt")
    documents, rejects, _ = import_cuad(tmp_path, SCHEMA)
    assert not documents[0].labels["Governing Law"].present
    assert rejects == []


def test_words_for_null_are_reported(tmp_path: Path) -> None:
    table(tmp_path, [row("A.pdf", "['Acme', 'N/A', '']", "[]", ("", " No ")), row("gone.pdf", "None")])
    text_file(tmp_path, "A.txt")
    assert import_cuad(tmp_path, SCHEMA).nulls == [
        Normalised("A.txt, Parties", "Parties", "N/A"),
        Normalised("A.txt, Governing Law", "Governing Law", "No"),
    ]


@pytest.mark.parametrize(
    ("cell", "quotes"),
    [
        ("[]", ()),
        ("['one', \"it's\"]", ("one", "it's")),
        ("plain words", ("plain words",)),
        ("[***] redacted", ("[***] redacted",)),
        ("['a\\nb']", ("a\nb",)),
    ],
)
def test_cells_are_lists_or_plain_text(cell: str, quotes: tuple[str, ...]) -> None:
    assert parse_cell(cell) == quotes


@pytest.mark.parametrize("cell", ["['one", "['one', 2]", "['a': 'b']", "['one'].pop()", "['" + "[" * 5000])
def test_broken_lists_are_not_taken_for_text(cell: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_cell(cell)


def test_contract_types_come_from_the_table_then_the_folders_then_the_name(folder: Path) -> None:
    pdfs = folder / "full_contract_pdf" / "Part_I" / "License_Agreements"
    pdfs.mkdir(parents=True)
    (pdfs / "ACME&BETA - Supply Agreement.PDF").touch()
    assert import_cuad(folder, SCHEMA).documents[0].contract_type == "License"
    (folder / "contract_types.csv").write_text("Filename,Contract Type\nAcme_Beta - supply agreement.pdf,Agency\n")
    assert import_cuad(folder, SCHEMA).documents[0].contract_type == "Agency"


def test_a_table_of_the_user_s_own_tags_contracts(folder: Path) -> None:
    assert import_cuad(folder, SCHEMA).documents[0].tags == {}
    lines = ["Filename,tenant,year", "Acme_Beta - supply agreement.pdf, north ,", "Nobody.pdf,south,2020"]
    (folder / "document_tags.csv").write_text("\n".join(lines))
    documents, rejects, _ = import_cuad(folder, SCHEMA)
    assert documents[0].tags == {"tenant": "north"}
    assert ("tags", "document_tags.csv, Nobody.pdf", NO_CONTRACT) in [(d.what, d.where, d.reason) for d in rejects]


@pytest.mark.parametrize(("name", "column"), [("document_tags.csv", "tenant"), ("contract_types.csv", "Contract Type")])
def test_a_contract_is_told_from_one_of_a_like_name(name: str, column: str, tmp_path: Path) -> None:
    table(tmp_path, [row("ACME 1-1.txt", "['Acme Ltd.']"), row("ACME 11.txt", "['Acme Ltd.']")])
    for file in ("ACME 1-1.txt", "ACME 11.txt"):
        text_file(tmp_path, file)
    (tmp_path / name).write_text(f"Filename,{column}\nACME 11.txt,south\nACME 1-1.txt,north\n")
    documents = import_cuad(tmp_path, SCHEMA).documents
    said = {d.id: d.tags["tenant"] if column == "tenant" else d.contract_type for d in documents}
    assert said == {"ACME 1-1": "north", "ACME 11": "south"}


@pytest.mark.parametrize("name", ["document_tags.csv", "contract_types.csv"])
def test_two_rows_of_one_contract_are_refused(name: str, folder: Path) -> None:
    file = "ACME_BETA - Supply Agreement.txt"
    (folder / name).write_text(f"Filename,Contract Type\n{file},north\n{file},south\n")
    with pytest.raises(DataError) as caught:
        import_cuad(folder, SCHEMA)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith(f"{name}: 2 mistakes")
    assert lines[1].endswith("is an ambiguous name: it stands for 2 of the names given and 1 of the texts")
    assert lines[1].startswith(f"  {name}:2: 'ACME_BETA")
    assert lines[-1] == "  -> give each contract one row, with the name of its file"


def test_folders_that_contradict_each_other_say_nothing_of_a_contracts_type(folder: Path) -> None:
    for kind in ("License_Agreements", "Agency"):
        pdfs = folder / "full_contract_pdf" / kind
        pdfs.mkdir(parents=True)
        (pdfs / "ACME_BETA - Supply Agreement.pdf").touch()
    assert import_cuad(folder, SCHEMA).documents[0].contract_type == "Supply"


def test_a_quote_that_is_nowhere_is_a_reject_and_its_field_is_not_assessed(tmp_path: Path) -> None:
    table(tmp_path, [row("A.pdf", "['Acme Ltd.', 'Gamma Ltd.']", "['of Texas']")])
    text_file(tmp_path, "A.txt")
    (document,), rejects, _ = import_cuad(tmp_path, SCHEMA)
    assert document.labels["Parties"].parts == ("Acme Ltd.",)
    assert "Governing Law" not in document.labels
    assert [(d.what, d.where, d.reason) for d in rejects] == [
        ("quote", "A.txt, Parties", "not in the text: 'Gamma Ltd.'"),
        ("quote", "A.txt, Governing Law", "not in the text: 'of Texas'"),
    ]


def test_contracts_and_columns_without_a_counterpart_are_rejects(tmp_path: Path) -> None:
    columns = [*COLUMNS, "Governing Lawz", "Governing Lawz-Answer"]
    table(tmp_path, [[*row("A.pdf"), "[]", ""], [*row("Lost.pdf"), "[]", ""]], columns)
    text_file(tmp_path, "A.txt")
    text_file(tmp_path, "Orphan.txt")
    documents, rejects, _ = import_cuad(tmp_path, SCHEMA)
    assert [d.id for d in documents] == ["A"]
    assert summarise(rejects).splitlines() == [
        "2 x column: the schema four has no field of this name; did you mean 'Governing Law'? "
        "(master_clauses.csv, Governing Lawz; master_clauses.csv, Governing Lawz-Answer)",
        "1 x contract: no text has this name (master_clauses.csv:3, Lost.pdf)",
        "1 x contract: no row of master_clauses.csv names this file (full_contract_txt/Orphan.txt)",
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["File", *COLUMNS[1:]], "master_clauses.csv:1: missing column 'Filename'"),
        (
            [*COLUMNS[:2], "Party Answers", *COLUMNS[3:]],
            "master_clauses.csv:1: missing column 'Parties-Answer'",
        ),
        (["Filename", "Who", *COLUMNS[2:]], "master_clauses.csv:1: missing column 'Parties'"),
        (["Filename", *"abcdef"], "master_clauses.csv:1: no column is a field of the schema four"),
    ],
)
def test_missing_columns(tmp_path: Path, columns: list[str], message: str) -> None:
    table(tmp_path, [row("A.pdf")], columns)
    with pytest.raises(DataError) as error:
        import_cuad(tmp_path, SCHEMA)
    assert message in str(error.value)
    assert error.value.do


def test_one_bad_cell_names_line_and_column(tmp_path: Path) -> None:
    table(tmp_path, [row("A.pdf", "two\nlines"), row("B.pdf", law="['unclosed")])
    with pytest.raises(DataError) as error:
        import_cuad(tmp_path, SCHEMA)
    assert str(error.value).splitlines() == [
        "master_clauses.csv:4, column 'Governing Law': not a Python list of quotes: \"['unclosed\"",
        "  -> write such a cell as ['first quote', 'second quote'], or []",
    ]


def test_many_bad_cells_make_one_report(tmp_path: Path) -> None:
    table(tmp_path, [row(f"{i}.pdf", "['unclosed" + "x" * 200) for i in range(7)])
    with pytest.raises(DataError) as error:
        import_cuad(tmp_path, SCHEMA)
    lines = str(error.value).splitlines()
    assert lines[0].endswith("7 mistakes")
    assert lines[1].startswith("  master_clauses.csv:2, column 'Parties': ")
    assert lines[6:8] == ["  and 2 more", "  -> write such a cell as ['first quote', 'second quote'], or []"]
    assert all(len(line) < 120 for line in lines[1:])


def test_rows_of_another_length(tmp_path: Path) -> None:
    table(tmp_path, [row("A.pdf"), row("B.pdf")[:3]])
    with pytest.raises(DataError, match=r"master_clauses.csv:3: 3 cells, the header has 7"):
        import_cuad(tmp_path, SCHEMA)


def test_an_unclosed_quotation_mark_names_its_row(tmp_path: Path) -> None:
    table(tmp_path, [row("A.pdf")])
    with (tmp_path / "master_clauses.csv").open("a") as stream:
        stream.write('"B.pdf,[],\n')
    with pytest.raises(DataError, match=r"master_clauses.csv:3: not a CSV table: unexpected end of data"):
        import_cuad(tmp_path, SCHEMA)


def test_a_table_without_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a table without rows"):
        import_cuad(table(tmp_path, []), SCHEMA)


def test_no_contract_could_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"none of the contracts could be read\n  1 x contract: no text has this name \(master_"
    ):
        import_cuad(table(tmp_path, [row("A.pdf")]), SCHEMA)


def test_two_columns_of_one_field(tmp_path: Path) -> None:
    twice = [*COLUMNS, "parties", "parties-Answer"]
    with pytest.raises(DataError, match=r"csv:1: two columns are the field 'Parties'; the second is 'parties'\n"):
        import_cuad(table(tmp_path, [[*row("A.pdf"), "[]", ""]], twice), SCHEMA)
    with pytest.raises(DataError, match=r"csv:1: two columns have the name 'Parties'\n  -> give every column"):
        import_cuad(table(tmp_path, [[*row("A.pdf"), "[]"]], [*COLUMNS, "Parties"]), SCHEMA)


def test_a_contract_without_text_is_a_reject(tmp_path: Path) -> None:
    table(tmp_path, [row("A.pdf"), row("B.pdf")])
    text_file(tmp_path, "A.txt")
    text_file(tmp_path, "B.txt", " \n")
    documents, rejects, _ = import_cuad(tmp_path, SCHEMA)
    assert [document.id for document in documents] == ["A"]
    assert summarise(rejects) == "1 x contract: its text is empty (master_clauses.csv:3, B.pdf)"


def test_many_contracts_that_are_not_utf8_make_one_report(tmp_path: Path) -> None:
    table(tmp_path, [row(f"{name}.pdf") for name in "ABCDEFG"])
    for name in "ABCDEFG":
        text_file(tmp_path, f"{name}.txt", "first\nsecond é", "latin-1")
    with pytest.raises(DataError) as caught:
        import_cuad(tmp_path, SCHEMA)
    first, *places, rest, do = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert first == "full_contract_txt: 7 mistakes"
    assert places == [f"  full_contract_txt/{name}.txt:2: not UTF-8: byte 0xe9" for name in "ABCDE"]
    assert (rest, do) == ("  and 2 more", "  -> save the file as UTF-8")


def test_a_contract_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    table(tmp_path, [row("A.pdf")])
    text_file(tmp_path, "A.txt", "first\nsecond é", "latin-1")
    with pytest.raises(DataError, match=r"A\.txt:2: not UTF-8: byte 0xe9\n  -> save the file as UTF-8"):
        import_cuad(tmp_path, SCHEMA)


def test_an_unreadable_contract(tmp_path: Path) -> None:
    table(tmp_path, [row("A.pdf")])
    (tmp_path / "full_contract_txt" / "A.txt").mkdir()
    with pytest.raises(DataError, match="cannot read the file: Is a directory"):
        import_cuad(tmp_path, SCHEMA)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, "no such folder"),
        ("other/", "neither master_clauses.csv with full_contract_txt/ nor CUAD_v1.json in this folder"),
        ("full_contract_txt/", "full_contract_txt/ is there, master_clauses.csv is missing"),
        ("../data", "a file, no folder"),
        ("master_clauses.csv", "master_clauses.csv is there, the folder full_contract_txt/ is missing"),
    ],
)
def test_missing_files(tmp_path: Path, made: str | None, message: str) -> None:
    place = tmp_path / "data"
    if made and made.endswith("/"):
        (place / made).mkdir(parents=True)
    elif made == "../data":
        place.touch()
    elif made:
        place.mkdir()
        (place / made).touch()
    with pytest.raises(DataError) as error:
        import_cuad(place, SCHEMA)
    assert message in str(error.value)
    assert "lextune data fetch cuad" in str(error.value)


def question(category: str, *answers: tuple[str, int], title: str = "A", impossible: bool = False) -> dict[str, Any]:
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": f"{title}__{category}", "question": "?", "answers": found, "is_impossible": impossible}


def squad(folder: Path, *contracts: tuple[str, list[dict[str, Any]]], name: str = "CUAD_v1.json") -> Path:
    data = [{"title": title, "paragraphs": [{"context": TEXT, "qas": qas}]} for title, qas in contracts]
    (folder / name).write_text(json.dumps({"version": "1", "data": data}))
    return folder


def test_json_offsets_choose_the_occurrence(tmp_path: Path) -> None:
    last = TEXT.rindex("Acme")
    qas = [
        question("Parties", ("Acme", last), ("Beta Ltd.", TEXT.index("Beta"))),
        question("Notice Period To Terminate Renewal", impossible=True),
    ]
    (document,), rejects, _ = import_cuad(squad(tmp_path, ("A", qas)), SCHEMA)
    assert rejects == []
    parties = document.labels["Parties"]
    assert parties.spans[0][0] == Span(start=last, end=last + 4)
    assert len(parties.spans[0]) == 3
    assert parties.answer is None
    assert set(document.labels) == {"Parties", "Notice Period to Terminate Renewal"}
    assert document.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()


def test_json_by_its_path_and_numbered_questions(tmp_path: Path) -> None:
    qas = [question("Parties_0", ("Acme", 0)), question("Parties_1", ("Beta Ltd.", -3))]
    squad(tmp_path, ("A", qas), name="test.json")
    (document,), rejects, _ = import_cuad(tmp_path / "test.json", SCHEMA)
    assert document.labels["Parties"].parts == ("Acme", "Beta Ltd.")  # wrong offsets fall back on the text
    assert summarise(rejects) == (
        "2 x offset: the quote stands elsewhere in the text (A, Parties: 0, 'Acme'; A, Parties: -3, 'Beta Ltd.')"
    )
    assert [TEXT[s[0].start : s[0].end] for s in document.labels["Parties"].spans] == ["Acme", "Beta Ltd."]


def test_half_a_character_in_json_leaves_out_no_more_than_it_must(tmp_path: Path) -> None:
    half = [question("Parties", ("Ac\ud800", 0), title="B\ud800")]
    squad(tmp_path, ("A", [question("Parties", ("Acme", 28))]), ("B\ud800", half))
    value = json.loads((tmp_path / "CUAD_v1.json").read_text())
    value["data"].append({"title": "C", "paragraphs": [{"context": "x \ud800 y", "qas": []}]})
    (tmp_path / "CUAD_v1.json").write_text(json.dumps(value))
    found = import_cuad(tmp_path, SCHEMA)
    assert [d.name for d in found.documents] == ["A", "B\ufffd"]
    assert ("C", HALF) in [(drop.where, drop.reason) for drop in found.rejects]
    for item in (*found.documents, *found.rejects):
        item.model_dump_json()


def test_a_contracts_file_may_have_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    table(tmp_path, [row("acme.txt")])
    for name in (b"acme\xe9.txt", b"other\xe9.txt"):
        text_file(tmp_path, os.fsdecode(name))
    (document,), rejects, _ = import_cuad(tmp_path, SCHEMA)
    assert document.id == "acme\ufffd"
    for item in (document, *rejects):
        item.model_dump_json()


def test_json_rejects(tmp_path: Path) -> None:
    qas = [
        question("Parties", ("Gamma", 3)),
        question("Colour"),
        question("Governing Law", ("Ohio", 9), impossible=True),
        question("Notice Period to Terminate Renewal"),
    ]
    squad(tmp_path, ("A", qas), ("Twin", []), ("Twin", []))
    content = json.loads((tmp_path / "CUAD_v1.json").read_text())
    content["data"].append({"title": "Empty", "paragraphs": []})
    (tmp_path / "CUAD_v1.json").write_text(json.dumps(content))
    (document,), rejects, _ = import_cuad(tmp_path, SCHEMA)
    assert list(document.labels) == ["Notice Period to Terminate Renewal"]
    assert {(d.where, d.reason) for d in rejects} == {
        ("A, Parties", "not in the text: 'Gamma'"),
        ("A__Governing Law", "is_impossible, and an answer: 'Ohio'"),
        ("Twin", "2 contracts have this title"),
        ("Empty", "0 paragraphs, one is needed: the whole contract"),
        ("CUAD_v1.json, Colour", "the schema four has no field of this name"),
    }


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        (("N/A", 0), ()),
        (("", 0), ()),
        ((".", 0), ()),
        ((".", TEXT.index(".")), (".",)),
        (("Acme", 0), ("Acme",)),
    ],
)
def test_null_contract_of_json_answers(tmp_path: Path, answer: tuple[str, int], parts: tuple[str, ...]) -> None:
    (document,), rejects, nulls = import_cuad(squad(tmp_path, ("A", [question("Parties", answer)])), SCHEMA)
    assert document.labels["Parties"].parts == parts
    assert [reject.what for reject in rejects] == (["offset"] if answer[0] == "Acme" else [])
    word = [] if parts or not answer[0] else [answer[0]]  # what is merely empty needs no report
    assert nulls == [Normalised("A__Parties", "Parties", raw) for raw in word]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"data": [',
            "json:1: not JSON: Expecting value at column 11; the object is not closed: the file may be cut off",
        ),
        ('{"data": []}', "no contracts in the file"),
        (
            '{"data": [{"titel": "A", "paragraphs": []}]}',
            ".0.title: 'title' is missing; is 'titel' meant to be it?",
        ),
        ('{"data": [{"paragraphs": []}]}', "data.0.title: 'title' is missing\n"),
        ('{"data": [{"title": "A", "title": "B"}]}', "the key 'title' occurs twice in one object, with 'A' and 'B'\n"),
        ('{"data": NaN}', "CUAD_v1.json: NaN is no JSON value\n  -> write a number"),
        ('{"data": []} {}', "CUAD_v1.json:1: not JSON: Extra data at column 14\n"),
        (
            '{"data": [{"title": "A", "paragraphs": [{"context": " ", "qas": []}]}]}',
            "no category is",
        ),
        (
            '{"data": [{"title": "A", "paragraphs": [{"qas": []}]}]}',
            "CUAD_v1.json, data.0.paragraphs.0.context",
        ),
        (
            '{"data": [{"title": "A", "paragraphs": [{"context": "x", "qas": [{"id": "A__B"}]}]}]}',
            "no category is",
        ),
    ],
)
def test_bad_json(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "CUAD_v1.json").write_text(content)
    with pytest.raises(DataError) as error:
        import_cuad(tmp_path, SCHEMA)
    assert message in str(error.value)


def test_the_built_in_schema_begins_with_cuads_columns(cuad_dir: Path) -> None:
    with (cuad_dir / "master_clauses.csv").open(encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader(stream))
    schema = load_schema("clauses-47")
    assert len(schema.names) == 47
    assert [name for name in header[1:] if not name.endswith("-Answer")] == list(schema.names[:41])


def test_every_real_contract_matches_and_every_quote_is_found(cuad_dir: Path) -> None:
    schema = load_schema("clauses-47")
    documents, rejects, _ = import_cuad(cuad_dir, schema)
    assert (len(documents), rejects) == (408, [])
    labels = [label for document in documents for label in document.labels.values()]
    assert len(labels) == 408 * 41
    assert sum(label.present for label in labels) == 5352
    assert sum(len(label.parts) for label in labels) == 11162
    assert len({document.contract_type for document in documents}) == 25
    for document in documents[:40]:
        for label in document.labels.values():
            for part, spans in zip(label.parts, label.spans, strict=True):
                found = document.text[spans[0].start : spans[0].end]
                assert found.split() == part.split()
