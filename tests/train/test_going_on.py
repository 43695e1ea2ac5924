"""What a run that goes on from an adapter may hold out, and what its own adapter says that it learnt from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, write_atomic
from lextune.core.errors import DataError
from lextune.core.learnt import LEARNT_FILE, LOCK_FILE, TestLock, learnt_json, read_learnt, read_trained
from lextune.train.going_on import write_learnt

OWN = [f"{number:064x}" for number in range(16**63, 16**63 + 3 * 16**48, 16**48)]  # they differ in the digits kept
OTHERS = [f"f{number:063x}" for number in range(0, 8 * 16**48, 16**48)]


@pytest.fixture
def split(seal: Callable[..., Artifact]) -> Artifact:
    """Three documents to learn from, and seven in the test."""

    def fill(folder: Path) -> None:
        write_atomic(folder / LEARNT_FILE, learnt_json(OWN, OWN[:1]))
        texts = {f"contract {number}": digest for number, digest in enumerate(OTHERS[:7])}
        write_atomic(folder / LOCK_FILE, TestLock(sha256="ab", texts=texts).model_dump_json())

    return seal("split", fill)


def _earlier(folder: Path, *hashes: str) -> str:
    folder.mkdir()
    write_atomic(folder / LEARNT_FILE, json.dumps({"texts": [digest[:16] for digest in hashes]}))  # as of old
    return str(folder)


def test_an_adapter_says_what_it_learnt_from(split: Artifact, tmp_path: Path) -> None:
    write_learnt(split, None, tmp_path, pytest.fail)
    assert read_learnt(tmp_path / LEARNT_FILE) == {digest[:16] for digest in OWN}


def test_and_what_the_adapter_before_it_did(split: Artifact, tmp_path: Path) -> None:
    write_learnt(split, _earlier(tmp_path / "first", OTHERS[7], OWN[0]), tmp_path, pytest.fail)
    assert json.loads((tmp_path / LEARNT_FILE).read_text())["texts"] == sorted(d[:16] for d in [*OWN, OTHERS[7]])


def test_what_was_learnt_before_is_not_held_out(split: Artifact, tmp_path: Path) -> None:
    earlier = _earlier(tmp_path / "first", *OTHERS[1:7])
    with pytest.raises(DataError) as caught:
        write_learnt(split, earlier, tmp_path, pytest.fail)
    assert str(caught.value) == (
        f"train.init_adapter: {earlier}: the adapter to go on from has learnt from 6 documents of this test\n"
        "  contract 1\n  contract 2\n  contract 3\n  contract 4\n  contract 5\n  and 1 more\n"
        "  -> keep the seed, the split and the data that it was trained with, or train without init_adapter"
    )
    assert not (tmp_path / LEARNT_FILE).exists()


def test_what_trained_before_does_not_choose_thresholds(split: Artifact, tmp_path: Path) -> None:
    """OWN[0] is validation here; there it may have been validation too, and no more."""
    earlier = Path(_earlier(tmp_path / "first", *OWN))
    write_learnt(split, str(earlier), tmp_path, pytest.fail)
    (earlier / LEARNT_FILE).write_text(learnt_json(OWN, OWN[:1]))
    write_learnt(split, str(earlier), tmp_path, pytest.fail)
    assert read_trained(tmp_path / LEARNT_FILE) == {digest[:16] for digest in OWN[1:]}
    (earlier / LEARNT_FILE).write_text(learnt_json(OWN, OWN[1:]))
    with pytest.raises(DataError) as caught:
        write_learnt(split, str(earlier), tmp_path, pytest.fail)
    assert str(caught.value) == (
        f"train.init_adapter: {earlier}: the adapter to go on from was trained on 1 document of this validation, which "
        "choose weights and thresholds\n"
        "  -> keep the seed, the split and the data that it was trained with, or train without init_adapter"
    )


def test_an_adapter_that_does_not_say_is_warned_of(split: Artifact, tmp_path: Path) -> None:
    said: list[Any] = []
    (tmp_path / "bare").mkdir()
    write_learnt(split, str(tmp_path / "bare"), tmp_path, said.append)
    assert said == [
        f"train.init_adapter: {tmp_path / 'bare'} does not say what it learnt from, and may know what is held out here"
    ]
    assert read_learnt(tmp_path / LEARNT_FILE) == {digest[:16] for digest in OWN}
