"""The recipes that ship: each is read, planned, and its model outlined without weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lextune.data.sources import find_source
from lextune.expert.schema import load_schema
from lextune.pipeline import plan as plan_stages
from lextune.pipeline import read_recipe
from lextune.train.gpus import find_machine
from lextune.train.memory import plan
from lextune.train.outline import outline, run_of
from lextune.train.team import Sharding

RECIPES = Path(__file__).parents[1] / "recipes"
ALL = sorted(RECIPES.glob("*.yaml"))
MACHINES: list[tuple[str, str, Sharding]] = [  # recipe, the smallest machine it is made for, what is divided
    ("mistral-7b-24gb", "L4", "ddp"),
    ("mistral-7b-24gb", "RTX-3090", "ddp"),
    ("mistral-7b-a100", "A100-80GB", "ddp"),
    ("mistral-7b-a100", "H100", "ddp"),
    ("mistral-7b-2gpu", "2xRTX-4090", "fsdp"),
    ("mistral-7b-2gpu", "2xL4", "fsdp"),
    ("llama-70b-h100-4bit", "H100", "ddp"),
]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_every_layer_found(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert plan_stages(recipe, "")
    found = outline(recipe.base, recipe.train, len(load_schema(recipe.schema_name).fields))
    assert len(found.adapted) == 7
    assert len(set(found.adapted.values())) == 1, "each layer has all of them"
    assert 0 < found.trained < found.parameters / 20


@pytest.mark.parametrize(("name", "gpu", "sharding"), MACHINES)
def test_a_recipe_fits_where_it_says(name: str, gpu: str, sharding: Sharding) -> None:
    recipe = read_recipe(RECIPES / f"{name}.yaml")
    run = run_of(recipe.base, recipe.train, 1, None)
    made = plan(run, find_machine(gpu), sharding)
    assert made.fits, made.as_json()


def test_the_large_recipes_are_what_they_are_called() -> None:
    trains = {name: read_recipe(RECIPES / f"{name}.yaml").train for name, *_ in MACHINES}
    assert trains["mistral-7b-24gb"].method == trains["llama-70b-h100-4bit"].method == "qlora"
    lora = trains["mistral-7b-a100"].lora
    assert (lora.r, lora.alpha, lora.target) == (64, 128, "all-linear")


def test_instruction_legal_is_the_seed_setting() -> None:
    recipe = read_recipe(RECIPES / "instruction-legal.yaml")
    train, lora = recipe.train, recipe.train.lora
    assert (lora.r, lora.alpha, train.epochs, train.batch, recipe.split.test) == (16, 32, 3, 16, 0.1)
    assert isinstance(lora.target, tuple)
    assert {name.removesuffix("_proj") for name in lora.target} == {"q", "k", "v", "o", "gate", "up", "down"}


def test_the_instructions_that_ship_are_many_and_each_its_own(tmp_path: Path) -> None:
    file = find_source("auto", cache=tmp_path, task="instruction").path
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 200
    assert all(row["instruction"] and row["input"] and row["output"] for row in rows)
    assert len({row["input"] for row in rows}) == len(rows)
    kinds = {row["instruction"] for row in rows}
    assert len(kinds) >= 20
    assert max(sum(row["instruction"] == kind for row in rows) for kind in kinds) <= len(rows) / 10
