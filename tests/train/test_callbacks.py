"""Callbacks: the journal, the best weights, and when a run is in vain."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lextune.train.callbacks import BestKeeper, DivergedError, Journal, trainable
from lextune.train.settings import TrainConfig


def _model() -> torch.nn.Linear:
    model = torch.nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    return model


def _state(step: int, history: list[dict[str, float]] | None = None, *, first: bool = True) -> SimpleNamespace:
    return SimpleNamespace(global_step=step, log_history=history or [], is_world_process_zero=first)


def _keeper(model: torch.nn.Module, folder: Path, **settings: Any) -> BestKeeper:
    return BestKeeper(model, folder, TrainConfig(**settings))


def _evaluate(keeper: BestKeeper, step: int, loss: float, metric: float | None = None) -> SimpleNamespace:
    control = SimpleNamespace(should_training_stop=False, should_save=False)
    metrics = {"eval_loss": loss} | ({} if metric is None else {"eval_metric": metric})
    keeper.on_evaluate(None, _state(step), control, metrics)
    return control


def test_the_weights_of_the_lowest_loss_are_put_back(tmp_path: Path) -> None:
    model = _model()
    keeper = _keeper(model, tmp_path / "checkpoints")
    assert keeper.best() is None
    for step, loss in ((1, 0.9), (2, 0.4), (3, 0.6)):
        torch.nn.init.constant_(model.weight, step)
        _evaluate(keeper, step, loss)
    assert keeper.best() == {"step": 2, "eval_loss": 0.4}
    torch.nn.init.constant_(model.bias, 7.0)
    keeper.restore()
    assert model.weight.tolist() == [[2.0, 2.0]]
    assert model.bias.tolist() == [7.0]  # not trained, not kept


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    keeper = _keeper(_model(), tmp_path)
    _evaluate(keeper, 1, 0.9)
    with pytest.raises(DivergedError) as caught:
        _evaluate(keeper, 2, float("nan"))
    assert str(caught.value) == "train.lr: the loss is not a number at step 2\n  -> train with a lower one"
    assert keeper.best() == {"step": 1, "eval_loss": 0.9}


def test_a_metric_comes_before_the_loss_and_the_loss_breaks_ties(tmp_path: Path) -> None:
    model = _model()
    keeper = _keeper(model, tmp_path)
    for step, loss, metric in ((1, 0.1, 0.5), (2, 0.9, 0.7), (3, 0.8, 0.7), (4, 0.85, 0.7), (5, 0.2, 0.6)):
        torch.nn.init.constant_(model.weight, step)
        _evaluate(keeper, step, loss, metric)
    assert keeper.best() == {"step": 3, "eval_loss": 0.8, "eval_metric": 0.7}
    keeper.restore()
    assert model.weight.tolist() == [[3.0, 3.0]]


def test_the_metric_is_of_the_model_as_it_is(tmp_path: Path) -> None:
    model = _model()
    keeper = BestKeeper(model, tmp_path, TrainConfig(), lambda module: module.weight.sum().item())
    torch.nn.init.constant_(model.weight, 4.0)
    assert keeper.measure() == {"eval_metric": 8.0}
    assert _keeper(model, tmp_path).measure() == {}


def test_what_is_kept_survives_the_process(tmp_path: Path) -> None:
    first = _model()
    torch.nn.init.constant_(first.weight, 5.0)
    _evaluate(_keeper(first, tmp_path), 2, 0.4)
    model = _model()
    torch.nn.init.constant_(model.weight, 1.0)
    keeper = _keeper(model, tmp_path)
    _evaluate(keeper, 2, 0.4)  # the same evaluation after a resume is no better
    _evaluate(keeper, 3, 0.5)
    keeper.restore()
    assert model.weight.tolist() == [[5.0, 5.0]]


def test_without_an_evaluation_the_weights_stay(tmp_path: Path) -> None:
    model = _model()
    torch.nn.init.constant_(model.weight, 3.0)
    _keeper(model, tmp_path).restore()
    assert model.weight.tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize(("patience", "stopped_at"), [(None, None), (1, 2), (2, 5), (3, 6)])
def test_patience_ends_a_run_and_saves_that_it_ended(
    tmp_path: Path, patience: int | None, stopped_at: int | None
) -> None:
    keeper, history = _keeper(_model(), tmp_path, patience=patience), list[dict[str, float]]()
    for step, loss in enumerate((0.9, 0.95, 0.5, 0.6, 0.7, 0.8), start=1):
        assert not keeper.in_vain(history)
        control = SimpleNamespace(should_training_stop=False, should_save=False)
        history.append({"step": step, "eval_loss": loss})
        keeper.on_evaluate(None, _state(step, history), control, {"eval_loss": loss})
        assert control.should_training_stop == control.should_save == (step == stopped_at)
        if control.should_training_stop:
            assert _keeper(_model(), tmp_path, patience=patience).in_vain(history), "another process finds it over"
            return
    assert stopped_at is None


def test_what_others_have_decided_stands(tmp_path: Path) -> None:
    """The last step's evaluation must not undo that it is the last."""
    control = SimpleNamespace(should_training_stop=True, should_save=True)
    _keeper(_model(), tmp_path, patience=2).on_evaluate(None, _state(3), control, {"eval_loss": 1.0})
    assert control.should_training_stop
    assert control.should_save


def test_trainable_are_copies_of_what_has_a_gradient() -> None:
    model = _model()
    kept = trainable(model)
    assert list(kept) == ["weight"]
    kept["weight"].fill_(9.0)
    assert not (model.weight == 9.0).any()


def _lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_progress_reports_losses_only(tmp_path: Path) -> None:
    seen: list[tuple[int, int, Any]] = []
    journal = Journal(tmp_path, 20, lambda *call: seen.append(call))
    for logs in ({"loss": 1.5}, {"eval_loss": 1.0}, None, {"train_runtime": 3.0, "loss": 9.0}):
        journal.on_log(None, _state(4), None, logs)
    journal.on_log(None, _state(5, first=False), None, {"loss": 1.25})  # the first process speaks for all
    Journal(tmp_path / "..", 20, None).on_log(None, _state(4), None, None)
    assert seen == [(4, 20, {"loss": 1.5})]
    assert [{k: v for k, v in line.items() if k != "seconds"} for line in _lines(tmp_path)] == [
        {"step": 4, "loss": 1.5},
        {"step": 4, "eval_loss": 1.0},
    ]


def test_a_run_that_goes_on_writes_the_steps_after_its_checkpoint_anew(tmp_path: Path) -> None:
    first = Journal(tmp_path, 9, None)
    for step in (1, 2, 3):
        first.on_log(None, _state(step), None, {"loss": float(step)})
    second = Journal(tmp_path, 9, None)
    second.on_train_begin(None, _state(2, [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 2.0}]), None)
    second.on_log(None, _state(3), None, {"loss": 3.5})
    assert [line["loss"] for line in _lines(tmp_path)] == [1.0, 2.0, 3.5]


def test_curves_by_kind(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 9, None)
    journal.take(
        [
            {"step": 1, "loss": 2.0, "learning_rate": 0.1, "epoch": 0.5},
            {"step": 1, "eval_loss": 1.5, "seconds": 3.0},
            {"step": 2, "train_runtime": 3.0},
        ]
    )
    assert journal.curves() == {
        "loss": [{"step": 1, "value": 2.0}],
        "eval_loss": [{"step": 1, "value": 1.5}],
        "lr": [{"step": 1, "value": 0.1}],
    }
