"""Figures with their count and interval, from the daily series of one model and horizon."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.metrics import bootstrap, performance
from model.metrics.bootstrap import Blocks, Resampler
from model.metrics.multiple import adjusted_p
from model.metrics.summary import Summary, most_within, summarise
from model.portfolio.costs import COMPONENTS
from model.portfolio.fills import REASONS
from model.portfolio_report.daily import COSTS, BookFacts
from model.portfolio_report.random_band import RandomBand
from model.portfolio_report.settings import PortfolioSettings

Figure = dict[str, Any]
"""``value`` (or null), ``n`` (days it rests on) and ``interval`` ([low, high], or null where none is defined)."""

NAMES = (
    "ic",
    "rank_ic",
    "icir",
    "nw_t",
    "rank_ic_p",
    "rank_ic_q",
    "hit_rate",
    "sharpe",
    "sharpe_gross",
    "ann_return_net",
    "ann_return_gross",
    "max_drawdown",
    "turnover",
    "deflated_sharpe",
    "probabilistic_sharpe",
    "minimum_track_record",
    "sortino",
    "calmar",
    "gross_exposure",
    "net_exposure",
    "ann_return_benchmark",
    "ann_return_active",
    "information_ratio",
    "capacity",
)


def figure(value: float | None, n: int, interval: tuple[float, float] | None = None) -> Figure:
    """One figure; the interval is given only with a value."""
    return {"value": value, "n": n, "interval": list(interval) if interval and value is not None else None}


def label_blocks(settings: PortfolioSettings, horizon: int, daily: NDArray[np.float64]) -> Blocks:
    """Bootstrap blocks for daily figures of ``horizon``-day labels, which share days.

    Args:
        daily: one figure a trading day, NaN where there is none. Where predictions are rarer than days, as many as fall
            into the days asked for make a block, and fewer labels share a day.
    """
    shared, at_least = (most_within(daily, days) for days in (horizon, settings.bootstrap_block_days))
    return Blocks.of_labels(shared, at_least)


def book_blocks(settings: PortfolioSettings, horizon: int) -> Blocks:
    """For what happens on one day each: returns, costs and exposures of a book held ``horizon`` days."""
    return Blocks(Blocks.of_labels(horizon, settings.bootstrap_block_days).days)


def label_summary(daily: NDArray[np.float64], horizon: int) -> Summary:
    """Moments of daily figures of ``horizon``-day labels: NaN on a trading day that has none."""
    return summarise(daily, most_within(daily, horizon))


def series(rows: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """A column of daily figures as a vector, NaN where null."""
    return rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def model_figures(
    rows: pl.DataFrame, facts: BookFacts, settings: PortfolioSettings, horizon: int, resampler: Resampler, trials: int
) -> dict[str, Any]:
    """All figures of one model and horizon.

    Args:
        rows: the daily table of the model and horizon, sorted by date.
        trials: that the deflated Sharpe ratio is corrected for.
    """
    held = rows.filter(pl.col("net").is_not_null())
    predicted = _prediction_figures(rows, settings, horizon, resampler)
    return {
        "blocks": label_blocks(settings, horizon, series(rows, "rank_ic")).count(predicted["rank_ic"]["n"]),
        **predicted,
        **_portfolio_figures(held, settings, horizon, resampler),
        "deflated_sharpe": figure(performance.deflated_sharpe(series(held, "net"), trials), held.height),
        **_benchmark_figures(held, settings, horizon, resampler),
        "capacity": figure(facts.capacity, held.height),
        "costs": _cost_figures(held, settings, horizon, resampler),
        "missing_returns": facts.missing_returns,
        "unfilled_orders": sum(facts.unfilled),
        "unfilled": dict(zip(REASONS, facts.unfilled, strict=True)),
        "unsolved_days": facts.unsolved_days,
    }


def _prediction_figures(
    rows: pl.DataFrame, settings: PortfolioSettings, horizon: int, resampler: Resampler
) -> dict[str, Figure]:
    daily = {name: series(rows, name) for name in ("ic", "rank_ic", "hit_rate")}
    found = {name: label_summary(own, horizon) for name, own in daily.items()}
    blocks = {name: label_blocks(settings, horizon, own) for name, own in daily.items()}
    means = {
        name: figure(found[name].mean, found[name].n, resampler.interval(own, blocks[name]))
        for name, own in daily.items()
    }
    spread = resampler.interval(daily["rank_ic"], blocks["rank_ic"], bootstrap.ratio)
    return means | {
        "icir": figure(found["rank_ic"].ir, found["rank_ic"].n, spread),
        "nw_t": figure(found["rank_ic"].nw_t, found["rank_ic"].n),
        "rank_ic_p": figure(found["rank_ic"].nw_p, found["rank_ic"].n),
    }


def _portfolio_figures(
    held: pl.DataFrame, settings: PortfolioSettings, horizon: int, resampler: Resampler
) -> dict[str, Figure]:
    days: list[date] = held["Date"].to_list()
    gross, net, turnover = (series(held, name) for name in ("gross", "net", "turnover"))
    n, block, periods = len(days), book_blocks(settings, horizon), settings.periods_per_year
    yearly = scaled(resampler.interval(net, block), periods)
    sharpe_net, sharpe_gross = (
        figure(
            performance.sharpe(returns, periods),
            n,
            scaled(resampler.interval(returns, block, bootstrap.ratio), periods**0.5),
        )
        for returns in (net, gross)
    )
    exposure, net_exposure = (float(series(held, name).mean()) if n else None for name in ("exposure", "net_exposure"))
    return {
        "sharpe": sharpe_net,
        "sharpe_gross": sharpe_gross,
        "ann_return_net": figure(performance.annual_return(net, periods), n, yearly),
        "ann_return_gross": figure(
            performance.annual_return(gross, periods), n, scaled(resampler.interval(gross, block), periods)
        ),
        "max_drawdown": _drawdown(days, net),
        "turnover": figure(float(turnover.mean()) if n else None, n, resampler.interval(turnover, block)),
        "probabilistic_sharpe": figure(performance.probabilistic_sharpe(net), n),
        "minimum_track_record": figure(performance.minimum_track_record(net, confidence=settings.confidence), n),
        "sortino": figure(performance.sortino(net, periods), n),
        "calmar": figure(performance.calmar(net, periods), n),
        "gross_exposure": figure(exposure, n),
        "net_exposure": figure(net_exposure, n),
    }


def _benchmark_figures(
    held: pl.DataFrame, settings: PortfolioSettings, horizon: int, resampler: Resampler
) -> dict[str, Figure]:
    """The book's net return beside that of its benchmark, on the same days."""
    net, benchmark = series(held, "net"), series(held, "benchmark")
    active, n, periods = net - benchmark, held.height, settings.periods_per_year
    block = book_blocks(settings, horizon)
    return {
        "ann_return_benchmark": figure(performance.annual_return(benchmark, periods), n),
        "ann_return_active": figure(
            performance.annual_return(active, periods), n, scaled(resampler.interval(active, block), periods)
        ),
        "information_ratio": figure(
            performance.sharpe(active, periods),
            n,
            scaled(resampler.interval(active, block, bootstrap.ratio), periods**0.5),
        ),
    }


def _cost_figures(
    held: pl.DataFrame, settings: PortfolioSettings, horizon: int, resampler: Resampler
) -> dict[str, Figure]:
    """What each component of the costs takes a year, and all together."""
    n, periods = held.height, settings.periods_per_year
    paid = {name: series(held, column) for name, column in zip(COMPONENTS, COSTS, strict=True)}
    total = sum(paid.values(), np.zeros(n))
    interval = scaled(resampler.interval(total, book_blocks(settings, horizon)), periods)
    found = {name: figure(performance.annual_return(daily, periods), n) for name, daily in paid.items()}
    return found | {"total": figure(performance.annual_return(total, periods), n, interval)}


def add_q_values(models: Mapping[str, Mapping[str, dict[str, Any]]], tested: Collection[str]) -> None:
    """Give every model and horizon its ``rank_ic_q``: false-discovery control over all models and horizons tested.

    A model that is not tested (one that knows the truth, one that is noise by design) has none.
    """
    cells = [cell for model in tested for cell in models[model].values()]
    p_values = [np.nan if cell["rank_ic_p"]["value"] is None else cell["rank_ic_p"]["value"] for cell in cells]
    for cell, q in zip(cells, adjusted_p(p_values).tolist(), strict=True):
        cell["rank_ic_q"] = figure(None if np.isnan(q) else q, cell["rank_ic_p"]["n"])
    for model in models.keys() - set(tested):
        for cell in models[model].values():
            cell["rank_ic_q"] = figure(None, cell["rank_ic_p"]["n"])


def _drawdown(days: list[date], net: NDArray[np.float64]) -> Figure:
    deepest = performance.max_drawdown(net)
    if deepest is None:
        return figure(None, 0)
    recovered = None if deepest.recovered is None else days[deepest.recovered].isoformat()
    dates = {"peak": days[max(deepest.peak, 0)].isoformat(), "trough": days[deepest.trough].isoformat()}
    return figure(deepest.depth, len(days)) | dates | {"recovered": recovered}


def random_figures(band: RandomBand, settings: PortfolioSettings, horizon: int, portfolio_days: int) -> dict[str, Any]:
    """The figures of random rankings: the mean over the draws, and the band of the draws as the interval."""
    figures: dict[str, Any] = {name: figure(None, 0) for name in NAMES}
    for name in band.draws[horizon]:
        found = band.mean_and_band(horizon, name, settings.confidence)
        n = band.days[horizon] if name in ("rank_ic", "icir") else portfolio_days
        figures[name] = figure(*((None, n) if found is None else (found[0], n, found[1])))
    return figures


def difference_figures(
    first: pl.DataFrame, second: pl.DataFrame, settings: PortfolioSettings, horizon: int, resampler: Resampler
) -> dict[str, Any]:
    """First model minus second on the days that both have: RankIC with t-statistic, and net Sharpe ratio."""
    pairs = first.join(second, on="Date", suffix="_second").sort("Date")
    a, b = series(pairs, "rank_ic"), series(pairs, "rank_ic_second")
    block, periods = book_blocks(settings, horizon), settings.periods_per_year
    moments = label_summary(a - b, horizon)
    net, other = series(pairs, "net"), series(pairs, "net_second")
    own, theirs = performance.sharpe(net, periods), performance.sharpe(other, periods)
    gap = None if own is None or theirs is None else own - theirs
    spread = scaled(resampler.paired_interval(net, other, block, bootstrap.ratio), periods**0.5)
    return {
        "rank_ic": figure(
            moments.mean, moments.n, resampler.paired_interval(a, b, label_blocks(settings, horizon, a - b))
        ),
        "nw_t": figure(moments.nw_t, moments.n),
        "nw_p": figure(moments.nw_p, moments.n),
        "sharpe": figure(gap, int((~np.isnan(net - other)).sum()), spread),
    }


def share_figure(
    model: pl.DataFrame, oracle: pl.DataFrame, settings: PortfolioSettings, horizon: int, resampler: Resampler
) -> Figure:
    """Mean RankIC of a model as a share of the oracle's, on the days that both have."""
    pairs = model.join(oracle, on="Date", suffix="_oracle").sort("Date")
    a, b = series(pairs, "rank_ic"), series(pairs, "rank_ic_oracle")
    both = ~np.isnan(a - b)
    n = int(both.sum())
    reachable = float(b[both].mean()) if n else 0.0
    if reachable <= 0.0:
        return figure(None, n)
    spread = resampler.paired_interval(a, b, label_blocks(settings, horizon, a - b), combine=np.divide)
    return figure(float(a[both].mean()) / reachable, n, spread)


def scaled(interval: tuple[float, float] | None, factor: float) -> tuple[float, float] | None:
    """An interval in other units."""
    return None if interval is None else (interval[0] * factor, interval[1] * factor)
