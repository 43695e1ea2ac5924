"""A process that is killed while it trains, and the same command again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from lextune.core.artifacts import ArtifactStore
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowExample
from lextune.train.common import LoraSettings, RunOptions, TrainConfig
from lextune.train.tag import train_tag

base, windows, root, killed_at = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
rows = [WindowExample.model_validate(r) for r in json.loads(Path(windows).read_text())]

def report(step, steps, loss):
    if step == killed_at:
        os.kill(os.getpid(), signal.SIGKILL)

def make(out):
    config = TrainConfig(epochs=2, batch=4, lr=1e-2, checkpoint_steps=2, lora=LoraSettings(r=4))
    return train_tag(resolve_base(base), {"train": rows, "validation": rows[:4]}, 3, config, out, RunOptions(0, report))

header = {"kind": "adapter", "stage": "sft", "stage_version": 1, "config": {}, "seed": 0, "inputs": {}, "parents": {}}
print(ArtifactStore(root).build(header, "0" * 12, make).manifest.summary["resumed_from"])
"""


@pytest.mark.slow
def test_the_same_command_after_kill_9_ends_with_the_same_adapter(
    tiny_base: Path, own_cache: Path, windows: dict[str, list[object]], tmp_path: Path
) -> None:
    script, rows = tmp_path / "train.py", tmp_path / "windows.json"
    script.write_text(SCRIPT)
    rows.write_text("[" + ",".join(w.model_dump_json() for w in windows["train"]) + "]")  # type: ignore[attr-defined]

    def run(root: str, killed_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(tiny_base), str(rows), str(tmp_path / root), str(killed_at)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | {}, check=False)

    undisturbed = run("undisturbed", 0)
    assert undisturbed.stdout.strip() == "None", undisturbed.stderr[-2000:]
    assert run("killed", 5).returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / ("sft-" + "0" * 12)).exists()
    again = run("killed", 0)
    assert again.stdout.strip() == "checkpoint-4", again.stderr[-2000:]

    folders = [tmp_path / root / ("sft-" + "0" * 12) for root in ("undisturbed", "killed")]
    for name in ("adapter_model.safetensors", "tag_head.safetensors"):
        first, second = (safe_open(f / name, "np") for f in folders)
        assert set(first.keys()) == set(second.keys())
        assert all((first.get_tensor(n) == second.get_tensor(n)).all() for n in first.keys())  # noqa: SIM118
    assert not (folders[1] / "checkpoints").exists()
