"""The estimate of a run on this machine: what is counted, what is timed, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lextune.core.records import Message
from lextune.expert.point import ChatExample
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowExample
from lextune.train import estimate
from lextune.train.batches import Pass, Plan, Row
from lextune.train.dpo_settings import DpoSettings, PairSettings
from lextune.train.estimate import Speed, Tokens, Verdict, count_tokens, estimate_dpo, estimate_run, size
from lextune.train.settings import LoraSettings, TrainConfig


def _config(**values: Any) -> TrainConfig:
    return TrainConfig.model_validate({"batch": 4, "evaluations": 2, "lora": LoraSettings(r=2), **values})


def _conversations(count: int) -> list[ChatExample]:
    return [
        ChatExample(
            document_id=f"d{n}",
            messages=(Message(role="user", content=f"Is {n} " + "very " * n + "even?"),),
            completion="Yes.",
        )
        for n in range(count)
    ]


@pytest.fixture
def prepared(base: Base) -> Any:
    from lextune.train.chat import prepare_chat

    rows = {"train": _conversations(12), "validation": _conversations(3)}
    return prepare_chat(base, rows, _config(strategy="text"), 0)


def test_tokens_are_those_of_the_whole_run() -> None:
    """Worked out by hand: rows of 4 (2 learnt), and of 3 with two branches of 2 and 1, twice over."""
    rows = {
        "train": [
            Row((1, 2), ((3, 4),), ((True, True),)),
            Row((1, 2, 3), ((4, 5), (6,)), ((False, True), (True,))),
        ],
        "validation": [Row((1, 2, 3), ((4,),), ((True,),))],
    }
    found = count_tokens(rows, _config(strategy="text", batch=3, epochs=2, evaluations=1), 0)
    assert found.trained == 2 * (4 + 6)
    assert found.learnt == 2 * (2 + 2)
    assert found.evaluated == 4
    assert found.mean == pytest.approx((4 + 5 + 4) / 3, abs=0.05)
    assert found.longest == 6


def test_an_estimate_times_the_run_and_leaves_it_as_it_was(prepared: Any) -> None:
    import torch

    before = {n: p.detach().clone() for n, p in prepared.model.named_parameters()}
    steps, seconds = estimate_run(prepared, _config(strategy="text", epochs=3), 0, start=2.0)
    assert steps == len(Plan(prepared.rows["train"], _config(strategy="text", epochs=3), 0)) == 9
    assert seconds.start == 2.0
    assert min(seconds) >= 0
    assert seconds.training > 0
    for name, parameter in prepared.model.named_parameters():
        assert torch.equal(parameter, before[name]), name
        assert parameter.grad is None


def test_each_part_is_scaled_to_its_share(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a machine that takes 1 s a pass and 0.1 s a token (half of both to read), the estimate is exact."""

    def pass_seconds(model: Any, one: Pass, passes: Any, *, learn: bool) -> float:
        return (1.0 if learn else 0.5) * (1 + 0.1 * size(one))

    monkeypatch.setattr(estimate, "_seconds", pass_seconds)
    monkeypatch.setattr(estimate, "_step_seconds", lambda groups: 0.25)
    monkeypatch.setattr(estimate, "_save_seconds", lambda model: 1.0)
    config = _config(strategy="text", epochs=3, pass_tokens=40, checkpoint_steps=4, packing=False)
    steps, seconds = estimate_run(prepared, config, 0)
    passes = [one for step in Plan(prepared.rows["train"], config, 0) for one in step.passes[0]]
    assert seconds.training == pytest.approx(len(passes) + 0.1 * sum(map(size, passes)) + 0.25 * steps, abs=0.06)
    assert seconds.saving == 3 * 3 + 2 + 1, "three checkpoints with two moments each, two best ones, and the adapter"
    # 9 steps with an evaluation every 4: two; passes of 40 tokens hold one row each
    held_out = sum(0.5 * (1 + 0.1 * row.tokens) for row in prepared.rows["validation"])
    assert seconds.evaluation == pytest.approx(2 * held_out, rel=0.1)


@pytest.mark.parametrize(
    ("estimated", "took", "said"),
    [
        (120.0, 131.0, "estimated 120 s, took 131 s: 8 % under"),
        (150.0, 100.0, "estimated 150 s, took 100 s: 50 % over"),
        (100.1, 100.0, "estimated 100 s, took 100 s: 0 %"),
    ],
)
def test_the_verdict_is_said(estimated: float, took: float, said: str) -> None:
    assert str(Verdict(estimated, took)) == said
    assert Verdict(estimated, took).off == pytest.approx((estimated - took) / took)


def test_windows_are_estimated_too(base: Base, windows: dict[str, list[WindowExample]]) -> None:
    from lextune.train.tag import prepare_tag

    config = _config(strategy="tag")
    prepared = prepare_tag(base, windows, ("Law", "Term", "Fee"), config, 0)
    assert count_tokens(prepared.rows, config, 0).learnt == 0, "a tagger learns no token"
    assert estimate_run(prepared, config, 0)[0] == 3


def test_a_run_of_one_pass_is_scaled_by_its_speed(make_window: Callable[..., WindowExample], base: Base) -> None:
    from lextune.train.tag import prepare_tag

    config = _config(strategy="tag", batch=1, steps=1)
    prepared = prepare_tag(
        base, {"train": [make_window(0)], "validation": [make_window(1)]}, ("Law", "Term", "Fee"), config, 0
    )
    assert estimate_run(prepared, config, 0)[1].training >= 0


def test_dpo_is_estimated_by_the_speed_of_sft() -> None:
    """By hand: 10 prompts of 80 tokens, 30 answers of 20; of 30 pairs 27 are learnt twice, 3 read in 2 evaluations."""
    tokens = Tokens(trained=1, learnt=1, evaluated=1, mean=100.0, longest=1, answer=20.0)
    settings = DpoSettings(pairs=PairSettings(windows=10, samples=2), epochs=2, evaluations=2, validation=0.1)
    found = estimate_dpo(settings, 50, tokens, Speed(trained=0.02, read=0.01))
    assert found.pairs == 30
    assert found.mining == pytest.approx((10 * 80 + 30 * 20 * 4) * 0.01)
    assert found.training == pytest.approx(120 * (2 * 27 * 0.02 + (30 + 2 * 3) * 0.01), abs=0.1)
    few = estimate_dpo(settings.model_copy(update={"steps": 1, "batch": 4}), 50, tokens, Speed(0.02, 0.01))
    assert few.training == pytest.approx(120 * (4 * 0.02 + 36 * 0.01), abs=0.1)
    assert estimate_dpo(settings, 4, tokens, Speed(0.02, 0.01)).pairs == 12
    capped = settings.model_copy(update={"pairs": PairSettings(windows=5000, per_kind=100)})
    assert estimate_dpo(capped, 5000, tokens, Speed(0.02, 0.01)).pairs == 600
