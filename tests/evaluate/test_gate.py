"""The gate on hand-made evaluations: sound, damaged, forgetful, with a slice that fell, and with nothing measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lextune.core.artifacts import Artifact, write_atomic
from lextune.core.errors import ArtifactError
from lextune.core.stage import Context
from lextune.evaluate.gate import UNGATED, GateConfig, GateStageConfig, check, run_gate

WEIGHTS = "3" * 64


def leaf(value: float | None, spread: float = 0.05) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "n": 0}
    return {"value": value, "low": value - spread, "high": value + spread, "n": 100}


def one_slice(f1: float, drop: float | None, p: float | None, n: int = 20) -> dict[str, Any]:
    return {"n_documents": n, "n_present": 9, "field_f1": leaf(f1), "drop": drop, "p": p}


def arm(f1: float = 0.8, **changes: Any) -> dict[str, Any]:
    values = {
        "n_documents": 60,
        "field": {"micro": {"f1": leaf(f1)}},
        "contracteval": {"false_null_rate": leaf(0.1)},
        "invented_rate": leaf(0.04),
        "valid_json_rate": leaf(1.0, 0.0),
        "grounded_rate": leaf(1.0, 0.0),
        "seconds_per_document": 9.0,
        "slices": {
            "contract_type": {"Supply": one_slice(0.82, -0.02, 0.9), "Hosting": one_slice(0.7, 0.1, 0.3)},
            "length": {"over 8,000 tokens": one_slice(0.3, 0.5, None, 4)},
        },
    }
    return {**values, **changes}


def paired(b: str, difference: float, p: float, low: float | None = None) -> dict[str, Any]:
    low = difference - 0.02 if low is None else low
    bounds = {"low": low, "high": difference + 0.02}
    return {"a": "tuned", "b": b, "difference": difference, **bounds, "p": p, "n_documents": 60}


def evaluation(**changes: Any) -> dict[str, Any]:
    values = {
        "tuned": "tuned",
        "model_hash": WEIGHTS,
        "arms": {"tuned": arm(), "linear": arm(0.74)},
        "subset_arms": {},
        "paired": [paired("linear", 0.06, 0.004)],
        "costs": {"tuned": {"price": 0.002}},
    }
    return {**values, **changes}


def general(after: float = 0.49, low: float = -0.03, high: float = 0.01, **changes: Any) -> dict[str, Any]:
    test = {"difference": after - 0.5, "low": low, "high": high, "p": 0.2, "n_documents": 120}
    values = {
        "items": {"base": {"accuracy": leaf(0.5)}, "tuned": {"accuracy": leaf(after)}, "paired": test},
        "generated": None,
        "perplexity": {"base": leaf(20.0), "tuned": leaf(21.0), "texts": 30},
    }
    return {**values, **changes}


ALL = GateConfig(
    f1_at_least=0.7,
    primary_at_least=0.7,
    better_than=("linear",),
    false_null_at_most=0.2,
    invented_at_most=0.05,
    valid_at_least=0.99,
    grounded_at_least=1.0,
    forgetting_at_most=0.05,
    perplexity_at_most=1.2,
    slice_drop_at_most=0.15,
    price_at_most=0.01,
    seconds_at_most=10,
)
SAID = [
    "field F1 is 0.800: at least 0.700",
    "valid outputs is 1.000: at least 0.990",
    "quotes grounded is 1.000: at least 1.000",
    "field F1 is 0.800: at least 0.700",
    "false-null rate is 0.100: at most 0.200",
    "invented values is 0.040: at most 0.050",
    "the tuned model is better than linear (+0.060, 95 % interval +0.040 to +0.080, p = 0.004, 60 documents)",
    "no more than 0.050 of accuracy is lost on general questions (0.500 before, 0.490 after)",
    "perplexity on general text over the base's is 1.050: at most 1.200",
    "no slice of 2 is shown to fall more than 0.150 below the whole (lowest: contract type Hosting, 0.100 below)",
    "price of a document: 0.002, at most 0.01",
    "seconds a document: 9, at most 10",
]


def test_a_sound_model_passes_every_limit() -> None:
    verdict = check(ALL, evaluation(), general(), weights=WEIGHTS)
    assert (verdict.verdict, verdict.weights, verdict.reasons) == ("pass", WEIGHTS, ())
    assert [one.what for one in verdict.checks] == SAID
    assert {one.limit.partition(" ")[0] for one in verdict.checks} == set(ALL.limits)
    stored = verdict.as_json()
    assert list(stored) == ["verdict", "weights", "reasons", "checks"]
    assert stored["checks"][0] == {
        "limit": "f1_at_least",
        "value": 0.8,
        "bound": 0.7,
        "ok": True,
        "what": "field F1 is 0.800: at least 0.700",
    }


def test_a_damaged_model_fails_with_what_is_wrong_with_it() -> None:
    damaged = arm(
        0.31,
        contracteval={"false_null_rate": leaf(0.6)},
        invented_rate=leaf(0.3),
        valid_json_rate=leaf(0.5),
        grounded_rate=leaf(0.97),
        seconds_per_document=12.5,
    )
    found = evaluation(
        arms={"tuned": damaged, "linear": arm(0.74)},
        paired=[paired("linear", -0.43, 0.0002)],
        costs={"tuned": {"price": 0.02}},
    )
    verdict = check(ALL, found, general(), weights=WEIGHTS)
    assert verdict.verdict == "fail"
    assert verdict.reasons == (
        "field F1 is 0.310: not at least 0.700",
        "valid outputs is 0.500: not at least 0.990",
        "quotes grounded is 0.970: not at least 1.000",
        "field F1 is 0.310: not at least 0.700",
        "false-null rate is 0.600: not at most 0.200",
        "invented values is 0.300: not at most 0.050",
        "the tuned model is worse than linear (-0.430, 95 % interval -0.450 to -0.410, p < 0.001, 60 documents)",
        "price of a document: 0.02, not at most 0.01",
        "seconds a document: 12.5, not at most 10",
    )


def test_no_difference_shown_is_not_better() -> None:
    found = evaluation(paired=[paired("linear", 0.01, 0.4)])
    verdict = check(GateConfig(better_than=("linear",)), found, None, weights=WEIGHTS)
    assert verdict.reasons == (
        "the tuned model is not shown to be better than linear"
        " (+0.010, 95 % interval -0.010 to +0.030, p = 0.400, 60 documents)",
    )


@pytest.mark.parametrize("turned", [1, -1])
def test_a_model_that_forgot_fails_where_the_loss_is_shown(turned: int) -> None:
    low, high = sorted((turned * -0.3, turned * -0.1))  # whichever of the two the difference is taken from
    forgot = general(0.3, low, high, perplexity={"base": leaf(20.0), "tuned": leaf(50.0), "texts": 30})
    limits = GateConfig(forgetting_at_most=0.05, perplexity_at_most=1.2)
    verdict = check(limits, evaluation(), forgot, weights=WEIGHTS)
    assert verdict.reasons == (
        "it forgot: more than 0.050 of accuracy is lost on general questions (0.500 before, 0.300 after)",
        "perplexity on general text over the base's is 2.500: not at most 1.200",
    )
    assert verdict.checks[0].value == pytest.approx(0.2)


def test_a_loss_that_is_not_shown_does_not_fail() -> None:
    verdict = check(GateConfig(forgetting_at_most=0.05), evaluation(), general(0.43, -0.16, 0.02), weights=WEIGHTS)
    assert verdict.verdict == "pass"
    assert verdict.checks[0].what == (
        "more than 0.050 of accuracy on general questions may be lost, and no loss is shown (0.500 before, 0.430 after)"
    )


@pytest.mark.parametrize("test", [None, {}, {"low": None, "high": None}, {"low": -0.9, "high": None}])
def test_a_loss_that_was_not_tested_is_not_held(test: dict[str, Any] | None) -> None:
    items = {"base": {"accuracy": 0.9}, "tuned": {"accuracy": 0.1}, "paired": test}
    limits = GateConfig(forgetting_at_most=0.05)
    verdict = check(limits, evaluation(), {"items": items}, weights=WEIGHTS)
    assert verdict.reasons == (
        "forgetting on general questions cannot be checked: more than 0.050 of accuracy is lost (0.900 before, 0.100"
        " after), and there is no paired test of the two",
    )
    kept = {**items, "tuned": {"accuracy": 0.88}}
    assert check(limits, evaluation(), {"items": kept}, weights=WEIGHTS).verdict == "pass"


def test_what_it_writes_is_checked_beside_what_it_finds_likely() -> None:
    written = {"base": {"right": leaf(0.6)}, "tuned": {"right": leaf(0.2)}, "paired": {"low": -0.6, "high": -0.2}}
    for stored in (written, {**written, "base": leaf(0.6), "tuned": leaf(0.2)}):
        verdict = check(GateConfig(forgetting_at_most=0.05), evaluation(), general(generated=stored), weights=WEIGHTS)
        assert [one.ok for one in verdict.checks] == [True, False]
        assert verdict.reasons == (
            "it forgot: more than 0.050 of accuracy is lost on general answers it writes (0.600 before, 0.200 after)",
        )


def test_a_slice_that_fell_fails_and_is_named() -> None:
    slices = {
        "drafting": {"UK": one_slice(0.5, 0.3, 0.002), "US": one_slice(0.83, -0.03, 1.0)},
        "year": {"1999": one_slice(0.4, 0.4, 0.06), "2004": one_slice(0.6, 0.2, 0.01, 9)},
    }
    found = evaluation(arms={"tuned": arm(slices=slices)})
    verdict = check(GateConfig(slice_drop_at_most=0.15), found, None, weights=WEIGHTS)
    assert verdict.reasons == (
        "drafting UK falls 0.300 below the whole, more than 0.150 and more than chance"
        " (F1 0.500, 20 documents, p = 0.002)",
    )
    assert check(GateConfig(slice_drop_at_most=0.3), found, None, weights=WEIGHTS).verdict == "pass"
    smaller = check(GateConfig(slice_drop_at_most=0.15, slice_smallest=9), found, None, weights=WEIGHTS)
    assert len(smaller.reasons) == 2


def test_a_slice_of_another_task_is_named_with_its_metric() -> None:
    south = {"n_documents": 12, "score": {"value": 0.4, "low": 0.2, "high": 0.6, "n": 12}, "drop": 0.3, "p": 0.01}
    one = {"n_documents": 40, "primary": "accuracy", "scores": {}, "slices": {"tenant": {"south": south}}}
    verdict = check(GateConfig(slice_drop_at_most=0.15), evaluation(arms={"tuned": one}), None, weights=WEIGHTS)
    (reason,) = verdict.reasons
    assert "tenant south falls 0.300 below the whole" in reason
    assert "(accuracy 0.400, 12 documents, p = 0.010)" in reason


def test_nothing_measured_holds_no_limit() -> None:
    bare = {"tuned": "tuned", "arms": {"tuned": {"n_documents": 60}}}
    verdict = check(ALL, bare, None, weights=WEIGHTS)
    assert (verdict.verdict, [one.ok for one in verdict.checks]) == ("fail", [False] * len(SAID))
    assert verdict.reasons == (
        "field F1 cannot be checked: it was not measured",
        "valid outputs cannot be checked: it was not measured",
        "quotes grounded cannot be checked: it was not measured",
        "field F1 cannot be checked: it was not measured",
        "false-null rate cannot be checked: it was not measured",
        "invented values cannot be checked: it was not measured",
        "better than linear cannot be checked: that arm did not run",
        "forgetting cannot be checked: general ability was not measured",
        "perplexity cannot be checked: general ability was not measured",
        "slices cannot be checked: no part of the documents has 10 documents and a score",
        "price of a document cannot be checked: no price was given (evaluate.machine_price)",
        "seconds a document cannot be checked: no time was recorded",
    )
    untested = check(GateConfig(better_than=("linear",)), evaluation(paired=[]), None, weights=WEIGHTS)
    assert untested.reasons == ("better than linear cannot be checked: there is no paired test of the two",)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"items": None, "generated": None, "perplexity": None, "why": "it writes nothing"}, "it writes nothing"),
        ({"items": None, "why": {"items": "no backbone", "perplexity": "no text"}}, "no backbone"),
        ({"items": {"why": "no likelihoods"}}, "no likelihoods"),
        ({"items": None}, "no reason was given"),
    ],
)
def test_why_general_ability_was_not_measured_is_told(found: dict[str, Any], why: str) -> None:
    verdict = check(GateConfig(forgetting_at_most=0.1), evaluation(), found, weights=WEIGHTS)
    assert verdict.reasons == (f"forgetting cannot be checked: {why}",)


def test_the_bound_of_the_interval_is_compared_where_it_is_asked_for() -> None:
    strict = GateConfig(f1_at_least=0.78, invented_at_most=0.05, with_interval=True)
    assert check(GateConfig(f1_at_least=0.78), evaluation(), None, weights=WEIGHTS).verdict == "pass"
    assert check(strict, evaluation(), None, weights=WEIGHTS).reasons == (
        "the lower bound of field F1 is 0.750: not at least 0.780",
        "the upper bound of invented values is 0.090: not at most 0.050",
    )
    single = evaluation(arms={"tuned": arm(field={"micro": {"f1": {"value": 0.9, "low": None, "high": None}}})})
    assert check(GateConfig(f1_at_least=0.78, with_interval=True), single, None, weights=WEIGHTS).reasons == (
        "the lower bound of field F1 cannot be checked: it was not measured",
    )


def test_another_task_is_held_to_its_own_metric() -> None:
    scored = {"n_documents": 9, "primary": "accuracy", "scores": {"accuracy": leaf(0.9), "f1": leaf(0.1)}}
    limits = GateConfig(primary_at_least=0.95)
    assert check(limits, {"arms": {"tuned": scored}}, None, weights=WEIGHTS).reasons == (
        "accuracy is 0.900: not at least 0.950",
    )


def test_what_is_equal_when_rounded_is_shown_in_full() -> None:
    found = evaluation(arms={"tuned": arm(0.69999)})
    assert check(GateConfig(f1_at_least=0.7), found, None, weights=WEIGHTS).reasons == (
        "field F1 is 0.69999: not at least 0.7",
    )


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_limit_is_a_limit(value: float, limit: float) -> None:
    found = evaluation(arms={"tuned": arm(value, invented_rate=leaf(value))})
    least = check(GateConfig(f1_at_least=limit), found, None, weights=WEIGHTS)
    most = check(GateConfig(invented_at_most=limit), found, None, weights=WEIGHTS)
    assert (least.verdict == "pass") == (value >= limit)
    assert (most.verdict == "pass") == (value <= limit)
    assert bool(least.reasons) == (least.verdict == "fail")


def test_without_limits_the_verdict_is_ungated() -> None:
    for config in (GateConfig(), GateConfig(with_interval=True, slice_smallest=20)):
        verdict = check(config, evaluation(), None, weights=WEIGHTS)
        assert (verdict.verdict, verdict.reasons, verdict.checks) == ("ungated", (UNGATED,), ())


@pytest.mark.parametrize("wrong", [{"f1_at_least": 70}, {"slice_smallest": 4}, {"better_then": ["linear"]}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GateConfig(**wrong)


@pytest.fixture
def model(seal: Callable[..., Artifact]) -> Artifact:
    return seal("model", lambda folder: write_atomic(folder / "model.safetensors", "weights"))


def stored(seal: Callable[..., Artifact], weights: str) -> Artifact:
    text = json.dumps(evaluation(model_hash=weights))
    return seal("evaluation", lambda folder: write_atomic(folder / "evaluation.json", text))


def test_the_stage_binds_its_verdict_to_the_weights(
    model: Artifact, seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    config = GateStageConfig(gate=GateConfig(f1_at_least=0.9, forgetting_at_most=0.05))
    inputs = {"model": model, "evaluation": stored(seal, model.hash)}
    told = "forgetting cannot be checked: general ability was not measured"
    assert run_gate(config, inputs, tmp_path, Context()) == {
        "verdict": "fail",
        "reasons": ["field F1 is 0.800: not at least 0.900", told],
        "note": "fail, 0 of 2 limits held",
    }
    inputs["forgetting"] = seal("general", lambda folder: write_atomic(folder / "general.json", json.dumps(general())))
    assert run_gate(config, inputs, tmp_path, Context())["note"] == "fail, 1 of 2 limits held"
    written = json.loads((tmp_path / "verdict.json").read_text())
    assert (written["verdict"], written["weights"]) == ("fail", model.hash)


def test_what_was_measured_on_other_weights_is_refused(
    model: Artifact, seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    other = stored(seal, "0" * 64)
    with pytest.raises(ArtifactError) as caught:
        run_gate(GateStageConfig(), {"model": model, "evaluation": other}, tmp_path, Context())
    assert str(caught.value) == (
        f"{other.path.name}: measured on other weights than those that the gate is asked about"
        "\n  -> run the recipe again: what is out of date is measured anew"
    )
    assert not (tmp_path / "verdict.json").exists()
