"""Where data come from: the order, and what is said when nothing is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lextune.core.errors import DataError, MachineError, NetworkError
from lextune.data import fetch
from lextune.data.importers.intake import find_format
from lextune.data.sources import find_source, fingerprint

SAMPLES = "the sample contracts of this package (CUAD is neither here nor reachable)"


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEXTUNE_CUAD", raising=False)


def unreachable(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let every download fail as it does without a network, and return where they would have gone."""
    asked: list[Path] = []

    def download(url: str, part: Path, connect_seconds: float) -> None:
        asked.append(part)
        raise NetworkError("cannot download CUAD: no connection")

    monkeypatch.setattr(fetch, "_download", download)
    return asked


def test_what_is_given_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXTUNE_CUAD", str(tmp_path))
    assert find_source(str(tmp_path / ""), cache=tmp_path) == (tmp_path, "given")


def test_given_data_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_source(str(tmp_path / "none"), cache=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: no such data\n  -> give a dataset version, a folder in CUAD's layout, or a file of rows"
    )


@pytest.mark.parametrize("given", [None, "auto", ""])
def test_the_environment_comes_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    (tmp_path / "cuad" / fetch.NAME).mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("LEXTUNE_CUAD", str(tmp_path / "mine"))
    assert find_source(given, cache=tmp_path) == (tmp_path / "mine", "named by $LEXTUNE_CUAD")


def test_an_environment_that_names_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXTUNE_CUAD", str(tmp_path / "none"))
    with pytest.raises(DataError) as caught:
        find_source(None, cache=tmp_path)
    assert str(caught.value) == "LEXTUNE_CUAD: no such folder\n  -> unset it, or set it to a CUAD folder"


def test_the_cache_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = unreachable(monkeypatch)
    folder = tmp_path / "cuad" / fetch.NAME
    folder.mkdir(parents=True)
    assert find_source("auto", cache=tmp_path) == (folder, "the fetched CUAD archive")
    assert asked == []


def test_the_archive_is_fetched_where_nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch_cuad(destination: Path, *, connect_seconds: float) -> Path:
        assert connect_seconds == 5.0
        (destination / fetch.NAME).mkdir(parents=True)
        return destination / fetch.NAME

    monkeypatch.setattr(fetch, "fetch_cuad", fetch_cuad)
    found = find_source(None, cache=tmp_path)
    assert found == (tmp_path / "cuad" / fetch.NAME, "the fetched CUAD archive")


def test_without_a_network_the_samples_are_used_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that a failed download leaves in the cache is not taken for CUAD."""
    asked = unreachable(monkeypatch)
    for _ in range(2):
        found = find_source(None, cache=tmp_path)
        assert found.why == SAMPLES
        assert (found.path / "master_clauses.csv").is_file()
    assert len(asked) == 2


def test_an_archive_that_is_another_than_expected_is_no_reason_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(url: str, part: Path, connect_seconds: float) -> None:
        part.write_bytes(b"<html>sign in</html>")

    monkeypatch.setattr(fetch, "_download", download)
    with pytest.raises(DataError):
        find_source(None, cache=tmp_path)


def test_instructions_come_with_the_package(tmp_path: Path) -> None:
    found = find_source(None, cache=tmp_path, task="instruction")
    assert found.path.suffix == ".jsonl"
    assert found.why == "the instructions of this package"
    assert found.path.is_file()


@pytest.mark.parametrize("task", ["classification", "multiple-choice", "statute-qa", "translation"])
def test_rows_of_other_tasks_come_with_the_package(task: str, tmp_path: Path) -> None:
    found = find_source("auto", cache=tmp_path, task=task)
    assert found.why == f"the rows for {task} of this package"
    assert find_format(found.path) == task


def test_a_fingerprint_is_of_names_and_contents(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "deep").mkdir(parents=True)
        (folder / "a.txt").write_text("alpha")
        (folder / "deep" / "b.CSV").write_text("beta")
    assert fingerprint(one) == fingerprint(two)
    (two / "picture.png").write_bytes(b"0")
    assert fingerprint(one) == fingerprint(two), "files that no importer reads do not count"
    (two / "a.txt").write_text("alphA")
    assert fingerprint(one) != fingerprint(two)
    (two / "a.txt").rename(two / "c.txt")
    (two / "c.txt").write_text("alpha")
    assert fingerprint(one) != fingerprint(two)


def test_a_fingerprint_of_a_file_does_not_depend_on_its_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text("{}")
    assert fingerprint(tmp_path / "one" / "rows.jsonl") == fingerprint(tmp_path / "two" / "rows.jsonl")


def test_a_file_may_have_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xe9.txt")).write_text("one")
    before = fingerprint(tmp_path)
    (tmp_path / os.fsdecode(b"a\xe9.txt")).rename(tmp_path / os.fsdecode(b"a\xe8.txt"))
    assert fingerprint(tmp_path) != before


def test_a_full_disk_is_no_missing_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, part: Path, connect_seconds: float) -> None:
        raise MachineError("the disk has 0 MiB left, the download needs 101 MiB")

    monkeypatch.setattr(fetch, "_download", download)
    with pytest.raises(MachineError, match="the disk has 0 MiB left"):
        find_source(None, cache=tmp_path)
