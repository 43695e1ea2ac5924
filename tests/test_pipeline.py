"""The table of stages and `run`: order, reuse, ranges, one run at a time. No stage here runs a model."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest

from lextune import pipeline
from lextune.core.artifacts import Artifact
from lextune.core.errors import DataError, MachineError, RecipeError
from lextune.core.stage import Context, Inputs, Stage
from lextune.expert.build import ENGINES
from lextune.pipeline import DPO_STAGES, TABLE, WIRES, Recipe, ReleaseSettings, check_range, plan, read_recipe
from lextune.pipeline import ORDER as ALL

EXTRACTION = Recipe(name="try")
INSTRUCTION = read_recipe(Path(__file__).parents[1] / "recipes" / "instruction-legal.yaml")


ORDER = [name for name in ALL if name not in ("clean", "search", *DPO_STAGES)]  # of a recipe that asks for none


class Calls(list[str]):
    """Names of the stages that ran, in order; `broken` fails, `seen` are the contexts."""

    broken: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Context] = {}

    def take(self) -> list[str]:
        """Return what ran since the last call."""
        ran = list(self)
        self.clear()
        return ran

    def stage(self, stage: Stage) -> Stage:
        """Return a stage that writes down what it was given."""

        def run(config: Any, inputs: Inputs, out: Path, context: Context) -> dict[str, Any]:
            self.append(stage.name)
            self.seen[stage.name] = context
            context.progress(1, 2, "half")
            if self.broken == stage.name:
                (out / "half").write_text("written")
                if stage.name == "sft":
                    (out / "checkpoints").mkdir()
                raise RuntimeError("broken")
            given = {name: artifact.hash for name, artifact in inputs.items()}
            made = {"config": config.model_dump(mode="json"), "inputs": given, "seed": context.seed}
            (out / "made.json").write_text(json.dumps(made))
            return {"note": "as told"} if stage.name == "preflight" else {}

        return stage._replace(run=run)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    light = Calls()
    for name, stage in TABLE.items():
        monkeypatch.setitem(TABLE, name, light.stage(stage))
    return light


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "master_clauses.csv").write_text("Filename\n")
    return folder


@pytest.fixture
def go(tmp_path: Path, data: Path, calls: Calls) -> Any:
    """Run a recipe into tmp_path/out and return its finished steps; `go.notes` are the lines it said."""

    class Go:
        notes: list[str] = []  # noqa: RUF012 - one object a test

        def __call__(self, recipe: Recipe = EXTRACTION, **options: Any) -> list[pipeline.Done]:
            self.notes.clear()
            return pipeline.run(recipe, out=tmp_path / "out", data=str(data), note=self.notes.append, **options)

    return Go()


def changed(**values: Any) -> Recipe:
    return Recipe.model_validate({"name": "try", **values})


# the plan


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
    assert adapters == {"preferences": "sft", "dpo": "sft", "merge": "dpo", "parity": "dpo", "report": "sft"}
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"task": "instruction", "train": {"strategy": "text"}, "clean": {}},
            "clean: the task instruction reads what callers write, which is not cleaned\n  -> leave it out, and clean",
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
    with pytest.raises(RecipeError, match=r"release\.engine: input should be 'openvino' or 'transformers'"):
        read_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml")), ids=lambda p: p.name)
def test_the_recipes_that_ship_can_be_planned(file: Path) -> None:
    assert plan(read_recipe(file), "f")


def test_training_reads_documents_for_its_metric_alone() -> None:
    by_loss, by_metric = (
        {step.stage.name: step for step in plan(changed(train={"best_by": how}), "f")}["sft"].inputs
        for how in ("loss", "metric")
    )
    assert by_metric == {**by_loss, "split": "split"}
    assert "split" not in by_loss


# reuse


def test_a_stages_warning_is_noted_with_its_name(go: Any, calls: Calls) -> None:
    go(until="sft")
    calls.seen["sft"].warn("checkpoint-12 is corrupt and passed over: optimizer.pt is missing")
    assert go.notes[-1] == "sft: warning: checkpoint-12 is corrupt and passed over: optimizer.pt is missing"


def test_a_run_makes_everything_in_order(go: Any, calls: Calls, tmp_path: Path) -> None:
    done = go()
    assert calls.take() == ORDER == [d.name for d in done]
    assert not any(d.reused for d in done)
    for step in done:
        manifest = Artifact.open(step.artifact.path, kind=TABLE[step.name].kind).manifest
        for name, parent in manifest.parents.items():
            assert Artifact.open(tmp_path / "out" / parent).hash == manifest.inputs[name]
    steps = json.loads((tmp_path / "out" / "run.json").read_text())
    assert steps == {d.name: d.artifact.path.name for d in done}


def test_the_stages_are_told_seed_source_and_progress(go: Any, calls: Calls, data: Path) -> None:
    heard: list[tuple[str, int, int, str]] = []
    go(changed(seed=3), progress=lambda *said: heard.append(said))
    assert {context.seed for context in calls.seen.values()} == {3}
    told = {"source": str(data), "why": "given", "ray": None, "jobs": None, "name": changed(seed=3).name}
    assert calls.seen["documents"].options == told
    assert heard == [(name, 1, 2, "half") for name in ORDER]


def test_each_stage_says_one_line(go: Any, data: Path) -> None:
    done = go()
    assert go.notes[0] == f"data: {data} (given)"
    assert len(go.notes) == 1 + len(ORDER)
    for note, step in zip(go.notes[1:], done, strict=True):
        assert note.startswith(f"{step.name}: done in ")
        assert step.artifact.path.name in note
    assert go.notes[1 + ORDER.index("preflight")].endswith("; as told")


def test_an_unchanged_recipe_has_nothing_to_do(go: Any, calls: Calls) -> None:
    first = go()
    calls.take()
    second = go()
    assert calls.take() == []
    assert all(d.reused for d in second)
    assert [d.artifact.path for d in first] == [d.artifact.path for d in second]
    assert go.notes[1:] == [f"{d.name}: up to date ({d.artifact.path.name})" for d in second]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"train": {"lr": 1e-4}}, ["documents", "split", "examples", "linear", "predict_base"]),
        ({"train": {"negatives": 0.9}}, ["documents", "split"]),
        ({"split": {"test": 0.3}}, ["documents"]),
        ({"aim": "recall"}, [*ORDER[: ORDER.index("calibrate")], "predict_base"]),
        ({"evaluate": {"shots": 1}}, ORDER[: ORDER.index("predict_base")]),
        ({"release": {"parity_windows": 5}}, [n for n in ORDER if n not in ("parity", "bundle")]),
        ({"seed": 1}, []),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it(
    go: Any, calls: Calls, values: dict[str, Any], kept: list[str]
) -> None:
    go()
    calls.take()
    done = go(changed(**values))
    assert [d.name for d in done if d.reused] == kept
    assert calls.take() == [name for name in ORDER if name not in kept]


def test_changed_data_rerun_everything(go: Any, calls: Calls, data: Path) -> None:
    go()
    calls.take()
    (data / "master_clauses.csv").write_text("Filename,Parties\n")
    go()
    assert calls.take() == ORDER


def test_a_schema_of_ones_own_is_read_again_when_it_changes(go: Any, calls: Calls, tmp_path: Path) -> None:
    schema = tmp_path / "mine.yaml"
    field = "{name: A, type: boolean, question: 'A?'}"
    schema.write_text(f"name: mine\nfields: [{field}]\n")
    recipe = changed(schema_name=str(schema))
    go(recipe)
    calls.take()
    go(recipe)
    assert calls.take() == []
    schema.write_text(f"name: mine\nfields: [{field.replace('A?', 'Is it A?')}]\n")
    go(recipe)
    assert calls.take()[0] == "documents"


def test_an_adapter_to_go_on_from_is_read_again_when_it_changes(go: Any, calls: Calls, tmp_path: Path) -> None:
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(b"first")
    recipe = changed(train={"init_adapter": str(tmp_path)})
    go(recipe, until="sft")
    calls.take()
    go(recipe, until="sft")
    assert calls.take() == []
    weights.write_bytes(b"second")
    go(recipe, until="sft")
    ran = calls.take()
    assert "sft" in ran
    assert "examples" not in ran


def test_a_list_of_test_contracts_is_read_again_when_it_changes(go: Any, calls: Calls, tmp_path: Path) -> None:
    names = tmp_path / "test.txt"
    names.write_text("a")
    recipe = changed(split={"mode": "official", "official_test": str(names)})
    go(recipe, until="split")
    calls.take()
    names.write_text("b")
    go(recipe, until="split")
    assert calls.take() == ["split"]


def test_a_base_folder_with_other_weights_is_another_base(
    go: Any, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEXTUNE_CACHE", str(tmp_path / "cache"))
    base = tmp_path / "base"
    base.mkdir()
    for name in ("tokenizer.json", "config.json"):
        (base / name).write_text("{}")
    (base / "model.safetensors").write_bytes(b"one")
    go(changed(base=str(base)), until="linear")
    calls.take()
    (base / "model.safetensors").write_bytes(b"two!")
    go(changed(base=str(base)), until="linear")
    assert calls.take() == ["examples", "preflight"], "the linear baseline reads the same examples"


def test_a_damaged_artifact_is_made_again(go: Any, calls: Calls) -> None:
    done = {d.name: d.artifact for d in go()}
    calls.take()
    (done["merge"].path / "made.json").write_text("{}")
    go()
    assert calls.take() == ["merge"], "the same content again: nothing after it changes"


def test_an_artifact_of_other_code_is_reused_with_a_warning(
    go: Any, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = go(until="split")
    calls.take()
    manifest = done[0].artifact.manifest
    monkeypatch.setattr(pipeline, "code_revision", lambda: "f00d")
    monkeypatch.setattr(pipeline, "package_versions", lambda: {**manifest.packages, "lextune": "9.9"})
    go(until="split")
    assert calls.take() == []
    made, version = manifest.code_revision, manifest.packages["lextune"]
    for step in done:
        name = step.artifact.path.name
        warning = f"warning: made with code {made} (now f00d), lextune {version} (now 9.9); reused"
        assert f"{name}: {warning}" in go.notes


# ranges


def test_until_is_the_last_stage(go: Any, calls: Calls) -> None:
    go(until="examples")
    assert calls.take() == ["documents", "split", "examples"]
    go()
    assert calls.take() == ORDER[3:]


def test_until_keeps_what_still_follows_from_it(go: Any, calls: Calls, tmp_path: Path) -> None:
    def current() -> list[str]:
        return list(json.loads((tmp_path / "out" / "run.json").read_text()))

    go()
    go(until="split")
    assert current() == ORDER, "the release is still the one of this recipe"
    go(changed(train={"steps": 7}), until="split")
    assert current() == ["documents", "split", "examples"], "preflight was made from other settings"


def test_from_makes_a_stage_and_all_after_it_again(go: Any, calls: Calls) -> None:
    first = go()
    calls.take()
    second = go(start="score")
    assert calls.take() == ["score", "report", "bundle"]
    assert [d.artifact.path for d in first] == [d.artifact.path for d in second]
    go(start="split", until="examples")
    assert calls.take() == ["split", "examples"]


def test_from_starts_without_what_a_killed_run_left(go: Any, calls: Calls, tmp_path: Path) -> None:
    calls.broken = "sft"
    with pytest.raises(RuntimeError, match="broken"):
        go()
    (left,) = (tmp_path / "out").glob(".sft-*.partial")
    assert (left / "checkpoints").is_dir()
    calls.broken = None
    seen: list[bool] = []
    run = TABLE["sft"].run

    def spy(config: Any, inputs: Inputs, out: Path, context: Context) -> dict[str, Any]:
        seen.append((out / "checkpoints").exists())
        return run(config, inputs, out, context)

    TABLE["sft"] = TABLE["sft"]._replace(run=spy)
    go(until="sft", start="sft")
    assert seen == [False]


def test_a_failed_stage_leaves_the_earlier_ones(go: Any, calls: Calls, tmp_path: Path) -> None:
    calls.broken = "merge"
    with pytest.raises(RuntimeError, match="broken"):
        go()
    assert not (tmp_path / "out" / "run.json").exists()
    assert [p.name for p in (tmp_path / "out").iterdir() if "merge" in p.name] == []
    calls.take()
    calls.broken = None
    go()
    assert calls.take() == ORDER[ORDER.index("merge") :]


@pytest.mark.parametrize(
    ("options", "where", "what", "do"),
    [
        ({"until": "sftt"}, "--until", "no stage 'sftt'", f"use one of {', '.join(ORDER)}"),
        ({"start": "x"}, "--from", "no stage 'x'", f"use one of {', '.join(ORDER)}"),
        (
            {"until": "split", "start": "sft"},
            "--from",
            "sft comes after split",
            "give an earlier --from or a later --until",
        ),
    ],
)
def test_a_range_that_a_plan_has_not_is_refused(
    go: Any, calls: Calls, tmp_path: Path, options: dict[str, str], where: str, what: str, do: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        go(**options)
    assert (caught.value.where, caught.value.what, caught.value.do) == (where, what, do)
    assert calls == []
    assert not (tmp_path / "out").exists()


def test_a_stage_that_this_task_has_not_is_refused() -> None:
    with pytest.raises(RecipeError, match="--until: no stage 'linear'"):
        check_range(plan(INSTRUCTION, "f"), "linear", None)


# the folder


def test_two_runs_into_one_folder_are_refused(go: Any, calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(MachineError) as caught:
            go()
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: another run is writing here\n  -> wait for it, or choose another folder with --out"
    )
    assert calls.take() == []
    go(until="split")
    assert calls.take() == ["documents", "split"], "the lock goes with the run that held it"


def test_a_lock_is_released_by_a_run_that_fails(go: Any, calls: Calls) -> None:
    calls.broken = "split"
    with pytest.raises(RuntimeError, match="broken"):
        go()
    calls.broken = None
    assert go()


def test_a_folder_that_cannot_be_made_is_no_bug(go: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(MachineError, match="out: cannot write: File exists"):
        go()


def test_a_full_disk_stops_a_run_and_the_next_goes_on(go: Any, calls: Calls, tmp_path: Path) -> None:
    light = TABLE["sft"]

    def full(*_: Any) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    TABLE["sft"] = light._replace(run=full)
    with pytest.raises(MachineError, match="the disk is full"):
        go()
    assert list((tmp_path / "out").glob("*sft*")) + list((tmp_path / "out").glob(".sft*")) == []
    calls.take()
    TABLE["sft"] = light
    go()
    assert calls.take()[0] == "sft"


def test_data_that_are_not_there_are_refused(tmp_path: Path, calls: Calls) -> None:
    with pytest.raises(DataError, match="no such data"):
        pipeline.run(EXTRACTION, out=tmp_path / "out", data=str(tmp_path / "none"))
    assert not (tmp_path / "out").exists()
