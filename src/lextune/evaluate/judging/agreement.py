"""Which judge sees what lawyers see: judges' marks compared with those of the user's own experts.

Spearman's and Kendall's rank correlation (tau-b) and Cohen's kappa, each with an interval from resampled items. All
judges are compared on the items that every one of them and an expert marked.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median_low
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from lextune.core.counts import counted
from lextune.core.errors import DataError, shorten
from lextune.core.files import read_rows
from lextune.expert.scoring.intervals import Array, Score, draw, percentiles

WORDS = {"a": 1.0, "win": 1.0, "b": -1.0, "loss": -1.0, "tie": 0.0, "neither": 0.0}
CLASSES = frozenset(WORDS.values())
ROUNDS = 500
LEAST = 2  # items that all marked: with fewer nothing can be compared
Given = Mapping[str, float]  # item to mark
Measure = Callable[[Sequence[float], Sequence[float]], float]


class ExpertMark(BaseModel):
    """What an expert says of an item: a number of points, or which answer is better (a, b or tie)."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)
    item: str
    mark: str


def read_experts(path: Path) -> dict[str, float]:
    """Read experts' marks from JSON Lines or CSV of {item, mark}; the words of a comparison become 1, -1 and 0.

    Where an item was marked several times, points give their lower median, which is a mark that somebody gave. A
    comparison is won by the answer that more than half of the experts prefer, and else a tie.

    Raises:
        DataError: the file cannot be read, or a mark is neither a number nor one of the words.
    """
    given: dict[str, list[float]] = defaultdict(list)
    for where, row in read_rows(path, ExpertMark, "give each row an item and a mark"):
        given[row.item].append(_number(row.mark, where))
    return {item: _together(marks) for item, marks in given.items()}


def _together(marks: Sequence[float]) -> float:
    """Return what several marks of one item come to; of points that are 0 and 1 only, the majority is the median."""
    if not CLASSES.issuperset(marks):
        return median_low(marks)
    mark, count = Counter(marks).most_common(1)[0]
    return mark if 2 * count > len(marks) else WORDS["tie"]


def _number(mark: str, where: str) -> float:
    word = mark.strip().casefold()
    try:
        number = WORDS[word] if word in WORDS else float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        what = f"{shorten(mark, 40)!r} is no mark"
        raise DataError(what, where=where, do=f"write a number, or one of {', '.join(WORDS)}")
    return number


def read_judges(paths: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Read what judges said, from files of `judge.json`'s layout: by judge, the mark of each item.

    A judge is named after its model, and where several files have the same one, after the file or its path too.

    Raises:
        DataError: a file is not such a result.
    """
    judges: dict[str, dict[str, float]] = {}
    for path in paths:
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            name = str(result["judge"]["model"])
            marks = {str(row["item"]): float(row["mark"]) for row in result["marks"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = f"not a judge's result ({type(error).__name__})"
            raise DataError(what, where=str(path), do="give what `lextune judge --out` wrote") from None
        names = (name, f"{name} ({path.name})", f"{name} ({path})")
        judges[next((each for each in names if each not in judges), names[-1])] = marks
    return judges


class JudgeAgreement(NamedTuple):
    """How far one judge agrees with the experts; a score is undefined where either says the same of every item."""

    name: str
    spearman: Score
    kendall: Score
    kappa: Score

    def as_json(self) -> dict[str, Any]:
        """Return the scores as plain JSON types."""
        return {name: getattr(self, name).as_json() for name in MEASURES}


def compare_judges(judges: Mapping[str, Given], experts: Given, *, seed: int = 0) -> dict[str, Any]:
    """Compare judges with experts and choose one.

    Judges of pairs, whose marks are classes, are chosen by kappa, those who give points by Spearman's correlation;
    Kendall's decides between equals.

    Args:
        judges: by name, the mark of each item.
        experts: the mark of each item.
        seed: of the resamples.

    Returns:
        {n, left_out, measure, judges: {name: {spearman, kendall, kappa}}, best, reason, paired}: `paired` is the
        difference of the best and the next, {a, b, difference, low, high}, or null with one judge.

    Raises:
        DataError: fewer than two items have marks of all.
    """
    common = [item for item in experts if all(item in marks for marks in judges.values())]
    if len(common) < LEAST:
        raise DataError(
            f"{counted(len(common), 'item')} of {counted(len(experts), 'expert mark')} marked by every judge",
            do="give experts' marks of the items that the judges marked, by the same ids",
        )
    truth = [experts[item] for item in common]
    given = {name: [marks[item] for item in common] for name, marks in judges.items()}
    measure = "kappa" if {*truth, *(mark for marks in given.values() for mark in marks)} <= CLASSES else "spearman"
    draws = _draws(len(common), seed)
    found = [_agreement(name, marks, truth, draws) for name, marks in given.items()]
    found.sort(key=lambda one: (-_known(getattr(one, measure)), -_known(one.kendall), one.name))
    paired = _paired(given, truth, (found[0].name, found[1].name), MEASURES[measure], draws) if len(found) > 1 else None
    return {
        "n": len(common),
        "left_out": len(experts) - len(common),
        "measure": measure,
        "judges": {one.name: one.as_json() for one in found},
        "best": found[0].name,
        "reason": _reason(found, measure, len(common), paired),
        "paired": paired,
    }


def _draws(n: int, seed: int) -> list[list[int]]:
    """Return the items of each resample, by their places."""
    weights = draw(n, seed=seed, rounds=ROUNDS).astype(int)
    return [np.repeat(np.arange(n), row).tolist() for row in weights]


def _agreement(
    name: str, marks: Sequence[float], truth: Sequence[float], draws: Sequence[Sequence[int]]
) -> JudgeAgreement:
    scores = {}
    for kind, measure in MEASURES.items():
        value = measure(marks, truth)
        if math.isnan(value):
            scores[kind] = Score(None, None, None, len(truth))
        else:
            scores[kind] = Score(value, *percentiles(_resampled(marks, truth, measure, draws)), len(truth))
    return JudgeAgreement(name, **scores)


def _resampled(
    marks: Sequence[float], truth: Sequence[float], measure: Measure, draws: Sequence[Sequence[int]]
) -> Array:
    return np.array([measure([marks[i] for i in places], [truth[i] for i in places]) for places in draws])


def _paired(
    given: Mapping[str, Sequence[float]],
    truth: Sequence[float],
    names: tuple[str, str],
    measure: Measure,
    draws: Sequence[Sequence[int]],
) -> dict[str, Any]:
    values = [measure(given[name], truth) for name in names]
    difference = values[0] - values[1]
    if math.isnan(difference):
        return {"a": names[0], "b": names[1], "difference": None, "low": None, "high": None}
    both = [_resampled(given[name], truth, measure, draws) for name in names]
    low, high = percentiles(both[0] - both[1])
    return {"a": names[0], "b": names[1], "difference": difference, "low": low, "high": high}


def _reason(found: Sequence[JudgeAgreement], measure: str, n: int, paired: Mapping[str, Any] | None) -> str:
    """Return why the first of the judges was chosen, in a sentence."""
    best = getattr(found[0], measure)
    if best.value is None:
        return f"no judge can be told from another: {measure} is undefined on {counted(n, 'item')}"
    said = f"{found[0].name} agrees most with the experts: {measure} {best.value:.3f} on {counted(n, 'item')}"
    if paired is None:
        return f"{found[0].name} is the only judge: {measure} {best.value:.3f} on {counted(n, 'item')}"
    other = getattr(found[1], measure)
    if other.value is None or paired["low"] is None:
        return f"{said}; {found[1].name} has none"
    shown = "better" if paired["low"] > 0 else "not shown to be better"
    between = f"{paired['difference']:+.3f}, {paired['low']:+.3f} to {paired['high']:+.3f}"
    return f"{said}, {other.value:.3f} of {found[1].name}: {shown} (difference {between})"


def _known(score: Score) -> float:
    return -math.inf if score.value is None else score.value


def _varies(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(set(a)) > 1 and len(set(b)) > 1


def _spearman(a: Sequence[float], b: Sequence[float]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic) if _varies(a, b) else math.nan


def _kendall(a: Sequence[float], b: Sequence[float]) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(a, b).statistic) if _varies(a, b) else math.nan


def _kappa(a: Sequence[float], b: Sequence[float]) -> float:
    from sklearn.metrics import cohen_kappa_score

    if len({*a, *b}) < 2:
        return math.nan
    return float(cohen_kappa_score([str(mark) for mark in a], [str(mark) for mark in b]))


MEASURES: Mapping[str, Measure] = {"spearman": _spearman, "kendall": _kendall, "kappa": _kappa}
