"""The selected sum of variable selection, forward and backward by hand, a block of rows at a time.

    inner = sum_j v_j (sum_k W_jk relu(a_jk x_j + b_jk m_j + c_jk) + d_j),    skip = sum_j v_j (S_j x_j + T_j m_j + U_j)

In ordinary operations each row's F * width numbers pass through memory about ten times and are kept for the backward
pass: at 100 features that was a third of a training step and most of its memory. Here a block of rows fits the
processor's cache: everything between the inputs and the result lives and dies there, and the backward pass computes
it anew.

With v_j >= 0, ``v relu(z) = relu(v z)``, so that all of it reads the same numbers, u_j = (v_j x_j, v_j m_j, v_j):

    inner = sum_j sum_k W_jk relu(first_jk . u_j) + v_j d_j,    skip = sum_j skip_j . u_j

and all but the relu and its slope are matrix products, forward and backward. A block is kept with its rows along the
last axis, where a product of every feature's few inputs is one batch.

``selected_sum`` works by hand, except under ``torch.compile``, which fuses ordinary operations by itself.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from model.trained_model.network.products import add_product, product_type

NUMBERS_AT_A_TIME = 300_000
"""Rows times what the second map reads of a row, on a CPU: 1.2 MB for each of a block's two large arrays."""
TOGETHER = 64
"""Rows of a block are a multiple of this, as the kernels of matrix products have them."""
NUMBERS_AT_A_TIME_ON_A_GPU = 2**27
"""512 MB for each of the two: no cache holds a block, and there are few calls."""


def selected_sum(
    channels: Sequence[Tensor], v: Tensor, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor
) -> tuple[Tensor, Tensor]:
    """The inner sum and the skip, both [R, hidden].

    A v of exactly 0 gets no gradient from the relu; softmax multiplies what it gets by that 0.

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
    inner, outer = _SelectedSum.apply(channels[0], extra, v, first, second, bias, skip)
    return inner, outer


def by_operations(
    channels: Sequence[Tensor], v: Tensor, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor
) -> tuple[Tensor, Tensor]:
    """The same in ordinary operations, differentiated by torch; arguments as for :func:`selected_sum`."""
    values = torch.stack([*channels, torch.ones_like(v)], dim=-1)  # [R, F, channels + 1]
    eta = torch.relu(torch.einsum("rfc,fcw->rfw", values, first)) * v.unsqueeze(-1)
    inner = eta.flatten(1) @ second + v @ bias
    weighted = torch.cat([v * channel for channel in channels] + [v], dim=-1)
    return inner, weighted @ skip.flatten(0, 1)


class _SelectedSum(torch.autograd.Function):
    """Products with ``hidden`` in the type that autocast asks for, everything else in the type of the weights."""

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
    ) -> tuple[Tensor, Tensor]:
        product = product_type(first)
        ctx.save_for_backward(x, extra, v, first, second, bias, skip)
        ctx.product = product
        weights = _Weights.of(first, second, bias, skip, product)
        channels = [x] if extra is None else [x, extra]
        inner, outer = (v.new_empty(len(v), second.shape[1], dtype=product) for _ in range(2))
        space = _Space(len(v), weights.first)
        for rows in space.blocks:
            block = _Block([channel[rows] for channel in channels], v[rows], weights, space)
            torch.mm(block.activate().to(product).t(), weights.second, out=inner[rows])
            torch.mm(block.scaled.flatten(0, 1).to(product).t(), weights.skip, out=outer[rows])
        return inner, outer

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, extra, v, first, second, bias, skip = ctx.saved_tensors
        weights = _Weights.of(first, second, bias, skip, ctx.product)
        total = weights.zeros(first.dtype)
        channels = [x] if extra is None else [x, extra]
        d_v = torch.empty_like(v)
        d_channels = [torch.empty_like(x) if wanted else None for wanted in ctx.needs_input_grad[: len(channels)]]
        space = _Space(len(v), weights.first)
        for rows in space.blocks:
            block = _Block([channel[rows] for channel in channels], v[rows], weights, space)
            d_inner, d_outer = (gradient[rows] for gradient in gradients)
            d_scaled = block.gradients(d_inner, d_outer, total)
            d_v[rows] = block.of_weights(d_scaled).t()
            for d_channel, towards in zip(d_channels, d_scaled.unbind(1), strict=False):
                if d_channel is not None:
                    d_channel[rows] = (towards * block.scaled[:, -1]).t()
        d_channels += [None] * (2 - len(channels))
        return (*d_channels, d_v, *total.as_given(skip))


class _Block:
    """Some rows, along the last axis of every array: r of them."""

    def __init__(self, channels: Sequence[Tensor], v: Tensor, weights: "_Weights", space: "_Space") -> None:
        self.weights = weights
        values, self.scaled, self.d_scaled, self.eta, self.d_eta = space.arrays(len(v))
        self.values, self.by = values[:-1], values[-1].copy_(v.t())
        """[channels, F, r], and the weights of the features [F, r]."""
        for channel, value, scaled in zip(channels, self.values, self.scaled.unbind(1), strict=False):
            torch.mul(value.copy_(channel.t()), self.by, out=scaled)
        self.scaled[:, -1] = self.by

    def activate(self) -> Tensor:
        """[F * (width + 1), r], what the second map reads."""
        return torch.bmm(self.weights.first.transpose(1, 2), self.scaled, out=self.eta).relu_().flatten(0, 1)

    def gradients(self, d_inner: Tensor, d_outer: Tensor, total: "_Weights") -> Tensor:
        """Of ``scaled``, [F, channels + 1, r]; those of the weights are added to ``total``."""
        first, second, skip = self.weights
        product = second.dtype
        eta = self.activate()
        add_product(total.second, eta.to(product), d_inner)
        add_product(total.skip, self.scaled.flatten(0, 1).to(product), d_outer)
        # towards the argument of the relu, which gets nothing where it is not above 0
        d_eta = _product(second, d_inner.t(), self.d_eta.flatten(0, 1))
        torch.ops.aten.threshold_backward.grad_input(d_eta, eta, 0, grad_input=d_eta)
        total.first.baddbmm_(self.scaled, self.d_eta.transpose(1, 2))
        _product(skip, d_outer.t(), self.d_scaled.flatten(0, 1))
        return self.d_scaled.baddbmm_(first, self.d_eta)

    def of_weights(self, d_scaled: Tensor) -> Tensor:
        """The gradient of the weights of the features, [F, r], from that of ``scaled``."""
        found = self.by.copy_(d_scaled[:, -1])
        for value, towards in zip(self.values, d_scaled.unbind(1), strict=False):
            found.addcmul_(value, towards)
        return found


class _Space:
    """Where the blocks of one pass are worked out, one after another: fresh memory would have to be cleared first."""

    def __init__(self, rows: int, first: Tensor) -> None:
        features, inputs, units = first.shape
        numbers = NUMBERS_AT_A_TIME if first.device.type == "cpu" else NUMBERS_AT_A_TIME_ON_A_GPU
        step = max(1, numbers // (features * units * TOGETHER)) * TOGETHER
        self.blocks = [slice(start, min(start + step, rows)) for start in range(0, max(1, rows), step)]
        self.shapes = (inputs, features), *[(features, inputs)] * 2, *[(features, units)] * 2
        self.flat = [first.new_empty(a * b * self.blocks[0].stop) for a, b in self.shapes]

    def arrays(self, length: int) -> list[Tensor]:
        """[channels + 1, F, length], two of [F, channels + 1, length], two of [F, width + 1, length]."""
        return [flat[: a * b * length].view(a, b, length) for flat, (a, b) in zip(self.flat, self.shapes, strict=True)]


class _Weights(NamedTuple):
    """The weights as the blocks read them, feature by feature, what meets ``hidden`` in the type of its products.

    The bias is one more of the second map's inputs, v = relu(v): all that is done to those is then done to it.
    """

    first: Tensor
    """[F, channels + 1, width + 1]"""
    second: Tensor
    """[F * (width + 1), hidden]"""
    skip: Tensor
    """[F * (channels + 1), hidden]"""

    @classmethod
    def of(cls, first: Tensor, second: Tensor, bias: Tensor, skip: Tensor, product: torch.dtype) -> "_Weights":
        """From the layout of the parameters."""
        weights = torch.cat([second.view(*first[:, 0].shape, -1), bias.unsqueeze(1)], dim=1)
        constant = torch.zeros_like(first[..., :1])
        constant[:, -1] = 1.0
        by_feature = skip.transpose(0, 1).flatten(0, 1)
        return cls(torch.cat([first, constant], dim=2), weights.flatten(0, 1).to(product), by_feature.to(product))

    def zeros(self, dtype: torch.dtype) -> "_Weights":
        """Their gradients, to be summed up."""
        return _Weights(*(torch.zeros_like(weight, dtype=dtype) for weight in self))

    def as_given(self, skip: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of first, second, bias and skip in the layout of the parameters."""
        features, _, units = self.first.shape
        weights = self.second.view(features, units, -1)
        by_channel = self.skip.view(skip.transpose(0, 1).shape).transpose(0, 1)
        return self.first[..., :-1], weights[:, :-1].flatten(0, 1), weights[:, -1], by_channel


def _product(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """left @ right into ``out``, which may be of another type than the factors."""
    return torch.mm(left, right, out=out) if out.dtype == left.dtype else out.copy_(torch.mm(left, right))
