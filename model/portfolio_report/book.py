"""How long the signals last and what their books are exposed to, at the headline horizon.

Both are shown for the subject and for LightGBM; on several backtest paths a daily figure is the mean over them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model.metrics.bootstrap import Blocks, Resampler
from model.metrics.ranked import Sorted
from model.portfolio.market import Floats, Market
from model.portfolio_report import figures
from model.portfolio_report.daily import DailyFigures
from model.portfolio_report.exposures import exposures
from model.portfolio_report.inputs import Inputs
from model.portfolio_report.settings import PortfolioSettings
from model.portfolio_report.signal import autocorrelation, ic_decay

AUTOCORRELATION_LAGS = (1, 2, 5, 10, 20)
"""Prediction days back at which a ranking is compared with its own past."""


def signal_figures(
    inputs: Inputs,
    paths: Sequence[DailyFigures],
    market: Market | None,
    settings: PortfolioSettings,
    resampler: Resampler,
) -> dict[str, Any]:
    """``ic_decay`` (null without a market) and ``autocorrelation`` by model, a list of figures by ``lag`` each.

    RankIC is shown for every lag up to the longest horizon: further ahead the market of the last test days ends.
    """
    h, least = settings.headline_horizon, settings.min_names
    lags = range(1, max(inputs.horizons) + 1)
    returns = Sorted.of(market.calendar_returns) if market else None
    block = figures.book_blocks(settings, h)
    result: dict[str, Any] = {}
    for model in inputs.shown:
        decays, persistences = [], []
        for path in paths:
            ordered = path.scores[model]
            persistences.append(autocorrelation(ordered, AUTOCORRELATION_LAGS, least))
            if market and returns:
                decays.append(ic_decay(ordered, returns, market, lags, least))
        result[model] = {
            "ic_decay": _by_lag(decays, resampler, block) if decays else None,
            "autocorrelation": _by_lag(persistences, resampler, block),
        }
    return result


def book_exposures(
    daily: DailyFigures, market: Market | None, settings: PortfolioSettings, resampler: Resampler
) -> dict[str, Any] | None:
    """Exposures by model, of the mean of the books of all paths; null without a market."""
    if market is None:
        return None
    return {
        model: exposures(weights, daily.scores[model].present, market, settings, resampler)
        for model, weights in daily.positions.items()
    }


def _by_lag(paths: list[dict[int, Floats]], resampler: Resampler, block: Blocks) -> list[dict[str, Any]]:
    rows = []
    for lag in paths[0]:
        stacked = np.stack([found[lag] for found in paths])
        count = (~np.isnan(stacked)).sum(axis=0)
        values = np.nansum(stacked, axis=0)[count > 0] / count[count > 0]
        mean = float(values.mean()) if len(values) else None
        rows.append({"lag": lag} | figures.figure(mean, len(values), resampler.interval(values, block)))
    return rows
