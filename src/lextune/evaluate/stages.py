"""The report stage: gathers what earlier stages wrote and renders the one page that proves it."""

from __future__ import annotations

from pathlib import Path

from lextune.core.artifacts import read_jsonl, write_atomic
from lextune.core.provenance import machine, package_versions
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.evaluate import predict, score
from lextune.evaluate.report import Example, Reply, ReportData, render_report


class ReportConfig(Config):
    """The report's title and the release it is about."""

    title: str
    """The page's title."""
    release: str
    """The release's name."""
    official_test: bool = False
    """Whether the test contracts are an official list's."""


def run_report(config: ReportConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write `report.html`."""
    training = inputs["adapter"].json("training.json")
    preflight = inputs["preflight"].json("preflight.json")
    summary = inputs["preflight"].manifest.summary
    timed = {key: summary[key] for key in ("estimate", "estimated_parts") if key in summary}
    truth = {"steps": training["steps"], "seconds": training["seconds"]}
    versions = package_versions()
    page = render_report(
        ReportData(
            title=config.title,
            release=config.release,
            created=inputs["evaluation"].manifest.created,
            evaluation=inputs["evaluation"].json("evaluation.json"),
            card=inputs["split"].json("card.json"),
            curves=training["curves"],
            preflight={**preflight, **timed, "truth": truth},
            examples=tuple(read_jsonl(inputs["evaluation"].file("examples.jsonl"), Example)),
            replies=tuple(read_jsonl(inputs["evaluation"].file("replies.jsonl"), Reply)),
            machine=f"{machine()}; " + ", ".join(f"{n} {v}" for n, v in versions.items()),
            official_test=config.official_test,
        )
    )
    write_atomic(out / "report.html", page)
    return {"characters": len(page)}


STAGES = (
    *predict.STAGES,
    *score.STAGES,
    Stage("report", 2, ("evaluation", "split", "adapter", "preflight"), ReportConfig, run_report, "report"),
)
