"""Graph attention between stocks: GATv2 (Brody et al., 2022) over a signed, attributed graph.

    e_ij = a' LeakyReLU(Theta_s x_j + Theta_t x_i + Theta_e e_ij) / temperature
    x'_i = sum_j softmax_j(e_ij) s_ij Theta_s x_j,   j in N(i) and i itself

s_ij is the sign of the edge's correlation where messages are signed (a name that moves against its neighbour takes the
neighbour's news the other way round), else 1. Unlike the first GAT, the ranking of neighbours may depend on the asking
node. Every node gets a self loop whose attributes say what a stock is to itself (correlation 1, same sector, no lead),
so isolated nodes and empty graphs need no special case: such a node attends to itself alone.

Parameters and definition are torch-geometric's. On a CPU its result is worked out by hand, see
:mod:`model.trained_model.network.edge_attention`.
"""

import sys
import tempfile
from collections.abc import Callable
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATv2Conv
from torch_geometric.typing import OptTensor
from torch_geometric.utils import softmax

from model.trained_model.network.edge_attention import Edges, edge_attention, with_loops

SELF_LOOP_ATTRIBUTES = (1.0, 1.0, 1.0, 0.0)
"""Signed correlation, its absolute value, same sector, lead of the source over the target: columns of ``edge_attr``."""


def by_hand(x: Tensor) -> bool:
    """Whether attention is differentiated by hand: on a CPU.

    A GPU has no cache that blocks of edges would fit, and a compiler fuses the library's operations itself.
    """
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class TemperedGATv2Conv(GATv2Conv):
    """torch-geometric's GATv2Conv whose attention logits are divided by a temperature."""

    def __init__(
        self, inputs: int, outputs: int, *, heads: int, dropout: float, temperature: float, signed: bool
    ) -> None:
        super().__init__(
            inputs,
            outputs,
            heads=heads,
            dropout=dropout,
            add_self_loops=False,
            edge_dim=len(SELF_LOOP_ATTRIBUTES),
        )
        self.temperature = temperature
        self.signed = signed
        _remove_sources(self.propagate, self.edge_updater)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """x: [N, inputs] -> [N, heads * outputs]."""
        out: Tensor
        if not by_hand(x):
            out = super().forward(x, edges.index, edges.attributes)
            return out
        weight = torch.cat([self.lin_l.weight, self.lin_r.weight])
        bias = torch.cat([self.lin_l.bias, self.lin_r.bias])
        attended = edge_attention(
            functional.linear(x, weight, bias),
            self.att,
            self.lin_edge.weight,
            edges,
            self._factor(edges),
            slope=self.negative_slope,
            temperature=self.temperature,
        )
        out = attended + self.bias
        return out

    def _factor(self, edges: Edges) -> Tensor | None:
        """[E, heads] factors on the attention weights: dropout, drawn as the library draws it, and sign."""
        factor = None
        if self.training and self.dropout:
            ones = torch.ones(len(edges.source), self.heads, dtype=self.att.dtype)
            factor = functional.dropout(ones, self.dropout)
        if self.signed:
            sign = torch.where(edges.attributes[:, :1] < 0.0, -1.0, 1.0).to(self.att.dtype)
            factor = sign.expand(-1, self.heads) if factor is None else factor * sign
        return factor

    def edge_update(
        self,
        x_j: Tensor,
        x_i: Tensor,
        edge_attr: Tensor,
        index: Tensor,
        ptr: OptTensor,
        dim_size: Optional[int],  # noqa: UP045 the library reads this annotation and knows no X | None
    ) -> Tensor:
        """Attention of every edge, [E, heads]; called by the library with source x_j and target x_i."""
        edge = self.lin_edge(edge_attr).view(-1, self.heads, self.out_channels)
        logits = (functional.leaky_relu(x_i + x_j + edge, self.negative_slope) * self.att).sum(dim=-1)
        alpha = softmax(logits / self.temperature, index, ptr, dim_size)
        alpha = functional.dropout(alpha, p=self.dropout, training=self.training)
        return alpha * torch.where(edge_attr[:, :1] < 0.0, -1.0, 1.0) if self.signed else alpha


def _remove_sources(*methods: Callable[..., Any]) -> None:
    """Remove the files that the library wrote these methods to and loaded them from.

    It leaves them, one a method and process, in the folder for temporary files, where a nightly training would add to
    them for ever. Once loaded nothing reads them but tracebacks.
    """
    for method in methods:
        written = getattr(sys.modules.get(method.__module__), "__file__", None)
        if written is not None and Path(written).parent == Path(tempfile.gettempdir()):
            for path in (written, cache_from_source(written)):
                Path(path).unlink(missing_ok=True)


class GraphAttention(nn.Module):
    """Stack of GATv2 layers, then LayerNorm and a clamp that keeps reduced precision finite."""

    def __init__(
        self,
        width: int,
        *,
        hidden: int = 64,
        heads: int = 4,
        layers: int = 1,
        temperature: float = 1.0,
        signed: bool = False,
        attention_dropout: float = 0.0,
        edge_dropout: float = 0.0,
        clip: float = 5.0,
    ) -> None:
        super().__init__()
        if hidden % heads:
            raise ValueError(f"Graph width {hidden} is not divisible by {heads} heads.")
        widths = [width] + [hidden] * (layers - 1)
        self.layers = nn.ModuleList(
            TemperedGATv2Conv(
                inputs,
                hidden // heads,
                heads=heads,
                dropout=attention_dropout,
                temperature=temperature,
                signed=signed,
            )
            for inputs in widths
        )
        self.output = nn.Identity() if hidden == width else nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        self.edge_dropout = edge_dropout
        self.clip = clip
        self.register_buffer("loop_attributes", torch.tensor(SELF_LOOP_ATTRIBUTES), persistent=False)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """x: [B, width], edge_index: int64 [2, E] source -> target without self loops, edge_attr: [E, 4].

        Returns [B, width]. Raises ValueError for wrong shapes or for self loops among the edges (they would
        count twice).
        """
        _check_edges(edge_index, edge_attr)
        if self.training and self.edge_dropout > 0.0:
            kept = torch.rand(edge_index.shape[1], device=edge_index.device) >= self.edge_dropout
            keep = kept.nonzero().squeeze(1)
            edge_index, edge_attr = edge_index.index_select(1, keep), edge_attr.index_select(0, keep)
        edges = with_loops(edge_index, edge_attr, len(x), self.get_buffer("loop_attributes"))
        for depth, layer in enumerate(self.layers):
            update = layer(x, edges)
            x = update if depth == 0 else x + functional.elu(update)
        out: Tensor = self.norm(self.output(x))
        return out.clamp(-self.clip, self.clip)


def _check_edges(edge_index: Tensor, edge_attr: Tensor) -> None:
    if edge_index.dim() != 2 or edge_index.shape[0] != 2 or edge_index.dtype != torch.int64:
        raise ValueError(f"edge_index must be int64 [2, E], not {edge_index.dtype} {list(edge_index.shape)}.")
    if edge_attr.shape != (edge_index.shape[1], len(SELF_LOOP_ATTRIBUTES)):
        wanted = [edge_index.shape[1], len(SELF_LOOP_ATTRIBUTES)]
        raise ValueError(f"edge_attr must be {wanted}, not {list(edge_attr.shape)}.")
    if bool((edge_index[0] == edge_index[1]).any()):
        raise ValueError("edge_index holds self loops; the layer adds its own, so they must be left out.")
