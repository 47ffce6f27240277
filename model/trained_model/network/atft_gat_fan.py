"""ATFT-GAT-FAN: adaptive temporal fusion transformer with graph attention, for a cross-section of stocks.

    features [B, L, F] --adaptive norm--> (residual, main) --VSN--> recurrence + attention --> state [B, H]
    own returns [B, L] --adaptive norm--> residual (an input),  shift and scale (restored at the output)
    state, newest x --GATv2 over the day's graph--> graph state --residual fusion--> heads --restore--> point, quantiles
    newest x, graph --direct path--> added to the point

B stacks all stocks of one or several whole days; the graphs of the days are disjoint. Which parts act is decided
at each call by :class:`PhaseSwitches`: training brings in the adaptive normalisation and then the graph.
Outputs are in the units of the labels the network is trained on, meant to be scaled to unit standard deviation.
Initial weights come from torch's global generator: seed it before construction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from model.trained_model.network.adaptive import OwnHistory, forecast_loss
from model.trained_model.network.config import NetworkConfig
from model.trained_model.network.direct import DirectPath
from model.trained_model.network.encoded import Encoded, computed_again
from model.trained_model.network.fan import FrequencyAdaptiveNormalization, drop_frequencies
from model.trained_model.network.fusion import ResidualFusion
from model.trained_model.network.gat import GraphAttention
from model.trained_model.network.heads import HorizonHeads
from model.trained_model.network.projection import Affine, InputProjection
from model.trained_model.network.san import SliceAdaptiveNormalization
from model.trained_model.network.temporal import TemporalEncoder
from model.trained_model.network.vsn import VariableSelectionNetwork


@dataclass(frozen=True)
class PhaseSwitches:
    """Which optional parts act in a forward pass."""

    adaptive_norm: bool
    """FAN or SAN, whichever the configuration names."""
    graph: bool
    """Graph attention and its fusion."""

    @classmethod
    def everything(cls, config: NetworkConfig) -> "PhaseSwitches":
        """All parts that the configuration has."""
        return cls(adaptive_norm=config.adaptive_norm != "none", graph=config.graph)


@dataclass(frozen=True)
class NetworkOutput:
    """Predictions of one batch."""

    point: Tensor
    """[B, H] point predictions, horizons in the order of construction."""
    quantiles: Tensor
    """[B, H, Q] quantiles, never decreasing along Q."""
    selection: Tensor | None
    """[B, F] variable selection weights on the newest day, each row sums to 1; None where nothing is selected."""
    auxiliary: dict[str, Tensor]
    """Scalar losses by part name ('fan' or 'san'), present when a target was given and that part acts."""


class AtftGatFan(nn.Module):
    """The whole network. Raises ValueError when the parameter count is not the configuration's stated one."""

    def __init__(self, config: NetworkConfig, n_features: int, horizons: tuple[int, ...], lookback: int) -> None:
        super().__init__()
        _check_sizes(config, n_features, horizons, lookback)
        self.config = config
        self.n_features = n_features
        self.horizons = tuple(horizons)
        self.lookback = lookback
        self.activation_checkpointing = False
        """Whether training computes the encoder's activations again for the gradient, see ``encoded``."""
        width, dropout = config.hidden, config.dropout
        adaptive = config.adaptive_norm != "none"
        channels = 2 if adaptive and config.adaptive_main_channel else 1
        if config.variable_selection:
            self.vsn = VariableSelectionNetwork(
                n_features,
                width,
                width=config.vsn_width,
                channels=channels,
                transform=config.vsn_transform,
                dropout=dropout,
            )
        else:
            self.projection = InputProjection(n_features, width, channels=channels)
        self.temporal = TemporalEncoder(
            width,
            recurrence=config.recurrence,
            layers=config.lstm_layers,
            heads=config.attention_heads,
            dropout=dropout,
            layer_scale=config.layer_scale_init,
        )
        if adaptive:
            # The name of the attribute is the name of the part in parameter_groups().
            self.add_module(config.adaptive_norm, AdaptiveHistory(config, self.horizons, lookback))
        self.gat = _graph_attention(config) if config.graph else None
        reads_features = config.graph and config.gat_reads_features
        self.gat_input = nn.Linear(n_features, width, bias=False) if reads_features else None
        self.fusion = ResidualFusion(
            width, graph=config.graph, init_scale=config.gat_init_scale, bypass=config.fusion == "bypass"
        )
        self.heads = HorizonHeads(
            width, self.horizons, config.quantiles, dropout=dropout, small_init=config.output_head_small_init
        )
        self.direct = (
            DirectPath(n_features, len(self.horizons), rank=config.direct_rank, graph=config.graph)
            if config.direct
            else None
        )
        self._check_parameter_count()

    def forward(
        self,
        x: Tensor,
        own_return: Tensor,
        edge_index: Tensor | None,
        edge_attr: Tensor | None,
        phase_switches: PhaseSwitches,
        target: Tensor | None = None,
    ) -> NetworkOutput:
        """Predict every stock of the stacked days.

        x: [B, L, F] normalised features, newest day last. own_return: [B, L] simple daily returns known on each day.
        edge_index: int64 [2, E] positions in B, source -> target, no self loops; edge_attr: [E, 4]; both may be
        None while the graph is off. target: [B, H] scaled labels, NaN where missing, read by the auxiliary losses
        only: predictions are the same bits with and without it.
        """
        self._check_inputs(x, own_return, phase_switches)
        newest = x[:, -1]
        encode = partial(self._encode, adaptive_norm=phase_switches.adaptive_norm)
        again = self.activation_checkpointing and torch.is_grad_enabled()
        encoded = computed_again(encode, x, own_return) if again else encode(x, own_return)
        graph_state = self._graph_state(encoded.state, newest, edge_index, edge_attr, phase_switches)
        point, quantiles = self.heads(self.fusion(encoded.state, graph_state))
        if self.direct is not None:
            edges = (edge_index, edge_attr) if phase_switches.graph else (None, None)
            point = point + self.direct(newest, *edges)
        history = encoded.history
        auxiliary: dict[str, Tensor] = {}
        if history is not None:
            point, quantiles = history.denormalise(point), history.denormalise(quantiles)
            if target is not None:
                auxiliary[self.config.adaptive_norm] = forecast_loss(history.shift, target)
        return NetworkOutput(point, quantiles, encoded.selection, auxiliary)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by part: 'vsn' or 'projection', 'temporal', 'fan' or 'san', 'gat', ...; empty parts are left out.

        Every parameter belongs to exactly one part.
        """
        groups = {name: list(part.parameters()) for name, part in self.named_children()}
        return {name: parameters for name, parameters in groups.items() if parameters}

    def layer_depths(self) -> list[tuple[str, list[nn.Parameter]]]:
        """Ordered blocks, input side first, for layer-wise learning-rate decay; each parameter in exactly one."""
        entry = "vsn" if self.config.variable_selection else "projection"
        blocks: list[tuple[str, list[nn.Parameter]]] = [(entry, list(self.get_submodule(entry).parameters()))]
        if self.config.adaptive_norm != "none":
            blocks.append((self.config.adaptive_norm, list(self._adaptive().parameters())))
        blocks.extend((f"temporal.{name}", parameters) for name, parameters in self.temporal.blocks())
        if self.gat_input is not None:
            blocks.append(("gat_input", list(self.gat_input.parameters())))
        if self.gat is not None:
            last = len(self.gat.layers) - 1
            for depth, block in enumerate(self.gat.layers):
                tail = [*self.gat.output.parameters(), *self.gat.norm.parameters()] if depth == last else []
                blocks.append((f"gat.{depth}", [*block.parameters(), *tail]))
        blocks.append(("fusion", list(self.fusion.parameters())))
        blocks.append(("heads", list(self.heads.parameters())))
        if self.direct is not None:
            blocks.append(("direct", list(self.direct.parameters())))
        return blocks

    def sparse_parameters(self) -> list[Tensor]:
        """Weights of which most should be zero: a leader's features, few of which its followers follow."""
        return [] if self.direct is None or self.direct.neighbours is None else self.direct.neighbours.coefficients()

    def parameter_count(self) -> int:
        """Number of trainable scalars."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def _adaptive(self) -> "AdaptiveHistory":
        part = self.get_submodule(self.config.adaptive_norm)
        assert isinstance(part, AdaptiveHistory)
        return part

    def _encode(self, x: Tensor, own_return: Tensor, *, adaptive_norm: bool) -> Encoded:
        """What the network makes of each window on its own; arguments as in ``forward``."""
        history: OwnHistory | None = None
        main: Tensor | None = None
        own_input: Tensor | None = None
        if adaptive_norm:
            adaptive = self._adaptive()
            x, main = adaptive.features(x)
            history, own_input = adaptive(own_return)
        selection: Tensor | None = None
        steps: Tensor | Affine
        if self.config.variable_selection:
            steps, weights = self.vsn(x, main)
            selection = weights[:, -1].contiguous()  # a view would hold the weights of all days
        else:
            steps = self.projection(x, main)
        if own_input is not None:
            steps = (steps.steps().transpose(0, 1) if isinstance(steps, Affine) else steps) + own_input
        return Encoded(self.temporal(steps), selection, history)

    def _graph_state(
        self,
        state: Tensor,
        newest: Tensor,
        edge_index: Tensor | None,
        edge_attr: Tensor | None,
        phase_switches: PhaseSwitches,
    ) -> Tensor | None:
        if not phase_switches.graph or self.gat is None:
            return None
        if edge_index is None or edge_attr is None:
            raise ValueError("The graph is on but no edges were given; an empty graph is edge_index [2, 0].")
        nodes = state if self.gat_input is None else state + self.gat_input(newest)
        out: Tensor = self.gat(nodes, edge_index, edge_attr)
        return out

    def _check_inputs(self, x: Tensor, own_return: Tensor, phase_switches: PhaseSwitches) -> None:
        if x.dim() != 3 or x.shape[1:] != (self.lookback, self.n_features):
            raise ValueError(f"x must be [B, {self.lookback}, {self.n_features}], not {list(x.shape)}.")
        if own_return.shape != x.shape[:2]:
            raise ValueError(f"own_return must be {list(x.shape[:2])}, not {list(own_return.shape)}.")
        if phase_switches.adaptive_norm and self.config.adaptive_norm == "none":
            raise ValueError("The adaptive normalisation is switched on, but network.adaptive_norm is 'none'.")
        if phase_switches.graph and not self.config.graph:
            raise ValueError("The graph is switched on, but network.graph is false.")

    def _check_parameter_count(self) -> None:
        expected, found = self.config.expected_parameters, self.parameter_count()
        if expected is not None and expected != found:
            raise ValueError(
                f"The network has {found:,} parameters; network.expected_parameters says {expected:,}. "
                "Features, lookback or sizes differ from what the configuration was written for."
            )


class AdaptiveHistory(nn.Module):
    """FAN or SAN over features and own history, and the input map of the own history's residual."""

    def __init__(self, config: NetworkConfig, horizons: Sequence[int], lookback: int) -> None:
        super().__init__()
        self.config = config
        self.norm: FrequencyAdaptiveNormalization | SliceAdaptiveNormalization
        if config.adaptive_norm == "fan":
            self.norm = FrequencyAdaptiveNormalization(
                lookback, horizons, config.fan_top_k, small_init=config.output_head_small_init
            )
        else:
            self.norm = SliceAdaptiveNormalization(
                lookback, horizons, config.san_slice, small_init=config.output_head_small_init
            )
        # Starts at zero: bringing the part in during a later phase leaves the trained input as it was.
        self.own_input = nn.Parameter(torch.zeros(config.hidden))

    def features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x: [B, L, F] -> (residual + main, main), or (residual, None) where the main channel is configured away."""
        if self.training and self.config.freq_dropout_p > 0.0:
            x = drop_frequencies(x, self.config.freq_dropout_p)
        if self.config.adaptive_main_channel:
            return self.norm.sum_and_main(x)
        return self.norm.split_features(x)[0], None

    def forward(self, own_return: Tensor) -> tuple[OwnHistory, Tensor]:
        """own_return: [B, L] simple returns -> (normalised history, its input to the encoder [B, L, hidden])."""
        clip = self.config.own_return_clip
        history: OwnHistory = self.norm((own_return / self.config.own_return_scale).clamp(-clip, clip))
        return history, history.residual.unsqueeze(-1) * self.own_input


def _graph_attention(config: NetworkConfig) -> GraphAttention:
    return GraphAttention(
        config.hidden,
        hidden=config.gat_hidden,
        heads=config.gat_heads,
        layers=config.gat_layers,
        temperature=config.gat_temperature,
        signed=config.gat_signed,
        attention_dropout=config.gat_dropout,
        edge_dropout=config.edge_dropout,
        clip=config.gat_output_clip,
    )


def _check_sizes(config: NetworkConfig, n_features: int, horizons: Sequence[int], lookback: int) -> None:
    if n_features < 1:
        raise ValueError(f"The network needs at least one feature, not {n_features}.")
    if not horizons or len(set(horizons)) != len(horizons) or min(horizons) < 1:
        raise ValueError(f"Horizons must be distinct positive days, not {tuple(horizons)}.")
    if lookback < 3:
        raise ValueError(f"The network needs a lookback of at least 3 days, not {lookback}.")
    config.require_window(lookback)
