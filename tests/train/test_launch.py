"""The command of a launch, the scripts for clusters, and what is said of a process that failed."""

from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lextune.core.errors import MachineError, UserError
from lextune.train.gpus import find_machine
from lextune.train.launch import Launch, command, failure, shown, skypilot, slurm, start

H100 = find_machine("H100").gpu
OPTIONS = ("--sharding", "fsdp", "--until", "sft", "--set", "train.lora.target=[q_proj, v_proj]")
ONE = Launch(Path("my recipe.yaml"), OPTIONS, "contracts", Path("runs"), 2, True)
TWO = ONE._replace(nodes=2, data=None, out=Path("/shared/runs"))
WORKER = ["-m", "lextune.apps.cli.main", "train", "worker"]


def test_one_machine_needs_no_meeting_place() -> None:
    assert command(ONE) == [
        "torchrun", "--nproc-per-node=2", *WORKER, "my recipe.yaml", *OPTIONS, "--data", "contracts", "--out", "runs",
    ]  # fmt: skip


def test_several_machines_meet_at_the_head() -> None:
    assert command(TWO)[1:5] == [
        "--nnodes=2", "--rdzv-backend=c10d", "--rdzv-id=lextune", "--rdzv-endpoint=HEAD:29500",
    ]  # fmt: skip
    assert "--rdzv-endpoint=n1:29500" in command(TWO, "n1")
    assert "--rdzv-endpoint=n1:7000" in command(TWO, "n1:7000")
    assert "--data" not in command(TWO)


def test_torchrun_understands_the_command() -> None:
    from torch.distributed.run import parse_args

    for launch, nodes in ((ONE, "1:1"), (TWO, "2")):
        parsed = parse_args(command(launch, "n1")[1:])
        assert (parsed.nnodes, parsed.nproc_per_node) == (nodes, "2")
        assert (parsed.module, parsed.training_script) == (True, "lextune.apps.cli.main")
        assert parsed.training_script_args[:3] == ["train", "worker", "my recipe.yaml"]


def test_what_is_printed_can_be_typed() -> None:
    assert shlex.split(shown(ONE)) == command(ONE)
    on_cpus = ONE._replace(on_gpu=False)
    assert shlex.split(shown(on_cpus)) == ["CUDA_VISIBLE_DEVICES=", *command(ONE)]


def _ran(script: str, folder: Path, name: str) -> list[str]:
    """Run a script with stand-ins for what a cluster has; return the words that torchrun was given."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    stand_ins = {
        "srun": '"$@"',
        "scontrol": "printf 'n7\\nn8\\n'",
        "torchrun": f"printf '%s\\n' \"$@\" > '{folder}/words'",
        "pip": "true",
    }
    for tool, body in stand_ins.items():
        (bin_folder / tool).write_text(f"#!/bin/bash\n{body}\n")
        (bin_folder / tool).chmod(0o755)
    (folder / name).write_text(script)
    found = {
        "PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(folder), "SLURM_JOB_ID": "41",
        "SLURM_JOB_NODELIST": "n[7-8]", "SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "1",
        "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NUM_GPUS_PER_NODE": "2", "LEXTUNE_PACKAGE": "lextune",
    }  # fmt: skip
    subprocess.run(["bash", "-n", name], check=True, cwd=folder)
    done = subprocess.run(["bash", name], cwd=folder, env=found, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return (folder / "words").read_text().splitlines()


def test_a_slurm_script_runs_a_worker_on_each_node(tmp_path: Path) -> None:
    (tmp_path / "my recipe.yaml").touch()
    (tmp_path / "contracts").mkdir()
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/activate").touch()
    launch = TWO._replace(recipe=tmp_path / "my recipe.yaml")
    script = slurm(launch, "clauses", H100)
    for line in ("--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=h100:2", "--requeue", "--open-mode=append"):
        assert f"\n#SBATCH {line}\n" in script
    with pytest.raises(RuntimeError, match="error: /CHANGE-ME/venv/bin/activate is not there: change the lines"):
        _ran(script, tmp_path, "job.sh")
    changed = script.replace("/CHANGE-ME", str(tmp_path))
    assert _ran(changed, tmp_path, "job.sh") == [
        "--nnodes=2", "--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-id=41", "--rdzv-endpoint=n7:29500",
        *WORKER, str(tmp_path / "my recipe.yaml"), *OPTIONS, "--data", str(tmp_path / "contracts"),
        "--out", "/shared/runs",
    ]  # fmt: skip


def test_a_slurm_script_without_a_kind_of_gpu_takes_any() -> None:
    assert "#SBATCH --gpus-per-node=2\n" in slurm(ONE, "clauses", None)


def test_a_skypilot_task_keeps_the_artifacts_of_one_machine_in_a_bucket(tmp_path: Path) -> None:
    task = YAML(typ="safe").load(skypilot(ONE, "clauses", H100))
    assert task["resources"] == {"accelerators": "H100:2"}
    assert (task["name"], task["num_nodes"]) == ("lextune-clauses", 1)
    assert task["file_mounts"] == {
        "~/recipe.yaml": "my recipe.yaml",
        "~/data": "contracts",
        "~/runs": {"name": "change-me-bucket", "mode": "MOUNT_CACHED"},
    }
    assert _ran(task["setup"] + task["run"], tmp_path, "run.sh") == [
        "--nproc-per-node=2", *WORKER, f"{tmp_path}/recipe.yaml", *OPTIONS, "--data", f"{tmp_path}/data",
        "--out", f"{tmp_path}/runs",
    ]  # fmt: skip


def test_a_skypilot_task_of_several_machines_needs_a_volume(tmp_path: Path) -> None:
    task = YAML(typ="safe").load(skypilot(TWO, "clauses", H100))
    assert task["volumes"] == {"/lextune": "change-me-volume"}
    assert task["file_mounts"] == {"~/recipe.yaml": "my recipe.yaml", "~/data": "./CHANGE-ME-contracts"}
    words = _ran(task["setup"] + task["run"], tmp_path, "run.sh")
    assert words[:4] == ["--nnodes=2", "--node-rank=1", "--master-addr=10.0.0.1", "--master-port=29500"]
    assert words[-2:] == ["--out", "/lextune/runs"]


@pytest.mark.parametrize(("name", "theirs"), [("RTX-4090", "RTX4090"), ("A100-40GB", "A100"), ("L40S", "L40S")])
def test_skypilot_calls_gpus_by_its_own_names(name: str, theirs: str) -> None:
    task = YAML(typ="safe").load(skypilot(ONE, "clauses", find_machine(name).gpu))
    assert task["resources"]["accelerators"] == f"{theirs}:2"


# failures


def test_what_the_leader_has_said_is_not_said_again() -> None:
    found = failure({0: (2, ""), 1: (-signal.SIGTERM, ""), 2: (70, "RuntimeError: connection closed")})
    assert isinstance(found, SystemExit)
    assert found.code == 2


@pytest.mark.parametrize("leader", [(-signal.SIGTERM, ""), (70, "RuntimeError: connection closed")])
def test_a_killed_process_is_one_clear_error(leader: tuple[int, str]) -> None:
    found = failure({0: leader, 1: (-signal.SIGKILL, "")})
    assert isinstance(found, MachineError)
    assert str(found) == (
        "train launch: process 1 was stopped by SIGKILL (often for want of memory)\n"
        "  -> run the same command again: it goes on from the newest checkpoint"
    )


def test_what_another_process_says_is_told() -> None:
    found = failure({0: (-signal.SIGTERM, ""), 1: (3, "MachineError: out of memory\n  -> use less")})
    assert isinstance(found, MachineError)
    assert "process 1 failed: MachineError: out of memory\n  -> run the same command again" in str(found)


def test_too_few_gpus_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(MachineError, match=r"2 GPUs are asked for, 1 are here\n  -> ask for fewer, use --processes"):
        start(ONE)


def test_several_machines_need_a_head() -> None:
    with pytest.raises(UserError, match=r"nobody knows where the machines meet\n  -> run the same command on each"):
        start(TWO)
