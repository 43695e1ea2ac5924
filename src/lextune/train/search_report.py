"""What a search found: `search.json`, a page with its plots, and the log of each trial."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lextune.core.artifacts import write_atomic
from lextune.core.errors import ModelError
from lextune.core.stage import Summary
from lextune.train.plots import Mark, Section, pareto_plot, trials_plot, write_page
from lextune.train.runs import JOURNAL
from lextune.train.search_settings import as_sets, settings_of
from lextune.train.study import FIRST, KILLED, WHY, Study
from lextune.train.study import JOURNAL as STUDY

if TYPE_CHECKING:
    from lextune.train.search import SearchConfig

STATES = {"COMPLETE": "complete", "PRUNED": "stopped early", "FAIL": "failed", "RUNNING": "running"}


def write_report(out: Path, study: Study, config: SearchConfig) -> Summary:
    """Write what a finished search found, and return its summary.

    Raises:
        ModelError: no trial came to its end.
    """
    trials = [trial for trial in study.trials() if KILLED not in trial.user_attrs and trial.params]
    best = study.best()
    if not best:
        raise ModelError(
            f"none of {len(trials)} trials came to its end", where="train search", do=f"see {study.folder / STUDY}"
        )
    names = [_metric_name(study), *(["general"] if len(study.ups) > 1 else [])]
    before = study.note("before")
    chosen = _recommended(best, before["accuracy"]["value"] - config.search.general_drop, study)
    rows = [_row(trial, names) for trial in trials]
    found = {
        "objectives": names,
        "higher_is_better": list(study.ups),
        "general_before": before,
        "trials": rows,
        "best": [trial.number for trial in best],
        "recommended": None if chosen is None else _row(chosen, names),
        "options": None if chosen is None else as_sets(chosen.params),
    }
    write_atomic(out / "search.json", json.dumps(found, indent=1))
    shutil.copyfile(study.folder / STUDY, out / STUDY)
    for trial in trials:
        log = study.folder / "trials" / str(trial.user_attrs.get(FIRST, trial.number)) / JOURNAL
        if log.is_file():
            (out / "trials").mkdir(exist_ok=True)
            shutil.copyfile(log, out / "trials" / f"{trial.number}.jsonl")
    _write_page(out, found, trials, best)
    counts = {name: sum(row["state"] == name for row in rows) for name in ("complete", "stopped early", "failed")}
    told = "none keeps the general ability" if chosen is None else f"best: trial {chosen.number}"
    return {"trials": len(rows), **counts, "best": found["best"], "options": found["options"], "note": told}


def _metric_name(study: Study) -> str:
    return "metric" if study.ups[0] else "loss"


def _recommended(best: Sequence[Any], least: float, study: Study) -> Any:
    """Return the best trial by the metric; with two objectives, of those with `least` general accuracy or more."""
    kept = [trial for trial in best if len(study.ups) == 1 or trial.values[1] >= least]
    sign = 1 if study.ups[0] else -1
    return max(kept, key=lambda trial: (sign * trial.values[0], -trial.number), default=None)


def _row(trial: Any, names: Sequence[str]) -> dict[str, Any]:
    noted = trial.user_attrs
    return {
        "trial": trial.number,
        "state": STATES[trial.state.name],
        "why": noted.get(WHY),
        "settings": settings_of(trial.params),
        "objectives": dict(zip(names, trial.values, strict=True)) if trial.values else None,
        "best": noted.get("best"),
        "general": noted.get("general"),
        "steps": noted.get("steps"),
        "seconds": noted.get("seconds"),
        "options": as_sets(trial.params),
    }


def _write_page(out: Path, found: dict[str, Any], trials: Sequence[Any], best: Sequence[Any]) -> None:
    numbers = {trial.number for trial in best}
    done = [t for t in trials if t.values]
    marks = [Mark(t.number, t.values, t.number in numbers, t.params) for t in done]
    names, before = found["objectives"], found["general_before"]["accuracy"]["value"]
    table = Section("All trials", "", *_table(found["trials"], numbers))
    settings = Section(f"{names[0]} by setting", trials_plot(marks, names[0]))
    sections = [settings, table]
    if len(names) > 1:
        pareto = pareto_plot(marks, names, before)
        sections.insert(0, Section("Task and general ability", pareto, notes=[_advice(found)]))
    else:
        sections[0] = settings._replace(notes=[_advice(found)])
    write_page(out, "search", "Search for training settings", sections)


def _advice(found: dict[str, Any]) -> str:
    chosen = found["recommended"]
    if chosen is None:
        return "No trial of the Pareto set keeps the general ability: lower the learning rates, or allow more loss."
    return f"Recommended: trial {chosen['trial']}: lextune run RECIPE {found['options']}"


def _table(rows: Sequence[dict[str, Any]], best: set[int]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows, as text."""
    settings = list(rows[0]["settings"])
    objectives = next(list(row["objectives"]) for row in rows if row["objectives"])
    columns = ["trial", *(name.rsplit(".", 1)[-1] for name in settings), *objectives]
    columns += [] if "general" in objectives else ["general"]
    columns += ["likelihood", "steps", "seconds", "end"]
    return columns, [_cells(row, settings, objectives, best) for row in rows]


def _cells(row: dict[str, Any], settings: list[str], objectives: list[str], best: set[int]) -> list[str]:
    general = row["general"] or {"accuracy": {"value": None}, "likelihood": None}
    values = [None if row["objectives"] is None else row["objectives"][name] for name in objectives]
    values += [] if "general" in objectives else [general["accuracy"]["value"]]
    numbers = [*(row["settings"][name] for name in settings), *values, general["likelihood"]]
    numbers += [row["steps"], row["seconds"]]
    mark = " (best)" if row["trial"] in best else ""
    shown = ["" if value is None else f"{value:.4g}" for value in numbers]
    return [f"{row['trial']}{mark}", *shown, row["why"] or row["state"]]
