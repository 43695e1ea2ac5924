"""How long a run will take on this machine: some of its own passes, timed, and scaled to all of them."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lextune.train.batches import Pass, Plan, Row, Step
from lextune.train.dpo_settings import DpoSettings
from lextune.train.mistakes import KINDS
from lextune.train.runs import Passes, Prepared
from lextune.train.settings import TrainConfig

PROBES = 8  # passes that are timed, after one to warm up
GENERATED = 4.0  # tokens that are read in the time of one that is generated, 16 answers at once (measured on two cores)


class Tokens(NamedTuple):
    """What a run computes: `learnt` of the trained tokens, `evaluated` in all its evaluations."""

    trained: int
    learnt: int
    evaluated: int
    mean: float
    """Tokens in a training example, with all that it sees."""
    longest: int
    answer: float = 0.0
    """Tokens that are learnt in a training example."""


class Seconds(NamedTuple):
    """How long a run takes, by part."""

    start: float
    training: float
    evaluation: float
    saving: float


def count_tokens(rows: dict[str, list[Row]], config: TrainConfig, seed: int) -> Tokens:
    """Return the tokens of a run, from the plan of its steps; `rows` are the `train` and `validation` ones."""
    plan = Plan(rows["train"], config, seed)
    chosen = [row for step in plan for one in _passes(step) for row in one]
    lengths = [len(r.prefix) + len(b) for r in rows["train"] for b in (r.branches or ((),))]
    return Tokens(
        trained=sum(row.tokens for row in chosen),
        learnt=sum(sum(map(sum, row.learnt)) for row in chosen),
        evaluated=_evaluations(len(plan), config) * sum(row.tokens for row in rows["validation"]),
        mean=round(sum(lengths) / len(lengths), 1),
        longest=max(row.tokens for row in rows["train"]),
        answer=round(sum(sum(map(sum, row.learnt)) for row in rows["train"]) / len(lengths), 1),
    )


def estimate_run(prepared: Prepared, config: TrainConfig, seed: int, *, start: float = 0.0) -> tuple[int, Seconds]:
    """Time passes, an optimizer step and a save of a run, and scale them to the whole of it.

    The time of a pass is taken as fixed + per token, fitted to passes of the run from the smallest to the largest.
    Reading documents for `best_by: metric` is not in it.

    Args:
        prepared: what would be trained; it is left as it was, without gradients.
        config: settings of the run.
        seed: of the run's plan.
        start: seconds that preparing took, which the run will take again.

    Returns:
        the optimizer steps, and the seconds.
    """
    from lextune.train.trainer import whole

    model, rows, passes, groups = prepared
    plan = Plan(rows["train"], config, seed)
    training = [size(one) for step in plan for one in _passes(step)]
    held_out = [size(one) for one in _passes(whole(rows["validation"], config))]
    probes = _spread([one for step in _some(plan) for one in _passes(step)])
    model.train()
    _seconds(model, probes[0], passes, learn=True)
    learnt = [(size(one), _seconds(model, one, passes, learn=True)) for one in probes]
    read = [(size(one), _seconds(model, one, passes, learn=False)) for one in probes[::2]]
    step, save = _step_seconds(groups), _save_seconds(model)
    model.zero_grad(set_to_none=True)
    evaluations, checkpoints = _evaluations(len(plan), config), math.ceil(len(plan) / config.checkpoint_steps)
    return len(plan), Seconds(
        start=round(start, 1),
        training=round(_scaled(learnt, training) + len(plan) * step, 1),
        evaluation=round(evaluations * _scaled(read, held_out), 1),
        saving=round((3 * checkpoints + evaluations + 1) * save, 1),  # with Adam's moments, the best, the adapter
    )


class DpoEstimate(NamedTuple):
    """The most that preferences and DPO can take after SFT, without starting engines and merging the adapter."""

    pairs: int
    """As many as may be mined, and made, at most."""
    mining: float
    """Seconds to let the model answer."""
    training: float
    """Seconds of DPO, what the reference says of each pair with it."""


class Speed(NamedTuple):
    """Seconds a token, as measured: one that is trained on, and one that is only read."""

    trained: float
    read: float


def estimate_dpo(settings: DpoSettings, examples: int, tokens: Tokens, speed: Speed) -> DpoEstimate:
    """Scale the speed of SFT to preferences and DPO.

    Args:
        settings: of both.
        examples: in the part kept out, of which at most `windows` are asked.
        tokens: of SFT: prompts and answers are as long here.
        speed: of SFT's passes.
    """
    asked = min(settings.pairs.windows, examples)
    answers = asked * (1 + settings.pairs.samples)
    prompt = max(tokens.mean - tokens.answer, 0.0)
    mining = (asked * prompt + answers * tokens.answer * GENERATED) * speed.read
    pairs = min(answers, len(KINDS) * settings.pairs.per_kind)
    learnt = round(pairs * (1 - settings.validation))
    seen = min(learnt * settings.epochs, (settings.steps or 10**9) * settings.batch)
    read = pairs + settings.evaluations * (pairs - learnt)
    training = (prompt + 2 * tokens.answer) * (seen * speed.trained + read * speed.read)
    return DpoEstimate(pairs, round(mining, 1), round(training, 1))


class Verdict(NamedTuple):
    """An estimate against what a run took."""

    estimated: float
    took: float

    @property
    def off(self) -> float:
        """Return the estimate's share over (positive) or under the truth."""
        return self.estimated / self.took - 1

    def __str__(self) -> str:
        """Say it in one line."""
        share = round(100 * abs(self.off))
        side = "" if not share else " over" if self.off > 0 else " under"
        return f"estimated {self.estimated:.0f} s, took {self.took:.0f} s: {share} %{side}"


def _evaluations(steps: int, config: TrainConfig) -> int:
    """Return how often a run is evaluated: at its end, too."""
    return math.ceil(steps / math.ceil(steps / config.evaluations))


def _step_seconds(groups: list[dict[str, Any]]) -> float:
    """Return the time of a step of the optimizer at a rate of 0, which changes nothing."""
    import torch

    params = [p for group in groups for p in group["params"]]
    optimizer = torch.optim.AdamW(params, lr=0.0, weight_decay=0.0)
    optimizer.step()  # makes the moments
    started = time.perf_counter()
    torch.nn.utils.clip_grad_norm_(params, math.inf)
    optimizer.step()
    return time.perf_counter() - started


def _save_seconds(model: Any) -> float:
    """Return the time of writing what is trained, and of its hash."""
    from safetensors.torch import save_file

    from lextune.core.artifacts import sha256_file
    from lextune.train.distributed import trainable

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trained.safetensors"
        started = time.perf_counter()
        save_file(trainable(model), file)
        sha256_file(file)
        return time.perf_counter() - started


def size(one: Pass) -> int:
    """Return the tokens of a pass, without padding."""
    return sum(row.tokens for row in one)


def _passes(step: Step) -> list[Pass]:
    return [one for process in step.passes for one in process if one]


def _some(plan: Plan) -> list[Step]:
    """Return a few steps from all over a plan."""
    return [plan[number] for number in range(0, len(plan), max(1, len(plan) // PROBES))]


def _spread(found: Sequence[Pass]) -> list[Pass]:
    """Return `PROBES` passes from the smallest to the largest, or all where there are fewer."""
    ordered = sorted(found, key=size)
    if len(ordered) <= PROBES:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (PROBES - 1))] for i in range(PROBES)]


def _seconds(model: Any, one: Pass, passes: Passes, *, learn: bool) -> float:
    import torch

    from lextune.train.trainer import on_device

    device = next(model.parameters()).device
    tensors = on_device(passes.tensors(one), device)
    started = time.perf_counter()
    with torch.set_grad_enabled(learn):
        loss = model(**tensors)
    if learn:
        (loss / max(1.0, sum(map(passes.items, one)))).backward()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _scaled(timed: Sequence[tuple[int, float]], sizes: Sequence[int]) -> float:
    """Return the seconds of passes of these sizes, from timed ones: a line through them, or their mean speed."""
    tokens, seconds = sum(n for n, _ in timed), sum(s for _, s in timed)
    if len({n for n, _ in timed}) > 2:
        import numpy as np

        slope, fixed = np.polyfit([n for n, _ in timed], [s for _, s in timed], 1)
        if slope > 0 and fixed >= 0:
            return float(fixed * len(sizes) + slope * sum(sizes))
    return seconds / tokens * sum(sizes)
