"""The selected sum of variable selection, forward and backward by hand, a block of rows at a time.

    inner = sum_j v_j (W_j relu(a_j x_j + b_j m_j + c_j) + d_j),    skip = sum_j v_j (S_j x_j + T_j m_j + U_j)

In ordinary operations each row's F * width numbers pass through memory about ten times and are kept for the backward
pass: at 100 features that was a third of a training step and most of its memory. Here a block of rows fits the
processor's cache, everything between the inputs and the matrix products lives and dies there, and the backward pass
computes it anew (one multiply-add a number, against 2 * hidden in the products).

``selected_sum`` works by hand, except under ``torch.compile``, which fuses ordinary operations by itself.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

ROWS_AT_A_TIME = 512
"""Rows of a block on a CPU: at 100 features and width 8 a block is 1.6 MB. A GPU takes all rows at once."""


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
        buffers = _buffers(2, v, weights.first)
        for rows in _blocks(v):
            values, by, both = [channel[rows] for channel in channels], v[rows], out[rows]
            activation, scratch = buffers[:, : len(by)]
            _activate(values, weights.first, activation)
            eta = torch.mul(activation, by.unsqueeze(1), out=scratch)
            torch.mm(by.to(product), weights.constant, out=both)
            both[:, :hidden].addmm_(eta.flatten(1).to(product), weights.second)
            both[:, hidden:].addmm_(_weighted(values, by).to(product), weights.skip)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, extra, v, first, second, bias, skip = ctx.saved_tensors
        product = ctx.product
        weights = _Weights(first, second, bias, skip, product)
        channels = [x] if extra is None else [x, extra]
        features, hidden = len(first), second.shape[1]
        d_out = gradients[0].contiguous()
        d_v = torch.empty_like(v)
        d_channels = [torch.empty_like(x) if wanted else None for wanted in ctx.needs_input_grad[:2]]
        d = weights.zeros_like()
        buffers = _buffers(3, v, weights.first)
        for rows in _blocks(v):
            values, by, both = [channel[rows] for channel in channels], v[rows], d_out[rows]
            inner, outer = both[:, :hidden], both[:, hidden:]
            activation, scratch, d_eta = buffers[:, : len(by)]
            _activate(values, weights.first, activation)
            eta = torch.mul(activation, by.unsqueeze(1), out=scratch)
            d.second.addmm_(eta.flatten(1).to(product).t(), inner)
            d.skip.addmm_(_weighted(values, by).to(product).t(), outer)
            d.constant.addmm_(by.to(product).t(), both)
            _product(inner, weights.second.t(), d_eta.flatten(1))
            towards = torch.mm(outer, weights.skip.t()).to(v.dtype).split(features, dim=1)  # v * value, by channel
            torch.mul(d_eta, activation, out=scratch)
            of_v = torch.add(torch.mm(both, weights.constant.t()), scratch.sum(1), out=d_v[rows])
            # towards the argument of the relu; nothing where that is not above 0
            d_pre = torch.ops.aten.threshold_backward.grad_input(d_eta, activation, 0, grad_input=scratch)
            d_pre.mul_(by.unsqueeze(1))
            d.first[-1] += d_pre.sum(0)
            for i, (value, through) in enumerate(zip(values, towards, strict=True)):
                of_v.addcmul_(through, value)
                d.first[i] += torch.mul(d_pre, value.unsqueeze(1), out=d_eta).sum(0)
                d_channel = d_channels[i]
                if d_channel is not None:
                    slope = torch.mul(d_pre, weights.first[i], out=d_eta).sum(1)
                    torch.addcmul(slope, through, by, out=d_channel[rows])
        return (*d_channels, d_v, *d.as_given(first, second, bias, skip))


class _Weights:
    """The weights as the blocks read them: features last, matrices in the type of the products."""

    def __init__(self, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor, product: torch.dtype) -> None:
        features, _, width = first.shape
        hidden = second.shape[1]
        self.first = first.permute(1, 2, 0).contiguous()
        """[channels + 1, width, F]"""
        self.second = second.view(features, width, hidden).transpose(0, 1).reshape(-1, hidden).to(product)
        """[width * F, hidden]"""
        self.constant = torch.cat([bias, skip[-1]], dim=1).to(product)
        """[F, 2 * hidden], what v alone is multiplied by"""
        self.skip = skip[:-1].reshape(-1, hidden).to(product)
        """[channels * F, hidden]"""

    def zeros_like(self) -> "_Weights":
        """Their gradients, to be summed up."""
        zeros = _Weights.__new__(_Weights)
        for name, value in vars(self).items():
            setattr(zeros, name, torch.zeros_like(value))
        return zeros

    def as_given(self, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor) -> tuple[Tensor, ...]:
        """Back in the layout and type of the parameters."""
        features, hidden = bias.shape
        of_bias, of_last = self.constant.split(hidden, dim=1)
        of_second = self.second.view(-1, features, hidden).transpose(0, 1).reshape(second.shape)
        of_skip = torch.cat([self.skip.view(-1, features, hidden), of_last.unsqueeze(0)])
        back = (self.first.permute(2, 0, 1), of_second, of_bias, of_skip)
        return tuple(value.to(like.dtype) for value, like in zip(back, (first, second, bias, skip), strict=True))


def _activate(values: Sequence[Tensor], first: Tensor, out: Tensor) -> None:
    """relu(a x + b m + c) of a block into ``out`` [rows, width, F]."""
    torch.addcmul(first[-1], values[0].unsqueeze(1), first[0], out=out)
    if len(values) == 2:
        out.addcmul_(values[1].unsqueeze(1), first[1])
    out.relu_()


def _weighted(values: Sequence[Tensor], by: Tensor) -> Tensor:
    """[rows, channels * F]: v times the value of each channel."""
    weighted = [by * value for value in values]
    return weighted[0] if len(weighted) == 1 else torch.cat(weighted, dim=1)


def _product(left: Tensor, right: Tensor, out: Tensor) -> None:
    """left @ right into ``out``, which may be of another type than the factors."""
    if out.dtype == left.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(torch.mm(left, right))


def _buffers(number: int, v: Tensor, first: Tensor) -> Tensor:
    """[number, rows of a block, width, F]"""
    rows = max(block.stop - block.start for block in _blocks(v))
    return v.new_empty(number, rows, *first.shape[1:])


def _blocks(v: Tensor) -> list[slice]:
    step = ROWS_AT_A_TIME if v.device.type == "cpu" else max(len(v), 1)
    return [slice(start, min(start + step, len(v))) for start in range(0, max(len(v), 1), step)]
