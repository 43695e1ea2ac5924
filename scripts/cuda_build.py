"""Exit 0 if the installed torch is a build that needs CUDA libraries beside it, 1 if not.

    python scripts/cuda_build.py

Reads the package's metadata: such a torch cannot be imported before the libraries are there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import requires

from packaging.requirements import Requirement


def needs_cuda(requirements: Iterable[str]) -> bool:
    """Return whether any of torch's requirements that hold on this platform is a CUDA library."""
    for text in requirements:
        requirement = Requirement(text)
        holds = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if holds and requirement.name.startswith(("nvidia-", "cuda-")):
            return True
    return False


if __name__ == "__main__":
    sys.exit(0 if needs_cuda(requires("torch") or []) else 1)
