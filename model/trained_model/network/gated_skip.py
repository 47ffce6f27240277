"""The gated skip connection in one piece, forward and backward by hand, a block of rows at a time.

    out = LayerNorm(skip + value * sigmoid(gate)),   [value, gate] = W x + b

In ordinary operations every row passes through memory a dozen times. Here the gate, its product with the value and the
sum with the skip come out of the matrix products' own kernels, and in the backward pass a block of rows stays in the
processor's cache. With p = value * sigmoid(gate) and d the gradient that comes out of the norm,

    of value: d sigmoid(gate),   of gate: d p (1 - sigmoid(gate))

so the value itself is not kept.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from model.trained_model.network.blocks import blocks
from model.trained_model.network.products import (
    add_product,
    linear,
    linear_plus,
    linear_times,
    product_type,
    sigmoid_of_linear,
)
from model.trained_model.network.projection import Affine

NUMBERS_AT_A_TIME = 100_000
"""Rows times width of a block on a CPU: 400 KB for each of its arrays. A GPU takes all rows at once."""


def gated_skip(
    x: Tensor, skip: Tensor | Affine, weight: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """All steps [L, B, width] and the last one on its own [B, width], of the type of the weights.

    Whoever reads the last step takes it from there: its gradient then is no tensor of all steps, nearly all zeros.

    Args:
        x: [L, B, inputs]
        skip: [L, B, width], or the linear map that it is: it then is never formed, nor is its gradient.
        weight: [2 * width, inputs], of the value above of the gate.
        bias: [2 * width]
        norm_weight, norm_bias: [width]
        eps: added to the variance in the norm.
    """
    if torch.compiler.is_compiling():
        return by_operations(x, skip, weight, bias, norm_weight, norm_bias, eps)
    base = skip if isinstance(skip, Affine) else (skip, None, None)
    length, windows, _ = x.shape
    rows, last = _GatedSkip.apply(
        x.flatten(0, 1), base[0].flatten(0, 1), *base[1:], weight, bias, norm_weight, norm_bias, eps, windows
    )
    return rows.view(length, windows, -1), last


def gated_rows(
    x: Tensor, skip: Tensor, weight: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
) -> Tensor:
    """The same of rows in any order, x [..., inputs] and skip [..., width] -> [..., width]."""
    if torch.compiler.is_compiling():
        return rows_by_operations(x, skip, weight, bias, norm_weight, norm_bias, eps)
    rows, base = x.flatten(0, -2), skip.flatten(0, -2)
    out, _ = _GatedSkip.apply(rows, base, None, None, weight, bias, norm_weight, norm_bias, eps, 0)
    return torch.as_tensor(out).view_as(skip)


def by_operations(
    x: Tensor, skip: Tensor | Affine, weight: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """The same in ordinary operations, differentiated by torch; arguments as for :func:`gated_skip`."""
    base = skip.steps() if isinstance(skip, Affine) else skip
    out = rows_by_operations(x, base, weight, bias, norm_weight, norm_bias, eps)
    return out, out[-1]


def rows_by_operations(
    x: Tensor, skip: Tensor, weight: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
) -> Tensor:
    """:func:`gated_rows` in ordinary operations, differentiated by torch."""
    value, gate = functional.linear(x, weight, bias).chunk(2, dim=-1)
    whole = (skip + value * torch.sigmoid(gate)).to(weight.dtype)
    return functional.layer_norm(whole, whole.shape[-1:], norm_weight, norm_bias, eps)


class _GatedSkip(torch.autograd.Function):
    """Matrix products in the type that autocast asks for, everything else in the type of the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        base: Tensor,
        base_weight: Tensor | None,
        base_bias: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        eps: float,
        windows: int,
    ) -> tuple[Tensor, Tensor]:
        product = product_type(weight)
        (of_value, of_gate), (constant, constant_of_gate) = weight.chunk(2), bias.chunk(2)
        gate = sigmoid_of_linear(x, of_gate, constant_of_gate, product)
        gated = linear_times(x, of_value, constant, gate, product)
        if base_weight is None or base_bias is None:
            whole = base.to(weight.dtype) + gated
        else:
            whole = linear_plus(base, base_weight, base_bias, gated, product)
        out, mean, scale = torch.native_layer_norm(whole, norm_bias.shape, norm_weight, norm_bias, eps)
        affine = (None, None) if base_weight is None else (base, base_weight)
        ctx.save_for_backward(x, *affine, weight, norm_weight, norm_bias, gate, gated, whole, mean, scale)
        ctx.product, ctx.base_type = product, base.dtype
        return out, out[len(out) - windows :].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_last: Tensor) -> tuple[Tensor | None, ...]:
        x, base, base_weight, weight, norm_weight, norm_bias, gate, gated, whole, mean, scale = ctx.saved_tensors
        product, width = ctx.product, whole.shape[1]
        d_skip = torch.empty_like(whole, dtype=ctx.base_type) if ctx.needs_input_grad[1] else None
        d_base_weight, d_base_bias = (
            (None, None) if base is None else (torch.zeros_like(base_weight), torch.zeros_like(norm_bias))
        )
        d_weight = torch.zeros_like(weight)
        d_bias, d_norm_weight, d_norm_bias = (torch.zeros_like(v) for v in (weight[:, 0], norm_weight, norm_bias))
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        factor = weight.to(product)
        start = len(x) - len(d_last)
        parts = _blocks(whole)
        both = weight.new_empty(parts[0].stop, 2 * width)
        for rows in parts:
            d_whole, of_norm_weight, of_norm_bias = torch.ops.aten.native_layer_norm_backward(
                _with_last(d_out, d_last, rows, start),
                whole[rows],
                (width,),
                mean[rows],
                scale[rows],
                norm_weight,
                norm_bias,
                [True] * 3,
            )
            d_norm_weight += of_norm_weight
            d_norm_bias += of_norm_bias
            if d_skip is not None:
                d_skip[rows] = d_whole
            if d_base_weight is not None and d_base_bias is not None:
                add_product(d_base_weight, d_whole.to(product).t(), base[rows].to(product))
                d_base_bias += d_whole.sum(0)
            d_both = both[: rows.stop - rows.start]
            d_value, d_gate = d_both.chunk(2, dim=1)
            torch.mul(d_whole, gate[rows], out=d_value)
            d_whole.mul_(gated[rows])
            torch.addcmul(d_whole, d_whole, gate[rows], value=-1.0, out=d_gate)
            d_bias += d_both.sum(0)
            d_both = d_both.to(product)
            add_product(d_weight, d_both.t(), x[rows].to(product))
            if d_x is not None:
                if x.dtype == product:
                    torch.mm(d_both, factor, out=d_x[rows])
                else:
                    d_x[rows] = torch.mm(d_both, factor)
        if d_skip is not None and base is not None:
            d_skip = linear(d_skip, base_weight.t(), None, product)
        return d_x, d_skip, d_base_weight, d_base_bias, d_weight, d_bias, d_norm_weight, d_norm_bias, None, None


def _with_last(d_out: Tensor, d_last: Tensor, rows: slice, start: int) -> Tensor:
    """The gradient of some rows, with what came for the last step (from row ``start`` on) on its own."""
    if rows.stop <= start:
        return d_out[rows]
    first = max(rows.start, start)
    d_rows = d_out[rows].clone()
    d_rows[first - rows.start :] += d_last[first - start : rows.stop - start]
    return d_rows


def _blocks(rows: Tensor) -> list[slice]:
    """Slices of the rows of [R, width]; at least one."""
    return blocks(len(rows), NUMBERS_AT_A_TIME // rows.shape[1], rows.device)
