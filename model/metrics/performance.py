"""Figures of a portfolio's daily returns.

Returns are simple daily returns on a constant capital of 1 (profits are neither reinvested nor withdrawn), so wealth
is ``1 + cumulative sum``, a yearly return is the daily mean times the trading days of a year, and a drawdown is a
share of the capital. Sharpe ratios are annualised unless their name says ``per_day``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from model.metrics.summary import known

TRADING_DAYS = 252
EULER_MASCHERONI = 0.5772156649015329


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall of wealth below an earlier peak."""

    depth: float
    """Negative, as a share of capital; 0 where wealth never fell."""
    peak: int
    """Position of the day at whose end wealth was highest before the fall; -1 is the start, before any return."""
    trough: int
    """Position of the day at whose end wealth was lowest."""
    recovered: int | None
    """Position of the first day back at the peak; None where it was not reached again."""


def annual_return(returns: ArrayLike, periods: int = TRADING_DAYS) -> float | None:
    """Mean daily return times ``periods``; None without days."""
    series = known(returns)
    return float(series.mean() * periods) if len(series) else None


def sharpe_per_day(returns: ArrayLike) -> float | None:
    """mean / std (n - 1) of daily returns; None where there is no spread."""
    series = known(returns)
    if len(series) < 2 or series.min() == series.max():
        return None
    return float(series.mean() / series.std(ddof=1))


def sharpe(returns: ArrayLike, periods: int = TRADING_DAYS) -> float | None:
    """Annualised Sharpe ratio: mean / std times the square root of ``periods``."""
    daily = sharpe_per_day(returns)
    return None if daily is None else daily * float(np.sqrt(periods))


def sortino(returns: ArrayLike, periods: int = TRADING_DAYS) -> float | None:
    """Annualised mean over downside deviation (root mean square of the negative returns, over all days)."""
    series = known(returns)
    if len(series) < 2 or series.min() >= 0.0:
        return None
    downside = float(np.sqrt(np.mean(np.minimum(series, 0.0) ** 2)))
    return float(series.mean() / downside * np.sqrt(periods))


def probabilistic_sharpe(returns: ArrayLike, benchmark_per_day: float = 0.0) -> float | None:
    """Probability that the true daily Sharpe exceeds a benchmark (Bailey and Lopez de Prado, 2012).

    ``Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2))`` with skewness g3 and kurtosis g4 (3 for a
    normal distribution). None where there is no Sharpe ratio.
    """
    from scipy.special import ndtr  # loads slowly, and every start of Dagster loads this module

    series = known(returns)
    ratio = sharpe_per_day(series)
    if ratio is None:
        return None
    scale = np.sqrt(_sharpe_variance(series, ratio))
    return float(ndtr((ratio - benchmark_per_day) * np.sqrt(len(series) - 1) / scale))


def minimum_track_record(returns: ArrayLike, benchmark_per_day: float = 0.0, confidence: float = 0.95) -> float | None:
    """Days after which a Sharpe ratio like this one would be told apart from a benchmark.

    Bailey and Lopez de Prado (2012): ``1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (z / (SR - SR*))^2`` with the normal
    quantile ``z`` of ``confidence``. None where there is no Sharpe ratio, or it does not exceed the benchmark: no
    record is then long enough.
    """
    from scipy.special import ndtri

    series = known(returns)
    ratio = sharpe_per_day(series)
    if ratio is None or ratio <= benchmark_per_day:
        return None
    z = float(ndtri(confidence))
    return 1.0 + _sharpe_variance(series, ratio) * (z / (ratio - benchmark_per_day)) ** 2


def _sharpe_variance(series: NDArray[np.float64], ratio: float) -> float:
    """Variance of a daily Sharpe ratio's estimate times the days, with the returns' skewness and kurtosis."""
    z = (series - series.mean()) / series.std()
    skewness, kurtosis = float(np.mean(z**3)), float(np.mean(z**4))
    return 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2


def deflated_sharpe(returns: ArrayLike, trials: int, trial_variance: float | None = None) -> float | None:
    """Probability that the Sharpe ratio is more than the best of ``trials`` useless strategies would show.

    Bailey and Lopez de Prado (2014): the probabilistic Sharpe ratio against the expected maximum
    ``sqrt(V) ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)))``, g the Euler-Mascheroni constant.

    Args:
        trials: strategies tried before this one was chosen; 1 gives the probabilistic Sharpe ratio against 0.
        trial_variance: variance of the daily Sharpe ratios among the trials; left out, the sampling variance
            ``1 / (n - 1)`` of a strategy without skill.

    Raises:
        ValueError: fewer than one trial.
    """
    if trials < 1:
        raise ValueError(f"trials is {trials}; the strategy at hand is already one")
    n = len(known(returns))
    if n < 2:
        return None
    variance = 1.0 / (n - 1) if trial_variance is None else trial_variance
    return probabilistic_sharpe(returns, expected_maximum_sharpe(trials, variance))


def expected_maximum_sharpe(trials: int, variance: float) -> float:
    """Expected largest daily Sharpe ratio among ``trials`` strategies of mean 0 and the given variance."""
    from scipy.special import ndtri

    if trials == 1:
        return 0.0
    far, further = ndtri(1.0 - 1.0 / trials), ndtri(1.0 - 1.0 / (trials * np.e))
    return float(np.sqrt(variance) * ((1.0 - EULER_MASCHERONI) * far + EULER_MASCHERONI * further))


def drawdowns(returns: ArrayLike) -> NDArray[np.float64]:
    """Wealth minus its highest value so far (the start included), at each day's end; never positive."""
    wealth = np.cumsum(np.asarray(returns, dtype=np.float64))
    below: NDArray[np.float64] = wealth - np.maximum(np.maximum.accumulate(wealth), 0.0)
    return below


def max_drawdown(returns: ArrayLike) -> Drawdown | None:
    """The deepest drawdown and when it happened; None without days."""
    series = known(returns)
    if len(series) == 0:
        return None
    below = drawdowns(series)
    trough = int(np.argmin(below))
    wealth = np.concatenate([[0.0], np.cumsum(series)])
    peak = int(np.argmax(wealth[: trough + 2])) - 1
    back = np.flatnonzero(wealth[trough + 2 :] >= wealth[peak + 1])
    if below[trough] == 0.0:
        return Drawdown(0.0, -1, 0, 0)
    return Drawdown(float(below[trough]), peak, trough, int(back[0]) + trough + 1 if len(back) else None)


def calmar(returns: ArrayLike, periods: int = TRADING_DAYS) -> float | None:
    """Annual return over the depth of the deepest drawdown; None where wealth never fell."""
    deepest, yearly = max_drawdown(returns), annual_return(returns, periods)
    if deepest is None or yearly is None or deepest.depth == 0.0:
        return None
    return yearly / -deepest.depth


def yearly_table(dates: Sequence[date], returns: ArrayLike, periods: int = TRADING_DAYS) -> pl.DataFrame:
    """Calendar years: year, n (days), total (sum of returns), sharpe (annualised), max_drawdown (within the year)."""
    frame = pl.DataFrame(
        {"Date": list(dates), "r": np.asarray(returns, np.float64)}, schema_overrides={"Date": pl.Date}
    )
    rows = []
    for (year,), part in frame.sort("Date").group_by(pl.col("Date").dt.year(), maintain_order=True):
        series = known(part["r"].to_numpy())
        deepest = max_drawdown(series)
        rows.append(
            (year, len(series), float(series.sum()), sharpe(series, periods), deepest.depth if deepest else None)
        )
    schema = {"year": pl.Int32, "n": pl.Int64, "total": pl.Float64, "sharpe": pl.Float64, "max_drawdown": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def monthly_table(dates: Sequence[date], returns: ArrayLike) -> pl.DataFrame:
    """Calendar months: year, month, n (days), total (sum of returns); months without a day are absent."""
    frame = pl.DataFrame(
        {"Date": list(dates), "r": np.asarray(returns, np.float64)}, schema_overrides={"Date": pl.Date}
    )
    known_days = frame.filter(pl.col("r").is_not_nan())
    return (
        known_days.group_by(year=pl.col("Date").dt.year(), month=pl.col("Date").dt.month().cast(pl.Int32))
        .agg(n=pl.len().cast(pl.Int64), total=pl.col("r").sum())
        .sort("year", "month")
    )
