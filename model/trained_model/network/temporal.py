"""Temporal encoder: LSTM, gated skip, interpretable attention, position-wise GRN (Lim et al., 2021, section 4.5).

The prediction is made at the newest day only, so attention is computed for the last query alone. Keys and values
are never formed: with q the last query, ``q . (W_k h_l) = (W_k' q) . h_l``, and the value map shared by all heads
commutes with the weighted mean over days. The result equals the full computation; the cost is two small products.

There are no static covariates and no known future inputs in this panel, hence no static encoders, no enrichment
by a context and no decoder. Causality inside the window needs no mask: the only query is its last day.
"""

import torch
from torch import Tensor, nn

from model.trained_model.network.grn import GRN, GateAddNorm

WINDOWS_AT_A_TIME = 400
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

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """steps: [B, L, width] -> attended value of the last step [B, width], mean weights over days [B, L]."""
        query = self.query(steps[:, -1]).view(-1, self.heads, self.size)
        key = self.key.weight.view(self.heads, self.size, -1)
        folded = torch.einsum("bhd,hdw->bhw", query, key) * self.size**-0.5
        weights = torch.softmax(torch.bmm(folded, steps.transpose(1, 2)), dim=-1).mean(dim=1)  # [B, L]
        pooled = torch.bmm(self.dropout(weights).unsqueeze(1), steps).squeeze(1)
        out: Tensor = self.output(self.value(pooled))
        return out, weights


class TemporalEncoder(nn.Module):
    """[B, L, width] -> [B, width]: the state of the newest day, aware of the whole window."""

    def __init__(
        self, width: int, *, lstm_layers: int = 1, heads: int = 4, dropout: float = 0.0, layer_scale: float = 0.0
    ) -> None:
        super().__init__()
        between = dropout if lstm_layers > 1 else 0.0  # torch warns about dropout on a single layer
        self.lstm = nn.LSTM(width, width, lstm_layers, dropout=between)
        self.lstm_skip = GateAddNorm(width, dropout, layer_scale)
        self.attention = InterpretableAttention(width, heads, dropout)
        self.attention_skip = GateAddNorm(width, dropout, layer_scale)
        self.position_wise = GRN(width, width, width, dropout=dropout)
        self.output_skip = GateAddNorm(width, 0.0, layer_scale)
        self._open_forget_gates()

    def _open_forget_gates(self) -> None:
        """Forget-gate bias 1, so that memory is kept at the start (Jozefowicz et al., 2015)."""
        with torch.no_grad():
            for name, parameter in self.lstm.named_parameters():
                if name.startswith("bias_ih"):
                    parameter[self.lstm.hidden_size : 2 * self.lstm.hidden_size] += 1.0

    def forward(self, steps: Tensor) -> Tensor:
        """steps: [B, L, width] -> [B, width]."""
        encoded = self._recur(steps.transpose(0, 1).contiguous())  # time first: each step is one block of memory
        local: Tensor = self.lstm_skip(encoded.transpose(0, 1), steps)
        newest = local[:, -1]
        attended, _ = self.attention(local)
        enriched = self.attention_skip(attended, newest)
        out: Tensor = self.output_skip(self.position_wise(enriched), newest)
        return out

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
