"""What an evaluation says in short: the table of all arms, and the paragraph that judges the fine-tune.

An evaluation of several arms, as stored, is a mapping:

    arms         {arm: Evaluation.as_json()}, all on the same documents; of a task other than clause extraction
                 {arm: {n_documents, primary, scores: {metric: Score}, detail, ...}}, as its scorer gives them
    subset_arms  the same for arms that ran on fewer, beside the tuned arm on those same documents
    paired       [{a, b, metric, difference, low, high, p, n_documents, verdict, sentence}], a minus b: micro field F1,
                 or the task's primary metric
    mcnemar      [{a, b, what, n, only_a, only_b, p, adjusted}], where something is asked with yes or no
    costs        {arm: {tokens_in, tokens_out, price}}, the price that of one document
    tuned        the name of the tuned arm
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lextune.core.errors import DataError
from lextune.evaluate.formatting import bounds, finite, fixed, missing, probability, quantity, score

FEW_SHOT = "base-few-shot"
ZERO_SHOT = "base-zero-shot"
LINEAR = "linear"
ALWAYS_NULL = "always-null"
ALWAYS_PRESENT = "always-present"
ECHO = "echo"
SIGNIFICANT = 0.05  # a difference counts from a p below this

SFT = "sft"
SHOTS = re.compile(r"base-(few|\d+)-shot")
"""Names of few-shot arms: by the number of worked examples where several numbers were tried."""
Place = tuple[str, ...]
"""Where a score is in an arm's evaluation: keys of nested mappings."""

ARMS = {
    ZERO_SHOT: "the base model as it comes, given the question only",
    FEW_SHOT: "the base model as it comes, given the question and worked examples",
    LINEAR: "TF-IDF and logistic regression a sentence, trained on the same documents in seconds",
    ALWAYS_NULL: "answers that no field is present",
    ALWAYS_PRESENT: "answers that every field is present and quotes the first line",
    ECHO: "answers every field with the whole document",
    SFT: "the fine-tuned model before it learnt from preferences (DPO), with the same thresholds",
}
"""What the standing arms are; the tuned arm has a name of its own."""

_ARM_NAME = re.compile(r"\w[\w .+-]{0,60}")


def check_arm_name(name: str) -> None:
    """Refuse a name that an arm of a recipe's own choice may not have.

    Raises:
        ValueError: it names a standing arm, whose answers would be taken for this one's, or it is no file's name.
    """
    if name in ARMS or name == "tuned" or SHOTS.fullmatch(name):
        raise ValueError(f"{name!r} is the name of an arm that every evaluation has: choose another")
    if not _ARM_NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a file's name: use letters, digits, spaces and . + - _")


COLUMNS: dict[str, Place] = {
    "field F1": ("field", "micro", "f1"),
    "macro F1": ("field", "macro", "f1"),
    "ContractEval F1": ("contracteval", "f1"),
    "Jaccard": ("contracteval", "jaccard"),
    "false-null": ("contracteval", "false_null_rate"),
    "invented": ("invented_rate",),
}
"""The scores of the summary table, and where they are in `Evaluation.as_json()`."""


def columns(arm: Mapping[str, Any]) -> dict[str, Place]:
    """Return the scores of an arm's summary and where they are: those of clause extraction, or of its task's scorer."""
    scores = arm.get("scores")
    return {name: ("scores", name) for name in scores} if isinstance(scores, Mapping) else COLUMNS


def primary(arm: Mapping[str, Any]) -> tuple[str, Place]:
    """Return the name and the place of the score that arms are compared by."""
    name = arm.get("primary")
    return (str(name), ("scores", str(name))) if name is not None else ("field F1", COLUMNS["field F1"])


def part_score(one: Mapping[str, Any] | None) -> Any:
    """Return the score of a part of the documents: the field F1 of contracts, else the task's primary metric."""
    return None if one is None else one.get("field_f1", one.get("score"))


def part_metric(arm: Mapping[str, Any]) -> str:
    """Return the name of that score."""
    return "F1" if arm.get("primary") is None else primary(arm)[0]


def describe(name: str) -> str:
    """Return what an arm is, from its name."""
    shots = SHOTS.fullmatch(name)
    if name in ARMS or shots is None:
        return ARMS.get(name, "an arm of this evaluation")
    return f"the base model as it comes, given the question and {shots[1]} worked examples"


def lookup(evaluation: Mapping[str, Any], path: Place) -> Any:
    """Return what lies at `path` in nested mappings, None where there is nothing."""
    place: Any = evaluation
    for key in path:
        place = place.get(key) if isinstance(place, Mapping) else None
    return place


def tuned_name(evaluation: Mapping[str, Any]) -> str:
    """Return the name of the tuned arm.

    Raises:
        DataError: no arm has that name.
    """
    name, arms = evaluation.get("tuned", "tuned"), evaluation.get("arms") or {}
    if name not in arms:
        known = ", ".join(map(repr, arms)) or "none"
        raise DataError(
            f"the tuned arm {name!r} was not evaluated; evaluated: {known}",
            where="evaluation.tuned",
            do="name an arm of evaluation.arms, or evaluate that arm first",
        )
    return str(name)


def summary_rows(arms: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return one row an arm, under `summary_header(arms)`, in the order given."""
    wanted = _columns(arms)
    return [_row(name, arm, wanted) for name, arm in arms.items()]


def _columns(arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Place]:
    """Return the columns of arms of one task: those of any of them."""
    return {name: place for arm in arms.values() for name, place in columns(arm).items()} or COLUMNS


def _row(name: str, arm: Mapping[str, Any], wanted: Mapping[str, Place]) -> list[str]:
    n = arm.get("n_documents")
    scores = [score(lookup(arm, path), n) for path in wanted.values()]
    speed = arm.get("contracts_per_hour")
    return [name, quantity(n), *scores, missing(n) if finite(speed) is None else quantity(speed)]


def summary_header(arms: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
    """Return the column names of the summary table of these arms; without any, those of clause extraction."""
    wanted = _columns(arms or {})
    return ["arm", "documents", *wanted, "contracts/hour" if wanted == COLUMNS else "documents/hour"]


def summary_table(evaluation: Mapping[str, Any]) -> list[list[str]]:
    """Return the before/after table as plain text cells, the header first.

    Arms on all documents come first, then those on the smaller subset, which the column `documents` shows.
    Scores carry their 95 % interval; a null is `n/a (n=..)`.
    """
    groups = (evaluation.get("arms") or {}, evaluation.get("subset_arms") or {})
    return [summary_header(groups[0]), *(row for arms in groups for row in summary_rows(arms))]


@dataclass(frozen=True)
class Comparison:
    """The tuned arm against another on the same documents; the test is None where none was made.

    `tuned` and `other` are the two evaluations; the test is {difference, low, high, p}, tuned minus other.
    """

    name: str
    n_documents: int | None
    tuned: Mapping[str, Any]
    other: Mapping[str, Any]
    test: Mapping[str, Any] | None

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `no clear difference` or `not tested`."""
        return verdict(self.test or {})


def verdict(test: Mapping[str, Any]) -> str:
    """Judge a paired test: is `a` `better` than `b`, `worse`, or is there `no clear difference`?

    A difference counts where p is below 0.05. Without an interval (fewer than two documents) nothing was
    tested, whatever p says.
    """
    difference, p, low = (finite(test.get(key)) for key in ("difference", "p", "low"))
    if difference is None or p is None or low is None:
        return "not tested"
    if p >= SIGNIFICANT or difference == 0:
        return "no clear difference"
    return "better" if difference > 0 else "worse"


def compare(evaluation: Mapping[str, Any], other: str) -> Comparison | None:
    """Return the tuned arm against `other` on the largest set of documents on which both ran, else None."""
    tuned = tuned_name(evaluation)
    for key in ("arms", "subset_arms"):
        arms = evaluation.get(key) or {}
        if tuned in arms and other in arms:
            test = _test(evaluation, tuned, other)
            documents = arms[tuned].get("n_documents")
            if test is not None and test.get("n_documents") is not None:
                documents = test["n_documents"]
            return Comparison(other, documents, arms[tuned], arms[other], test)
    return None


def _test(evaluation: Mapping[str, Any], a: str, b: str) -> Mapping[str, Any] | None:
    """Return the paired test of a minus b, turned round where it is stored as b minus a."""
    for test in evaluation.get("paired") or []:
        pair = (test.get("a"), test.get("b"))
        if pair == (a, b):
            return dict(test)
        if pair == (b, a):
            difference, low, high = (finite(test.get(key)) for key in ("difference", "low", "high"))
            turned = {"difference": difference, "low": high, "high": low}
            return {**test, **{key: None if v is None else -v for key, v in turned.items()}}
    return None


def judgement(evaluation: Mapping[str, Any]) -> list[str]:
    """Return the sentences of the first paragraph: what tuning gained, and whether it beats `linear`.

    Raises:
        DataError: the tuned arm was not evaluated.
    """
    tuned = evaluation["arms"][tuned_name(evaluation)]
    few_shot = best_few_shot(evaluation)
    before = compare(evaluation, few_shot) if few_shot else compare(evaluation, ZERO_SHOT)
    linear = compare(evaluation, LINEAR)
    has_linear = linear is not None or "scores" not in tuned  # there is a linear baseline for clause extraction only
    return [*_gain(before, tuned), *(_against_linear(linear) if has_linear else ())]


def best_few_shot(evaluation: Mapping[str, Any]) -> str | None:
    """Return the few-shot arm with the highest score, None where none ran."""
    found = {**(evaluation.get("arms") or {}), **(evaluation.get("subset_arms") or {})}
    names = [name for name in found if SHOTS.fullmatch(name)]
    return max(names, key=lambda name: bounds(_primary(found[name]))[0] or 0.0, default=None)


def _gain(before: Comparison | None, tuned: Mapping[str, Any]) -> list[str]:
    if before is None:
        documents = _documents(tuned.get("n_documents"))
        return [
            "No base model was evaluated beside it, so what tuning gained is not known."
            f" The fine-tune has a {primary(tuned)[0]} of {score(_primary(tuned), tuned.get('n_documents'))}"
            f" on {documents}."
        ]
    what = "the question only" if before.name == ZERO_SHOT else "worked examples in the prompt (few-shot)"
    asked = f"the same base model given {what}"
    opening = {
        "better": f"Tuning gained over {asked}",
        "worse": f"Tuning made it worse than {asked}",
        "no clear difference": f"Tuning gained nothing that can be told from chance over {asked}",
        "not tested": f"What tuning gained over {asked} was not tested",
    }[before.verdict]
    return [f"{opening}: {_figures(before)}.", *_of_a_hundred(before)]


def _against_linear(linear: Comparison | None) -> list[str]:
    if linear is None:
        return [
            "The linear baseline was not evaluated beside it, so whether the fine-tune does anything useful"
            " is not known."
        ]
    figures = _figures(linear)
    useless = "a fine-tune that does not beat linear is doing nothing useful"
    opening = {
        "better": "The fine-tune beats the linear baseline in the paired test",
        "worse": "The fine-tune is worse than the linear baseline in the paired test",
        "no clear difference": "The fine-tune does not beat the linear baseline in the paired test",
        "not tested": "No paired test shows that the fine-tune beats the linear baseline",
    }[linear.verdict]
    return [f"{opening}: {figures}{'' if linear.verdict == 'better' else f'; {useless}'}."]


def _figures(pair: Comparison) -> str:
    tuned, other = (
        missing(pair.n_documents) if value is None else fixed(value)
        for value in (bounds(_primary(pair.tuned))[0], bounds(_primary(pair.other))[0])
    )
    text = f"{primary(pair.tuned)[0]} {tuned} against {other} on {_documents(pair.n_documents, same=True)}"
    if pair.test is None or pair.verdict == "not tested":
        return text
    difference, low, high = (fixed(pair.test[key], sign=True) for key in ("difference", "low", "high"))
    return f"{text}, a difference of {difference} (95 % interval {low} to {high}, {probability(pair.test['p'])})"


def _of_a_hundred(pair: Comparison) -> list[str]:
    """Say recall and precision as counts of a hundred, where both arms have them."""
    rates = {
        (arm, key): bounds(lookup(evaluation, ("field", "micro", key)))[0]
        for arm, evaluation in (("tuned", pair.tuned), ("other", pair.other))
        for key in ("recall", "precision")
    }

    def hundred(arm: str, key: str) -> str:
        value = rates[arm, key]
        return "not known" if value is None else f"{100 * value:.0f}"

    if rates["tuned", "recall"] is None or rates["tuned", "precision"] is None:
        return []
    return [
        f"Of every 100 clauses that are there it gets {hundred('tuned', 'recall')} right"
        f" (before: {hundred('other', 'recall')}); of every 100 answers it gives,"
        f" {hundred('tuned', 'precision')} are right (before: {hundred('other', 'precision')})."
    ]


def _primary(arm: Mapping[str, Any]) -> Any:
    return lookup(arm, primary(arm)[1])


def _documents(n: Any, *, same: bool = False) -> str:
    if n is None:
        return "an unknown number of held-out documents"
    return f"{'the same ' if same else ''}{quantity(n)} held-out document{'' if n == 1 else 's'}"
