"""`lextune train search`: better training settings, by trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from lextune.apps.cli.console import log, out, print_json
from lextune.apps.cli.run import AsJson, Data, Out, Sets, run_stages
from lextune.apps.cli.train import RecipeFile, app
from lextune.pipeline import read_recipe


@app.command()
def search(
    recipe: RecipeFile,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="How many; the recipe's by default.")] = None,
    objectives: Annotated[str | None, typer.Option("--objectives", help="metric, or metric,general.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes; one a GPU by default.")] = None,
    sets: Sets = None,
    data: Data = None,
    out_dir: Out = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Try training settings, stop bad ones early, and say which are best; goes on where it was killed."""
    from lextune.train.study import need_optuna

    need_optuna()
    given = [*(sets or []), *([] if trials is None else [f"search.trials={trials}"])]
    given += [] if objectives is None else [f"search.objectives=[{objectives}]"]
    made = run_stages(read_recipe(recipe, given), out_dir, data=data, until="search", jobs=jobs)[-1].artifact
    found = made.json("search.json")
    if as_json:
        print_json({**found, "search": str(made.path)})
        return
    _print_trials(found)
    chosen = found["recommended"]
    if chosen is None:
        out.print("no trial of the Pareto set keeps the general ability: nothing is recommended", markup=False)
    else:
        out.print(f"trial {chosen['trial']}: lextune run {recipe} {found['options']}", markup=False)
    out.print(f"page: {made.file('search.html')}", markup=False)


def _print_trials(found: dict[str, Any]) -> None:
    names = found["objectives"]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    settings = [name.rsplit(".", 1)[-1] for name in found["trials"][0]["settings"]]
    for name in ("trial", *settings, *names, *([] if "general" in names else ["general"]), "end"):
        table.add_column(name, justify="left" if name == "end" else "right", no_wrap=True)
    for row in found["trials"]:
        values = [None if row["objectives"] is None else row["objectives"][name] for name in names]
        if "general" not in names:
            values.append(row["general"]["accuracy"]["value"] if row["general"] else None)
        mark = "*" if row["trial"] in found["best"] else ""
        numbers = ["" if value is None else f"{value:.4g}" for value in (*row["settings"].values(), *values)]
        table.add_row(f"{mark}{row['trial']}", *numbers, row["why"] or row["state"])
    out.print(table)
    before = found["general_before"]["accuracy"]["value"]
    log.print(f"* best; general ability before training {before:.3f}", markup=False, highlight=False)
