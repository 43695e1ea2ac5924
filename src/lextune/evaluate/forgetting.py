"""Forgetting: what the model could do before it was fine-tuned, and can still do after.

    forgetting("smollm2-135m", "runs/demo/merge-.../")["items"]["paired"]    # tuned minus base

Three measures, each of base and tuned model on the same things: everyday questions answered by likelihood, short
instructions whose written answers a program checks, and the perplexity of general prose; with a network, tasks of
lm-eval by name. One model is in memory at a time. Both run by transformers, so that no difference is an engine's.

A `tag` model answers contracts with a head of its own; its backbone is asked through the base's language model head,
as in training (`lextune.train.forgetting`). It writes nothing for anybody, so it is not asked to write here.
"""

from __future__ import annotations

import gc
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from lextune.core.artifacts import write_atomic
from lextune.core.errors import MachineError, RequestError
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Progress, Stage, Summary, quiet
from lextune.evaluate.formatting import finite
from lextune.expert.scoring.general import General, load_items, score_general
from lextune.expert.scoring.intervals import Array, paired_test, ratio
from lextune.expert.scoring.prose import load_prose, loss_table, perplexity, score_prose
from lextune.expert.scoring.written import WrittenScores, ask_written, load_written
from lextune.expert.weights import Base, resolve_base

BASE, TUNED = "base", "tuned"


class ForgettingConfig(Config):
    """What base and tuned model are asked."""

    base: str
    """The base model: a name, a hub id, or a folder."""
    lm_eval: tuple[str, ...] = ()
    """Tasks of lm-eval that both models do too, by name; their data comes from the hub."""
    lm_eval_limit: int | None = Field(None, ge=1)
    """How many examples of each of these tasks; null for all."""


class Ability(NamedTuple):
    """What one model did; `written` is None where it was not asked to write."""

    items: General
    prose: Array
    written: WrittenScores | None


def run_forgetting(config: ForgettingConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write `general.json`, and what both models wrote to `written.json`."""
    base, tuned = resolve_base(config.base), resolve_base(str(inputs["model"].path))
    writes = inputs["model"].json("model.json")["strategy"] != "tag"
    found, answers = _measure(base, tuned, writes, context.seed, context.progress)
    if config.lm_eval:
        found["tasks"] = {
            BASE: run_tasks(base, config.lm_eval, config.lm_eval_limit),
            TUNED: run_tasks(tuned, config.lm_eval, config.lm_eval_limit),
        }
    write_atomic(out / "general.json", json.dumps(found, indent=1, allow_nan=False))
    write_atomic(out / "written.json", json.dumps(answers, indent=1, ensure_ascii=False))
    if found["items"] is None:
        return {"items_change": None, "note": found["why"]}
    return {"items_change": found["items"]["paired"]["difference"], **_perplexities(found)}


def forgetting(base: str, model: Path | str, *, seed: int = 0, progress: Progress = quiet) -> dict[str, Any]:
    """Compare a merged model with its base; see the module.

    Args:
        base: a name, a hub id, or a folder.
        model: the folder of the tuned model; where its `model.json` says that it tags, it is not asked to write.
        seed: of the resamples.
        progress: told what is done.
    """
    note = Path(model) / "model.json"
    writes = not note.is_file() or json.loads(note.read_text(encoding="utf-8"))["strategy"] != "tag"
    return _measure(resolve_base(base), resolve_base(str(model)), writes, seed, progress)[0]


def _measure(
    base: Base, tuned: Base, writes: bool, seed: int, progress: Progress
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return `general.json` and `written.json`."""
    for one in (base, tuned):
        if not has_head(one):
            why = f"{one.path.name} has no language model head: it would be made up of random numbers"
            return {**dict.fromkeys(("items", "generated", "perplexity")), "why": why}, []
    before = ability(base, writes=writes, progress=progress)
    after = ability(tuned, writes=writes, progress=progress)
    return compare(before, after, seed=seed), _answers(before, after)


def ability(base: Base, *, writes: bool = True, progress: Progress = quiet) -> Ability:
    """Return what a model can do; it is in memory only here."""
    from lextune.expert.language import LanguageModel

    model, name = LanguageModel(base), base.path.name
    progress(0, 3, f"{name}: questions")
    items = score_general(load_items(), model.codec, model.likelihoods)
    progress(1, 3, f"{name}: prose")
    prose = loss_table(load_prose(), model.losses)
    progress(2, 3, f"{name}: instructions")
    written = ask_written(load_written(), model.chatter()) if writes else None
    progress(3, 3, name)
    del model
    gc.collect()
    return Ability(items, prose, written)


def has_head(base: Base) -> bool:
    """Say whether a folder holds a language model's head, its own or the embeddings.

    transformers fills one that is missing with random numbers, and only warns.
    """
    from safetensors import safe_open
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base.path, trust_remote_code=False)
    if getattr(config.get_text_config(), "tie_word_embeddings", False):
        return True
    for file in base.path.glob("*.safetensors"):
        with safe_open(file, framework="numpy") as tensors:
            if any("lm_head" in name for name in tensors.keys()):  # noqa: SIM118 - a handle, not a mapping
                return True
    return False


def compare(before: Ability, after: Ability, *, seed: int = 0) -> dict[str, Any]:
    """Return `general.json`: each measure of both, and the paired tests, tuned minus base; no number but finite ones.

    A model that diverged has no perplexity: `why` beside it says so.
    """
    tables = [_right(one.items) for one in (after, before)]
    found: dict[str, Any] = {
        "items": {
            BASE: before.items.as_json(),
            TUNED: after.items.as_json(),
            "paired": paired_test(tables[0], tables[1], _rate, seed=seed).as_json(),
        },
        "perplexity": _compare_prose(before.prose, after.prose, seed),
    }
    if before.written is None or after.written is None:
        why = "the model reads documents with a tagging head, and writes nothing"
        return _storable({**found, "generated": None, "why": why})
    found["generated"] = {
        BASE: before.written.as_json(),
        TUNED: after.written.as_json(),
        "paired": paired_test(after.written.table, before.written.table, _rate, seed=seed).as_json(),
    }
    return _storable(found)


def _compare_prose(before: Array, after: Array, seed: int) -> dict[str, Any]:
    """Return the perplexity of both; of a model whose loss is not finite, or too large a power, there is none."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is stored as null
        found: dict[str, Any] = {
            BASE: score_prose(before, seed=seed).as_json(),
            TUNED: score_prose(after, seed=seed).as_json(),
            "paired": paired_test(after, before, perplexity, seed=seed).as_json(),
            "texts": len(before),
        }
    lost = [name for name in (BASE, TUNED) if finite(found[name]["value"]) is None]
    if lost:
        found["why"] = f"the perplexity of the {' and the '.join(lost)} model is no finite number"
    return found


def _storable(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values with None for every number that is not finite: JSON has no NaN and no infinity."""
    stored: dict[str, Any] = {}
    for key, value in found.items():
        if isinstance(value, Mapping):
            stored[key] = _storable(value)
        else:
            stored[key] = finite(value) if isinstance(value, float) else value
    return stored


def run_tasks(base: Base, names: tuple[str, ...], limit: int | None) -> dict[str, dict[str, float | None]]:
    """Return what lm-eval gives for tasks by name: of each its metrics, None for one that is no finite number.

    Raises:
        MachineError: lm-eval is not installed.
        RequestError: it knows no such task, or their data is not at hand.
    """
    try:
        lm_eval: Any = importlib.import_module("lm_eval")
    except ImportError:
        raise MachineError(
            "lm_eval is not installed", do="pip install lm-eval, or leave evaluate.lm_eval empty"
        ) from None
    try:
        given = f"pretrained={base.path},trust_remote_code=False"
        found = lm_eval.simple_evaluate(model="hf", model_args=given, tasks=list(names), limit=limit)
    except (KeyError, ValueError, OSError) as error:
        raise RequestError(
            f"lm-eval cannot run {', '.join(names)} ({type(error).__name__})",
            where="evaluate.lm_eval",
            do="check the tasks' names (`lm-eval --tasks list`) and the network",
        ) from error
    return {
        name: _storable({metric: value for metric, value in metrics.items() if isinstance(value, int | float)})
        for name, metrics in found["results"].items()
    }


def _right(items: General) -> Array:
    import numpy as np

    return np.array([[float(yes), 1.0] for yes in items.right])


def _rate(sums: Array) -> Array:
    return ratio(sums[..., 0], sums[..., 1])


def _perplexities(found: dict[str, Any]) -> Summary:
    values = {name: found["perplexity"][name]["value"] for name in (BASE, TUNED)}
    return {f"perplexity_{name}": None if value is None else round(value, 3) for name, value in values.items()}


def _answers(before: Ability, after: Ability) -> list[dict[str, Any]]:
    """Return what both wrote, item by item."""
    if before.written is None or after.written is None:
        return []
    first, second = before.written, after.written
    rows = zip(load_written(), first.right, first.answers, second.right, second.answers, strict=True)
    names = ("base_right", BASE, "tuned_right", TUNED)
    return [{"instruction": item.instruction, **dict(zip(names, each, strict=True))} for item, *each in rows]


STAGES = (Stage("forgetting", 2, ("model",), ForgettingConfig, run_forgetting, "general"),)
