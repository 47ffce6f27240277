"""What the network looks like: one frozen dataclass, standard library only.

Every switch of a part that acts does what its line says, and values that contradict each other raise ``ValueError``.
The sizes and switches of a part that is off (``gat_heads`` without ``graph``) wait for it. The settings layer validates
the same class (see ``__pydantic_config__``), so a preset and a checkpoint's ``config.json`` describe the network in the
same words.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

AdaptiveNorm = Literal["fan", "san", "none"]

LEVEL_DIGITS = 4
"""Digits of a quantile's level in the name of its column."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Sizes and switches of :class:`~model.trained_model.network.atft_gat_fan.AtftGatFan`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "use_attribute_docstrings": True,
        "allow_inf_nan": False,
    }

    hidden: int = 64
    """Width H of every part after the input layer."""
    quantiles: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)
    """Quantile levels, strictly increasing inside (0, 1), also when rounded to four digits."""
    dropout: float = 0.1
    """Dropout inside the gated residual networks, between layers of the recurrence and in the heads."""
    variable_selection: bool = True
    """Weigh the features by variable selection; off, one linear map of them: faster, no weights to see."""
    vsn_width: int = 8
    """Width of each feature's own transform in variable selection."""
    vsn_transform: Literal["gated_sum", "grn"] = "gated_sum"
    """Each feature's transform: 'grn' as in the paper, 'gated_sum' shares gate and norm (several times faster)."""
    recurrence: Literal["lstm", "min_gru"] = "lstm"
    """What reads the window day by day: an LSTM, or a minGRU, whose gates read the day alone (several times faster)."""
    lstm_layers: int = 1
    """Layers of the recurrence, be it an LSTM or a minGRU."""
    attention_heads: int = 4
    """Heads of the interpretable attention over the lookback; divides hidden."""
    layer_scale_init: float = 0.0
    """Initial per-channel scale of the temporal residual branches; 0 means no scale parameters."""
    adaptive_norm: AdaptiveNorm = "fan"
    """Adaptive normalisation: 'fan' by frequency, 'san' by slice, or 'none'."""
    fan_top_k: int = 3
    """Frequencies counted as non-stationary by FAN, clamped to lookback // 2 + 1."""
    adaptive_main_channel: bool = True
    """Keep what the normalisation removes from the features as a second channel of each feature."""
    freq_dropout_p: float = 0.0
    """Chance that training drops a feature's frequency (never the constant one); needs adaptive_norm 'fan'."""
    san_slice: int = 5
    """Slice length of SAN in days, at least 3; the first slice is shorter where the lookback demands it."""
    own_return_scale: float = 0.02
    """Unit of the target's own history: daily simple returns are divided by this (about one day's std)."""
    own_return_clip: float = 10.0
    """Own returns are clipped at plus or minus this many units."""
    graph: bool = True
    """Whether the network has a graph attention part."""
    gat_hidden: int = 64
    """Width of the graph attention layers, all heads together; divisible by gat_heads."""
    gat_heads: int = 4
    """Attention heads of each graph layer."""
    gat_layers: int = 1
    """Number of graph attention layers."""
    gat_temperature: float = 1.0
    """Attention logits are divided by this: above 1 flatter, below 1 sharper."""
    gat_signed: bool = True
    """Messages of negatively correlated neighbours arrive with the opposite sign."""
    gat_reads_features: bool = True
    """The graph attention reads the newest day's features beside the temporal state."""
    fusion: Literal["bypass", "concatenation"] = "bypass"
    """How the graph joins: 'bypass' as designed, or a plain projection (to measure what the bypass is worth)."""
    direct: bool = True
    """A direct path from the newest day's features (and, with the graph, the neighbours') to the point predictions."""
    direct_rank: int = 4
    """Rank of the pairwise interactions of features in the direct path; 0 for none."""
    gat_dropout: float = 0.0
    """Dropout of the normalised attention coefficients."""
    edge_dropout: float = 0.1
    """Chance that training removes an edge from the graph attention, no self loop. The direct path reads all edges."""
    gat_output_clip: float = 5.0
    """The normalised graph output is clamped to plus or minus this."""
    gat_init_scale: float = 3.0
    """Factor on the graph columns of the fusion weight at initialisation."""
    output_head_small_init: bool = True
    """Start the last layers of heads and FAN/SAN forecasts near zero: first predictions small, not constant."""
    expected_parameters: int | None = None
    """Stated parameter count; another count raises. None: not checked."""

    def __post_init__(self) -> None:
        """Raise ValueError for a value out of bounds or for switches that contradict each other."""
        sizes = ("vsn_width", "lstm_layers", "attention_heads", "fan_top_k")
        for name in (*sizes, "gat_hidden", "gat_heads", "gat_layers"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(self.hidden >= 4, "hidden", self.hidden, "at least 4: of less, the norms keep hardly more than signs")
        narrow = self.vsn_transform == "grn" and self.vsn_width < 4
        _require(not narrow, "vsn_width", self.vsn_width, "at least 4 with vsn_transform 'grn', whose norm it meets")
        for name in ("dropout", "freq_dropout_p", "gat_dropout", "edge_dropout"):
            _require(0.0 <= getattr(self, name) < 1.0, name, getattr(self, name), "in [0, 1)")
        for name in ("own_return_scale", "own_return_clip", "gat_temperature", "gat_output_clip", "gat_init_scale"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value > 0.0, name, value, "finite and above 0")
        _require(self.direct_rank >= 0, "direct_rank", self.direct_rank, "0 (no interactions) or above")
        _require(self.layer_scale_init >= 0.0, "layer_scale_init", self.layer_scale_init, "0 (off) or above")
        _require(self.san_slice >= 3, "san_slice", self.san_slice, "at least 3: a slice of 2 keeps only a sign")
        _require(self.vsn_transform in {"gated_sum", "grn"}, "vsn_transform", self.vsn_transform, "gated_sum or grn")
        transform = self.vsn_transform == "gated_sum" or self.variable_selection
        _require(
            transform, "vsn_transform", self.vsn_transform, "gated_sum (the default) where variable_selection is off"
        )
        _require(self.recurrence in {"lstm", "min_gru"}, "recurrence", self.recurrence, "lstm or min_gru")
        _require(self.adaptive_norm in {"fan", "san", "none"}, "adaptive_norm", self.adaptive_norm, "fan, san or none")
        levels = self.quantiles
        rising = all(a < b for a, b in zip((0.0, *levels), (*levels, 1.0), strict=True))
        _require(bool(levels) and rising, "quantiles", levels, "strictly increasing inside (0, 1)")
        named = [round(level, LEVEL_DIGITS) for level in (0.0, *levels, 1.0)]
        apart = all(a < b for a, b in pairwise(named))
        _require(apart, "quantiles", levels, f"levels that differ in {LEVEL_DIGITS} digits, by which they are named")
        _require(self.hidden % self.attention_heads == 0, "hidden", self.hidden, "divisible by attention_heads")
        _require(self.gat_hidden % self.gat_heads == 0, "gat_hidden", self.gat_hidden, "divisible by gat_heads")
        if self.freq_dropout_p > 0.0:
            _require(
                self.adaptive_norm == "fan", "freq_dropout_p", self.freq_dropout_p, "0 unless adaptive_norm is 'fan'"
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that have weights, input side first: what a phase may train alone or freeze."""
        there = {
            "vsn": self.variable_selection,
            "projection": not self.variable_selection,
            "temporal": True,
            "fan": self.adaptive_norm == "fan",
            "san": self.adaptive_norm == "san",
            "gat": self.graph,
            "gat_input": self.graph and self.gat_reads_features,
            "fusion": True,
            "heads": True,
            "direct": self.direct,
        }
        return tuple(name for name, holds in there.items() if holds)

    def require_window(self, lookback: int) -> None:
        """Raise ValueError where a window of so many days would leave nothing of the features."""
        frequencies = lookback // 2 + 1
        removed = self.adaptive_norm == "fan" and not self.adaptive_main_channel and self.fan_top_k >= frequencies
        if removed:
            raise ValueError(
                f"network.fan_top_k = {self.fan_top_k} takes all {frequencies} frequencies of a {lookback}-day window "
                "and adaptive_main_channel is off: every feature would be exactly zero. Lower fan_top_k or set "
                "adaptive_main_channel to true."
            )


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise ValueError(f"network.{name} is {value!r}; it must be {rule}.")
