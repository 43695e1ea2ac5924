"""What a machine has, and which engines and recipes that is enough for."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from lextune.core.cache import cache_folder
from lextune.core.errors import LextuneError
from lextune.core.parallel import cores
from lextune.core.provenance import machine, package_versions
from lextune.expert.weights import find_smollm2_gguf

TRAINING_GB, SERVING_GB, DISK_GB = 6.0, 3.0, 6.0  # measured with smollm2-135m


def examine() -> dict[str, dict[str, Any]]:
    """Return what the machine has by section: machine, packages, engines, models, recipes."""
    import psutil

    memory = psutil.virtual_memory().available / 2**30
    disk = shutil.disk_usage(Path.cwd()).free / 2**30
    gpu = _gpu()
    engines = {
        "openvino": _has("openvino") and _has("openvino_genai"),
        "transformers": _has("transformers") and _has("torch"),
    }
    return {
        "machine": {
            "system": machine(),
            "cores": cores(),
            "memory available": f"{memory:.1f} GiB",
            "disk free here": f"{disk:.1f} GiB",
            "GPU": gpu or "none",
            "bf16": _bf16(),
        },
        "packages": dict(package_versions()),
        "engines": {name: "ready" if ok else "not installed" for name, ok in engines.items()},
        "models": {"smollm2-135m": _base(), "cache": str(cache_folder())},
        "recipes": {
            "demo, clause-extraction-cpu, instruction-legal": _enough(memory, disk, all(engines.values())),
            "a 7B base": "yes" if gpu else "needs a GPU with 24 GB or more",
        },
    }


def _has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _gpu() -> str | None:
    if not _has("torch"):
        return None
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None


def _bf16() -> str:
    if not _has("openvino"):
        return "unknown (openvino is not installed)"
    import openvino

    able = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "yes" if able else "no: fp32 is used, at about half the speed"


def _base() -> str:
    try:
        return f"at hand ({find_smollm2_gguf().name})"
    except LextuneError as error:
        return str(error).replace("\n", " ")


def _enough(memory: float, disk: float, engines: bool) -> str:
    missing = []
    if memory < TRAINING_GB:
        missing.append(f"{TRAINING_GB:.0f} GiB of memory to train ({SERVING_GB:.0f} to serve)")
    if disk < DISK_GB:
        missing.append(f"{DISK_GB:.0f} GiB of disk")
    if not engines:
        missing.append("the engines' packages")
    return "yes" if not missing else f"no: needs {', '.join(missing)}"
