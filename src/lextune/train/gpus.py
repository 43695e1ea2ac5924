"""GPUs that a run can be planned for: memory, speed, and what an hour typically costs.

Memory is what the driver reports. Rates are NVIDIA's own for dense bf16 with fp32 accumulation (data sheets and
architecture white papers; where a sheet gives the rate with sparsity, half of it). Prices are what an hour on demand
typically cost in March 2026 at clouds that rent single cards; they change, so a plan takes another with `--price`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lextune.core.errors import UserError

PRICED = "March 2026"


class Gpu(NamedTuple):
    """One model of GPU."""

    name: str
    gib: float
    """Memory."""
    tflops: float
    """Dense bf16 operations a second with fp32 accumulation, in 10^12."""
    gb_per_second: float
    """Memory bandwidth, in 10^9 bytes."""
    dollars: float
    """A typical price of an hour, in US dollars; see the module."""


class Machine(NamedTuple):
    """So many GPUs of one model in one machine."""

    gpu: Gpu
    gpus: int = 1

    @property
    def name(self) -> str:
        """As it is asked for: `A100-80GB`, `2xH100`."""
        return self.gpu.name if self.gpus == 1 else f"{self.gpus}x{self.gpu.name}"


GPUS = (
    Gpu("RTX-3060", 12.0, 25.5, 360, 0.10),
    Gpu("RTX-4070", 12.0, 58.3, 504, 0.20),
    Gpu("RTX-5070", 11.9, 61.7, 672, 0.20),
    Gpu("RTX-4080", 16.0, 97.5, 717, 0.35),
    Gpu("RTX-5080", 15.9, 112.6, 960, 0.40),
    Gpu("RTX-3090", 24.0, 71.0, 936, 0.40),
    Gpu("RTX-4090", 24.0, 165.2, 1008, 0.60),
    Gpu("RTX-5090", 31.8, 209.5, 1792, 0.90),
    Gpu("L4", 22.5, 121.0, 300, 0.70),
    Gpu("A10G", 22.5, 70.0, 600, 1.00),
    Gpu("A6000", 48.0, 154.8, 768, 0.80),
    Gpu("L40S", 45.0, 362.0, 864, 1.40),
    Gpu("A100-40GB", 40.0, 312.0, 1555, 1.30),
    Gpu("A100-80GB", 80.0, 312.0, 2039, 2.10),
    Gpu("H100", 79.6, 989.4, 3350, 3.00),
    Gpu("H200", 140.4, 989.4, 4800, 4.00),
    Gpu("B200", 179.1, 2250.0, 8000, 6.00),
)
COUNTS = (1, 2, 4, 8)
ALIASES = {"a100": "A100-80GB", "a10040": "A100-40GB", "a10080": "A100-80GB", "h10080gb": "H100"}
_ASKED = re.compile(r"(?:(\d+)\s*x\s*)?(.+)", re.IGNORECASE)


def find_machine(asked: str) -> Machine:
    """Return the machine of this name: a GPU's, in any spelling, with a count before it where there are several.

    Raises:
        UserError: there is no such GPU, or no machine with so many.
    """
    match = _ASKED.fullmatch(asked.strip())
    count, name = (int(match[1] or 1), match[2]) if match else (1, asked)
    known = {_letters(gpu.name): gpu for gpu in GPUS}
    key = _letters(name).removeprefix("nvidia").removeprefix("geforce")
    gpu = known.get(_letters(ALIASES.get(key, key))) or known.get(f"rtx{key}")
    if gpu is None:
        raise UserError(f"no GPU {name!r} is known", where="--gpu", do=f"use one of {', '.join(_nearest(name))}")
    if count not in COUNTS:
        counts = ", ".join(map(str, COUNTS))
        raise UserError(f"no machine with {count} GPUs is known", where="--gpu", do=f"use a count of {counts}")
    return Machine(gpu, count)


def _letters(name: str) -> str:
    """Return a name without what people write between its parts."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _nearest(name: str, count: int = 5) -> list[str]:
    """Return the names most like this one, best first."""
    from rapidfuzz import process

    names = [gpu.name for gpu in GPUS]
    return [found for found, *_ in process.extract(name, names, processor=_letters, limit=count)]
