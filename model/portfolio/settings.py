"""Settings of a simulated book: what it holds, how its orders are filled, what trading costs."""

from typing import Literal

from pydantic import Field, model_validator

from model.settings.base import Section


class CostSettings(Section):
    """What trading costs; each rate is per side traded, in basis points of the value traded."""

    commission_bps: float | None = Field(default=None, ge=0.0, le=1000.0)
    """Commission; left out, it is portfolio.cost_bps_per_side."""
    half_spread_bps: float = Field(default=0.0, ge=0.0, le=1000.0)
    """Half of the spread between bid and ask."""
    impact_coefficient: float = Field(default=0.0, ge=0.0, le=100.0)
    """k of the square-root law: an order moves the price by k x daily volatility x sqrt(participation), where
    participation is its value over the median traded value of the last 20 days. Estimates in the literature are near 1.
    Needs portfolio.execution.capital."""
    borrow_bps_per_year: float = Field(default=0.0, ge=0.0, le=100_000.0)
    """Stock loan fee on the value held short, a year."""


class ExecutionSettings(Section):
    """How orders are filled. The entry price is the labels' (labels.entry)."""

    capital: float | None = Field(default=None, gt=0.0)
    """Capital in currency units: it decides lots, volume caps and impact. Left out, the book has no size."""
    lot_size: int | None = Field(default=None, ge=1)
    """Shares in a trading unit (100 in Japan); entries are rounded towards zero. Left out, shares are divisible."""
    max_participation: float | None = Field(default=None, gt=0.0, le=1.0)
    """Largest order in a stock, as a share of its median traded value of the last 20 days. Left out, no cap."""
    exits: Literal["always", "constrained"] = "always"
    """Whether a sale or cover always fills, or is bound like an entry by suspension, price limits and the volume cap;
    what cannot be left is then held, and tried again every day."""
    exit_price: Literal["label", "entry"] = "label"
    """Price of an exit where labels.entry is next_open: the close of day t + h as in the labels, or the next open, at
    which the entries are filled with it. With close_to_close they are the same, and it has no effect."""
    suspended: Literal["flat", "gap"] = "flat"
    """A stock without price earns 0 while it is held; `gap`: and the whole move since its last price on the day it
    trades again, `flat`: that move is lost (as a missing return). While the whole exchange stands still nothing is
    traded, whatever `exits` says."""

    @model_validator(mode="after")
    def _size_is_known(self) -> "ExecutionSettings":
        if self.capital is None:
            for name in ("lot_size", "max_participation"):
                if getattr(self, name) is not None:
                    raise ValueError(f"portfolio.execution.{name} needs portfolio.execution.capital (currency units)")
        return self


class OptimiserSettings(Section):
    """The optimised book: largest expected return after risk and costs (extra `optimiser`: cvxpy)."""

    information_coefficient: float = Field(default=0.03, gt=0.0, le=1.0)
    """Expected correlation of score and return: the forecast of a stock is this x its volatility over the horizon x its
    normal score (Grinold 1994)."""
    risk_aversion: float = Field(default=5.0, gt=0.0)
    """Weight of the variance over the horizon, halved, against the expected return."""
    risk_days: int = Field(default=120, ge=20)
    """Daily returns behind the covariance."""
    risk_factors: int = Field(default=5, ge=1, le=50)
    """Principal components of those returns; the rest of a stock's variance is its own."""
    neutral: Literal["money", "sector"] = "money"
    """Long equals short over all, or in every sector."""
    gross_exposure: float = Field(default=2.0, gt=0.0)
    """Most of |weight| in total."""
    max_weight: float = Field(default=0.05, gt=0.0, le=1.0)
    """Most of |weight| in one stock."""
    max_turnover: float = Field(default=0.5, gt=0.0)
    """Most of |traded weight| on one rebalance day."""
    candidates: int = Field(default=200, ge=4)
    """Stocks that may be entered: half from each end of the ranking. Those held take part as well."""


class PortfolioBookSettings(Section):
    """One book: which stocks, in which weights, for how long, and at what cost."""

    book: Literal["long_short", "long_only", "sector_neutral", "optimised"] = "long_short"
    """Best against worst; the best alone, against the universe in the same weighting; best against worst inside every
    sector; or weights by optimisation."""
    quantile: float = Field(default=0.2, gt=0.0, le=0.5)
    """Share of the day's universe held long (best predictions) and the same share held short (worst)."""
    top_k: int | None = Field(default=None, ge=1)
    """Stocks in a leg; left out, the quantile says how many."""
    weighting: Literal["equal", "inverse_volatility"] = "equal"
    """Weights inside a leg: equal, or inverse to the volatility of the last 20 daily returns known by then."""
    rebalance: Literal["overlapping", "every_h_days"] = "overlapping"
    """Replace 1/h of the book every day, or the whole book every h days (h: the horizon in trading days): on the first
    day with a usable ranking once the last position is h or more days old."""
    cost_bps_per_side: float = Field(default=5.0, ge=0.0, le=1000.0)
    """Cost of each side traded, in basis points of its value; a full flip of both legs trades four sides."""
    min_names: int = Field(default=20, ge=2)
    """Fewest stocks with which a day has figures and a portfolio."""
    periods_per_year: int = Field(default=252, ge=1)
    """Trading days of a year, for annualised figures."""
    costs: CostSettings = Field(default_factory=CostSettings)
    """What trading costs beside cost_bps_per_side."""
    execution: ExecutionSettings = Field(default_factory=ExecutionSettings)
    """How orders are filled."""
    optimiser: OptimiserSettings = Field(default_factory=OptimiserSettings)
    """The optimised book; read only where book is `optimised`."""

    @model_validator(mode="after")
    def _settings_agree(self) -> "PortfolioBookSettings":
        if self.costs.impact_coefficient > 0 and self.execution.capital is None:
            raise ValueError("portfolio.costs.impact_coefficient needs portfolio.execution.capital (currency units)")
        if self.top_k is not None and self.book in {"sector_neutral", "optimised"}:
            raise ValueError(f"portfolio.top_k has no meaning for the book {self.book}: leave it out")
        return self
