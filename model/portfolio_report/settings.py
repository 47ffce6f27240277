"""Settings of the report and of the portfolio it simulates."""

from pydantic import Field

from model.portfolio.settings import PortfolioBookSettings


class PortfolioSettings(PortfolioBookSettings):
    """The report and the portfolio it simulates."""

    headline_horizon: int = Field(default=5, ge=1)
    """Horizon in trading days that the headline speaks of; one of labels.horizons."""
    bootstrap_draws: int = Field(default=1000, ge=100)
    """Resamples behind each interval (stationary bootstrap over days)."""
    bootstrap_block_days: int = Field(default=10, ge=1)
    """Mean length of a resampled block in trading days; at least twice the horizon is used. Where the days make fewer
    than 6 blocks there is no interval and no verdict."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Share of the resamples (and of the random scores) inside an interval."""
    random_draws: int = Field(default=100, ge=20)
    """Random rankings behind the band that shows what luck alone gives."""
    trials: int = Field(default=1, ge=1)
    """Fewest models and settings tried before this one was chosen, for trials made elsewhere. The deflated Sharpe ratio
    is corrected for at least so many: those that the tracking store and the report's table count, or this if more."""
    reported_target_sharpe: float | None = None
    """A Sharpe ratio from elsewhere to show beside ours, marked as not comparable; left out, none is shown."""
    caveat: str = ""
    """What a reader must know about the data (a simulated market, survivorship); shown above the figures."""
