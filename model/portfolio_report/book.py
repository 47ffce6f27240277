"""How long the signals last and what their books are exposed to, at the headline horizon.

Both are shown for the subject and for LightGBM; on several backtest paths a daily figure is the mean over them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from model.metrics.bootstrap import Resampler
from model.portfolio.book import positions
from model.portfolio.market import Floats, Grid, Market, dense_grid, dense_scores
from model.portfolio_report import figures
from model.portfolio_report.exposures import exposures
from model.portfolio_report.inputs import Inputs
from model.portfolio_report.settings import PortfolioSettings
from model.portfolio_report.signal import Sorted, autocorrelation, ic_decay

AUTOCORRELATION_LAGS = (1, 2, 5, 10, 20)
"""Prediction days back at which a ranking is compared with its own past."""


def signal_figures(
    inputs: Inputs, common: pl.DataFrame, market: Market | None, settings: PortfolioSettings, resampler: Resampler
) -> dict[str, Any]:
    """``ic_decay`` (null without a market) and ``autocorrelation`` by model, a list of figures by ``lag`` each.

    RankIC is shown for every lag up to the longest horizon: further ahead the market of the last test days ends.
    """
    h, least = settings.headline_horizon, settings.min_names
    grid: Grid = market or dense_grid(common)
    lags = range(1, max(inputs.horizons) + 1)
    returns = Sorted.of(market.calendar_returns) if market else None
    block = figures.block_days(settings, h)
    result: dict[str, Any] = {}
    for model in inputs.shown:
        decays, persistences = [], []
        for scores in _by_path(inputs, common, model, h, grid):
            ordered = Sorted.of(scores)
            persistences.append(autocorrelation(ordered, AUTOCORRELATION_LAGS, least))
            if market and returns:
                decays.append(ic_decay(ordered, returns, market, lags, least))
        result[model] = {
            "ic_decay": _by_lag(decays, resampler, block) if decays else None,
            "autocorrelation": _by_lag(persistences, resampler, block),
        }
    return result


def book_exposures(
    inputs: Inputs, common: pl.DataFrame, market: Market | None, settings: PortfolioSettings
) -> dict[str, Any] | None:
    """Exposures by model, of the mean of the books of all paths; null without a market."""
    if market is None or inputs.market is None:
        return None
    h = settings.headline_horizon
    result = {}
    for model in inputs.shown:
        paths = list(_by_path(inputs, common, model, h, market))
        weights = sum((positions(scores, market, settings, h) for scores in paths), np.zeros(paths[0].shape))
        result[model] = exposures(weights / len(paths), paths[0], market, inputs.market)
    return result


def _by_path(inputs: Inputs, common: pl.DataFrame, model: str, horizon: int, grid: Grid) -> Iterator[Floats]:
    rows = common.filter(pl.col("horizon") == horizon)
    for path in inputs.paths:
        yield dense_scores(rows.filter(pl.col("path") == path), model, grid)


def _by_lag(paths: list[dict[int, Floats]], resampler: Resampler, block: int) -> list[dict[str, Any]]:
    rows = []
    for lag in paths[0]:
        stacked = np.stack([found[lag] for found in paths])
        count = (~np.isnan(stacked)).sum(axis=0)
        values = np.nansum(stacked, axis=0)[count > 0] / count[count > 0]
        mean = float(values.mean()) if len(values) else None
        rows.append({"lag": lag} | figures.figure(mean, len(values), resampler.interval(values, block)))
    return rows
