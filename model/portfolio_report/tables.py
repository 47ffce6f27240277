"""Figures by decile, fold, year and month, at the headline horizon."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from model.metrics.bootstrap import Resampler
from model.metrics.performance import monthly_table, yearly_table
from model.metrics.summary import known
from model.portfolio_report import figures
from model.portfolio_report.daily import DailyFigures, rows_of
from model.portfolio_report.inputs import Inputs
from model.portfolio_report.settings import PortfolioSettings


def deciles(daily: DailyFigures, settings: PortfolioSettings, resampler: Resampler) -> dict[str, Any]:
    """Mean label by prediction decile at the headline horizon, relative to the day's mean, by model."""
    h = settings.headline_horizon
    return {model: _deciles_of(daily, model, h, settings, resampler) for model in daily.models}


def decile_horizons(
    inputs: Inputs, daily: DailyFigures, settings: PortfolioSettings, resampler: Resampler
) -> dict[str, Any]:
    """The same by horizon, of the models shown in detail."""
    return {
        model: {str(h): _deciles_of(daily, model, h, settings, resampler) for h in daily.horizons}
        for model in inputs.shown
    }


def _deciles_of(
    daily: DailyFigures, model: str, horizon: int, settings: PortfolioSettings, resampler: Resampler
) -> list[dict[str, Any]]:
    own = daily.deciles.filter((pl.col("model") == model) & (pl.col("horizon") == horizon)).sort("Date", "decile")
    days = rows_of(daily, model, horizon).select("Date")
    result = []
    for decile in own["decile"].unique().sort():
        of_group = own.filter(pl.col("decile") == decile).select("Date", "excess")
        excess = figures.series(days.join(of_group, on="Date", how="left", maintain_order="left"), "excess")
        # NumPy adds up in one order; a mean within polars' groups is put together from as many parts as it has threads.
        interval = resampler.interval(excess, figures.label_blocks(settings, horizon, excess))
        result.append({"decile": decile} | figures.figure(float(np.nanmean(excess)), len(known(excess)), interval))
    return result


def folds(
    inputs: Inputs, paths: Sequence[DailyFigures], settings: PortfolioSettings, resampler: Resampler
) -> list[dict[str, Any]]:
    """Each fold with the RankIC of every model on its own test days."""
    h = settings.headline_horizon
    blocks = {
        model: figures.label_blocks(settings, h, figures.series(rows_of(paths[0], model, h), "rank_ic"))
        for model in paths[0].models
    }
    result = []
    for fold in inputs.folds:
        of_fold = inputs.predictions.filter(pl.col("fold") == str(fold["fold"])).select("path", "Date").unique()
        own = [of_fold.filter(pl.col("path") == path) for path in inputs.paths]
        by_model = {}
        for model in paths[0].models:
            parts = [
                rows_of(path, model, h).join(days, on="Date", how="semi") for path, days in zip(paths, own, strict=True)
            ]
            values = figures.series(pl.concat(parts).sort("Date"), "rank_ic")
            values = values[~np.isnan(values)]
            mean = float(values.mean()) if len(values) else None
            by_model[model] = figures.figure(mean, len(values), resampler.interval(values, blocks[model]))
        result.append({**fold, "rank_ic": by_model})
    return result


def yearly(daily: DailyFigures, settings: PortfolioSettings) -> dict[str, list[dict[str, Any]]]:
    """Calendar years of each model: days, net return, Sharpe ratio, drawdown within the year, mean RankIC."""
    result = {}
    for model in daily.models:
        rows = rows_of(daily, model, settings.headline_horizon)
        held = rows.filter(pl.col("net").is_not_null())
        returns = yearly_table(held["Date"].to_list(), held["net"].to_numpy(), settings.periods_per_year)
        correlations = rows.group_by(year=pl.col("Date").dt.year()).agg(rank_ic=pl.col("rank_ic").mean())
        table = correlations.join(returns, on="year", how="left").sort("year").rename({"total": "return_net"})
        order = ("year", "n", "return_net", "sharpe", "max_drawdown", "rank_ic")
        result[model] = table.with_columns(pl.col("n").fill_null(0)).select(order).to_dicts()
    return result


def monthly(daily: DailyFigures, settings: PortfolioSettings) -> dict[str, list[dict[str, Any]]]:
    """Calendar months of each model: days, gross and net return, both summed up since the start, mean RankIC."""
    result = {}
    for model in daily.models:
        rows = rows_of(daily, model, settings.headline_horizon)
        year, month = pl.col("Date").dt.year(), pl.col("Date").dt.month().cast(pl.Int32)
        table = rows.group_by(year=year, month=month).agg(rank_ic=pl.col("rank_ic").mean())
        held = rows.filter(pl.col("net").is_not_null())
        for side in ("gross", "net"):
            own = monthly_table(held["Date"].to_list(), held[side].to_numpy()).rename({"total": f"return_{side}"})
            own = own.with_columns(pl.col(f"return_{side}").cum_sum().alias(f"cumulative_{side}"))
            table = table.join(own if side == "net" else own.drop("n"), on=["year", "month"], how="left")
        order = ("year", "month", "n", "return_gross", "return_net", "cumulative_gross", "cumulative_net", "rank_ic")
        result[model] = table.with_columns(pl.col("n").fill_null(0)).sort("year", "month").select(order).to_dicts()
    return result
