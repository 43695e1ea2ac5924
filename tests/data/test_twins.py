"""British twins among the training documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lextune.core.artifacts import Artifact, read_jsonl, write_jsonl
from lextune.core.errors import DataError
from lextune.core.records import Document
from lextune.core.stage import Context
from lextune.data.twins import TwinConfig, choose_twins, run_twins

US = "The labor is authorized under Section {n} of this contract, dated January 5, 2020, by the corporation."
UK = "The labour is authorised under clause 3; the licence, dated 5 January 2020, is subject to VAT."


def _document(name: str, text: str) -> Document:
    return Document(id=name, name=name, sha256="0", text=text)


TRAIN = [*(_document(f"us{n}", US.format(n=n)) for n in range(6)), _document("uk", UK)]


@pytest.fixture
def split(seal: Callable[..., Artifact]) -> Artifact:
    def fill(folder: Path) -> None:
        write_jsonl(folder / "train.jsonl", TRAIN)
        for part in ("validation", "test"):
            write_jsonl(folder / f"{part}.jsonl", [_document(part, US.format(n=9))])
        card = {"documents": {"train": 7, "validation": 1, "test": 1}, "families": [["us0", "us1"]]}
        (folder / "card.json").write_text(json.dumps(card))

    return seal("split", fill)


def test_twins_are_added_to_the_train_part_alone(split: Artifact, tmp_path: Path) -> None:
    summary = run_twins(TwinConfig(uk_twins=4), {"split": split}, tmp_path, Context(seed=1))
    assert (summary["n_in"], summary["n_out"], summary["uk_twins"]) == (7, 11, 4)
    found = list(read_jsonl(tmp_path / "train.jsonl", Document))
    assert found[:7] == TRAIN
    twins = found[7:]
    assert all(twin.id.endswith("+uk") and "labour is authorised under clause" in twin.text for twin in twins)
    assert "uk+uk" not in {twin.id for twin in twins}
    for part in ("validation", "test"):
        assert (tmp_path / f"{part}.jsonl").read_bytes() == split.file(f"{part}.jsonl").read_bytes()
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["documents"] == {"train": 11, "validation": 1, "test": 1}
    for twin in twins:
        home = next(family for family in card["families"] if twin.id in family)
        assert twin.id.removesuffix("+uk") in home, "a twin stays with its document wherever that goes"


def test_the_seed_draws_and_the_order_does_not_matter() -> None:
    assert choose_twins(TRAIN, 3, 0) == choose_twins(TRAIN[::-1], 3, 0)
    assert len({choose_twins(TRAIN, 3, seed) for seed in range(6)}) > 1
    assert choose_twins(TRAIN, 99, 0) == {f"us{n}" for n in range(6)}
    assert choose_twins(TRAIN, 0, 0) == frozenset()


def test_a_split_in_british_drafting_has_no_twins(seal: Callable[..., Artifact], tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        write_jsonl(folder / "train.jsonl", [TRAIN[-1]])
        (folder / "card.json").write_text(json.dumps({"documents": {"train": 1}, "families": []}))

    with pytest.raises(DataError) as caught:
        run_twins(TwinConfig(uk_twins=2), {"split": seal("split", fill)}, tmp_path, Context())
    assert str(caught.value) == (
        "data.uk_twins: no training document is in American drafting, so none has a British twin\n  -> set it to 0"
    )
