"""A locked test is recognised by its words and by ancestry, and is not trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, build_folder, write_atomic
from lextune.core.errors import DataError
from lextune.core.learnt import LOCK_FILE, read_lock
from lextune.core.records import Document, Message
from lextune.data.lock import check_not_test, lineage, make_lock, refuse_locked, text_hash
from lextune.text.edits import Change
from lextune.text.rewriting import rewrite


def document(name: str, text: str) -> Document:
    return Document(id=name, name=name, sha256="", text=text)


TEST = [document("t1", "This Agreement is governed by the law of Ohio."), document("t2", "The Term is one year.")]
LOCK = make_lock({d.id: text_hash(d) for d in TEST})


def test_the_hash_of_a_lock_is_over_sorted_ids_and_text_hashes() -> None:
    one, two = (
        hashlib.sha256(w.encode()).hexdigest()
        for w in ("this agreement is governed by the law of ohio", "the term is one year")
    )
    assert LOCK.sha256 == hashlib.sha256(f"t1\0{one}\nt2\0{two}\n".encode()).hexdigest()
    assert make_lock({d.id: text_hash(d) for d in reversed(TEST)}) == LOCK
    assert make_lock({"t1": one}).sha256 != LOCK.sha256


def test_words_are_compared_not_layout() -> None:
    assert text_hash(document("x", "THE  term,\n is one-year")) == text_hash(TEST[1])
    assert text_hash(document("x", "The Term is two years.")) != text_hash(TEST[1])
    row = TEST[1].model_copy(update={"turns": (Message(role="user", content="Hello"),)})
    assert text_hash(row) != text_hash(TEST[1])


def test_a_document_is_known_whether_it_was_cleaned_or_not() -> None:
    source = document("x", "Annual agree-\nment\n\nPage 1 of 2\n\nof lease")
    cleaned = rewrite(source, [Change(12, 14, ""), Change(20, 33, "")]).document
    assert cleaned.text == "Annual agreement\n\nof lease"
    naive = cleaned.model_copy(update={"edits": ()})
    assert text_hash(naive) != text_hash(source), "its words are others"
    assert text_hash(cleaned) == text_hash(source)


def test_test_documents_are_refused_by_their_words() -> None:
    check_not_test([document("a", "Something else.")], LOCK)
    check_not_test(
        [document("t1", "The id alone is no proof."), document("e", "")], make_lock({"e": text_hash(document("e", ""))})
    )
    with pytest.raises(DataError) as caught:
        check_not_test([document("a", "the term is ONE year"), TEST[0]], LOCK)
    assert str(caught.value) == (
        f"train: 2 documents are in the locked test {LOCK.sha256[:12]}\n"
        "  a (there t2)\n"
        "  t1\n"
        "  -> take test documents out of what is trained on"
    )


def test_of_many_five_are_named() -> None:
    with pytest.raises(DataError) as caught:
        check_not_test([document(f"d{i}", TEST[0].text) for i in range(7)], LOCK, where="examples")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("examples: 7 documents are in the locked test")
    assert (lines[5], lines[6]) == ("  d4 (there t1)", "  and 2 more")


def sealed(
    folder: Path,
    kind: str,
    parents: dict[str, Artifact] | None = None,
    fill: Callable[[Path], None] | None = None,
    **config: Any,
) -> Artifact:
    parents = parents or {}
    header = {"kind": kind, "stage": kind, "stage_version": 1, "config": config, "seed": 0}
    header |= {
        "inputs": {n: a.hash for n, a in parents.items()},
        "parents": {n: a.path.name for n, a in parents.items()},
    }

    def make(out: Path) -> dict[str, Any]:
        (out / "name").write_text(folder.name)
        if fill:
            fill(out)
        return {}

    return build_folder(folder, header, make)


def split(tmp_path: Path) -> Artifact:
    return sealed(tmp_path / "split-1", "split", fill=lambda out: write_atomic(out / LOCK_FILE, LOCK.model_dump_json()))


def test_the_locks_of_all_ancestors_count(tmp_path: Path) -> None:
    locked = split(tmp_path)
    assert read_lock(locked) == LOCK
    cleaned = sealed(tmp_path / "documents-2", "documents", {"split": locked})
    refuse_locked({"documents": cleaned}, [document("a", "Fine.")])
    with pytest.raises(DataError, match="1 document is in the locked test"):
        refuse_locked({"documents": cleaned}, [TEST[1]])
    assert [way[-1].path.name for way in lineage(cleaned)] == ["documents-2", "split-1"]


def test_what_was_made_from_test_documents_is_refused(tmp_path: Path) -> None:
    predictions = sealed(tmp_path / "predictions-1", "predictions", {"split": split(tmp_path)})
    corrected = sealed(tmp_path / "documents-3", "documents", {"predictions": predictions})
    with pytest.raises(DataError) as caught:
        refuse_locked({"documents": corrected})
    assert str(caught.value) == (
        "train: the input documents was made from test documents: documents-3 from predictions-1\n"
        "  -> train on what was made from the train part of a split"
    )
    part = sealed(tmp_path / "documents-4", "documents", part="test")
    with pytest.raises(DataError, match="the input rows was made from test documents: documents-4"):
        refuse_locked({"rows": part})


def test_a_parent_that_is_gone_or_is_another_is_passed_over(tmp_path: Path) -> None:
    first = sealed(tmp_path / "predictions-1", "predictions")
    below = sealed(tmp_path / "documents-2", "documents", {"predictions": first})
    first.path.rename(tmp_path / "elsewhere")
    refuse_locked({"documents": below})
    sealed(tmp_path / "predictions-1", "predictions", fill=lambda out: write_atomic(out / "more", "x"))
    refuse_locked({"documents": below})


def test_a_split_from_before_locks_has_none(tmp_path: Path) -> None:
    old = sealed(tmp_path / "split-0", "split")
    assert read_lock(old) is None
    refuse_locked({"split": old}, [TEST[0]])
