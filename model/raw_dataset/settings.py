"""Settings of the quality gate, of the data checks and of the universe."""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime, Field, field_validator

from model.raw_dataset.check_names import DATA_CHECKS
from model.settings.base import Section

CheckMode = Literal["block", "warn", "off"]


class QualitySettings(Section):
    """The gate that raw rows pass, and the checks of the data."""

    unhashed: ClassVar[frozenset[str]] = frozenset({"checks", "outlier_mads", "stale_days", "max_panel_null_share"})

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
    index: str = Field(default="TOPIX", min_length=1)
    """The market index, by its code in the source; sources without indices do without."""
    as_of: AwareDatetime | None = None
    """Only what was known at this moment (with its time zone) takes part: the data set as it was then."""
    checks: dict[str, CheckMode] = Field(default_factory=dict)
    """What a data check does when it does not pass, by its name: ``block`` refuses the artefact, ``warn`` reports it,
    ``off`` leaves the check out. A check that is not named here does what it declares."""
    outlier_mads: float = Field(default=20.0, ge=3.0)
    """A return is an outlier if it lies this many robust standard deviations (1.4826 MAD) off the day's median."""
    stale_days: int = Field(default=10, ge=2)
    """A close repeated on this many days in a row is stale; as many days without trading are a quiet streak."""
    max_panel_null_share: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share of nulls in a column of the panel above which the null-rate check does not pass."""

    @field_validator("checks", mode="before")
    @classmethod
    def _known_checks(cls, checks: Any) -> Any:
        if not isinstance(checks, Mapping):
            return checks
        unknown = [str(name) for name in checks if name not in DATA_CHECKS]
        if unknown:
            near = difflib.get_close_matches(unknown[0], DATA_CHECKS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"those are {', '.join(DATA_CHECKS)}"
            raise ValueError(f"there is no data check named {' or '.join(unknown)} ({hint})")
        # YAML reads a bare off as false.
        return {name: "off" if mode is False else mode for name, mode in checks.items()}


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
