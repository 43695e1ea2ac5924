"""Forgetting: base and tuned on the same things, and what is said where a model cannot be asked."""

from __future__ import annotations

import json
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lextune.core.artifacts import Artifact
from lextune.core.errors import MachineError, RequestError
from lextune.core.stage import Context
from lextune.evaluate import forgetting as module
from lextune.evaluate.forgetting import (
    Ability,
    ForgettingConfig,
    ability,
    compare,
    forgetting,
    has_head,
    run_forgetting,
    run_tasks,
)
from lextune.evaluate.gate import GateConfig, check
from lextune.expert.scoring.general import General, load_items
from lextune.expert.scoring.written import WrittenScores, load_written
from lextune.expert.weights import SMOLLM2, Base, resolve_base


def _ability(right: int, *, loss: float, written: int | None) -> Ability:
    n = 40
    items = General(("k",) * n, (True,) * right + (False,) * (n - right), (-1.0,) * n)
    table = np.array([[loss * 10, 10.0]] * 20)
    texts = None
    if written is not None:
        texts = WrittenScores(("k",) * n, (True,) * written + (False,) * (n - written), ("a",) * n)
    return Ability(items, table, texts)


def test_a_model_that_forgot_is_told_from_its_base() -> None:
    found = compare(_ability(30, loss=2.0, written=20), _ability(10, loss=3.0, written=8))
    assert found["items"]["paired"]["difference"] == pytest.approx(-0.5)
    assert found["items"]["paired"]["high"] < 0
    assert found["generated"]["paired"]["difference"] == pytest.approx(-0.3)
    assert found["generated"]["base"]["right"]["value"] == 0.5
    assert found["perplexity"]["base"]["value"] == pytest.approx(np.exp(2))
    assert found["perplexity"]["tuned"]["value"] == pytest.approx(np.exp(3))
    assert found["perplexity"]["paired"]["difference"] == pytest.approx(np.exp(3) - np.exp(2))
    assert found["perplexity"]["texts"] == 20


def test_a_model_that_forgot_nothing_has_no_difference() -> None:
    same = _ability(30, loss=2.0, written=20)
    found = compare(same, same)
    assert {found[name]["paired"]["p"] for name in ("items", "generated", "perplexity")} == {1.0}


DIVERGED = "the perplexity of the tuned model is no finite number"


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 1e5])
def test_a_model_that_diverged_has_no_perplexity_and_is_told_of(
    loss: float, base: Base, seal: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    abilities = iter([_ability(30, loss=2.0, written=None), _ability(9, loss=loss, written=None)])
    monkeypatch.setattr(module, "ability", lambda *_, **__: next(abilities))

    def fill(folder: Path) -> None:
        shutil.copytree(base.path, folder, dirs_exist_ok=True)
        (folder / "model.json").write_text(json.dumps({"strategy": "tag"}))

    model = seal("model", fill)
    out = tmp_path / "out"
    out.mkdir()
    summary = run_forgetting(ForgettingConfig(base=str(base.path)), {"model": model}, out, Context(0))
    assert (summary["perplexity_base"], summary["perplexity_tuned"]) == (round(float(np.exp(2)), 3), None)
    found = json.loads((out / "general.json").read_text(), parse_constant=pytest.fail)
    assert found["perplexity"]["tuned"] == {"value": None, "low": None, "high": None, "n": 200}
    assert found["perplexity"]["paired"]["difference"] is None
    assert found["perplexity"]["why"] == DIVERGED
    assert found["items"]["paired"]["difference"] == pytest.approx(-21 / 40)


def test_the_gate_does_not_hold_the_perplexity_of_a_model_that_diverged() -> None:
    found = compare(_ability(30, loss=2.0, written=None), _ability(30, loss=float("nan"), written=None))
    evaluation = {"tuned": "tuned", "arms": {"tuned": {"n_documents": 9}}}
    verdict = check(GateConfig(perplexity_at_most=1.2), evaluation, found, weights="3" * 64)
    assert verdict.reasons == (f"perplexity cannot be checked: {DIVERGED}",)


def test_likelihoods_that_are_no_numbers_are_stored_as_none() -> None:
    broken = _ability(30, loss=2.0, written=20)
    broken = broken._replace(items=broken.items._replace(likelihoods=(float("nan"),) * 40))
    found = compare(_ability(30, loss=2.0, written=20), broken)
    assert found["items"]["tuned"]["likelihood"] is None
    json.dumps(found, allow_nan=False)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_items", lambda: load_items()[::30])
    monkeypatch.setattr(module, "load_prose", lambda: ["It rained all night.", "The dog slept by the fire."])
    monkeypatch.setattr(module, "load_written", lambda: load_written()[::20])


@pytest.fixture
def base(tiny_base: Path, own_cache: Path) -> Base:
    return resolve_base(str(tiny_base))


@pytest.mark.parametrize("strategy", ["point", "tag"])
@pytest.mark.usefixtures("few")
def test_the_stage_asks_both_models(
    strategy: str, base: Base, make_tiny_base: Callable[[int], Path], seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    other = make_tiny_base(3)

    def fill(folder: Path) -> None:
        shutil.copytree(other, folder, dirs_exist_ok=True)
        (folder / "model.json").write_text(json.dumps({"strategy": strategy}))

    out = tmp_path / "out"
    out.mkdir()
    calls: list[tuple[int, int, str]] = []
    context = Context(0, lambda *call: calls.append(call))
    summary = run_forgetting(ForgettingConfig(base=base.name), {"model": seal("model", fill)}, out, context)
    found = json.loads((out / "general.json").read_text())
    assert found["items"]["base"]["accuracy"]["n"] == 6
    assert found["perplexity"]["base"] != found["perplexity"]["tuned"], "other weights"
    assert summary["perplexity_base"] == round(found["perplexity"]["base"]["value"], 3)
    answers = json.loads((out / "written.json").read_text())
    if strategy == "tag":
        assert (found["generated"], answers) == (None, [])
        assert found["why"] == "the model reads documents with a tagging head, and writes nothing"
    else:
        assert found["generated"]["base"]["right"]["n"] == len(answers) == 3
        assert set(answers[0]) == {"instruction", "base", "base_right", "tuned", "tuned_right"}
    assert calls[-1][:2] == (3, 3)


@pytest.mark.usefixtures("few")
def test_a_model_without_a_head_is_not_asked(base: Base, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    bare = tmp_path / "bare"
    shutil.copytree(base.path, bare)
    config = json.loads((bare / "config.json").read_text())
    (bare / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    assert not has_head(resolve_base(str(bare)))
    found = forgetting(str(base.path), bare)
    assert (found["items"], found["generated"], found["perplexity"]) == (None, None, None)
    assert found["why"] == "bare has no language model head: it would be made up of random numbers"
    whole = tmp_path / "whole"
    shutil.copytree(bare, whole)
    save_file({"lm_head.weight": np.zeros((2, 2), np.float32)}, whole / "head.safetensors")
    assert has_head(resolve_base(str(whole)))
    assert load_file(whole / "head.safetensors")


def test_lm_eval_is_asked_for_by_name(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MachineError) as caught:
        run_tasks(base, ("arc_easy",), None)
    assert str(caught.value) == "lm_eval is not installed\n  -> pip install lm-eval, or leave evaluate.lm_eval empty"
    asked: dict[str, object] = {}

    def simple_evaluate(**options: object) -> dict[str, object]:
        if options["tasks"] == ["nothing"]:
            raise KeyError("nothing")
        asked.update(options)
        scores = {"alias": "arc_easy", "acc,none": 0.25, "perplexity,none": float("inf")}
        return {"results": {"arc_easy": scores}}

    fake = types.ModuleType("lm_eval")
    fake.simple_evaluate = simple_evaluate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lm_eval", fake)
    assert run_tasks(base, ("arc_easy",), 10) == {"arc_easy": {"acc,none": 0.25, "perplexity,none": None}}
    assert asked["model_args"] == f"pretrained={base.path},trust_remote_code=False"
    assert asked["limit"] == 10
    with pytest.raises(RequestError, match=r"evaluate.lm_eval: lm-eval cannot run nothing \(KeyError\)"):
        run_tasks(base, ("nothing",), None)


@pytest.mark.slow
def test_noise_in_the_weights_shows_in_every_measure(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    try:
        base = resolve_base(SMOLLM2)
    except MachineError as error:
        pytest.skip(error.what)
    worse = tmp_path / "worse"
    shutil.copytree(base.path, worse)
    for file in worse.glob("*.safetensors"):
        noise = torch.Generator().manual_seed(0)
        tensors = {
            name: tensor + (0.6 * tensor.float().std() * torch.randn(tensor.shape, generator=noise)).to(tensor.dtype)
            for name, tensor in load_file(file).items()
        }
        save_file(tensors, file, metadata={"format": "pt"})
    before, after = ability(base), ability(resolve_base(str(worse)))
    found = compare(before, after)
    assert found["items"]["base"]["accuracy"]["value"] > 0.35, "four answers: chance is 0.25"
    assert found["generated"]["base"]["right"]["value"] > 0.1
    assert found["perplexity"]["base"]["value"] < 60
    assert found["perplexity"]["paired"]["low"] > 1
    assert found["items"]["paired"]["high"] < 0
    assert found["generated"]["paired"]["high"] < 0
