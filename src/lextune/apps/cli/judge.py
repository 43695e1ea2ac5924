"""`lextune judge pairwise|rubric|agree`: a language model compares or marks answers; which agrees with experts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lextune.apps.cli.console import Bars, Command, log, out, print_json
from lextune.core.counts import counted
from lextune.evaluate.judging.verdicts import MAX_TOKENS
from lextune.expert.engines.openai_ import CONCURRENCY

if TYPE_CHECKING:
    from lextune.evaluate.judging.stage import Kind

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Let a language model compare or mark answers.")
Items = Annotated[Path, typer.Argument(help="JSON Lines or CSV of id, prompt, a, and gold and b where there are any.")]
Url = Annotated[str, typer.Option("--endpoint", metavar="URL", help="An OpenAI-compatible API, mostly ending in /v1.")]
Model = Annotated[str, typer.Option("--model", help="The judge's name there.")]
KeyEnv = Annotated[str | None, typer.Option("--key-env", metavar="NAME", help="Environment variable with the key.")]
RubricFile = Annotated[str, typer.Option("--rubric", help="legal, or the path of a YAML file.")]
OutFile = Annotated[Path | None, typer.Option("--out", help="Write the result as JSON.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Where answers are kept; by default beside the items: ITEMS.answers.jsonl."),
]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Requests under way at once.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=16, help="The longest verdict, in tokens.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Draws the intervals.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def pairwise(
    items: Items,
    endpoint: Url,
    model: Model,
    key_env: KeyEnv = None,
    rubric: RubricFile = "legal",
    to: OutFile = None,
    cache: Cache = None,
    concurrency: Concurrency = CONCURRENCY,
    max_tokens: MaxTokens = MAX_TOKENS,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say which of two answers is better, asked in both orders; ties where the orders disagree."""
    report = _judge(
        "pairwise", items, _endpoint(endpoint, model, key_env, concurrency), rubric, cache, max_tokens, seed
    )
    _finish(report, to, as_json)


@app.command("rubric")
def mark(
    items: Items,
    endpoint: Url,
    model: Model,
    key_env: KeyEnv = None,
    rubric: RubricFile = "legal",
    to: OutFile = None,
    cache: Cache = None,
    concurrency: Concurrency = CONCURRENCY,
    max_tokens: MaxTokens = MAX_TOKENS,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Mark each answer by a rubric: points a criterion, and their sum."""
    report = _judge("rubric", items, _endpoint(endpoint, model, key_env, concurrency), rubric, cache, max_tokens, seed)
    _finish(report, to, as_json)


@app.command()
def agree(
    results: Annotated[list[Path], typer.Argument(help="What judges said: files written by --out.")],
    experts: Annotated[Path, typer.Option("--experts", help="JSON Lines or CSV of item and mark.")],
    to: OutFile = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Compare judges with experts' marks of the same items, and choose one."""
    from lextune.evaluate.formatting import score
    from lextune.evaluate.judging.agreement import compare_judges, read_experts, read_judges

    found = compare_judges(read_judges(results), read_experts(experts), seed=seed)
    _write(found, to)
    if as_json:
        print_json(found)
        return
    for name, scores in found["judges"].items():
        said = ", ".join(f"{kind} {score(value)}" for kind, value in scores.items())
        out.print(f"{name}: {said}", markup=False)
    out.print(found["reason"], markup=False)
    if found["left_out"]:
        out.print(f"{counted(found['left_out'], 'expert mark')} left out: not marked by every judge", markup=False)


def _endpoint(url: str, model: str, key_env: str | None, concurrency: int) -> Any:
    from lextune.core.recipe import validate
    from lextune.expert.engines.openai_ import Endpoint

    given = {"url": url, "model": model, "key_env": key_env, "concurrency": concurrency}
    return validate(given, Endpoint, "--endpoint")


def _judge(
    kind: Kind, items: Path, endpoint: Any, rubric: str, cache: Path | None, max_tokens: int, seed: int
) -> dict[str, Any]:
    from lextune.core.errors import DataError
    from lextune.evaluate.judging.items import read_items
    from lextune.evaluate.judging.stage import judge_items, judge_report
    from lextune.evaluate.judging.verdicts import Told
    from lextune.expert.engines.cached import CachedChat
    from lextune.expert.engines.openai_ import OpenAiChat

    rows = read_items(items)
    lacking = next((row.id for row in rows if row.b is None), None)
    if kind == "pairwise" and lacking is not None:
        do = "give every item a and b, or mark answers alone by `lextune judge rubric`"
        raise DataError(f"the item {lacking!r} has no second answer b", where=str(items), do=do)
    chat = CachedChat(OpenAiChat(endpoint), cache or items.with_name(f"{items.name}.answers.jsonl"))
    with Bars() as bars:
        told = Told(max_tokens, lambda done, total: bars("judge", done, total, endpoint.model))
        result = judge_items(rows, chat, kind=kind, rubric=rubric, told=told)
    log.print(f"{counted(chat.asked, 'answer')} asked for, {chat.cached:,} known already")
    return judge_report(result, endpoint.model, endpoint, arms=("a", "b"), seed=seed)


def _finish(report: dict[str, Any], to: Path | None, as_json: bool) -> None:
    _write(report, to)
    if as_json:
        print_json(report)
    elif report["kind"] == "pairwise":
        _print_pairwise(report)
    else:
        _print_rubric(report)


def _write(report: dict[str, Any], to: Path | None) -> None:
    from lextune.core.artifacts import write_atomic

    if to is not None:
        write_atomic(to, json.dumps(report, ensure_ascii=False, indent=1))
        log.print(f"written: {to}", markup=False)


def _print_pairwise(report: dict[str, Any]) -> None:
    from lextune.evaluate.formatting import score

    counts = f"{report['win']} won, {report['tie']} tied, {report['loss']} lost"
    out.print(f"a against b, {counted(report['n'], 'item')}: {counts}", markup=False)
    out.print(f"net win rate {score(report['net'])}", markup=False)
    out.print(f"position-flip rate {score(report['flip_rate'])}", markup=False)
    out.print(f"position bias {score(report['position_bias'])}", markup=False)
    _print_counts(report)


def _print_rubric(report: dict[str, Any]) -> None:
    from lextune.evaluate.formatting import score

    for name, row in {**report["criteria"], "total": report["total"]}.items():
        said = ", ".join(f"{arm} {score(row[arm])}" for arm in ("a", "b") if arm in row)
        out.print(f"{name} (of {row['points']}): {said}", markup=False)
    if report["paired"]:
        test = report["paired"]
        out.print(f"a less b: {score({'value': test['difference'], **test})}", markup=False)
    _print_counts(report)


def _print_counts(report: dict[str, Any]) -> None:
    """Print what the verdicts were like, and what is left out of the scores."""
    said = f"{counted(report['verdicts'], 'verdict')}: {report['repaired']:,} repaired, {report['invalid']:,} invalid"
    out.print(f"{said}, {report['too_long']:,} too long for the judge", markup=False)
    if report["n"] < report["n_items"]:
        out.print(f"{counted(report['n_items'] - report['n'], 'item')} left out: a verdict is missing", markup=False)


def command(name: str) -> Command:
    """Return the group."""
    return typer.main.get_command(app)
