"""What is kept out of SFT: whole families, never seen by it, listed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.core.artifacts import Artifact, write_atomic, write_jsonl
from lextune.core.errors import DataError
from lextune.core.records import Message
from lextune.core.stage import Context
from lextune.expert.point import ChatExample
from lextune.expert.windowing import WindowExample
from lextune.train.kept_out import KeepOutConfig, choose_documents, run_keep_out


@given(st.integers(2, 40), st.floats(0.05, 0.9), st.integers(0, 9), st.randoms())
def test_families_stay_together_and_neither_side_is_empty(count: int, share: float, seed: int, rng: object) -> None:
    documents = [f"d{n}" for n in range(count)]
    families = [documents[start : start + 3] for start in range(0, count // 2, 3)]
    if len(families) == 1 and len(families[0]) == count:
        families = []
    chosen = choose_documents(documents, families, share, seed)
    assert 0 < len(chosen) < count
    assert all(len(chosen.intersection(f)) in (0, len(f)) for f in families)
    assert abs(len(chosen) - share * count) <= 3
    rng.shuffle(documents)  # type: ignore[attr-defined]
    assert choose_documents(documents, families, share, seed) == chosen


def test_other_seeds_keep_other_documents_out() -> None:
    documents = [f"d{n}" for n in range(50)]
    assert len({choose_documents(documents, [], 0.2, seed) for seed in range(5)}) == 5


def test_documents_that_are_all_alike_are_refused() -> None:
    with pytest.raises(DataError, match=r"dpo.kept_out: nothing can be kept out of SFT: .*one, or all alike\n  -> "):
        choose_documents(["a", "b"], [["a", "b", "elsewhere"]], 0.2, 0)


def test_the_stage_divides_the_examples(
    make_window: Callable[..., WindowExample], seal: Callable[..., Artifact]
) -> None:
    rows = [make_window(n) for n in range(10)]
    general = ChatExample(document_id="general-1", messages=(Message(role="user", content="Hi"),), completion="Ho")

    def fill(folder: Path) -> None:
        write_jsonl(folder / "train_all.jsonl", rows)
        write_jsonl(folder / "train.jsonl", [*rows[:8], rows[0], general])
        write_jsonl(folder / "validation.jsonl", [make_window(30)])

    split = seal(
        "split", lambda f: write_atomic(f / "card.json", json.dumps({"families": [["d0", "d1"], ["d9", "x"]]}))
    )
    made = seal(
        "examples",
        lambda f: run_keep_out(
            KeepOutConfig(kept_out=0.3), {"examples": seal("examples", fill), "split": split}, f, Context()
        ),
    )
    names = {
        part: [json.loads(line)["document_id"] for line in made.file(f"{part}.jsonl").read_text().splitlines()]
        for part in ("train", "train_all", "kept_out", "validation")
    }
    kept = set(names["kept_out"])
    assert made.json("kept_out.json") == {"documents": sorted(kept)}
    assert len(kept) in (2, 3, 4)
    assert ("d0" in kept) == ("d1" in kept)
    assert not kept.intersection(names["train"])
    assert not kept.intersection(names["train_all"])
    assert kept.union(names["train_all"]) == {f"d{n}" for n in range(10)}
    assert "general-1" in names["train"]
    assert names["validation"] == ["d30"]
    summary = made.manifest.summary
    assert summary["n_in"] == 10 == summary["n_out"] + summary["n_dropped"]
    drops = [json.loads(line) for line in made.file("drops.jsonl").read_text().splitlines()]
    assert {d["where"] for d in drops} == kept
    assert {d["reason"] for d in drops} == {"kept out of SFT: preferences are mined on it"}
