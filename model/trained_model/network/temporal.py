"""Temporal encoder: recurrence, gated skip, interpretable attention, position-wise GRN (Lim et al., 2021, section 4.5).

The prediction is made at the newest day only, so attention is computed for the last query alone. Keys and values
are never formed: with q the last query, ``q . (W_k h_l) = (W_k' q) . h_l``, and the value map shared by all heads
commutes with the weighted mean over days. The result equals the full computation; the cost is two small products.

There are no static covariates and no known future inputs in this panel, hence no static encoders, no enrichment
by a context and no decoder. Causality inside the window needs no mask: the only query is its last day.
"""

import torch
from torch import Tensor, nn

from model.trained_model.network.gated_skip import gated_skip
from model.trained_model.network.grn import GRN, GateAddNorm
from model.trained_model.network.last_query import by_operations, last_query
from model.trained_model.network.min_gru import MinGRU
from model.trained_model.network.projection import Affine

WINDOWS_AT_A_TIME = 160
"""Windows that the LSTM reads together on a CPU; more would take its gates out of the cache."""


class InterpretableAttention(nn.Module):
    """Multi-head attention of the last step over all steps, with one value map for all heads.

    ``H~ = mean_h softmax(Q_h K_h' / sqrt(d)) V W_H``, no bias in Q, K, V as in the reference code.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"Attention width {width} is not divisible by {heads} heads.")
        self.heads = heads
        self.size = width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, self.size, bias=False)
        self.output = nn.Linear(self.size, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, newest: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """steps: [B, L, width] -> attended value of the last step [B, width], mean weights over days [B, L].

        newest: [B, width], the last step where the caller has it apart: its gradient then need not be spread over a
        tensor of all steps, and attention is differentiated by hand.
        """
        query = self.query(steps[:, -1] if newest is None else newest).view(-1, self.heads, self.size)
        key = self.key.weight.view(self.heads, self.size, -1)
        folded = torch.einsum("bhd,hdw->bhw", query, key) * self.size**-0.5
        mask = self.dropout(steps.new_ones(steps.shape[:2])) if self.training and self.dropout.p else None
        pooled, weights = (by_operations if newest is None else last_query)(steps, folded, mask)
        out: Tensor = self.output(self.value(pooled))
        return out, weights


class SequenceSkip(GateAddNorm):
    """The gated skip of whole sequences, by hand (see :mod:`model.trained_model.network.gated_skip`)."""

    def forward(self, x: Tensor, skip: Tensor | Affine) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """x, skip: [L, B, width] -> all steps [L, B, width] and the last on its own [B, width]."""
        linear, norm = self.gate.linear, self.norm
        weight: Tensor = linear.weight
        bias: Tensor = linear.bias
        if self.scale is not None:  # a scale of the value is a scale of its map
            scale = torch.cat([self.scale, torch.ones_like(self.scale)])
            weight, bias = weight * scale.unsqueeze(1), bias * scale
        x = self.gate.dropout(x.transpose(0, 1)).transpose(0, 1)
        return gated_skip(x, skip, weight, bias, norm.weight, norm.bias, norm.eps)


class TemporalEncoder(nn.Module):
    """[B, L, width] -> [B, width]: the state of the newest day, aware of the whole window."""

    def __init__(
        self,
        width: int,
        *,
        recurrence: str = "lstm",
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
        layer_scale: float = 0.0,
    ) -> None:
        super().__init__()
        self.recurrence = recurrence
        if recurrence == "lstm":
            between = dropout if layers > 1 else 0.0  # torch warns about dropout on a single layer
            self.lstm = nn.LSTM(width, width, layers, dropout=between)
            self.lstm_skip = SequenceSkip(width, dropout, layer_scale)
        elif recurrence == "min_gru":
            self.min_gru = MinGRU(width, layers, dropout)
            self.min_gru_skip = SequenceSkip(width, dropout, layer_scale)
        else:
            raise ValueError(f"Unknown recurrence {recurrence!r}: 'lstm' or 'min_gru'.")
        self.attention = InterpretableAttention(width, heads, dropout)
        self.attention_skip = GateAddNorm(width, dropout, layer_scale)
        self.position_wise = GRN(width, width, width, dropout=dropout)
        self.output_skip = GateAddNorm(width, 0.0, layer_scale)
        if recurrence == "lstm":
            self._open_forget_gates()

    def _open_forget_gates(self) -> None:
        """Forget-gate bias 1, so that memory is kept at the start (Jozefowicz et al., 2015)."""
        with torch.no_grad():
            for name, parameter in self.lstm.named_parameters():
                if name.startswith("bias_ih"):
                    parameter[self.lstm.hidden_size : 2 * self.lstm.hidden_size] += 1.0

    def blocks(self) -> list[tuple[str, list[nn.Parameter]]]:
        """Parameters by layer of the recurrence and by part after it, input side first; each exactly once."""
        found: list[tuple[str, list[nn.Parameter]]] = []
        if self.recurrence == "lstm":
            named = list(self.lstm.named_parameters())
            found += [
                (f"lstm.{layer}", [p for name, p in named if name.endswith(f"_l{layer}")])
                for layer in range(self.lstm.num_layers)
            ]
        else:
            found += [(f"min_gru.{depth}", list(part.parameters())) for depth, part in enumerate(self.min_gru.layers)]
        after = (f"{self.recurrence}_skip", "attention", "attention_skip", "position_wise", "output_skip")
        return found + [(name, list(self.get_submodule(name).parameters())) for name in after]

    def forward(self, steps: Tensor | Affine) -> Tensor:
        """steps: [B, L, width], or the linear map that they are -> [B, width]."""
        if isinstance(steps, Affine) and not (self.recurrence == "min_gru" and steps.compact):
            steps = steps.steps().transpose(0, 1)
        # time first: each step is one block of memory
        by_time = steps if isinstance(steps, Affine) else steps.transpose(0, 1).contiguous()
        local, newest = self._recur_and_skip(by_time)
        attended, _ = self.attention(local.transpose(0, 1), newest)
        enriched = self.attention_skip(attended, newest)
        out: Tensor = self.output_skip(self.position_wise(enriched), newest)
        return out

    def _recur_and_skip(self, steps: Tensor | Affine) -> tuple[Tensor, Tensor]:
        """steps: [L, B, width] -> all steps [L, B, width] and the last on its own [B, width]."""
        found: tuple[Tensor, Tensor]
        if isinstance(steps, Affine) or self.recurrence == "min_gru":
            found = self.min_gru_skip(self.min_gru(steps), steps)
        else:
            found = self.lstm_skip(self._recur(steps), steps)
        return found

    def _recur(self, steps: Tensor) -> Tensor:
        """steps, result: [L, B, width]; in full precision on a processor that has no LSTM in the reduced one."""
        if steps.device.type != "cpu":
            encoded, _ = self.lstm(steps)
            return torch.as_tensor(encoded)
        reduced = torch.is_autocast_enabled("cpu") and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        with torch.autocast("cpu", enabled=reduced):
            steps = steps if reduced else steps.type_as(next(self.lstm.parameters()))
            parts = [self.lstm(part)[0] for part in steps.split(WINDOWS_AT_A_TIME, dim=1)]
        return torch.cat(parts, dim=1)
