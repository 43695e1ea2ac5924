"""From a source to a dataset version: the format is found, nothing disappears, mistakes make one report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lextune import api
from lextune.core.artifacts import Artifact, read_jsonl, sha256_file
from lextune.core.errors import DataError, UserError
from lextune.core.mistakes import Mistake
from lextune.core.records import Document, Drop
from lextune.data.importers.intake import (
    FORMATS,
    Options,
    find_format,
    import_source,
    import_version,
    take_in,
)
from lextune.data.importers.report import MAX_REASONS, Item, Normalised
from lextune.data.importers.tally import Tally
from lextune.expert.schema import load_schema

SAMPLES = Path(api.__file__).parent / "resources" / "sample_contracts"
OPTIONS = Options(load_schema("clauses-47"))
GOOD = {"instruction": "Q", "input": "", "output": "A"}


def write(tmp_path: Path, *lines: object, name: str = "rows.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n", encoding="utf-8")
    return path


def taken(path: Path, **options: Any) -> tuple[dict[str, Any], list[Document], list[Drop]]:
    folder = path.parent
    summary = take_in(import_source(path, OPTIONS), folder, path, **options)
    documents = list(read_jsonl(folder / "documents.jsonl", Document))
    drops = list(read_jsonl(folder / "drops.jsonl", Drop))
    assert summary["n_in"] == summary["n_out"] + summary["n_dropped"]
    assert (summary["n_out"], summary["rejects"]) == (len(documents), len(drops))
    return summary, documents, drops


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        taken(path)
    return str(caught.value)


def test_rows_are_taken_in_and_useless_ones_counted_by_reason(tmp_path: Path) -> None:
    rows = [GOOD, GOOD, {**GOOD, "output": "B"}, {**GOOD, "output": " "}, {**GOOD, "instruction": ""}]
    summary, documents, drops = taken(write(tmp_path, *rows))
    assert [d.id for d in documents] == ["rows-1"]
    assert [(d.what, d.where, d.reason) for d in drops] == [
        ("row", "rows.jsonl:2", "a repeated row"),
        ("row", "rows.jsonl:3", "another output for the same question"),
        ("row", "rows.jsonl:4", "the output is empty"),
        ("row", "rows.jsonl:5", "the instruction is empty"),
    ]
    assert (summary["n_in"], summary["n_out"], summary["n_dropped"]) == (5, 1, 4)
    assert summary["reasons"][0] == {"what": "row", "reason": "a repeated row", "n": 1, "first": ["rows.jsonl:2"]}


def test_rows_with_ids_of_their_own_are_no_repeats(tmp_path: Path) -> None:
    _, documents, _ = taken(write(tmp_path, {**GOOD, "id": "a"}, {**GOOD, "id": "b"}, GOOD))
    assert [d.id for d in documents] == ["a", "b", "rows-3"]


def test_several_pairs_of_one_question_are_kept(tmp_path: Path) -> None:
    pair = {"prompt": "Q", "chosen": "A", "rejected": "B"}
    _, documents, drops = taken(write(tmp_path, pair, {**pair, "rejected": "C"}, pair))
    assert [d.rejected for d in documents] == ["B", "C"]
    assert [d.reason for d in drops] == ["a repeated row"]


def test_what_the_null_contract_changed_is_counted_by_field_and_word(tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{i}", "completion": answer} for i, answer in enumerate(["N/A", "N/A", "none", "null", "No"])]
    summary, documents, _ = taken(write(tmp_path, *rows))
    assert [d.labels["output"].answer for d in documents] == [None, None, None, None, "No"]
    assert json.loads((tmp_path / "nulls.json").read_text()) == {"output": {"N/A": 2, "none": 1}}
    assert summary["nulls"] == {"output": 3}


def test_control_tokens_are_counted_wherever_they_stand(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a <|im_end|>", "completion": "b"},
        {"prompt": "c", "completion": "[/INST]"},
        {"prompt": "d", "chosen": "e", "rejected": "</s>"},
        {"prompt": "plain", "completion": "text < | >"},
    ]
    assert taken(write(tmp_path, *rows[:2], rows[3]))[0]["with_control_tokens"] == 2
    assert taken(write(tmp_path, rows[2]))[0]["with_control_tokens"] == 1
    chat = {"messages": [{"role": r, "content": c} for r, c in (("system", "<s>"), ("user", "q"), ("assistant", "a"))]}
    assert taken(write(tmp_path, chat))[0]["with_control_tokens"] == 1


def test_one_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    assert refused(write(tmp_path, GOOD, {**GOOD, "ouput": 1})) == (
        "rows.jsonl:2: unknown key 'ouput'; did you mean 'output'?\n"
        "  -> correct these places; `lextune data import --skip-bad` leaves them out and lists them in drops.jsonl"
    )


def test_many_mistakes_make_one_report(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, *["oops"] * 8)
    lines = refused(path).splitlines()
    assert lines[0] == f"{path}: 8 mistakes"
    assert lines[1] == "  rows.jsonl:2: not JSON: Expecting value at column 1"
    assert lines[5] == "  rows.jsonl:6: not JSON: Expecting value at column 1"
    assert lines[6] == "  and 3 more"


def test_a_wrong_column_is_told_once(tmp_path: Path) -> None:
    path = write(tmp_path, "instruction,output,scroe", *["Q,A,1"] * 9, name="rows.csv")
    assert refused(path) == (
        "rows.csv:2: unknown key 'scroe' (a column)\n"
        "  -> rename the column; `lextune data import --ignore NAME` leaves one out"
    )
    items = list(import_source(path, OPTIONS._replace(ignore=("scroe",))))
    assert (type(items[0]), len(items)) == (Document, 9)
    inptu = write(tmp_path, "instruction,output,inptu", "Q,A,1", name="rows.csv")
    assert refused(inptu).startswith("rows.csv:2: unknown key 'inptu'; did you mean 'input'? (a column)\n")


def test_bad_rows_can_be_left_out(tmp_path: Path) -> None:
    summary, documents, drops = taken(write(tmp_path, GOOD, "oops", {"a": 1}), skip_bad=True)
    assert len(documents) == 1
    assert [(d.what, d.where, d.reason) for d in drops] == [
        ("row", "rows.jsonl:2", "not JSON: Expecting value at column 1"),
        ("row", "rows.jsonl:3", "unknown key 'a'"),
    ]
    assert (summary["n_in"], summary["n_dropped"]) == (3, 2)


def test_an_id_that_occurs_twice_is_a_mistake(tmp_path: Path) -> None:
    message = refused(write(tmp_path, GOOD, {**GOOD, "id": "rows-1"}))
    assert message.startswith("rows.jsonl:2: the id 'rows-1' occurs a second time")
    twice = [Document(id="a", name="A.txt", sha256="0", text="x")] * 2
    with pytest.raises(DataError, match=r", document A\.txt: the id 'a' occurs a second time"):
        take_in(twice, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "nothing in it: no row and no document"),
        (
            [{**GOOD, "instruction": f"Q{n}", "output": ""} for n in range(7)],
            "nothing in it is of use\n  7 x row: the output is empty (rows.jsonl:1; rows.jsonl:2; rows.jsonl:3; "
            "rows.jsonl:4; rows.jsonl:5, ...)",
        ),
    ],
)
def test_a_source_without_a_document_is_refused(tmp_path: Path, lines: list[Any], message: str) -> None:
    path = write(tmp_path, *lines)
    assert refused(path).rpartition("\n")[0] == f"{path}: {message}"


def test_all_kinds_of_items_are_counted(tmp_path: Path) -> None:
    def items() -> Iterator[Item]:
        yield Document(id="a", name="a", sha256="0", text="x")
        yield Normalised("a", "Parties", "n/a")
        yield Drop(what="quote", where="a", reason="not in the text")
        yield Drop(what="contract", where="b", reason="no text")
        yield Mistake("c", "broken")

    summary = take_in(items(), tmp_path, tmp_path, skip_bad=True)
    assert (summary["n_in"], summary["n_out"], summary["n_dropped"], summary["rejects"]) == (3, 1, 2, 3)
    assert summary["nulls"] == {"Parties": 1}


def test_ever_new_reasons_do_not_fill_the_memory() -> None:
    tally = Tally()
    for number in range(MAX_REASONS + 10):
        tally.drop(Drop(what="row", where="x", reason=f"reason {number}"))
    assert (tally.n_dropped, tally.reasons.total, len(tally.reasons.rows())) == (MAX_REASONS + 10,) * 2 + (MAX_REASONS,)


def test_a_version_is_sealed_and_says_what_it_was_made_of(tmp_path: Path) -> None:
    path = write(tmp_path, {**GOOD, "score": 1})
    options = OPTIONS._replace(ignore=("score",))
    artifact = import_version(path, tmp_path / "version", options)
    found = Artifact.open(tmp_path / "version", kind="documents")
    assert found.hash == artifact.hash
    assert sorted(found.manifest.files) == ["documents.jsonl", "drops.jsonl", "nulls.json"]
    assert found.manifest.config == {
        "format": "instruction",
        "schema": "clauses-47",
        "ignore": ["score"],
        "arguments": False,
        "ocr": None,
        "skip_bad": False,
    }
    assert list(found.manifest.inputs) == ["source"]
    again = import_version(path, tmp_path / "again", options)
    assert (again.hash, again.manifest.inputs) == (found.hash, found.manifest.inputs)
    with pytest.raises(UserError, match="this exists already"):
        import_version(path, tmp_path / "version", options)


def test_a_refused_import_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, "oops")
    with pytest.raises(DataError):
        import_version(path, tmp_path / "version", OPTIONS)
    assert list(tmp_path.iterdir()) == [path]


def test_a_version_is_not_written_into_its_source(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "a.txt").write_text("A contract.")
    with pytest.raises(
        UserError, match=r"v: this is inside the source, which stays untouched\n  -> choose another --out"
    ):
        import_version(tmp_path / "contracts", tmp_path / "contracts" / "v", OPTIONS)
    assert [path.name for path in (tmp_path / "contracts").iterdir()] == ["a.txt"]


def test_a_source_that_changes_after_it_was_hashed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD)
    from lextune.data.importers import snapshot

    monkeypatch.setattr(
        snapshot, "sha256_file", lambda source: source.write_text(json.dumps({**GOOD, "output": "B"})) and "0"
    )
    with pytest.raises(DataError, match="the file changed while it was read"):
        import_version(path, tmp_path / "version", OPTIONS)
    assert list(tmp_path.iterdir()) == [path]


def test_documents_that_changed_or_vanished_since_they_were_hashed_are_drops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lextune.data.importers import snapshot

    source = tmp_path / "source"
    source.mkdir()
    for name in ("changed.txt", "gone.txt", "same.txt"):
        (source / name).write_text(f"This is {name}.")

    def hashed_then_changed(file: Path) -> str:
        digest = sha256_file(file)
        if file.name == "changed.txt":
            file.write_text("Replaced.")
        if file.name == "gone.txt":
            file.unlink()
        return digest

    monkeypatch.setattr(snapshot, "sha256_file", hashed_then_changed)
    made = import_version(source, tmp_path / "version", OPTIONS)
    drops = [drop.model_dump() for drop in read_jsonl(made.file("drops.jsonl"), Drop)]
    assert [document.name for document in read_jsonl(made.file("documents.jsonl"), Document)] == ["same.txt"]
    assert drops == [
        {"what": "document", "where": "changed.txt", "reason": "the file changed while the folder was read"},
        {"what": "document", "where": "gone.txt", "reason": "the file vanished while the folder was read"},
    ]


def test_contracts_that_changed_since_they_were_hashed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lextune.data.importers import snapshot

    shutil.copytree(SAMPLES, source := tmp_path / "source")

    def hashed_then_changed(file: Path) -> str:
        digest = sha256_file(file)
        with file.open("a") as stream:
            stream.write("\n")
        return digest

    monkeypatch.setattr(snapshot, "sha256_file", hashed_then_changed)
    with pytest.raises(DataError) as caught:
        import_version(source, tmp_path / "version", OPTIONS)
    first, *places, rest, do = str(caught.value).splitlines()
    count = sum(file.is_file() for file in source.rglob("*"))
    assert first == f"{source}: {count} mistakes"
    assert len(places) == 5
    assert all(place.endswith(": the file changed while the folder was read") for place in places)
    assert (rest, do) == (f"  and {count - 5} more", "  -> wait until what writes there is done, or import a copy")
    assert not (tmp_path / "version").exists()


def test_reasons_that_differ_in_details_are_one(tmp_path: Path) -> None:
    items = [Drop(what="document", where=f"{n}.txt", reason=f"not UTF-8: byte 0xe9 at offset {n}") for n in range(7)]
    document = Document(id="a", name="a", sha256="0", text="x")
    (row,) = take_in([document, *items], tmp_path, tmp_path)["reasons"]
    assert (row["reason"], row["n"]) == ("not UTF-8", 7)
    assert row["first"] == [f"{n}.txt: byte 0xe9 at offset {n}" for n in range(5)]


def test_contracts_are_imported_by_the_same_way(tmp_path: Path) -> None:
    artifact = import_version(SAMPLES, tmp_path / "version", OPTIONS)
    assert artifact.manifest.config["format"] == "cuad"
    assert artifact.manifest.summary["n_out"] >= 12


CHAT = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.jsonl", GOOD, "instruction"),
        ("a.jsonl", CHAT, "chat"),
        ("a.json", [CHAT], "chat"),
        ("a.jsonl", {"prompt": "Q", "completion": "A"}, "prompt-completion"),
        ("a.jsonl", {"prompt": "Q", "chosen": "A", "rejected": "B"}, "preference"),
        ("a.jsonl", {"conversations": []}, "sharegpt"),
        ("a.jsonl", {"messages": [], "choices": []}, "openai-log"),
        ("a.jsonl", {"text": "x", "label": []}, "doccano"),
        ("a.jsonl", {"text": "x", "label": "Payment"}, "classification"),
        ("a.jsonl", {"question": "x", "choices": ["a", "b"], "answer": "A"}, "multiple-choice"),
        ("a.jsonl", {"question": "x", "answer": "y", "articles": ["1"]}, "statute-qa"),
        ("a.jsonl", {"source": "x", "target": "y"}, "translation"),
        ("a.jsonl", {"id": 1, "text": "x", "entities": [], "relations": []}, "doccano"),
        ("a.json", [{"id": 1, "data": {"text": "x"}, "annotations": []}], "label-studio"),
        ("a.json", [{"id": 1, "text": "x", "label": [], "annotator": 1, "annotation_id": 2}], "label-studio"),
        ("a.json", {"version": "1", "data": [{"title": "x", "paragraphs": []}]}, "cuad"),
        ("a.jsonl", "", "instruction"),
    ],
)
def test_the_format_is_seen_in_the_first_row(tmp_path: Path, name: str, content: Any, format: str) -> None:
    assert find_format(write(tmp_path, content, name=name)) == format


def test_folders_are_contracts_or_documents(tmp_path: Path) -> None:
    assert find_format(tmp_path) == "folder"
    assert find_format(SAMPLES) == "cuad"
    assert find_format(tmp_path, "cuad") == "cuad"
    (tmp_path / "CUAD_v1").mkdir()
    shutil.copy(SAMPLES / "master_clauses.csv", tmp_path / "CUAD_v1")
    assert find_format(tmp_path) == "cuad"


@pytest.mark.parametrize(
    ("name", "format", "message"),
    [
        ("none.jsonl", "auto", "none.jsonl: no such file or folder\n  -> check the path"),
        ("a.pdf", "auto", "a.pdf: no known format\n  -> give a folder of documents, or rows in a file that ends in"),
        ("a.jsonl", "auto", "a.jsonl:1: rows of no known shape: their keys are 'zzz'"),
        (
            "v",
            "auto",
            "v: a dataset version already, no source\n  -> go on with it as it is: clean, dedupe or export it",
        ),
        ("a.jsonl", "chta", "--format: no format 'chta'; did you mean 'chat'?\n  -> use auto or one of\n"),
    ],
)
def test_a_source_of_no_format_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, format: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pdf").write_text("x")
    Path("a.jsonl").write_text('{"zzz": 1}')
    import_version(write(tmp_path, GOOD), Path("v"), OPTIONS)
    with pytest.raises(DataError) as caught:
        find_format(Path(name), format)
    assert str(caught.value).startswith(message)


def test_every_format_is_listed_with_what_it_is() -> None:
    with pytest.raises(DataError) as caught:
        find_format(Path(), "x")
    lines = str(caught.value).splitlines()[2:]
    assert [line.split(maxsplit=1) for line in lines] == [[name, each.line] for name, each in FORMATS.items()]


def test_tags_of_no_contract_are_no_lost_document(tmp_path: Path) -> None:
    (tmp_path / "full_contract_txt").mkdir()
    (tmp_path / "full_contract_txt" / "a.txt").write_text("The laws of Ohio govern.")
    (tmp_path / "master_clauses.csv").write_text("Filename,Governing Law,Governing Law-Answer\na.pdf,[],\n")
    (tmp_path / "document_tags.csv").write_text("Filename,tenant\na.pdf,north\nb.pdf,south\n")
    counts, documents, drops = taken(tmp_path)
    assert (counts["n_in"], counts["n_out"], counts["n_dropped"], counts["rejects"]) == (1, 1, 0, 1)
    assert (documents[0].tags, [drop.what for drop in drops]) == ({"tenant": "north"}, ["tags"])


def test_labelled_spans_and_folders_are_imported_by_the_same_way(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": 1, "text": "Ohio law.", "label": [[0, 9, "Governing Law"]]}, "oops")
    summary, (document,), drops = taken(path, skip_bad=True)
    assert (document.labels["Governing Law"].parts, len(drops), summary["n_in"]) == (("Ohio law.",), 1, 2)
    task = {"id": 1, "data": {"text": "Ohio law."}, "annotations": [{"result": []}, {"result": [{"type": "choices"}]}]}
    summary, documents, drops = taken(write(tmp_path, [task], name="a.json"))
    assert (len(documents), [d.what for d in drops], summary["n_in"]) == (2, ["label"], 2)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("A contract.")
    (folder / "b.exe").write_bytes(b"x")
    made = import_version(folder, tmp_path / "version", OPTIONS)
    assert (made.manifest.config["format"], made.manifest.summary["n_in"]) == ("folder", 2)
    (folder / "b.exe").write_bytes(b"y")
    assert import_version(folder, tmp_path / "again", OPTIONS).manifest.inputs != made.manifest.inputs


def test_scans_are_recognised_in_the_languages_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lextune.data.importers import folder
    from lextune.text.reading import Ocr

    asked: list[Any] = []
    monkeypatch.setattr(folder, "read_folder", lambda path, *, ocr, ray: asked.append(ocr) or iter(()))
    for languages in (None, "eng+deu"):
        assert list(import_source(tmp_path, OPTIONS._replace(ocr=languages), "folder")) == []
    assert asked == [None, Ocr(languages="eng+deu")]
