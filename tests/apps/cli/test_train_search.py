"""`lextune train search`, with stages that need no model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lextune.core.stage import Context, Inputs
from lextune.pipeline.table import TABLE

pytestmark = pytest.mark.usefixtures("light")
SETTINGS = {"train.lr": 0.0003, "train.lora.r": 8}
ROWS = [
    {"trial": 0, "state": "complete", "why": None, "settings": SETTINGS, "objectives": {"loss": 0.5, "general": 0.25}},
    {"trial": 1, "state": "failed", "why": "out of memory", "settings": SETTINGS, "objectives": None},
]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let the stage find two trials; what it was told comes in here."""
    told: dict[str, Any] = {"recommended": ROWS[0]}

    def run(config: Any, inputs: Inputs, out: Path, context: Context) -> dict[str, Any]:
        told.update(search=config.search, options=context.options, inputs=list(inputs))
        found = {
            "objectives": ["loss", "general"],
            "general_before": {"accuracy": {"value": 0.5}},
            "trials": [{**row, "general": None} for row in ROWS],
            "best": [0],
            "recommended": told["recommended"],
            "options": "--set train.lr=0.0003 --set train.lora.r=8",
        }
        (out / "search.json").write_text(json.dumps(found))
        (out / "search.html").write_text("<p>page</p>")
        return {}

    monkeypatch.setitem(TABLE, "search", TABLE["search"]._replace(run=run))
    return told


def test_a_search_prints_its_trials_and_how_to_use_the_best(
    cli: Any, recipe: Path, data: Path, told: dict[str, Any]
) -> None:
    words = (
        "train",
        "search",
        recipe,
        "--data",
        data,
        "--trials",
        "2",
        "--objectives",
        "metric,general",
        "--jobs",
        "3",
    )
    found = cli(*words)
    assert found.code == 0, found.err
    assert (told["search"].trials, told["search"].objectives) == (2, ("metric", "general"))
    assert (told["options"]["jobs"], told["options"]["name"]) == (3, "try")
    assert told["inputs"] == ["examples", "preflight"]
    assert f"trial 0: lextune run {recipe} --set train.lr=0.0003 --set train.lora.r=8" in found.out
    assert "out of memory" in found.out
    assert "*0" in found.out
    assert "general ability before training 0.500" in found.err
    (made,) = Path("runs/try").glob("search-*")
    assert f"page: {made / 'search.html'}" in found.out
    shown = cli(*words, "--json").json()
    assert shown["search"] == str(made)
    assert [row["trial"] for row in shown["trials"]] == [0, 1]
    assert not list(Path("runs/try").glob("sft-*")), "nothing after the search is made"


def test_where_nothing_keeps_the_general_ability_nothing_is_recommended(
    cli: Any, recipe: Path, data: Path, told: dict[str, Any]
) -> None:
    told["recommended"] = None
    found = cli("train", "search", recipe, "--data", data)
    assert "nothing is recommended" in found.out
    assert "lextune run" not in found.out


def test_mistakes_are_named(cli: Any, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cli("train", "search", recipe, "--objectives", "general")
    assert found.code == 2
    assert "search.objectives: use [metric] or [metric, general]" in found.err
    monkeypatch.setitem(sys.modules, "optuna", None)
    found = cli("train", "search", recipe)
    assert found.code == 3
    assert found.err == "error: train search: optuna is not installed\n  -> pip install 'lextune[search]'\n"


def test_a_run_does_not_search(cli: Any, recipe: Path) -> None:
    assert "search" not in cli("run", recipe, "--dry-run", "--json").json()["stages"]
