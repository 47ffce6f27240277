"""The report as one document: models side by side, with counts, intervals, differences and self-tests.

Everything in it follows from the stored predictions, the settings and the seed; no clock, no machine.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from model.errors import SettingsError
from model.metrics.bootstrap import FEWEST_BLOCKS, Resampler, percentiles
from model.metrics.ic import daily_ic
from model.metrics.performance import sharpe
from model.metrics.ranked import Sorted, rank_correlation
from model.metrics.summary import summarise
from model.portfolio.book import CASH, names_ranked, returns_of_ranking, simulate
from model.portfolio.market import Market, dense_market
from model.portfolio_report import figures, tables
from model.portfolio_report.book import book_exposures, signal_figures
from model.portfolio_report.daily import DailyFigures, averaged, common_rows, figures_by_path, rows_of
from model.portfolio_report.headline import counted, gate, headline
from model.portfolio_report.inputs import BASELINES, ORACLE, RANDOM, STORED_RANDOM, Inputs
from model.portfolio_report.random_band import RandomBand, random_band
from model.portfolio_report.settings import PortfolioSettings
from model.portfolio_report.trials import count

SCHEMA_VERSION = 2
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
    configurations: Collection[str] | None = None,
    ablation: Mapping[str, Any] | None = None,
    progress: Progress = lambda done, total, note: None,
) -> Evaluation:
    """Evaluate all models on all folds together.

    Args:
        entry: the labels' entry convention, echoed in the report.
        generated_from: content hash of each artefact read.
        configurations: of the network that were ever trained, as recorded; None where nothing was.
        ablation: a study of the network's parts, to be shown as it is.

    Raises:
        SettingsError: the headline horizon is not among the horizons predicted.
        DataError: nothing can be compared or simulated.
    """
    _check_headline(inputs, settings)
    total = len(inputs.models) * len(inputs.paths) + settings.random_draws
    everything = common_rows(inputs)
    market = (
        None if inputs.market is None else dense_market(inputs.market, inputs.test_dates, settings.execution.suspended)
    )
    done = iter(range(1, total + 1))
    paths = figures_by_path(inputs, everything, market, settings, lambda note: progress(next(done), total, note))
    _check_legs(paths[0], settings)
    daily = averaged(paths)
    common = everything.filter(pl.col("path") == inputs.paths[0])  # the same stocks and days on every path
    trials = count(inputs, configurations, settings.trials)
    resampler = Resampler(settings.bootstrap_draws, seed, settings.confidence)
    with ThreadPoolExecutor(1) as beside:  # sorting and summing, outside Python's lock
        signal = beside.submit(signal_figures, inputs, paths, market, settings, resampler)
        exposures = beside.submit(book_exposures, daily, market, settings, resampler)
        foresight = beside.submit(_foresight_tests, paths[0], market, settings)
        band = random_band(
            paths[0].labels,
            paths[0].universe,
            daily.grid,
            settings,
            seed,
            lambda drawn: progress(total - settings.random_draws + drawn, total, "random rankings"),
        )
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "subject": inputs.subject,
        "generated_from": dict(sorted(generated_from.items())),
        "config": _config(inputs, settings, entry, seed),
        "coverage": _coverage(daily, market),
        "benchmark": _benchmark(inputs, daily, settings, market),
        "trials": trials.to_json(),
        "models": _models(inputs, daily, settings, resampler, band, market, trials.number),
        "differences": _differences(inputs, daily, settings, resampler),
        "reachable": _reachable(daily, settings, resampler),
        "paths": _paths(paths, settings),
        "deciles": tables.deciles(daily, settings, resampler),
        "decile_horizons": tables.decile_horizons(inputs, daily, settings, resampler),
        "signal": signal.result(),
        "exposures": exposures.result(),
        "folds": tables.folds(inputs, paths, settings, resampler),
        "yearly": tables.yearly(daily, settings),
        "monthly": tables.monthly(daily, settings),
        "self_tests": foresight.result() | {"random": _random_test(common, settings, band)},
        "ablation": None if ablation is None else dict(ablation),
        "final_report": None,
    }
    report["headline"] = headline(report)
    report["gate"] = gate(report)
    return Evaluation(report, daily)


def _check_headline(inputs: Inputs, settings: PortfolioSettings) -> None:
    if settings.headline_horizon not in inputs.horizons:
        known = ", ".join(map(str, inputs.horizons))
        raise SettingsError(
            f"portfolio.headline_horizon is {settings.headline_horizon}, and predictions exist for the horizons "
            f"{known}. Set it to one of labels.horizons."
        )


def _check_legs(daily: DailyFigures, settings: PortfolioSettings) -> None:
    most = max((int(found.sum(axis=1).max(initial=0)) for found in daily.universe.values()), default=0)
    if settings.book == "long_only" and settings.top_k is not None and settings.top_k >= most > 0:
        raise SettingsError(
            f"portfolio.top_k is {settings.top_k}, and no day has more than {counted(most, 'ranked stock')}: the "
            "long-only book would hold them all, whatever their order. Set it below that, or leave it out."
        )


def _config(inputs: Inputs, settings: PortfolioSettings, entry: str, seed: int) -> dict[str, Any]:
    return {
        **settings.model_dump(mode="json"),
        "entry": entry,
        "horizons": list(inputs.horizons),
        "seed": seed,
        "capital": "constant; gains are neither reinvested nor withdrawn",
        "turnover": "sum of absolute traded weights a day; a full flip of both legs is 4 sides",
        "bootstrap": "stationary (Politis and Romano 1994), mean block max(bootstrap_block_days, 2 x horizon), widened "
        f"for few blocks and overlapping labels; none below {FEWEST_BLOCKS} blocks",
    }


def _coverage(daily: DailyFigures, market: Market | None) -> dict[str, Any]:
    grid = daily.grid
    return {
        "rows": daily.coverage,
        "portfolio_days": len(market.dates) if market else 0,
        "first_date": grid.dates[0].isoformat(),
        "last_date": grid.dates[-1].isoformat(),
        "names": len(grid.codes),
    }


def _benchmark(
    inputs: Inputs, daily: DailyFigures, settings: PortfolioSettings, market: Market | None
) -> dict[str, str] | None:
    """What the books are judged against, by name; null without a market."""
    if market is None:
        return None
    name = daily.books[inputs.subject][settings.headline_horizon].benchmark
    return {"name": name, "weighting": settings.weighting, "why": _BENCHMARKS[name == CASH]}


_BENCHMARKS = {
    True: "Long and short sides finance each other, so the book is judged against cash (a return of 0).",
    False: "The book holds stocks only, so it is judged against all ranked stocks in its own weighting (equal against "
    "equal) and rhythm, without costs.",
}


def _models(
    inputs: Inputs,
    daily: DailyFigures,
    settings: PortfolioSettings,
    resampler: Resampler,
    band: RandomBand,
    market: Market | None,
    trials: int,
) -> dict[str, Any]:
    models: dict[str, Any] = {}
    for model in daily.models:
        models[model] = {
            str(h): figures.model_figures(
                rows_of(daily, model, h), daily.books[model][h], settings, h, resampler, trials
            )
            for h in daily.horizons
        }
    days = len(market.dates) if market else 0
    models[RANDOM] = {
        str(h): figures.random_figures(band, settings, h, days) | {"draws": settings.random_draws}
        for h in daily.horizons
    }
    figures.add_q_values(models, [model for model in inputs.models if model != ORACLE])
    return models


def _differences(
    inputs: Inputs, daily: DailyFigures, settings: PortfolioSettings, resampler: Resampler
) -> dict[str, Any]:
    """The subject minus each baseline, by horizon."""
    return {
        other: {
            str(h): figures.difference_figures(
                rows_of(daily, inputs.subject, h), rows_of(daily, other, h), settings, h, resampler
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


def _foresight_tests(daily: DailyFigures, market: Market | None, settings: PortfolioSettings) -> dict[str, Any]:
    """Does the evaluator say what it must of scores whose worth is known?"""
    h = settings.headline_horizon
    tests: dict[str, Any] = {"horizon": h}
    truth = daily.labels[h]
    days = np.arange(len(truth.values))
    for name, sign, scores in (("perfect", 1.0, truth), ("inverted", -1.0, Sorted.of(-truth.values))):
        correlations = rank_correlation(scores, truth, days, days, settings.min_names)
        correlations = correlations[~np.isnan(correlations)]
        gross = _gross_sharpe(scores, market, settings) if market else None
        exact = len(correlations) > 0 and bool((correlations == sign).all())
        tests[name] = {
            "rank_ic": figures.figure(summarise(correlations).mean, len(correlations)),
            "sharpe_gross": figures.figure(gross, len(market.dates) if market else 0),
            "passed": exact and (market is None or (gross is not None and gross * sign > 0)),
        }
    return tests


def _gross_sharpe(scores: Sorted, market: Market, settings: PortfolioSettings) -> float | None:
    """Gross Sharpe ratio of the scores' book, above its benchmark: in a good year the worst stocks rise as well."""
    h = settings.headline_horizon
    if settings.book == "long_only":
        book = simulate(scores, market, settings, h)
        return sharpe(book.gross - book.benchmark_return, settings.periods_per_year)
    count = names_ranked(scores, settings)
    return sharpe(returns_of_ranking(scores.from_highest, count, market, settings, h).gross, settings.periods_per_year)


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
