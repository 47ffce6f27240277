"""The report as one document: models side by side, with counts, intervals, differences and self-tests.

Everything in it follows from the stored predictions, the settings and the seed; no clock, no machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from model.errors import SettingsError
from model.metrics.bootstrap import Resampler, percentiles
from model.metrics.decile import decile_means
from model.metrics.ic import daily_ic
from model.metrics.performance import sharpe, yearly_table
from model.metrics.summary import summarise
from model.portfolio_report import figures
from model.portfolio_report.daily import DailyFigures, averaged, common_rows, figures_by_path
from model.portfolio_report.headline import headline
from model.portfolio_report.inputs import BASELINES, NETWORK, ORACLE, RANDOM, STORED_RANDOM, Inputs
from model.portfolio_report.portfolio import Market, dense_market, dense_scores, simulate
from model.portfolio_report.random_band import RandomBand, random_band
from model.portfolio_report.settings import PortfolioSettings

SCHEMA_VERSION = 1
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Evaluation:
    """The document and the daily series that its pictures are drawn from."""

    report: dict[str, Any]
    daily: DailyFigures


def evaluate(
    inputs: Inputs,
    settings: PortfolioSettings,
    *,
    entry: str,
    seed: int,
    generated_from: Mapping[str, str],
    progress: Progress = lambda done, total, note: None,
) -> Evaluation:
    """Evaluate all models on all folds together.

    Args:
        entry: the labels' entry convention, echoed in the report.
        generated_from: content hash of each artefact read.

    Raises:
        SettingsError: the headline horizon is not among the horizons predicted.
        DataError: nothing can be compared or simulated.
    """
    if settings.headline_horizon not in inputs.horizons:
        known = ", ".join(map(str, inputs.horizons))
        raise SettingsError(
            f"portfolio.headline_horizon is {settings.headline_horizon}, and predictions exist for the horizons "
            f"{known}. Set it to one of labels.horizons."
        )
    total = len(inputs.models) * len(inputs.paths) + settings.random_draws
    common, market = common_rows(inputs), dense_market(inputs.market, inputs.test_dates)
    done = iter(range(1, total + 1))
    paths = figures_by_path(inputs, common, market, settings, lambda note: progress(next(done), total, note))
    daily = averaged(paths)
    common = common.filter(pl.col("path") == inputs.paths[0])  # the same stocks and days on every path
    band = random_band(
        common,
        inputs.horizons,
        market,
        settings,
        seed,
        lambda drawn: progress(total - settings.random_draws + drawn, total, "random rankings"),
    )
    resampler = Resampler(settings.bootstrap_draws, seed, settings.confidence)
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "generated_from": dict(sorted(generated_from.items())),
        "config": _config(inputs, settings, entry, seed),
        "coverage": _coverage(daily, market),
        "models": _models(daily, settings, resampler, band, market),
        "differences": _differences(daily, settings, resampler),
        "reachable": _reachable(daily, settings, resampler),
        "paths": _paths(paths, settings),
        "deciles": _deciles(daily, settings, resampler),
        "folds": _folds(inputs, paths, settings, resampler),
        "yearly": _yearly(daily, settings),
        "self_tests": _self_tests(common, market, settings, band),
    }
    report["headline"] = headline(report)
    return Evaluation(report, daily)


def rows_of(daily: DailyFigures, model: str, horizon: int) -> pl.DataFrame:
    """The daily rows of one model and horizon, sorted by date."""
    return daily.table.filter((pl.col("model") == model) & (pl.col("horizon") == horizon)).sort("Date")


def _config(inputs: Inputs, settings: PortfolioSettings, entry: str, seed: int) -> dict[str, Any]:
    return {
        **settings.model_dump(mode="json"),
        "entry": entry,
        "horizons": list(inputs.horizons),
        "seed": seed,
        "capital": "constant; gains are neither reinvested nor withdrawn",
        "turnover": "sum of absolute traded weights a day; a full flip of both legs is 4 sides",
        "bootstrap": "stationary (Politis and Romano 1994), mean block max(bootstrap_block_days, 2 x horizon)",
    }


def _coverage(daily: DailyFigures, market: Market) -> dict[str, Any]:
    return {
        "rows": daily.coverage,
        "portfolio_days": len(market.dates),
        "first_date": market.dates[0].isoformat(),
        "last_date": market.dates[-1].isoformat(),
        "names": len(market.codes),
    }


def _models(
    daily: DailyFigures, settings: PortfolioSettings, resampler: Resampler, band: RandomBand, market: Market
) -> dict[str, Any]:
    models: dict[str, Any] = {}
    for model in daily.models:
        models[model] = {
            str(h): {
                **figures.model_figures(rows_of(daily, model, h), settings, h, resampler),
                **daily.counts[model][h],
            }
            for h in daily.horizons
        }
    models[RANDOM] = {
        str(h): figures.random_figures(band, settings, h, len(market.dates)) | {"draws": settings.random_draws}
        for h in daily.horizons
    }
    return models


def _differences(daily: DailyFigures, settings: PortfolioSettings, resampler: Resampler) -> dict[str, Any]:
    """Network minus each baseline, by horizon."""
    return {
        other: {
            str(h): figures.difference_figures(
                rows_of(daily, NETWORK, h), rows_of(daily, other, h), settings, h, resampler
            )
            for h in daily.horizons
        }
        for other in BASELINES
        if other in daily.models
    }


def _reachable(daily: DailyFigures, settings: PortfolioSettings, resampler: Resampler) -> dict[str, Any] | None:
    """RankIC of each model as a share of the reachable oracle's; null where there is no oracle."""
    if ORACLE not in daily.models:
        return None
    return {
        model: {
            str(h): figures.share_figure(rows_of(daily, model, h), rows_of(daily, ORACLE, h), settings, h, resampler)
            for h in daily.horizons
        }
        for model in daily.models
        if model != ORACLE
    }


def _paths(paths: Sequence[DailyFigures], settings: PortfolioSettings) -> dict[str, list[dict[str, Any]]] | None:
    """Mean RankIC and net Sharpe ratio of each model on every backtest path; null where there is one path only."""
    if len(paths) == 1:
        return None
    h = settings.headline_horizon
    result: dict[str, list[dict[str, Any]]] = {}
    for model in paths[0].models:
        for number, path in enumerate(paths):
            rows = rows_of(path, model, h)
            of_rank_ic, net = summarise(figures.series(rows, "rank_ic"), h), figures.series(rows, "net")
            result.setdefault(model, []).append(
                {
                    "path": number,
                    "rank_ic": figures.figure(of_rank_ic.mean, of_rank_ic.n),
                    "sharpe": figures.figure(sharpe(net, settings.periods_per_year), int((~np.isnan(net)).sum())),
                }
            )
    return result


def _deciles(daily: DailyFigures, settings: PortfolioSettings, resampler: Resampler) -> dict[str, Any]:
    """Mean label by prediction decile at the headline horizon, relative to the day's mean."""
    block = figures.block_days(settings, settings.headline_horizon)
    result: dict[str, Any] = {}
    for model in daily.models:
        own = daily.deciles.filter(pl.col("model") == model).sort("Date", "decile")
        result[model] = [
            {"decile": row["decile"]}
            | figures.figure(
                row["mean"],
                row["days"],
                resampler.interval(own.filter(pl.col("decile") == row["decile"])["excess"].to_numpy(), block),
            )
            for row in decile_means(own).iter_rows(named=True)
        ]
    return result


def _folds(
    inputs: Inputs, paths: Sequence[DailyFigures], settings: PortfolioSettings, resampler: Resampler
) -> list[dict[str, Any]]:
    """Each fold with the RankIC of every model on its own test days, at the headline horizon."""
    h = settings.headline_horizon
    block = figures.block_days(settings, h)
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
            by_model[model] = figures.figure(mean, len(values), resampler.interval(values, block))
        result.append({**fold, "rank_ic": by_model})
    return result


def _yearly(daily: DailyFigures, settings: PortfolioSettings) -> dict[str, list[dict[str, Any]]]:
    """Calendar years of each model at the headline horizon: net return, Sharpe, drawdown, mean RankIC."""
    result = {}
    for model in daily.models:
        rows = rows_of(daily, model, settings.headline_horizon)
        held = rows.filter(pl.col("net").is_not_null())
        returns = yearly_table(held["Date"].to_list(), held["net"].to_numpy(), settings.periods_per_year)
        correlations = rows.group_by(year=pl.col("Date").dt.year()).agg(rank_ic=pl.col("rank_ic").mean())
        table = returns.join(correlations, on="year", how="left").sort("year").rename({"total": "return_net"})
        result[model] = table.to_dicts()
    return result


def _self_tests(common: pl.DataFrame, market: Market, settings: PortfolioSettings, band: RandomBand) -> dict[str, Any]:
    """Does the evaluator say what it must of scores whose worth is known?"""
    h = settings.headline_horizon
    rows = common.filter((pl.col("horizon") == h) & pl.col("label").is_not_null())
    rows = rows.with_columns(perfect=pl.col("label"), inverted=-pl.col("label"))
    tests: dict[str, Any] = {"horizon": h}
    for name, sign in (("perfect", 1.0), ("inverted", -1.0)):
        correlations = daily_ic(rows, name, "label", "Date", settings.min_names)["rank_ic"].drop_nulls()
        book = simulate(dense_scores(rows, name, market), market, settings, h)
        ratio = sharpe(book.gross, settings.periods_per_year)
        exact = len(correlations) > 0 and bool((correlations == sign).all())
        tests[name] = {
            "rank_ic": figures.figure(summarise(correlations.to_numpy()).mean, len(correlations)),
            "sharpe_gross": figures.figure(ratio, len(market.dates)),
            "passed": exact and ratio is not None and ratio * sign > 0,
        }
    return tests | {"random": _random_test(common, settings, band)}


def _random_test(common: pl.DataFrame, settings: PortfolioSettings, band: RandomBand) -> dict[str, Any]:
    h = settings.headline_horizon
    draws = band.draws[h]["rank_ic"]
    found = percentiles(draws, 0.999)
    mean = float(np.nanmean(draws)) if found else None
    stored = np.empty(0)
    if STORED_RANDOM in common.columns:
        rows = common.filter(pl.col("horizon") == h)
        stored = daily_ic(rows, STORED_RANDOM, "label", "Date", settings.min_names)["rank_ic"].drop_nulls().to_numpy()
    own = float(stored.mean()) if len(stored) else None
    width = 4.0 * float(np.nanstd(draws)) if found else 0.0
    inside = found is not None and found[0] <= 0.0 <= found[1] and (own is None or abs(own) <= width)
    return {
        "rank_ic": figures.figure(mean, band.days[h], found),
        "stored_rank_ic": figures.figure(own, len(stored)),
        "passed": inside,
    }
