"""What is faster is the same: packed and padded, shared and apart, one pass and many, chunked and whole.

All in fp32, without dropout, with LoRA's B away from zero; per tensor, the norm of the difference of the gradients
over the norm of the gradient is at most 1e-5.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
import torch

from lextune.expert.quoting import Absent, question_messages
from lextune.expert.schema import load_schema
from lextune.expert.tasks import as_chats
from lextune.expert.templates import Codec
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowExample
from lextune.train import chat, tag
from lextune.train.adapter import add_lora
from lextune.train.batches import Pass, Row, divide, together, tokens_of
from lextune.train.chat import chat_row
from lextune.train.kernels import BLOCK
from lextune.train.loss import CHUNK, token_losses
from lextune.train.models import CausalModel, TagModel
from lextune.train.runs import Passes
from lextune.train.segments import block_mask
from lextune.train.settings import LoraSettings, TrainConfig

TOLERANCE = 1e-5
PACKED = TrainConfig(strategy="text", precision="fp32", pass_tokens=4096, lora=LoraSettings(r=4, alpha=8))
PADDED = PACKED.model_copy(update={"packing": False})
VOCABULARY = 1000


def _with_b(model: torch.nn.Module) -> torch.nn.Module:
    """Give LoRA's B values, so that the adapter changes what is computed."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model.train()


def _causal(base: Base, config: TrainConfig) -> torch.nn.Module:
    torch.manual_seed(0)
    return _with_b(CausalModel(base, config))


def _rows(lengths: Sequence[tuple[int, int]], seed: int = 1) -> list[Row]:
    """Rows of a prompt and an answer of these lengths."""
    rng = random.Random(seed)
    words = lambda n: tuple(rng.randrange(3, VOCABULARY) for _ in range(n))  # noqa: E731
    return [Row(words(a), (words(b),), ((True,) * b,)) for a, b in lengths]


def _begin_alike(system: int, seed: int = 3) -> list[Row]:
    """Rows of several texts after one system prompt; two are the same."""
    rng = random.Random(seed)
    words = lambda n: tuple(rng.randrange(3, VOCABULARY) for _ in range(n))  # noqa: E731
    shared = words(system)
    rows = [Row(shared + words(n), (words(4),), ((True,) * 4,)) for n in (1, 30, BLOCK + 3)]
    return [*rows, rows[0], Row(shared, (words(3),), ((True,) * 3,))]


def _asked(questions: int, text: int, seed: int = 2) -> list[Row]:
    """Rows that ask several questions of one text."""
    rng = random.Random(seed)
    words = lambda n: tuple(rng.randrange(3, VOCABULARY) for _ in range(n))  # noqa: E731
    shared = words(text)
    rows = []
    for number in range(questions):
        answer = words(3 + number)
        rows.append(Row(shared + words(5 + 2 * number), (answer,), ((True,) * len(answer),), "document"))
    return rows


def _gradients(model: torch.nn.Module, passes: Passes, divided: Sequence[Pass]) -> dict[str, torch.Tensor]:
    items = sum(passes.items(row) for one in divided for row in one)
    model.zero_grad()
    for one in divided:
        (model(**passes.tensors(one)) * passes.scale / items).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}


def _assert_equal(found: dict[str, torch.Tensor], reference: dict[str, torch.Tensor]) -> None:
    assert set(found) == set(reference)
    assert all(gradient.any() for gradient in reference.values())
    worst = {n: float((found[n] - reference[n]).norm() / reference[n].norm()) for n in reference}
    assert max(worst.values()) <= TOLERANCE, max(worst.items(), key=lambda item: item[1])


LENGTHS = [(40, 6), (7, 2), (150, 9), (BLOCK, 1), (200, 30), (3, 1)]


@pytest.fixture
def reference(base: Base) -> dict[str, torch.Tensor]:
    """Gradients of each row by itself, by PEFT and transformers alone."""
    model = _plain(base)
    items = sum(sum(row.learnt[0]) for row in _rows(LENGTHS))
    for row in _rows(LENGTHS):
        ids = torch.tensor([row.prefix + row.branches[0]])
        labels = torch.tensor([(-100,) * len(row.prefix) + row.branches[0]])
        logits = model(input_ids=ids).logits[0, :-1]
        (torch.nn.functional.cross_entropy(logits, labels[0, 1:], reduction="sum") / items).backward()
    return {f"model.{n}": p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}


def _plain(base: Base) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    return _with_b(add_lora(plain, PACKED.lora))


def test_packed_is_each_row_by_itself(base: Base, reference: dict[str, torch.Tensor]) -> None:
    rows = _rows(LENGTHS)
    assert len(divide(rows, PACKED)) == 1
    _assert_equal(_gradients(_causal(base, PACKED), chat.passes(0, PACKED), divide(rows, PACKED)), reference)


def test_padded_is_each_row_by_itself(base: Base, reference: dict[str, torch.Tensor]) -> None:
    rows = _rows(LENGTHS)
    _assert_equal(_gradients(_causal(base, PADDED), chat.passes(0, PADDED), divide(rows, PADDED)), reference)


def test_packing_without_segments_lets_examples_see_each_other(base: Base, reference: dict[str, torch.Tensor]) -> None:
    """The naive version: the rows one after another under a plain causal mask."""
    rows, passes = _rows(LENGTHS), chat.passes(0, PACKED)
    tensors = passes.tensors(tuple(rows))
    model = _causal(base, PADDED)
    naive = {k: v for k, v in tensors["inputs"].items() if k in ("input_ids", "lengths")}
    loss = model(**{**tensors, "inputs": naive}) / sum(map(passes.items, rows))
    loss.backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert max(float((found[n] - reference[n]).norm() / reference[n].norm()) for n in reference) > 0.01


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_the_block_mask_does_it_for_any_attention(
    implementation: str, base: Base, reference: dict[str, torch.Tensor]
) -> None:
    rows, passes = _rows(LENGTHS), chat.passes(0, PACKED)
    tensors = passes.tensors(tuple(rows))
    model = _causal(base, PADDED)
    model.model.set_attn_implementation(implementation)
    inputs = dict(tensors["inputs"])
    mask = block_mask(inputs.pop("segments"), inputs["input_ids"].shape[1])
    inputs["attention_mask"] = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
    (model(**{**tensors, "inputs": inputs}) / sum(map(passes.items, rows))).backward()
    _assert_equal({n: p.grad for n, p in model.named_parameters() if p.requires_grad}, reference)


@pytest.mark.parametrize("text", [70, BLOCK - 1, 2 * BLOCK + 40])
def test_a_shared_text_is_the_same_as_a_row_a_question(base: Base, text: int) -> None:
    apart = [*_asked(8, text), *_rows([(20, 4)])]
    shared = together(apart, lambda row: row.extra, 75)
    assert [row.examples for row in shared] == [8, 1]
    assert sum(row.tokens for row in shared) < sum(row.tokens for row in apart) / 2
    padded = _gradients(_causal(base, PADDED), chat.passes(0, PADDED), divide(apart, PADDED))
    found = _gradients(_causal(base, PACKED), chat.passes(0, PACKED), divide(shared, PACKED))
    _assert_equal(found, padded)


@pytest.mark.parametrize("stated", [True, False])
def test_the_questions_of_a_window_share_it_and_equal_one_row_each(
    base: Base, codec: Codec, make_window: Callable[..., WindowExample], stated: bool
) -> None:
    schema = load_schema("clauses-47")
    texts = tuple(f"{number}. {text}" for number in range(4) for text in make_window(0).texts)
    rows = tuple((7,) if stated and number == 5 else () for number in range(len(texts)))
    two = [
        WindowExample(
            document_id="d", index=n, heading="Law", texts=texts[n:], positives=rows[n:], ignored=((),) * (16 - n)
        )
        for n in (0, 1)
    ]
    chats = [c for window in two for c in as_chats(schema, window, "text", Absent(3))]
    apart = [chat_row(each, codec) for each in chats]
    shared = together(apart, lambda row: row.extra, chat.ONE_TEXT)
    assert [row.examples for row in shared] == [3 + stated, 3 + stated], "a row for each window"
    alone = len(codec.prompt(question_messages(schema.fields[0], "Law", texts)))
    assert len(shared[0].prefix) > 0.8 * alone, "the window is in the root"
    assert [sum(map(sum, row.learnt)) for row in shared] == [
        sum(len(codec.answer(c.completion)) for c in chats if c.text_id == f"d: window {n}") for n in (0, 1)
    ]
    padded = _gradients(_causal(base, PADDED), chat.passes(0, PADDED), divide(apart, PADDED))
    _assert_equal(_gradients(_causal(base, PACKED), chat.passes(0, PACKED), divide(shared, PACKED)), padded)
    losses = []
    for config, each in ((PADDED, apart), (PACKED, shared)):
        passes, model = chat.passes(0, config), _causal(base, config)
        losses.append(sum(float(model(**passes.tensors(one)).detach()) for one in divide(each, config)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("system", [64, 200])
def test_a_system_prompt_that_is_computed_once_is_the_same_as_many(base: Base, system: int) -> None:
    rows = _begin_alike(system)
    asked = _begin_alike(system, seed=4)[0]
    two = Row(rows[0].prefix, (asked.branches[0], (7, 8)), ((True,) * 4, (False, True)))
    alike = [*rows, two]
    padded = _gradients(_causal(base, PADDED), chat.passes(0, PADDED), divide(alike, PADDED))
    divided = divide(alike, PACKED)
    assert len(divided) == 1
    assert tokens_of(divided[0]) == sum(row.tokens for row in alike) - 5 * system
    _assert_equal(_gradients(_causal(base, PACKED), chat.passes(0, PACKED), divided), padded)


@pytest.mark.parametrize("config", [PACKED, PADDED])
@pytest.mark.parametrize("limit", [32, 200, 300])
def test_many_passes_are_one_large_batch(base: Base, config: TrainConfig, limit: int) -> None:
    rows = [*_rows(LENGTHS), *together(_asked(3, 80), lambda row: row.extra, 75)]
    many = divide(rows, config.model_copy(update={"pass_tokens": limit}))
    one = divide(rows, config)
    assert len(many) > len(one) == 1
    model, passes = _causal(base, config), chat.passes(0, config)
    _assert_equal(_gradients(model, passes, many), _gradients(model, passes, one))


def test_the_mean_of_the_passes_means_is_another_gradient(base: Base) -> None:
    """The naive accumulation, which weighs a pass of few tokens as much as one of many."""
    rows, passes = _rows(LENGTHS), chat.passes(0, PACKED)
    model = _causal(base, PACKED)
    whole = _gradients(model, passes, [tuple(rows)])
    model.zero_grad()
    for row in rows:
        (model(**passes.tensors((row,))) / passes.items(row) / len(rows)).backward()
    naive = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert max(float((naive[n] - whole[n]).norm() / whole[n].norm()) for n in whole) > 0.01


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_a_tagged_window_is_the_same_packed_and_padded(
    base: Base, codec: Codec, make_window: Callable[..., WindowExample], attention: str
) -> None:
    windows = [make_window(n, heading="A heading" * 2 * BLOCK if n == 1 else "") for n in range(7)]
    rows = tag.rows_for(windows, codec)
    assert rows[1].tokens > BLOCK, "one window is longer than what is computed at once"
    found = []
    for settings in ({"packing": False}, {"packing": True}, {"packing": True, "pass_tokens": 100}):
        config = PACKED.model_copy(update={**settings, "attention": attention})
        torch.manual_seed(0)
        model = _with_b(TagModel(base, config, [0.1, -0.2, 0.0]))
        found.append(_gradients(model, tag.passes(3, codec.pad_id, config), divide(rows, config)))
        found[-1].pop("head.weight")[2:].zero_()  # the third field is not assessed anywhere
        found[-1].pop("head.bias")
    _assert_equal(found[1], found[0])
    _assert_equal(found[2], found[0])


@pytest.mark.parametrize("tokens", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 7])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_chunked_loss_is_the_whole_one(tokens: int, smoothing: float) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(16, 300)
    targets = torch.randint(300, (tokens,))
    found = []
    for chunked in (False, True):
        hidden = torch.randn(tokens, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
        head.zero_grad()
        if chunked:
            losses = token_losses(hidden, head, targets, smoothing)
        else:
            logits = head(hidden)
            picked = logits.log_softmax(-1)
            losses = -(1 - smoothing) * picked[range(tokens), targets] - smoothing * picked.mean(-1)
        losses.sum().backward()
        found.append({"hidden": hidden.grad, "weight": head.weight.grad.clone(), "loss": losses.detach()})
    _assert_equal(found[1], found[0])


def test_gradient_checkpointing_changes_no_gradient(base: Base) -> None:
    rows, passes = _rows(LENGTHS), chat.passes(0, PACKED)
    plain = _gradients(_causal(base, PACKED), passes, [tuple(rows)])
    again = _gradients(_causal(base, PACKED.model_copy(update={"gradient_checkpointing": True})), passes, [tuple(rows)])
    _assert_equal(again, plain)
