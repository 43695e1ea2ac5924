"""Checkpoints: whole or not there, whatever a kill or a bad disk left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lextune.train.checkpoints import SEAL, keep, newest, progress, seal

STATE = '{"global_step": %d, "log_history": []}'


def _written(out: Path, step: int) -> Path:
    """A checkpoint's files before it is sealed, one of them in a folder (as FSDP writes)."""
    folder = out / "checkpoints" / f"writing-{step}" / f"checkpoint-{step}"
    (folder / "shards").mkdir(parents=True)
    (folder / "trainable.safetensors").write_bytes(b"weights %d" % step)
    (folder / "shards" / "0.distcp").write_bytes(b"shard")
    (folder / "trainer_state.json").write_text(STATE % step)
    return folder


def _checkpoint(out: Path, step: int) -> Path:
    folder = _written(out, step)
    final = out / "checkpoints" / f"checkpoint-{step}"
    seal(folder, final)
    folder.parent.rmdir()
    return final


def _refuse(text: str) -> None:
    raise AssertionError(text)


def test_no_checkpoint(tmp_path: Path) -> None:
    assert newest(tmp_path, _refuse) is None
    (tmp_path / "checkpoints").mkdir()
    assert newest(tmp_path, _refuse) is None


def test_checkpoints_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        _checkpoint(tmp_path, step)
    last = newest(tmp_path, _refuse)
    assert last is not None
    assert last.name == "checkpoint-100"
    assert progress(last) == (100, [])


def test_a_checkpoint_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    folder = _written(tmp_path, 4)
    assert newest(tmp_path / "elsewhere", _refuse) is None
    final = tmp_path / "checkpoints" / "checkpoint-4"
    assert not final.exists()
    seal(folder, final)
    assert not folder.exists()
    assert set(json.loads((final / SEAL).read_text())) == {
        "shards/0.distcp",
        "trainable.safetensors",
        "trainer_state.json",
    }


@pytest.mark.parametrize("sealed", [False, True])
def test_what_a_kill_left_half_written_is_removed_and_the_older_one_used(
    tmp_path: Path, sealed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill while the files are written, and one between the seal and the final name."""
    older = _checkpoint(tmp_path, 10)
    half = _written(tmp_path, 12)
    if sealed:
        monkeypatch.setattr(Path, "rename", _stop)
        with pytest.raises(KeyboardInterrupt):
            seal(half, tmp_path / "checkpoints" / "checkpoint-12")
        assert (half / SEAL).is_file()
    assert newest(tmp_path, _refuse) == older
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-10"]


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _cut(folder: Path) -> None:
    (folder / "trainable.safetensors").write_bytes(b"wei")


def _flip(folder: Path) -> None:
    (folder / "shards" / "0.distcp").write_bytes(b"sharp")


def _lose(folder: Path) -> None:
    (folder / "trainable.safetensors").unlink()


def _unsealed(folder: Path) -> None:
    (folder / SEAL).unlink()


def _half_a_seal(folder: Path) -> None:
    (folder / SEAL).write_text('{"trainable.saf')


def _no_state(folder: Path) -> None:
    hashes = json.loads((folder / SEAL).read_text())
    del hashes["trainer_state.json"]
    (folder / SEAL).write_text(json.dumps(hashes))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_cut, "trainable.safetensors is not what was written"),
        (_flip, "shards/0.distcp is not what was written"),
        (_lose, "trainable.safetensors is missing"),
        (_unsealed, "it has no readable sha256.json"),
        (_half_a_seal, "it has no readable sha256.json"),
        (_no_state, "trainer_state.json is missing"),
    ],
)
def test_a_corrupt_checkpoint_is_passed_over_with_a_warning(tmp_path: Path, damage: object, problem: str) -> None:
    older, corrupt = _checkpoint(tmp_path, 9), _checkpoint(tmp_path, 12)
    damage(corrupt)  # type: ignore[operator]
    said: list[str] = []
    assert newest(tmp_path, said.append) == older
    assert said == [f"checkpoint-12 is corrupt and passed over: {problem}"]
    assert (tmp_path / "checkpoints" / "corrupt-12").is_dir()
    assert newest(tmp_path, _refuse) == older, "it is said once"
    _checkpoint(tmp_path, 12)  # the run that goes on writes it again
    assert newest(tmp_path, _refuse) == tmp_path / "checkpoints" / "checkpoint-12"


def test_where_all_are_corrupt_there_is_none(tmp_path: Path) -> None:
    for step in (3, 6):
        _cut(_checkpoint(tmp_path, step))
    said: list[str] = []
    assert newest(tmp_path, said.append) is None
    assert [text.split()[0] for text in said] == ["checkpoint-6", "checkpoint-3"]


@pytest.mark.parametrize(("count", "left"), [(1, [12]), (2, [12, 9]), (9, [12, 9, 3])])
def test_the_newest_few_are_kept(tmp_path: Path, count: int, left: list[int]) -> None:
    for step in (3, 9, 12):
        _checkpoint(tmp_path, step)
    keep(tmp_path, count)
    found = {folder.name for folder in (tmp_path / "checkpoints").iterdir()}
    assert found == {f"checkpoint-{step}" for step in left}


def test_a_corrupt_one_takes_no_place_among_those_that_are_kept(tmp_path: Path) -> None:
    """Else the only whole one would go to make room for ones that cannot be read."""
    for step in (3, 9, 12):
        folder = _checkpoint(tmp_path, step)
        if step > 3:
            _cut(folder)
    newest(tmp_path, lambda text: None)
    _checkpoint(tmp_path, 6)
    keep(tmp_path, 2)
    assert sorted(f.name for f in (tmp_path / "checkpoints").glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-6"]
