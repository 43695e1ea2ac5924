"""What goes into a run and through it: the rows, how they become tensors, the module, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lextune.core.stage import as_warning
from lextune.train.batches import Pass, Row

JOURNAL = "log.jsonl"  # each log of a run, one a line
Report = Callable[[int, int, Mapping[str, float]], None]
"""Called with step, steps, and what was logged: `loss` and, as a rule, `tokens_per_second`."""


class RunOptions(NamedTuple):
    """What a run needs beside its config: the seed, where to report, and a metric to be best by.

    `metric` takes the module that is trained and returns a number: more is better. `warn` takes a line for the user.
    `name` is what trackers call the run.
    """

    seed: int
    report: Report | None = None
    metric: Callable[[Any], float] | None = None
    warn: Callable[[str], None] = as_warning
    name: str = ""


class Passes(NamedTuple):
    """How a strategy makes tensors of a pass, and what its loss is divided by."""

    tensors: Callable[[Pass], dict[str, Any]]
    """The arguments of the module's forward call."""
    items: Callable[[Row], float]
    """What a row counts: its learnt tokens, or its weighed answers."""
    scale: float = 1.0
    """Factor of the loss per item."""
    perplexity: bool = True
    """Whether the loss is that of tokens, of which a perplexity is made (where `scale` is 1)."""


class Prepared(NamedTuple):
    """All that a strategy brings to a run."""

    model: Any
    """A module whose forward call takes a pass and returns its summed loss.

    What its method `figures`, if it has one, returns is logged: means since the last call, apart for training and
    evaluation."""
    rows: dict[str, list[Row]]
    """`train` and `validation`."""
    passes: Passes
    """How a pass becomes tensors."""
    groups: list[dict[str, Any]]
    """Parameter groups of the optimizer; those without a rate learn at the recipe's."""
