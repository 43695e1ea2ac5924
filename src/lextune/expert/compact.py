"""Compact releases: an adapter in place of the model, some megabytes in place of hundreds.

A compact release holds `adapter/`, `compact.json`, and all that a release holds beside its model. It is unpacked once,
into the cache: the adapter is merged into its base again, which must give the weights that were measured, bit for bit.
What is made of them on this machine, in fewer bits perhaps, must tag a few sentences as the release did when it was
packed. The package carries one, trained on CUAD by `recipes/bundled-expert.yaml`.
"""

from __future__ import annotations

import logging
import shutil
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import Artifact, build_folder, sha256_file, sha256_json
from lextune.core.cache import cache_folder, made_once
from lextune.core.errors import ModelError
from lextune.expert.build import load_model
from lextune.expert.engines.openvino_ import export, exporters
from lextune.expert.engines.quantized import Bits
from lextune.expert.head import tag_input
from lextune.expert.merging import merge

KIND, VERSION = "compact-release", 1
NOTE = "compact.json"
ADAPTER = "adapter"
PROBE = (
    "This Agreement shall be governed by the laws of the State of Ohio.",
    "Either party may terminate this Agreement for convenience upon thirty (30) days' prior written notice.",
    "Neither party may assign this Agreement without the prior written consent of the other party.",
    "The fees are due within ten days of the invoice.",
    "In no event shall either party's liability exceed the fees paid in the preceding twelve months.",
)
LOG = logging.getLogger("lextune.release")


class Probe(BaseModel):
    """How the release tags `PROBE`: probabilities [sentences, fields], which may differ by at most `within`."""

    model_config = ConfigDict(frozen=True)
    probabilities: tuple[tuple[float, ...], ...]
    within: float


class Compact(BaseModel):
    """What the unpacked release has to be.

    `weights` are the hashes of its files of weights; `openvino` says whether OpenVINO runs it, `quantize` in which
    bits, and `probe` how it answers, if it is a tagger.
    """

    model_config = ConfigDict(frozen=True)
    weights: dict[str, str]
    openvino: bool
    quantize: Bits | None = None
    probe: Probe | None = None


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
        cache_folder() / "releases" / sha256_json([packed.hash, VERSION, exporters()])[:24],
        lambda out: build_folder(out, made, lambda staging: _filled(packed, staging)),
    )


def tagged_probe(folder: Path, engine: str) -> tuple[tuple[float, ...], ...]:
    """Return the probabilities [sentences, fields] that a tagging model's folder gives to `PROBE`, by this engine."""
    import numpy as np

    model = load_model(folder, engine)
    (logits,) = model.tagger().tag([tag_input(model.codec, "", PROBE)])
    return tuple(tuple(round(float(p), 5) for p in row) for row in 1 / (1 + np.exp(-logits)))


def _check_probe(out: Path, engine: str, probe: Probe, packed: Path) -> None:
    import numpy as np

    off = float(np.abs(np.array(tagged_probe(out, engine)) - probe.probabilities).max())
    if not off <= probe.within:  # a NaN is over every limit
        raise ModelError(
            f"the unpacked model answers otherwise than the release: a probability by {off:.3f}, over {probe.within}",
            where=str(packed),
            do="install the versions in requirements.lock, or ship the release itself",
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
    if note.probe is not None:
        _check_probe(out, info["engine"], note.probe, packed.path)
    return {"compact": packed.hash}
