"""What a recipe may say about training, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0},
        {"warmup": 1.0},
        {"batch": 0},
        {"steps": 0},
        {"checkpoints_kept": 0},
        {"pass_tokens": 31},
        {"label_smoothing": 1.0},
        {"neftune": -1},
        {"patience": 0},
        {"metric_documents": 0},
    ],
)
def test_settings_have_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"greater|less"):
        TrainConfig(**wrong)


def test_an_adapter_has_a_rank() -> None:
    with pytest.raises(ValueError, match="greater"):
        LoraSettings(r=0)
    with pytest.raises(ValueError, match="less than 1"):
        LoraSettings(dropout=1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"method": "full", "init_adapter": "somewhere"},
            r"init_adapter: there is no adapter where all weights are trained \(method: full\)",
        ),
        ({"method": "qlora", "precision": "fp32"}, "precision: qlora computes in bf16"),
        (
            {"strategy": "point", "attention": "bidirectional"},
            "attention: only sentences that are tagged can be read in both directions",
        ),
        ({"method": "lorra"}, "'lora', 'qlora' or 'full'"),
        ({"accumulation": 2}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**values)


def test_a_run_that_nobody_follows_warns_all_the_same() -> None:
    run = RunOptions(1)
    assert run.report is None
    assert run.metric is None
    with pytest.warns(RuntimeWarning, match="a line for the user"):
        run.warn("a line for the user")
