"""Callbacks: progress, and the best weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch

from lextune.train.callbacks import BestKeeper, StepReport, trainable


def _model() -> torch.nn.Linear:
    model = torch.nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    return model


def _evaluate(keeper: BestKeeper, step: int, loss: float) -> None:
    keeper.on_evaluate(None, SimpleNamespace(global_step=step), None, {"eval_loss": loss})


def test_the_weights_of_the_lowest_loss_are_put_back(tmp_path: Path) -> None:
    model = _model()
    keeper = BestKeeper(model, tmp_path / "checkpoints")
    assert keeper.best() is None
    for step, loss in ((1, 0.9), (2, 0.4), (3, 0.6)):
        torch.nn.init.constant_(model.weight, step)
        _evaluate(keeper, step, loss)
    assert keeper.best() == {"step": 2, "eval_loss": 0.4}
    torch.nn.init.constant_(model.bias, 7.0)
    keeper.restore()
    assert model.weight.tolist() == [[2.0, 2.0]]
    assert model.bias.tolist() == [7.0]  # not trained, not kept


def test_what_is_kept_survives_the_process(tmp_path: Path) -> None:
    first = _model()
    torch.nn.init.constant_(first.weight, 5.0)
    _evaluate(BestKeeper(first, tmp_path), 2, 0.4)
    model = _model()
    torch.nn.init.constant_(model.weight, 1.0)
    keeper = BestKeeper(model, tmp_path)
    _evaluate(keeper, 2, 0.4)  # the same evaluation after a resume is no better
    _evaluate(keeper, 3, 0.5)
    keeper.restore()
    assert model.weight.tolist() == [[5.0, 5.0]]


def test_without_an_evaluation_the_weights_stay(tmp_path: Path) -> None:
    model = _model()
    torch.nn.init.constant_(model.weight, 3.0)
    BestKeeper(model, tmp_path).restore()
    assert model.weight.tolist() == [[3.0, 3.0]]


def test_trainable_are_copies_of_what_has_a_gradient() -> None:
    model = _model()
    kept = trainable(model)
    assert list(kept) == ["weight"]
    kept["weight"].fill_(9.0)
    assert not (model.weight == 9.0).any()


def test_progress_reports_losses_only() -> None:
    seen: list[tuple[int, int, float]] = []
    callback = StepReport(20, lambda *call: seen.append(call))
    for logs in ({"loss": 1.5}, {"eval_loss": 1.0}, None):
        callback.on_log(None, SimpleNamespace(global_step=4), None, logs)
    StepReport(20, None).on_log(None, SimpleNamespace(global_step=4), None, {"loss": 1.5})
    assert seen == [(4, 20, 1.5)]
