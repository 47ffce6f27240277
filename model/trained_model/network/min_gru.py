"""minGRU (Feng et al., "Were RNNs All We Needed?", 2024, section 3.1): a recurrence without a product in it.

    z_t = sigmoid(W_z x_t + b_z),   c_t = W_h x_t + b_h,   h_t = (1 - z_t) h_{t-1} + z_t c_t,   h_0 = 0

Gate and candidate read the input alone, so their products are taken over all steps together and what is left between
the steps is elementwise. An LSTM of the same width maps input and state to four gates, with a product in every step:
the minGRU has a quarter of its products.

The scan and its gradient are written by hand, a block of windows at a time that fits the processor's cache. With g_t
the gradient that comes to h_t from outside the recurrence and d_t all of it,

    d_t = g_t + k_{t+1},   k_t = (1 - z_t) d_t,   of c_t: d_t - k_t,   of the argument of z_t: k_t (h_t - h_{t-1})

(the last because z_t (c_t - h_{t-1}) = h_t - h_{t-1}), so only z and h are kept for the backward pass.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from model.trained_model.network.blocks import blocks
from model.trained_model.network.grn import SharedDropout
from model.trained_model.network.products import add_product, linear_times, product_type, sigmoid_of_linear
from model.trained_model.network.projection import Affine

NUMBERS_AT_A_TIME = 1_600_000
"""Steps, windows and width of a block on a CPU, multiplied: 6.4 MB for each array. A GPU takes all windows at once."""


class MinGRU(nn.Module):
    """Layers of minGRU: [L, B, width] -> [L, B, width]. Dropout between layers, one mask a window."""

    def __init__(self, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(layers))
        self.dropout = SharedDropout(dropout)
        self._keep_memory()

    def _keep_memory(self) -> None:
        """Bias of the gate 1 lower, so that memory is kept at the start, as by the LSTM's forget gate."""
        with torch.no_grad():
            for layer in self.layers:
                torch.as_tensor(layer.bias).chunk(2)[0].sub_(1.0)

    def forward(self, steps: Tensor | Affine) -> Tensor:
        """steps, result: [L, B, width], oldest step first.

        Where the steps are a linear map of fewer numbers, the first layer reads those: two linear maps are one.
        """
        source = steps if isinstance(steps, Affine) and steps.compact else None
        states = source.inputs if source else steps.steps() if isinstance(steps, Affine) else steps
        for depth, layer in enumerate(self.layers):
            weight, bias = torch.as_tensor(layer.weight), torch.as_tensor(layer.bias)
            if depth:
                states = self.dropout(states.transpose(0, 1)).transpose(0, 1)
            elif source:
                weight, bias = weight @ source.weight, weight @ source.bias + bias
            states = min_gru(states, weight, bias)
        return states


def min_gru(steps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """[L, B, width]: h of every step.

    Args:
        steps: [L, B, inputs], oldest step first.
        weight: [2 * width, inputs], W_z above W_h.
        bias: [2 * width]
    """
    if torch.compiler.is_compiling():
        return by_operations(steps, weight, bias)
    states: Tensor = _MinGRU.apply(steps, weight, bias)
    return states


def by_operations(steps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same in ordinary operations, differentiated by torch; arguments as for :func:`min_gru`."""
    argument, candidate = functional.linear(steps, weight, bias).to(weight.dtype).chunk(2, dim=-1)
    gate = torch.sigmoid(argument)
    state = torch.zeros_like(gate[0])
    states = []
    for z, c in zip(gate.unbind(0), candidate.unbind(0), strict=True):
        state = torch.lerp(state, c, z)
        states.append(state)
    return torch.stack(states)


class _MinGRU(torch.autograd.Function):
    """Matrix products in the type that autocast asks for; gate, state and result in the type of the weights."""

    @staticmethod
    def forward(ctx: Any, steps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        product = product_type(weight)
        length, windows, _ = steps.shape
        rows = steps.flatten(0, 1)
        (of_gate, of_candidate), (bias_of_gate, bias_of_candidate) = weight.chunk(2), bias.chunk(2)
        gates = sigmoid_of_linear(rows, of_gate, bias_of_gate, product)
        gated = linear_times(rows, of_candidate, bias_of_candidate, gates, product)
        gate, states = (values.view(length, windows, -1) for values in (gates, gated))
        for block in _blocks(gate):
            z, h = gate[:, block].unbind(0), states[:, block].unbind(0)  # h_t holds z_t c_t until its turn comes
            for before, here, share in zip(h, h[1:], z[1:], strict=False):
                torch.addcmul(here, share, before, value=-1.0, out=here).add_(before)
        ctx.save_for_backward(steps, weight, gate, states)
        ctx.product = product
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        steps, weight, gate, states = ctx.saved_tensors
        product = ctx.product
        length, _, inputs = steps.shape
        wanted = ctx.needs_input_grad[0]
        factors = weight.to(product).chunk(2)
        d_steps = torch.empty_like(steps) if wanted else None
        d_weight = torch.zeros_like(weight)
        d_bias = weight.new_zeros(len(weight))
        for block in _blocks(gate):
            rows = steps[:, block].flatten(0, 1).to(product)
            found = [d.flatten(0, 1) for d in _scan_back(d_states[:, block], gate[:, block], states[:, block])]
            for d, of_weight, of_bias in zip(found, d_weight.chunk(2), d_bias.chunk(2), strict=True):
                of_bias.add_(d.sum(0))
                add_product(of_weight, d.to(product).t(), rows)
            if d_steps is not None:
                d_rows = torch.mm(found[0].to(product), factors[0]).addmm_(found[1].to(product), factors[1])
                d_steps[:, block] = d_rows.view(length, -1, inputs)
        return d_steps, d_weight, d_bias


def _scan_back(d_states: Tensor, gate: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """[L, windows, width] gradients of the gate's argument and of the candidate."""
    whole, kept = (torch.empty_like(gate, memory_format=torch.contiguous_format) for _ in range(2))
    d, k = whole.unbind(0), kept.unbind(0)
    outside, share, h = d_states.unbind(0), gate.unbind(0), states.unbind(0)
    d[-1].copy_(outside[-1])
    moved = torch.empty_like(d[0])
    for t in range(len(d) - 1, -1, -1):
        torch.addcmul(d[t], d[t], share[t], value=-1.0, out=k[t])
        if t:
            torch.add(outside[t - 1], k[t], out=d[t - 1])
        d[t].sub_(k[t])
        k[t].mul_(torch.sub(h[t], h[t - 1], out=moved) if t else h[0])
    return kept, whole


def _blocks(like: Tensor) -> list[slice]:
    """Slices of windows of [L, B, width]; at least one."""
    length, windows, width = like.shape
    return blocks(windows, NUMBERS_AT_A_TIME // (length * width), like.device)
