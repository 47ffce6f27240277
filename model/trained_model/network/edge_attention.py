"""GATv2's attention over the edges of a graph, forward and backward by hand, a block of edges at a time.

    z_e = S_j + T_i + W a_e,   l_e = att' LeakyReLU(z_e) / temperature,   out_i = sum_e softmax_i(l)_e f_e S_j

for an edge e from j to i with attributes a_e; S and T are the nodes' linear maps as source and as target, f_e a factor
on the weight (sign, dropout). In ordinary operations a dozen arrays of all edges and all channels pass through memory,
and sums over edges are taken entry by entry. Here edges lie in the order of their targets, so that every sum runs over
neighbours in memory, and of the channels of all edges only LeakyReLU(z) and the gradient of z are ever held. With g
the gradient of out, the softmax needs no sum over edges of its own, as sum_e alpha_e (g_i . S_j) is g_i . out_i:

    d l_e = softmax_e (f_e g_i . S_j - g_i . out_i),   d z_e = d l_e att LeakyReLU'(z_e) / temperature

Every sum is taken in the order of the edges by one thread, so results are the same bits each time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from model.trained_model.network.blocks import blocks

NUMBERS_AT_A_TIME = 200_000
"""Edges times channels of a block: 800 KB for each of its arrays."""


@dataclass(frozen=True, kw_only=True)
class Edges:
    """E edges between N nodes in the order of their targets."""

    source: Tensor
    """int64 [E]"""
    target: Tensor
    """int64 [E], never decreasing."""
    start: Tensor
    """int64 [N + 1]: edges start[i] to start[i + 1] point to node i."""
    attributes: Tensor
    """[E, A]"""

    @property
    def index(self) -> Tensor:
        """int64 [2, E] source -> target, as torch-geometric takes it."""
        return torch.stack([self.source, self.target])


def with_loops(edge_index: Tensor, edge_attr: Tensor, nodes: int, loop: Tensor) -> Edges:
    """The edges by target, each node's loop after its other edges, which keep their order.

    Args:
        edge_index: int64 [2, E] source -> target, without loops.
        edge_attr: [E, A]
        nodes: N
        loop: [A] attributes of every loop.
    """
    source, target = edge_index
    if bool((target[1:] < target[:-1]).any()):
        order = torch.argsort(target, stable=True)
        source, target, edge_attr = source[order], target[order], edge_attr[order]
    node = torch.arange(nodes, device=target.device)
    start = torch.cat([target.new_zeros(1), (torch.bincount(target, minlength=nodes) + 1).cumsum(0)])
    # An edge moves back by the loops of the nodes before its target.
    place = torch.cat([torch.arange(len(target), device=target.device) + target, start[1:] - 1])
    attributes = torch.cat([edge_attr, loop.to(edge_attr).expand(nodes, -1)])
    return Edges(
        source=torch.empty_like(place).index_copy_(0, place, torch.cat([source, node])),
        target=torch.empty_like(place).index_copy_(0, place, torch.cat([target, node])),
        start=start,
        attributes=torch.empty_like(attributes).index_copy_(0, place, attributes),
    )


def edge_attention(
    nodes: Tensor,
    att: Tensor,
    edge_weight: Tensor,
    edges: Edges,
    factor: Tensor | None,
    *,
    slope: float,
    temperature: float,
) -> Tensor:
    """[N, heads * channels], of the type of ``att``; on a CPU only.

    Args:
        nodes: [N, 2 * heads * channels], each node's map as a source beside that as a target.
        att: [1, heads, channels]
        edge_weight: [heads * channels, A], the map of the attributes.
        edges: every node is the target of at least one.
        factor: [E, heads] factors on the attention weights, needs no gradient.
        slope: of the leaky ReLU below 0.
        temperature: divides the logits.
    """
    out: Tensor = _EdgeAttention.apply(nodes, att, edge_weight, edges.attributes, factor, edges, slope, temperature)
    return out


class _EdgeAttention(torch.autograd.Function):
    """Everything in the type of ``att``: the products are small, so reduced precision would gain nothing."""

    @staticmethod
    def forward(
        ctx: Any,
        nodes: Tensor,
        att: Tensor,
        edge_weight: Tensor,
        attributes: Tensor,
        factor: Tensor | None,
        edges: Edges,
        slope: float,
        temperature: float,
    ) -> Tensor:
        _, heads, channels = att.shape
        with torch.autocast(nodes.device.type, enabled=False):
            # Rows 2n and 2n + 1: node n as a source and as a target.
            table = nodes.detach().to(att.dtype).reshape(2 * len(nodes), heads * channels)
            ends = torch.stack([2 * edges.source, 2 * edges.target + 1], dim=1)
            by_head = _by_head(att[0])
            logits = att.new_empty(len(ends), heads)
            active = []
            for rows in _blocks(edges, heads * channels):
                z = _arguments(table, ends[rows], attributes[rows], edge_weight)
                active.append(functional.leaky_relu_(z, slope))
                torch.mm(active[-1], by_head, out=logits[rows])
            share = _softmax(logits.div_(temperature), edges)
            alpha = share if factor is None else share * factor
            out = _weighted_sum(table[0::2], edges.source, edges.start, alpha)
        ctx.save_for_backward(table, att, edge_weight, attributes, factor, share, alpha, out, *active)
        ctx.edges, ctx.slope, ctx.temperature, ctx.type = edges, slope, temperature, nodes.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        table, att, edge_weight, attributes, factor, share, alpha, out, *active = ctx.saved_tensors
        edges, (_, heads, channels) = ctx.edges, att.shape
        d_out = d_out.contiguous()
        ones, by_head = _by_head(torch.ones_like(att[0])), _by_head(att[0])
        sources = table[0::2].contiguous()
        d_logits = torch.empty_like(share)
        for rows in _blocks(edges, heads * channels):
            towards = d_out.index_select(0, edges.target[rows])
            torch.mm(towards.mul_(sources.index_select(0, edges.source[rows])), ones, out=d_logits[rows])
        if factor is not None:
            d_logits.mul_(factor)
        within = torch.mm(d_out * out, ones)  # [N, heads]
        d_logits.sub_(within.index_select(0, edges.target)).mul_(share).div_(ctx.temperature)
        d_z = table.new_empty(len(share), heads * channels)
        d_att = att.new_zeros(heads, heads * channels)
        d_edge_weight = edge_weight.new_zeros(attributes.shape[1], heads * channels)
        for rows, above in zip(_blocks(edges, heads * channels), active, strict=True):
            d_att.addmm_(d_logits[rows].t(), above)
            here = d_z[rows]
            torch.mm(d_logits[rows], by_head.t(), out=here)
            torch.ops.aten.leaky_relu_backward.grad_input(here, above, ctx.slope, True, grad_input=here)
            d_edge_weight.addmm_(attributes[rows].t().to(here.dtype), here)
        order, start = _by_source(edges)
        d_nodes = table.new_empty(len(d_out), 2, heads * channels)
        messages = _weighted_sum(d_out, edges.target.index_select(0, order), start, alpha.index_select(0, order))
        torch.add(_sum(d_z, order, start), messages, out=d_nodes[:, 0])
        d_nodes[:, 1] = _sum(d_z, torch.arange(len(d_z)), edges.start)
        own = torch.arange(heads)
        return (
            d_nodes.flatten(1).to(ctx.type),
            d_att.view(heads, heads, channels)[own, own].unsqueeze(0),
            d_edge_weight.t(),
            (d_z @ edge_weight).to(attributes.dtype) if ctx.needs_input_grad[3] else None,
            None,
            None,
            None,
            None,
        )


def _by_head(values: Tensor) -> Tensor:
    """[heads, channels] as a matrix [heads * channels, heads] whose product sums each head's channels, weighted."""
    matrix: Tensor = torch.block_diag(*values.unsqueeze(1))
    return matrix.t()


def _arguments(table: Tensor, ends: Tensor, attributes: Tensor, edge_weight: Tensor) -> Tensor:
    """z of some edges, [edges, heads * channels]."""
    z: Tensor = functional.embedding_bag(ends, table, mode="sum")
    z.addmm_(attributes.to(z.dtype), edge_weight.t())
    return z


def _softmax(logits: Tensor, edges: Edges) -> Tensor:
    """[E, heads]: over the edges of each target; overwrites the logits."""
    most = torch.segment_reduce(logits, "max", offsets=edges.start, unsafe=True)
    logits.sub_(most.index_select(0, edges.target)).exp_()
    total = _sum(logits, torch.arange(len(logits)), edges.start)
    return logits.div_(total.index_select(0, edges.target))


def _weighted_sum(values: Tensor, index: Tensor, start: Tensor, alpha: Tensor) -> Tensor:
    """[N, heads * channels]: sums of the values at ``index`` [E], each head's channels times its column of alpha."""
    parts = values.unflatten(1, (alpha.shape[1], -1)).unbind(1)
    sums = [_sum(part, index, start, weight) for part, weight in zip(parts, alpha.t().contiguous(), strict=True)]
    return torch.cat(sums, dim=1)


def _sum(values: Tensor, index: Tensor, start: Tensor, weight: Tensor | None = None) -> Tensor:
    """[N, columns]: for each n the sum of ``values[index]`` from start[n] to start[n + 1], in that order.

    The library's bag of embeddings is the one operation that gathers and sums without an array in between.
    """
    return functional.embedding_bag(
        index, values, start, mode="sum", per_sample_weights=weight, include_last_offset=True
    )


def _by_source(edges: Edges) -> tuple[Tensor, Tensor]:
    """[E] the order of the edges by source, and [N + 1] where each source's edges start in it."""
    nodes = len(edges.start) - 1
    # numpy sorts numbers of 16 bits by their digits, ten times as fast as any other.
    key = edges.source.numpy().astype(np.uint16 if nodes <= 2**16 else np.int64)
    count = torch.bincount(edges.source, minlength=nodes)
    return torch.from_numpy(np.argsort(key, kind="stable")), functional.pad(count.cumsum(0), (1, 0))


def _blocks(edges: Edges, width: int) -> list[slice]:
    """Slices of the edges."""
    return blocks(len(edges.source), NUMBERS_AT_A_TIME // width, edges.source.device)
