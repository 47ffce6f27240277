"""How the network is trained: plain dataclasses, so that the trainer needs no settings library.

The defaults follow the recipe the system was designed with: a baseline phase, then the adaptive normalisation, then
the graph, then fine-tuning with a low rate and a tight clip; the cross-sectional losses weigh rank-IC 0.5, IC 0.3
and Sharpe 0.1. Every bound is checked when an object is made.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

_PYDANTIC: dict[str, Any] = {"extra": "forbid", "use_attribute_docstrings": True}


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

    def __post_init__(self) -> None:
        _require(bool(self.name), "a phase needs a name")
        _require(self.epochs >= 0, f"phase {self.name}: epochs must be 0 or more, got {self.epochs}")
        _require(self.lr > 0, f"phase {self.name}: lr must be positive, got {self.lr}")
        _require(self.patience >= 1, f"phase {self.name}: patience must be 1 or more, got {self.patience}")
        _require(self.clip > 0, f"phase {self.name}: clip must be positive, got {self.clip}")
        _require(
            self.warmup_epochs >= 0, f"phase {self.name}: warmup_epochs must be 0 or more, got {self.warmup_epochs}"
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

    def __post_init__(self) -> None:
        weights = (self.rank_ic, self.cs_ic, self.sharpe, self.pointwise, self.pinball, self.direction, self.auxiliary)
        _require(min(weights) >= 0, f"loss weights must be 0 or more, got {weights}")
        _require(max(weights[:-1]) > 0, "at least one loss weight must be positive")
        _require(self.huber_delta > 0, f"huber_delta must be positive, got {self.huber_delta}")
        _require(self.rank_temperature > 0, f"rank_temperature must be positive, got {self.rank_temperature}")
        _require(self.min_names >= 2, f"min_names must be 2 or more, got {self.min_names}")


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """Limits beyond which a training counts as broken. A guard stops or flags; it never touches a weight."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _PYDANTIC

    min_prediction_std: float = 1e-3
    """Smallest standard deviation of the validation predictions, as a share of the target's, on every horizon."""
    min_gat_gradient: float = 1e-6
    """Smallest gradient norm of the graph attention while the graph is on."""
    degenerate: Literal["stop", "flag"] = "stop"
    """What happens when a phase ends with predictions below the limit: stop the training, or flag it and go on."""

    def __post_init__(self) -> None:
        _require(self.min_prediction_std >= 0, "min_prediction_std must be 0 or more")
        _require(self.min_gat_gradient >= 0, "min_gat_gradient must be 0 or more")


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
    layerwise_decay: float = 1.0
    """Factor on the rate from each part of the network to the part below it; 1 gives all parts one rate."""
    ema_decay: float | None = None
    """Decay of an exponential moving average of the weights, which then is evaluated and kept; null for none."""
    keep: Literal["last_phase", "best_epoch"] = "last_phase"
    """Which weights are kept: the best of the last phase, or of all phases (with that phase's switches)."""
    precision: Literal["32", "bf16-mixed"] = "32"
    """Arithmetic of the forward and backward passes."""
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

    def __post_init__(self) -> None:
        _require(any(phase.epochs for phase in self.phases), "at least one phase needs an epoch")
        names = [phase.name for phase in self.phases]
        _require(len(set(names)) == len(names), f"phase names must differ, got {names}")
        for name in ("days_per_batch", "accumulate", "devices", "threads", "validation_min_names"):
            _require(getattr(self, name) >= 1, f"{name} must be 1 or more, got {getattr(self, name)}")
        _require(
            self.days_per_epoch is None or self.days_per_epoch >= 1,
            f"days_per_epoch must be 1 or more, got {self.days_per_epoch}",
        )
        _require(self.weight_decay >= 0, f"weight_decay must be 0 or more, got {self.weight_decay}")
        _require(0 < self.layerwise_decay <= 1, f"layerwise_decay must be in (0, 1], got {self.layerwise_decay}")
        _require(self.ema_decay is None or 0 < self.ema_decay < 1, f"ema_decay must be in (0, 1), got {self.ema_decay}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
