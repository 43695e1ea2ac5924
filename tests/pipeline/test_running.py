"""`run`: order, reuse, ranges, one run at a time. No stage here runs a model."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lextune import pipeline
from lextune.core.artifacts import Artifact
from lextune.core.errors import DataError, MachineError, RecipeError
from lextune.core.stage import Context, Inputs, Stage
from lextune.evaluate.judging.stage import JudgeConfig
from lextune.pipeline import Recipe, read_recipe, running
from lextune.pipeline.table import ASKED_FOR, TABLE
from lextune.pipeline.table import ORDER as ALL

EXTRACTION = Recipe(name="try")
INSTRUCTION = read_recipe(Path(__file__).parents[2] / "recipes" / "instruction-legal.yaml")


ORDER = [name for name in ALL if name not in ASKED_FOR]


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


def test_the_articles_that_a_judge_reads_are_read_again_when_they_change(go: Any, calls: Calls, tmp_path: Path) -> None:
    corpus = tmp_path / "articles.jsonl"
    corpus.write_text("one")
    endpoint = {"url": "http://127.0.0.1:1/v1", "model": "m"}
    judge = JudgeConfig.model_validate({"endpoints": [endpoint], "kind": "faithfulness", "corpus": str(corpus)})
    recipe = INSTRUCTION.model_copy(update={"evaluate": INSTRUCTION.evaluate.model_copy(update={"judge": judge})})
    go(recipe, until="judge")
    calls.take()
    go(recipe, until="judge")
    assert calls.take() == []
    corpus.write_text("two")
    go(recipe, until="judge")
    assert calls.take() == ["judge"]


@pytest.mark.parametrize("depth", ["", "@2"])
def test_a_base_folder_with_other_weights_is_another_base(
    go: Any, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: str
) -> None:
    monkeypatch.setenv("LEXTUNE_CACHE", str(tmp_path / "cache"))
    base = tmp_path / "base"
    base.mkdir()
    for name in ("tokenizer.json", "config.json"):
        (base / name).write_text("{}")
    (base / "model.safetensors").write_bytes(b"one")
    go(changed(base=f"{base}{depth}"), until="linear")
    calls.take()
    (base / "model.safetensors").write_bytes(b"two!")
    go(changed(base=f"{base}{depth}"), until="linear")
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
    monkeypatch.setattr(running, "code_revision", lambda: "f00d")
    monkeypatch.setattr(running, "package_versions", lambda: {**manifest.packages, "lextune": "9.9"})
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
    assert calls.take() == ["score", "gate", "report", "bundle"]
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
    steps = json.loads((tmp_path / "out" / "run.json").read_text())
    assert list(steps) == ORDER[: ORDER.index("merge")], "what was trained is the run's, and it has no release"
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
