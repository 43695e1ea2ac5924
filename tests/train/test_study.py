"""The memory of a search: what is proposed, what a kill leaves, and which trials are stopped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lextune.core.errors import MachineError, RecipeError
from lextune.core.recipe import validate
from lextune.train.search_settings import SearchSettings, as_sets, changed, settings_of
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.study import EVALUATIONS, FIRST, JOURNAL, KILLED, WHY, Study, mend, need_optuna

TRAIN = TrainConfig(lr=1e-3, lora=LoraSettings(r=8, alpha=16))
SETTINGS = SearchSettings(trials=4, startup=2)
TWO = SETTINGS.model_copy(update={"objectives": ("metric", "general")})


def _ask(study: Study) -> Any:
    trial = study.next()
    assert trial is not None
    return trial


def test_values_become_settings_and_options() -> None:
    values = {"lr": 0.00031, "r": 8, "alpha": 2.0, "dropout": 0.05, "epochs": 2.0}
    train = changed(TRAIN, values)
    assert (train.lr, train.lora.r, train.lora.alpha, train.lora.dropout, train.epochs) == (0.00031, 8, 16, 0.05, 2.0)
    assert train.head_lr == TRAIN.head_lr
    assert settings_of({"lr": 1e-3}) == {"train.lr": 1e-3}
    assert as_sets(values) == (
        "--set train.lr=0.00031 --set train.lora.r=8 --set train.lora.alpha=16 "
        "--set train.lora.dropout=0.05 --set train.epochs=2.0"
    )


@pytest.mark.parametrize(
    ("train", "searched"),
    [
        pytest.param(TRAIN, ["r", "alpha", "dropout", "epochs"], id="lora"),
        pytest.param(TrainConfig(steps=5), ["r", "alpha", "dropout"], id="steps cap the run"),
        pytest.param(TrainConfig(method="full"), ["epochs"], id="no adapter"),
        pytest.param(TrainConfig(init_adapter="a"), ["dropout", "epochs"], id="the adapter has its rank"),
    ],
)
def test_only_what_is_free_is_searched(train: TrainConfig, searched: list[str]) -> None:
    assert list(SETTINGS.choices(train)) == searched


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"objectives": ["general"]}, "search.objectives: use [metric] or [metric, general]"),
        ({"lr": [1e-3, 1e-4]}, "lr: give the lowest, above 0, and then the highest"),
        ({"r": [0]}, "r: each must be at least 1"),
        ({"dropout": [1.0]}, "dropout: each must be at least 0 and below 1"),
        ({"trails": 3}, "search.trails: unknown setting; did you mean 'trials'?"),
    ],
)
def test_mistakes_in_a_recipe_are_named(given: dict[str, Any], said: str) -> None:
    from lextune.pipeline import Recipe

    with pytest.raises(RecipeError) as caught:
        validate({"name": "a", "search": given}, Recipe, "a.yaml")
    assert said in str(caught.value)


def test_the_recipe_is_tried_first_and_then_what_is_proposed(tmp_path: Path) -> None:
    study = Study(tmp_path, SETTINGS, TRAIN, 0)
    assert study.begin() == 0
    first = _ask(study)
    assert first.params == {"lr": 1e-3, "r": 8, "alpha": 2.0, "dropout": 0.0, "epochs": 1.0}
    study.tell(first, [0.5])
    for value in (0.4, 0.6, 0.7):
        trial = _ask(study)
        assert 2e-5 <= trial.params["lr"] <= 5e-3
        study.tell(trial, [value])
    assert study.next() is None
    assert (study.counted(), study.finished()) == (4, 4)
    assert [trial.number for trial in study.best()] == [1], "the lowest loss"
    outside = Study(tmp_path / "other", SETTINGS, TRAIN.model_copy(update={"lr": 1.0}), 0)
    outside.begin()
    assert _ask(outside).params["lr"] < 1.0


def test_the_same_seed_proposes_the_same_also_after_a_kill(tmp_path: Path) -> None:
    def proposals(folder: Path, seed: int, *, reopened: bool) -> list[Any]:
        study, found = Study(folder, SETTINGS, TRAIN, seed), []
        study.begin()
        for number in range(4):
            if reopened:
                study = Study(folder, SETTINGS, TRAIN, seed)
                study.begin()
            trial = _ask(study)
            found.append(trial.params)
            study.tell(trial, [1.0 / (number + 1)])
        return found

    whole = proposals(tmp_path / "a", 3, reopened=False)
    assert proposals(tmp_path / "b", 3, reopened=True) == whole
    assert proposals(tmp_path / "c", 4, reopened=False)[1:] != whole[1:]
    assert len({tuple(values.items()) for values in whole}) == 4


def test_a_trial_that_was_killed_is_tried_again_and_given_up_at_last(tmp_path: Path) -> None:
    study = Study(tmp_path, SETTINGS, TRAIN, 0)
    study.begin()
    study.tell(_ask(study), [0.5])
    running = _ask(study)
    running.set_user_attr(EVALUATIONS, {"3": [0.9]})
    assert study.counted() == 2
    for tries in (1, 2):
        study = Study(tmp_path, SETTINGS, TRAIN, 0)  # a new process
        assert study.begin() == 1
        assert study.trials()[tries].user_attrs[KILLED]
        assert study.counted() == 1
        again = _ask(study)
        assert again.params == running.params
        assert again.user_attrs[FIRST] == running.number, "its checkpoints"
        assert again.user_attrs[EVALUATIONS] == {"3": [0.9]}
    study = Study(tmp_path, SETTINGS, TRAIN, 0)
    assert study.begin() == 1
    last = study.trials()[-1]
    assert last.user_attrs[WHY] == "its process died 3 times"
    assert study.counted() == 2
    assert _ask(study).params != running.params


def test_a_journal_that_a_kill_cut_is_mended(tmp_path: Path) -> None:
    study = Study(tmp_path, SETTINGS, TRAIN, 0)
    study.begin()
    study.tell(_ask(study), [0.5])
    journal = tmp_path / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"tri')
    mend(tmp_path)
    assert journal.read_bytes() == whole
    again = Study(tmp_path, SETTINGS, TRAIN, 0)
    again.begin()
    again.tell(_ask(again), [0.4])
    assert Study(tmp_path, SETTINGS, TRAIN, 0).finished() == 2


def test_a_search_that_is_stopped_begins_no_trial(tmp_path: Path) -> None:
    study = Study(tmp_path, SETTINGS, TRAIN, 0)
    study.begin()
    study.stop()
    assert study.next() is None
    study.begin()
    assert study.next() is not None


@pytest.mark.parametrize(
    ("values", "stopped"),
    [
        pytest.param([0.9, 0.4], True, id="worse than the median in both"),
        pytest.param([0.9, 0.6], False, id="forgets less"),
        pytest.param([0.3, 0.4], False, id="learns more"),
        pytest.param([0.5, 0.5], False, id="at the median"),
    ],
)
def test_with_two_objectives_a_trial_stops_that_is_worse_in_both(
    values: list[float], stopped: bool, tmp_path: Path
) -> None:
    study = Study(tmp_path, TWO, TRAIN, 0)
    study.begin()
    early = _ask(study)
    assert not study.hopeless(early, [[9.0, 0.0]]), "nothing to compare with"
    early.set_user_attr(EVALUATIONS, {"4": [0.4, 0.4], "12": [0.3, 0.4]})  # loss, general ability
    study.tell(early, [0.3, 0.4])
    for later in ({"4": [0.6, 0.6], "12": [0.3, 0.6]},):
        other = _ask(study)
        other.set_user_attr(EVALUATIONS, later)
        study.tell(other, later["12"])
    assert study.hopeless(_ask(study), [values]) is stopped
    assert study.ups == (False, True)


def test_with_one_objective_optuna_stops_what_is_below_the_median(tmp_path: Path) -> None:
    study = Study(tmp_path, SETTINGS, TRAIN.model_copy(update={"best_by": "metric"}), 0)
    study.begin()
    for value in (0.5, 0.7):
        trial = _ask(study)
        assert not study.hopeless(trial, [[value]])
        study.tell(trial, [value])
    trial = _ask(study)
    assert study.hopeless(trial, [[0.4]])
    assert not study.hopeless(trial, [[0.4], [0.8]]), "it is read once an evaluation"
    patient = SETTINGS.model_copy(update={"pruner": "none"})
    never = Study(tmp_path / "never", patient, TRAIN, 0)
    assert not never.hopeless(_ask(never), [[9.0]])


def test_without_optuna_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MachineError) as caught:
        need_optuna()
    assert str(caught.value) == "train search: optuna is not installed\n  -> pip install 'lextune[search]'"
