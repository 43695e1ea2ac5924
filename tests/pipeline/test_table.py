"""What a recipe may say, and the plan of its stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from lextune.core.errors import RecipeError
from lextune.expert.build import ENGINES
from lextune.pipeline import Recipe, check_range, plan, read_recipe
from lextune.pipeline.recipe import ReleaseSettings
from lextune.pipeline.table import ASKED_FOR, DPO_STAGES, TABLE, WIRES
from lextune.pipeline.table import ORDER as ALL

EXTRACTION = Recipe(name="try")
RECIPES = Path(__file__).parents[2] / "recipes"
INSTRUCTION = read_recipe(RECIPES / "instruction-legal.yaml")
ORDER = [name for name in ALL if name not in ASKED_FOR]


def changed(**values: Any) -> Recipe:
    return Recipe.model_validate({"name": "try", **values})


def test_every_stage_is_in_the_order_after_what_it_needs() -> None:
    assert sorted(ALL) == sorted(TABLE)
    for place, name in enumerate(ALL):
        for given in TABLE[name].inputs:
            assert ALL.index(WIRES[given]) < place, f"{name} needs {given}"
    assert {WIRES[i] for stage in TABLE.values() for i in stage.inputs} <= set(ALL)


def test_a_plan_has_every_setting_of_every_stage() -> None:
    assert [step.stage.name for step in plan(EXTRACTION, "f")] == ORDER
    for step in plan(changed(seed=5, release={"engine": "transformers", "parity_windows": 3}), "f"):
        values = step.config.model_dump()
        assert values.get("engine", "transformers") == "transformers"
        assert values.get("fingerprint", "f") == "f"
        assert values.get("seed", 5) == 5
        assert values.get("windows", 3) == 3


def test_with_dpo_sft_never_sees_what_preferences_are_mined_on() -> None:
    asked = changed(train={"strategy": "point"}, dpo={"kept_out": 0.3, "beta": 0.2, "pairs": {"windows": 9}})
    steps = {step.stage.name: step for step in plan(asked, "f")}
    assert list(steps) == [name for name in ALL if name in (*ORDER, *DPO_STAGES) and name != "human_pairs"]
    readers = {name: step.inputs["examples"] for name, step in steps.items() if "examples" in step.inputs}
    assert {name for name, maker in readers.items() if maker == "keep_out"} == {"preflight", "sft", "preferences"}
    adapters = {name: step.inputs["adapter"] for name, step in steps.items() if "adapter" in step.inputs}
    tuned = {"preferences": "sft", "dpo": "sft", "merge_sft": "sft", "merge": "dpo", "parity": "dpo", "report": "sft"}
    tuned["bundle"] = "dpo"
    assert adapters == tuned
    assert steps["predict"].inputs["sft_model"] == "merge_sft", "what DPO is compared with"
    assert steps["keep_out"].config.model_dump() == {"kept_out": 0.3}
    assert steps["preferences"].config.pairs.windows == 9
    assert "beta" not in steps["preferences"].config.model_dump_json(), "another beta mines no pairs again"
    assert steps["dpo"].config.dpo.beta == 0.2


def test_peoples_preferences_are_checked_against_the_split_before_they_are_learnt() -> None:
    asked = changed(train={"strategy": "point"}, dpo={"pairs": {"human": "human.jsonl"}})
    steps = {step.stage.name: step for step in plan(asked, "f")}
    assert steps["human_pairs"].inputs == {"split": "split"}
    assert steps["human_pairs"].config.model_dump() == {"human": "human.jsonl"}
    assert steps["preferences"].inputs["human"] == "human_pairs"
    without = {step.stage.name: step for step in plan(changed(train={"strategy": "point"}, dpo={}), "f")}
    assert "human" not in without["preferences"].inputs


@pytest.mark.parametrize(
    ("train", "message"),
    [({"strategy": "tag"}, "the strategy tag generates nothing"), ({"strategy": "point", "method": "full"}, "full")],
)
def test_dpo_on_what_has_no_adapter_or_no_answers_is_refused(train: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plan(changed(train=train, dpo={}), "f")


def test_a_task_that_writes_has_no_linear_baseline() -> None:
    steps = {step.stage.name: step for step in plan(INSTRUCTION, "f")}
    assert list(steps) == [name for name in ORDER if name != "linear"]
    assert [name for name, step in steps.items() if "linear" in step.inputs] == []


def test_cleaning_comes_between_import_and_split() -> None:
    steps = {step.stage.name: step for step in plan(changed(clean={"furniture": False}), "f")}
    assert list(steps) == [name for name in ALL if name in (*ORDER, "clean")]
    assert steps["clean"].inputs == {"documents": "documents"}
    assert steps["split"].inputs["documents"] == "clean"
    assert steps["clean"].config.model_dump()["furniture"] is False
    assert steps["bundle"].config.model_dump()["clean"]["furniture"] is False, "the release cleans what it reads"
    assert {step.stage.name: step for step in plan(EXTRACTION, "f")}["split"].inputs["documents"] == "documents"
    spoilt = changed(clean={"furniture": False}, evaluate={"stressed": 2, "twins": 2})
    steps = {step.stage.name: step for step in plan(spoilt, "f")}
    for name in ("stress", "twins"):
        assert steps[name].config.model_dump()["clean"]["furniture"] is False, "as the release reads"


def test_what_a_recipe_asks_for_beside_the_scores_comes_before_the_gate() -> None:
    endpoint = {"url": "http://127.0.0.1:8000/v1", "model": "judge"}
    asked = {"stressed": 3, "twins": 5, "forgetting": True, "judge": {"endpoints": [endpoint], "items": 7}}
    steps = {step.stage.name: step for step in plan(changed(evaluate=asked), "f")}
    beside = ("judge", "forgetting", "stress", "twins")
    assert list(steps) == [name for name in ALL if name in (*ORDER, *beside)]
    assert steps["judge"].config.items == 7
    assert steps["stress"].config.stressed == 3
    assert steps["twins"].config.twins == 5
    assert steps["gate"].inputs["forgetting"] == "forgetting"
    assert {*beside, "gate"} <= {*steps["report"].inputs.values()}


def test_twins_to_learn_from_stand_between_the_split_and_its_examples_alone() -> None:
    steps = {step.stage.name: step for step in plan(changed(data={"uk_twins": 50}), "f")}
    assert steps["uk_twins"].config.uk_twins == 50
    readers = {name: step.inputs["split"] for name, step in steps.items() if "split" in step.inputs}
    assert {name for name, maker in readers.items() if maker == "uk_twins"} == {"examples"}
    point = {"data": {"uk_twins": 50}, "train": {"strategy": "point"}, "dpo": {}}
    kept = {step.stage.name: step for step in plan(changed(**point), "f")}["keep_out"]
    assert kept.inputs["split"] == "uk_twins", "its families say whose twin is whose"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"task": "instruction", "train": {"strategy": "text"}, "clean": {}},
            "clean: the task instruction reads what callers write, which is not cleaned\n  -> leave it out, and clean",
        ),
        (
            {"task": "instruction", "train": {"strategy": "text"}},
            "schema_name: the task instruction reads rows, which have the one field output and none of clauses-47\n"
            "  -> use schema_name: instruction",
        ),
        (
            {"task": "instruction", "train": {"strategy": "text"}, "evaluate": {"stressed": 2}},
            "evaluate.stressed: the task instruction reads rows, and this is done to contracts\n  -> leave it out",
        ),
        ({"mix": {"share": 0.1}}, "mix.share: the strategy tag writes no text"),
        ({"task": "poetry"}, "task: no task 'poetry'\n  -> use one of clause-extraction, instruction"),
        (
            {"task": "instruction", "train": {"strategy": "point"}},
            "train.strategy: the task instruction has no strategy 'point'\n  -> use text",
        ),
        ({"schema_name": "clauses-48"}, "schema: no schema 'clauses-48'\n"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plan(changed(**values), "f")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc", "", ".hidden", "a b"])
def test_a_name_that_is_no_folders_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "r.yaml").write_text(json.dumps({"name": name}))
    with pytest.raises(RecipeError, match="name: string should match pattern"):
        read_recipe(tmp_path / "r.yaml")


def test_an_unknown_engine_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    assert get_args(ReleaseSettings.model_fields["engine"].annotation) == ENGINES
    (tmp_path / "r.yaml").write_text("name: a\nrelease: {engine: opnvino}\n")
    with pytest.raises(RecipeError, match=r"release\.engine: input should be 'openvino', 'openvino-f32' or"):
        read_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("releases: {tuned: x}", "evaluate.releases: 'tuned' is the name of an arm that every evaluation has"),
        ("releases: {echo: x}", "evaluate.releases: 'echo' is the name of an arm that every evaluation has"),
        ("releases: {base-5-shot: x}", "evaluate.releases: 'base-5-shot' is the name of an arm that every"),
        (
            "references: {openai/gpt: {endpoint: {url: 'http://x/v1', model: m}}}",
            "evaluate.references: 'openai/gpt' cannot be a file's name",
        ),
        (
            "{releases: {gpt: x}, references: {gpt: {endpoint: {url: 'http://x/v1', model: m}}}}",
            "evaluate: 'gpt' names a reference and a release",
        ),
    ],
)
def test_an_arm_does_not_take_the_name_of_another(tmp_path: Path, settings: str, message: str) -> None:
    settings = settings if settings.startswith("{") else f"{{{settings}}}"
    (tmp_path / "r.yaml").write_text(f"name: a\nevaluate: {settings}\n")
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "r.yaml")
    assert message in str(caught.value)


def test_weights_are_quantised_for_openvino_alone() -> None:
    merging = {step.stage.name: step.config for step in plan(changed(release={"quantize": "int8"}), "f")}["merge"]
    assert merging.model_dump()["quantize"] == "int8"
    with pytest.raises(RecipeError, match=r"release\.quantize: the engine transformers has no weights in int4\n"):
        plan(changed(release={"quantize": "int4", "engine": "transformers"}), "f")


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.name)
def test_the_recipes_that_ship_can_be_planned(file: Path) -> None:
    assert plan(read_recipe(file), "f")


def test_a_search_reads_documents_for_its_metric_alone() -> None:
    by_loss, by_metric = (
        {step.stage.name: step for step in plan(changed(train={"best_by": how}), "f", searching=True)}["search"].inputs
        for how in ("loss", "metric")
    )
    assert by_metric == {**by_loss, "split": "split"}
    assert "split" not in by_loss


def test_a_stage_that_this_task_has_not_is_refused() -> None:
    with pytest.raises(RecipeError, match="--until: no stage 'linear'"):
        check_range(plan(INSTRUCTION, "f"), "linear", None)
