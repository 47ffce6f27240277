"""Settings of the normalisation."""

from typing import Literal

from pydantic import Field, field_validator

from model.settings.base import Section


class NormalizationSettings(Section):
    """How features are put on one scale; the same for baseline and network."""

    method: Literal["zscore", "robust"] = "zscore"
    """Centre and scale of a day's cross-section: mean and standard deviation, or median and 1.4826 × MAD (the standard
    deviation where most values are equal, as those of flags are)."""
    clip_quantiles: tuple[float, float] = (0.005, 0.995)
    """Quantiles of the z-scores of the train dates at which z-scores are clipped."""
    hard_cap: float = Field(default=5.0, gt=0.0)
    """Largest absolute z-score whatever the quantiles say."""
    minimum_names: int = Field(default=20, ge=2)
    """Universe members with a value that a day needs; with fewer the feature counts as missing on that day."""

    @field_validator("clip_quantiles")
    @classmethod
    def _ordered(cls, quantiles: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= quantiles[0] < quantiles[1] <= 1.0:
            raise ValueError("normalization.clip_quantiles must be two quantiles in increasing order")
        return quantiles
