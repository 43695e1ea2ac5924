"""`lextune gate` on the folder of a run: the table, the verdict that is kept, and exit 1 with the reasons."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, ArtifactStore, write_atomic

LEAF = {"value": 0.8, "low": 0.75, "high": 0.85, "n": 9}


def make(run: Path, stage: str, files: dict[str, Any], *, config: Any = None, **inputs: Artifact) -> Artifact:
    """Seal an artifact of a stage in a run."""
    header = {"kind": stage, "stage": stage, "stage_version": 1, "config": config or {}, "seed": 3}
    header["inputs"] = {name: artifact.hash for name, artifact in inputs.items()}
    header["parents"] = {name: artifact.path.name for name, artifact in inputs.items()}

    def fill(folder: Path) -> dict[str, Any]:
        for name, content in files.items():
            write_atomic(folder / name, json.dumps(content))
        return {}

    key = ArtifactStore.key(stage, 1, [config, files], 3, header["inputs"])
    return ArtifactStore(run).build(header, key, fill)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was scored and never gated."""
    folder = tmp_path / "runs" / "try"
    folder.mkdir(parents=True)
    model = make(folder, "merge", {"model.json": {}})
    arm = {"n_documents": 9, "field": {"micro": {"f1": LEAF}}}
    header_kind = {"evaluation.json": {"model_hash": model.hash, "tuned": "tuned", "arms": {"tuned": arm}}}
    make(folder, "score", header_kind, model=model)
    return folder


def test_limits_that_are_held(cli: Callable[..., Any], run: Path) -> None:
    found = cli("gate", run, "--set", "gate.f1_at_least=0.7")
    assert (found.code, found.err) == (0, "")
    assert "field F1 is 0.800: at least 0.700" in found.out
    (kept,) = run.glob("tried-gate-*")
    verdict = Artifact.open(kept, kind="verdict").json("verdict.json")
    assert f"verdict: pass, of the weights {verdict['weights'][:12]} ({kept})" in found.out
    assert Artifact.open(kept).manifest.parents["evaluation"] == next(run.glob("score-*")).name
    again = cli("gate", run, "--set", "gate.f1_at_least=0.7")
    assert (again.code, again.out) == (0, found.out)
    assert len(list(run.glob("tried-gate-*"))) == 1
    forgotten = cli("gate", run)
    assert forgotten.code == 2
    assert "no limits are known" in forgotten.err


def test_a_limit_that_is_not_held_is_exit_1_with_the_reasons(cli: Callable[..., Any], run: Path) -> None:
    words = ("gate", run, "--set", "gate.f1_at_least=0.9", "--set", "gate.forgetting_at_most=0.05")
    found = cli(*words)
    assert found.code == 1
    assert found.err == (
        f"error: {run}: the gate said no\n"
        "  - field F1 is 0.800: not at least 0.900\n"
        "  - forgetting cannot be checked: general ability was not measured\n"
    )
    assert found.out.split()[found.out.split().index("NO") + 1] == "f1_at_least"
    shown = cli(*words, "--json")
    assert shown.code == 1
    assert shown.json()["verdict"] == "fail"
    assert shown.json()["artifact"] == str(next(run.glob("tried-gate-*")))


def test_general_ability_of_these_weights_is_read(cli: Callable[..., Any], run: Path) -> None:
    model = Artifact.open(next(run.glob("merge-*")))
    other = make(run, "elsewhere", {"x.json": 1})
    score = {"base": {"accuracy": LEAF}, "paired": {"low": -0.1, "high": 0.1}}
    make(run, "forgetting", {"general.json": {"items": {**score, "tuned": {"accuracy": LEAF}}}}, model=model)
    lost = {"accuracy": {**LEAF, "value": 0.1}}
    make(run, "forgetting", {"general.json": {"items": {**score, "tuned": lost}}}, model=other)
    found = cli("gate", run, "--set", "gate.forgetting_at_most=0.05")
    assert found.code == 0, found.err
    assert "0.800 before, 0.800 after" in found.out


def test_the_recipes_limits_can_be_overridden(cli: Callable[..., Any], run: Path) -> None:
    make(run, "gate", {"verdict.json": {}}, config={"gate": {"f1_at_least": 0.9, "better_than": ["linear"]}})
    assert cli("gate", run).code == 1
    found = cli("gate", run, "--set", "gate.f1_at_least=0.7", "--set", "gate.better_than=[]")
    assert found.code == 0, found.err


def scored(run: Path, value: float, model: Artifact) -> Artifact:
    arm = {"n_documents": 9, "field": {"micro": {"f1": {**LEAF, "value": value}}}}
    found = {"model_hash": model.hash, "tuned": "tuned", "arms": {"tuned": arm}}
    return make(run, "score", {"evaluation.json": found}, model=model)


def note(run: Path, **made: Artifact) -> None:
    """Say what the recipe made as it was last run."""
    write_atomic(run / "run.json", json.dumps({stage: artifact.path.name for stage, artifact in made.items()}))


def test_weights_that_the_last_run_did_not_score_have_no_verdict(cli: Callable[..., Any], run: Path) -> None:
    note(run, merge=make(run, "merge", {"model.json": {"tuned": "again"}}))
    make(run, "gate", {"verdict.json": {}}, config={"gate": {"f1_at_least": 0.5}})
    for words in (("gate", run), ("gate", run, "--set", "gate.f1_at_least=0.5")):
        found = cli(*words)
        assert (found.code, found.out) == (2, "")
        assert found.err == (
            f"error: {run}: its recipe did not come to an evaluation when it was last run\n"
            "  -> run it to the end, or with --until score\n"
        )


def test_a_damaged_evaluation_of_the_last_run_is_not_replaced_by_an_older_one(
    cli: Callable[..., Any], run: Path
) -> None:
    model = make(run, "merge", {"model.json": {"tuned": "again"}})
    last = scored(run, 0.1, model)
    gate = make(run, "gate", {"verdict.json": {}}, config={"gate": {"f1_at_least": 0.5}})
    note(run, merge=model, score=last, gate=gate)
    assert cli("gate", run).code == 1
    file = last.path / "evaluation.json"
    file.write_bytes(file.read_bytes().replace(b"0.1", b"0.9"))
    found = cli("gate", run)
    assert (found.code, found.out) == (2, "")
    assert found.err == (
        f"error: {last.path}: damaged artifact: evaluation.json does not match its hash in the manifest\n"
        "  -> run the recipe again: it is made anew\n"
    )


def test_limits_that_the_last_run_did_not_check_are_not_those_of_an_older_recipe(
    cli: Callable[..., Any], run: Path
) -> None:
    make(run, "gate", {"verdict.json": {}}, config={"gate": {"f1_at_least": 0.5}})
    note(run, score=Artifact.open(next(run.glob("score-*"))))  # the recipe's limit was raised, and run until score
    found = cli("gate", run)
    assert found.code == 2
    assert "no limits are known: its recipe did not come to the gate when it was last run" in found.err
    assert cli("gate", run, "--set", "gate.f1_at_least=0.7").code == 0
    assert cli("gate", run, "--set", "gate.f1_at_least=0.9").code == 1


def test_the_last_runs_general_ability_is_read_or_its_damage_told(cli: Callable[..., Any], run: Path) -> None:
    model = Artifact.open(next(run.glob("merge-*")))
    score = {"base": {"accuracy": LEAF}, "paired": {"low": -0.8, "high": -0.6}}
    kept, lost = ({"items": {**score, "tuned": {"accuracy": {**LEAF, "value": value}}}} for value in (0.8, 0.1))
    last = make(run, "forgetting", {"general.json": lost}, model=model)
    make(run, "forgetting", {"general.json": kept}, model=model)  # made later, by a recipe that is not the last
    words = ("gate", run, "--set", "gate.forgetting_at_most=0.05")
    note(run, score=Artifact.open(next(run.glob("score-*"))), forgetting=last)
    assert cli(*words).code == 1
    (last.path / "general.json").write_text("{}")
    assert "damaged artifact: general.json does not match" in cli(*words).err
    note(run, score=Artifact.open(next(run.glob("score-*"))))
    assert cli(*words).code == 0, "of these weights, though the last recipe did not ask for it"


def test_a_note_of_the_last_run_that_cannot_be_read_is_told(cli: Callable[..., Any], run: Path) -> None:
    for content in ("[]", "{", '{"score": 3}'):
        (run / "run.json").write_text(content)
        found = cli("gate", run, "--set", "gate.f1_at_least=0.5")
        assert found.code == 2
        assert found.err == (
            f"error: {run / 'run.json'}: unreadable run.json\n  -> run the recipe again: it is written anew\n"
        )


def test_no_limits_at_all_is_ungated(cli: Callable[..., Any], run: Path) -> None:
    make(run, "gate", {"verdict.json": {}}, config={"gate": {}})
    found = cli("gate", run)
    assert (found.code, found.err) == (0, "")
    assert "the recipe sets no limits for a gate" in found.out
    assert "verdict: ungated" in found.out


def test_the_users_mistakes_are_told(cli: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    score = next(run.glob("score-*"))
    for words, message in (
        (("gate", "nowhere"), "nowhere: no such folder\n  -> give a run's folder; `lextune run RECIPE --until score`"),
        (("gate", "empty"), "empty: no evaluation here\n  -> give a run's folder"),
        (
            ("gate", run),
            f"{run}: no limits are known: its recipe did not come to the gate when it was last run\n"
            "  -> run it to the end, or give limits: --set gate.f1_at_least=0.7",
        ),
        (
            ("gate", run, "--set", "gate.f1_at_lest=1"),
            "gate.f1_at_lest: unknown setting; did you mean 'f1_at_least'?",
        ),
        (("gate", run, "--set", "gate.f1_at_least=7"), "gate.f1_at_least: input should be less than or equal to 1"),
    ):
        found = cli(*words)
        assert found.code == 2
        assert message in found.err
    shutil.rmtree(next(run.glob("merge-*")))
    found = cli("gate", run, "--set", "gate.f1_at_least=0.7")
    assert (found.code, found.err) == (
        2,
        f"error: {score}: the model of this evaluation is gone, or is not what it was\n  -> run the recipe again\n",
    )
