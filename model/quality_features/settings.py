"""Settings of the feature catalogue."""

from typing import ClassVar, Literal, get_args

from pydantic import Field, field_validator

from model.settings.base import Section

GroupName = Literal[
    "returns",
    "volatility",
    "trend",
    "range_volume",
    "technical",
    "low_frequency",
    "market",
    "relative",
    "sector",
    "quality",
]
GROUP_NAMES: tuple[GroupName, ...] = get_args(GroupName)


class FeatureSettings(Section):
    """Which features are computed, and from how much data each must have been."""

    unhashed: ClassVar[frozenset[str]] = frozenset({"months_per_block", "maximum_null_share", "checked_dates"})

    groups: tuple[GroupName, ...] = GROUP_NAMES
    """Groups of the catalogue to compute; the order of the columns is the catalogue's."""
    minimum_share: float = Field(default=0.8, gt=0.0, le=1.0)
    """Share of a window's trading days that must hold a value; with fewer the feature is null."""
    minimum_sector_names: int = Field(default=3, ge=1)
    """Universe members that a sector must have on a day; with fewer its features are null that day."""
    high_volatility_quantile: float = Field(default=0.8, gt=0.5, lt=1.0)
    """Quantile of 20-day volatility from which a name counts as highly volatile."""
    low_volatility_quantile: float = Field(default=0.2, gt=0.0, lt=0.5)
    """Quantile of 20-day volatility up to which a name counts as calm."""
    months_per_block: int = Field(default=12, ge=1)
    """Months computed at a time: bounds the memory, never changes a value."""
    maximum_null_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of nulls among universe members, after the warm-up, above which the null-rate check warns."""
    checked_dates: int = Field(default=3, ge=1, le=50)
    """Dates on which the look-ahead check recomputes every feature from data cut at that date."""

    @field_validator("groups")
    @classmethod
    def _known_once(cls, groups: tuple[GroupName, ...]) -> tuple[GroupName, ...]:
        if not groups or len(set(groups)) != len(groups):
            raise ValueError("features.groups must name at least one group, each once")
        return tuple(name for name in GROUP_NAMES if name in groups)
