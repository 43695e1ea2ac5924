"""Compact releases: an adapter in place of the model, some megabytes in place of hundreds.

A compact release holds `adapter/`, `compact.json`, and all that a release holds beside its model. It is unpacked once,
into the cache: the adapter is merged into its base again, which must give the weights that were measured, bit for bit.
The package carries one, trained on CUAD by `recipes/bundled-expert.yaml`.
"""

from __future__ import annotations

import logging
import shutil
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import Artifact, build_folder, sha256_file
from lextune.core.cache import cache_folder, made_once
from lextune.core.errors import ModelError
from lextune.expert.engines.openvino_ import export
from lextune.expert.engines.quantized import Bits
from lextune.expert.merging import merge

KIND, VERSION = "compact-release", 1
NOTE = "compact.json"
ADAPTER = "adapter"
LOG = logging.getLogger("lextune.release")


class Compact(BaseModel):
    """What the unpacked release has to be: the hash of each file of weights, whether OpenVINO runs it, and its bits."""

    model_config = ConfigDict(frozen=True)
    weights: dict[str, str]
    openvino: bool
    quantize: Bits | None = None


def bundled() -> Path | None:
    """Return the compact release in this package, None where it was left out."""
    folder = Path(str(resources.files("lextune.resources") / "expert"))
    return folder if (folder / NOTE).is_file() else None


def header(kind: str, stage: str, inputs: dict[str, str]) -> dict[str, object]:
    """Name what it is made of by hash alone: neither is found beside the other."""
    made = {"kind": kind, "stage": stage, "stage_version": VERSION}
    return {**made, "config": {}, "seed": 0, "inputs": inputs, "parents": {}}


def unpack(folder: Path) -> Path:
    """Return the release that a compact one stands for: in the cache, made the first time.

    Raises:
        ArtifactError: the folder is damaged.
        ModelError: merging gave other weights than those that were measured.
    """
    packed = Artifact.open(folder, kind=KIND)
    made = header("release", "unpack", {KIND: packed.hash})
    return made_once(
        cache_folder() / "releases" / packed.hash[:24],
        lambda out: build_folder(out, made, lambda staging: _filled(packed, staging)),
    )


def _filled(packed: Artifact, out: Path) -> dict[str, object]:
    LOG.warning("unpacking a compact release into the cache: once, half a minute for a small base")
    note = Compact(**packed.json(NOTE))
    info = packed.json("release.json")
    merge(info["base"], packed.path / ADAPTER, out)
    for name, wanted in note.weights.items():
        if not (out / name).is_file() or sha256_file(out / name) != wanted:
            raise ModelError(
                "merging gave other weights than those that were measured",
                where=f"{packed.path}: {name}",
                do="install the versions in requirements.lock, or train the recipe again",
            )
    if note.openvino:
        export(out, info["strategy"], note.quantize)
    for name in packed.manifest.files:
        if name != NOTE and not name.startswith(f"{ADAPTER}/"):
            shutil.copyfile(packed.file(name), out / name)
    return {"compact": packed.hash}
