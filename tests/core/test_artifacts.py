"""Artifacts: sealed or absent, verified before they are read, and reused by a canonical key."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core import artifacts
from lextune.core.artifacts import (
    MANIFEST,
    SCRATCH,
    Artifact,
    ArtifactStore,
    build_folder,
    read_jsonl,
    sha256_file,
    sha256_json,
    write_atomic,
    write_jsonl,
)
from lextune.core.errors import ArtifactError, MachineError, UserError
from lextune.core.machine import disk_error
from lextune.core.records import Drop

HEADER = {
    "kind": "letters",
    "stage": "write",
    "stage_version": 1,
    "config": {"n": 1},
    "seed": 0,
    "inputs": {},
    "parents": {},
}
KEY = "0123456789abcdef"


class Killed(BaseException):
    """Stands for a signal: nothing in the code may catch it."""


def fill(folder: Path) -> dict[str, Any]:
    (folder / "deep").mkdir()
    (folder / "a.txt").write_text("alpha")
    (folder / "deep" / "b.json").write_text('{"b": 2}')
    return {"n": 2}


def build(root: Path, make: Callable[[Path], dict[str, Any]] = fill) -> Artifact:
    return ArtifactStore(root).build(HEADER, KEY, make)


def test_a_build_is_sealed_and_verifies(tmp_path: Path) -> None:
    made = build(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["write-0123456789ab"]
    again = Artifact.open(made.path, kind="letters")
    assert again.manifest == made.manifest
    assert again.hash == made.hash
    assert sorted(again.manifest.files) == ["a.txt", "deep/b.json"]
    assert again.manifest.files["a.txt"].sha256 == sha256_file(made.path / "a.txt")
    assert again.manifest.files["a.txt"].size == 5
    assert again.json("deep/b.json") == {"b": 2}
    assert again.manifest.summary == {"n": 2}
    found = ArtifactStore(tmp_path).find("write", KEY)
    assert found is not None
    assert found.hash == made.hash
    assert ArtifactStore(tmp_path).find("write", "f" * 16) is None


def test_the_hash_covers_the_files_and_not_the_circumstances(tmp_path: Path) -> None:
    one, two = build(tmp_path / "one"), ArtifactStore(tmp_path / "two").build({**HEADER, "seed": 9}, KEY, fill)
    assert one.hash == two.hash

    def other(folder: Path) -> dict[str, Any]:
        fill(folder)
        (folder / "a.txt").rename(folder / "c.txt")
        return {}

    assert build(tmp_path / "three", other).hash != one.hash
    assert ArtifactStore(tmp_path / "four").build({**HEADER, "kind": "x"}, KEY, fill).hash != one.hash


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    made = build(tmp_path)
    with pytest.raises(ArtifactError, match=r"write-0123456789ab: a letters artifact without z\.txt"):
        made.file("z.txt")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    path = build(tmp_path).path
    with pytest.raises(ArtifactError) as caught:
        Artifact.open(path, kind="release")
    assert caught.value.what == "this is a letters, a release is needed"
    assert caught.value.do == f"pass the folder of a release; `lextune show {path}` says what this one is"


@pytest.mark.parametrize("kind", ["no folder", "no manifest", "a file"])
def test_what_has_no_manifest_is_no_artifact(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "no manifest":
        path.mkdir()
        (path / "a.txt").write_text("alpha")
    elif kind == "a file":
        path.write_text("text")
    with pytest.raises(ArtifactError) as caught:
        Artifact.open(path)
    assert caught.value.what == "not an artifact: no manifest.json (half-written folders have none)"
    assert caught.value.do == "give the folder of a finished stage, or run the command that makes it again"


def spoil_json(path: Path) -> None:
    (path / MANIFEST).write_text("{", encoding="utf-8")


def spoil_bytes(path: Path) -> None:
    (path / MANIFEST).write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(("spoil", "name"), [(spoil_json, "ValidationError"), (spoil_bytes, "UnicodeDecodeError")])
def test_an_unreadable_manifest_is_refused(tmp_path: Path, spoil: Callable[[Path], None], name: str) -> None:
    path = build(tmp_path).path
    spoil(path)
    with pytest.raises(ArtifactError) as caught:
        Artifact.open(path)
    assert caught.value.what == f"unreadable manifest.json ({name})"
    assert caught.value.do == "delete the folder and run the same command again: it is rebuilt"


def edit(path: Path, **values: Any) -> None:
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps(manifest | values))


def test_damage_is_refused_and_not_reused(tmp_path: Path) -> None:
    path = build(tmp_path).path
    good = (path / "a.txt").read_bytes()
    for spoilt, message in [
        (b"alphA", "damaged artifact: a.txt does not match its hash in the manifest"),
        (b"alph", "damaged artifact: a.txt does not match its hash in the manifest"),
        (None, "damaged artifact: a.txt is missing"),
    ]:
        (path / "a.txt").unlink()
        if spoilt is not None:
            (path / "a.txt").write_bytes(spoilt)
        else:
            assert not (path / "a.txt").exists()
        with pytest.raises(ArtifactError, match=message):
            Artifact.open(path)
        assert ArtifactStore(tmp_path).find("write", KEY) is None
        (path / "a.txt").write_bytes(good)
    assert Artifact.open(path).hash


def test_a_changed_file_with_a_changed_entry_is_refused(tmp_path: Path) -> None:
    made = build(tmp_path)
    (made.path / "a.txt").write_text("ALPHA")
    files = json.loads((made.path / MANIFEST).read_text())["files"]
    files["a.txt"]["sha256"] = sha256_file(made.path / "a.txt")
    edit(made.path, files=files)
    with pytest.raises(ArtifactError, match="damaged artifact: the manifest's files do not match its hash"):
        Artifact.open(made.path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = build(tmp_path).path
    edit(path, format=2)
    with pytest.raises(ArtifactError, match="an artifact of format 2; this lextune reads format 1"):
        Artifact.open(path)


def test_without_verification_only_sizes_are_compared(tmp_path: Path) -> None:
    path = build(tmp_path).path
    (path / "a.txt").write_text("ALPHA")
    assert Artifact.open(path, verify=False).kind == "letters"
    (path / "a.txt").write_text("ALPH")
    with pytest.raises(ArtifactError, match="damaged"):
        Artifact.open(path, verify=False)


def test_a_damaged_artifact_is_replaced(tmp_path: Path) -> None:
    made = build(tmp_path)
    (made.path / "a.txt").write_text("ALPHA")
    assert build(tmp_path).hash == made.hash
    assert (made.path / "a.txt").read_text() == "alpha"


def test_a_killed_build_leaves_no_artifact_and_keeps_its_checkpoints_only(tmp_path: Path) -> None:
    def killed(folder: Path) -> dict[str, Any]:
        fill(folder)
        (folder / SCRATCH).mkdir()
        (folder / SCRATCH / "step-3").write_text("weights")
        raise Killed

    with pytest.raises(Killed):
        build(tmp_path, killed)
    store = ArtifactStore(tmp_path)
    assert store.find("write", KEY) is None
    assert not store.path("write", KEY).exists()

    def resumed(folder: Path) -> dict[str, Any]:
        assert [p.relative_to(folder).as_posix() for p in folder.rglob("*")] == [SCRATCH, f"{SCRATCH}/step-3"]
        return fill(folder)

    made = build(tmp_path, resumed)
    assert sorted(made.manifest.files) == ["a.txt", "deep/b.json"]
    assert [p.name for p in tmp_path.iterdir()] == [made.path.name]
    assert not (made.path / SCRATCH).exists()


def test_an_error_of_the_stage_comes_through(tmp_path: Path) -> None:
    def broken(folder: Path) -> dict[str, Any]:
        raise FileNotFoundError(errno.ENOENT, "No such file", "x")

    with pytest.raises(FileNotFoundError):
        build(tmp_path, broken)
    assert not ArtifactStore(tmp_path).path("write", KEY).exists()


def raised_directly(folder: Path) -> dict[str, Any]:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raised_by_quota(folder: Path) -> dict[str, Any]:
    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def raised_as_text(folder: Path) -> dict[str, Any]:
    raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")


def raised_by_write_atomic(folder: Path) -> dict[str, Any]:
    try:
        raised_directly(folder)
    except OSError as error:
        raise disk_error(error, folder) from error
    return {}


@pytest.mark.parametrize("full", [raised_directly, raised_by_quota, raised_as_text, raised_by_write_atomic])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, full: Callable[[Path], dict[str, Any]]) -> None:
    def make(folder: Path) -> dict[str, Any]:
        fill(folder)
        (folder / SCRATCH).mkdir()
        return full(folder)

    with pytest.raises(MachineError) as caught:
        build(tmp_path, make)
    assert str(caught.value) == (
        f"{tmp_path}: the disk is full\n"
        "  -> free space or choose another folder with --out, then run the same command again"
    )
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_while_the_manifest_is_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(artifacts.os, "fsync", fsync)
    with pytest.raises(MachineError, match="the disk is full"):
        build(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_may_not_be_written_is_no_bug(tmp_path: Path, code: int) -> None:
    def make(folder: Path) -> dict[str, Any]:
        raise OSError(code, os.strerror(code))

    with pytest.raises(MachineError) as caught:
        build(tmp_path, make)
    assert caught.value.what == f"cannot write: {os.strerror(code)}"
    assert caught.value.do == "check the folder's permissions or choose another folder with --out"


def test_an_atomic_write_replaces_or_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.txt"
    write_atomic(file, "old")
    write_atomic(file, b"new")
    assert file.read_text() == "new"

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(artifacts.os, "fsync", full)
    with pytest.raises(MachineError, match="the disk is full"):
        write_atomic(file, "never")
    assert file.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_an_atomic_write_to_no_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, reason in (("file/x.txt", "Not a directory"), ("none/x.txt", "No such file or directory")):
        with pytest.raises(MachineError, match=f"cannot write: {reason}"):
            write_atomic(tmp_path / place, "text")


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [Drop(what="row", where="a\u2028b\r\nc", reason="ü"), Drop(what="x", where="", reason="")]
    assert write_jsonl(tmp_path / "r.jsonl", rows) == 2
    assert list(read_jsonl(tmp_path / "r.jsonl", Drop)) == rows
    assert write_jsonl(tmp_path / "m.jsonl", (r.model_dump() for r in rows)) == 2
    assert list(read_jsonl(tmp_path / "m.jsonl", Drop)) == rows


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def shuffled(value: Any) -> Any:
    """Return the same value with every mapping's keys the other way round."""
    if isinstance(value, dict):
        return {k: shuffled(v) for k, v in reversed(value.items())}
    return [shuffled(v) for v in value] if isinstance(value, list) else value


@settings(max_examples=80)
@given(JSON, JSON)
def test_equal_values_hash_equal_and_others_do_not(one: Any, two: Any) -> None:
    assert sha256_json(one) == sha256_json(shuffled(one))
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (sha256_json(one) == sha256_json(two)) == same


PARTS = st.tuples(
    st.sampled_from(["a", "b"]),
    st.integers(1, 2),
    st.dictionaries(st.sampled_from("xyz"), st.floats(0, 1) | st.text(max_size=2), max_size=2),
    st.integers(0, 2),
    st.dictionaries(st.sampled_from("pq"), st.sampled_from(["h1", "h2"]), max_size=2),
)


@settings(max_examples=80)
@given(PARTS, PARTS)
def test_the_reuse_key_is_as_good_as_its_parts(one: Any, two: Any) -> None:
    assert ArtifactStore.key(*one) == ArtifactStore.key(*(shuffled(part) for part in one))
    assert (ArtifactStore.key(*one) == ArtifactStore.key(*two)) == (one == two)


def test_a_folder_of_ones_own_name_is_sealed_once(tmp_path: Path) -> None:
    def make(folder: Path) -> dict[str, Any]:
        (folder / "a").write_text("b")
        return {}

    folder = tmp_path / "new" / "mine"
    assert build_folder(folder, HEADER, make).hash == Artifact.open(folder).hash
    assert [p.name for p in folder.parent.iterdir()] == ["mine"]
    with pytest.raises(UserError) as caught:
        build_folder(folder, HEADER, make)
    assert str(caught.value) == f"{folder}: this exists already\n  -> choose another --out, or remove it"
    with pytest.raises(UserError, match="this exists already"):
        build_folder(folder.parent / "missing" / ".." / "mine", HEADER, make)
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        build_folder(tmp_path / "file" / "mine", HEADER, make)


def test_the_folder_one_stands_in_can_be_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    build_folder(Path(), HEADER, lambda folder: {})
    assert Artifact.open(tmp_path / "here").path.name == "here"
