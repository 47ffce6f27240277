"""Settings of the quality gate and of the universe."""

from typing import Literal

from pydantic import Field

from model.settings.base import Section


class QualitySettings(Section):
    """The gate that raw rows pass."""

    max_quarantined_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """Largest share of rows with a defect (rows without trading do not count) before the data are refused."""
    max_bad_close_share: float = Field(default=0.005, ge=0.0, le=1.0)
    """Largest share of rows whose close is zero or negative before the data are refused."""
    max_daily_return: float = Field(default=1.0, gt=0.0)
    """A one-day return larger than this in absolute value is flagged as suspicious (1.0 is 100 %)."""
    range_tolerance: float = Field(default=1e-6, ge=0.0, le=0.01)
    """How far, relative to the price, a close or open may lie outside low and high before it counts as a defect."""
    min_names: int = Field(default=20, ge=1)
    """Fewest names with a close that the median day must have: a cross-section needs them."""
    min_days: int = Field(default=60, ge=1)
    """Fewest trading days that the data must have."""


class UniverseSettings(Section):
    """The names that may be predicted and traded, chosen with what was known the day before."""

    size: int | None = Field(default=None, ge=1)
    """How many of the most traded names are members; left out, every name with a close is."""
    lookback_days: int = Field(default=60, ge=5, le=1000)
    """Trading days over which the median traded value is taken, up to the day before the choice takes effect."""
    rebalance: Literal["yearly", "quarterly", "monthly"] = "yearly"
    """How often members are chosen again: on the first trading day of each year, quarter or month."""
    min_price: float = Field(default=0.0, ge=0.0)
    """Names whose last close (as traded) is lower are left out."""
