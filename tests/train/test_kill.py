"""Processes that are killed while they train, and the same command again: the adapter is the same to the bit.

Dropout and NEFTune are on, so that the random numbers matter, and passes are small, so that a step has several. Each
run is a process of its own, forked from one that has imported torch; the undisturbed run, those that are killed and
those that go on have parents of their own, which hash differently.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lextune.core.artifacts import sha256_file
from lextune.expert.windowing import WindowExample

KILLS = 15  # of each strategy
KEY = "0" * 12
SCRIPT = """
import json, os, sys
from pathlib import Path

import torch
import peft, transformers.models.llama.modeling_llama
from lextune.core.artifacts import ArtifactStore
from lextune.core.records import Message
from lextune.expert.point import ChatExample
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowExample
from lextune.train import trainer
from lextune.train.chat import train_chat
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.tag import train_tag

base, strategy, windows = sys.argv[1:]
config = TrainConfig(
    strategy=strategy, epochs=5, batch=4, pass_tokens=64, lr=1e-2, checkpoint_steps=3, neftune=5.0,
    lora=LoraSettings(r=4, dropout=0.1),
)
tagged = [WindowExample.model_validate(r) for r in json.loads(Path(windows).read_text())]
asked = [
    ChatExample(
        document_id=f"d{n}",
        messages=(Message(role="user", content=f"Is clause {n} about liability?"),),
        completion=("Yes.", "No.")[n % 2],
    )
    for n in range(10)
]


def make(out):
    run = RunOptions(0, warn=lambda text: print(text, file=sys.stderr))
    if strategy == "tag":
        windows, fields = {"train": tagged, "validation": tagged[:4]}, ("Law", "Term", "Fee")
        return train_tag(resolve_base(base), windows, fields, config, out, run)
    return train_chat(resolve_base(base), {"train": asked, "validation": asked[:4]}, config, out, run)


print("ready", flush=True)
header = {"kind": "adapter", "stage": "sft", "stage_version": 1, "config": {}, "seed": 0, "inputs": {}, "parents": {}}
for line in sys.stdin:
    child = os.fork()
    if not child:
        code = 1
        try:
            ArtifactStore(Path(line.strip())).build(header, "0" * 12, make)
            code = 0
        finally:
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Parent:
    """A process that starts runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def start(self, root: Path) -> int:
        """Start a run into `root` and return its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{root}\n")
        self._process.stdin.flush()
        return int(self._line())

    def wait(self) -> int:
        """Wait for the run's end and return its exit code."""
        return int(self._line())


@contextmanager
def _parents(script: Path, arguments: list[str]) -> Iterator[list[Parent]]:
    """Three of them, each with a hash seed of its own."""
    started = []
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        started.append(
            subprocess.Popen(
                [sys.executable, str(script), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
    try:
        yield [Parent(process) for process in started]
    finally:
        for process in started:
            process.communicate()


def _hashes(root: Path) -> dict[str, str]:
    return {f.name: sha256_file(f) for f in sorted((root / f"sft-{KEY}").glob("*.safetensors"))}


def _after(seconds: float) -> Callable[[Path], bool]:
    end = time.monotonic() + seconds
    return lambda root: time.monotonic() >= end


def _saving(which: int, pattern: str) -> Callable[[Path], bool]:
    """Wait for a file of the `which`-th checkpoint that is being written."""
    seen: set[str] = set()

    def reached(root: Path) -> bool:
        seen.update(f.parts[-2] if pattern != "*" else f.name for f in _writing(root, pattern))
        return len(seen) >= which

    return reached


def _writing(root: Path, pattern: str) -> list[Path]:
    below = "" if pattern == "*" else f"/checkpoint-*/{pattern}"
    return list(root.glob(f".sft-{KEY}*/checkpoints/writing-*{below}"))


def _moment(rng: random.Random, number: int, seconds: float) -> Callable[[Path], bool]:
    """Two of three kills come at any time of the run; the third while a checkpoint is written or sealed."""
    if number % 3:
        return _after(rng.uniform(0, seconds))
    return _saving(rng.randint(1, 4), rng.choice(["*", "*.safetensors", "optimizer.pt", "*sha256.json*"]))


def _place(root: Path) -> str:
    """Say where a kill came."""
    if _writing(root, "*"):
        return "in a save"
    if not list(root.glob(f".sft-{KEY}*/checkpoints/checkpoint-*")):
        return "before the first checkpoint"
    return "after a checkpoint"


def _kill(parent: Parent, root: Path, reached: Callable[[Path], bool]) -> bool:
    """Start a run and kill it when the moment is reached; return whether it came before the end."""
    pid = parent.start(root)
    while not reached(root):
        if (root / f"sft-{KEY}").exists():
            break
        time.sleep(0.0005)
    os.kill(pid, signal.SIGKILL)  # its parent has not waited for it yet, or it is gone and nobody's
    return parent.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["tag", "text"])
def test_kill_9_at_any_instant_leaves_the_same_adapter(
    strategy: str, tiny_base: Path, own_cache: Path, windows: dict[str, list[WindowExample]], tmp_path: Path
) -> None:
    script, rows = tmp_path / "train.py", tmp_path / "windows.json"
    script.write_text(SCRIPT)
    rows.write_text(json.dumps([window.model_dump() for window in windows["train"]]))
    rng, places = random.Random(f"{strategy} 4"), Counter[str]()
    with _parents(script, [str(tiny_base), strategy, str(rows)]) as (undisturbed, killed, again):
        started = time.monotonic()
        undisturbed.start(tmp_path / "undisturbed")
        assert undisturbed.wait() == 0
        seconds = time.monotonic() - started
        expected = _hashes(tmp_path / "undisturbed")
        assert set(expected) == {"adapter_model.safetensors"} | (
            {"tag_head.safetensors"} if strategy == "tag" else set()
        )
        number = 0
        while places.total() < KILLS:
            root = tmp_path / f"killed-{number}"
            number += 1
            assert number < 4 * KILLS, "the runs end before they are killed"
            if not _kill(killed, root, _moment(rng, number, seconds)):
                continue
            places[_place(root)] += 1
            again.start(root)
            assert again.wait() == 0
            assert _hashes(root) == expected, f"kill {number}"
            assert not (root / f"sft-{KEY}" / "checkpoints").exists()
    print(f"{strategy}: {places.total()} kills, all identical: {dict(places)}")
    assert places["in a save"] >= 3
