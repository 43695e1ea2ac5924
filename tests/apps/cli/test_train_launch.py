"""`lextune train launch|worker`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file

from lextune.apps.cli import train_launch
from lextune.core.artifacts import Artifact
from lextune.core.stage import Stage
from lextune.pipeline import read_recipe
from lextune.pipeline import run as run_recipe

RECIPE = """
name: try
task: instruction
schema_name: instruction
base: {base}
split: {{validation: 4, test: 4}}
train: {{strategy: text, precision: fp32, epochs: 6, batch: 4, lr: 1e-2, checkpoint_steps: 2, lora: {{r: 4}}}}
"""


def test_print_gives_the_command_and_runs_nothing(cli: Any, recipe: Path) -> None:
    found = cli("train", "launch", recipe, "--processes", 2, "--set", "train.lr=1e-3", "--print")
    assert found.code == 0
    assert found.out == (
        f"CUDA_VISIBLE_DEVICES= torchrun --nproc-per-node=2 -m lextune.apps.cli.main train worker {recipe} "
        "--sharding ddp --until sft --set train.lr=1e-3 --out runs\n"
    )
    assert not Path("runs").exists()


def test_jobs_for_clusters_are_written_once(cli: Any, recipe: Path) -> None:
    wanted = ("train", "launch", recipe, "--gpus", 4, "--strategy", "fsdp", "--gpu", "a100")
    found = cli(*wanted, "--slurm", "job.sh", "--skypilot", "job.yaml")
    assert found.code == 0
    assert "job.sh: change what is called CHANGE-ME, then: sbatch job.sh\n" in found.out
    assert "job.yaml: change what is called CHANGE-ME, then: sky jobs launch job.yaml\n" in found.out
    assert "--gpus-per-node=a100-80gb:4\n" in Path("job.sh").read_text()
    assert "accelerators: A100-80GB:4\n" in Path("job.yaml").read_text()
    again = cli(*wanted, "--slurm", "job.sh")
    assert again.code == 2
    assert "error: job.sh: this exists already\n  -> choose another name, or remove it" in again.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "how many?\n  -> give --gpus N (of each machine) or --processes N"),
        (("--gpus", 2, "--processes", 2), "how many?"),
        (("--gpus", 2, "--sharding", "tp"), "no sharding 'tp'\n  -> use one of ddp, fsdp, zero2, zero3"),
        (("--gpus", 2, "--skypilot", "j.yaml"), "which GPU?\n  -> give --gpu, as --gpu H100"),
        (("--processes", 2, "--slurm", "j.sh"), "a job for a cluster trains on GPUs\n  -> give --gpus N instead"),
        (("--gpus", 2, "--until", "fly"), "no stage 'fly'"),
    ],
)
def test_what_cannot_be_launched_is_said(cli: Any, recipe: Path, words: tuple[Any, ...], said: str) -> None:
    found = cli("train", "launch", recipe, *words)
    assert found.code == 2
    assert said in found.err


def test_zero_without_deepspeed_is_said_before_anything_starts(cli: Any, recipe: Path) -> None:
    found = cli("train", "launch", recipe, "--gpus", 2, "--sharding", "zero2")
    assert found.code == 3
    assert found.err == (
        "error: --sharding zero2: deepspeed is not installed\n"
        "  -> pip install 'lextune[zero]', or use --sharding fsdp, which needs nothing more\n"
    )


class Told(list[str]):
    """A team whose leader's words are kept."""

    leads = True

    def begin(self, stage: Stage, config: object, inputs: dict[str, Artifact], seed: int) -> None:
        self.append(f"begin {stage.name} of {', '.join(inputs)}")

    def end(self) -> None:
        self.append("end")


@pytest.mark.usefixtures("light")
def test_the_leader_says_which_stage_trains_and_when_all_is_done(
    cli: Any, recipe: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    monkeypatch.setattr(train_launch, "join", lambda sharding: told)
    assert cli("train", "worker", recipe, "--data", data).code == 0
    assert told == ["begin sft of examples, preflight, split", "end"]
    assert not list(Path("runs/try").glob("merge-*"))
    told.clear()
    assert cli("train", "worker", recipe, "--data", data, "--until", "merge").code == 0
    assert told == ["end"]  # what is there is not trained again
    assert list(Path("runs/try").glob("merge-*"))


@pytest.fixture
def prepared(tiny_base: Path, own_cache: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A recipe on the tiny base and its rows."""
    recipe, rows = tmp_path / "try.yaml", tmp_path / "rows.jsonl"
    recipe.write_text(RECIPE.format(base=tiny_base))
    made = [
        {"instruction": f"What is clause {n} about?", "input": "It runs for years. " * (n % 4), "output": f"{n} years"}
        for n in range(28)
    ]
    rows.write_text("".join(json.dumps(row) + "\n" for row in made))
    return recipe, rows


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_launch_goes_on_with_any_sharding(prepared: tuple[Path, Path], tmp_path: Path) -> None:
    """Kill a worker of an FSDP launch; the next launch, with FSDP or DDP, makes the artifact of a single process."""
    recipe, rows = prepared
    _alone(recipe, rows, tmp_path / "many", until="preflight")
    shutil.copytree(tmp_path / "many", tmp_path / "alone")  # its estimate is a measurement, part of what follows
    alone = {d.name: d.artifact for d in _alone(recipe, rows, tmp_path / "alone", until="sft")}

    def launch(sharding: str, out: str = "many") -> subprocess.Popen[str]:
        words = ["train", "launch", recipe, "--processes", 2, "--sharding", sharding, "--data", rows]
        return subprocess.Popen(
            [sys.executable, "-m", "lextune.apps.cli.main", *map(str, words), "--out", str(tmp_path / out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    killed = launch("fsdp")
    staging = tmp_path / "many" / "try" / f".{alone['sft'].path.name}.partial"
    while not list(staging.glob("checkpoints/checkpoint-*")):
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.01)
    (second,) = (p for p in psutil.Process(killed.pid).children(recursive=True) if _rank(p) == "1")
    os.kill(second.pid, signal.SIGKILL)
    _, said = killed.communicate(timeout=120)
    assert killed.returncode == 3, said
    assert said.endswith(
        "error: train launch: process 1 was stopped by SIGKILL (often for want of memory)\n"
        "  -> run the same command again: it goes on from the newest checkpoint\n"
    )
    assert not (tmp_path / "many" / "try" / alone["sft"].path.name).exists()

    shutil.copytree(tmp_path / "many", tmp_path / "other")
    for sharding, out in (("fsdp", "many"), ("ddp", "other")):
        resumed = launch(sharding, out)
        _, said = resumed.communicate(timeout=300)
        assert resumed.returncode == 0, said
        made = Artifact.open(tmp_path / out / "try" / alone["sft"].path.name, kind="adapter")
        assert made.manifest.summary["resumed_from"].startswith("checkpoint-")
        for name in ("stage", "stage_version", "config", "seed", "inputs", "parents", "packages"):
            assert getattr(made.manifest, name) == getattr(alone["sft"].manifest, name)
        assert made.manifest.files.keys() == alone["sft"].manifest.files.keys()
        one, many = (load_file(a.file("adapter_model.safetensors")) for a in (alone["sft"], made))
        assert max(float((one[n] - many[n]).abs().max()) for n in one) < 1e-5


def _alone(recipe: Path, rows: Path, out: Path, until: str) -> list[Any]:
    return run_recipe(read_recipe(recipe, []), out=out / "try", data=str(rows), until=until)


def _rank(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("RANK")
    except psutil.Error:
        return None


@pytest.mark.slow
def test_what_the_leader_cannot_do_is_said_once(prepared: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, _ = prepared
    words = ["train", "launch", recipe, "--processes", 2, "--data", tmp_path / "missing", "--out", tmp_path / "out"]
    found = subprocess.run(
        [sys.executable, "-m", "lextune.apps.cli.main", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert found.stderr.count("error:") == 1
    assert "Traceback" not in found.stderr
