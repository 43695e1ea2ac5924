"""How a recipe's training is started on many processes: the command, and scripts for Slurm and SkyPilot."""

from __future__ import annotations

import io
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.errors import LextuneError, MachineError, UserError
from lextune.train.gpus import Gpu

PORT = 29500  # torchrun's own choice, where machines must find each other
TRAIN = ("sft", "dpo")  # the stages that many processes share
CHANGE = "CHANGE-ME"
SKYPILOT_NAMES = {"A100-40GB": "A100", "A6000": "RTXA6000"}  # where it calls a GPU otherwise
CPUS_PER_GPU = 8


class Launch(NamedTuple):
    """What is started, and on how much."""

    recipe: Path
    """The recipe."""
    options: tuple[str, ...]
    """Options of `lextune train worker` beside the recipe, the data and the folder of artifacts."""
    data: str | None
    """Where documents come from, where it is not the recipe that says it."""
    out: Path
    """Folder of the artifacts."""
    processes: int
    """Processes on each machine: one a GPU, where there are GPUs."""
    on_gpu: bool
    """Whether they compute on GPUs."""
    nodes: int = 1
    """Machines."""

    def worker(self, recipe: str, data: str | None, out: str) -> list[str]:
        """Return what each process runs: a module of Python and its arguments."""
        given = ["--data", data] if data else []
        return ["-m", "lextune.apps.cli.main", "train", "worker", recipe, *self.options, *given, "--out", out]


def command(launch: Launch, head: str | None = None) -> list[str]:
    """Return the command that each machine runs; `head` (host or host:port) is where several meet."""
    meeting = []
    if launch.nodes > 1:
        where = head or "HEAD"
        endpoint = where if ":" in where else f"{where}:{PORT}"
        meeting = [
            f"--nnodes={launch.nodes}",
            "--rdzv-backend=c10d",
            "--rdzv-id=lextune",
            f"--rdzv-endpoint={endpoint}",
        ]
    worker = launch.worker(str(launch.recipe), launch.data, str(launch.out))
    return ["torchrun", *meeting, f"--nproc-per-node={launch.processes}", *worker]


def shown(launch: Launch, head: str | None = None) -> str:
    """Return the command as it is typed into a shell; where GPUs are not wanted it hides them."""
    hidden = "" if launch.on_gpu else "CUDA_VISIBLE_DEVICES= "
    return hidden + shlex.join(command(launch, head))


def start(launch: Launch, head: str | None = None) -> None:
    """Run the command in this process and wait for its end.

    Raises:
        UserError: several machines, and no `head`.
        MachineError: too few GPUs, or a process was stopped; its checkpoints are still there.
        SystemExit: the process that leads has said what was wrong; with its exit code.
    """
    import logging

    import torch
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args
    from torch.distributed.run import run as torchrun

    if launch.nodes > 1 and head is None:
        raise UserError(
            "nobody knows where the machines meet",
            where="--nodes",
            do="run the same command on each with --head HOST, the name of one of them",
        )
    if launch.on_gpu and torch.cuda.device_count() < launch.processes:
        raise MachineError(
            f"{launch.processes} GPUs are asked for, {torch.cuda.device_count()} are here",
            where="--gpus",
            do="ask for fewer, use --processes N to train on CPUs, or --slurm or --skypilot to train elsewhere",
        )
    if not launch.on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // launch.processes)))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what went wrong is said below
    try:
        torchrun(parse_args(command(launch, head)[1:]))
    except ChildFailedError as error:
        raise failure({rank: (each.exitcode, each.message) for rank, each in error.failures.items()}) from None
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + error.sigval) from None


def failure(failed: dict[int, tuple[int, str]]) -> LextuneError | SystemExit:
    """Return what to raise for processes that failed: rank to exit code (negative: the signal) and message.

    One that was killed is the cause, but not by SIGTERM: that is how torchrun ends the others.
    """
    causes = {rank: each for rank, each in failed.items() if each[0] != -signal.SIGTERM} or failed
    rank, (code, message) = min(causes.items(), key=lambda item: (item[1][0] > 0, item[0]))
    if code > 0 and rank == 0:
        return SystemExit(code)
    again = "run the same command again: it goes on from the newest checkpoint"
    if code < 0:
        name = signal.Signals(-code).name
        why = " (often for want of memory)" if -code == signal.SIGKILL else ""
        return MachineError(f"process {rank} was stopped by {name}{why}", where="train launch", do=again)
    return MachineError(f"process {rank} failed: {message.splitlines()[0]}", where="train launch", do=again)


SLURM = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={gpus}
#SBATCH --cpus-per-task={cpus}
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --output={name}-%j.log
# Made by `lextune train launch`. When the job is pre-empted, a node fails or its time is over, it is queued again and
# goes on from the newest checkpoint under OUT.
set -euo pipefail

# Change these; all nodes must see them under the same names.
VENV=/{change}/venv  # a Python environment with lextune[gpu]
RECIPE={recipe}
DATA={data}
OUT={out}

for path in "$VENV/bin/activate" "$RECIPE" "$DATA"; do
  if [ ! -e "$path" ]; then
    echo "error: $path is not there: change the lines at the head of this script" >&2
    exit 2
  fi
done
source "$VENV/bin/activate"
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1

srun torchrun --nnodes={nodes} --nproc-per-node={processes} \\
  --rdzv-backend=c10d --rdzv-id="$SLURM_JOB_ID" --rdzv-endpoint="$HEAD:{port}" \\
  {worker} &
wait $!
"""


def slurm(launch: Launch, name: str, gpu: Gpu | None) -> str:
    """Return a script for `sbatch`.

    Args:
        launch: what is started; `processes` are GPUs of a node.
        name: the recipe's name.
        gpu: the kind of GPU, where the cluster has several.
    """
    kind = f"{gpu.name.lower()}:" if gpu else ""
    return SLURM.format(
        name=f"lextune-{name}",
        nodes=launch.nodes,
        gpus=f"{kind}{launch.processes}",
        cpus=CPUS_PER_GPU * launch.processes,
        change=CHANGE,
        recipe=shlex.quote(str(launch.recipe.resolve())),
        data=shlex.quote(launch.data or f"/{CHANGE}/contracts"),
        out=shlex.quote(str(launch.out) if launch.out.is_absolute() else f"/{CHANGE}/runs"),
        processes=launch.processes,
        port=PORT,
        worker=_in_shell(launch.worker("$RECIPE", "$DATA", "$OUT")),
    )


def skypilot(launch: Launch, name: str, gpu: Gpu) -> str:
    """Return a task for `sky jobs launch`, which starts it again where a machine is lost.

    One machine keeps its artifacts in a bucket; several need a volume that all of them mount.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import LiteralScalarString

    many = launch.nodes > 1
    out = "/lextune/runs" if many else "~/runs"
    meeting = (
        '--nnodes="$SKYPILOT_NUM_NODES" --node-rank="$SKYPILOT_NODE_RANK" '
        f'--master-addr="$(echo "$SKYPILOT_NODE_IPS" | head -n 1)" --master-port={PORT} '
        if many
        else ""
    )
    worker = _in_shell(launch.worker("$HOME/recipe.yaml", "$HOME/data", out.replace("~", "$HOME")))
    run = f'torchrun {meeting}--nproc-per-node="$SKYPILOT_NUM_GPUS_PER_NODE" \\\n  {worker}\n'
    mounts: dict[str, Any] = {"~/recipe.yaml": str(launch.recipe), "~/data": launch.data or f"./{CHANGE}-contracts"}
    if not many:
        mounts[out] = {"name": f"{CHANGE}-bucket".lower(), "mode": "MOUNT_CACHED"}
    task = {
        "name": f"lextune-{name}",
        "num_nodes": launch.nodes,
        "resources": {"accelerators": f"{_skypilot_name(gpu)}:{launch.processes}"},
        "envs": {"LEXTUNE_PACKAGE": "lextune[gpu]"},
        "file_mounts": mounts,
        **({"volumes": {"/lextune": f"{CHANGE}-volume".lower()}} if many else {}),
        "setup": LiteralScalarString('set -e\npip install "$LEXTUNE_PACKAGE"\n'),
        "run": LiteralScalarString(run),
    }
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 1000
    yaml.dump(task, stream)
    return (
        f"# Made by `lextune train launch`; change what is called {CHANGE}. Start it with `sky jobs launch`:\n"
        "# where a machine is lost it starts anew, and goes on from the newest checkpoint.\n" + stream.getvalue()
    )


def _skypilot_name(gpu: Gpu) -> str:
    return SKYPILOT_NAMES.get(gpu.name, gpu.name.replace("RTX-", "RTX"))


def _in_shell(words: Sequence[str]) -> str:
    """Return words for a shell; one that begins with a variable is expanded there."""
    return " ".join(f'"{word}"' if word.startswith("$") else shlex.quote(word) for word in words)
