"""DPO: the reference is the SFT model, the loss is the formula's, a pair is never parted, a killed run goes on.

Oracles: the formulas written out over plain forward passes of PEFT and transformers, and TRL's own trainer.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import DataError, ModelError, RecipeError
from lextune.core.learnt import LEARNT_FILE, learnt_json
from lextune.core.records import Message
from lextune.core.stage import Context
from lextune.expert.weights import Base
from lextune.train import dpo
from lextune.train.batches import Plan, Row, divide
from lextune.train.dpo import Setup
from lextune.train.dpo_settings import DpoSettings
from lextune.train.preference_model import PairModel
from lextune.train.preferences import Pair
from lextune.train.runs import Prepared, RunOptions
from lextune.train.settings import LoraSettings, TrainConfig

CONFIG = TrainConfig(strategy="point", precision="fp32", lora=LoraSettings(r=4, alpha=8), checkpoint_steps=2)
SETTINGS = DpoSettings(batch=4, lr=1e-3, evaluations=1)
LN_2 = math.log(2)


def _pairs(count: int) -> list[Pair]:
    """Pairs of answers of different lengths, two of each document."""
    return [
        Pair(
            document_id=f"d{n // 2}",
            messages=(Message(role="user", content=f"Which sentence of {'the contract ' * (n % 4)}{n} is it?"),),
            chosen=f'{{"Law":[{n}]}}' if n % 3 else "{}",
            rejected=f'{{"Term":[{n},{n + 1}]}}{"!" * (n % 5)}',
            kind="wrong_field",
            reason="what states Law stands under Term",
            stopped=n % 4 != 1,
        )
        for n in range(count)
    ]


PARTS = {"train": _pairs(4), "validation": _pairs(2)}


def _setup(base: Base, adapter: Path, **train: Any) -> Setup:
    return Setup(base, dpo.dpo_train_config(CONFIG.model_copy(update=train), SETTINGS, adapter), SETTINGS)


def _prepared(
    base: Base, adapter: Path, notes: Path, changed: DpoSettings = SETTINGS, **train: Any
) -> tuple[Prepared, TrainConfig]:
    config = dpo.dpo_train_config(CONFIG.model_copy(update=train), changed, adapter)
    pairs = {"train": _pairs(7), "validation": _pairs(9)[7:]}
    setup = Setup(base, config, changed)
    return dpo.add_reference(dpo.prepare_dpo(setup, pairs, seed=0), setup, notes), config


def _loss(prepared: Prepared, config: TrainConfig, rows: list[Row]) -> torch.Tensor:
    passes = prepared.passes
    return sum(prepared.model(**passes.tensors(one)) for one in divide(rows, config)) / sum(map(passes.items, rows))


def _perturb(model: torch.nn.Module, strength: float = 0.05) -> None:
    """Move the adapter as training would."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        if "lora_" in name and parameter.requires_grad:
            with torch.no_grad():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * strength)


LOSSES = [
    DpoSettings(),
    DpoSettings(beta=0.5, length_normalised=True),
    DpoSettings(loss="ipo", beta=0.3),
    DpoSettings(loss="ipo", beta=0.3, length_normalised=True),
    DpoSettings(sft_weight=0.7),
]


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("changed", LOSSES)
def test_before_the_first_step_the_loss_is_ln_2(
    base: Base, adapter: Path, tmp_path: Path, changed: DpoSettings, packing: bool
) -> None:
    prepared, config = _prepared(base, adapter, tmp_path / "r.json", changed, packing=packing, pass_tokens=100)
    prepared = prepared._replace(model=_without_sft_term(prepared.model, changed))
    expected = 1 / (4 * changed.beta**2) if changed.loss == "ipo" else LN_2
    for rows in prepared.rows.values():
        assert _loss(prepared, config, rows).item() == pytest.approx(expected, abs=1e-6 * max(1, expected))


def _without_sft_term(model: PairModel, changed: DpoSettings) -> PairModel:
    model._settings = changed.model_copy(update={"sft_weight": 0.0})
    return model


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("changed", LOSSES)
def test_the_loss_and_its_gradient_are_the_formula_over_separate_passes(
    base: Base, adapter: Path, tmp_path: Path, changed: DpoSettings, packing: bool
) -> None:
    prepared, config = _prepared(base, adapter, tmp_path / "r.json", changed, packing=packing, pass_tokens=100)
    rows = prepared.rows["train"]
    _perturb(prepared.model, 0.2)
    found = _loss(prepared, config, rows)
    found.backward()

    reference, policy = _plain(base, adapter), _plain(base, adapter)
    _perturb(policy, 0.2)
    total = torch.zeros(())
    for row in rows:
        scores = []
        for answer in row.branches:
            now, before = (_log_probability(m, row.prefix, answer) for m in (policy, reference))
            ratio = now - before.detach()
            scores.append((ratio / len(answer) if changed.length_normalised else ratio, now / len(answer)))
        h = scores[0][0] - scores[1][0]
        if changed.loss == "ipo":
            loss = (h - 1 / (2 * changed.beta)) ** 2
        else:
            loss = torch.log(1 + torch.exp(-changed.beta * h))
        total = total + loss - changed.sft_weight * scores[0][1]
    total = total / len(rows)
    total.backward()
    assert found.item() == pytest.approx(total.item(), rel=1e-5)
    assert abs(found.item() - LN_2) > 1e-3
    wanted = {f"model.{n}": p.grad for n, p in policy.named_parameters() if p.requires_grad}
    for name, parameter in prepared.model.named_parameters():
        if parameter.requires_grad:
            assert (parameter.grad - wanted[name]).norm() <= 1e-4 * wanted[name].norm(), name


def _plain(base: Base, adapter: Path) -> Any:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    return PeftModel.from_pretrained(model, adapter, is_trainable=True)


def _log_probability(model: Any, prompt: tuple[int, ...], answer: tuple[int, ...]) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1)[range(len(answer)), list(answer)].sum()


@pytest.mark.parametrize(
    ("changed", "theirs"),
    [
        (DpoSettings(beta=0.2), "sigmoid"),
        (DpoSettings(beta=0.2, length_normalised=True), "sigmoid_norm"),
        (DpoSettings(loss="ipo", beta=0.2, length_normalised=True), "ipo"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_loss_is_that_of_trl(base: Base, adapter: Path, tmp_path: Path, changed: DpoSettings, theirs: str) -> None:
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    prepared, config = _prepared(base, adapter, tmp_path / "r.json", changed)
    rows = prepared.rows["train"]

    class Trainer(DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    data = [{"prompt_ids": r.prefix, "chosen_ids": r.branches[0], "rejected_ids": r.branches[1]} for r in rows]
    arguments = DPOConfig(
        output_dir=str(tmp_path / "trl"), loss_type=[theirs], beta=changed.beta, max_length=None, report_to=[],
        use_cpu=True, bf16=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(
        model=_plain(base, adapter),
        args=arguments,
        train_dataset=Dataset.from_list(data),
        processing_class=AutoTokenizer.from_pretrained(base.path),
    )
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if name.endswith("default.weight"):
                parameter.requires_grad_(True)
        _perturb(trainer.model)
        batch = trainer.data_collator([{k: list(v) for k, v in each.items()} for each in data])
        expected = trainer.compute_loss(trainer.model.eval(), batch).item()
        _perturb(prepared.model)
        assert _loss(prepared, config, rows).item() == pytest.approx(expected, rel=1e-5)


def test_a_reference_of_another_adapter_is_refused(
    base: Base, adapter: Path, make_adapter: Callable[..., Path], tmp_path: Path
) -> None:
    notes = tmp_path / "r.json"
    _prepared(base, adapter, notes)
    other = make_adapter("other", seed=6)
    with pytest.raises(ModelError, match=r"the loss before the first step is .*, and must be 0\.693147\n  -> remove"):
        _prepared(base, other, notes)
    notes.write_text("[[0, 0]]")
    with pytest.raises(ModelError, match=r"r\.json: the reference is not .*: it has 1 pairs, and there are 9"):
        _prepared(base, adapter, notes)


def test_the_untuned_base_as_reference_is_refused(base: Base, adapter: Path, tmp_path: Path) -> None:
    """The naive version: adapters switched off for the reference."""
    setup = _setup(base, adapter)
    prepared = dpo.prepare_dpo(setup, PARTS, seed=0)
    for name, parameter in prepared.model.named_parameters():
        if "lora_B" in name:
            parameter.data.zero_()
    dpo.add_reference(prepared, setup, tmp_path / "r.json")
    trained = dpo.prepare_dpo(setup, PARTS, seed=0)
    with pytest.raises(ModelError, match="the reference is not the model that training goes on from"):
        dpo.add_reference(trained, setup, tmp_path / "r.json")


joint_rows = st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12).map(
    lambda sizes: [
        Row((n,) * a, ((1,) * b, (2,) * c), ((True,) * b, (True,) * c), joint=True) for n, (a, b, c) in enumerate(sizes)
    ]
)


@given(joint_rows, st.integers(1, 5), st.floats(0.1, 2.5), st.integers(1, 3), st.booleans())
def test_a_pair_is_one_example_and_never_parted(
    rows: list[Row], batch: int, epochs: float, world: int, packing: bool
) -> None:
    config = CONFIG.model_copy(update={"batch": batch, "epochs": epochs, "packing": packing, "pass_tokens": 120})
    plan = Plan(rows, config, 0, world)
    counts = [sum(len(one) for process in step.passes for one in process) for step in plan]
    assert all(count == batch for count in counts[:-1])
    assert sum(counts) == min(math.ceil(len(rows) * epochs), len(plan) * batch)
    for step in plan:
        for process in step.passes:
            for one in process:
                assert all(row in rows and len(row.branches) == 2 for row in one)
                if not packing and len(one) > 1:
                    assert 2 * len(one) * max(row.longest for row in one) <= 120


class KilledError(Exception):
    pass


def _train(base: Base, adapter: Path, out: Path, changed: DpoSettings, report: Any = None) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    config = dpo.dpo_train_config(CONFIG, changed, adapter)
    pairs = {"train": _pairs(10), "validation": _pairs(12)[10:]}
    return dpo.train_dpo(Setup(base, config, changed), pairs, out, RunOptions(3, report))


def test_a_killed_run_ends_with_the_same_adapter_and_keeps_its_reference(
    base: Base, adapter: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "killed" / "checkpoints" / dpo.REFERENCE

    def kill(step: int, _: int, __: float) -> None:
        if step == 5:
            raise KilledError

    changed = SETTINGS.model_copy(update={"epochs": 3, "batch": 4})
    _train(base, adapter, tmp_path / "undisturbed", changed)
    with pytest.raises(KilledError):
        _train(base, adapter, tmp_path / "killed", changed, kill)
    before = notes.read_bytes()
    result = _train(base, adapter, tmp_path / "killed", changed)
    assert result["resumed_from"] == "checkpoint-4"
    assert notes.read_bytes() == before
    whole, resumed = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("undisturbed", "killed"))
    assert list(whole) == list(resumed)
    assert all(torch.equal(whole[n], resumed[n]) for n in whole)


def test_training_prefers_the_chosen_answers(base: Base, adapter: Path, tmp_path: Path) -> None:
    result = _train(base, adapter, tmp_path / "out", SETTINGS.model_copy(update={"epochs": 8, "lr": 5e-3}))
    curves = result["curves"]
    assert result["pairs"] == {"train": 10, "validation": 2}
    assert result["steps"] == 20
    assert curves["loss"][-1]["value"] < LN_2 / 2
    assert curves["rewards/margin"][-1]["value"] > 1
    assert curves["rewards/accuracy"][-1]["value"] == 1
    assert {"rewards/chosen", "rewards/rejected", "logps/chosen", "eval_rewards/margin"} <= set(curves)
    assert "eval_perplexity" not in curves
    start, end = (load_file(f / "adapter_model.safetensors") for f in (adapter, tmp_path / "out"))
    assert list(start) == list(end)
    assert not all(torch.equal(start[n], end[n]) for n in start)


def test_a_document_is_in_one_part_only() -> None:
    parts = dpo.divide_pairs(_pairs(40), 0.1, 0)
    names = {part: {p.document_id for p in pairs} for part, pairs in parts.items()}
    assert len(names["validation"]) == 2
    assert not names["train"] & names["validation"]
    assert sorted(p.messages[0].content for part in parts.values() for p in part) == sorted(
        p.messages[0].content for p in _pairs(40)
    )
    with pytest.raises(DataError, match=r"dpo.kept_out: all 2 pairs are of one document: none can be held out\n  -> "):
        dpo.divide_pairs(_pairs(2), 0.1, 0)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            {"strategy": "point", "method": "qlora"},
            r"dpo.loss: the loss kto computes the base in whole.*\n  -> use loss",
        ),
        ({"strategy": "tag"}, r"dpo: dpo learns from what a model generates, .* generates nothing\n  -> use train"),
        ({"strategy": "point", "method": "full"}, r"dpo: dpo goes on from an adapter, .* there is none\n  -> use"),
    ],
)
def test_what_dpo_cannot_go_on_from_is_refused(train: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        dpo.check_train(TrainConfig(**train), "kto")


def test_the_stage_writes_an_adapter_bound_as_that_of_sft(
    base: Base, seal: Callable[..., Artifact], adapter: Path
) -> None:
    (adapter / LEARNT_FILE).write_text(learnt_json(["00ff"]))
    sft = seal("adapter", lambda f: shutil.copytree(adapter, f, dirs_exist_ok=True) and None)
    long = _pairs(1)[0].model_copy(update={"document_id": "long", "rejected": "x " * 3000})
    pairs = seal("pairs", lambda f: write_jsonl(f / "pairs.jsonl", [*_pairs(12), long]) * 0)
    config = dpo.DpoConfig(base=base.name, train=CONFIG, dpo=SETTINGS)
    calls: list[tuple[int, int, str]] = []
    context = Context(0, lambda *call: calls.append(call))
    made = seal("adapter", lambda f: dpo.run_dpo(config, {"pairs": pairs, "adapter": sft}, f, context))
    summary = made.manifest.summary
    assert (summary["n_in"], summary["n_out"], summary["n_dropped"]) == (13, 12, 1)
    (drop,) = made.file("drops.jsonl").read_text().splitlines()
    assert json.loads(drop) == {"what": "pair", "where": "long", "reason": dpo.LONG}
    for name in ("lextune.json", LEARNT_FILE):
        assert made.file(name).read_bytes() == sft.file(name).read_bytes()
    assert calls[-1][2].startswith("loss ")
    training = made.json("training.json")
    assert training["pairs"] == {"train": 10, "validation": 2}
    assert made.json("adapter_config.json")["r"] == 4


def test_pairs_that_are_all_too_long_are_refused(base: Base, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 4 train pair examples are longer than 32 tokens"):
        dpo.prepare_dpo(_setup(base, adapter, max_tokens=32), PARTS, 0)


def test_an_adapter_of_another_rank_is_refused(base: Base, adapter: Path) -> None:
    with pytest.raises(ModelError, match=r"rank 4 \(asked for: 8\)"):
        dpo.prepare_dpo(_setup(base, adapter, lora=LoraSettings(r=8)), PARTS, 0)
