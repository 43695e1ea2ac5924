"""Speeds a user feels: `python -m benchmarks.speeds [--quick]`.

Measured on contracts that the package generates and on the offline base model; `--quick` reads fewer windows.
Nothing is asserted: speeds belong to the machine, and are compared between two runs on the same one. Each line goes
to stderr as soon as it is known; the last line of stdout is one JSON object with all of them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from lextune.data.synthesis import generate
from lextune.expert.engines.base import TagInput
from lextune.expert.head import tag_input
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec
from lextune.expert.weights import SMOLLM2, Base, resolve_base
from lextune.expert.windowing import WindowConfig, cut, sentence_texts

CONTRACTS = 12
SEED = 0
STARTS = 10
READS = 5
WINDOWS = 32


class Measured(NamedTuple):
    """One result: what, how much, of what."""

    name: str
    value: float
    unit: str


def timed(action: Callable[[], object]) -> float:
    """Return the seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def startup() -> Measured:
    """Median time of `lextune --help` in a process of its own."""
    command = [str(Path(sys.executable).with_name("lextune")), "--help"]
    runs = [timed(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(STARTS)]
    return Measured("lextune --help, median", statistics.median(runs), "s")


def reading() -> Measured:
    """Median time to read the sample PDF, its child process included."""
    from lextune.text.reading import read_document

    with resources.as_file(resources.files("lextune.resources") / "sample_contract.pdf") as pdf:
        runs = [timed(lambda: read_document(pdf)) for _ in range(READS)]
    return Measured("reading the sample PDF, median", statistics.median(runs), "s")


def cutting(base: Base) -> tuple[Measured, list[TagInput]]:
    """Cut generated contracts into windows; return the speed and some windows to tag."""
    codec, config = Codec(base.path), WindowConfig()
    documents = generate(CONTRACTS, SEED, schema=load_schema("clauses-47"))
    start = time.perf_counter()
    windows = [(document, window) for document in documents for window in cut(document, codec, config)]
    seconds = time.perf_counter() - start
    characters = sum(len(document.text) for document in documents)
    inputs = [tag_input(codec, w.heading, sentence_texts(d.text, w)) for d, w in windows[:WINDOWS]]
    return Measured("cutting contracts into windows", characters / seconds, "characters/s"), inputs


def tagging(base: Base, inputs: list[TagInput]) -> Measured:
    """Prefill speed of the reference engine, in bfloat16."""
    from lextune.expert.engines.transformers_ import TransformersEngine

    engine = TransformersEngine(base)
    engine.hidden(inputs[:2])  # the first call builds kernels
    seconds = timed(lambda: engine.hidden(inputs))
    return Measured("reading windows with transformers", sum(len(i.ids) for i in inputs) / seconds, "tokens/s")


def measure(windows: int) -> Iterator[Measured]:
    """Yield every result as soon as it is known."""
    yield startup()
    yield reading()
    base = resolve_base(SMOLLM2)
    speed, inputs = cutting(base)
    yield speed
    yield tagging(base, inputs[:windows])


def main() -> None:
    """Print the results."""
    results = {}
    for result in measure(8 if "--quick" in sys.argv[1:] else WINDOWS):
        print(f"{result.name:<36} {result.value:>12,.3f} {result.unit}", file=sys.stderr)
        results[result.name] = {"value": result.value, "unit": result.unit}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
