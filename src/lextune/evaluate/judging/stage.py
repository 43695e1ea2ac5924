"""The stage `judge`: one or several judge models on the held-out items that two arms answered, and `judge.json`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lextune.core.artifacts import read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import RecipeError
from lextune.core.recipe import Config
from lextune.core.records import Document, Prediction
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.evaluate.judging.agreement import compare_judges, read_experts
from lextune.evaluate.judging.faithful import judge_faithfulness
from lextune.evaluate.judging.items import Item, items_of
from lextune.evaluate.judging.marking import Marking, judge_answers
from lextune.evaluate.judging.pairwise import Comparison, judge_pairs
from lextune.evaluate.judging.rubric import load_rubric
from lextune.evaluate.judging.verdicts import MAX_TOKENS, QUIET, Told
from lextune.expert.engines.base import Chatter
from lextune.expert.engines.cached import CachedChat
from lextune.expert.engines.openai_ import Endpoint, OpenAiChat
from lextune.expert.tasks import TaskOptions
from lextune.expert.tasks.statute_qa import corpus_of

Kind = Literal["pairwise", "rubric"]
ANSWERS = "judge-answers.jsonl"  # beside the artifacts: what a judge said is paid for once


class JudgeConfig(Config):
    """Who judges which arms, by what."""

    endpoints: tuple[Endpoint, ...] = Field(min_length=1)
    """The judge models; where there are several, `experts` decides between them."""
    kind: Kind | Literal["faithfulness"] = "pairwise"
    """`pairwise`, which of two answers is better; `rubric`, points for each answer; or `faithfulness`, whether what
    each states follows from its context, and whether it answers the question (`statute-qa`)."""
    corpus: str | None = None
    """`faithfulness`: the file of articles that are the context of rows without one, or `auto` for this package's."""
    rubric: str = "legal"
    """What counts: a built-in rubric, or the path of a YAML file."""
    a: str = "tuned"
    """The arm whose wins are counted."""
    b: str = "base-zero-shot"
    """The arm that it is compared with."""
    items: int = Field(100, ge=1)
    """How many held-out documents are judged at most, drawn at random."""
    max_tokens: int = Field(MAX_TOKENS, ge=16)
    """The longest verdict, in tokens; a model that thinks first needs thousands."""
    experts: str | None = None
    """A file of experts' marks, JSON Lines or CSV of item and mark; null for none."""


def run_judge(config: JudgeConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write `judge.json`, and `verdicts.jsonl` with each verdict and its reason.

    Raises:
        RecipeError: an arm is not there, or several judges and no experts to choose between them.
    """
    if len(config.endpoints) > 1 and config.experts is None:
        do = "give experts, whose marks choose the judge, or leave one endpoint"
        raise RecipeError(f"{len(config.endpoints)} judges, and nothing to choose one by", where="judge", do=do)
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    a, b = (_arm(inputs, name) for name in (config.a, config.b))
    if config.kind == "faithfulness":
        return _faithful(config, documents, a, b, out, context)
    found = items_of(documents, a, b)
    items = random.Random(f"{context.seed} judged").sample(found, min(config.items, len(found)))
    results: dict[str, tuple[Endpoint, Comparison | Marking]] = {}
    for number, endpoint in enumerate(config.endpoints, start=1):
        chat = CachedChat(OpenAiChat(endpoint), out.parent / ANSWERS)
        name = endpoint.model if endpoint.model not in results else f"{endpoint.model} ({number})"
        told = Told(config.max_tokens, _progress(context, name))
        results[name] = endpoint, judge_items(items, chat, kind=config.kind, rubric=config.rubric, told=told)
    agreement = None
    if config.experts is not None:
        marks = {name: result.marks() for name, (_, result) in results.items()}
        agreement = compare_judges(marks, read_experts(Path(config.experts)), seed=context.seed)
    chosen = agreement["best"] if agreement else next(iter(results))
    endpoint, result = results[chosen]
    report = judge_report(result, chosen, endpoint, arms=(config.a, config.b), seed=context.seed)
    write_atomic(out / "judge.json", json.dumps(report | {"agreement": agreement}, ensure_ascii=False, indent=1))
    write_jsonl(out / "verdicts.jsonl", result.rows())
    return {
        **{"n_in": len(found), "n_out": report["n"], "n_dropped": len(found) - report["n"]},
        **{"not_drawn": len(found) - len(items), "invalid": report["invalid"], "too_long": report["too_long"]},
        "judge": chosen,
    }


def _faithful(
    config: JudgeConfig,
    documents: list[Document],
    a: list[Prediction],
    b: list[Prediction],
    out: Path,
    context: Context,
) -> Summary:
    if len(config.endpoints) > 1:
        raise RecipeError("faithfulness is judged by one model", where="judge.endpoints", do="leave one endpoint")
    (endpoint,) = config.endpoints
    answered = {one.document_id for one in a} & {one.document_id for one in b}
    shared = [document for document in documents if document.id in answered]
    drawn = random.Random(f"{context.seed} judged").sample(shared, min(config.items, len(shared)))
    chat = CachedChat(OpenAiChat(endpoint), out.parent / ANSWERS)
    corpus = corpus_of(TaskOptions(corpus=config.corpus))
    report = judge_faithfulness(drawn, ((config.a, a), (config.b, b)), chat, corpus, seed=context.seed)
    write_atomic(out / "judge.json", json.dumps({"judge": {"model": endpoint.model}, **report}, indent=1))
    write_jsonl(out / "verdicts.jsonl", ())
    return {"n_in": len(shared), "n_out": report["n"], "n_dropped": len(shared) - report["n"], "judge": endpoint.model}


def judge_items(
    items: Sequence[Item], chatter: Chatter, *, kind: Kind, rubric: str, told: Told = QUIET
) -> Comparison | Marking:
    """Let a judge compare or mark items; see `judge_pairs` and `judge_answers`."""
    judge: Callable[..., Comparison | Marking] = judge_pairs if kind == "pairwise" else judge_answers
    return judge(items, chatter, load_rubric(rubric), told)


def judge_report(
    result: Comparison | Marking, name: str, endpoint: Endpoint, *, arms: tuple[str, str], seed: int = 0
) -> dict[str, Any]:
    """Return what `judge.json` holds: who judged, the scores, what it cost, and the mark of each item."""
    scores = result.as_json(seed)
    costs: Mapping[str, int] = scores.pop("costs")
    price = endpoint.cost(costs["tokens_in"], costs["tokens_out"])
    return {
        "judge": {"model": name},
        "kind": "pairwise" if isinstance(result, Comparison) else "rubric",
        "rubric": result.rubric.name,
        **dict(zip("ab", arms, strict=True)),
        **scores,
        "costs": {**costs, "price": price},
        "marks": [{"item": item, "mark": mark} for item, mark in result.marks().items()],
        "agreement": None,
    }


def _progress(context: Context, name: str) -> Callable[[int, int], None]:
    return lambda done, total: context.progress(done, total, name)


def _arm(inputs: Inputs, name: str) -> list[Prediction]:
    """Return an arm's predictions, from whichever artifact has them."""
    sources = [inputs[source] for source in ("predictions", "base_predictions") if source in inputs]
    for source in sources:
        if f"{name}.jsonl" in source.manifest.files:
            return list(read_jsonl(source.file(f"{name}.jsonl"), Prediction))
    arms = sorted(Path(file).stem for source in sources for file in source.manifest.files if file.endswith(".jsonl"))
    raise RecipeError(f"no arm {name!r} to judge", where="judge", do=f"use two of {', '.join(arms)}")


STAGE = Stage("judge", 2, ("split", "predictions", "base_predictions"), JudgeConfig, run_judge, "judgement")
