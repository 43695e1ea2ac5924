"""The report stage: gathers what earlier stages wrote and renders the one page that proves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lextune.core.artifacts import read_jsonl, write_atomic
from lextune.core.errors import DataError
from lextune.core.provenance import machine, package_versions
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.evaluate import forgetting, gate, predict, predict_base, score, stress, twins
from lextune.evaluate.besides import lineage
from lextune.evaluate.judging import stage as judge
from lextune.evaluate.report import Example, Reply, ReportData, render_report, report_json


class ReportConfig(Config):
    """The report's title and the release it is about."""

    title: str
    """The page's title."""
    release: str
    """The release's name."""
    official_test: bool = False
    """Whether the test contracts are an official list's."""
    blind: Path | None = None
    """The file `blind.json` of a finished blind review; null for none."""


def run_report(config: ReportConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write `report.html`, and `report.json` with the same content."""
    training = inputs["adapter"].json("training.json")
    preflight = inputs["preflight"].json("preflight.json")
    summary = inputs["preflight"].manifest.summary
    timed = {key: summary[key] for key in ("estimate", "estimated_parts") if key in summary}
    truth = {"steps": training["steps"], "seconds": training["seconds"]}
    versions = package_versions()
    data = ReportData(
        title=config.title,
        release=config.release,
        created=inputs["evaluation"].manifest.created,
        evaluation=inputs["evaluation"].json("evaluation.json"),
        card=inputs["split"].json("card.json"),
        curves=training["curves"],
        preflight={**preflight, **timed, "truth": truth},
        examples=tuple(read_jsonl(inputs["evaluation"].file("examples.jsonl"), Example)),
        replies=tuple(read_jsonl(inputs["evaluation"].file("replies.jsonl"), Reply)),
        trace=tuple(lineage(inputs)),
        machine=f"{machine()}; " + ", ".join(f"{n} {v}" for n, v in versions.items()),
        official_test=config.official_test,
        blind=None if config.blind is None else _blind(config.blind),
        **{part: inputs[name].json(file) for name, (part, file) in BESIDES.items() if name in inputs},
    )
    page = render_report(data)
    write_atomic(out / "report.html", page)
    write_atomic(out / "report.json", report_json(data))
    return {"characters": len(page)}


def _blind(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise DataError(
            "no result of a blind review",
            where=f"evaluate.blind: {path}",
            do="give the blind.json that `lextune review blind SESSION --results` writes",
        ) from None


BESIDES = {  # input: the part of the report that it is, and the file that holds it
    "gate": ("verdict", "verdict.json"),
    "forgetting": ("general", "general.json"),
    "stress": ("stress", "stress.json"),
    "twins": ("twins", "twins.json"),
    "judge": ("judge", "judge.json"),
}
STAGES = (
    *predict.STAGES,
    *predict_base.STAGES,
    judge.STAGE,
    *forgetting.STAGES,
    *stress.STAGES,
    *twins.STAGES,
    *score.STAGES,
    *gate.STAGES,
    Stage("report", 4, ("evaluation", "split", "adapter", "preflight", *BESIDES), ReportConfig, run_report, "report"),
)
