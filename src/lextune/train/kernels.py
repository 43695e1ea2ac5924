"""What a training pass computes by functions of its own: attention over segments, and a LoRA layer.

Both are exact, and tested equal to what they replace. They exist because of what they leave out: `attend` spends
nothing on padding and on what is hidden, `LoraLinear` keeps the layer's input and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface, AttentionMaskInterface

from lextune.train.segments import Segment

NAME = "lextune_segments"
BLOCK = 128  # queries computed at once on a CPU: what lies after them is skipped


def use_segments(model: Any) -> None:
    """Make a transformers model take `segments=` in its forward call and attend by `attend`.

    Raises:
        ModelError: a layer looks at a sliding window, which `attend` does not know.
    """
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, _no_mask)
    model.set_attn_implementation(NAME)


def _no_mask(*_: Any, **__: Any) -> None:
    """Build no mask: segments say it all."""


def attend(  # noqa: PLR0913 - the signature that transformers calls
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    segments: Sequence[Segment],
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Any, None]:
    """Attend segment by segment: an attention function of transformers.

    Args:
        module: the attention layer.
        query: [1, heads, T, width]. key, value: [1, key heads, T, width].
        attention_mask: not used.
        segments: who sees whom; together they are all of T, in order.
        scaling: of the scores; 1 / sqrt(width) where it is not given.
        dropout: share of the probabilities dropped.

    Returns:
        [1, T, heads, width], and no weights.

    Raises:
        ValueError: more than one row, or a sliding window.
    """
    if query.shape[0] != 1 or getattr(module, "sliding_window", None):
        raise ValueError("segments are of one row, in layers without a sliding window")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    query, key = query.to(value.dtype), key.to(value.dtype)  # under autocast, rotation leaves them in fp32
    if query.device.type == "cpu" and not dropout:
        with torch.autocast("cpu", enabled=False):  # as in the backward pass
            out = CpuAttention.apply(query[0], key[0], value[0], tuple(segments), scale)
    else:
        out = torch.cat([_by_kernel(query, key, value, s, scale, dropout) for s in segments], dim=1)
    return out.transpose(0, 1).unsqueeze(0), None


def _by_kernel(query: Any, key: Any, value: Any, s: Segment, scale: float, dropout: float) -> Any:
    """Return [heads, tokens, width] of one segment from torch's own kernels."""
    q, (k, v) = query[:, :, s.start : s.end], (_seen(x, s, 2) for x in (key, value))
    causal = not s.bidirectional
    out = torch.nn.functional.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=causal_lower_right(q.shape[2], k.shape[2]) if causal and s.before else None,
        is_causal=causal and not s.before,
        dropout_p=dropout,
        scale=scale,
        enable_gqa=k.shape[1] != q.shape[1],
    )
    return out[0]


def _seen(x: Any, s: Segment, dim: int) -> Any:
    """Return the keys or values that a segment sees, its own last."""
    own = x.narrow(dim, s.start, s.end - s.start)
    return torch.cat([*(x.narrow(dim, a, b - a) for a, b in s.before), own], dim) if s.before else own


class CpuAttention(torch.autograd.Function):  # type: ignore[misc]
    """Exact attention by blocks of queries (as FlashAttention-2, Dao 2023, recomputes it in the backward pass).

    torch's own CPU kernel takes three times as long at these sizes in bf16: it has no matrix products in bf16.
    """

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, segments: tuple[Segment, ...], scale: float) -> Any:
        """Return [heads, T, width] of query [heads, T, width], key and value [key heads, T, width]."""
        heads, length, width = query.shape
        groups = key.shape[0]
        q = (query * scale).view(groups, heads // groups, length, width)
        out = torch.empty_like(q)
        for s in segments:
            k, v = _seen(key, s, 1), _seen(value, s, 1)
            for a, b, seen in _blocks(s):
                weights = _weights(q[:, :, a:b], k[:, :seen], causal=not s.bidirectional)
                out[:, :, a:b] = _times(weights, v[:, :seen])
        ctx.save_for_backward(query, key, value)
        ctx.segments, ctx.scale = segments, scale
        return out.view(heads, length, width)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradients of query, key and value; the weights are computed again."""
        query, key, value = ctx.saved_tensors
        heads, length, width = query.shape
        groups = key.shape[0]
        shape = (groups, heads // groups, length, width)
        q, g = (query * ctx.scale).view(shape), grad.contiguous().view(shape)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(key), torch.zeros_like(value)
        for s in ctx.segments:
            k, v = _seen(key, s, 1), _seen(value, s, 1)
            to_k, to_v = torch.zeros_like(k, dtype=torch.float32), torch.zeros_like(v, dtype=torch.float32)
            for a, b, seen in _blocks(s):
                block_q, block_g = q[:, :, a:b], g[:, :, a:b]
                weights = _weights(block_q, k[:, :seen], causal=not s.bidirectional)
                to_v[:, :seen] += _onto(weights, block_g)
                slope = _times(block_g, v[:, :seen].transpose(1, 2))
                slope = torch._softmax_backward_data(slope, weights, -1, weights.dtype)
                dq[:, :, a:b] = _times(slope, k[:, :seen])
                to_k[:, :seen] += _onto(slope, block_q)
            _add_seen(dk, to_k, s)
            _add_seen(dv, to_v, s)
        return dq.view(heads, length, width).mul_(ctx.scale), dk, dv, None, None


def _blocks(s: Segment) -> list[tuple[int, int, int]]:
    """Return (first, last + 1, keys seen by the last) of a segment's blocks of queries."""
    ends = [*range(s.start + BLOCK, s.end, BLOCK), s.end]
    seen = [s.offset + (s.end if s.bidirectional else b) - s.start for b in ends]
    return list(zip([s.start, *ends[:-1]], ends, seen, strict=True))


def _weights(q: Any, k: Any, *, causal: bool) -> Any:
    """Return the weights [groups, heads of a group, queries, keys]; where causal, the last query sees the last key."""
    scores = _times(q, k.transpose(1, 2))
    rows, columns = scores.shape[-2:]
    if causal:
        hidden = torch.full((rows, rows), -torch.inf, dtype=q.dtype).triu_(1)
        scores[..., columns - rows :] += hidden
    return scores.softmax(-1)


def _times(left: Any, right: Any) -> Any:
    """Return left @ right, where the heads of a group share `right` [groups, inner, columns]."""
    groups, heads, rows, inner = left.shape
    return torch.bmm(left.reshape(groups, heads * rows, inner), right).view(groups, heads, rows, right.shape[-1])


def _onto(left: Any, right: Any) -> Any:
    """Return the sum over the heads of a group of left^T @ right: [groups, left's columns, right's columns]."""
    groups, heads, rows, columns = left.shape
    flat = left.reshape(groups, heads * rows, columns)
    return torch.bmm(flat.transpose(1, 2), right.reshape(groups, heads * rows, right.shape[-1]))


def _add_seen(whole: Any, part: Any, s: Segment) -> None:
    """Add the gradients of what a segment sees to where it stands."""
    done = 0
    for a, b in (*s.before, (s.start, s.end)):
        whole[:, a:b] += part[:, done : done + b - a].to(whole.dtype)
        done += b - a


class LoraLinear(torch.autograd.Function):  # type: ignore[misc]
    """y = x W^T + bias + scale x A^T B^T, with W frozen (Hu et al. 2021, equation 3)."""

    @staticmethod
    def forward(  # noqa: PLR0913 - an autograd function takes its tensors one by one
        ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scale: float
    ) -> Any:
        """Return y [tokens, out] of x [tokens, in], weight [out, in], a [r, in] and b [out, r]."""
        a, b = a.to(x.dtype), (b * scale).to(x.dtype)
        low = x @ a.t()
        out = x @ weight.t() if bias is None else torch.addmm(bias, x, weight.t())
        ctx.save_for_backward(x, weight, a, b, low)
        ctx.scale = scale
        return out.addmm_(low, b.t())

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradients of x, a and b."""
        x, weight, a, b, low = ctx.saved_tensors
        grad = grad.contiguous()
        to_low = grad @ b
        to_x = (grad @ weight).addmm_(to_low, a) if ctx.needs_input_grad[0] else None
        to_a, to_b = to_low.t() @ x, grad.t() @ low
        return to_x, None, None, to_a.float(), to_b.float().mul_(ctx.scale), None
