"""`lextune train ...`: check and plan a run, and train; other commands come from the modules `train_*`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lextune.apps.cli.console import Command, log, out, print_json, quiet_libraries
from lextune.apps.cli.run import AsJson, Data, Out, Sets, run_stages
from lextune.core.errors import GateRefused, MachineError
from lextune.pipeline import Recipe, read_recipe
from lextune.train.team import Sharding

if TYPE_CHECKING:
    from lextune.train.gpus import Machine
    from lextune.train.memory import Advice, Plan, Run

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Check, plan and run the training of a recipe.")
RecipeFile = Annotated[Path, typer.Argument(help="A recipe (YAML).")]
GpuName = Annotated[str | None, typer.Option("--gpu", help="Plan for a GPU too: RTX-4090, A100-80GB, 2xH100.")]
Price = Annotated[float | None, typer.Option("--price", min=0, help="Dollars for an hour of one GPU.")]
Sharded = Annotated[Sharding, typer.Option("--sharding", help="What several GPUs divide, as in train launch.")]


@app.command()
def preflight(
    recipe: RecipeFile,
    gpu: GpuName = None,
    price: Price = None,
    sharding: Sharded = "ddp",
    sets: Sets = None,
    data: Data = None,
    out_dir: Out = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Check what a recipe would train on, count its tokens, and estimate its time here and on a GPU."""
    from lextune.train.gpus import find_machine
    from lextune.train.memory import advise, plan

    values = read_recipe(recipe, sets or [])
    machine = find_machine(gpu) if gpu is not None else None
    found = _checked(values, out_dir, data, machine)
    result: dict[str, Any] = {"preflight": found}
    if not as_json and found is not None:
        _print_checks(found)
    if machine is None:
        if as_json:
            print_json(result)
        return
    run = _planned(values, found)
    made = plan(run, machine, sharding, price)
    advice = None if made.fits else advise(run, machine, sharding)
    if as_json:
        suggested = advice and {"settings": advice.settings, "plan": advice.plan.as_json()}
        print_json({**result, "plan": made.as_json(), "suggestion": suggested})
    else:
        _print_plan(made, found is not None, price)
    if not made.fits:
        raise GateRefused(f"the run does not fit into {machine.name}", do=_suggestion(advice, machine))


@app.command()
def sft(
    recipe: RecipeFile, sets: Sets = None, data: Data = None, out_dir: Out = Path("runs"), as_json: AsJson = False
) -> None:
    """Run a recipe until the model is fine-tuned; what is done already is reused."""
    done = run_stages(read_recipe(recipe, sets or []), out_dir, data=data, until="sft")
    if as_json:
        print_json({**done[-1].artifact.manifest.summary, "adapter": str(done[-1].artifact.path)})
    else:
        out.print(f"adapter: {done[-1].artifact.path}", markup=False)


def _checked(recipe: Recipe, out_dir: Path, data: str | None, machine: Machine | None) -> dict[str, Any] | None:
    """Return what preflight finds here; None where the base is not here, and a GPU is planned for.

    A plan is asked for before something is downloaded, so that it downloads no model.
    """
    from lextune.expert.weights import resolve_base

    quiet_libraries()
    try:
        resolve_base(recipe.base, fetch=machine is None)
    except MachineError:
        if machine is None:
            raise
        log.print(f"{recipe.base} is not on this machine: nothing is checked without it", markup=False)
        return None
    made = run_stages(recipe, out_dir, data=data, until="preflight")[-1].artifact
    timed = ("tokens_per_second", "estimate", "estimated_parts", "processes", "dpo")
    return {**made.json("preflight.json"), **{key: made.manifest.summary[key] for key in timed}}


def _planned(recipe: Recipe, found: dict[str, Any] | None) -> Run:
    from lextune.expert.schema import load_schema
    from lextune.train.estimate import Tokens
    from lextune.train.outline import run_of

    tokens = None if found is None else Tokens(**found["budget"])
    return run_of(recipe.base, recipe.train, len(load_schema(recipe.schema_name).fields), tokens)


def _print_checks(found: dict[str, Any]) -> None:
    budget, parts, steps = found["budget"], found["estimated_parts"], found["estimate"]["steps"]
    out.print(f"rows:   {found['rows']:,} to train on, {found['too_long']:,} too long", markup=False)
    out.print(f"prompt: template {found['template']}, answers end with {found['stop_token']}", markup=False)
    out.print(
        f"tokens: {budget['trained']:,} in {steps:,} steps ({budget['learnt']:,} learnt), "
        f"{budget['mean']:,.0f} an example, {budget['longest']:,} in the longest"
    )
    shares = ", ".join(f"{name} {seconds:,.0f}" for name, seconds in parts.items())
    out.print(f"here:   {_time(found['estimate']['seconds'])} ({shares} s), {found['tokens_per_second']:,.0f} tokens/s")
    if found["processes"] > 1:
        out.print(f"        on {found['processes']} processes: as one was timed, divided; none waits for another")
    if (dpo := found["dpo"]) is not None:
        took = f"mining {dpo['mining']:,.0f}, training {dpo['training']:,.0f} s"
        out.print(f"dpo:    at most {_time(dpo['mining'] + dpo['training'])} more for {dpo['pairs']:,} pairs ({took})")


def _print_plan(made: Plan, counted: bool, price: float | None) -> None:
    from lextune.train.gpus import PRICED

    shown = made.as_json()
    needed = shown["memory_gib"]
    parts = ", ".join(f"{name} {needed[name]:.1f}" for name in made.memory._fields)
    each = " on each" if made.machine.gpus > 1 else ""
    divided = f", {made.sharding}" if made.machine.gpus > 1 else ""
    out.print(f"{shown['gpu']}{divided}: {needed['total']:.1f} of {needed['of']:.1f} GiB{each} ({parts})", markup=False)
    work = "" if counted else " for a million tokens"
    dear = f"at a typical price of {PRICED}" if price is None else f"at ${price:.2f} an hour"
    cost = f"${made.dollars:.2f}" if made.dollars >= 0.01 else "less than $0.01"
    out.print(f"{shown['gpu']}: {_time(made.seconds)}{work}, {cost} {dear}", markup=False)


def _suggestion(advice: Advice | None, machine: Machine) -> str:
    if advice is None:
        return "use a smaller base: no machine that is known here holds it"
    other = advice.plan.machine
    words = [*([f"--gpu {other.name}"] if other != machine else []), *advice.lines]
    size = f"{advice.plan.memory.total / 2**30:.1f} of {other.gpu.gib:.1f} GiB"
    return f"use {' '.join(words)} ({size}, {_time(advice.plan.seconds)})"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"about {seconds:.0f} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} min" if minutes < 120 else f"about {minutes / 60:.1f} h"


def command(name: str) -> Command:
    """Return the group, with what other modules add to it."""
    from lextune.apps.cli import train_dpo, train_launch, train_search  # noqa: F401 - they add their commands to the group

    return typer.main.get_command(app)
