"""The evaluation report: honest first paragraph, no NaN, nothing fetched, hostile text inert, same bytes."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree, html

from lextune.core.artifacts import Artifact, write_atomic
from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel, Span
from lextune.evaluate.besides import lineage
from lextune.evaluate.facts import MAX_ROWS, card_facts, estimate_table, facts
from lextune.evaluate.plots import Arm, Series, cost_plot, field_plot, scale
from lextune.evaluate.report import MAX_TEXT, Example, ReportData, cut, lit, render_report, report_json
from lextune.evaluate.tables import always_null_accuracy, mcnemar_table

HOSTILE = "<script>alert('x')</script>\"><img src=http://evil.example/a onerror=alert(1)>{{ 7*7 }} $x_1$ \x00\x0b法"


def leaf(value: float | None, n: int = 100) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "n": n}
    return {"value": value, "low": max(0.0, value - 0.05), "high": min(1.0, value + 0.05), "n": n}


def slice_of(f1: float | None, present: int = 5) -> dict[str, Any]:
    return {
        "n_documents": 20,
        "n_present": present,
        "field_f1": leaf(f1),
        "contracteval_f1": leaf(f1),
        "jaccard": leaf(f1),
    }


def part_of(f1: float | None, drop: float | None, p: float | None) -> dict[str, Any]:
    return {**slice_of(f1), "drop": drop, "p": p}


def arm(f1: float | None, n: int = 20, **changes: Any) -> dict[str, Any]:
    scores = {"precision": leaf(f1), "recall": leaf(f1), "f1": leaf(f1)}
    values = {
        "n_documents": n,
        "n_not_assessed": 0,
        "field": {"micro": scores, "macro": {**scores, "n_fields": 3, "n_left_out": 0}},
        "contracteval": {
            "f1": leaf(f1, 200),
            "f2": leaf(f1, 200),
            "jaccard": leaf(f1, 60),
            "false_null_rate": leaf(0.1),
        },
        "aupr": leaf(f1),
        "precision_at_80_recall": leaf(f1),
        "ece": leaf(0.05),
        "answer_ece": leaf(0.04),
        "aurc": leaf(0.1),
        "valid_json_rate": leaf(None, 0),
        "grounded_rate": leaf(1.0),
        "invented_rate": leaf(0.04),
        "seconds_per_document": 9.25,
        "tokens_per_document": 12_345.6,
        "contracts_per_hour": 389.2,
        "by_field": {
            "Parties": slice_of(f1),
            "Governing Law": slice_of(f1 and f1 / 2),
            "Warranty": slice_of(None, 0),
        },
        "by_contract_type": {"Supply": slice_of(f1), "unknown": slice_of(None)},
        "slices": {
            "contract_type": {"Supply": part_of(f1, -0.02, 0.8), "unknown": part_of(None, None, None)},
            "length": {"up to 8,000 tokens": part_of(f1, 0.0, 1.0), "over 8,000 tokens": part_of(0.3, 0.4, 0.002)},
        },
        "curves": {
            "precision_recall": [[0.0, 1.0], [0.5, 0.9], [0.8, 0.6]],
            "calibration": [
                {"n": 9, "confidence": 0.25, "right": 0.3, "low": 0.1, "high": 0.5},
                {"n": 20, "confidence": 0.9, "right": 0.8, "low": None, "high": None},
            ],
            "risk_coverage": [[0.3, 0.05], [1.0, 0.2]],
        },
    }
    return {**values, **changes}


def paired(a: str, b: str, difference: float, p: float, **changes: Any) -> dict[str, Any]:
    low, high = difference - 0.02, difference + 0.02
    return {
        "a": a,
        "b": b,
        "difference": difference,
        "low": low,
        "high": high,
        "p": p,
        "n_documents": 20,
    } | changes


def evaluation(**changes: Any) -> dict[str, Any]:
    values = {
        "arms": {
            "tuned": arm(0.79),
            "linear": arm(0.74),
            "always-null": arm(None, seconds_per_document=None, contracts_per_hour=None),
            "always-present": arm(0.1),
            "echo": arm(0.485),
        },
        "subset_arms": {
            "tuned": arm(0.8, 6),
            "base-zero-shot": arm(0.02, 6),
            "base-few-shot": arm(0.11, 6),
        },
        "paired": [
            paired("tuned", "linear", 0.05, 0.004, verdict="better"),
            paired("tuned", "base-few-shot", 0.69, 0.0002, n_documents=6),
        ],
        "tuned": "tuned",
    }
    return {**values, **changes}


CHECK = ("limit", "value", "bound", "ok", "what")
BESIDES: dict[str, Any] = {
    "verdict": {
        "verdict": "fail",
        "weights": "3f9a" * 16,
        "reasons": ["field F1 is 0.600: not at least 0.700"],
        "checks": [
            dict(zip(CHECK, ("invented_at_most", 0.04, 0.05, True, "invented values is 0.040"), strict=True)),
            dict(zip(CHECK, ("f1_at_least", 0.6, 0.7, False, "field F1 is 0.600: not at least 0.700"), strict=True)),
            dict(zip(CHECK, ("better_than linear", None, None, False, "that arm did not run"), strict=True)),
        ],
    },
    "general": {
        "items": {
            "base": {"accuracy": leaf(0.5), "likelihood": -3.2, "kinds": {"sums": 0.4}},
            "tuned": {"accuracy": leaf(0.45), "likelihood": -3.3, "kinds": {"sums": 0.3}},
            "paired": {"difference": -0.05, "low": -0.1, "high": 0.01, "p": 0.09, "n_documents": 120},
        },
        "perplexity": {"base": leaf(20.5), "tuned": leaf(21.5), "paired": None, "texts": 30},
        "generated": None,
        "why": "the model writes nothing",
    },
    "stress": {
        "documents": 8,
        "kinds": {
            "ocr_noise": {
                "what": "letters are misread",
                "answers": 80,
                "changed": leaf(0.2),
                "invented": None,
                "failed": 0,
                "examples": [{"document": "d1", "field": "Law", "before": "Ohio", "after": None}],
            }
        },
    },
    "twins": {
        "documents": 9,
        "edits_per_document": 41.5,
        "original": {"f1": leaf(0.8), "contracteval_f1": leaf(0.7), "jaccard": leaf(0.5)},
        "twin": {"f1": leaf(0.75), "contracteval_f1": leaf(0.66), "jaccard": leaf(0.49)},
        "paired": {"difference": -0.05, "low": -0.09, "high": -0.01, "p": 0.02, "n_documents": 9},
        "by_field": {
            "Law": {"n_present": 5, "original": leaf(0.9), "twin": leaf(0.95)},
            "Term": {"n_present": 5, "original": leaf(0.9), "twin": leaf(0.5)},
        },
    },
    "judge": {
        **{"judge": {"model": "large"}, "kind": "pairwise", "a": "tuned", "b": "base-zero-shot", "n": 20},
        **{"win": 12, "tie": 3, "loss": 5, "net": leaf(0.35), "flip_rate": leaf(0.1), "marks": [{"item": "x"}]},
    },
    "blind": {"a": "tuned", "b": "linear", "n_items": 20, "raters": 2, "win": 9, "tie": 4, "loss": 7, "net": leaf(0.1)},
}


TRACE = (
    {"name": "evaluation", "artifact": "score-1", "hash": "ab" * 32, "stage": "score v4", "created": "now"},
    {"name": "model", "artifact": "merge-1", "hash": "cd" * 32, "stage": None, "created": None},
)


def data(**changes: Any) -> ReportData:
    values: dict[str, Any] = {
        "title": "Clause extraction",
        "release": "clauses-0.1",
        "created": "2026-01-02T03:04:05Z",
        "evaluation": evaluation(),
        "card": {
            "documents": {"train": 300, "validation": 48, "test": 60},
            "families": [["a", "b"], ["c", "d", "e"]],
            "leakage": "none found",
            "parts": {
                "train": {
                    "n": 300,
                    "characters": {"mean": 53_800.5, "max": 338_000},
                    "contract_types": {"Supply": 200, "Hosting": 100},
                    "presence": {"Parties": {"present": 299, "assessed": 300}},
                },
                "test": {"n": 60, "contract_types": {"Supply": 60}},
            },
        },
        "curves": {
            "loss": [{"step": step, "value": 1 / step} for step in range(1, 9)],
            "eval_loss": [{"step": 4, "value": 0.4}, {"step": 8, "value": 0.3}],
            "lr": [{"step": step, "value": 1e-4 * step} for step in range(1, 9)],
        },
        "preflight": {
            "rows": 4600,
            "estimate": {"steps": 575, "seconds": 3000.0},
            "truth": {"steps": 575, "seconds": 3300.0},
        },
        "examples": [
            {
                "document": "d1.txt",
                "field": "Parties",
                "kind": "right",
                "gold": ["ACME Ltd"],
                "answer": "ACME Ltd",
                "confidence": 0.914,
                "page": 3,
                "context": "This is made by ACME\nLtd and others.",
            },
            {"document": "d2.txt", "field": "Warranty", "kind": "invented", "answer": "a warranty"},
        ],
    }
    return ReportData(**{**values, **changes})


@functools.cache
def rendered() -> str:
    """The page of `data()`: drawing its plots takes long enough to do it once."""
    return render_report(data())


def parse(markup: str) -> Any:
    """The page, parsed; control characters would stop a strict XML parser, so they must not be there."""
    return html.document_fromstring(markup)


def text_of(element: Any) -> str:
    return " ".join(element.text_content().split())


def first_paragraph(**changes: Any) -> str:
    page = parse(render_report(data(evaluation=evaluation(**changes))))
    return text_of(page.xpath("//main/p[1]")[0])


def table(page: Any, caption: str) -> list[list[str]]:
    found = page.xpath("//table[caption=$caption]", caption=caption)[0]
    return [[text_of(cell) for cell in row] for row in found.iter("tr")]


def test_the_first_paragraph_says_what_was_gained_and_that_linear_is_beaten() -> None:
    gain, rates, linear = re.split(r"(?<=\.) (?=[A-Z])", first_paragraph())
    assert gain == (
        "Tuning gained over the same base model given worked examples in the prompt (few-shot): field F1"
        " 0.800 against 0.110 on the same 6 held-out documents, a difference of +0.690"
        " (95 % interval +0.670 to +0.710, p < 0.001)."
    )
    assert rates == (
        "Of every 100 clauses that are there it gets 80 right (before: 11);"
        " of every 100 answers it gives, 80 are right (before: 11)."
    )
    assert linear == (
        "The fine-tune beats the linear baseline in the paired test: field F1 0.790 against 0.740 on the same"
        " 20 held-out documents, a difference of +0.050 (95 % interval +0.030 to +0.070, p = 0.004)."
    )


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        (
            [paired("tuned", "linear", 0.01, 0.4)],
            "The fine-tune does not beat the linear baseline in the paired",
        ),
        (
            [paired("linear", "tuned", 0.05, 0.01)],
            "The fine-tune is worse than the linear baseline in the paired",
        ),
        ([], "No paired test shows that the fine-tune beats the linear baseline"),
        (
            [paired("tuned", "linear", 0.05, 0.0002, low=None, high=None)],
            "No paired test shows that the fine-tune",
        ),
        ([paired("tuned", "linear", math.nan, math.nan)], "No paired test shows that the fine-tune"),
    ],
)
def test_a_fine_tune_that_does_not_beat_linear_is_said_to_do_nothing_useful(tests: list[Any], said: str) -> None:
    paragraph = first_paragraph(paired=tests)
    assert said in paragraph
    assert "a fine-tune that does not beat linear is doing nothing useful" in paragraph


def test_sections_stand_in_order_and_every_link_leads_somewhere() -> None:
    page = parse(rendered())
    headings = [text_of(heading) for heading in page.iter("h2")]
    assert headings == [
        "Verdict of the gate",
        "All arms",
        "Before and after, by field",
        "ContractEval",
        "Ranking, calibration, format",
        "Worst fields",
        "Slices: parts of the documents",
        "General ability, before and after",
        "Under stress",
        "UK twins",
        "Judged by a model",
        "Judged by people who saw no names",
        "Data card",
        "Training",
        "Examples, right and wrong",
        "Time, tokens and money",
        "Estimate against truth",
        "Where the numbers come from",
        "How the numbers were computed",
    ]
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    targets = {href.removeprefix("#") for href in page.xpath("//@href")}
    assert targets <= set(ids)
    assert {match for path in page.xpath("//@clip-path") for match in re.findall(r"url\(#(.*?)\)", path)} <= set(ids)


def test_the_headline_table_has_all_arms_with_intervals() -> None:
    rows = table(parse(rendered()), "All arms")
    assert [row[0] for row in rows] == [
        "arm",
        "On all 20 documents",
        *evaluation()["arms"],
        "On 6 of them, the same for every arm here",
        "tuned",
        "base-zero-shot",
        "base-few-shot",
    ]
    assert rows[2][1:3] == ["20", "0.790 (0.740 to 0.840)"]
    null = rows[4]
    assert (null[2], null[-1]) == ("n/a (n=100)", "n/a (n=20)")


def test_published_figures_are_marked_and_echo_is_a_caution() -> None:
    page = parse(rendered())
    rows = table(page, "ContractEval protocol")
    place = rows.index(["Published (arXiv 2508.03080), other contracts"])
    assert rows[place + 1 :] == [
        ["GPT-4.1 mini", "0.644", "–", "0.435", "0.072"],
        ["GPT-4.1", "0.641", "–", "0.472", "0.071"],
        ["Gemini 2.5 Pro", "0.497", "–", "0.506", "0.011"],
        ["Qwen3-8B thinking", "0.540", "–", "0.391", "0.110"],
        ["Llama-3.1-8B", "0.392", "–", "0.300", "0.214"],
    ]
    section = text_of(page.get_element_by_id("contracteval"))
    assert "an F1 of 0.485 (0.435 to 0.535) on these contracts and 0.460 on the 102 official ones" in section
    official = render_report(data(official_test=True))
    assert "the same 102 contracts" in official
    assert "other contracts" not in official.lower()


def test_accuracy_stands_only_beside_what_answering_null_would_get() -> None:
    assert always_null_accuracy(evaluation()) == (0.7, 200)
    shown = text_of(parse(rendered()))
    assert shown.lower().count("accuracy") == 1
    assert "Answering null everywhere would be right on 70 % of the 200 pairs." in shown


def test_worst_fields_come_worst_first_and_have_gold() -> None:
    rows = table(parse(rendered()), "Fields with the lowest F1")
    assert [row[0] for row in rows[1:]] == ["Governing Law", "Parties"]
    assert rows[0][3:6] == ["tuned F1", "base-few-shot (6 documents) F1", "linear F1"]
    assert rows[1][2:4] == ["5", "0.395 (0.345 to 0.445)"]


def test_the_data_card_puts_the_parts_side_by_side() -> None:
    page = parse(rendered())
    assert table(page, "Contract types") == [
        ["contract types", "train", "test"],
        ["Supply", "200", "60"],
        ["Hosting", "100", "–"],
    ]
    assert table(page, "Presence")[1] == ["Parties", "299 of 300", "–"]
    assert "Families of near-duplicates, kept in one part2 (5 documents, the largest 3)" in text_of(
        page.get_element_by_id("data")
    )


def test_facts_of_any_shape_are_shown() -> None:
    shown = facts({"a_b": 1, "none": None, "rows": [{"x": 1}, {"y": 2}], "flags": [True, "s"], "empty": []})
    assert shown.pairs == (("A b", "1"), ("None", "n/a"), ("Flags", "yes; s"), ("Empty", "none"))
    assert shown.tables[0].groups[0].rows == (("1", "–"), ("–", "2"))
    long = facts({"drops": [{"what": str(i)} for i in range(MAX_ROWS + 1)]}).tables[0]
    assert (long.caption, len(long.groups[0].rows)) == ("Drops (the first 60 of 61)", 60)
    assert card_facts({"families": 7}).pairs == (("Families", "7"),)
    assert card_facts({"families": []}).pairs == (("Families of near-duplicates, kept in one part", "0"),)


@pytest.mark.parametrize(
    "preflight",
    [
        {"estimate": {"seconds": 100.0, "steps": 5}, "truth": {"seconds": 125.0}},
        {"seconds": 100.0, "tokens": 9, "truth": {"seconds": 125.0}},
    ],
)
def test_the_estimate_stands_beside_the_truth(preflight: dict[str, Any]) -> None:
    made = estimate_table(preflight)
    assert made is not None
    assert made.groups[0].rows[0] == ("seconds", "100", "125", "1.25")


def test_free_text_is_shown_beside_the_base_models() -> None:
    replies = [{"document": "r<1>", "prompt": "Rewrite.", "gold": "Plain.", "tuned": "Plain <b>.", "base": None}]
    page = render_report(ReportData.model_validate({**data().model_dump(), "replies": replies}))
    section = parse(page).get_element_by_id("replies")
    assert [text_of(each) for each in section.iter("h3")] == ["r<1>"]
    assert [text_of(each) for each in section.iter("dd")] == ["Plain.", "Plain <b>.", "null"]
    assert "#replies" not in rendered()


def test_examples_show_their_text_with_the_gold_lit() -> None:
    page = parse(rendered())
    section = page.get_element_by_id("examples")
    assert [text_of(heading) for heading in section.iter("h3")] == [
        "Right (1)",
        "Wrong value (0)",
        "Missed (0)",
        "Invented (1)",
    ]
    assert [mark.text for mark in section.iter("mark")] == ["ACME\nLtd"]
    assert "d1.txt · page 3 · confidence 0.914" in text_of(section)
    assert "Goldnot present" in text_of(section)


@given(st.text("ab \n", max_size=30), st.lists(st.text("ab ", max_size=4), max_size=3))
@settings(max_examples=100)
def test_the_pieces_of_a_context_are_the_context(context: str, gold: list[str]) -> None:
    pieces = lit(context, gold)
    assert "".join(piece.text for piece in pieces) == context
    collapsed = {" ".join(part.split()) for part in gold}
    assert all(" ".join(piece.text.split()) in collapsed for piece in pieces if piece.lit)


def test_long_text_is_cut_and_says_by_how_much() -> None:
    assert cut("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert cut("x" * (MAX_TEXT + 1234)).endswith("x… (1,234 characters more)")


def test_the_same_data_give_the_same_bytes() -> None:
    assert render_report(data()) == rendered()
    assert "<dc:date" not in rendered()


def test_nothing_is_fetched_and_nothing_runs() -> None:
    markup = rendered()
    page = parse(markup)
    assert {element.tag for element in page.iter()}.isdisjoint({"script", "link", "img", "iframe", "object", "image"})
    assert not re.search(r"https?:|@import|\bsrc=|xlink|<!ENTITY|url\((?!#)", markup)
    assert not [name for element in page.iter() for name in element.attrib if name.startswith("on")]
    assert markup.count("<style") == 1  # matplotlib's style sheets would apply to the whole page
    assert "default-src 'none'" in markup


def test_landmarks_captions_and_names() -> None:
    page = parse(rendered())
    assert page.get("lang") == "en"
    assert len(page.xpath("//h1")) == len(page.xpath("//main")) == 1
    assert all(item.xpath("caption") and item.xpath(".//th[@scope='row']") for item in page.iter("table"))
    assert [bool(svg.get("aria-label")) and svg.get("role") for svg in page.iter("svg")] == ["img"] * 7
    assert page.xpath("//body/a[1]/@href") == ["#main"]


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb, WCAG 2.1."""
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
def test_both_themes_have_contrast_and_plots_follow_them(theme: int) -> None:
    markup = rendered()
    colours = dict(re.findall(r"--([\w-]+): #(\w+)", re.findall(r":root \{.*?\}", markup, re.DOTALL)[theme]))

    def contrast(a: str, b: str) -> float:
        dark, light = sorted(luminance(colours[name]) for name in (a, b))
        return (light + 0.05) / (dark + 0.05)

    for name in ("ink", "soft", "link", *(f"series-{place}" for place in range(1, 7))):
        assert contrast(name, "paper") >= 4.5
    assert min(contrast("ink", "panel"), contrast("soft", "panel"), contrast("ink", "lit")) >= 4.5
    plots = "".join(re.findall(r"<svg.*?</svg>", markup, re.DOTALL))
    assert not re.search(r":\s*#\w", plots)
    assert set(re.findall(r"var\(--([\w-]+)\)", plots)) <= colours.keys()


def hostile(value: Any) -> Any:
    """The same data with hostile text for every name and text in it."""
    if isinstance(value, dict):
        return {f"{HOSTILE}{k}": hostile(v) for k, v in value.items()}
    return HOSTILE if isinstance(value, str) else value


def test_hostile_text_is_shown_and_does_nothing() -> None:
    arms = {name: arm(0.5) for name in ("tuned", "linear", HOSTILE)}
    for one in arms.values():
        one["by_field"] = {HOSTILE: slice_of(0.5), "_x": slice_of(0.4)}
        one["slices"] = {HOSTILE: {HOSTILE: part_of(0.1, 0.2, 0.3), "x": part_of(0.1, 0.2, 0.3)}}
    markup = render_report(
        data(
            title=HOSTILE,
            release=HOSTILE,
            created=HOSTILE,
            machine=HOSTILE,
            evaluation=evaluation(arms=arms, paired=[paired(HOSTILE, "tuned", 0.1, 0.5, verdict=HOSTILE)]),
            card=hostile(data().card),
            preflight={"truth": hostile({"seconds": 1}), **hostile({"x": {"y": "z"}})},
            verdict={
                **{"verdict": HOSTILE, "weights": HOSTILE, "reasons": [HOSTILE]},
                "checks": [dict.fromkeys(CHECK, HOSTILE) | {"bound": 1, "ok": True}],
            },
            general=hostile(BESIDES["general"]),
            stress={"kinds": {HOSTILE: {"what": HOSTILE, "examples": [{"before": HOSTILE}]}}},
            twins=hostile(BESIDES["twins"]),
            judge={**BESIDES["judge"], "a": HOSTILE},
            blind=hostile(BESIDES["blind"]),
            trace=[dict.fromkeys(("name", "artifact", "hash", "stage", "created"), HOSTILE)],
            examples=[
                Example(
                    document=HOSTILE,
                    field=HOSTILE,
                    kind="missed",
                    gold=(HOSTILE,),
                    answer=HOSTILE,
                    context=HOSTILE,
                )
            ],
        )
    )
    page = parse(markup)
    assert not page.xpath("//script | //img")
    assert not page.xpath("//*[@onerror]")
    assert "{{ 7*7 }}" in markup
    assert not re.search(r"[\x00-\x08\x0b\x0c]", markup)
    assert page.xpath("//h1")[0].text_content().startswith("<script>alert('x')</script>")
    for svg in re.findall(r"<svg.*?</svg>", markup, re.DOTALL):
        etree.fromstring(svg)


def test_nulls_and_nan_are_not_available() -> None:
    broken = arm(None, seconds_per_document=math.nan, aupr=math.inf, contracteval={"f1": math.nan})
    curves = {
        "loss": [{"step": 1, "value": math.nan}, {"step": 2, "value": 0.5}],
        "lr": [{"step": 1, "value": None}],
    }
    markup = render_report(
        data(
            evaluation=evaluation(arms={"tuned": broken, "linear": broken}, paired=[]),
            card={"mean": math.nan, "nested": {"deep": {"x": math.inf}}},
            preflight={"estimate": {"seconds": math.nan}, "truth": {"seconds": None}},
            curves=curves,
            examples=[Example(document="d", field="f", kind="missed", confidence=math.nan)],
        )
    )
    page = parse(markup)
    shown = text_of(page)
    for cell in page.xpath("//td | //th | //p | //*[local-name()='text'] | //section[@id!='definitions']//dd"):
        assert not re.search(r"\b(nan|inf|None(?! was given)|NaN|Infinity)\b", text_of(cell))
    assert "2 recorded values were not finite" in shown
    assert "n/a (n=100)" in shown
    assert "field F1 n/a (n=20) against n/a (n=20) on the same 20 held-out documents" in shown


def test_one_arm_alone() -> None:
    alone = {"arms": {"tuned": arm(0.5, 1)}}
    markup = render_report(ReportData(title="t", release="r", created="c", evaluation=alone))
    page = parse(markup)
    assert text_of(page.xpath("//main/p[1]")[0]) == (
        "No base model was evaluated beside it, so what tuning gained is not known. The fine-tune has a field"
        " F1 of 0.500 (0.450 to 0.550) on 1 held-out document. The linear baseline was not evaluated beside"
        " it, so whether the fine-tune does anything useful is not known."
    )
    shown = text_of(page)
    for nothing in (
        "No paired tests were made.",
        "No loss was recorded.",
        "No dataset card was given.",
        "None was given.",
        "Neither an estimate nor a measurement of the training was given.",
        "No gate was asked about this model.",
        "General ability was not measured.",
        "No stress test was run.",
        "No UK twins were made.",
        "No judge model was asked.",
        "No people rated answers without names.",
        "The artifacts behind this page were not named.",
    ):
        assert nothing in shown


@functools.cache
def whole() -> str:
    """The page with every part that a recipe may ask for."""
    return render_report(data(**BESIDES, trace=TRACE))


def test_the_verdict_stands_first_with_its_checks_those_that_failed_on_top() -> None:
    page = parse(whole())
    section = page.xpath("//section")[0]
    assert section.get("id") == "verdict"
    assert f"fail for the weights {'3f9a' * 16}." in text_of(section)
    assert table(page, "Limits") == [
        ["limit", "set to", "measured", "held", "what was found"],
        ["f1 at least", "0.7", "0.6", "NO", "field F1 is 0.600: not at least 0.700"],
        ["better than linear", "–", "–", "NO", "that arm did not run"],
        ["invented at most", "0.05", "0.04", "yes", "invented values is 0.040"],
    ]


def test_a_model_without_limits_is_ungated() -> None:
    ungated = {"verdict": "ungated", "weights": "0", "reasons": ["no limits"], "checks": []}
    alone = {"arms": {"tuned": {"n_documents": 3}}}
    shown = ReportData(title="t", release="r", created="c", evaluation=alone, verdict=ungated)
    assert "No limits." in text_of(parse(render_report(shown)).get_element_by_id("verdict"))


def test_what_was_run_besides_is_shown() -> None:
    page = parse(whole())
    assert table(page, "What it knew before, and after")[1:] == [
        [
            "the right answer is the likeliest of four",
            "0.500 (0.450 to 0.550)",
            "0.450 (0.400 to 0.500)",
            "-0.050 (-0.100 to +0.010, p = 0.090)",
        ],
        ["perplexity on general text (lower is better)", "20.500 (20.450 to 1.000)", "21.500 (21.450 to 1.000)", "–"],
    ]
    assert table(page, "Accuracy by kind of question")[1] == ["sums", "0.4", "0.3"]
    assert "Generatednot measured: the model writes nothing" in text_of(page.get_element_by_id("general"))
    assert table(page, "How many answers change")[1] == [
        "ocr noise",
        "letters are misread",
        "80",
        "0.200 (0.150 to 0.250)",
        "–",
        "0",
    ]
    assert table(page, "Changed answers")[1] == ["ocr noise", "d1", "Law", "Ohio", "n/a"]
    british = table(page, "The same documents in British drafting")
    assert british[1] == [
        "field F1",
        "0.800 (0.750 to 0.850)",
        "0.750 (0.700 to 0.800)",
        "-0.050 (-0.090 to -0.010, p = 0.020)",
    ]
    assert [row[0] for row in table(page, "By field, the largest loss first")[1:]] == ["Term", "Law"]
    judged, people = (page.get_element_by_id(key) for key in ("judge", "blind"))
    row = ".//table[caption='Side by side']//tbody//*[self::th or self::td]"
    assert [text_of(cell) for cell in judged.xpath(row)] == [
        *("tuned against base-zero-shot", "12", "3", "5", "0.350 (0.300 to 0.400)")
    ]
    assert "Flip rate0.100 (0.050 to 0.150)" in text_of(judged)
    assert "Marks" not in text_of(judged)
    assert [text_of(cell) for cell in people.xpath(row)] == [
        *("tuned against linear", "9", "4", "7", "0.100 (0.050 to 0.150)")
    ]


def test_slices_say_how_far_they_are_below_the_whole() -> None:
    rows = table(parse(rendered()), "By length")
    assert rows[0] == [
        *("length", "documents", "with gold", "tuned F1", "base-few-shot (6 documents) F1", "linear F1"),
        *("below the whole", "p"),
    ]
    assert rows[2] == [
        *("over 8,000 tokens", "20", "5", "0.300 (0.250 to 0.350)", "0.300 (0.250 to 0.350)"),
        *("0.300 (0.250 to 0.350)", "+0.400", "p = 0.002"),
    ]


def test_the_report_names_the_artifacts_that_it_is_of() -> None:
    assert table(parse(whole()), "Artifacts")[1:] == [
        ["evaluation", "score-1", "ab" * 32, "score v4", "now"],
        ["model", "merge-1", "cd" * 32, "–", "–"],
    ]


def test_any_number_of_arms_is_shown() -> None:
    more = {name: arm(0.5) for name in ("sft", "int4", "gpt", "other", "fifth", "sixth")}
    arms = {**evaluation()["arms"], **more}
    shots = {f"base-{n}-shot": arm(0.1 * n, 6) for n in (1, 3, 5)}
    costs = {"tuned": {"price": 0.002}, "gpt": {"price": 0.03}, "linear": {"price": 0.0}}
    found = evaluation(arms=arms, subset_arms={"tuned": arm(0.8, 6), **shots}, costs=costs)
    found["paired"].append(paired("tuned", "base-5-shot", 0.3, 0.001, metric="field F1"))
    page = parse(render_report(data(evaluation=found)))
    assert {"sft", "int4", "gpt", "sixth", "base-3-shot"} <= {row[0] for row in table(page, "All arms")}
    assert [text_of(cell) for cell in page.xpath("//figure")[0].iter("span") if cell.get("class") is None] == [
        *("● tuned", "■ base-5-shot (6 documents)", "▲ linear", "◆ sft", "▼ int4", "✚ gpt"),
    ]
    described = text_of(page.get_element_by_id("arms"))
    assert "base-3-shotthe base model as it comes, given the question and 3 worked examples" in described
    cost = table(page, "Time, tokens and money")
    assert cost[0][-1] == "price"
    assert {row[0]: row[-1] for row in cost[1:]}["gpt"] == "0.03"
    plot = page.xpath("//section[@id='cost']//svg")[0]
    assert "price of a document" in text_of(plot)
    assert "tuned" in text_of(plot)
    assert "few-shot): field F1 0.800 against 0.500" in text_of(page.xpath("//main/p[1]")[0])


def test_yes_or_no_where_two_arms_differ() -> None:
    test = {"a": "tuned", "b": "linear", "n": 60, "only_a": 9, "only_b": 1}
    tests = [
        {**test, "what": "Parties", "p": 0.021, "adjusted": 0.4},
        {**test, "what": "Warranty", "p": 0.5, "adjusted": 1.0},
    ]
    page = parse(render_report(data(evaluation=evaluation(mcnemar=tests))))
    assert table(page, "Yes or no, where two arms differ (p < 0.05)")[1:] == [
        ["tuned and linear: Parties", "60", "9", "1", "p = 0.021", "p = 0.400"]
    ]


def test_of_many_such_tests_the_most_different_are_shown_and_how_many_there_are() -> None:
    tests = [
        {"a": "tuned", "b": b, "what": f"{b} {place}", "n": 60, "only_a": 9, "only_b": 1, "p": p, "adjusted": 1.0}
        for b, first in (("linear", 0.02), ("base", 0.01))
        for place, p in enumerate(first + 0.0001 * step for step in range(30))
    ]
    shown = mcnemar_table({"mcnemar": tests})
    assert shown is not None
    assert shown.caption == "Yes or no, where two arms differ (p < 0.05): the first 40 of 60, most different first"
    (group,) = shown.groups
    wanted = [f"tuned and base: base {place}" for place in range(30)]
    assert [row[0] for row in group.rows] == wanted + [f"tuned and linear: linear {place}" for place in range(10)]
    few = mcnemar_table({"mcnemar": tests[:40]})
    assert few is not None
    assert few.caption == "Yes or no, where two arms differ (p < 0.05)"


def task_arm(accuracy: float, n: int = 20) -> dict[str, Any]:
    return {
        "n_documents": n,
        "primary": "accuracy",
        "scores": {"accuracy": leaf(accuracy), "macro F1": leaf(None, 3)},
        "detail": {"labels": ["lease", "loan", "none of them"], "confusion": [[5, 1, 0], [2, 9, 3]], "outside": []},
        "seconds_per_document": 1.5,
        "tokens_per_document": 300.0,
        "contracts_per_hour": 2400.0,
    }


def test_the_scale_of_a_plot_is_that_of_its_scores() -> None:
    assert scale([0.0, 0.4, 1.0]) == pytest.approx((-0.02, 1.02))
    assert scale([]) == pytest.approx((-0.02, 1.02))
    assert scale([12.5, 41.0, 0.3]) == pytest.approx((-2.0, 102.0)), "chrF is of 0 to 100"
    assert scale([0.2, -0.5]) == pytest.approx((-0.53, 1.03))
    assert scale([140.0]) == pytest.approx((-2.8, 142.8))


def test_points_of_a_metric_of_0_to_100_lie_in_the_picture() -> None:
    chrf = {"value": 41.0, "low": 38.0, "high": 44.0, "n": 12}
    parts = field_plot(["north"], [Series("tuned", {"north": chrf})], label="chrF", metric="chrF", whole=45.0)
    costs = cost_plot([Arm("tuned", 1.0, chrf), Arm("base", 2.0, chrf)], ("seconds", "chrF"), label="chrF")
    for svg in (parts, costs):
        written = [one.text for one in etree.fromstring(svg).iter("text")]
        assert {"0", "20", "100", "chrF"} <= set(written)
        assert "F1" not in written
    of_shares = field_plot(["north"], [Series("tuned", {"north": leaf(0.4)})], label="F1")
    assert {"0.0", "1.0", "F1"} <= {one.text for one in etree.fromstring(of_shares).iter("text")}


def test_another_task_has_its_own_scores() -> None:
    north = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 12}
    tenants = {"north": {"n_documents": 12, "score": north, "drop": -0.05, "p": 0.7}}
    found = {
        "arms": {"tuned": task_arm(0.9) | {"slices": {"tenant": tenants}}},
        "subset_arms": {"tuned": task_arm(0.8, 6), "base-zero-shot": task_arm(0.2, 6)},
        "paired": [paired("tuned", "base-zero-shot", 0.6, 0.002, metric="accuracy", n_documents=6)],
        "tuned": "tuned",
    }
    replies = [{"document": "r", "prompt": "Which?", "gold": "lease", "tuned": "loan", "base": None}]
    page = parse(render_report(data(evaluation=found, examples=[], replies=replies)))
    assert text_of(page.xpath("//main/p[1]")[0]) == (
        "Tuning gained over the same base model given the question only: accuracy 0.800 against 0.200 on the same"
        " 6 held-out documents, a difference of +0.600 (95 % interval +0.580 to +0.620, p = 0.002)."
    )
    assert table(page, "All arms")[:3] == [
        ["arm", "documents", "accuracy", "macro F1", "documents/hour"],
        ["On all 20 documents"],
        ["tuned", "20", "0.900 (0.850 to 0.950)", "n/a (n=3)", "2,400"],
    ]
    assert table(page, "Paired tests")[0][1] == "difference in accuracy"
    assert table(page, "Confusion: a row a gold label, a column an answer")[:2] == [
        ["gold", "lease", "loan", "none of them"],
        ["lease", "5", "1", "0"],
    ]
    keys = {section.get("id") for section in page.iter("section")}
    assert keys.isdisjoint({"fields", "contracteval", "quality", "worst", "twins", "examples"})
    assert {"detail", "replies", "general", "judge", "slices"} <= keys
    assert table(page, "By tenant")[:2] == [
        ["tenant", "documents", "tuned accuracy", "base-zero-shot (6 documents) accuracy", "below the whole", "p"],
        ["north", "12", "0.900 (0.800 to 1.000)", "–", "-0.050", "p = 0.700"],
    ]
    assert "ContractEval" not in text_of(page)
    assert {href.removeprefix("#") for href in page.xpath("//@href")} <= set(page.xpath("//@id"))


def test_the_json_has_the_content_of_the_page() -> None:
    stored = json.loads(report_json(data(**BESIDES, curves={"loss": [{"step": 1, "value": math.nan}]})))
    assert next(iter(stored)) == "judgement"
    assert set(stored) == {"judgement", *ReportData.model_fields}
    assert " ".join(stored["judgement"]) == text_of(parse(whole()).xpath("//main/p[1]")[0])
    assert stored["verdict"] == BESIDES["verdict"]
    assert stored["evaluation"]["arms"]["tuned"]["slices"]["length"]["over 8,000 tokens"]["p"] == 0.002
    assert stored["curves"]["loss"] == [{"step": 1, "value": None}]


def test_lineage_names_inputs_and_their_parents_once(seal: Callable[..., Artifact]) -> None:
    model = seal("model", lambda folder: write_atomic(folder / "weights", "w"))
    score = seal("score", lambda folder: write_atomic(folder / "evaluation.json", "{}"))
    parents = {"parents": {"model": model.path.name, "split": "split-1"}}
    manifest = score.manifest.model_copy(update={**parents, "inputs": {"model": model.hash, "split": "ef" * 32}})
    rows = lineage({"evaluation": Artifact(score.path, manifest), "model": model})
    assert [(row["name"], row["artifact"], row["hash"], row["stage"]) for row in rows] == [
        ("evaluation", score.path.name, score.hash, "score v1"),
        ("model", model.path.name, model.hash, "model v1"),
        ("split", "split-1", "ef" * 32, None),
    ]


def test_an_empty_slicing_says_so() -> None:
    bare = {"arms": {"tuned": {"n_documents": 3}}}
    shown = text_of(parse(render_report(ReportData(title="t", release="r", created="c", evaluation=bare))))
    assert "No scores by field." in shown
    assert "No field with gold was scored." in shown
    assert "No scores by part of the documents." in shown


def test_a_tuned_arm_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        render_report(data(evaluation=evaluation(tuned="best")))
    assert str(caught.value) == (
        "evaluation.tuned: the tuned arm 'best' was not evaluated; evaluated: 'tuned', 'linear',"
        " 'always-null', 'always-present', 'echo'"
        "\n  -> name an arm of evaluation.arms, or evaluate that arm first"
    )


def test_the_scorer_s_own_evaluations_are_rendered() -> None:
    from lextune.expert.schema import Schema, SchemaField
    from lextune.expert.scoring import score
    from lextune.expert.scoring.trivial import ARMS

    question = {"question": "Which?", "definition": "."}
    schema = Schema(
        name="s", fields=tuple(SchemaField(name=name, type="text", **question) for name in ("Title", "Law"))
    )
    text = "SUPPLY AGREEMENT\nThe law of Utopia governs."
    label = FieldLabel(parts=("SUPPLY AGREEMENT",), spans=((Span(start=0, end=16),),))
    documents = [
        Document(id=str(i), name=f"{i}.txt", sha256="ab", text=text, labels={"Title": label, "Law": FieldLabel()})
        for i in range(3)
    ]
    arms = {name: score(documents, [run(d, schema) for d in documents], schema).as_json() for name, run in ARMS.items()}
    page = parse(render_report(data(evaluation={"arms": arms, "tuned": "always-present"})))
    rows = table(page, "Every field")
    assert {row[0]: row[1:4] for row in rows[1:]} == {
        "Title": ["3", "3", "1.000 (1.000 to 1.000)"],
        "Law": ["3", "0", "0.000 (0.000 to 0.000)"],
    }
    assert "right on 50 % of the 6 pairs" in text_of(page)
