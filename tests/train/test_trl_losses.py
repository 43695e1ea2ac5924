"""KTO and ORPO through TRL: our ids, the SFT adapter as reference, an adapter like it at the end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lextune.core.records import Message
from lextune.expert.templates import Codec
from lextune.expert.weights import Base
from lextune.train import dpo, resumable, trl_losses
from lextune.train.checkpoints import seal
from lextune.train.dpo import Setup
from lextune.train.dpo_settings import DpoSettings
from lextune.train.preferences import Pair
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig

CONFIG = TrainConfig(strategy="point", precision="fp32", lora=LoraSettings(r=4, alpha=8), checkpoint_steps=2)
pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL's own making


def _setup(base: Base, adapter: Path, **changed: Any) -> Setup:
    settings = DpoSettings(**{"batch": 4, "lr": 5e-3, "epochs": 4, "evaluations": 2, **changed})
    return Setup(base, dpo.dpo_train_config(CONFIG, settings, adapter), settings)


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


def _train(base: Base, adapter: Path, out: Path, loss: str, **run: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    pairs = {"train": _pairs(8), "validation": _pairs(10)[8:]}
    return dpo.train_dpo(_setup(base, adapter, loss=loss), pairs, out, RunOptions(3, **run))


@pytest.mark.parametrize("loss", ["kto", "orpo"])
def test_training_by_trl(loss: str, base: Base, adapter: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    result = _train(base, adapter, tmp_path / "out", loss, report=lambda _, __, logs: losses.append(logs["loss"]))
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
    setup = _setup(base, adapter, loss="kto")
    rows = {part: [dpo.pair_row(p, codec) for p in _pairs(4)] for part in ("train", "validation")}
    arguments = trl_losses._arguments(setup, tmp_path, RunOptions(0), 1)
    trainer = trl_losses._kto(trl_losses._model(base, setup.config), rows, codec, arguments)
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
    setup = _setup(base, adapter, loss="orpo", beta=0.3)
    row = dpo.pair_row(_pairs(4)[3], codec)
    assert row.prefix.count(codec.stop_id) == _turns(codec)
    arguments, rows = trl_losses._arguments(setup, tmp_path, RunOptions(0), 1), {"train": [row], "validation": [row]}
    trainer = trl_losses._orpo(trl_losses._model(base, setup.config), rows, codec, arguments)
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


def _killed_in_its_third_save(base: Base, adapter: Path, out: Path, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop a run while its third checkpoint is written, which then has its files and no seal."""
    saved = Counter[str]()

    def stop(folder: Path, final: Path) -> None:
        saved[final.name] += 1
        if len(saved) == 3:
            raise KilledError
        seal(folder, final)

    with monkeypatch.context() as patched:
        patched.setattr(resumable, "seal", stop)
        with pytest.raises(KilledError):
            _train(base, adapter, out, loss)


@pytest.mark.parametrize("loss", ["kto", "orpo"])
def test_a_run_killed_inside_a_save_skips_the_corrupt_checkpoint_and_ends_the_same(
    loss: str, base: Base, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.trainer_utils import get_last_checkpoint

    _train(base, adapter, tmp_path / "undisturbed", loss)
    _killed_in_its_third_save(base, adapter, tmp_path / "killed", loss, monkeypatch)
    scratch = tmp_path / "killed" / "checkpoints"
    (scratch / "checkpoint-4" / "optimizer.pt").write_bytes(b"PK")  # a disk that lost what was written
    assert Path(str(get_last_checkpoint(str(scratch)))).name == "checkpoint-4", "what transformers would go on from"
    said: list[str] = []
    result = _train(base, adapter, tmp_path / "killed", loss, warn=said.append)
    assert said == ["checkpoint-4 is corrupt and passed over: optimizer.pt is not what was written"]
    assert result["resumed_from"] == "checkpoint-2"
    assert result["steps"] == 8
    assert not list(scratch.glob("writing-*"))
    whole, resumed = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("undisturbed", "killed"))
    assert list(whole) == list(resumed)
    assert all(torch.equal(whole[n], resumed[n]) for n in whole)
