"""How the network is trained: plain dataclasses, so that the trainer needs no settings library.

The defaults follow the recipe the system was designed with: a baseline phase, then the adaptive normalisation, then
the graph, then fine-tuning with a low rate and a tight clip; the cross-sectional losses weigh rank-IC 0.5, IC 0.3
and Sharpe 0.1. Every bound is checked when an object is made.
"""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

_PYDANTIC: dict[str, Any] = {"extra": "forbid", "use_attribute_docstrings": True, "allow_inf_nan": False}


LOSSES = ("rank_ic", "cs_ic", "sharpe", "pointwise", "pinball", "direction", "auxiliary")
"""The parts of the loss; each is a weight of :class:`LossConfig`."""
POINT_LOSSES = ("rank_ic", "cs_ic", "sharpe", "pointwise", "direction")
"""Those of the point prediction."""


@dataclass(frozen=True, kw_only=True)
class PhaseLoss:
    """Loss weights of one phase; what is left out is as in ``training.loss``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _PYDANTIC

    rank_ic: float | None = None
    """Weight of the rank-IC loss in this phase."""
    cs_ic: float | None = None
    """Weight of the IC loss in this phase."""
    sharpe: float | None = None
    """Weight of the Sharpe loss in this phase."""
    pointwise: float | None = None
    """Weight of the squared or Huber error in this phase."""
    pinball: float | None = None
    """Weight of the quantile loss in this phase."""
    direction: float | None = None
    """Weight of the logistic loss of the sign in this phase."""
    auxiliary: float | None = None
    """Weight of the losses that parts report themselves in this phase."""
    horizon_weights: dict[int, float] | None = None
    """Weight of each horizon (trading days) in this phase."""


@dataclass(frozen=True, kw_only=True)
class PhaseConfig:
    """One phase of the training: how long, how fast, and which parts of the network are switched on."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _PYDANTIC

    name: str
    """Name in the history, the logs and the report."""
    epochs: int
    """Most epochs this phase may take; 0 leaves the phase out."""
    lr: float
    """Peak learning rate: reached after the linear warm-up, left along a cosine."""
    patience: int = 5
    """Epochs without a better validation RankIC after which the phase ends."""
    clip: float = 1.0
    """Largest norm of the whole gradient; a longer one is scaled down to it."""
    adaptive_norm: bool = True
    """Whether the adaptive normalisation (FAN, SAN) is active."""
    graph: bool = True
    """Whether the graph attention is active."""
    warmup_epochs: float = 0.5
    """Length of the linear warm-up, in epochs of this phase."""
    loss: PhaseLoss = field(default_factory=PhaseLoss)
    """Loss weights that differ in this phase."""
    train_only: tuple[str, ...] = ()
    """Parts of the network that learn in this phase, all others being frozen; empty for all."""
    freeze: tuple[str, ...] = ()
    """Parts of the network whose weights keep their bits here, of those it has: vsn (projection where
    variable_selection is off), temporal, fan or san, gat, gat_input, fusion, heads, direct."""

    def __post_init__(self) -> None:
        _require(bool(self.name), "a phase needs a name")
        _require_finite(self, f"phase {self.name}: ")
        _require(self.epochs >= 0, f"phase {self.name}: epochs must be 0 or more, got {self.epochs}")
        _require(self.lr > 0, f"phase {self.name}: lr must be positive, got {self.lr}")
        _require(self.patience >= 1, f"phase {self.name}: patience must be 1 or more, got {self.patience}")
        _require(self.clip > 0, f"phase {self.name}: clip must be positive, got {self.clip}")
        _require(
            self.warmup_epochs >= 0, f"phase {self.name}: warmup_epochs must be 0 or more, got {self.warmup_epochs}"
        )
        _require(
            not (self.train_only and self.freeze), f"phase {self.name}: give train_only or freeze, not both of them"
        )


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised: a weighted sum, each part a mean over days (or samples) and horizons."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _PYDANTIC

    rank_ic: float = 0.5
    """Weight of 1 - rank correlation within the day, with soft ranks."""
    cs_ic: float = 0.3
    """Weight of 1 - Pearson correlation within the day."""
    sharpe: float = 0.1
    """Weight of the (bounded) Sharpe ratio of the day's long-short weights, over the days of the batch."""
    pointwise: float = 0.2
    """Weight of the squared or Huber error of the point prediction."""
    pinball: float = 0.1
    """Weight of the quantile loss."""
    direction: float = 0.05
    """Weight of the logistic loss of the target's sign against its day's mean."""
    auxiliary: float = 0.1
    """Weight of the losses that the network's parts report themselves (FAN's stationary split)."""
    pointwise_kind: Literal["huber", "mse"] = "huber"
    """Form of the pointwise loss."""
    huber_delta: float = 1.0
    """Where the Huber loss turns linear, in standard deviations of the target."""
    rank_temperature: float = 0.1
    """Width of the soft rank's comparisons, in standard deviations of the day's predictions."""
    min_names: int = 5
    """Fewest labelled stocks with which a day enters a cross-sectional loss."""
    horizon_weights: dict[int, float] = field(default_factory=dict)
    """Weight of each horizon (trading days) in every part of the loss, such as {1: 2.0}; 1 where left out."""

    def __post_init__(self) -> None:
        _require_finite(self)
        weights = tuple(float(getattr(self, name)) for name in LOSSES)
        _require(min(weights) >= 0, f"loss weights must be 0 or more, got {weights}")
        _require(max(weights[:-1]) > 0, "at least one loss weight must be positive")
        _require(self.huber_delta > 0, f"huber_delta must be positive, got {self.huber_delta}")
        _require(self.rank_temperature > 0, f"rank_temperature must be positive, got {self.rank_temperature}")
        _require(self.min_names >= 2, f"min_names must be 2 or more, got {self.min_names}")
        _require(
            all(0 < weight < math.inf for weight in self.horizon_weights.values()),
            f"horizon_weights must be positive and finite, got {self.horizon_weights}: a horizon that is not to be "
            "learnt is left out of labels.horizons",
        )

    @property
    def ranks_stocks(self) -> bool:
        """Whether the point prediction is trained, by which stocks are ranked."""
        return any(getattr(self, name) for name in POINT_LOSSES)

    def of_phase(self, change: PhaseLoss) -> "LossConfig":
        """These losses with what a phase changes."""
        named = {item.name: getattr(change, item.name) for item in fields(change)}
        return replace(self, **{name: value for name, value in named.items() if value is not None})

    def weights_of(self, horizons: tuple[int, ...]) -> tuple[float, ...]:
        """Weight of each of the horizons, in their order.

        Raises:
            ValueError: a weight is given for a horizon that is not predicted.
        """
        unknown = sorted(set(self.horizon_weights) - set(horizons))
        _require(
            not unknown,
            f"horizon_weights names horizon {', '.join(map(str, unknown))}; the horizons predicted are "
            f"{', '.join(map(str, horizons))} (labels.horizons)",
        )
        return tuple(float(self.horizon_weights.get(horizon, 1.0)) for horizon in horizons)


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """Limits beyond which a training counts as broken. A guard stops or flags; it never touches a weight."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _PYDANTIC

    min_prediction_std: float = 1e-3
    """Smallest standard deviation of the validation predictions, as a share of the target's, on every horizon."""
    min_gat_gradient: float = 1e-6
    """Smallest gradient norm of the graph attention while the graph is on."""
    degenerate: Literal["stop", "flag"] = "stop"
    """What happens when a phase ends with predictions below the limit: stop the training, or flag it and go on. A phase
    without a validation rank IC in any epoch (constant predictions throughout) stops all the same."""
    max_std_ratio: float = 1.2
    """Largest std of the validation predictions, as a share of the target's, without a flag. The lower limit of older
    advice, 0.6, is none here: an honest prediction of a noisy return varies about IC times as much as the return."""
    dead_graph: Literal["stop", "flag"] = "flag"
    """What happens when the graph attention's gradient falls below its limit, or the gate's is zero."""
    max_gradient_norm: float = 1e4
    """Largest norm of the whole gradient, before clipping, in any step."""
    exploding: Literal["stop", "flag"] = "flag"
    """What happens when a gradient is longer than that: stop the training at once, or flag it and go on."""

    def __post_init__(self) -> None:
        _require_finite(self)
        _require(self.min_prediction_std >= 0, "min_prediction_std must be 0 or more")
        _require(self.min_gat_gradient >= 0, "min_gat_gradient must be 0 or more")
        _require(self.max_std_ratio > 0, f"max_std_ratio must be positive, got {self.max_std_ratio}")
        _require(self.max_gradient_norm > 0, f"max_gradient_norm must be positive, got {self.max_gradient_norm}")


def default_phases() -> tuple[PhaseConfig, ...]:
    """The four phases of the original recipe."""
    return (
        PhaseConfig(name="baseline", epochs=5, lr=5e-4, adaptive_norm=False, graph=False),
        PhaseConfig(name="adaptive_norm", epochs=10, lr=5e-4, adaptive_norm=True, graph=False),
        PhaseConfig(name="gat", epochs=8, lr=1e-4, adaptive_norm=True, graph=True),
        PhaseConfig(name="fine_tuning", epochs=6, lr=5e-5, clip=0.5, adaptive_norm=True, graph=True),
    )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The whole training of one fold."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _PYDANTIC

    phases: tuple[PhaseConfig, ...] = field(default_factory=default_phases)
    """The phases, in order; each starts from the best state of the one before."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Weights and forms of the losses."""
    guards: GuardConfig = field(default_factory=GuardConfig)
    """Limits beyond which the training stops or is flagged."""
    days_per_batch: int = 8
    """Whole days in one forward pass; a day's cross-section is never cut."""
    accumulate: int = 1
    """Forward passes whose gradients make one step of the optimiser."""
    days_per_epoch: int | None = None
    """Train days drawn anew for each epoch; null takes all of them."""
    weight_decay: float = 1e-2
    """Decoupled weight decay (AdamW)."""
    leaders_l1: float = 0.0
    """What a step takes off the coefficients of what leading neighbours did, in learning rates; 0 for nothing.

    Adam moves a weight by a learning rate times its mean gradient over the gradient's size, so this is the t-value of a
    single step below which a coefficient stays zero: of all features of a leader, those count that say something.
    """
    layerwise_decay: float = 1.0
    """Factor on the rate from each part of the network to the part below it; 1 gives all parts one rate."""
    ema_decay: float | None = None
    """Decay of an exponential moving average of the weights, which then is evaluated and kept; null for none."""
    keep: Literal["last_phase", "best_epoch"] = "last_phase"
    """Which weights are kept: the best of the last phase, or of all phases (with that phase's switches)."""
    precision: Literal["32", "bf16-mixed"] = "32"
    """Arithmetic of the forward and backward passes."""
    activation_checkpointing: bool = False
    """Whether the encoder's activations are computed again for the gradient, some windows at a time, and not kept."""
    compile: bool = False
    """Whether the network is compiled first (worth it on a GPU and for long trainings)."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes a GPU when there is one."""
    devices: int = 1
    """Processes, one device each; the days of a step are shared among them."""
    threads: int = 1
    """CPU threads of each process. The bits of a result depend on it, so it does not follow the machine."""
    auto_recover_oom: bool = True
    """On CUDA out of memory: halve the days of a forward pass and keep the step's days, at most twice."""
    validation_min_names: int = 20
    """Fewest labelled stocks with which a validation day has a rank IC."""
    ensemble: int = 1
    """Networks trained one after another from different seeds; their predictions are averaged."""
    keep_checkpoints: int = 3
    """Weights of the best epochs (by validation rank IC) that stay beside the checkpoint; 0 for none."""
    checkpoint_minutes: float = 5.0
    """Time after which an epoch that is still going on is checkpointed as well."""

    UNHASHED: ClassVar[frozenset[str]] = frozenset({"keep_checkpoints", "checkpoint_minutes"})
    """What cannot change a result."""

    def __post_init__(self) -> None:
        _require_finite(self)
        _require(any(phase.epochs for phase in self.phases), "at least one phase needs an epoch")
        names = [phase.name for phase in self.phases]
        _require(len(set(names)) == len(names), f"phase names must differ, got {names}")
        for name in ("days_per_batch", "accumulate", "devices", "threads", "validation_min_names", "ensemble"):
            _require(getattr(self, name) >= 1, f"{name} must be 1 or more, got {getattr(self, name)}")
        _require(
            self.days_per_epoch is None or self.days_per_epoch >= 1,
            f"days_per_epoch must be 1 or more, got {self.days_per_epoch}",
        )
        _require(self.weight_decay >= 0, f"weight_decay must be 0 or more, got {self.weight_decay}")
        _require(0 <= self.leaders_l1 < 1, f"leaders_l1 must be at least 0 and below 1, got {self.leaders_l1}")
        _require(0 < self.layerwise_decay <= 1, f"layerwise_decay must be in (0, 1], got {self.layerwise_decay}")
        _require(self.ema_decay is None or 0 < self.ema_decay < 1, f"ema_decay must be in (0, 1), got {self.ema_decay}")
        _require(self.keep_checkpoints >= 0, f"keep_checkpoints must be 0 or more, got {self.keep_checkpoints}")
        _require(self.checkpoint_minutes >= 0, f"checkpoint_minutes must be 0 or more, got {self.checkpoint_minutes}")
        losses = [self.loss.of_phase(phase.loss) for phase in self.phases]  # refuses weights that cannot be
        _require(
            # A phase that trains one part alone is a study: an adaptive normalisation learns from other losses too.
            any(p.epochs and (p.train_only or of.ranks_stocks) for p, of in zip(self.phases, losses, strict=True)),
            "no phase trains the point prediction, by which stocks are ranked (pinball trains the quantiles alone): in "
            f"loss or in a phase, give one of {', '.join(POINT_LOSSES)} a weight",
        )

    def hashed(self) -> dict[str, Any]:
        """All that can change a result, as plain values."""
        return {name: value for name, value in asdict(self).items() if name not in self.UNHASHED}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_finite(config: Any, where: str = "") -> None:
    """A bound such as ``value >= 0`` lets infinity pass, and comparisons with what is not a number say nothing."""
    for item in fields(config):
        value = getattr(config, item.name)
        _require(
            not isinstance(value, float) or math.isfinite(value), f"{where}{item.name} must be finite, got {value}"
        )
