"""Two runs side by side: tested where both read the same documents, and refused with what differs where not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from lextune.core.artifacts import Artifact, ArtifactStore, sha256_file, write_atomic, write_jsonl
from lextune.core.errors import ArtifactError, DataError
from lextune.core.records import Document, FieldAnswer, Prediction, Quote
from lextune.evaluate.compare import Comparison, Row, compare_runs, gains_and_losses
from lextune.evaluate.compare_page import cells, documents_line, render_comparison
from lextune.expert.schema import Schema
from lextune.expert.scoring import paired, score, trivial

Runs = Callable[..., Path]


def answered(document: Document, schema: Schema, *names: str) -> Prediction:
    """A prediction that has these fields right, where the document has them, and is null in the others."""
    empty = trivial.always_null(document, schema)
    fields = dict(empty.record.fields)
    for name in names:
        label = document.labels.get(name)
        if label is not None and label.present:
            place = label.spans[0][0]
            quote = Quote(text=label.parts[0], start=place.start, end=place.end, page=None)
            value = label.answer if name == "Law" else {"value": int_of(label.answer), "unit": "year"}
            fields[name] = FieldAnswer(answer=value, quotes=(quote,), confidence=0.9, status="accepted")
    return empty.model_copy(update={"record": empty.record.model_copy(update={"fields": fields})})


def int_of(answer: str | None) -> int:
    return {"five": 5, "two": 2, "nine": 9}[(answer or "").split()[0]]


@pytest.fixture
def documents(documents: list[Document]) -> list[Document]:
    """The three contracts, each with a source of its own."""
    return [one.model_copy(update={"sha256": str(place) * 64}) for place, one in enumerate(documents)]


@pytest.fixture
def make_run(tmp_path: Path, schema: Schema, schema_file: str) -> Runs:
    """Write a run with an evaluation and what it is made of: the tuned arm has the named fields right."""

    def make(name: str, documents: list[Document], *names: str, **changes: Any) -> Path:
        predictions = [answered(document, schema, *names) for document in documents]
        arms = {"tuned": score(documents, predictions, schema).as_json()}
        costs = {"tuned": {"price": changes.pop("price", 0.0)}}
        named = changes.pop("named", {})
        evaluation = {
            "tuned": "tuned",
            "arms": arms,
            "model_hash": "m",
            "costs": costs,
            **changes.pop("evaluation", {}),
        }
        store, made = ArtifactStore(tmp_path / name), dict[str, Artifact]()
        config = {"task": "clause-extraction", "schema_name": schema_file, **changes}
        for stage, kind, parents, fill in (
            ("split", "split", (), lambda folder: write_jsonl(folder / "test.jsonl", documents)),
            ("predict", "predictions", (), lambda folder: write_jsonl(folder / "tuned.jsonl", predictions)),
            (
                "score",
                "evaluation",
                ("split", "predictions"),
                lambda folder: write_atomic(folder / "evaluation.json", json.dumps(evaluation)),
            ),
            (
                "bundle",
                "release",
                ("evaluation",),
                lambda folder: write_atomic(folder / "metrics.json", json.dumps(evaluation)),
            ),
        ):
            header = {"kind": kind, "stage": stage, "stage_version": 1, "config": config, "seed": 0}
            header["inputs"] = {each: made[each].hash for each in parents} | (named if stage == "score" else {})
            header["parents"] = {each: made[each].path.name for each in parents}
            made[kind] = store.build(header, "0" * 12, lambda folder, fill=fill: {"written": fill(folder)})
        return tmp_path / name

    return make


def test_the_second_is_tested_against_the_first(make_run: Runs, documents: list[Document], schema: Schema) -> None:
    a, b = make_run("a", documents, "Law"), make_run("b", documents, "Law", "Term", price=0.5)
    found = compare_runs(a, b)
    expected = paired(
        documents,
        [answered(d, schema, "Law", "Term") for d in documents],
        [answered(d, schema, "Law") for d in documents],
        schema,
    )
    assert found.paired is not None
    assert {key: found.paired[key] for key in expected.as_json()} == expected.as_json()
    assert found.why is None
    assert found.sentence == found.paired["sentence"]
    assert f"{b}" in found.sentence
    assert documents_line(found.documents) == "Both read the same 3 held-out documents, with the same labels."
    scores = {row.name: row for row in found.scores}
    assert scores["field F1"].difference == pytest.approx(1.0 - 6 / 8)
    assert [(row.name, row.difference) for row in found.fields] == [("Term", 1.0), ("Law", 0.0)]
    (price,) = (row for row in found.costs if row.name == "price of a document")
    assert (price.a, price.b, price.difference) == (None, 0.5, None)
    turned = compare_runs(b, a)
    assert turned.paired is not None
    assert turned.paired["difference"] == pytest.approx(-expected.difference)
    json.dumps(found.as_json(), allow_nan=False)


def test_a_run_its_evaluation_and_its_release_are_one(make_run: Runs, documents: list[Document]) -> None:
    run = make_run("a", documents, "Law")
    whole = compare_runs(run, run)
    assert whole.paired is not None
    assert whole.paired["difference"] == 0.0
    for stage in ("score", "bundle"):
        assert compare_runs(run / f"{stage}-{'0' * 12}", run).paired is not None
    alone = compare_runs(run, run / f"score-{'0' * 12}" / "evaluation.json")
    assert alone.paired is None
    assert documents_line(alone.documents) == "Which documents both read is not known."
    file = run / f"score-{'0' * 12}" / "evaluation.json"
    assert alone.sentence == (
        f"whether {file} is better than {run} is not tested: field F1 0.750 against 0.750, but the answers behind"
        f" {file} are not at hand: a file or a release alone holds scores only."
    )
    moved = run.parent / "copied"
    shutil.copytree(run / f"bundle-{'0' * 12}", moved)
    assert compare_runs(moved, run).paired is None


def test_ids_may_differ_where_sources_do_not(make_run: Runs, documents: list[Document]) -> None:
    renamed = [one.model_copy(update={"id": f"other {one.id}"}) for one in reversed(documents)]
    found = compare_runs(make_run("a", documents, "Law"), make_run("b", renamed, "Law", "Term"))
    assert found.paired is not None
    assert found.paired["difference"] == pytest.approx(0.25)
    of_one_file = [one.model_copy(update={"sha256": "0" * 64}) for one in documents]
    assert compare_runs(make_run("c", of_one_file, "Law"), make_run("d", of_one_file, "Law")).paired is not None


def test_other_documents_are_named_and_nothing_is_tested(make_run: Runs, documents: list[Document]) -> None:
    changed = documents[1].model_copy(update={"labels": {"Law": documents[1].labels["Law"]}})
    new = documents[2].model_copy(update={"sha256": "9" * 64, "name": "a new one"})
    found = compare_runs(make_run("a", documents, "Law"), make_run("b", [documents[0], changed, new], "Law"))
    assert (found.documents.same, found.documents.only_a, found.documents.only_b, found.documents.relabelled) == (
        *(1, ("contract 2",), ("a new one",)),
        ("contract 1",),
    )
    assert found.why == (
        "the held-out documents differ: 1 document only in the first (contract 2), 1 document only in the second"
        " (a new one), 1 document with another text or other labels (contract 1)"
    )
    assert documents_line(found.documents) == (
        "1 held-out document are the same in both; only A read 1, only B 1; 1 have another text or other labels."
    )
    page = render_comparison(found)
    assert "<h2>Only in B</h2>" in page
    assert "<li>a new one</li>" in page


def test_other_tasks_are_not_tested(make_run: Runs, documents: list[Document]) -> None:
    found = compare_runs(make_run("a", documents, "Law"), make_run("b", documents, "Law", schema_name="clauses-47"))
    assert found.why == "the two are of different tasks, or their fields or scorers differ"


def test_scorers_that_read_other_files_are_not_tested(make_run: Runs, documents: list[Document]) -> None:
    options = {"task_options": {"glossary": "terms.csv"}}
    a = make_run("a", documents, "Law", named={"glossary": "1" * 64}, **options)
    b = make_run("b", documents, "Law", named={"glossary": "2" * 64}, **options)
    assert compare_runs(a, b).why == "the two are of different tasks, or their fields or scorers differ"


@pytest.mark.parametrize(
    ("what", "setting"), [("glossary", "glossary"), ("corpus", "corpus"), ("known citations", "citations")]
)
def test_a_file_that_was_edited_since_both_were_scored_is_not_scored_with(
    make_run: Runs, documents: list[Document], schema_file: str, tmp_path: Path, what: str, setting: str
) -> None:
    file = tmp_path / "terms.csv"
    file.write_text("source,target\n")
    named = {what: sha256_file(file), "schema file": sha256_file(Path(schema_file))}
    options = {"named": named, "task_options": {setting: str(file)}}
    a, b = (make_run(name, documents, "Law", **options) for name in "ab")
    assert compare_runs(a, b).paired is not None
    for change in (lambda: file.write_text("source,target\nlaw,droit\n"), file.unlink):
        change()
        found = compare_runs(a, b)
        assert found.paired is None
        assert found.why == (
            f"since both were scored the {what} {file} changed or went away: put back what was there, or run both"
            " recipes again"
        )
    schema = Path(schema_file)
    schema.write_text(schema.read_text() + "\n")
    assert f"the schema file {schema} and the {what} {file} changed or went away" in str(compare_runs(a, b).why)


def test_what_names_no_evaluation_is_refused(make_run: Runs, documents: list[Document], tmp_path: Path) -> None:
    run = make_run("a", documents, "Law")
    (tmp_path / "notes.json").write_text("[1]")
    (tmp_path / "empty").mkdir()
    split = run / f"split-{'0' * 12}"
    for path, kind, message in (
        (
            tmp_path / "notes.json",
            DataError,
            "this is no evaluation\n  -> give the evaluation.json or metrics.json that a run wrote",
        ),
        (
            tmp_path / "empty",
            ArtifactError,
            "no evaluation here\n  -> give a run's folder; `lextune run RECIPE --until score` makes its evaluation",
        ),
        (
            split,
            ArtifactError,
            "this is a split, which holds no evaluation\n"
            "  -> give a run, a release, an evaluation, or an evaluation.json",
        ),
    ):
        with pytest.raises(kind) as caught:
            compare_runs(run, path)
        assert str(caught.value) == f"{path}: {message}"


def test_gains_and_losses_are_the_largest_ten() -> None:
    rows = [Row(str(place), None, None, difference) for place, difference in enumerate(range(12, -13, -1))]
    gained, lost = gains_and_losses(rows)
    assert [row.difference for row in gained] == list(range(12, 2, -1))
    assert [row.difference for row in lost] == list(range(-12, -2))


def test_rows_as_text() -> None:
    leaf = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    assert cells(Row("F1", leaf, None, None)) == ["F1", "0.500 (0.400 to 0.600)", "–", "–"]
    assert cells(Row("F1", leaf, leaf, 0.0)) == ["F1", *["0.500 (0.400 to 0.600)"] * 2, "+0.000"]
    assert cells(Row("seconds", 12.0, 9.5, -2.5)) == ["seconds", "12", "9.5", "-2.5"]
    assert cells(Row("tokens", 100.0, 350.0, 250.0)) == ["tokens", "100", "350", "+250"]


def test_the_page_is_self_contained(make_run: Runs, documents: list[Document]) -> None:
    hostile = "<script>alert(1)</script>"
    found = compare_runs(make_run("a", documents, "Law"), make_run("b", documents, "Law", "Term"))
    named = Comparison(**{**{key: getattr(found, key) for key in found.__dataclass_fields__}, "a": hostile})
    page = render_comparison(named)
    tree = html.document_fromstring(page)
    assert not tree.xpath("//script | //img | //link")
    assert tree.get("lang") == "en"
    assert [cell.text_content() for cell in tree.xpath("//table[caption='Fields that gained most']//tbody//td")] == [
        *("0.000 (0.000 to 0.000)", "1.000 (1.000 to 1.000)", "+1.000")
    ]
    assert len(tree.xpath("//*[local-name()='svg']")) == 1
    assert render_comparison(named) == page
