"""Attention of one query on the steps of a window, forward and backward by hand.

    p_h = softmax(K_h . steps),   weights = mean_h p_h,   pooled = sum_l weights_l m_l steps_l

Differentiated by torch, each of the two places where the steps enter has a gradient as large as all steps, and the two
are added; here both are one product.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from model.trained_model.network.blocks import blocks

WINDOWS_AT_A_TIME = 150
"""Windows whose gradient is put in its place while a CPU's cache still has it. A GPU takes all windows at once."""


def last_query(steps: Tensor, queries: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The pooled steps [B, width] and the mean weights [B, L], which sum to 1, in the type of the steps.

    Args:
        steps: [B, L, width]
        queries: [B, heads, width], in the space of the steps.
        mask: [B, L] factors on the weights in the sum (dropout), needs no gradient.
    """
    if torch.compiler.is_compiling():
        return by_operations(steps, queries, mask)
    pooled, weights = _LastQuery.apply(steps, queries.type_as(steps), mask)
    return pooled, weights


def by_operations(steps: Tensor, queries: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The same in ordinary operations, differentiated by torch; arguments as for :func:`last_query`."""
    weights = torch.softmax(torch.bmm(queries, steps.transpose(1, 2)), dim=-1).mean(dim=1)
    kept = weights if mask is None else weights * mask
    return torch.bmm(kept.unsqueeze(1), steps).squeeze(1), weights


class _LastQuery(torch.autograd.Function):
    """Products in the type of the steps: they are small, so reduced precision would gain nothing."""

    @staticmethod
    def forward(ctx: Any, steps: Tensor, queries: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        with torch.autocast(steps.device.type, enabled=False):
            by_head = torch.softmax(torch.bmm(queries, steps.transpose(1, 2)), dim=-1)
            weights = by_head.mean(dim=1)
            kept = weights if mask is None else weights * mask
            pooled = torch.bmm(kept.unsqueeze(1), steps).squeeze(1)
        ctx.save_for_backward(steps, queries, mask, by_head, kept)
        return pooled, weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_pooled: Tensor, d_weights: Tensor) -> tuple[Tensor, Tensor, None]:
        steps, queries, mask, by_head, kept = ctx.saved_tensors
        d_pooled = d_pooled.unsqueeze(1)
        of_kept = torch.bmm(d_pooled, steps.transpose(1, 2))
        of_weights = (of_kept if mask is None else of_kept * mask.unsqueeze(1)) + d_weights.unsqueeze(1)
        of_weights = of_weights / by_head.shape[1]
        d_logits = by_head * (of_weights - (by_head * of_weights).sum(-1, keepdim=True))
        d_queries = torch.bmm(d_logits, steps)
        towards = torch.cat([d_logits, kept.unsqueeze(1)], dim=1).transpose(1, 2)  # [B, L, heads + 1]
        along = torch.cat([queries, d_pooled], dim=1)
        d_steps = torch.empty_like(steps)  # in the order of the steps in memory, which need not be the product's
        for here in blocks(len(steps), WINDOWS_AT_A_TIME, steps.device):
            d_steps[here] = torch.bmm(towards[here], along[here])
        return d_steps, d_queries, None
