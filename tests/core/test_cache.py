"""The cache: a folder is there whole or not at all, whoever makes it, and however often."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import build_folder
from lextune.core.cache import cache_folder, made_once
from lextune.core.errors import MachineError


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEXTUNE_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("LEXTUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "lextune"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "lextune"


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(out: Path) -> None:
        made.append(out)
        (out / "a").write_text("whole")

    folder = tmp_path / "deep" / "model"
    assert made_once(folder, make) == made_once(folder, make) == folder
    assert len(made) == 1
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["deep", "deep/model", "deep/model/a"]


def test_a_folder_that_could_not_be_made_is_not_there(tmp_path: Path) -> None:
    def fail(out: Path) -> None:
        (out / "a").write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        made_once(tmp_path / "model", fail)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".model.1.partial", tmp_path / ".model.2.partial"
    for folder in (left, fresh):
        folder.mkdir()
        (folder / "a").touch()
    os.utime(left, (0, 0))
    made_once(tmp_path / "model", lambda out: (out / "a").touch())
    assert sorted(tmp_path.iterdir()) == [fresh, tmp_path / "model"], "somebody may be filling it"


def test_what_is_staged_beside_the_folder_goes_with_a_run_that_is_stopped(tmp_path: Path) -> None:
    def stopped(folder: Path) -> dict[str, Any]:
        (folder / "weights").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_once(tmp_path / "model", lambda out: build_folder(out, {}, stopped))
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_says_where_it_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "model"
    with pytest.raises(MachineError) as caught:
        made_once(folder, lambda out: None)
    assert str(caught.value).startswith(f"{folder}: cannot write: File exists\n")
    assert str(caught.value).endswith("or choose another folder with --out")
    monkeypatch.setenv("LEXTUNE_CACHE", str(tmp_path / "file"))
    with pytest.raises(MachineError, match="or set LEXTUNE_CACHE to a folder that you may write"):
        made_once(folder, lambda out: None)


def test_the_first_of_two_processes_gives_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def overtaken(out: Path) -> None:
        (out / "a").write_text("second")
        folder.mkdir()
        (folder / "a").write_text("first")

    made_once(folder, overtaken)
    assert (folder / "a").read_text() == "first"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_name_that_is_taken_by_a_file_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def taken(out: Path) -> None:
        folder.write_text("a file")

    with pytest.raises(OSError, match="model"):
        made_once(folder, taken)
