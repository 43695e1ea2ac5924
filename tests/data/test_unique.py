"""One of each family goes on, the others are dropped with its name."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from lextune.core.artifacts import Artifact, build_folder, read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import UserError
from lextune.core.records import Document, Drop, FieldLabel, Message
from lextune.core.stage import Context
from lextune.data.unique import STAGE, DedupeConfig, clause_families, families_of, run_dedupe

WORDS = [f"word{i}" for i in range(500)]
FORM = "The Supplier shall indemnify the Customer against all claims of third parties that arise from the goods."


def text(seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=80))


def document(name: str, words: str, labelled: bool = False) -> Document:
    labels = {"Term": FieldLabel(parts=("x",))} if labelled else {}
    return Document(id=name, name=name, sha256="", text=words, labels=labels)


DOCUMENTS = [
    document("a", text(1)),
    document("b", text(2)),
    document("a2", text(1).upper()),
    document("a3", f"{text(1)} end", labelled=True),
    document("b2", text(2)),
]


def dataset(folder: Path, documents: list[Document] = DOCUMENTS) -> Artifact:
    header = {"kind": "documents", "stage": "documents", "stage_version": 1, "config": {}, "seed": 0}

    def make(out: Path) -> dict[str, object]:
        write_jsonl(out / "documents.jsonl", documents)
        write_atomic(out / "nulls.json", "{}")
        return {"source": "given"}

    return build_folder(folder, {**header, "inputs": {}, "parents": {}}, make)


def test_one_of_each_family_is_kept(tmp_path: Path) -> None:
    source = dataset(tmp_path / "d")
    summary = run_dedupe(DedupeConfig(), {"documents": source}, tmp_path, Context())
    assert summary == {"n_in": 5, "n_out": 2, "n_dropped": 3, "families": 2, "source": "given"}
    assert [d.id for d in read_jsonl(tmp_path / "documents.jsonl", Document)] == ["b", "a3"]
    drops = list(read_jsonl(tmp_path / "drops.jsonl", Drop))
    assert [drop.where for drop in drops] == ["a", "a2", "b2"]
    assert drops[0].reason == "a near-duplicate of a3 (Jaccard similarity 0.99)"
    assert (tmp_path / "nulls.json").is_file()
    families = list(families_of(source.file("documents.jsonl"), "document", 0.8))
    assert families == [
        {"kept": "a3", "dropped": ["a", "a2"], "same_words": False},
        {"kept": "b", "dropped": ["b2"], "same_words": True},
    ]
    assert (tmp_path / "families.json").read_text() == json.dumps(families, indent=1)
    assert (STAGE.kind, STAGE.inputs) == ("documents", ("documents",))


def test_without_near_duplicates_all_go_on(tmp_path: Path) -> None:
    source = dataset(tmp_path / "d", DOCUMENTS[:2])
    summary = run_dedupe(DedupeConfig(), {"documents": source}, tmp_path, Context())
    assert (summary["n_out"], summary["families"]) == (2, 0)
    assert (tmp_path / "families.json").read_text() == "[]"
    assert (tmp_path / "documents.jsonl").read_bytes() == source.file("documents.jsonl").read_bytes()


def numbered(start: int, end: int) -> str:
    return " ".join(f"w{i}" for i in range(start, end))


def deduped(documents: list[Document], folder: Path) -> tuple[list[str], list[Drop]]:
    run_dedupe(DedupeConfig(), {"documents": dataset(folder / "d", documents)}, folder, Context())
    kept = [d.id for d in read_jsonl(folder / "documents.jsonl", Document)]
    return kept, list(read_jsonl(folder / "drops.jsonl", Drop))


def test_a_chain_loses_only_what_is_like_a_document_that_is_kept(tmp_path: Path) -> None:
    documents = [document(str(i), numbered(20 * i, 20 * i + 200)) for i in range(12)]
    kept, drops = deduped(documents, tmp_path)
    assert kept == ["0", "2", "4", "6", "8", "10"]
    assert drops[0].reason == "a near-duplicate of 0 (Jaccard similarity 0.81)"
    assert [drop.where for drop in drops] == ["1", "3", "5", "7", "9", "11"]
    families = json.loads((tmp_path / "families.json").read_text())
    assert families[1] == {"kept": "2", "dropped": ["3"], "same_words": False}


def test_rows_for_other_systems_and_pairs_of_other_answers_stay(tmp_path: Path) -> None:
    def row(name: str, answer: str = "Oui.", system: str = "", rejected: str | None = None) -> Document:
        turns = (Message(role="system", content=system),) if system else ()
        labels = {"output": FieldLabel(parts=(answer,), answer=answer)}
        made = document(name, "What law governs the contract?")
        return made.model_copy(update={"turns": turns, "labels": labels, "rejected": rejected})

    rows = [
        row("french", system="Answer in French."),
        row("german", system="Answer in German."),
        row("german again", system="Answer in German.", answer="Ja."),
        row("pair 1", "a", rejected="b"),
        row("pair 2", "a", rejected="c"),
        row("pair 3", "d", rejected="b"),
        row("pair 3 again", "d", rejected="b"),
    ]
    kept, drops = deduped(rows, tmp_path)
    assert [drop.where for drop in drops] == ["german again", "pair 3 again"]
    assert len(kept) == 5


def test_rows_are_no_duplicates_by_the_prompt_that_they_share(tmp_path: Path) -> None:
    labels = {"output": FieldLabel(parts=("a",), answer="a")}
    prompt = numbered(0, 200)
    rows = [document(str(i), f"{prompt}\n\n{numbered(1000 * i, 1000 * i + 12)}") for i in range(3)]
    rows = [r.model_copy(update={"labels": labels}) for r in [*rows, rows[0].model_copy(update={"id": "again"})]]
    assert deduped(rows, tmp_path)[0] == ["0", "1", "2"]


def test_clauses_are_listed_with_their_places(tmp_path: Path) -> None:
    documents = [document("x", f"{FORM}\n\n{text(3)}."), document("y", f"Short.\n\n{FORM.lower()}")]
    path = tmp_path / "documents.jsonl"
    write_jsonl(path, documents)
    (family,) = clause_families(path, 0.8)
    assert (family["n"], family["documents"], family["text"]) == (2, 2, FORM[:79] + "…")
    for place, one in zip(family["places"], documents, strict=True):
        assert place["document"] == one.id
        assert one.text[place["start"] : place["end"]].casefold() == FORM.casefold()


def test_another_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no level 'page'\n  -> use document or clause"):
        list(families_of(tmp_path, "page", 0.8))
