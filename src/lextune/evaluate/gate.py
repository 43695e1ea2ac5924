"""The gate: do exactly these weights hold what the recipe asks of them?

    verdict = check(GateConfig(f1_at_least=0.7, better_than=("linear",)), evaluation, general, weights="3f9a...")
    verdict.verdict    # "pass", "fail", or "ungated" where no limit is set

A limit that cannot be checked, since what it speaks of was not measured, is not held: the gate fails and says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lextune.core.artifacts import Artifact, write_atomic
from lextune.core.counts import counted
from lextune.core.errors import ArtifactError
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.evaluate.besides import leaf, why
from lextune.evaluate.formatting import bounds, finite, fixed, probability, quantity
from lextune.evaluate.summary import (
    COLUMNS,
    Place,
    compare,
    lookup,
    part_metric,
    part_score,
    primary,
    tuned_name,
)
from lextune.expert.scoring.slices import SMALLEST, fell

UNGATED = "the recipe sets no limits for a gate"
Share = Field(None, ge=0, le=1)
Outcome = Literal["pass", "fail", "ungated"]


class GateConfig(Config):
    """What a release must hold; a limit that is not given is not checked.

    Scores are compared by their value, unless `with_interval` asks for the bound of their 95 % interval.
    """

    f1_at_least: float | None = Share
    """The least micro field F1 of the tuned arm (clause extraction)."""
    primary_at_least: float | None = Field(None, ge=0)
    """The least score of the metric that the task is judged by (of clause extraction that is field F1)."""
    better_than: tuple[str, ...] = ()
    """Arms that the tuned one must be better than in the paired test, `linear` for one: no difference shown is a no."""
    false_null_at_most: float | None = Share
    """The largest share of present clauses that are answered null."""
    invented_at_most: float | None = Share
    """The largest share of absent clauses that are given a value."""
    valid_at_least: float | None = Share
    """The least share of generated outputs (of a model that writes nothing: of records) that are valid."""
    grounded_at_least: float | None = Share
    """The least share of quotes that stand in the document at their place."""
    with_interval: bool = False
    """Compare the limits of scores above with the worse bound of their intervals: what other documents likely hold."""
    forgetting_at_most: float | None = Share
    """How much of its accuracy on general questions the tuned model may lose against the base; more fails where the
    paired test shows a loss (its interval is on one side of 0)."""
    perplexity_at_most: float | None = Field(None, gt=0)
    """The largest perplexity on general text, as a multiple of the base model's (1.1: a tenth more)."""
    slice_drop_at_most: float | None = Share
    """How far the score of a part of the documents (a contract type, a drafting, a length, ...) may lie below that of
    them all; more fails where it is more than chance, all parts taken together (p < 0.05)."""
    slice_smallest: int = Field(10, ge=SMALLEST)
    """Documents in the smallest part that is looked at."""
    price_at_most: float | None = Field(None, ge=0)
    """The highest price of one document (`evaluate.machine_price` is that of an hour)."""
    seconds_at_most: float | None = Field(None, ge=0)
    """The longest mean time of one document, in seconds."""

    @property
    def limits(self) -> dict[str, Any]:
        """The limits that are set, by name."""
        options = ("with_interval", "slice_smallest")
        values = {name: getattr(self, name) for name in type(self).model_fields if name not in options}
        return {name: value for name, value in values.items() if value not in (None, ())}


@dataclass(frozen=True)
class Check:
    """One limit beside what was measured: `bound` is the limit's number, `value` None where nothing was measured."""

    limit: str
    value: float | None
    bound: float | None
    ok: bool
    what: str


@dataclass(frozen=True)
class Verdict:
    """What the gate says of the weights with this hash; the reasons are those against."""

    verdict: Outcome
    weights: str
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as plain JSON types."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


def check(
    config: GateConfig, evaluation: Mapping[str, Any], general: Mapping[str, Any] | None, *, weights: str
) -> Verdict:
    """Compare what was measured with the limits.

    Args:
        config: the limits.
        evaluation: as the stage `score` stores it.
        general: as the stage `forgetting` stores it; None where it did not run.
        weights: hash of the weights that both are of.

    Raises:
        DataError: the arm that `evaluation` calls tuned was not evaluated.
    """
    if not config.limits:
        return Verdict("ungated", weights, (UNGATED,), ())
    checks = (
        *_scores(config, evaluation["arms"][tuned_name(evaluation)]),
        *_better(config, evaluation),
        *_kept(config, general),
        *_slices(config, evaluation["arms"][tuned_name(evaluation)]),
        *_effort(config, evaluation),
    )
    reasons = tuple(one.what for one in checks if not one.ok)
    return Verdict("fail" if reasons else "pass", weights, reasons, checks)


AT_LEAST: dict[str, tuple[str, Place]] = {
    "f1_at_least": ("field F1", COLUMNS["field F1"]),
    "valid_at_least": ("valid outputs", ("valid_json_rate",)),
    "grounded_at_least": ("quotes grounded", ("grounded_rate",)),
}
AT_MOST: dict[str, tuple[str, Place]] = {
    "false_null_at_most": ("false-null rate", COLUMNS["false-null"]),
    "invented_at_most": ("invented values", COLUMNS["invented"]),
}


def _scores(config: GateConfig, arm: Mapping[str, Any]) -> Iterator[Check]:
    places = {**AT_LEAST, "primary_at_least": primary(arm), **AT_MOST}
    for limit, (name, place) in places.items():
        bound = getattr(config, limit)
        if bound is None:
            continue
        value, low, high = bounds(lookup(arm, place))
        least = limit not in AT_MOST
        side = ""
        if config.with_interval and value is not None:
            value, side = (low, "the lower bound of ") if least else (high, "the upper bound of ")
        if value is None:
            yield _nothing(limit, bound, f"{side}{name}")
            continue
        ok = value >= bound if least else value <= bound
        yield Check(limit, value, bound, ok, _compared(f"{side}{name}", value, bound, least=least, ok=ok))


def _compared(name: str, value: float, bound: float, *, least: bool, ok: bool) -> str:
    """Say how a value stands to its bound; equal to three decimals is not equal, and is shown with more."""
    shown = [fixed(value), fixed(bound)]
    if shown[0] == shown[1] and value != bound:
        shown = [repr(value), repr(bound)]
    wanted = "at least" if least else "at most"
    return f"{name} is {shown[0]}: {f'{wanted} {shown[1]}' if ok else f'not {wanted} {shown[1]}'}"


def _nothing(limit: str, bound: float | None, name: str, why: str = "it was not measured") -> Check:
    return Check(limit, None, bound, False, f"{name} cannot be checked: {why}")


def _better(config: GateConfig, evaluation: Mapping[str, Any]) -> Iterator[Check]:
    for other in config.better_than:
        limit = f"better_than {other}"
        pair = compare(evaluation, other)
        if pair is None:
            yield _nothing(limit, None, f"better than {other}", "that arm did not run")
            continue
        difference = None if pair.test is None else finite(pair.test.get("difference"))
        if pair.test is None or difference is None or pair.verdict == "not tested":
            yield _nothing(limit, None, f"better than {other}", "there is no paired test of the two")
            continue
        said = {"better": "better than", "worse": "worse than"}.get(pair.verdict, "not shown to be better than")
        low, high = (fixed(pair.test[key], sign=True) for key in ("low", "high"))
        figures = f"{fixed(difference, sign=True)}, 95 % interval {low} to {high}, {probability(pair.test['p'])}"
        documents = counted(int(pair.test.get("n_documents") or pair.n_documents or 0), "document")
        what = f"the tuned model is {said} {other} ({figures}, {documents})"
        yield Check(limit, difference, 0.0, pair.verdict == "better", what)


def _kept(config: GateConfig, general: Mapping[str, Any] | None) -> Iterator[Check]:
    if config.forgetting_at_most is not None:
        yield from _accuracy(config.forgetting_at_most, general)
    if config.perplexity_at_most is not None:
        before, after = (bounds(lookup(general or {}, ("perplexity", arm)))[0] for arm in ("base", "tuned"))
        if not before or after is None:
            yield _nothing("perplexity_at_most", config.perplexity_at_most, "perplexity", _why(general, "perplexity"))
            return
        ratio, bound = after / before, config.perplexity_at_most
        what = _compared("perplexity on general text over the base's", ratio, bound, least=False, ok=ratio <= bound)
        yield Check("perplexity_at_most", ratio, bound, ratio <= bound, what)


GENERAL = {"items": ("accuracy", "general questions"), "generated": ("right", "general answers it writes")}
"""The parts of a general evaluation: where each arm's score is, and what was asked."""


def _accuracy(bound: float, general: Mapping[str, Any] | None) -> Iterator[Check]:
    """Check each part that was measured for a loss; one at least must have been."""
    limit, measured = "forgetting_at_most", False
    for part, (key, asked) in GENERAL.items():
        scores = lookup(general or {}, (part,)) or {}
        before, after = (bounds(leaf(scores.get(arm), key))[0] for arm in ("base", "tuned"))
        if before is None or after is None:
            continue
        measured = True
        loss, test = before - after, scores.get("paired") or {}
        low, high = (finite(test.get(side)) for side in ("low", "high"))
        figures = f"{fixed(before)} before, {fixed(after)} after"
        if loss <= bound:
            ok, said = True, f"no more than {fixed(bound)} of accuracy is lost on {asked}"
        elif low is None or high is None:
            lost = f"more than {fixed(bound)} of accuracy is lost ({figures})"
            yield _nothing(limit, bound, f"forgetting on {asked}", f"{lost}, and there is no paired test of the two")
            continue
        elif low <= 0 <= high:
            ok, said = True, f"more than {fixed(bound)} of accuracy on {asked} may be lost, and no loss is shown"
        else:
            ok, said = False, f"it forgot: more than {fixed(bound)} of accuracy is lost on {asked}"
        yield Check(limit, loss, bound, ok, f"{said} ({figures})")
    if not measured:
        yield _nothing(limit, bound, "forgetting", _why(general, "items"))


def _why(general: Mapping[str, Any] | None, part: str) -> str:
    return "general ability was not measured" if general is None else why(general, part)


def _slices(config: GateConfig, arm: Mapping[str, Any]) -> Iterator[Check]:
    limit, bound = "slice_drop_at_most", config.slice_drop_at_most
    if bound is None:
        return
    large = [
        (dimension.replace("_", " "), value, one)
        for dimension, values in (arm.get("slices") or {}).items()
        for value, one in values.items()
        if one["n_documents"] >= config.slice_smallest and one["drop"] is not None
    ]
    if not large:
        smallest = counted(config.slice_smallest, "document")
        yield _nothing(limit, bound, "slices", f"no part of the documents has {smallest} and a score")
        return
    fallen = [each for each in large if fell(each[2]["drop"], each[2]["p"], bound)]
    for dimension, value, one in fallen:
        value_of = fixed(bounds(part_score(one))[0] or 0.0)
        figures = f"{part_metric(arm)} {value_of}, {counted(one['n_documents'], 'document')}"
        what = (
            f"{dimension} {value} falls {fixed(one['drop'])} below the whole, more than {fixed(bound)} and more than"
            f" chance ({figures}, {probability(one['p'])})"
        )
        yield Check(limit, one["drop"], bound, False, what)
    if not fallen:
        worst = max(large, key=lambda each: each[2]["drop"])
        what = f"no slice of {len(large)} is shown to fall more than {fixed(bound)} below the whole"
        lowest = f"lowest: {worst[0]} {worst[1]}, {fixed(worst[2]['drop'])} below"
        yield Check(limit, worst[2]["drop"], bound, True, f"{what} ({lowest})")


def _effort(config: GateConfig, evaluation: Mapping[str, Any]) -> Iterator[Check]:
    tuned = tuned_name(evaluation)
    price = finite(lookup(evaluation, ("costs", tuned, "price"))) or None  # 0: nobody gave a price
    seconds = bounds(evaluation["arms"][tuned].get("seconds_per_document"))[0]
    for limit, value, what, missing in (
        ("price_at_most", price, "price of a document", "no price was given (evaluate.machine_price)"),
        ("seconds_at_most", seconds, "seconds a document", "no time was recorded"),
    ):
        bound = getattr(config, limit)
        if bound is None:
            continue
        if value is None:
            yield _nothing(limit, bound, what, missing)
            continue
        ok = value <= bound
        yield Check(limit, value, bound, ok, f"{what}: {quantity(value)}, {'' if ok else 'not '}at most {bound:g}")


class GateStageConfig(Config):
    """The limits of the recipe."""

    gate: GateConfig = GateConfig()
    """What a release must hold."""


def run_gate(config: GateStageConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write `verdict.json`, bound to the hash of the weights; a `fail` is refused when these are bundled.

    Raises:
        ArtifactError: what was measured is of other weights than these.
    """
    weights = inputs["model"].hash
    evaluation = inputs["evaluation"].json("evaluation.json")
    _same_weights(inputs["evaluation"], evaluation["model_hash"], weights)
    general = None
    if "forgetting" in inputs:
        general = inputs["forgetting"].json("general.json")
        _same_weights(inputs["forgetting"], inputs["forgetting"].manifest.inputs.get("model", weights), weights)
    verdict = check(config.gate, evaluation, general, weights=weights)
    write_atomic(out / "verdict.json", json.dumps(verdict.as_json(), indent=1))
    held = sum(one.ok for one in verdict.checks)
    note = f"{verdict.verdict}, {held} of {counted(len(verdict.checks), 'limit')} held"
    return {"verdict": verdict.verdict, "reasons": list(verdict.reasons), "note": note}


def _same_weights(measured: Artifact, of: str, weights: str) -> None:
    if of != weights:
        raise ArtifactError(
            "measured on other weights than those that the gate is asked about",
            where=measured.path.name,
            do="run the recipe again: what is out of date is measured anew",
        )


STAGES = (Stage("gate", 2, ("evaluation", "forgetting", "model"), GateStageConfig, run_gate, "verdict"),)
