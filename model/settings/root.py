"""All settings of one installation, one section a room."""

from typing import Any

from pydantic import Field, model_validator

from model.atft_tensors.settings import TensorSettings
from model.baseline.settings import BaselineSettings
from model.correlation_graph.settings import GraphSettings
from model.daily_quotes.settings import CalendarSettings, SimulatedSource, SourceSettings
from model.errors import TrainingError
from model.labels.settings import LabelSettings
from model.normalization_stats.settings import NormalizationSettings
from model.portfolio_report.settings import PortfolioSettings
from model.quality_features.atft13 import ATFT13
from model.quality_features.settings import FeatureSettings
from model.raw_dataset.settings import QualitySettings, UniverseSettings
from model.settings.base import Section
from model.settings.sections import RuntimeSettings, TrackingSettings
from model.store.hashing import json_hash
from model.trained_model.config import TrainingConfig
from model.trained_model.frozen import frozen_parts
from model.trained_model.network.config import NetworkConfig
from model.validation_predictions.settings import PredictionSettings
from model.walk_forward_folds.settings import FoldSettings


class Settings(Section):
    """The whole configuration: what a preset file holds."""

    seed: int = Field(default=7, ge=0)
    """Seed of everything random after the source: baselines, training, bootstrap."""
    source: SourceSettings = Field(default_factory=SimulatedSource)
    """Where the daily bars come from."""
    calendar: CalendarSettings = Field(default_factory=CalendarSettings)
    """The exchange's trading days and hours."""
    quality: QualitySettings = Field(default_factory=QualitySettings)
    """The gate that raw rows pass."""
    universe: UniverseSettings = Field(default_factory=UniverseSettings)
    """The names that may be predicted and traded, point in time."""
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    """The feature catalogue."""
    labels: LabelSettings = Field(default_factory=LabelSettings)
    """Forward returns to predict."""
    folds: FoldSettings = Field(default_factory=FoldSettings)
    """Walk-forward folds."""
    normalization: NormalizationSettings = Field(default_factory=NormalizationSettings)
    """Cross-sectional statistics and clipping."""
    baseline: BaselineSettings = Field(default_factory=BaselineSettings)
    """LightGBM and ridge."""
    graph: GraphSettings = Field(default_factory=GraphSettings)
    """The correlation graph."""
    tensors: TensorSettings = Field(default_factory=TensorSettings)
    """What the network reads."""
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    """The ATFT-GAT-FAN network."""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """Losses, phases and guards."""
    predictions: PredictionSettings = Field(default_factory=PredictionSettings)
    """What is done with the network's output."""
    portfolio: PortfolioSettings = Field(default_factory=PortfolioSettings)
    """The report and the portfolio it simulates."""
    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings)
    """How the machine is used."""
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)
    """Where experiments are recorded."""

    @model_validator(mode="after")
    def _sections_agree(self) -> "Settings":
        if self.folds.lookback_days < self.tensors.lookback:
            raise ValueError(
                f"tensors.lookback is {self.tensors.lookback} days and folds.lookback_days only "
                f"{self.folds.lookback_days}: a fold must reach back at least as far as the network looks"
            )
        if self.features.market_index not in (None, self.quality.index):
            raise ValueError(
                f"features.market_index is {self.features.market_index} and quality.index {self.quality.index}: the "
                "market is the index that raw_dataset keeps. Name the same index in both, or leave "
                "features.market_index out for the equal-weight market"
            )
        if self.portfolio.headline_horizon not in self.labels.horizons:
            raise ValueError(
                f"portfolio.headline_horizon is {self.portfolio.headline_horizon}, which is none of labels.horizons "
                f"({', '.join(map(str, self.labels.horizons))})"
            )
        for loss in (self.training.loss, *(self.training.loss.of_phase(p.loss) for p in self.training.phases)):
            loss.weights_of(self.labels.horizons)  # refuses horizons that are not predicted
        self._require_no_idle_switch()
        self._require_features_of_the_network()
        self.network.require_window(self.tensors.lookback)
        self._require_parts()
        return self

    def _require_parts(self) -> None:
        """Phases train and freeze parts that the network has, and something learns in each."""
        try:
            for phase in self.training.phases:
                frozen_parts(phase, self.network)
        except TrainingError as error:
            raise ValueError(f"training.phases: {error}") from error

    def _require_no_idle_switch(self) -> None:
        if self.training.leaders_l1 and not self.network.direct:
            raise ValueError(
                f"training.leaders_l1 is {self.training.leaders_l1} and thins out coefficients of the direct path, "
                "which network.direct: false leaves out. Set training.leaders_l1 to 0"
            )
        if self.network.freq_dropout_p and not any(each.epochs and each.adaptive_norm for each in self.training.phases):
            raise ValueError(
                f"network.freq_dropout_p is {self.network.freq_dropout_p} and acts before the adaptive normalisation, "
                "which no phase of training.phases switches on. Set adaptive_norm: true in one, or freq_dropout_p to 0"
            )

    def _require_features_of_the_network(self) -> None:
        """That ``tensors.features`` are computed; otherwise this would be known minutes later, from the tensors."""
        asked = self.tensors.features
        if asked == "all":
            return
        # Only now: the catalogue imports settings of its own room.
        from model.quality_features.selection import missing

        unknown, remedies = missing(ATFT13 if isinstance(asked, str) else asked, self.features)
        if unknown:
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise ValueError(
                f"tensors.features names {', '.join(unknown[:3])}{more}, which the feature settings leave out: "
                f"{'; '.join(remedies)}; or set tensors.features to all or to others"
            )

    def hash_of(self, *sections: str) -> str:
        """Hash of the named sections, or single keys (``portfolio.min_names``), less the keys that change no result."""
        return json_hash({name: self._hashed(name) for name in sections})

    def _hashed(self, name: str) -> Any:
        name, _, key = name.partition(".")
        section = getattr(self, name)
        if key:
            return section.model_dump(mode="json", include={key})[key]
        if isinstance(section, Section):
            return section.hashed()
        plain = self.model_dump(mode="json", include={name})[name]
        unhashed: frozenset[str] = getattr(section, "UNHASHED", frozenset())
        return {k: v for k, v in plain.items() if k not in unhashed} if isinstance(plain, dict) else plain
