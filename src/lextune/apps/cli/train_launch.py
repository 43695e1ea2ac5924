"""`lextune train launch|worker`: the same recipe on many processes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, get_args

import typer

from lextune.apps.cli.console import Bars, log, out, quiet_libraries
from lextune.apps.cli.run import Data, Out, Sets
from lextune.apps.cli.train import RecipeFile, app
from lextune.core.errors import LextuneError, UserError
from lextune.core.recipe import Config
from lextune.core.stage import Inputs, Stage
from lextune.pipeline import Step, check_range, plan, read_recipe
from lextune.pipeline import run as run_recipe
from lextune.pipeline.table import TABLE
from lextune.train.launch import CHANGE, TRAIN, Launch, shown, skypilot, slurm, start
from lextune.train.team import Sharding, Team, check_installed, ended_by_torchrun, join

SHARDINGS = get_args(Sharding)
How = Annotated[
    str, typer.Option("--sharding", "--strategy", help=f"What processes divide: one of {', '.join(SHARDINGS)}.")
]
Until = Annotated[str | None, typer.Option("--until", help="The last stage to run; by default the last that trains.")]


@app.command()
def launch(
    recipe: RecipeFile,
    gpus: Annotated[int | None, typer.Option("--gpus", min=1, help="GPUs of each machine.")] = None,
    processes: Annotated[int | None, typer.Option("--processes", min=1, help="Processes on CPUs instead.")] = None,
    sharding: How = "ddp",
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Machines.")] = 1,
    head: Annotated[str | None, typer.Option("--head", help="The machine where several meet: HOST[:PORT].")] = None,
    gpu: Annotated[str | None, typer.Option("--gpu", help="Kind of GPU, for --slurm and --skypilot: H100.")] = None,
    until: Until = None,
    sets: Sets = None,
    out_dir: Out = Path("runs"),
    data: Data = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the command, run nothing.")] = False,
    to_slurm: Annotated[Path | None, typer.Option("--slurm", help="Write a script for sbatch, run nothing.")] = None,
    to_sky: Annotated[Path | None, typer.Option("--skypilot", help="Write a SkyPilot task, run nothing.")] = None,
) -> None:
    """Train on several GPUs, machines or CPU processes: run it, print the command, or write a job for a cluster."""
    values = read_recipe(recipe, sets or [])
    steps = plan(values, "")
    check_range(steps, until, None)
    last = until or _last(steps)
    if (gpus is None) == (processes is None):
        raise UserError("how many?", where="train launch", do="give --gpus N (of each machine) or --processes N")
    options = ("--sharding", _known(sharding), "--until", last, *(word for s in sets or [] for word in ("--set", s)))
    work = Launch(recipe, options, data, out_dir, gpus or processes or 1, gpus is not None, nodes)
    if to_slurm is not None or to_sky is not None:
        _write_jobs(work, values.name, gpu, to_slurm, to_sky)
    if only_print:
        out.print(shown(work, head), markup=False, soft_wrap=True)
    elif to_slurm is None and to_sky is None:
        check_installed(_known(sharding))
        start(work, head)
        log.print(f"the stages after {last}: lextune run {recipe}", markup=False)


@app.command()
def worker(
    recipe: RecipeFile,
    sharding: How = "ddp",
    until: Until = None,
    sets: Sets = None,
    out_dir: Out = Path("runs"),
    data: Data = None,
) -> None:
    """Be one process of a launch, as torchrun and accelerate start it: the first runs the stages, all train."""
    quiet_libraries()
    team = join(_known(sharding))
    if team is not None and not team.leads:
        _follow(team)
        return
    values = read_recipe(recipe, sets or [])

    def starting(stage: Stage, config: Config, inputs: Inputs, seed: int) -> None:
        if team is not None and stage.name in TRAIN:
            team.begin(stage, config, inputs, seed)

    with ended_by_torchrun() if team else nullcontext(), Bars() as bars:
        run_recipe(
            values,
            out=out_dir / values.name,
            data=data,
            until=until or _last(plan(values, "")),
            progress=bars,
            note=lambda text: log.print(text, markup=False),
            starting=starting,
        )
    if team is not None:
        team.end()


def _follow(team: Team) -> None:
    """Train with the leader; a failure goes to torchrun, which stops the others and reports it."""
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    try:
        with ended_by_torchrun():
            team.follow(TABLE)
    except Exception as error:
        get_error_handler().record_exception(error)
        raise SystemExit(error.exit_code if isinstance(error, LextuneError) else 70) from None


def _last(steps: Sequence[Step]) -> str:
    """Return the last stage that trains."""
    return [step.stage.name for step in steps if step.stage.name in TRAIN][-1]


def _known(sharding: str) -> Sharding:
    for known in SHARDINGS:
        if known == sharding:
            found: Sharding = known
            return found
    raise UserError(f"no sharding {sharding!r}", where="--sharding", do=f"use one of {', '.join(SHARDINGS)}")


def _write_jobs(work: Launch, name: str, gpu: str | None, to_slurm: Path | None, to_sky: Path | None) -> None:
    from lextune.train.gpus import find_machine

    kind = find_machine(gpu).gpu if gpu else None
    if not work.on_gpu:
        raise UserError("a job for a cluster trains on GPUs", where="--processes", do="give --gpus N instead")
    if to_slurm is not None:
        _write(to_slurm, slurm(work, name, kind), "sbatch")
    if to_sky is not None:
        if kind is None:
            raise UserError("which GPU?", where="--skypilot", do="give --gpu, as --gpu H100")
        _write(to_sky, skypilot(work, name, kind), "sky jobs launch")


def _write(path: Path, text: str, submit: str) -> None:
    from lextune.core.artifacts import write_atomic

    if path.exists():
        raise UserError("this exists already", where=str(path), do="choose another name, or remove it")
    write_atomic(path, text)
    out.print(f"{path}: change what is called {CHANGE}, then: {submit} {path}", markup=False, soft_wrap=True)
