"""Variable selection (Lim et al., 2021, section 4.2), batched over features and cheap enough for a CPU.

    v_t = softmax(GRN_v([xi_1 ... xi_F])),   out_t = sum_j v_tj * transform_j(xi_tj)

Economies, none of which needs a loop over features:

* The paper embeds each real-valued feature linearly and flattens. A GRN's first map and skip are linear too, so
  GRN_v reads the raw values: the same functions, F inputs instead of F * H. Its hidden width is H / 2.
* ``transform="grn"`` runs a GRN of width ``width`` for each feature and maps the selected sum to H.
* ``transform="gated_sum"`` (default) takes the selected sum *inside* one shared gate and norm:
  ``out = LayerNorm(sum_j v_j S_j xi_j + GLU(sum_j v_j (W_j relu(a_j xi_j + b_j) + c_j)))``. Because v_j >= 0,
  ``v relu(z) = relu(v z)``: gate and norm see one sum, and one matrix product does selection and projection
  together. ReLU stands for the paper's ELU for that reason. See :mod:`model.trained_model.network.selected_sum`.

A feature may have a second channel, the part an adaptive normalisation took out of it. Its weights are stored as
the difference to the first channel's and start at zero: before training, residual plus main part act exactly as
the sum of the two. Where that sum is the untouched feature (FAN), switching the normalisation on in a later phase
does not jolt the network. The selection reads the sum.
"""

import torch
from torch import Tensor, nn

from model.trained_model.network.grn import GLU, GRN, GroupedGRN, gated_norm, uniform
from model.trained_model.network.selected_sum import selected_sum


class VariableSelectionNetwork(nn.Module):
    """Weights F features at each step and maps them to width ``hidden``."""

    def __init__(
        self,
        features: int,
        hidden: int,
        *,
        width: int = 8,
        channels: int = 1,
        transform: str = "gated_sum",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if channels not in {1, 2}:
            raise ValueError(f"Variable selection takes 1 or 2 channels a feature, not {channels}.")
        self.channels = channels
        self.selection = GRN(features, max(hidden // 2, 4), features, dropout=dropout)
        self.transform: nn.Module
        if transform == "gated_sum":
            self.transform = GatedSum(features, hidden, width, channels, dropout)
        elif transform == "grn":
            self.transform = SelectedGRN(features, hidden, width, channels)
        else:
            raise ValueError(f"Unknown transform {transform!r}: 'gated_sum' or 'grn'.")

    def forward(self, whole: Tensor, main: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """whole: [B, L, F] sum of a feature's channels, main: [B, L, F] the second of them, a removed part, or None.

        Returns the selected representation [B, L, hidden] and the selection weights [B, L, F], which sum to 1.
        Raises ValueError when a second channel is given to a network built for one.
        """
        if main is not None and self.channels == 1:
            raise ValueError("A second channel was given to a variable selection built for one.")
        logits: Tensor = self.selection(whole)
        v = torch.softmax(logits, dim=-1)
        out: Tensor = self.transform(whole, main, v)
        return out, v


class GatedSum(nn.Module):
    """Shared gate and norm around the selected sum (see the module's text)."""

    def __init__(self, features: int, hidden: int, width: int, channels: int, dropout: float) -> None:
        super().__init__()
        inputs = channels + 1  # the channels and the constant
        first = torch.zeros(features, inputs, width)
        first[:, 0] = torch.randn(features, width)
        first[:, -1] = torch.randn(features, width) * 0.5  # kinks within the bulk of a z-score
        self.first = nn.Parameter(first)
        self.second = nn.Parameter(uniform(features * width, hidden, fan_in=width))
        skip = torch.zeros(inputs, features, hidden)
        skip[0] = uniform(features, hidden, fan_in=1)
        self.skip = nn.Parameter(skip)
        self.bias = nn.Parameter(torch.zeros(features, hidden))
        self.gate = GLU(hidden, hidden, dropout)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, whole: Tensor, extra: Tensor | None, v: Tensor) -> Tensor:
        """whole: [B, L, F] sum of the channels, extra: second channel or None, v: [B, L, F] -> [B, L, hidden]."""
        first: Tensor = self.first
        skip: Tensor = self.skip
        channels = [whole.flatten(0, 1)]
        if extra is not None:
            channels.append(extra.flatten(0, 1))
        elif skip.shape[0] == 3:  # the second channel is absent: its weights rest
            first, skip = first[:, 0::2], skip[0::2]
        found = selected_sum(channels, v.flatten(0, 1), first, self.second, self.bias, skip)
        inner, outer = (part.view(*v.shape[:2], -1) for part in found)
        return gated_norm(inner, outer, self.gate, self.norm)


class SelectedGRN(nn.Module):
    """The paper's form: a GRN for each feature, their weighted values mapped to the common width."""

    def __init__(self, features: int, hidden: int, width: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.grn = GroupedGRN(features, channels, width)
        if channels == 2:
            with torch.no_grad():
                self.grn.w2[:, 1] = 0.0
                self.grn.skip[:, 1] = 0.0
        self.project = nn.Linear(features * width, hidden)

    def forward(self, whole: Tensor, extra: Tensor | None, v: Tensor) -> Tensor:
        """whole: [B, L, F], extra: [B, L, F] or None, v: [B, L, F] -> [B, L, hidden]."""
        channels = [whole]
        if self.channels == 2:
            channels.append(torch.zeros_like(whole) if extra is None else extra)
        xi: Tensor = self.grn(torch.stack(channels, dim=-1).flatten(0, 1))  # [R, F, width]
        selected = (xi * v.flatten(0, 1).unsqueeze(-1)).flatten(1)
        out: Tensor = self.project(selected).view(*v.shape[:2], -1)
        return out
