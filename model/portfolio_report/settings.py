"""Settings of the report and of the portfolio it simulates."""

from typing import Literal

from pydantic import Field

from model.settings.base import Section


class PortfolioSettings(Section):
    """The report and the long-short portfolio it simulates."""

    quantile: float = Field(default=0.2, gt=0.0, le=0.5)
    """Share of the day's universe held long (best predictions) and the same share held short (worst)."""
    weighting: Literal["equal", "inverse_volatility"] = "equal"
    """Weights inside a leg: equal, or inverse to the volatility of the last 20 daily returns known by then."""
    rebalance: Literal["overlapping", "every_h_days"] = "overlapping"
    """Replace 1/h of the book every day, or the whole book every h days (h: the horizon in trading days)."""
    cost_bps_per_side: float = Field(default=5.0, ge=0.0, le=1000.0)
    """Cost of each side traded, in basis points of its value; a full flip of both legs trades four sides."""
    headline_horizon: int = Field(default=5, ge=1)
    """Horizon in trading days that the headline speaks of; one of labels.horizons."""
    min_names: int = Field(default=20, ge=2)
    """Fewest stocks with which a day has figures and a portfolio."""
    periods_per_year: int = Field(default=252, ge=1)
    """Trading days of a year, for annualised figures."""
    bootstrap_draws: int = Field(default=1000, ge=100)
    """Resamples behind each interval (stationary bootstrap over days)."""
    bootstrap_block_days: int = Field(default=10, ge=1)
    """Mean length of a resampled block in trading days; at least twice the horizon is used."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Share of the resamples (and of the random scores) inside an interval."""
    random_draws: int = Field(default=100, ge=20)
    """Random rankings behind the band that shows what luck alone gives."""
    trials: int = Field(default=20, ge=1)
    """Models and settings tried before this one was chosen; the deflated Sharpe ratio is corrected for them."""
    reported_target_sharpe: float | None = None
    """A Sharpe ratio from elsewhere to show beside ours, marked as not comparable; left out, none is shown."""
    caveat: str = ""
    """What a reader must know about the data (a simulated market, survivorship); shown above the figures."""
