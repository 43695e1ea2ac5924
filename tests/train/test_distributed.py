"""Two processes train what one does: DDP and FSDP, `text` and `tag`; parameters are really divided."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lextune.core.errors import RecipeError
from lextune.expert.point import ChatExample
from lextune.expert.weights import Base, resolve_base
from lextune.expert.windowing import WindowExample
from lextune.train import team
from lextune.train.chat import train_chat
from lextune.train.distributed import deepspeed_settings
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.tag import train_tag

CURVE = 1e-5  # the most that a loss may differ
WEIGHTS = 1e-5  # the most that a weight of the adapter may differ
TEXT = TrainConfig(
    strategy="text", precision="fp32", epochs=2, batch=6, lr=1e-2, pass_tokens=96, checkpoint_steps=2,
    evaluations=2, lora=LoraSettings(r=4),
)  # fmt: skip
TAG = TEXT.model_copy(update={"strategy": "tag", "packing": False})
DIVIDED = """
import json, sys
from pathlib import Path
import torch
from torch.distributed.tensor import DTensor
from lextune.expert.point import ChatExample
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowExample
from lextune.train import distributed, trainer
from lextune.train.chat import train_chat
from lextune.train.runs import RunOptions
from lextune.train.settings import TrainConfig
from lextune.train.tag import train_tag
from lextune.train.team import Followed, join

given, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
torch.set_num_threads(1)
team, base = join("ddp"), resolve_base(given["base"])
kinds = {"text": ChatExample, "tag": WindowExample}
shares = {}

def watched(model, groups, device):
    before = {n: p.numel() for n, p in model.named_parameters()}
    made = distributed.shard(model, groups, device)
    shares.clear()
    shares.update({n: p.to_local().numel() / before[n] for n, p in model.named_parameters() if isinstance(p, DTensor)})
    shares["whole"] = [n for n, p in model.named_parameters() if not isinstance(p, DTensor)]
    shares["types"] = sorted({str(p.dtype) for p in model.parameters()})
    return made

trainer.shard = watched
for name, sharding, strategy, change in given["runs"]:
    team.sharding = sharding
    config = TrainConfig.model_validate({**given[strategy]["config"], **change})
    rows = {p: [kinds[strategy].model_validate(r) for r in each] for p, each in given[strategy]["rows"].items()}
    own = out / name if team.leads else out / f"follower {name}"  # where a process that follows must not write
    own.mkdir(parents=True)
    try:
        if strategy == "tag":
            result = train_tag(base, rows, ("Law", "Term", "Fee"), config, own, RunOptions(0))
        else:
            result = train_chat(base, rows, config, own, RunOptions(0))
    except Followed:
        assert not team.leads and not list(own.iterdir())
        continue
    (own / "result.json").write_text(json.dumps({**result, "shares": dict(shares)}))
torch.distributed.destroy_process_group()
"""
RUNS = [
    ("ddp text", "ddp", "text", {}),
    ("fsdp text", "fsdp", "text", {}),
    ("ddp tag", "ddp", "tag", {}),
    ("fsdp tag", "fsdp", "tag", {}),
    ("fsdp bf16", "fsdp", "text", {"precision": "bf16", "gradient_checkpointing": True}),
    ("fsdp full", "fsdp", "text", {"method": "full", "lr": 1e-3, "steps": 2}),
]


def chats() -> dict[str, list[ChatExample]]:
    """Rows of several lengths, each of its own text."""
    from lextune.core.records import Message

    def row(n: int) -> ChatExample:
        asked = Message(role="user", content=f"What is clause {n} about? " + "It runs for years. " * (n % 4))
        return ChatExample(document_id=f"d{n}", messages=(asked,), completion=f"A term of {n} years.")

    return {"train": [row(n) for n in range(14)], "validation": [row(n) for n in range(14, 17)]}


@pytest.fixture
def two(base: Base, windows: dict[str, list[WindowExample]], tmp_path: Path) -> Path:
    """What two processes made of RUNS."""
    rows = {"text": chats(), "tag": windows}
    given = {
        "base": str(base.path),
        "runs": RUNS,
        **{
            name: {
                "config": config.model_dump(mode="json"),
                "rows": {part: [r.model_dump(mode="json") for r in each] for part, each in rows[name].items()},
            }
            for name, config in (("text", TEXT), ("tag", TAG))
        },
    }
    (tmp_path / "given.json").write_text(json.dumps(given))
    (tmp_path / "divided.py").write_text(DIVIDED)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", str(tmp_path / "divided.py")]
    out = tmp_path / "two"
    made = subprocess.run(
        [*torchrun, str(tmp_path / "given.json"), str(out)], capture_output=True, text=True, timeout=500, check=False
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return out


def _curves(result: dict[str, dict[str, list[dict[str, float]]]]) -> list[float]:
    return [point["value"] for name in ("loss", "eval_loss") for point in result["curves"][name]]


def _apart(first: Path, second: Path, name: str) -> float:
    one, other = load_file(first / name), load_file(second / name)
    assert one.keys() == other.keys()
    return max(float((one[n].float() - other[n].float()).abs().max()) for n in one)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_what_one_does(
    two: Path, base: Base, windows: dict[str, list[WindowExample]], tmp_path: Path
) -> None:
    alone = {name: tmp_path / f"one {name}" for name in ("text", "tag", "bf16", "full")}
    for folder in alone.values():
        folder.mkdir()
    bf16, full = (TrainConfig.model_validate({**TEXT.model_dump(), **change}) for *_, change in RUNS[-2:])
    results = {
        "text": train_chat(base, chats(), TEXT, alone["text"], RunOptions(0)),
        "tag": train_tag(base, windows, ("Law", "Term", "Fee"), TAG, alone["tag"], RunOptions(0)),
        "bf16": train_chat(base, chats(), bf16, alone["bf16"], RunOptions(0)),
        "full": train_chat(base, chats(), full, alone["full"], RunOptions(0)),
    }
    for name, sharding, _, _ in RUNS:
        what = name.split()[1]
        made = json.loads((two / name / "result.json").read_text())
        curve, expected = _curves(made), _curves(results[what])
        assert len(curve) == len(expected) > 2
        loose = 0.05 if what == "bf16" else CURVE
        assert curve == pytest.approx(expected, abs=loose), name
        assert (made["steps"], made["tokens"]) == (results[what]["steps"], results[what]["tokens"])
        weights = "model.safetensors" if what == "full" else "adapter_model.safetensors"
        if what != "bf16":
            assert _apart(two / name, alone[what], weights) < WEIGHTS, name
        if what == "tag":
            assert _apart(two / name, alone[what], "tag_head.safetensors") < WEIGHTS, name
        if sharding == "fsdp":
            shares = made["shares"]
            assert shares.pop("whole") == []
            assert shares.pop("types") == (["torch.bfloat16", "torch.float32"] if what == "bf16" else ["torch.float32"])
            assert len(shares) >= 20
            assert all(0.3 < share < 0.7 for share in shares.values() if share), shares  # head: 3 rows of 2
    assert not list(two.glob("follower */*"))


def test_zero_divides_the_optimizer_or_all_and_casts_where_the_base_is_bf16() -> None:
    two, three = deepspeed_settings(2, "bf16"), deepspeed_settings(3, "fp32")
    assert (two["zero_optimization"]["stage"], three["zero_optimization"]["stage"]) == (2, 3)
    assert (two["bf16"]["enabled"], three["bf16"]["enabled"]) == (True, False)
    assert three["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"]
    json.dumps(two)


def test_one_process_needs_no_team() -> None:
    from lextune.train.team import agree, join, leads, sharding

    assert join("fsdp") is None
    assert sharding() == "alone"
    assert leads()
    assert agree({"a": 1}) == {"a": 1}
    assert not torch.distributed.is_initialized()


class Divided:
    """A team of one that divides the model."""

    sharding = "fsdp"
    leads = True

    def agree(self, value: object) -> object:
        return value


def test_a_divided_model_cannot_be_best_by_metric(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "_team", Divided())
    with pytest.raises(RecipeError, match=r"a model divided by fsdp cannot read documents .*\n  -> use --sharding ddp"):
        train_chat(base, chats(), TEXT, tmp_path, RunOptions(0, metric=lambda model: 0.0))


@pytest.mark.parametrize("tied", [True, False])
def test_a_tagger_trains_the_output_layer_only_where_it_is_the_embedding(
    tied: bool, tiny_base: Path, own_cache: Path, tmp_path: Path
) -> None:
    """DDP waits for the gradient of every parameter that is trained, and a tagger gives the output layer none."""
    from transformers import AutoModelForCausalLM

    from lextune.train.models import TagModel

    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    AutoModelForCausalLM.from_pretrained(tiny_base, tie_word_embeddings=tied).save_pretrained(folder)
    full = TAG.model_copy(update={"method": "full"})
    model = TagModel(resolve_base(str(folder)), full, [0.0])
    assert model.model.get_output_embeddings().weight.requires_grad == tied
    assert model.model.get_input_embeddings().weight.requires_grad
