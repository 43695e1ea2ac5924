"""`lextune train dpo`: from a recipe to an adapter that has learnt from its own mistakes."""

from __future__ import annotations

from pathlib import Path

from lextune.apps.cli.console import out, print_json
from lextune.apps.cli.run import AsJson, Data, Out, Sets, run_stages
from lextune.apps.cli.train import RecipeFile, app
from lextune.core.errors import RecipeError
from lextune.pipeline import read_recipe


@app.command()
def dpo(
    recipe: RecipeFile, sets: Sets = None, data: Data = None, out_dir: Out = Path("runs"), as_json: AsJson = False
) -> None:
    """Run a recipe until DPO is done: SFT, pairs mined from its own answers, and training on them."""
    values = read_recipe(recipe, sets or [])
    if values.dpo is None:
        raise RecipeError("the recipe has no dpo", where=str(recipe), do="give it one, or add --set dpo={}")
    done = {each.name: each.artifact for each in run_stages(values, out_dir, data=data, until="dpo")}
    pairs, adapter = done["preferences"], done["dpo"]
    if as_json:
        found = {"pairs": pairs.json("pairs.json"), "dpo": adapter.manifest.summary, "adapter": str(adapter.path)}
        print_json(found)
        return
    counts = pairs.json("pairs.json")
    for kind, each in counts["kinds"].items():
        out.print(f"{kind}: {each['own']} pairs of its own answers, {each['made']} made", markup=False)
    out.print(f"pairs:   {pairs.file('pairs.jsonl')}", markup=False)
    out.print(f"adapter: {adapter.path}", markup=False)
