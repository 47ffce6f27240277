"""Gating blocks of the Temporal Fusion Transformer (Lim et al., Int. J. of Forecasting 2021, section 4.1).

    GLU(g)    = sigmoid(W4 g + b4) * (W5 g + b5)
    GRN(a, c) = LayerNorm(a + GLU(W1 n + b1)),   n = ELU(W2 a + W3 c + b2)

A gate can close, so a block costs nothing where it does not help. The paper's separate matrices of W1 and the
two halves of the GLU are kept: ``GLU`` holds W4 and W5 as one matrix.

Dropout on sequences draws one mask a window and keeps it for all its steps (Gal and Ghahramani, 2016): a recurrent
reader then sees a smaller network instead of flickering inputs, and random numbers are drawn once, not L times.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.trained_model.network.gated_skip import gated_rows
from model.trained_model.network.products import product_type


class SharedDropout(nn.Module):
    """Dropout whose mask is shared by the steps of a window: [B, L, W] draws [B, 1, W], [B, W] is ordinary."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, W] or [B, L, W] -> the same shape; the identity in evaluation."""
        if not self.training or self.p == 0.0:
            return x
        if x.dim() == 2:
            return functional.dropout(x, self.p)
        return x * functional.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.p)


class GLU(nn.Module):
    """Gated linear unit: dropout, then one linear map to [value, gate], then value * sigmoid(gate)."""

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = SharedDropout(dropout)
        self.linear = nn.Linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., inputs] -> [..., outputs]."""
        value, gate = self.linear(self.dropout(x)).chunk(2, dim=-1)
        out: Tensor = value * torch.sigmoid(gate)  # functional.glu computes the sigmoid again for the gradient
        return out


def gated_norm(x: Tensor, skip: Tensor, gate: GLU, norm: nn.LayerNorm) -> Tensor:
    """LayerNorm(skip + GLU(x)); x: [..., inputs], skip: [..., outputs] -> [..., outputs].

    Whole sequences in full precision go by hand (see :mod:`model.trained_model.network.gated_skip`). In reduced
    precision ordinary operations keep what lies between the products in it, which is faster.
    """
    linear = gate.linear
    if x.dim() < 3 or product_type(linear.weight) != linear.weight.dtype:
        return torch.as_tensor(norm(skip + gate(x)))
    return gated_rows(gate.dropout(x), skip, linear.weight, linear.bias, norm.weight, norm.bias, norm.eps)


class GateAddNorm(nn.Module):
    """Gated skip connection: LayerNorm(skip + scale * GLU(x)).

    ``layer_scale`` above 0 adds a learned scale per channel that starts at that value (Touvron et al., 2021).
    """

    def __init__(self, width: int, dropout: float = 0.0, layer_scale: float = 0.0) -> None:
        super().__init__()
        self.gate = GLU(width, width, dropout)
        self.norm = nn.LayerNorm(width)
        self.scale = nn.Parameter(torch.full((width,), layer_scale)) if layer_scale > 0.0 else None

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x, skip: [..., width] -> [..., width]."""
        branch: Tensor = self.gate(x)
        if self.scale is not None:
            branch = branch * self.scale
        out: Tensor = self.norm(skip + branch)
        return out


class GRN(nn.Module):
    """Gated residual network. ``context`` is the width of the optional c; 0 means none.

    Where inputs and outputs differ in width the skip is a linear map, as in the paper's reference code.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, dropout: float = 0.0, context: int = 0) -> None:
        super().__init__()
        self.w2 = nn.Linear(inputs, hidden)
        self.w3 = nn.Linear(context, hidden, bias=False) if context else None
        self.w1 = nn.Linear(hidden, hidden)
        self.gate = GLU(hidden, outputs, dropout)
        self.skip = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, a: Tensor, c: Tensor | None = None) -> Tensor:
        """a: [..., inputs], c: [..., context] or None -> [..., outputs]."""
        if (c is None) != (self.w3 is None):
            raise ValueError("A context must be given exactly when the GRN was built with one.")
        eta: Tensor = self.w2(a)
        if c is not None and self.w3 is not None:
            eta = eta + self.w3(c)
        return gated_norm(self.w1(functional.elu(eta)), self.skip(a), self.gate, self.norm)


class GroupedGRN(nn.Module):
    """One small GRN for each of F features, computed together: [R, F, inputs] -> [R, F, width].

    Weights carry a leading feature axis and the products are batched over it, so the cost in kernels does not
    grow with F. Equal to F separate :class:`GRN` modules with a linear skip and no dropout.
    """

    def __init__(self, features: int, inputs: int, width: int) -> None:
        super().__init__()
        self.w2 = nn.Parameter(uniform(features, inputs, width, fan_in=inputs))
        self.b2 = nn.Parameter(uniform(features, 1, width, fan_in=inputs))
        self.w1 = nn.Parameter(uniform(features, width, width, fan_in=width))
        self.b1 = nn.Parameter(torch.zeros(features, 1, width))
        self.w45 = nn.Parameter(uniform(features, width, 2 * width, fan_in=width))
        self.b45 = nn.Parameter(torch.zeros(features, 1, 2 * width))
        self.skip = nn.Parameter(uniform(features, inputs, width, fan_in=inputs))
        self.norm_weight = nn.Parameter(torch.ones(features, 1, width))
        self.norm_bias = nn.Parameter(torch.zeros(features, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """x: [R, F, inputs] -> [R, F, width]."""
        a = x.transpose(0, 1)  # [F, R, inputs]: the batch axis of bmm is the feature
        eta = functional.elu(torch.baddbmm(self.b2, a, self.w2))
        eta = torch.baddbmm(self.b1, eta, self.w1)
        branch = functional.glu(torch.baddbmm(self.b45, eta, self.w45), dim=-1)
        z = functional.layer_norm(torch.bmm(a, self.skip) + branch, (branch.shape[-1],))
        return (z * self.norm_weight + self.norm_bias).transpose(0, 1)


def uniform(*shape: int, fan_in: int) -> Tensor:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), what nn.Linear uses."""
    bound = fan_in**-0.5
    return torch.empty(*shape).uniform_(-bound, bound)
