"""The gated skip connection in one piece, forward and backward by hand, a block of rows at a time.

    out = LayerNorm(skip + value * sigmoid(gate)),   [value, gate] = W x + b

In ordinary operations every row passes through memory a dozen times. Here a block of rows fits the processor's cache
between its two matrix products.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

NUMBERS_AT_A_TIME = 200_000
"""Rows times width of a block on a CPU: 800 KB for each of its arrays. A GPU takes all rows at once."""


def gated_skip(
    x: Tensor, skip: Tensor, weight: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """All steps [L, B, width] and the last one on its own [B, width], of the type of the weights.

    Whoever reads the last step takes it from there: its gradient then is no tensor of all steps, nearly all zeros.

    Args:
        x: [L, B, inputs]
        skip: [L, B, width]
        weight: [2 * width, inputs], of the value above of the gate.
        bias: [2 * width]
        norm_weight, norm_bias: [width]
        eps: added to the variance in the norm.
    """
    if torch.compiler.is_compiling():
        return by_operations(x, skip, weight, bias, norm_weight, norm_bias, eps)
    rows, last = _GatedSkip.apply(
        x.flatten(0, 1), skip.flatten(0, 1), weight, bias, norm_weight, norm_bias, eps, skip.shape[1]
    )
    return rows.view(skip.shape), last


def by_operations(
    x: Tensor, skip: Tensor, weight: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """The same in ordinary operations, differentiated by torch; arguments as for :func:`gated_skip`."""
    value, gate = functional.linear(x, weight, bias).chunk(2, dim=-1)
    whole = (skip + value * torch.sigmoid(gate)).to(weight.dtype)
    out = functional.layer_norm(whole, whole.shape[-1:], norm_weight, norm_bias, eps)
    return out, out[-1]


class _GatedSkip(torch.autograd.Function):
    """Matrix products in the type that autocast asks for, everything else in the type of the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        skip: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        eps: float,
        windows: int,
    ) -> tuple[Tensor, Tensor]:
        device = x.device.type
        product = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        own, width = weight.dtype, skip.shape[1]
        factor, constant = weight.to(product).t(), bias.to(product)
        both = weight.new_empty(len(x), 2 * width)
        out = torch.empty_like(skip, dtype=own)
        mean, scale = weight.new_empty(2, len(x), 1)
        for rows in _blocks(skip):
            _into(both[rows], torch.addmm, constant, x[rows].to(product), factor)
            value, gate = both[rows].chunk(2, dim=1)
            whole = torch.addcmul(skip[rows].to(own), value, gate.sigmoid_())
            out[rows], mean[rows], scale[rows] = torch.native_layer_norm(whole, (width,), norm_weight, norm_bias, eps)
        ctx.save_for_backward(x, skip, weight, norm_weight, norm_bias, both, mean, scale)
        ctx.product = product
        return out, out[len(out) - windows :].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_last: Tensor) -> tuple[Tensor | None, ...]:
        x, skip, weight, norm_weight, norm_bias, both, mean, scale = ctx.saved_tensors
        width = skip.shape[1]
        factor = weight.to(ctx.product)
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_skip = torch.empty_like(skip)
        d_weight = torch.zeros_like(factor)
        d_bias, d_norm_weight, d_norm_bias = (torch.zeros_like(v) for v in (weight[:, 0], norm_weight, norm_bias))
        start = len(skip) - len(d_last)
        for rows in _blocks(skip):
            value, gate = both[rows].chunk(2, dim=1)
            whole = torch.addcmul(skip[rows].to(weight.dtype), value, gate)
            d_whole, of_norm_weight, of_norm_bias = torch.ops.aten.native_layer_norm_backward(
                _with_last(d_out, d_last, rows, start),
                whole,
                (width,),
                mean[rows],
                scale[rows],
                norm_weight,
                norm_bias,
                [True] * 3,
            )
            d_norm_weight += of_norm_weight
            d_norm_bias += of_norm_bias
            d_skip[rows] = d_whole
            d_both = torch.empty_like(both[rows])
            d_value, d_gate = d_both.chunk(2, dim=1)
            torch.mul(d_whole, gate, out=d_value)
            torch.mul(d_value, value, out=d_gate)
            d_gate.addcmul_(d_gate, gate, value=-1.0)
            d_bias += d_both.sum(0)
            d_both = d_both.to(ctx.product)
            d_weight.addmm_(d_both.t(), x[rows].to(ctx.product))
            if d_x is not None:
                _into(d_x[rows], torch.mm, d_both, factor)
        return d_x, d_skip, d_weight.to(weight.dtype), d_bias, d_norm_weight, d_norm_bias, None, None


def _with_last(d_out: Tensor, d_last: Tensor, rows: slice, start: int) -> Tensor:
    """The gradient of some rows, with what came for the last step (from row ``start`` on) on its own."""
    if rows.stop <= start:
        return d_out[rows]
    first = max(rows.start, start)
    d_rows = d_out[rows].clone()
    d_rows[first - rows.start :] += d_last[first - start : rows.stop - start]
    return d_rows


def _into(out: Tensor, product: Callable[..., Tensor], *factors: Tensor) -> None:
    """A product of the factors into ``out``, which may be of another type than they are."""
    if out.dtype == factors[0].dtype:
        product(*factors, out=out)
    else:
        out.copy_(product(*factors))


def _blocks(rows: Tensor) -> list[slice]:
    """Slices of the rows of [R, width]; at least one."""
    step = max(1, NUMBERS_AT_A_TIME // rows.shape[1]) if rows.device.type == "cpu" else max(1, len(rows))
    return [slice(start, min(start + step, len(rows))) for start in range(0, max(1, len(rows)), step)]
