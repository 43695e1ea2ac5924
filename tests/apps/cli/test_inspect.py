"""`lextune show`, `trace` and `doctor`; `release verify|merge|pack`; `model fetch|list`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lextune.apps.cli import machine
from lextune.core.errors import MachineError, ModelError
from lextune.expert.weights import Base


@pytest.fixture
def run_folder(light: None, cli: Any, recipe: Path, data: Path) -> Path:
    """A finished run of light stages."""
    assert cli("run", recipe, "--data", data, "--json").code == 0
    return Path("runs/try")


def stage(folder: Path, name: str) -> Path:
    return folder / json.loads((folder / "run.json").read_text())[name]


def test_show_says_what_an_artifact_is(cli: Any, run_folder: Path) -> None:
    path = stage(run_folder, "sft")
    found = cli("show", path)
    manifest = cli("show", path, "--json").json()
    assert found.code == 0
    assert f"adapter {path.name}: 1 file, 0.0 MB, verified\n" in found.out
    assert f"hash {manifest['hash']}\n" in found.out
    assert "by sft v" in found.out
    assert "  n: 1\n" in found.out
    assert manifest["inputs"].keys() == {"examples", "preflight", "split"}


def test_show_of_the_folder_one_is_in_names_it(cli: Any, run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stage(run_folder, "split").absolute()
    monkeypatch.chdir(path)
    assert f"split {path.name}: " in cli("show", ".").out


@pytest.mark.parametrize("command", ["show", "trace"])
def test_what_is_no_artifact_is_told(cli: Any, command: str) -> None:
    found = cli(command, "none")
    assert found.code == 2
    assert found.err == (
        "error: none: not an artifact: no manifest.json (half-written folders have none)\n"
        "  -> give the folder of a finished stage, or run the command that makes it again\n"
    )


def test_a_changed_byte_is_told(cli: Any, run_folder: Path) -> None:
    path = stage(run_folder, "score")
    (path / "made.json").write_text("[]")
    for command in ("show", "trace"):
        found = cli(command, path)
        assert found.code == 2
        assert "damaged artifact: made.json does not match its hash in the manifest" in found.err


def test_trace_goes_back_to_the_data(cli: Any, run_folder: Path) -> None:
    found = cli("trace", stage(run_folder, "sft"))
    assert found.code == 0
    assert f"preflight: {stage(run_folder, 'preflight').name} (verified)" in found.out
    assert f"documents: {stage(run_folder, 'documents').name} (verified)" in found.out
    lineage = cli("trace", stage(run_folder, "sft"), "--json").json()
    split = lineage["parents"]["examples"]["parents"]["split"]
    assert split["kind"] == "split"
    assert split["parents"]["documents"]["parents"] == {}


def test_trace_says_what_is_missing_or_changed_since(cli: Any, run_folder: Path, recipe: Path, data: Path) -> None:
    path = stage(run_folder, "split")
    documents = stage(run_folder, "documents")
    manifest = json.loads((documents / "manifest.json").read_text())
    (documents / "manifest.json").rename(documents / "kept")
    documents.rename(run_folder / "away")
    assert f"documents: {documents.name} (missing)" in cli("trace", path).out
    assert cli("trace", path, "--json").json()["parents"]["documents"]["state"] == "missing"
    from lextune.core.artifacts import ArtifactStore

    header = {key: manifest[key] for key in ("kind", "stage", "stage_version", "config", "seed", "inputs", "parents")}
    other = ArtifactStore(run_folder).build(header, documents.name.split("-")[1], lambda folder: {})
    assert other.path == documents
    assert f"documents: {documents.name} (changed since)" in cli("trace", path).out


def test_a_release_is_verified_by_its_own_or_its_runs_folder(cli: Any, run_folder: Path) -> None:
    path = stage(run_folder, "bundle")
    for given in (path, run_folder):
        found = cli("release", "verify", given)
        assert found.code == 0
        assert found.out == f"{path}: 3 files verified, verdict ungated\n"
    (path / "release.json").write_text("{}")
    assert "damaged artifact: release.json" in cli("release", "verify", path).err
    assert "this is a split, a release is needed" in cli("release", "verify", stage(run_folder, "split")).err


def test_a_release_is_packed_from_its_runs_folder(cli: Any, run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = cli("release", "pack", run_folder, "--out", "compact")
    assert full.code == 2
    assert full.err == (
        f"error: {stage(run_folder, 'sft').absolute()}: all weights of this model were trained, so there is no adapter "
        "to pack\n  -> ship the release as it is, or train with train.method: lora\n"
    )
    monkeypatch.setattr("lextune.release.pack.ADAPTER_WEIGHTS", "made.json")  # what a light adapter holds
    found = cli("release", "pack", run_folder, "--out", "compact")
    assert found.out == "compact: 3 files, 0.0 MB\n"
    assert (Path("compact") / "compact.json").is_file()


def test_merge_writes_a_folder_or_nothing(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def merge(base: str, adapter: Path, out: Path) -> None:
        (out / "model.safetensors").write_text(base)
        if adapter.name == "bad":
            raise ModelError("this adapter was trained on another base", where=str(adapter))

    monkeypatch.setattr("lextune.release.merge.merge", merge)
    assert cli("release", "merge", "good", "--out", "deep/merged").out == "deep/merged\n"
    assert [p.name for p in Path("deep/merged").iterdir()] == ["model.safetensors"]
    again = cli("release", "merge", "good", "--out", "deep/merged")
    assert (again.code, again.err) == (
        2,
        "error: deep/merged: the folder exists already\n  -> choose another --out, or remove it\n",
    )
    bad = cli("release", "merge", "bad", "--out", "deep/other", "--base", "b")
    assert (bad.code, bad.err) == (2, "error: bad: this adapter was trained on another base\n")
    assert [p.name for p in Path("deep").iterdir()] == ["merged"]


def test_models_of_the_cache_are_listed(cli: Any, tmp_path: Path) -> None:
    assert cli("model", "list").out == ""
    for name in ("b", "a", ".c.partial"):
        folder = tmp_path / "cache" / "models" / name
        folder.mkdir(parents=True)
        (folder / "tokenizer.json").write_text("{}")
    (tmp_path / "cache" / "models" / "half").mkdir()
    assert cli("model", "list").out == "a\nb\n"


def test_fetch_gets_the_offline_model_where_it_is_not_at_hand(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def resolve(name: str) -> Base:
        if name != "smollm2-135m" or not fetched:
            raise MachineError(f"the base model {name} is not on this machine")
        return Base(name=name, path=Path("there"), weights_sha256="0123456789abcdef", tokenizer_sha256="")

    monkeypatch.setattr("lextune.apps.cli.model.resolve_base", resolve)
    monkeypatch.setattr("lextune.expert.fetch_model.fetch_smollm2", lambda: fetched.append("yes"))
    found = cli("model", "fetch")
    assert found.out == "smollm2-135m: there (weights 0123456789ab)\n"
    other = cli("model", "fetch", "org/name")
    assert (other.code, other.err) == (3, "error: the base model org/name is not on this machine\n")
    assert fetched == ["yes"]


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise MachineError("the base model is not on this machine", do="fetch it")

    monkeypatch.setattr(machine, "_gpu", lambda: None)
    monkeypatch.setattr(machine, "_bf16", lambda: "yes")
    monkeypatch.setattr(machine, "_has", lambda name: name != "openvino")
    monkeypatch.setattr(machine, "find_smollm2_gguf", nowhere)


@pytest.mark.usefixtures("small_machine")
def test_doctor_says_what_this_machine_can_run(cli: Any, tmp_path: Path) -> None:
    found = cli("doctor")
    assert found.code == 0
    assert "  openvino: not installed\n" in found.out
    assert "  transformers: ready\n" in found.out
    assert "  smollm2-135m: the base model is not on this machine   -> fetch it\n" in found.out
    assert "  a 7B base: needs a GPU with 24 GB or more\n" in found.out
    shown = cli("doctor", "--json").json()
    assert list(shown) == ["machine", "packages", "engines", "models", "recipes"]
    assert shown["models"]["cache"] == str(tmp_path / "cache")


@pytest.mark.parametrize(
    ("memory", "disk", "engines", "answer"),
    [
        (16.0, 50.0, True, "yes"),
        (2.0, 50.0, True, "no: needs 6 GiB of memory to train (3 to serve)"),
        (16.0, 1.0, True, "no: needs 6 GiB of disk"),
        (2.0, 1.0, False, "no: needs 6 GiB of memory to train (3 to serve), 6 GiB of disk, the engines' packages"),
    ],
)
def test_doctor_names_what_is_missing(memory: float, disk: float, engines: bool, answer: str) -> None:
    assert machine._enough(memory, disk, engines) == answer
