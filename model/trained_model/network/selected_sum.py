"""The selected sum of variable selection, forward and backward by hand, a block of rows at a time.

    inner = sum_j v_j (sum_k W_jk relu(a_jk x_j + b_jk m_j + c_jk) + d_j),    skip = sum_j v_j (S_j x_j + T_j m_j + U_j)

In ordinary operations each row's F * width numbers pass through memory about ten times and are kept for the backward
pass: at 100 features that was a third of a training step and most of its memory. Here a block of rows, one k at a
time, fits the processor's cache: everything between the inputs and the matrix products lives and dies there, and the
backward pass computes it anew (one multiply-add a number, against 2 * hidden in the products).

``selected_sum`` works by hand, except under ``torch.compile``, which fuses ordinary operations by itself.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

ROWS_AT_A_TIME = 1024
"""Rows of a block on a CPU, where an array of 100 features then takes 400 KB. A GPU takes all rows at once."""


def selected_sum(
    channels: Sequence[Tensor], v: Tensor, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor
) -> Tensor:
    """[R, 2 * hidden]: the inner sum, then the skip.

    Args:
        channels: one or two of [R, F], the values of each feature.
        v: [R, F] weights of the features, 0 or above.
        first: [F, channels + 1, width], the last entry of the middle axis is the constant.
        second: [F * width, hidden], feature by feature.
        bias: [F, hidden]
        skip: [channels + 1, F, hidden], the last entry is the constant.
    """
    if torch.compiler.is_compiling():
        return by_operations(channels, v, first, second, bias, skip)
    extra = channels[1] if len(channels) == 2 else None
    out: Tensor = _SelectedSum.apply(channels[0], extra, v, first, second, bias, skip)
    return out


def by_operations(
    channels: Sequence[Tensor], v: Tensor, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor
) -> Tensor:
    """The same in ordinary operations, differentiated by torch; arguments as for :func:`selected_sum`."""
    values = torch.stack([*channels, torch.ones_like(v)], dim=-1)  # [R, F, channels + 1]
    eta = torch.relu(torch.einsum("rfc,fcw->rfw", values, first)) * v.unsqueeze(-1)
    inner = eta.flatten(1) @ second + v @ bias
    weighted = torch.cat([v * channel for channel in channels] + [v], dim=-1)
    return torch.cat([inner, weighted @ skip.flatten(0, 1)], dim=-1)


class _SelectedSum(torch.autograd.Function):
    """Elementwise work in the inputs' type, matrix products in the type that autocast asks for."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        extra: Tensor | None,
        v: Tensor,
        first: Tensor,
        second: Tensor,
        bias: Tensor,
        skip: Tensor,
    ) -> Tensor:
        device = x.device.type
        product = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        ctx.save_for_backward(x, extra, v, first, second, bias, skip)
        ctx.product = product
        weights = _Weights(first, second, bias, skip, product)
        channels = [x] if extra is None else [x, extra]
        hidden = second.shape[1]
        out = v.new_empty(len(v), 2 * hidden, dtype=product)
        buffers = v.new_empty(2, _rows_at_a_time(v), v.shape[1])
        for start in range(0, len(v), _rows_at_a_time(v)):
            rows = slice(start, start + _rows_at_a_time(v))
            values, by, both = [channel[rows] for channel in channels], v[rows], out[rows]
            activation, eta = buffers[:, : len(by)]
            inner, outer = both[:, :hidden], both[:, hidden:]
            torch.mm(by.to(product), weights.constant, out=both)
            for value, matrix in zip(values, weights.skip, strict=True):
                outer.addmm_(torch.mul(by, value, out=eta).to(product), matrix)
            for k, matrix in enumerate(weights.second):
                _activate(values, weights.first[k], activation)
                inner.addmm_(torch.mul(activation, by, out=eta).to(product), matrix)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, extra, v, first, second, bias, skip = ctx.saved_tensors
        weights = _Weights(first, second, bias, skip, ctx.product)
        total = weights.zeros_like()
        channels = [x] if extra is None else [x, extra]
        d_out = gradients[0].contiguous()
        d_v = torch.empty_like(v)
        d_channels = [torch.empty_like(x) if wanted else None for wanted in ctx.needs_input_grad[: len(channels)]]
        buffers = v.new_empty(3, _rows_at_a_time(v), v.shape[1])
        for start in range(0, len(v), _rows_at_a_time(v)):
            rows = slice(start, start + _rows_at_a_time(v))
            found = [None if d is None else d[rows] for d in d_channels]
            block = _Block([channel[rows] for channel in channels], v[rows], d_out[rows], d_v[rows], found, buffers)
            block.linear(weights, total)
            for k in range(len(weights.second)):
                block.activated(k, weights, total)
        d_channels += [None] * (2 - len(channels))
        return (*d_channels, d_v, *total.as_given(first, second, bias, skip))


class _Block:
    """Backward pass of one block of rows: what it reads, and where the gradients of its inputs go."""

    def __init__(
        self,
        values: list[Tensor],
        by: Tensor,
        d_out: Tensor,
        d_by: Tensor,
        d_values: list[Tensor | None],
        buffers: Tensor,
    ) -> None:
        self.values, self.by, self.d_out, self.d_by, self.d_values = values, by, d_out, d_by, d_values
        self.inner, self.outer = d_out.chunk(2, dim=1)
        self.buffers = buffers[:, : len(by)]

    def linear(self, weights: "_Weights", total: "_Weights") -> None:
        """The constants and the skip; the first to write the gradients of the inputs."""
        product = self.d_out.dtype
        scratch, towards, _ = self.buffers
        total.constant.addmm_(self.by.to(product).t(), self.d_out)
        _product(self.d_out, weights.constant.t(), self.d_by)
        for i, (value, d_value) in enumerate(zip(self.values, self.d_values, strict=True)):
            total.skip[i].addmm_(torch.mul(self.by, value, out=scratch).to(product).t(), self.outer)
            _product(self.outer, weights.skip[i].t(), towards)  # towards v * value
            self.d_by.addcmul_(towards, value)
            if d_value is not None:
                torch.mul(towards, self.by, out=d_value)

    def activated(self, k: int, weights: "_Weights", total: "_Weights") -> None:
        """The k-th activation of every feature."""
        product = self.d_out.dtype
        activation, scratch, d_eta = self.buffers
        _activate(self.values, weights.first[k], activation)
        total.second[k].addmm_(torch.mul(activation, self.by, out=scratch).to(product).t(), self.inner)
        _product(self.inner, weights.second[k].t(), d_eta)
        self.d_by.addcmul_(d_eta, activation)
        # towards the argument of the relu, which gets nothing where it is not above 0
        d_pre = torch.ops.aten.threshold_backward.grad_input(d_eta, activation, 0, grad_input=scratch).mul_(self.by)
        total.first[k, -1] += d_pre.sum(0)
        for i, (value, d_value) in enumerate(zip(self.values, self.d_values, strict=True)):
            total.first[k, i] += torch.mul(d_pre, value, out=d_eta).sum(0)
            if d_value is not None:
                d_value.addcmul_(d_pre, weights.first[k, i])


class _Weights:
    """The weights as the blocks read them: k first, features last, matrices in the type of the products."""

    def __init__(self, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor, product: torch.dtype) -> None:
        features, _, width = first.shape
        self.first = first.permute(2, 1, 0).contiguous()
        """[width, channels + 1, F]"""
        self.second = second.view(features, width, -1).transpose(0, 1).contiguous().to(product)
        """[width, F, hidden]"""
        self.constant = torch.cat([bias, skip[-1]], dim=1).to(product)
        """[F, 2 * hidden], what v alone is multiplied by"""
        self.skip = skip[:-1].contiguous().to(product)
        """[channels, F, hidden]"""

    def zeros_like(self) -> "_Weights":
        """Their gradients, to be summed up in the type of the parameters."""
        zeros = _Weights.__new__(_Weights)
        for name, value in vars(self).items():
            setattr(zeros, name, torch.zeros_like(value))
        return zeros

    def as_given(self, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor) -> tuple[Tensor, ...]:
        """Back in the layout and type of the parameters."""
        of_bias, of_last = self.constant.split(bias.shape[1], dim=1)
        of_second = self.second.transpose(0, 1).reshape(second.shape)
        of_skip = torch.cat([self.skip, of_last.unsqueeze(0)])
        back = (self.first.permute(2, 1, 0), of_second, of_bias, of_skip)
        return tuple(value.to(like.dtype) for value, like in zip(back, (first, second, bias, skip), strict=True))


def _activate(values: Sequence[Tensor], first: Tensor, out: Tensor) -> None:
    """relu(a x + b m + c) into ``out`` [rows, F]; first: [channels + 1, F]."""
    torch.addcmul(first[-1], values[0], first[0], out=out)
    if len(values) == 2:
        out.addcmul_(values[1], first[1])
    out.relu_()


def _product(left: Tensor, right: Tensor, out: Tensor) -> None:
    """left @ right into ``out``, which may be of another type than the factors."""
    if out.dtype == left.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(torch.mm(left, right))


def _rows_at_a_time(v: Tensor) -> int:
    return min(len(v), ROWS_AT_A_TIME) if v.device.type == "cpu" else len(v)
