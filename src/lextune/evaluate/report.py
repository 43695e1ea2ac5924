"""The evaluation report: one HTML file that says what tuning gained, and shows how it is known.

    html = render_report(ReportData(title="...", release="...", created="...", evaluation={...}))

Nothing is fetched and nothing runs, so the file can be mailed, filed and printed; the same data give the
same bytes. Text from documents is escaped wherever it stands.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.figures import SYMBOLS
from lextune.core.pages import page_template
from lextune.evaluate import tables
from lextune.evaluate.facts import card_facts, estimate_table, rest_of_preflight
from lextune.evaluate.formatting import fixed, plain, quantity, score
from lextune.evaluate.plots import Series, curve_plot, curve_points, field_plot
from lextune.evaluate.summary import ARMS, ECHO, SIGNIFICANT, judgement, lookup, tuned_name
from lextune.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Template

Kind = Literal["right", "wrong value", "missed", "invented"]
KINDS: tuple[Kind, ...] = ("right", "wrong value", "missed", "invented")
MAX_TEXT = 1_500  # characters of a gold part, an answer or a context; what is cut is counted


class Example(BaseModel):
    """One answer beside its gold.

    `gold` are the quoted parts, none for a null; `answer` is the text answered, None for null; `confidence`
    is a probability; `context` is the text around the gold or the answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    document: str
    field: str
    kind: Kind
    gold: tuple[str, ...] = ()
    answer: str | None = None
    confidence: float | None = None
    context: str = ""


class Reply(BaseModel):
    """A held-out prompt that is answered in free text: what was written for it, the tuned answer and the base's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    document: str
    prompt: str
    gold: str
    tuned: str | None = None
    base: str | None = None


class ReportData(BaseModel):
    """Everything the report shows; a part that is empty says so in the report.

    `evaluation` is described in `lextune.evaluate.summary`; `card` and `preflight` in
    `lextune.evaluate.facts`; `curves` holds `loss`, `eval_loss` and `lr`, each [{step, value}]. `machine`
    says on what the times were measured; `official_test` that the documents are CUAD's 102 official test
    contracts.
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
    machine: str = ""
    official_test: bool = False


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
        arms=_described(evaluation, tuned),
        examples=[(kind, [e for e in data.examples if e.kind == kind]) for kind in KINDS],
        definitions=_definitions(evaluation),
        echo=_echo(evaluation),
        **_scores(data),
        **_training(data),
    )
    return printable(html)


def _scores(data: ReportData) -> dict[str, Any]:
    evaluation = data.evaluation
    names = tables.ranked_fields(evaluation)
    kinds = list(lookup(evaluation["arms"][tuned_name(evaluation)], ("by_contract_type",)) or {})
    shown = tables.shown_arms(evaluation)
    by_field = functools.partial(tables.slice_table, evaluation, "by_field", first="field")
    return {
        "headline": tables.headline(evaluation),
        "paired": tables.paired_table(evaluation),
        "field_scores": tables.arm_table(evaluation, "Precision and recall", tables.FIELD),
        "field_plot": field_plot(
            names,
            [Series(label, _f1_by_field(arm)) for label, arm in shown],
            label="F1 of each field with its 95 % interval; the table of every field holds the numbers",
        ),
        "field_legend": list(zip(SYMBOLS, (label for label, _ in shown), strict=False)),
        "fields": by_field(names, caption="Every field"),
        "worst": by_field(tables.worst_fields(evaluation), caption="Fields with the lowest F1"),
        "contracteval": tables.contracteval_table(evaluation, official_test=data.official_test),
        "ranking": tables.arm_table(evaluation, "Ranking and calibration", tables.RANKING),
        "formats": tables.arm_table(evaluation, "Format and grounding", tables.FORMAT),
        "types": tables.slice_table(
            evaluation, "by_contract_type", kinds, caption="By contract type", first="contract type"
        ),
        "cost": tables.cost_table(evaluation),
    }


def _f1_by_field(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry.get("field_f1") for name, entry in (arm.get("by_field") or {}).items()}


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
    known = {**ARMS, tuned: "the fine-tuned model, answering as it is served"}
    return [(name, known.get(name, "an arm of this evaluation")) for name in names]


def _echo(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Return what the echo arm scored here, "" where it did not run, and on the official contracts."""
    own = lookup(evaluation, ("arms", ECHO, "contracteval", "f1"))
    return {"here": score(own) if own is not None else "", "official": fixed(tables.ECHO_OFFICIAL)}


def _definitions(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings behind the scores as text, from where they are defined."""
    from lextune.expert.scoring import intervals, ranking
    from lextune.text.values import TEXT_MATCH

    null = tables.always_null_accuracy(evaluation)
    return {
        "rounds": quantity(intervals.ROUNDS),
        "paired_rounds": quantity(intervals.PAIRED_ROUNDS),
        "text_match": f"{TEXT_MATCH:g}",
        "span_match": f"{ranking.MATCH:g}",
        "bins": quantity(ranking.BINS),
        "significant": f"{SIGNIFICANT:g}",
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
