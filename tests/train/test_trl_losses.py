"""KTO and ORPO through TRL: our ids, the SFT adapter as reference, an adapter like it at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lextune.core.records import Message
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, Binding, write_binding
from lextune.train import dpo, trl_losses
from lextune.train.adapter import add_lora
from lextune.train.dpo_settings import DpoSettings
from lextune.train.preferences import Pair
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig

CONFIG = TrainConfig(strategy="point", precision="fp32", lora=LoraSettings(r=4, alpha=8), checkpoint_steps=2)
pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL's own making


@pytest.fixture
def adapter(base: Base, tmp_path: Path) -> Path:
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "sft"
    torch.manual_seed(5)
    model = add_lora(AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32), CONFIG.lora)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    model.save_pretrained(folder)
    hashes = {"weights_sha256": base.weights_sha256, "tokenizer_sha256": base.tokenizer_sha256}
    write_binding(folder, Binding(base=base.name, **hashes, strategy="point", template="t", fields=("Law",)))
    return folder


def _pairs(count: int) -> list[Pair]:
    return [
        Pair(
            document_id=f"d{n}",
            messages=(Message(role="user", content=f"Which sentence {'of it ' * (n % 4)}{n}? <|im_end|>"),),
            chosen=f'{{"Law":[{n}]}}',
            rejected="{}",
            kind="missed",
            reason="Law is left out",
        )
        for n in range(count)
    ]


def _train(base: Base, adapter: Path, out: Path, loss: Any, report: Any = None) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    changed = DpoSettings(loss=loss, batch=4, lr=5e-3, epochs=4, evaluations=2)
    config = dpo.dpo_train_config(CONFIG, changed, adapter)
    pairs = {"train": _pairs(8), "validation": _pairs(10)[8:]}
    return dpo.train_dpo(base, pairs, config, changed, out, RunOptions(3, report))


@pytest.mark.parametrize("loss", ["kto", "orpo"])
def test_training_by_trl(loss: str, base: Base, adapter: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    result = _train(base, adapter, tmp_path / "out", loss, lambda step, steps, logs: losses.append(logs["loss"]))
    assert result["steps"] == 8
    assert result["pairs"] == {"train": 8, "validation": 2}
    assert losses[-1] < losses[0]
    assert result["best"]["eval_loss"] < losses[0]
    start, end = (load_file(f / "adapter_model.safetensors") for f in (adapter, tmp_path / "out"))
    assert sorted(start) == sorted(end)
    assert any(not torch.equal(start[n], end[n]) for n in start)


def test_ktos_reference_is_the_sft_adapter(base: Base, adapter: Path, tmp_path: Path) -> None:
    """At the reference every reward is 0, and the loss 1 - sigmoid(0); it is not where the base is the reference."""
    codec = Codec(base.path)
    config = dpo.dpo_train_config(CONFIG, DpoSettings(loss="kto", batch=4), adapter)
    rows = {part: [dpo.pair_row(p, codec) for p in _pairs(4)] for part in ("train", "validation")}
    arguments = trl_losses._arguments(config, DpoSettings(loss="kto"), tmp_path, 0, 1)
    trainer = trl_losses._kto(trl_losses._model(base, config), rows, codec, arguments)
    batch = trainer.data_collator(list(trainer.train_dataset)[:4])
    with torch.no_grad():
        at_reference = trainer.compute_loss(trainer.model.eval(), batch).item()
        for name, parameter in trainer.model.named_parameters():
            if "lora_B.ref" in name:
                parameter.zero_()
        at_base = trainer.compute_loss(trainer.model, batch).item()
    assert at_reference == pytest.approx(0.5, abs=1e-6)
    assert abs(at_base - 0.5) > 1e-4
    assert batch["input_ids"][0].tolist()[: len(rows["train"][0].prefix)] == list(rows["train"][0].prefix)


def test_orpo_reads_our_ids(base: Base, adapter: Path, tmp_path: Path) -> None:
    """TRL's loss of a batch is that of its formulas over our ids: NLL of prompt and answer, minus the odds' term."""
    codec = Codec(base.path)
    config = dpo.dpo_train_config(CONFIG, DpoSettings(loss="orpo"), adapter)
    row = dpo.pair_row(_pairs(4)[3], codec)
    assert row.prefix.count(codec.stop_id) == _turns(codec)
    arguments = trl_losses._arguments(config, DpoSettings(loss="orpo", beta=0.3), tmp_path, 0, 1)
    trainer = trl_losses._orpo(trl_losses._model(base, config), {"train": [row], "validation": [row]}, codec, arguments)
    with torch.no_grad():
        model = trainer.model.eval()
        found = trainer.compute_loss(model, next(iter(trainer.get_train_dataloader()))).item()
        means = []
        for answer in row.branches:
            logits = model(input_ids=torch.tensor([row.prefix + answer])).logits[0].log_softmax(-1)
            ids = torch.tensor(row.prefix + answer)
            each = logits[:-1][range(len(ids) - 1), ids[1:]]
            means.append((each[len(row.prefix) - 1 :].mean(), -each.mean()))
        odds = means[0][0] - means[1][0] - torch.log1p(-means[0][0].exp()) + torch.log1p(-means[1][0].exp())
        expected = means[0][1] - 0.3 * torch.nn.functional.logsigmoid(odds)
    assert found == pytest.approx(expected.item(), rel=1e-4)


def _turns(codec: Codec) -> int:
    """How many stop tokens the template itself writes in a prompt of one message."""
    return codec.prompt([Message(role="user", content="Hello")]).count(codec.stop_id)


class KilledError(Exception):
    pass


def test_a_killed_run_goes_on_from_its_checkpoint(base: Base, adapter: Path, tmp_path: Path) -> None:
    def kill(step: int, _: int, __: float) -> None:
        if step == 5:
            raise KilledError

    with pytest.raises(KilledError):
        _train(base, adapter, tmp_path / "out", "kto", kill)
    result = _train(base, adapter, tmp_path / "out", "kto")
    assert result["resumed_from"] == "checkpoint-4"
    assert result["steps"] == 8
