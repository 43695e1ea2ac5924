"""`lextune gate`: does the model of a run hold its limits?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from lextune.apps.cli.console import commands, out, print_json
from lextune.core.artifacts import Artifact, ArtifactStore
from lextune.core.errors import ArtifactError, GateRefused, RecipeError
from lextune.core.files import one_at_a_time
from lextune.core.recipe import apply_override, validate
from lextune.core.stage import Context
from lextune.evaluate.gate import STAGES, GateStageConfig
from lextune.evaluate.measured import newest_evaluation, newest_forgetting, newest_limits, parent

Run = Annotated[Path, typer.Argument(help="A run's folder, such as runs/demo.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="Another limit: gate.f1_at_least=0.7.")]
TRIED = "tried-gate"
AsJson = Annotated[bool, typer.Option("--json", help="Print the verdict as one JSON object.")]


def gate(run: Run, sets: Sets = None, as_json: AsJson = False) -> None:
    """Check the evaluation of a run against its limits; exit 1 with the reasons where one is not held."""
    made = judge_run(run, sets or [])
    verdict = made.json("verdict.json")
    if as_json:
        print_json({**verdict, "artifact": str(made.path)})
    else:
        out.print(verdict_table(verdict))
        out.print(
            f"verdict: {verdict['verdict']}, of the weights {verdict['weights'][:12]} ({made.path})", markup=False
        )
    if verdict["verdict"] == "fail":
        reasons = "\n".join(f"  - {reason}" for reason in verdict["reasons"])
        raise GateRefused(f"the gate said no\n{reasons}", where=str(run))


def judge_run(run: Path, sets: list[str]) -> Artifact:
    """Return the verdict on a run's evaluation, an artifact of the run's folder; `sets` are tried beside its limits.

    Raises:
        ArtifactError: the last run has no evaluation, what it made is damaged, or the model that it is of is gone.
        RecipeError: no limits are known, or one is wrong.
    """
    evaluation = newest_evaluation(run)
    config = _limits(run, sets)
    model = parent(evaluation, "model")
    if model is None:
        raise ArtifactError(
            "the model of this evaluation is gone, or is not what it was",
            where=str(evaluation.path),
            do="run the recipe again",
        )
    inputs = {"evaluation": evaluation, "model": model}
    general = newest_forgetting(run, model.hash)
    if general is not None:
        inputs["forgetting"] = general
    (stage,) = STAGES
    if sets:  # limits that are tried are none of the recipe's
        stage = stage._replace(name=TRIED)
    seed = evaluation.manifest.seed
    header, key = stage.header(config, seed, inputs)
    store = ArtifactStore(run)
    with one_at_a_time(run, "wait for it"):
        return store.find(stage.name, key) or store.build(
            header, key, lambda folder: stage.run(config, inputs, folder, Context(seed))
        )


def _limits(run: Path, sets: list[str]) -> GateStageConfig:
    known = newest_limits(run)
    if known is None and not sets:
        raise RecipeError(
            "no limits are known: its recipe did not come to the gate when it was last run",
            where=str(run),
            do="run it to the end, or give limits: --set gate.f1_at_least=0.7",
        )
    values: dict[str, Any] = {"gate": known or {}}
    for each in sets:
        apply_override(values, each)
    return validate(values, GateStageConfig, "--set" if sets else str(run))


def verdict_table(verdict: dict[str, Any]) -> Table:
    """Return the checks of a verdict, those that failed first."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("limit", no_wrap=True)
    table.add_column("measured")
    for check in sorted(verdict["checks"], key=lambda one: bool(one["ok"])):
        table.add_row("ok" if check["ok"] else "NO", escape(check["limit"]), escape(check["what"]))
    if not verdict["checks"]:
        table.add_row("", "", "; ".join(verdict["reasons"]))
    return table


command = commands(gate=gate)
