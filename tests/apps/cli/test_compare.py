"""`lextune compare` on two files of scores: sentence, tables, JSON and page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def leaf(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 9}


def evaluation(f1: float, seconds: float) -> dict[str, Any]:
    one = {"n_documents": 9, "n_present": 5, "field_f1": leaf(f1), "contracteval_f1": leaf(f1), "jaccard": leaf(f1)}
    arm = {"n_documents": 9, "field": {"micro": {"f1": leaf(f1)}}, "seconds_per_document": seconds}
    arm["by_field"] = {"Governing Law": one, "Parties": {**one, "field_f1": leaf(1 - f1)}}
    return {"tuned": "tuned", "arms": {"tuned": arm}}


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    found = []
    for name, values in (("a", (0.6, 12.0)), ("b", (0.7, 9.0))):
        found.append(tmp_path / f"{name}.json")
        found[-1].write_text(json.dumps(evaluation(*values)))
    return found[0], found[1]


def test_what_is_gained_and_lost_is_printed(cli: Callable[..., Any], sides: tuple[Path, Path]) -> None:
    a, b = sides
    found = cli("compare", a, b)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"whether {b} is better than {a} is not tested: field F1 0.700 against 0.600, but ")
    assert "Which documents both read is not known." in found.out
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    assert "Governing Law 0.600 (0.550 to 0.650) 0.700 (0.650 to 0.750) +0.100" in lines
    assert "seconds a document 12 9 -3" in lines
    titles = [line for line in found.out.splitlines() if line.startswith(("scores", "fields that", "cost"))]
    assert [title.strip() for title in titles] == ["scores", "fields that gained most", "fields that lost most", "cost"]


def test_json_and_a_page(cli: Callable[..., Any], sides: tuple[Path, Path], tmp_path: Path) -> None:
    found = cli("compare", *sides, "--json", "--html", tmp_path / "page.html")
    assert found.err == f"page: {tmp_path / 'page.html'}\n"
    shown = found.json()
    assert list(shown) == ["a", "b", "sentence", "documents", "paired", "why", "scores", "fields", "costs"]
    assert shown["paired"] is None
    assert [row["name"] for row in shown["fields"]] == ["Governing Law", "Parties"]
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_a_path_that_is_nothing_is_told(cli: Callable[..., Any], sides: tuple[Path, Path]) -> None:
    found = cli("compare", sides[0], "nowhere")
    assert (found.code, found.err) == (
        2,
        "error: nowhere: no such folder\n"
        "  -> give a run's folder; `lextune run RECIPE --until score` makes its evaluation\n",
    )
