"""A search on a tiny base: trials, their table and pages, a kill, more trials, several processes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import ModelError
from lextune.core.stage import Context
from lextune.expert.schema import load_schema
from lextune.expert.scoring.general import load_items
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.train import search, study, trial
from lextune.train.runs import RunOptions
from lextune.train.search import SearchConfig, run_search
from lextune.train.search_settings import SearchSettings, changed
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.stages import prepare, read_examples
from lextune.train.trainer import train

SCHEMA = """name: small
fields:
  - {name: Law, type: boolean, question: "Which law?"}
  - {name: Term, type: boolean, question: "How long?"}
  - {name: Audit, type: boolean, question: "May the books be inspected?"}
"""
TRAIN = TrainConfig(batch=4, lr=1e-3, head_lr=1e-2, evaluations=2, checkpoint_steps=1, lora=LoraSettings(r=2, alpha=4))
SPACE = SearchSettings(
    trials=4, startup=2, r=(2, 4), alpha=(1.0, 2.0), dropout=(0.0,), epochs=(1.0, 2.0), lr=(1e-4, 1e-2)
)


@pytest.fixture(autouse=True)
def _few_items(monkeypatch: pytest.MonkeyPatch) -> None:
    from lextune.expert.scoring import general
    from lextune.train import forgetting

    monkeypatch.setattr(forgetting, "load_items", lambda: general.load_items()[:8])


@pytest.fixture
def inputs(windows: dict[str, list[WindowExample]], seal: Callable[..., Artifact]) -> dict[str, Artifact]:
    def fill(folder: Path) -> None:
        for part in ("train", "validation"):
            write_jsonl(folder / f"{part}.jsonl", windows[part])

    return {"examples": seal("examples", fill), "preflight": seal("preflight", lambda folder: None)}


@pytest.fixture
def make_config(base: Base, tmp_path: Path) -> Callable[..., SearchConfig]:
    schema = tmp_path / "small.yaml"
    schema.write_text(SCHEMA)

    def make(**settings: Any) -> SearchConfig:
        return SearchConfig(
            task="clause-extraction",
            schema_name=str(schema),
            base=base.name,
            window=WindowConfig(),
            train=TRAIN,
            search=SPACE.model_copy(update=settings),
        )

    return make


def _run(config: SearchConfig, inputs: dict[str, Artifact], folder: Path, **options: Any) -> dict[str, Any]:
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    run_search(config, inputs, out, Context(5, options={"jobs": 1, "name": "try", **options}, warn=lambda text: None))
    return dict(json.loads((out / "search.json").read_text()))


def test_a_search_of_four_trials(
    make_config: Callable[..., SearchConfig], inputs: dict[str, Artifact], base: Base, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, str]] = []
    out = tmp_path / "s" / "out"
    out.mkdir(parents=True)
    context = Context(5, lambda *call: seen.append(call), {"jobs": 1}, warn=lambda text: None)
    summary = run_search(make_config(), inputs, out, context)
    found = json.loads((out / "search.json").read_text())

    assert summary["trials"] == 4 == len(found["trials"]) == seen[-1][0]
    assert summary["complete"] + summary["stopped early"] == 4
    assert any(re.fullmatch(r"trial 0: \d/\d, loss [\d.]+, [\d,]+ tokens/s", note) for _, _, note in seen)
    assert found["objectives"] == ["loss"]
    first = found["trials"][0]
    assert first["settings"] == {
        "train.lr": 1e-3,
        "train.lora.r": 2,
        "train.lora.alpha": 4,
        "train.lora.dropout": 0.0,
        "train.epochs": 1.0,
    }
    done = [row for row in found["trials"] if row["state"] == "complete"]
    assert found["recommended"]["objectives"]["loss"] == min(row["objectives"]["loss"] for row in done)
    assert found["options"].startswith("--set train.lr=")
    assert found["general_before"]["accuracy"]["n"] == 8
    assert {row["general"]["accuracy"]["n"] for row in done} == {8}
    page = (out / "search.html").read_text()
    assert found["options"] in page
    assert page.count("<tr>") == 5
    assert "<script" not in page
    assert (out / "search.svg").read_text().startswith("<svg xmlns=")
    assert sorted(file.name for file in (out / "trials").iterdir()) == [f"{n}.jsonl" for n in range(4)]
    assert not list(out.parent.glob(".study-*/trials/*/checkpoints"))

    chosen = found["recommended"]
    values = {"lr": chosen["settings"]["train.lr"], "r": chosen["settings"]["train.lora.r"], "dropout": 0.0}
    values["alpha"] = chosen["settings"]["train.lora.alpha"] / values["r"]
    values["epochs"] = chosen["settings"]["train.epochs"]
    config = make_config().model_copy(update={"train": changed(TRAIN, values)})
    schema = load_schema(config.schema_name)
    examples = read_examples(inputs["examples"], config.train, schema, 5)
    again = train(prepare(config, base, examples, schema, 5), config.train, tmp_path / "again", RunOptions(5))
    assert again["best"]["eval_loss"] == chosen["objectives"]["loss"], "its settings give what it found"


def test_a_study_of_another_adapter_is_another_study(
    inputs: dict[str, Artifact], make_config: Callable[..., SearchConfig], tmp_path: Path
) -> None:
    config = make_config()
    (tmp_path / "a").mkdir()
    config = config.model_copy(update={"train": TRAIN.model_copy(update={"init_adapter": str(tmp_path / "a")})})
    keys = set()
    for weights in (b"one", b"two", b"one"):
        (tmp_path / "a" / "adapter_model.safetensors").write_bytes(weights)
        keys.add(search._key(config, inputs, 0))
    assert len(keys) == 2


def test_two_objectives_give_a_pareto_set(
    make_config: Callable[..., SearchConfig],
    inputs: dict[str, Artifact],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = iter([[0.5, 0.50], [0.4, 0.49], [0.3, 0.20], [0.6, 0.40]])

    def quick(self: Any, one: Any, report: Any = None) -> None:
        self._study.note("before", {"accuracy": {"value": 0.5}, "likelihood": -1.0})
        self._study.tell(one, next(results))

    monkeypatch.setattr(trial.Trials, "run", quick)
    two = {"objectives": ("metric", "general")}
    found = _run(make_config(**two), inputs, tmp_path / "two")
    assert found["objectives"] == ["loss", "general"]
    assert found["best"] == [0, 1, 2], "the last is beaten in both"
    assert found["recommended"]["trial"] == 1, "the lowest loss that loses at most 0.02"
    page = (tmp_path / "two" / "out" / "search.html").read_text()
    assert "Task and general ability" in page
    assert "Pareto set" in page
    strict = _run(make_config(**two, general_drop=0.0), inputs, tmp_path / "two")
    assert strict["recommended"]["trial"] == 0, "the same study, read again"
    results = iter([[0.1, 0.6], [0.2, 0.1]])
    more = _run(make_config(**two, trials=6), inputs, tmp_path / "two")
    assert len(more["trials"]) == 6, "two more"
    assert more["best"] == [4]


class KilledError(BaseException):
    pass


def test_a_killed_search_goes_on_in_the_middle_of_its_trial(
    make_config: Callable[..., SearchConfig],
    inputs: dict[str, Artifact],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = make_config(trials=2, epochs=(2.0,))
    whole = _run(config, inputs, tmp_path / "whole")

    def kill(self: Any, one: Any, values: Any) -> bool:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(study.Study, "hopeless", kill)
        with pytest.raises(KilledError):
            _run(config, inputs, tmp_path / "killed")
    went_on: list[Any] = []

    def watched(*call: Any, **named: Any) -> dict[str, Any]:
        went_on.append(train(*call, **named))
        return dict(went_on[-1])

    monkeypatch.setattr(trial, "train", watched)
    found = _run(config, inputs, tmp_path / "killed")
    assert went_on[0]["resumed_from"] is not None
    assert found["trials"][0]["objectives"] == whole["trials"][0]["objectives"]
    assert [row["trial"] for row in found["trials"]] == [1, 2], "0 was killed"


def test_trials_that_fail_are_told_and_the_search_goes_on(
    make_config: Callable[..., SearchConfig],
    inputs: dict[str, Artifact],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = iter([MemoryError(), float("nan"), 0.5])

    def trained(self: Any, one: Any, folder: Path, report: Any) -> list[float]:
        self._study.note("before", {"accuracy": {"value": 0.5}, "likelihood": -1.0})
        end = next(ends)
        if isinstance(end, BaseException):
            raise end
        return [end]

    monkeypatch.setattr(trial.Trials, "_trained", trained)
    found = _run(make_config(trials=3), inputs, tmp_path / "a")
    assert [(row["state"], row["why"]) for row in found["trials"]] == [
        ("failed", "out of memory"),
        ("failed", "the loss is not a number"),
        ("complete", None),
    ]
    ends = iter([MemoryError()])
    with pytest.raises(ModelError, match="none of 1 trials came to its end"):
        _run(make_config(trials=1), inputs, tmp_path / "b")
    ends = iter([RuntimeError("our bug")])
    with pytest.raises(RuntimeError, match="our bug"):
        _run(make_config(trials=1), inputs, tmp_path / "c")


@pytest.mark.slow
def test_several_processes_share_a_search(
    make_config: Callable[..., SearchConfig], inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    found = _run(make_config(trials=3), inputs, tmp_path, jobs=2)
    assert len(found["trials"]) == 3
    assert found["general_before"]["accuracy"]["n"] == len(load_items()) > 8, "processes of their own"


def test_gpus_are_named_as_the_environment_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert search.visible_gpus() == ["0", "1"]
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "3,GPU-5f")
    assert search.visible_gpus() == ["3", "GPU-5f"]
