"""Traps of fine-tuning that leave no error behind: each naive version gives the wrong result, and ours the right one.

Those that need more than a few lines are tested beside what they are about; `docs/traps.md` lists all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lextune.core.errors import DataError, ModelError
from lextune.core.records import Message
from lextune.expert.merging import merge
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.train.adapter import add_lora, load_in_4_bits
from lextune.train.batches import Row, divide, together
from lextune.train.chat import chat_row, fitting, passes, train_chat
from lextune.train.models import CausalModel
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig

CONFIG = TrainConfig(
    strategy="text", precision="fp32", batch=4, lr=1e-2, checkpoint_steps=3, lora=LoraSettings(r=4, alpha=8)
)
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11]])
Adapter = Callable[..., Path]


def _example(number: int) -> ChatExample:
    question = Message(role="user", content=f"Is clause {number} about liability?")
    return ChatExample(document_id=f"d{number}", messages=(question,), completion=("Yes.", "No.")[number % 2])


def _with_b(model: Any, std: float = 0.05) -> Any:
    """Give LoRA's B values, so that the adapter changes what is computed."""
    torch.manual_seed(5)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=std)
    return model


def _gradient(model: Any, rows: list[Row], config: TrainConfig) -> torch.Tensor:
    """All gradients of the mean loss, as one vector."""
    model.zero_grad()
    for one in divide(rows, config):
        model(**passes(0, config).tensors(one)).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


# what is learnt


def test_a_pad_that_is_the_stop_token_hides_it_from_training(codec: Codec) -> None:
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    rows = [chat_row(_example(n), codec) for n in (0, 12345)]
    stop = codec.template.stop
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=codec._whole, pad_token=stop, eos_token=stop)
    naive = DataCollatorForLanguageModeling(tokenizer, mlm=False)(
        [{"input_ids": [*row.prefix, *row.branches[0]]} for row in rows]
    )
    assert (naive["input_ids"] == codec.stop_id).any()
    assert not (naive["labels"] == codec.stop_id).any(), "so the model never learns to stop"
    for packing in (True, False):
        ours = passes(codec.pad_id, CONFIG.model_copy(update={"packing": packing})).tensors(tuple(rows))
        assert ours["targets"].tolist().count(codec.stop_id) == len(rows)


def test_truncation_that_takes_the_answer_leaves_a_loss_of_nothing(base: Base, codec: Codec) -> None:
    row = chat_row(_example(0), codec)
    ids = torch.tensor([[*row.prefix, *row.branches[0]]])[:, : len(row.prefix)]
    labels = torch.full_like(ids, -100)
    model = load_backbone(base, dtype="float32")
    naive = model(input_ids=ids, labels=labels, num_items_in_batch=1).loss
    assert naive.item() == 0.0, "and no error"
    with pytest.raises(DataError, match=r"the loss would be 0\.0"):
        fitting([row], len(row.prefix), "train")


def test_a_loss_over_the_prompt_too_is_another_gradient(base: Base, codec: Codec) -> None:
    row = chat_row(_example(0), codec)
    everything = Row(row.prefix[:1], (row.prefix[1:] + row.branches[0],), ((True,) * (row.tokens - 1),))
    torch.manual_seed(0)
    model = _with_b(CausalModel(base, CONFIG))
    answer = _gradient(model, [row], CONFIG)
    assert _apart(_gradient(model, [everything], CONFIG), answer) > 0.5
    silent = everything._replace(learnt=((False,) * (len(row.prefix) - 1) + row.learnt[0],))
    assert _apart(_gradient(model, [silent], CONFIG), answer) < 1e-5


def test_a_prompt_and_an_answer_as_one_text_are_other_tokens(tiny_base: Path, tmp_path: Path) -> None:
    """A vocabulary with a token of two line breaks, and an answer that begins with one."""
    from tokenizers import Tokenizer

    folder = shutil.copytree(tiny_base, tmp_path / "base")
    raw = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    raw["model"]["vocab"]["ĊĊ"] = len(raw["model"]["vocab"])
    raw["model"]["merges"].insert(0, ["Ċ", "Ċ"])
    (folder / "tokenizer.json").write_text(json.dumps(raw), encoding="utf-8")
    codec = Codec(folder)
    example = _example(0).model_copy(update={"completion": "\n\nYes."})
    answered = [*example.messages, Message(role="assistant", content=example.completion)]
    prompt = codec.prompt(example.messages)
    text = "".join(piece.text for piece in codec.template.pieces(answered, answer_next=False))
    naive = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    assert naive[: len(prompt)] != prompt, "it learns to answer a prompt that is never sent"
    assert [*chat_row(example, codec).prefix] == prompt


# who sees whom, and from where


def test_positions_that_run_on_through_a_pass_change_what_shares_a_text(base: Base) -> None:
    """Rotary embeddings tell how far apart two tokens are: a second answer is as far from its text as the first."""
    text = tuple(range(20, 90))
    apart = [Row(text, ((5, 6, 7, n),), ((True,) * 4,), "one") for n in range(8, 12)]
    torch.manual_seed(0)
    model = _with_b(CausalModel(base, CONFIG))
    reference = _gradient(model, apart, CONFIG.model_copy(update={"pass_tokens": 80}))
    shared = together(apart, lambda row: row.extra, 75)
    tensors = passes(0, CONFIG).tensors(tuple(shared))
    found = []
    for places in (tensors["inputs"]["position_ids"], torch.arange(tensors["inputs"]["input_ids"].shape[1])[None]):
        model.zero_grad()
        model(**{**tensors, "inputs": {**tensors["inputs"], "position_ids": places}}).backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad]))
    ours, naive = found
    assert _apart(ours, reference) < 1e-5
    assert _apart(naive, reference) > 0.01


# numbers


def test_rotary_frequencies_in_bf16_put_tokens_elsewhere(base: Base) -> None:
    ours = load_backbone(base, dtype="bfloat16").model.rotary_emb.inv_freq
    naive = load_backbone(base, dtype="float32").to(torch.bfloat16).model.rotary_emb.inv_freq
    exact = load_backbone(base, dtype="float32").model.rotary_emb.inv_freq
    assert torch.equal(ours, exact)
    angles = 8000 * (naive.float() - exact).abs()  # of the 8,000th token, in radians
    assert angles.max() > 1


def test_small_updates_are_lost_where_an_adapter_is_in_bf16(base: Base) -> None:
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"precision": "bf16"})
    adapters = {"ours": CausalModel(base, config), "naive": CausalModel(base, config)}
    for name, parameter in adapters["naive"].named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.to(torch.bfloat16)
    moved = {}
    for which, model in adapters.items():
        weights = [p for n, p in model.named_parameters() if "lora_A" in n]
        before = [w.detach().clone() for w in weights]
        optimizer = torch.optim.AdamW(weights, lr=1e-5, weight_decay=0.0)
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        for _ in range(20):
            optimizer.step()
        changed = [(a != b).float().mean() for a, b in zip(weights, before, strict=True)]
        moved[which] = float(sum(changed) / len(changed))
    assert moved["ours"] > 0.99
    assert moved["naive"] < 0.5


# merging


def _added(base: Base, adapter: Path, scale: float) -> dict[str, torch.Tensor]:
    """The base's weights with `scale` B A added, computed in fp64 and rounded to fp32."""
    weights = {n: t.float() for n, t in load_file(base.path / "model.safetensors").items()}
    lora = load_file(adapter / "adapter_model.safetensors")
    for name in lora:
        if "lora_A" in name:
            layer = name.removeprefix("base_model.model.").replace("lora_A.", "")
            added = scale * lora[name.replace("lora_A", "lora_B")].double() @ lora[name].double()
            weights[layer] = (weights[layer].double() + added).float()
    return weights


@pytest.mark.parametrize(("settings", "scale"), [({"alpha": 8}, 2.0), ({"alpha": 8, "rslora": True}, 4.0)])
def test_an_adapter_without_its_scale_is_another_model(
    settings: dict[str, Any], scale: float, base: Base, make_adapter: Adapter, tmp_path: Path
) -> None:
    """alpha / r is not in the safetensors, nor that it is alpha / sqrt(r): both are in the adapter's settings."""
    folder, out = make_adapter(**settings), tmp_path / "merged"
    out.mkdir()
    merge(base.name, folder, out)
    merged = load_file(out / "model.safetensors")
    right, plain, other = (_added(base, folder, each) for each in (scale, 1.0, {2.0: 4.0, 4.0: 2.0}[scale]))
    assert all(torch.equal(merged[n], right[n].to(torch.bfloat16)) for n in merged)
    for naive in (plain, other):
        assert sum(not torch.equal(merged[n], naive[n].to(torch.bfloat16)) for n in merged) == 14


def test_merging_in_bf16_rounds_what_is_added(base: Base, make_adapter: Adapter, tmp_path: Path) -> None:
    from peft import PeftModel

    folder, out = make_adapter(), tmp_path / "merged"
    out.mkdir()
    merge(base.name, folder, out)
    exact = _added(base, folder, 2.0)
    naive = PeftModel.from_pretrained(load_backbone(base), folder, autocast_adapter_dtype=False).merge_and_unload()
    error = {"ours": 0.0, "naive": 0.0}
    for which, found in (("ours", load_file(out / "model.safetensors")), ("naive", naive.state_dict())):
        error[which] = sum(float((found[n].float() - t).square().sum()) for n, t in exact.items())
    assert error["naive"] > 1.01 * error["ours"], "ours is the nearest that bf16 has"


def test_merging_into_4_bits_is_another_model(base: Base, make_adapter: Adapter, tmp_path: Path) -> None:
    """The sum is rounded to one of 16 values a weight: merged, the model differs more than by the adapter."""
    from peft import PeftModel

    folder, out = make_adapter(std=0.01), tmp_path / "merged"
    out.mkdir()
    merge(base.name, folder, out)
    with torch.no_grad():
        plain = load_backbone(base, dtype="float32")(input_ids=IDS).logits
        tuned = PeftModel.from_pretrained(load_backbone(base, dtype="float32"), folder)(input_ids=IDS).logits
        ours = load_backbone(base.model_copy(update={"path": out}), dtype="float32")(input_ids=IDS).logits
        model = PeftModel.from_pretrained(load_in_4_bits(base), folder)
        with pytest.warns(UserWarning, match="different generations due to rounding errors"):
            naive = model.merge_and_unload()(input_ids=IDS).logits
    assert _apart(ours, tuned) < 0.2 * _apart(tuned, plain)
    assert _apart(naive, tuned) > _apart(tuned, plain)


def test_an_adapter_on_an_output_layer_that_is_the_embedding_is_refused(base: Base) -> None:
    """Merged, it changes what is read as well as what is written: the merged model is another one."""
    from peft import LoraConfig, get_peft_model

    with pytest.warns(UserWarning, match="tie"):
        naive = get_peft_model(load_backbone(base, dtype="float32"), LoraConfig(target_modules=["lm_head"]))
    with torch.no_grad():
        before = _with_b(naive)(input_ids=IDS).logits
        with pytest.warns(UserWarning, match="tie"):
            merged = naive.merge_and_unload()
        after = merged(input_ids=IDS).logits
    assert (after - before).abs().max() > 0.1
    for target in (("q_proj", "lm_head"), r".*(q_proj|lm_head)"):
        with pytest.raises(ModelError, match="the output layer of this base is its embedding") as caught:
            add_lora(load_backbone(base), LoraSettings(target=target))
        assert caught.value.where == "train.lora.target"
        assert caught.value.do == "leave lm_head out"


# going on


def test_going_on_from_weights_alone_ends_elsewhere(base: Base, tmp_path: Path) -> None:
    """Without the optimizer's state, the schedule and the place in the data."""

    def kill(step: int, *_: object) -> None:
        if step == 4:
            raise KeyboardInterrupt

    examples = {"train": [_example(n) for n in range(10)], "validation": [_example(n) for n in range(10, 12)]}
    config = CONFIG.model_copy(update={"steps": 6, "epochs": 9, "evaluations": 1})
    train_chat(base, examples, config, tmp_path / "undisturbed", RunOptions(3))
    with pytest.raises(KeyboardInterrupt):
        train_chat(base, examples, config, tmp_path / "killed", RunOptions(3, kill))
    weights = load_file(tmp_path / "killed" / "checkpoints" / "checkpoint-3" / "trainable.safetensors")
    result = train_chat(base, examples, config, tmp_path / "killed", RunOptions(3))
    assert result["resumed_from"] == "checkpoint-3"
    expected, ours = (_tensors(tmp_path / name) for name in ("undisturbed", "killed"))
    assert all(torch.equal(expected[n], ours[n]) for n in expected)

    shutil.copytree(tmp_path / "undisturbed", tmp_path / "half")
    _write_half(base, tmp_path / "half", weights)
    rest = config.model_copy(update={"steps": 3, "init_adapter": str(tmp_path / "half")})
    train_chat(base, examples, rest, tmp_path / "naive", RunOptions(3))
    naive = _tensors(tmp_path / "naive")
    assert max(_apart(naive[n], expected[n]) for n in expected) > 0.01


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(folder / "adapter_model.safetensors"))


def _write_half(base: Base, folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Put a checkpoint's weights into an adapter folder."""
    from safetensors.torch import save_file

    from lextune.expert.weights import Binding, write_binding

    named = {n.removeprefix("model.").replace(".default", ""): t for n, t in weights.items()}
    save_file(named, folder / "adapter_model.safetensors")
    hashes = {"weights_sha256": base.weights_sha256, "tokenizer_sha256": base.tokenizer_sha256}
    write_binding(folder, Binding(base=base.name, strategy="text", template="t", **hashes))
