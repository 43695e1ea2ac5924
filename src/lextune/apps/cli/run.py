"""`lextune demo` and `lextune run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lextune.apps.cli.console import Bars, Ray, commands, log, out, print_json, quiet_libraries, score_table
from lextune.core.artifacts import Artifact
from lextune.pipeline import Done, Recipe, check_range, plan, read_recipe
from lextune.pipeline import run as run_recipe

Sets = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: dotted.key=value.")]
Data = Annotated[
    str | None, typer.Option("--data", help="A dataset version, contracts in CUAD's layout, or a file of rows.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for artifacts.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line.")]
Until = Annotated[str | None, typer.Option("--until", help="The last stage to run.")]
From = Annotated[str | None, typer.Option("--from", help="Make this stage and all after it again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the recipe, and list its stages and layers.")]


def demo(data: Data = None, out_dir: Out = Path("runs"), as_json: AsJson = False, sets: Sets = None) -> None:
    """Run the demo recipe: fine-tune, prove, release, and read a real PDF."""
    recipe = read_recipe(demo_recipe(), sets or [])
    done = run_stages(recipe, out_dir, data=data)
    _conclude(done, as_json, pdf=sample_pdf())


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    until: Until = None,
    start: From = None,
    sets: Sets = None,
    out_dir: Out = Path("runs"),
    data: Data = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
    ray: Ray = None,
) -> None:
    """Run a recipe; what is done already is reused."""
    values = read_recipe(recipe, sets or [])
    if dry_run:
        steps = plan(values, "")
        check_range(steps, until, start)
        stages = [step.stage.name for step in steps]
        planned = {"recipe": values.model_dump(mode="json"), "stages": stages, "model": _outlined(values)}
        print_json(planned, indent=None if as_json else 1)
        return
    done = run_stages(values, out_dir, data=data, until=until, start=start, ray=ray)
    if done[-1].name == "bundle":
        _conclude(done, as_json, pdf=None)
    elif as_json:
        print_json({d.name: str(d.artifact.path) for d in done})


def _outlined(recipe: Recipe) -> dict[str, Any]:
    """Return what would be trained of the base, without a byte of its weights."""
    from lextune.expert.schema import load_schema
    from lextune.train.outline import outline

    quiet_libraries()
    return outline(recipe.base, recipe.train, len(load_schema(recipe.schema_name).fields))._asdict()


def demo_recipe() -> Path:
    """Return the demo recipe: a wheel carries the recipes as resources, a checkout has them at its root."""
    from importlib import resources

    packaged = Path(str(resources.files("lextune.resources").joinpath("recipes/demo.yaml")))
    return packaged if packaged.is_file() else Path(__file__).resolve().parents[4] / "recipes" / "demo.yaml"


def sample_pdf() -> Path:
    """Return the PDF the demo reads: one of CUAD's where it is at hand, else the package's own."""
    import os
    from importlib import resources

    named = os.environ.get("LEXTUNE_CUAD")
    found = sorted((Path(named) / "full_contract_pdf").glob("*.[pP][dD][fF]")) if named else []
    small = min(found, key=lambda p: p.stat().st_size, default=None)
    return small or Path(str(resources.files("lextune.resources").joinpath("sample_contract.pdf")))


def run_stages(
    recipe: Recipe,
    out_dir: Path,
    *,
    data: str | None,
    until: str | None = None,
    start: str | None = None,
    ray: str | None = None,
    jobs: int | None = None,
) -> list[Done]:
    """Run a recipe with progress on stderr."""
    quiet_libraries()
    with Bars() as bars:
        done = run_recipe(
            recipe,
            out=out_dir / recipe.name,
            data=data,
            until=until,
            start=start,
            ray=ray,
            jobs=jobs,
            progress=bars,
            note=lambda text: log.print(text, markup=False),
        )
    made = [d.name for d in done if not d.reused]
    log.print("nothing to do: every stage is up to date" if not made else f"made: {', '.join(made)}")
    return done


def _conclude(done: list[Done], as_json: bool, pdf: Path | None) -> None:
    by_name = {d.name: d.artifact for d in done}
    evaluation = by_name["score"].json("evaluation.json")
    report, release = by_name["report"].file("report.html"), by_name["bundle"].path
    if not as_json:
        _print_tables(evaluation)
        out.print(f"report:  {report}", markup=False)
        out.print(f"release: {release}", markup=False)
    extracted = _extract(release, by_name["report"], pdf, quiet=as_json) if pdf is not None else None
    if as_json:
        result: dict[str, Any] = {"release": str(release), "report": str(report), "arms": _arms(evaluation)}
        print_json(result | ({"extract": extracted} if extracted else {}))


def _arms(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return every arm's metrics; one that ran on a subset only is there with its own n_documents."""
    return {**evaluation["subset_arms"], **evaluation["arms"]}


def _print_tables(evaluation: dict[str, Any]) -> None:
    from lextune.evaluate.summary import judgement, summary_table

    header, *rows = summary_table(evaluation)
    out.print(score_table(header, rows, "before and after, on held-out documents"))
    for sentence in judgement(evaluation):
        out.print(sentence, markup=False)


def _extract(release: Path, report: Artifact, pdf: Path, *, quiet: bool) -> dict[str, Any]:
    from lextune.api import load
    from lextune.apps.cli.use import record_table
    from lextune.apps.web.evidence import render_evidence
    from lextune.core.artifacts import write_atomic

    loaded = load(release)
    document = loaded.read(pdf)
    record = loaded.predict(document).record
    page = report.path.parent / "extract.html"
    write_atomic(page, render_evidence(document, record))
    if not quiet:
        out.print(record_table(record))
        out.print(f"the PDF with its clauses lit: {page}", markup=False)
    return {"document": pdf.name, "html": str(page), "record": json.loads(json.dumps(record.as_json()))}


command = commands(demo=demo, run=run)
