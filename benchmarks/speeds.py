"""Speeds a user feels: `python -m benchmarks.speeds [--quick]`.

Measured on contracts that the package generates and on the offline base model; `--quick` reads fewer windows.
Nothing is asserted: speeds belong to the machine, and are compared between two runs on the same one. OpenVINO's two
arithmetics take turns, and the ratio is the median over turns. Each line goes to stderr as soon as it is known; the
last line of stdout is one JSON object with all of them.
"""

from __future__ import annotations

import functools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from lextune.data.synthesis import generate
from lextune.expert.engines.base import GenerateOptions, TagInput
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
TURNS = 3
ENGINES = ("openvino", "openvino-f32")
WRITTEN = 64  # tokens an answer


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


def in_turns(what: str, tokens: int, actions: Mapping[str, Callable[[], object]]) -> Iterator[Measured]:
    """Run OpenVINO's two arithmetics in turns; yield the speed of each, and the median ratio of their seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()  # the first call compiles
    for _ in range(TURNS):
        for name, action in actions.items():
            seconds[name].append(timed(action))
    for name, each in seconds.items():
        yield Measured(f"{what} with {name}", tokens / statistics.median(each), "tokens/s")
    bf16, fp32 = (seconds[name] for name in ENGINES)
    slower = statistics.median(b / a for a, b in zip(bf16, fp32, strict=True))
    yield Measured(f"{what}: fp32 takes", slower, "times the time")


def openvino(base: Base, inputs: list[TagInput]) -> Iterator[Measured]:
    """Tagging and writing speed of OpenVINO in bf16 and in fp32."""
    from lextune.expert.engines.openvino_ import OpenVinoGenerator, OpenVinoTagger, export_tagger, exported_base

    codec = Codec(base.path)
    with tempfile.TemporaryDirectory() as folder:
        export_tagger(base.path, Path(folder))
        shutil.copyfile(base.path / "config.json", Path(folder) / "config.json")  # a model's folder says its widths
        taggers = {name: OpenVinoTagger(Path(folder), None, codec, name) for name in ENGINES}
        tag = {name: functools.partial(tagger.hidden, inputs) for name, tagger in taggers.items()}
        yield from in_turns("reading windows", sum(len(i.ids) for i in inputs), tag)
    options = GenerateOptions(max_tokens=WRITTEN)
    prompts = [[*item.ids[-64:]] for item in inputs[:8]]
    writers = {name: OpenVinoGenerator(exported_base(base), codec, name, cache_gb=1) for name in ENGINES}
    write = {name: functools.partial(writer.generate, prompts, options) for name, writer in writers.items()}
    written = sum(len(answer.ids) for answer in writers[ENGINES[0]].generate(prompts, options))
    yield from in_turns("writing", written, write)


def measure(windows: int) -> Iterator[Measured]:
    """Yield every result as soon as it is known."""
    yield startup()
    yield reading()
    base = resolve_base(SMOLLM2)
    speed, inputs = cutting(base)
    yield speed
    yield tagging(base, inputs[:windows])
    yield from openvino(base, inputs[:windows])


def main() -> None:
    """Print the results."""
    results = {}
    for result in measure(8 if "--quick" in sys.argv[1:] else WINDOWS):
        print(f"{result.name:<40} {result.value:>12,.3f} {result.unit}", file=sys.stderr)
        results[result.name] = {"value": result.value, "unit": result.unit}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
