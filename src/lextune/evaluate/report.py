"""The evaluation report: one HTML file that says what tuning gained, and shows how it is known.

    html = render_report(ReportData(title="...", release="...", created="...", evaluation={...}))

Nothing is fetched and nothing runs, so the file can be mailed, filed and printed; the same data give the
same bytes. Text from documents is escaped wherever it stands.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.figures import SYMBOLS
from lextune.core.pages import page_template
from lextune.evaluate import besides, tables
from lextune.evaluate.besides import detail_facts
from lextune.evaluate.facts import card_facts, estimate_table, rest_of_preflight
from lextune.evaluate.formatting import bounds, fixed, plain, quantity, score
from lextune.evaluate.plots import (
    Arm,
    Line,
    Series,
    cost_plot,
    curve_plot,
    curve_points,
    field_plot,
    line_plot,
)
from lextune.evaluate.slices import slice_tables, slices_plot
from lextune.evaluate.summary import ECHO, SIGNIFICANT, describe, judgement, lookup, primary, tuned_name
from lextune.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Template

Kind = Literal["right", "wrong value", "missed", "invented"]
KINDS: tuple[Kind, ...] = ("right", "wrong value", "missed", "invented")
MAX_TEXT = 1_500  # characters of a gold part, an answer or a context; what is cut is counted


class Example(BaseModel):
    """One answer beside its gold.

    `gold` are the quoted parts, none for a null; `answer` is the text answered, None for null; `confidence`
    is a probability; `context` is the text around the gold or the answer, `page` the page (from 1) of the gold or the
    answer, None where the document has no pages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    document: str
    field: str
    kind: Kind
    gold: tuple[str, ...] = ()
    answer: str | None = None
    confidence: float | None = None
    context: str = ""
    page: int | None = None


class Reply(BaseModel):
    """A held-out prompt that is answered in free text: what was written for it, the tuned answer and the base's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    document: str
    prompt: str
    gold: str
    tuned: str | None = None
    base: str | None = None


class ReportData(BaseModel):
    """Everything the report shows; a part that is empty or None says in the report that it was not run.

    `evaluation` is described in `lextune.evaluate.summary`; `card` and `preflight` in `lextune.evaluate.facts`;
    `curves` holds `loss`, `eval_loss` and `lr`, each [{step, value}]. `verdict`, `general`, `stress`, `twins`, `judge`
    and `blind` are what the stages of these names wrote; `trace` is of `besides.lineage`. `machine` says on what the
    times were measured; `official_test` that the documents are CUAD's 102 official test contracts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str
    release: str
    created: str
    evaluation: dict[str, Any]
    card: dict[str, Any] = {}
    curves: dict[str, list[dict[str, float | None]]] = {}
    preflight: dict[str, Any] = {}
    examples: tuple[Example, ...] = ()
    replies: tuple[Reply, ...] = ()
    verdict: dict[str, Any] | None = None
    general: dict[str, Any] | None = None
    stress: dict[str, Any] | None = None
    twins: dict[str, Any] | None = None
    judge: dict[str, Any] | None = None
    blind: dict[str, Any] | None = None
    trace: tuple[dict[str, Any], ...] = ()
    machine: str = ""
    official_test: bool = False


SECTIONS = {
    "verdict": "Verdict of the gate",
    "arms": "All arms",
    "detail": "What the task's scorer says",
    "fields": "Before and after, by field",
    "contracteval": "ContractEval",
    "quality": "Ranking, calibration, format",
    "worst": "Worst fields",
    "slices": "Slices: parts of the documents",
    "general": "General ability, before and after",
    "stress": "Under stress",
    "twins": "UK twins",
    "judge": "Judged by a model",
    "blind": "Judged by people who saw no names",
    "data": "Data card",
    "training": "Training",
    "replies": "Held-out prompts, beside the base model",
    "examples": "Examples, right and wrong",
    "cost": "Time, tokens and money",
    "estimate": "Estimate against truth",
    "trace": "Where the numbers come from",
    "definitions": "How the numbers were computed",
}
OF_CLAUSES = ("fields", "contracteval", "quality", "worst", "twins", "examples")


class Piece(NamedTuple):
    """A run of a context; `lit` where it is gold."""

    text: str
    lit: bool


def render_report(data: ReportData) -> str:
    """Return the report as one self-contained HTML page.

    Raises:
        DataError: the arm that `evaluation` calls tuned was not evaluated.
    """
    evaluation = data.evaluation
    tuned = tuned_name(evaluation)
    html = _template().render(
        data=data,
        tuned=tuned,
        judgement=judgement(evaluation),
        sections=_sections(data),
        arms=_described(evaluation, tuned),
        examples=[(kind, [e for e in data.examples if e.kind == kind]) for kind in KINDS],
        definitions=_definitions(evaluation),
        headline=tables.headline(evaluation),
        paired=tables.paired_table(evaluation),
        mcnemar=tables.mcnemar_table(evaluation),
        clauses=not _other_task(evaluation),
        slices=slice_tables(evaluation),
        slices_plot=slices_plot(evaluation),
        **(_of_another_task(data) if _other_task(evaluation) else _of_clauses(data)),
        **_cost(evaluation),
        **_besides(data),
        **_training(data),
    )
    return printable(html)


def report_json(data: ReportData) -> str:
    """Return the report's content as JSON: what the page is made of, and its first paragraph; NaN is null.

    Raises:
        DataError: the arm that `evaluation` calls tuned was not evaluated.
    """
    content = {"judgement": judgement(data.evaluation), **data.model_dump(mode="json")}
    return json.dumps(_without_nan(content), ensure_ascii=False, indent=1, allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _other_task(evaluation: Mapping[str, Any]) -> bool:
    return "scores" in evaluation["arms"][tuned_name(evaluation)]


def _sections(data: ReportData) -> list[tuple[str, str]]:
    """Return the sections of this report: key and heading."""
    other = _other_task(data.evaluation)
    left_out = set(OF_CLAUSES) if other else {"detail"}
    if not data.replies:
        left_out.add("replies")
    return [(key, name) for key, name in SECTIONS.items() if key not in left_out]


def _of_clauses(data: ReportData) -> dict[str, Any]:
    evaluation = data.evaluation
    names = tables.ranked_fields(evaluation)
    shown = tables.shown_arms(evaluation)
    by_field = functools.partial(tables.slice_table, evaluation, "by_field", first="field")
    return {
        "field_scores": tables.arm_table(evaluation, "Precision and recall", tables.FIELD),
        "field_plot": field_plot(
            names,
            [Series(label, _f1_by_field(arm)) for label, arm in shown],
            label="F1 of each field with its 95 % interval; the table of every field holds the numbers",
        ),
        "legend": list(zip(SYMBOLS, (label for label, _ in shown), strict=False)),
        "fields": by_field(names, caption="Every field"),
        "worst": by_field(tables.worst_fields(evaluation), caption="Fields with the lowest F1"),
        "contracteval": tables.contracteval_table(evaluation, official_test=data.official_test),
        "echo": _echo(evaluation),
        "ranking": tables.arm_table(evaluation, "Ranking and calibration", tables.RANKING),
        "formats": tables.arm_table(evaluation, "Format and grounding", tables.FORMAT),
        "plots": _curves(shown),
    }


def _of_another_task(data: ReportData) -> dict[str, Any]:
    found = tables.all_arms(data.evaluation)
    return {
        "field_scores": None,
        "details": [(name, detail_facts(arm["detail"])) for name, arm in found.items() if arm.get("detail")],
    }


def _f1_by_field(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry.get("field_f1") for name, entry in (arm.get("by_field") or {}).items()}


def _curves(shown: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Return the plots of precision by recall, of calibration, and of risk by coverage."""
    curves = [(label, arm.get("curves") or {}) for label, arm in shown]
    bins = [(label, found.get("calibration") or ()) for label, found in curves]
    return {
        "precision_recall": line_plot(
            "ranking",
            [Line(label, found.get("precision_recall") or ()) for label, found in curves],
            ("recall", "precision"),
            label="Precision of quoted spans by recall, a curve an arm",
        ),
        "calibration": line_plot(
            "calibration",
            [
                Line(label, [(b["confidence"], b["right"]) for b in found], [(b["low"], b["high"]) for b in found])
                for label, found in bins
            ],
            ("confidence", "share right"),
            label="Share of quoted spans that are right by their confidence, a curve an arm",
            diagonal=True,
        ),
        "risk_coverage": line_plot(
            "risk",
            [Line(label, found.get("risk_coverage") or ()) for label, found in curves],
            ("share of answers let through", "share of them that is wrong"),
            label="Share of wrong answers by the share that is let through, the surest first, a curve an arm",
        ),
    }


def _cost(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of what arms take, and its plot: by price where two arms have one, else by time."""
    found = tables.all_arms(evaluation)
    prices = {name: tables.price_of(evaluation, name) for name in found}
    priced = sum(price is not None for price in prices.values()) > 1
    times = {name: bounds(arm.get("seconds_per_document"))[0] for name, arm in found.items()}
    costs = prices if priced else times
    arms = [Arm(name, costs[name] or 0.0, lookup(arm, primary(arm)[1])) for name, arm in found.items()]
    name = primary(found[tuned_name(evaluation)])[0]
    titles = ("price of a document" if priced else "seconds a document", name)
    plot = cost_plot(arms, titles, label=f"{name} of every arm by the {titles[0]}; the tables hold the numbers")
    return {"cost": tables.cost_table(evaluation), "cost_plot": plot}


def _besides(data: ReportData) -> dict[str, Any]:
    makers = {
        "general": besides.general_facts,
        "stress": besides.stress_facts,
        "twins": besides.twins_facts,
        "judge": besides.judged_facts,
        "blind": besides.judged_facts,
    }
    parts = {name: getattr(data, name) for name in makers}
    return {
        "checks": besides.verdict_table(data.verdict or {}),
        "trace": besides.trace_table(data.trace),
        **{name: None if parts[name] is None else make(parts[name]) for name, make in makers.items()},
    }


def _training(data: ReportData) -> dict[str, Any]:
    lost = sum(curve_points(data.curves.get(name) or [])[1] for name in ("loss", "eval_loss", "lr"))
    return {
        "card": card_facts(data.card),
        "curve_plot": curve_plot(data.curves, label="Training and validation loss by optimiser step"),
        "curve_legend": [("━", "training loss"), (SYMBOLS[1], "validation loss"), ("━", "learning rate")],
        "not_finite": lost,
        "estimate": estimate_table(data.preflight),
        "preflight": rest_of_preflight(data.preflight),
    }


def _described(evaluation: Mapping[str, Any], tuned: str) -> list[tuple[str, str]]:
    """Return the arms that ran, each with what it is."""
    names = dict.fromkeys([*evaluation["arms"], *(evaluation.get("subset_arms") or {})])
    own = "the fine-tuned model, answering as it is served"
    return [(name, own if name == tuned else describe(name)) for name in names]


def _echo(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Return what the echo arm scored here, "" where it did not run, and on the official contracts."""
    own = lookup(evaluation, ("arms", ECHO, "contracteval", "f1"))
    return {"here": score(own) if own is not None else "", "official": fixed(tables.ECHO_OFFICIAL)}


def _definitions(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings behind the scores as text, from where they are defined."""
    from lextune.expert.scoring import intervals, ranking, slices
    from lextune.text.values import TEXT_MATCH

    null = tables.always_null_accuracy(evaluation)
    name = primary(evaluation["arms"][tuned_name(evaluation)])[0]
    return {
        "rounds": quantity(intervals.ROUNDS),
        "paired_rounds": quantity(intervals.PAIRED_ROUNDS),
        "text_match": f"{TEXT_MATCH:g}",
        "span_match": f"{ranking.MATCH:g}",
        "bins": quantity(ranking.BINS),
        "significant": f"{SIGNIFICANT:g}",
        "smallest": quantity(slices.SMALLEST),
        "compared": "micro field F1" if name == "field F1" else name,
        "always_null": f"{100 * null[0]:.0f} % of the {quantity(null[1])} pairs" if null else "",
    }


@functools.cache
def _template() -> Template:
    return page_template("lextune.evaluate", "report.html.j2", cut=cut, lit=lit, plain=plain, quantity=quantity)


def cut(text: str) -> str:
    """Return text for display: at most MAX_TEXT characters, and how many were cut."""
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT:,} characters more)"


def lit(context: str, gold: Sequence[str]) -> list[Piece]:
    """Cut a context wherever a gold part begins or ends; the pieces joined are the context as cut.

    White space in a gold part matches any white space; of parts that overlap, the longer is lit.
    """
    shown = cut(context)
    parts = sorted({part for part in gold if part.strip()}, key=lambda part: (-len(part), part))
    if not parts:
        return [Piece(shown, False)]
    pattern = "|".join(r"\s+".join(map(re.escape, part.split())) for part in parts)
    pieces, end = [], 0
    for match in re.finditer(pattern, shown):
        pieces += [Piece(shown[end : match.start()], False), Piece(match[0], True)]
        end = match.end()
    return [piece for piece in (*pieces, Piece(shown[end:], False)) if piece.text]
