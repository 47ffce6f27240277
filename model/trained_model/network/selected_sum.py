"""The selected sum of variable selection, forward and backward by hand, a block of rows at a time.

    inner = sum_j v_j (sum_k W_jk relu(a_jk x_j + b_jk m_j + c_jk) + d_j),    skip = sum_j v_j (S_j x_j + T_j m_j + U_j)

In ordinary operations each row's F * width numbers pass through memory about ten times and are kept for the backward
pass: at 100 features that was a third of a training step and most of its memory. Here a block of rows fits the
processor's cache, one k at a time (several beside each other where features are few, so that products stay wide):
everything between the inputs and the matrix products lives and dies there, and the backward pass computes it anew
(one multiply-add a number, against 2 * hidden in the products).

``selected_sum`` works by hand, except under ``torch.compile``, which fuses ordinary operations by itself.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor

COLUMNS = 160
"""Most columns of a block, features times the k that are taken together."""
NUMBERS_AT_A_TIME = 100_000
"""Rows times columns of a block on a CPU: 400 KB for each of its arrays. A GPU takes all rows at once."""


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
        blocks = _blocks(v, weights)
        buffers = v.new_empty(2, blocks[0].stop, weights.columns)
        for rows in blocks:
            values, by, both = [channel[rows] for channel in channels], v[rows], out[rows]
            inner, outer = both[:, :hidden], both[:, hidden:]
            torch.mm(by.to(product), weights.constant, out=both)
            for value, matrix in zip(values, weights.skip, strict=True):
                outer.addmm_((by * value).to(product), matrix)
            values, by = [weights.beside(value) for value in values], weights.beside(by)
            activation, eta = buffers[:, : len(by)]
            for coefficients, matrix in zip(weights.first, weights.second, strict=True):
                _activate(values, coefficients, activation)
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
        blocks = _blocks(v, weights)
        buffers = v.new_empty(3, blocks[0].stop, weights.columns)
        for rows in blocks:
            block = _Block([channel[rows] for channel in channels], v[rows], d_out[rows], weights, total)
            d_v[rows], found = block.gradients(
                [d is not None for d in d_channels], buffers[:, : rows.stop - rows.start]
            )
            for d_channel, of_block in zip(d_channels, found, strict=True):
                if d_channel is not None and of_block is not None:
                    d_channel[rows] = of_block
        d_channels += [None] * (2 - len(channels))
        return (*d_channels, d_v, *total.as_given(first, second, bias, skip))


class _Block:
    """Backward pass of one block of rows; gradients of the weights are added to ``total``."""

    def __init__(self, values: list[Tensor], by: Tensor, d_out: Tensor, weights: "_Weights", total: "_Weights") -> None:
        self.values, self.by, self.d_out, self.weights, self.total = values, by, d_out, weights, total
        self.inner, self.outer = d_out.chunk(2, dim=1)

    def gradients(self, wanted: list[bool], buffers: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        """Of the weights of the features, and of each channel that is wanted."""
        weights = self.weights
        d_by, d_values = self._linear(wanted)
        values, by = [weights.beside(value) for value in self.values], weights.beside(self.by)
        beside = torch.zeros_like(by)
        slopes = [torch.zeros_like(by) if want else None for want in wanted]
        activation, scratch, d_eta = buffers
        for k, coefficients in enumerate(weights.first):
            _activate(values, coefficients, activation)
            eta = torch.mul(activation, by, out=scratch).to(self.d_out.dtype)
            self.total.second[k].addmm_(eta.t(), self.inner)
            _product(self.inner, weights.second[k].t(), d_eta)
            beside.addcmul_(d_eta, activation)
            # towards the argument of the relu, which gets nothing where it is not above 0
            d_pre = torch.ops.aten.threshold_backward.grad_input(d_eta, activation, 0, grad_input=scratch).mul_(by)
            self.total.first[k, -1] += d_pre.sum(0)
            for i, (value, slope) in enumerate(zip(values, slopes, strict=True)):
                self.total.first[k, i] += torch.mul(d_pre, value, out=d_eta).sum(0)
                if slope is not None:
                    slope.addcmul_(d_pre, coefficients[i])
        d_by += weights.together(beside)
        for d_value, slope in zip(d_values, slopes, strict=True):
            if d_value is not None and slope is not None:
                d_value.add_(weights.together(slope))
        return d_by, d_values

    def _linear(self, wanted: list[bool]) -> tuple[Tensor, list[Tensor | None]]:
        """The constants and the skip."""
        like, product = self.by.dtype, self.d_out.dtype
        self.total.constant.addmm_(self.by.to(product).t(), self.d_out)
        d_by = torch.mm(self.d_out, self.weights.constant.t()).to(like)
        d_values: list[Tensor | None] = []
        for value, matrix, total, want in zip(self.values, self.weights.skip, self.total.skip, wanted, strict=True):
            total.addmm_((self.by * value).to(product).t(), self.outer)
            towards = torch.mm(self.outer, matrix.t()).to(like)  # v * value
            d_by.addcmul_(towards, value)
            d_values.append(towards.mul_(self.by) if want else None)
        return d_by, d_values


class _Weights:
    """The weights as the blocks read them: several k beside each other in the columns, matrices in the product's type.

    K groups of k, C columns of a group (k by k, the features of each).
    """

    def __init__(self, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor, product: torch.dtype) -> None:
        features, inputs, width = first.shape
        self.group = max(g for g in range(1, width + 1) if width % g == 0 and (g == 1 or g * features <= COLUMNS))
        self.columns = self.group * features
        ordered = first.permute(2, 1, 0).reshape(-1, self.group, inputs, features)
        self.first = ordered.transpose(1, 2).reshape(-1, inputs, self.columns)
        """[K, channels + 1, C]"""
        ordered = second.view(features, width, -1).transpose(0, 1)
        self.second = ordered.reshape(-1, self.columns, second.shape[1]).to(product)
        """[K, C, hidden]"""
        self.constant = torch.cat([bias, skip[-1]], dim=1).to(product)
        """[F, 2 * hidden], what v alone is multiplied by"""
        self.skip = skip[:-1].contiguous().to(product)
        """[channels, F, hidden]"""

    def beside(self, rows: Tensor) -> Tensor:
        """[R, F] repeated for each k of a group, [R, C]."""
        return rows if self.group == 1 else rows.repeat(1, self.group)

    def together(self, rows: Tensor) -> Tensor:
        """[R, C] summed over the k of a group, [R, F]."""
        return rows if self.group == 1 else rows.unflatten(1, (self.group, -1)).sum(1)

    def zeros_like(self) -> "_Weights":
        """Their gradients, to be summed up."""
        zeros = copy(self)
        for name in ("first", "second", "constant", "skip"):
            setattr(zeros, name, torch.zeros_like(getattr(self, name)))
        return zeros

    def as_given(self, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor) -> tuple[Tensor, ...]:
        """Back in the layout and type of the parameters."""
        features, inputs, width = first.shape
        of_bias, of_last = self.constant.split(bias.shape[1], dim=1)
        ordered = self.first.view(-1, inputs, self.group, features).transpose(1, 2).reshape(width, inputs, features)
        of_second = self.second.view(width, features, -1).transpose(0, 1).reshape(second.shape)
        of_skip = torch.cat([self.skip, of_last.unsqueeze(0)])
        back = (ordered.permute(2, 1, 0), of_second, of_bias, of_skip)
        return tuple(value.to(like.dtype) for value, like in zip(back, (first, second, bias, skip), strict=True))


def _activate(values: Sequence[Tensor], first: Tensor, out: Tensor) -> None:
    """relu(a x + b m + c) into ``out`` [rows, C]; first: [channels + 1, C]."""
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


def _blocks(v: Tensor, weights: _Weights) -> list[slice]:
    """At least one, of equal length but for the last."""
    step = max(1, NUMBERS_AT_A_TIME // weights.columns) if v.device.type == "cpu" else max(1, len(v))
    return [slice(start, min(start + step, len(v))) for start in range(0, max(1, len(v)), step)]
