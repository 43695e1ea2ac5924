"""Pack: a release as a compact one (`lextune.expert.compact`), which is small enough for a package or a mail."""

from __future__ import annotations

import shutil
from pathlib import Path

from lextune.core.artifacts import Artifact, build_folder, write_atomic
from lextune.core.errors import ArtifactError
from lextune.expert.compact import ADAPTER, KIND, NOTE, Compact, Probe, header, tagged_probe
from lextune.expert.engines.openvino_ import GENERATE_GRAPH, TAG_GRAPH
from lextune.expert.head import HEAD_FILE
from lextune.expert.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, BINDING
from lextune.release.parity import QUANTIZED_LIMIT, SERVED_LIMIT

ADAPTER_FILES = (ADAPTER_WEIGHTS, ADAPTER_CONFIG, BINDING, HEAD_FILE)


def pack(release: Artifact, out: Path) -> Artifact:
    """Write a release as a compact one.

    Args:
        release: in the folder of the run that made it: its model's adapter is read from there.
        out: a folder that does not exist, or is empty.

    Raises:
        ArtifactError: the run's other artifacts are not there, or the model was not merged from a LoRA adapter.
        UserError: `out` holds something.
    """
    model = release.parent("model")
    adapter = model.parent("adapter")
    if ADAPTER_WEIGHTS not in adapter.manifest.files:
        raise ArtifactError(
            "all weights of this model were trained, so there is no adapter to pack",
            where=str(adapter.path),
            do="ship the release as it is, or train with train.method: lora",
        )
    files = release.manifest.files

    def make(folder: Path) -> dict[str, object]:
        for name in files.keys() - model.manifest.files.keys():
            shutil.copyfile(release.path / name, folder / name)
        (folder / ADAPTER).mkdir()
        for name in ADAPTER_FILES:
            if name in adapter.manifest.files:
                shutil.copyfile(adapter.file(name), folder / ADAPTER / name)
        bits, probe = model.manifest.config.get("quantize"), None
        if HEAD_FILE in files:
            engine, within = release.json("release.json")["engine"], QUANTIZED_LIMIT if bits else SERVED_LIMIT
            probe = Probe(probabilities=tagged_probe(release.path, engine), within=within)
        note = Compact(
            weights={name: entry.sha256 for name, entry in model.manifest.files.items() if _is_merged(name)},
            openvino=TAG_GRAPH in files or GENERATE_GRAPH in files,
            quantize=bits,
            probe=probe,
        )
        write_atomic(folder / NOTE, note.model_dump_json(indent=1))
        return {"release": release.hash}

    return build_folder(out, header(KIND, "pack", {"release": release.hash}), make)


def _is_merged(name: str) -> bool:
    return name.endswith(".safetensors") and name != HEAD_FILE
