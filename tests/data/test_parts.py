"""A split is written in passes: parts, card and lock agree, and a planted leak stops it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.artifacts import read_jsonl, write_jsonl
from lextune.core.errors import DataError
from lextune.core.learnt import TestLock
from lextune.core.records import Document, Drop, FieldLabel
from lextune.data.dedupe import LEAK, families
from lextune.data.lock import check_not_test, learnt_from, make_lock, text_hash
from lextune.data.parts import write_split
from lextune.data.split import SPLITS, Division, SplitConfig, check_leakage, split_documents

VOCABULARY = [f"word{i}" for i in range(900)]


def contract(name: str, seed: int, words: int = 400) -> Document:
    text = " ".join(random.Random(seed).choices(VOCABULARY, k=words))
    labels = {"Term": FieldLabel(parts=("x",)), "Notice": FieldLabel()}
    return Document(id=name, name=name, sha256="", text=text, contract_type="Lease", labels=labels)


def changed(document: Document, name: str, share: float, seed: int) -> Document:
    rng = random.Random(seed)
    words = document.text.split()
    for place in rng.sample(range(len(words)), round(share * len(words))):
        words[place] = rng.choice(VOCABULARY)
    return document.model_copy(update={"id": name, "name": name, "text": " ".join(words)})


DOCUMENTS = [contract(f"c{i}", i) for i in range(20)]


def test_the_parts_are_those_of_the_split_in_memory(tmp_path: Path) -> None:
    documents = [*DOCUMENTS, changed(DOCUMENTS[3], "twin", 0.05, 1)]
    write_jsonl(tmp_path / "documents.jsonl", documents)
    config = SplitConfig(train=10, validation=4, test=5)
    found = write_split(tmp_path / "documents.jsonl", config, tmp_path)
    expected = split_documents(documents, families(documents, LEAK), config)
    assert json.loads((tmp_path / "assignment.json").read_text()) == expected
    for part in SPLITS:
        rows = list(read_jsonl(tmp_path / f"{part}.jsonl", Document))
        assert rows == [d for d in documents if expected.get(d.id) == part]
        assert found["parts"][part]["n"] == len(rows) == found["documents"][part]
        assert found["parts"][part]["presence"]["Term"] == {"present": len(rows), "assessed": len(rows)}
        assert found["parts"][part]["presence"]["Notice"] == {"present": 0, "assessed": len(rows)}
    assert found["families"] == [["c3", "twin"]]
    assert found["leakage"].endswith("all pairs counted)")
    assert len(list(read_jsonl(tmp_path / "drops.jsonl", Drop))) == 2
    lock = TestLock.model_validate_json((tmp_path / "test_lock.json").read_bytes())
    test = list(read_jsonl(tmp_path / "test.jsonl", Document))
    assert lock == make_lock({d.id: text_hash(d) for d in test})
    assert found["test_lock"] == {"sha256": lock.sha256, "documents": 5}
    check_not_test(read_jsonl(tmp_path / "train.jsonl", Document), lock)
    others = [d for part in ("train", "validation") for d in read_jsonl(tmp_path / f"{part}.jsonl", Document)]
    assert learnt_from(tmp_path / "learnt_from.json", [*test, *others]) == [d.id for d in others]
    assert learnt_from(tmp_path / "none.json", others) == []
    with pytest.raises(DataError, match="1 document is in the locked test"):
        check_not_test(test[:1], lock)


def test_a_file_without_a_last_line_break_is_split_too(tmp_path: Path) -> None:
    lines = "\n".join(d.model_dump_json() for d in DOCUMENTS)
    (tmp_path / "documents.jsonl").write_text(lines)
    assert sum(write_split(tmp_path / "documents.jsonl", SplitConfig(), tmp_path)["documents"].values()) == 20


@given(st.integers(0, 10_000), st.integers(0, 19))
@settings(max_examples=25)
def test_a_contract_on_both_sides_with_5_percent_of_its_words_changed_is_a_leak(seed: int, planted: int) -> None:
    twin = changed(DOCUMENTS[planted], "twin", 0.05, seed)
    assignment = {d.id: "train" for d in DOCUMENTS} | {"twin": "test"}
    with pytest.raises(
        DataError, match=rf"1 pair of near-duplicates across the split\n  c{planted} \(train\) and twin"
    ):
        check_leakage([*DOCUMENTS, twin], assignment)


def test_a_leak_of_an_official_test_stops_the_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Families found by other limits than the check's: the check does not rely on them."""
    from lextune.data import parts

    write_jsonl(tmp_path / "documents.jsonl", [*DOCUMENTS, changed(DOCUMENTS[0], "twin", 0.05, 1)])
    names = {d.id: "train" for d in DOCUMENTS} | {"twin": "test"}
    monkeypatch.setattr(parts, "divide", lambda items, families, config: Division(names, {}))
    with pytest.raises(DataError, match="near-duplicates across the split"):
        write_split(tmp_path / "documents.jsonl", SplitConfig(), tmp_path)
    assert not (tmp_path / "train.jsonl").exists()


def test_thousands_of_copies_on_both_sides_are_counted_up_to_a_limit() -> None:
    documents = [DOCUMENTS[0].model_copy(update={"id": f"r{i}"}) for i in range(400)]
    assignment = {d.id: "train" if i % 2 else "test" for i, d in enumerate(documents)}
    with pytest.raises(DataError, match="10000 or more pairs of near-duplicates"):
        check_leakage(documents, assignment)
