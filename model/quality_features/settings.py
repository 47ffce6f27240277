"""Settings of the feature catalogue."""

import keyword
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, field_validator, model_validator

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
    "flow",
    "margin",
    "short",
    "statements",
]
GROUP_NAMES: tuple[GroupName, ...] = get_args(GroupName)
SLOW_GROUPS: tuple[GroupName, ...] = ("flow", "margin", "short", "statements")
"""Groups that read slow data, which only some sources have."""
BAR_GROUPS: tuple[GroupName, ...] = tuple(name for name in GROUP_NAMES if name not in SLOW_GROUPS)
"""Groups that daily bars are enough for."""


class CustomFeature(Section):
    """A feature of one's own, declared in a preset."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=60)
    """Name of its column."""
    formula: str = Field(min_length=1)
    """What it is, in the feature language; may name features of the catalogue and those before it in the list."""
    group: str = Field(default="custom", pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=40)
    """Group under which it is shown."""
    nulls: Literal["share", "any"] = "share"
    """What a window needs: ``minimum_share`` of its days, or any one value."""
    description: str = ""
    """A sentence for people."""

    @field_validator("name")
    @classmethod
    def _nameable(cls, name: str) -> str:
        if keyword.iskeyword(name):
            raise ValueError(f"{name!r} is a word of Python and cannot be used in a formula; choose another name")
        return name


class FeatureSettings(Section):
    """Which features are computed, and from how much data each must have been."""

    unhashed: ClassVar[frozenset[str]] = frozenset({"months_per_block", "maximum_null_share", "checked_dates"})

    set: Literal["catalogue", "alpha158", "both"] = "catalogue"
    """The built-in catalogue, Qlib's Alpha158 (with three returns that the graph and the baselines read), or both."""
    groups: tuple[GroupName, ...] = BAR_GROUPS
    """Groups of the catalogue to compute; flow, margin, short and statements need a source that has these data."""
    custom: tuple[CustomFeature, ...] = ()
    """Features of one's own, in the feature language; always computed."""
    modules: tuple[str, ...] = ()
    """Python modules of one's own (dotted names) whose FEATURES, a tuple of declarations, are computed as well."""
    market_index: str | None = Field(default=None, min_length=1)
    """Index that stands for the market, such as TOPIX; without one it is the equal-weight mean over the universe."""
    minimum_share: float = Field(default=0.8, gt=0.0, le=1.0)
    """Share of a window's trading days (of its weights, in ema and wilder) that must hold a value; else it is null."""
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
        if not groups or len(frozenset(groups)) != len(groups):
            raise ValueError("features.groups must name at least one group, each once")
        return tuple(name for name in GROUP_NAMES if name in groups)

    @model_validator(mode="after")
    def _own_features_can_be_read(self) -> "FeatureSettings":
        if self.custom or self.modules:
            # Only now: the catalogue imports this module, and most presets have no features of their own.
            from model.quality_features.selection import select

            select(self)
        return self

    def hashed(self) -> dict[str, Any]:
        """The section as plain JSON values; modules of one's own count by what they declare, not by their text."""
        plain = super().hashed()
        if self.modules:
            from model.quality_features.selection import from_modules

            plain["modules"] = [
                [each.name, each.group, each.formula, each.nulls] for each in from_modules(self.modules)
            ]
        return plain
