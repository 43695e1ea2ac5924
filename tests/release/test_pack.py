"""Packing and unpacking a release: the same weights, the same answers, or an error."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lextune.core.artifacts import Artifact, build_folder, write_atomic
from lextune.core.errors import ArtifactError, ModelError, UserError
from lextune.core.stage import Context
from lextune.expert import compact, released
from lextune.expert.compact import unpack
from lextune.expert.engines.openvino_ import export
from lextune.expert.head import Head
from lextune.expert.released import find_release, release_expert
from lextune.expert.thresholds import Thresholds
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowConfig
from lextune.release.bundle import BundleConfig, run_bundle
from lextune.release.merge import MergeConfig, run_merge
from lextune.release.pack import pack
from lextune.text.reading import read_document

TEXT = "Section 1 is about delivery. The laws of Ohio govern this agreement. It runs for two years."


def _header(kind: str, **parents: Artifact) -> dict[str, object]:
    return {
        "kind": kind,
        "stage": kind,
        "stage_version": 1,
        "config": {},
        "seed": 0,
        "inputs": {name: parent.hash for name, parent in parents.items()},
        "parents": {name: os.path.relpath(parent.path, parent.path.parent) for name, parent in parents.items()},
    }


@pytest.fixture
def make_release(
    base: Base, schema_file: str, make_adapter: Callable[..., Artifact], seal: Callable[..., Artifact]
) -> Callable[..., Artifact]:
    """Bundle a release of a tiny model, beside the model and the adapter that it was made from."""

    def make(*, openvino: bool = False) -> Artifact:
        adapter = make_adapter()
        merging = MergeConfig(base=base.name, openvino=openvino)
        model = build_folder(
            adapter.path.with_name("merged"),
            _header("model", adapter=adapter),
            lambda folder: run_merge(merging, {"adapter": adapter}, folder, Context()),
        )

        def file(kind: str, **contents: object) -> Artifact:
            return seal(
                kind,
                lambda folder: [write_atomic(folder / f"{n}.json", json.dumps(c)) for n, c in contents.items()] and {},
            )

        cuts = json.loads(Thresholds(pooled=0.01, trained_fields=("Law", "Term")).model_dump_json())
        inputs = {
            "model": model,
            "thresholds": file("thresholds", model=cuts, linear=cuts),
            "evaluation": file("evaluation", evaluation={"model_hash": model.hash, "arms": {}}),
            "gate": file("verdict", verdict={"verdict": "pass", "weights": model.hash, "reasons": []}),
            "parity": file("parity", parity={"passed": True}),
            "adapter": adapter,
        }
        config = BundleConfig(
            name="small",
            task="clause-extraction",
            schema_name=schema_file,
            base=base.name,
            window=WindowConfig(max_tokens=200),
            engine="openvino" if openvino else "transformers",
        )
        return build_folder(
            adapter.path.with_name("bundled"),
            _header("release", model=model),
            lambda folder: run_bundle(config, inputs, folder, Context()),
        )

    return make


@pytest.mark.parametrize("openvino", [False, True])
def test_what_is_unpacked_is_what_was_packed(
    make_release: Callable[..., Artifact], tmp_path: Path, *, openvino: bool
) -> None:
    release = make_release(openvino=openvino)
    packed = pack(release, tmp_path / "compact")
    names = set(packed.manifest.files)
    assert "model.safetensors" not in names
    assert {"compact.json", "adapter/adapter_model.safetensors", "adapter/tag_head.safetensors"} <= names
    assert packed.json("adapter/adapter_config.json")["base_model_name_or_path"] == packed.json("release.json")["base"]
    shutil.rmtree(release.path.with_name("merged"))  # nothing but the compact release is needed
    found = find_release(packed.path)
    unpacked = Artifact.open(found, kind="release")
    assert set(unpacked.manifest.files) == set(release.manifest.files)
    for name, entry in release.manifest.files.items():
        if not name.startswith("tag."):
            assert unpacked.manifest.files[name].sha256 == entry.sha256, name
    document = read_document(TEXT.encode(), name="d.txt")
    answers = [release_expert(each)[0].answer(document).record.as_json() for each in (release, unpacked)]
    assert answers[0] == answers[1]


def test_it_is_unpacked_once(
    make_release: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pack(make_release(), tmp_path / "compact").path
    first = unpack(folder)
    monkeypatch.setattr(compact, "merge", lambda *_: pytest.fail("merged again"))
    assert unpack(folder) == first
    assert [each.name for each in first.parent.iterdir()] == [first.name], "nothing is left beside it"


def test_other_weights_are_refused(
    make_release: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pack(make_release(), tmp_path / "compact").path

    def wrong(base: str, adapter: Path, out: Path) -> None:
        (out / "model.safetensors").write_bytes(b"other")

    monkeypatch.setattr(compact, "merge", wrong)
    with pytest.raises(
        ModelError,
        match=r"compact: model\.safetensors: merging gave other weights than those that were measured\n.*requirements",
    ):
        unpack(folder)
    assert not list((folder.parent / "cache").glob("releases/*"))


def test_a_model_that_answers_otherwise_is_refused(
    make_release: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another version of a library makes other graphs of the same weights."""
    packed = pack(make_release(openvino=True), tmp_path / "compact")
    probe = packed.json("compact.json")["probe"]
    assert np.shape(probe["probabilities"]) == (len(compact.PROBE), 2)
    assert np.ptp(probe["probabilities"]) > 0

    def other(model: Path, strategy: str, bits: None) -> None:
        head = Head.load(model)
        Head(head.weight, head.bias + 1, head.attention).save(model)
        export(model, strategy, bits)

    monkeypatch.setattr(compact, "export", other)
    with pytest.raises(
        ModelError, match=r"compact: the unpacked model answers otherwise .* over 0\.05\n.*requirements\.lock"
    ):
        unpack(packed.path)
    assert not list((packed.path.parent / "cache").glob("releases/*"))


def test_a_damaged_one_is_refused(make_release: Callable[..., Artifact], tmp_path: Path) -> None:
    folder = pack(make_release(), tmp_path / "compact").path
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"damaged artifact: adapter/adapter_model\.safetensors"):
        unpack(folder)


def test_what_cannot_be_packed(make_release: Callable[..., Artifact], tmp_path: Path) -> None:
    release = make_release()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(UserError, match="this exists already"):
        pack(release, tmp_path / "full")
    unpacked = Artifact.open(unpack(pack(release, tmp_path / "compact").path))
    with pytest.raises(ArtifactError, match="this release was not made from a model"):
        pack(unpacked, tmp_path / "again")
    shutil.rmtree(release.parent("model").parent("adapter").path)
    with pytest.raises(ArtifactError, match=r"not an artifact: no manifest\.json"):
        pack(release, tmp_path / "lost")


def test_without_a_bundled_expert_a_release_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(released, "bundled", lambda: None)
    with pytest.raises(ArtifactError, match=r"no expert comes with this package\n.*give --release"):
        find_release(None)
