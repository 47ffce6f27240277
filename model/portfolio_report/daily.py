"""From stored predictions to daily figures: every model on the same stocks and days.

A row (stock, day, horizon) counts only if every model predicted it, so that no model is judged on easier names than
another. Rows whose label is missing still have a place in the portfolio, for nobody knew on the day.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from model.errors import DataError
from model.metrics.decile import daily_deciles
from model.metrics.ic import daily_hit_rate, daily_ic
from model.portfolio.book import CASH, Simulation, simulate
from model.portfolio.costs import COMPONENTS
from model.portfolio.fills import REASONS
from model.portfolio.market import Floats, Grid, Market, dense_grid, dense_scores
from model.portfolio_report.inputs import Inputs
from model.portfolio_report.settings import PortfolioSettings

KEY = ("Date", "model", "horizon")
COSTS = tuple(f"cost_{name}" for name in COMPONENTS)
BOOK_COLUMNS = ("gross", "net", "turnover", "exposure", "net_exposure", "benchmark", *COSTS)
_RETURNS = {"Date": pl.Date, "horizon": pl.Int32, **dict.fromkeys(BOOK_COLUMNS, pl.Float64)}


@dataclass(frozen=True)
class BookFacts:
    """What one simulated book says beside its daily figures."""

    missing_returns: int = 0
    """Returns that were missing."""
    unfilled: tuple[int, ...] = (0,) * len(REASONS)
    """Orders that were not filled, by ``REASONS``."""
    unsolved_days: int = 0
    """Days without a solution of the optimiser."""
    capacity: float | None = None
    """In currency units."""
    benchmark: str = CASH

    @classmethod
    def of(cls, book: Simulation) -> "BookFacts":
        """Of a simulation."""
        orders = tuple(int(count) for count in book.unfilled.orders.sum(axis=1))
        return cls(book.missing_returns, orders, book.unsolved_days, book.capacity, book.benchmark)


@dataclass(frozen=True)
class DailyFigures:
    """What every figure of the report is computed from."""

    table: pl.DataFrame
    """Date, model, horizon, n (stocks with label), ic, rank_ic, hit_rate and ``BOOK_COLUMNS`` (shares of capital);
    sorted by ``KEY``. Null where a day has no such figure."""
    deciles: pl.DataFrame
    """horizon, Date, model, decile, n, excess: at the headline horizon, and at every horizon of the models shown in
    detail."""
    books: dict[str, dict[int, BookFacts]]
    """By model and horizon."""
    coverage: dict[str, int]
    """Rows predicted by each model, and those predicted by all."""
    models: tuple[str, ...]
    horizons: tuple[int, ...]
    scores: dict[str, Floats]
    """[T, N] of the models shown in detail at the headline horizon (of the first path), NaN where there is none."""
    positions: dict[str, Floats]
    """[T, N] weights held over each day by their books (the mean over the paths); empty without a market."""


def rows_of(daily: DailyFigures, model: str, horizon: int) -> pl.DataFrame:
    """The daily rows of one model and horizon, sorted by date."""
    return daily.table.filter((pl.col("model") == model) & (pl.col("horizon") == horizon)).sort("Date")


def common_rows(inputs: Inputs) -> pl.DataFrame:
    """The prediction rows that every model has.

    Raises:
        DataError: there is none.
    """
    there = [pl.col(model).is_not_null() for model in inputs.models]
    common = inputs.predictions.filter(pl.all_horizontal(there))
    if common.height == 0:
        counts = ", ".join(f"{model} {inputs.predictions[model].count()}" for model in inputs.models)
        raise DataError(
            f"No stock, day and horizon is predicted by every model (rows by model: {counts}), so nothing can be "
            "compared. Compute baseline and validation_predictions of the same folds again."
        )
    return common


def figures_by_path(
    inputs: Inputs,
    common: pl.DataFrame,
    market: Market | None,
    settings: PortfolioSettings,
    progress: Callable[[str], None] = lambda note: None,
) -> tuple[DailyFigures, ...]:
    """Daily correlations and simulated portfolios of every model and horizon, on each backtest path.

    Args:
        common: the rows that count, of ``common_rows``.
        market: the test days, of ``dense_market``; without it there are no portfolios.
    """
    return tuple(
        _daily_figures(inputs, common.filter(pl.col("path") == path), market, settings, progress)
        for path in inputs.paths
    )


def averaged(paths: Sequence[DailyFigures]) -> DailyFigures:
    """The mean of each daily figure over the paths: what capital spread evenly over their portfolios earns."""
    if len(paths) == 1:
        return paths[0]
    tables = pl.concat([each.table for each in paths])
    deciles = pl.concat([each.deciles for each in paths])
    books = {
        model: {h: _together([each.books[model][h] for each in paths]) for h in by_horizon}
        for model, by_horizon in paths[0].books.items()
    }
    means = pl.exclude("n", *KEY).mean()
    return replace(
        paths[0],
        table=tables.group_by(KEY).agg(pl.col("n").max(), means).select(paths[0].table.columns).sort(KEY),
        deciles=deciles.group_by("horizon", "Date", "model", "decile")
        .agg(pl.col("n").max(), pl.col("excess").mean())
        .sort("model", "horizon", "Date", "decile"),
        books=books,
        positions={model: np.mean([each.positions[model] for each in paths], axis=0) for model in paths[0].positions},
    )


def _together(paths: Sequence[BookFacts]) -> BookFacts:
    """Counts add up over the paths; a capacity is the mean of those that are known."""
    known = [each.capacity for each in paths if each.capacity is not None]
    return BookFacts(
        sum(each.missing_returns for each in paths),
        tuple(sum(each) for each in zip(*(path.unfilled for path in paths), strict=True)),
        sum(each.unsolved_days for each in paths),
        sum(known) / len(known) if known else None,
        paths[0].benchmark,
    )


def _daily_figures(
    inputs: Inputs,
    common: pl.DataFrame,
    market: Market | None,
    settings: PortfolioSettings,
    progress: Callable[[str], None],
) -> DailyFigures:
    parts: list[pl.DataFrame] = []
    deciles: list[pl.DataFrame] = []
    facts: dict[str, dict[int, BookFacts]] = {}
    scores: dict[str, Floats] = {}
    positions: dict[str, Floats] = {}
    grid: Grid = market or dense_grid(common)
    for model in inputs.models:
        progress(model)
        books: dict[int, Simulation] = {}
        for h in inputs.horizons:
            detailed = model in inputs.shown and h == settings.headline_horizon
            if market or detailed:
                found = dense_scores(common.filter(pl.col("horizon") == h), model, grid)
                books |= {h: simulate(found, market, settings, h, keep_positions=detailed)} if market else {}
            if detailed:
                scores[model] = found
        held = books.get(settings.headline_horizon)
        if held is not None and held.positions is not None:
            positions[model] = held.positions
        returns = _returns(market, books) if market else pl.DataFrame(schema=_RETURNS)
        parts.append(_table(common, model, returns, settings))
        facts[model] = {h: BookFacts.of(books[h]) if market else BookFacts() for h in inputs.horizons}
        wanted = inputs.horizons if model in inputs.shown else (settings.headline_horizon,)
        rows = common.filter(pl.col("horizon").is_in(wanted))
        own = daily_deciles(rows, model, "label", ("horizon", "Date"), min_names=settings.min_names)
        deciles.append(own.select("horizon", "Date", pl.lit(model).alias("model"), "decile", "n", "excess"))
    coverage = {model: int(inputs.predictions[model].count()) for model in inputs.models}
    return DailyFigures(
        table=pl.concat(parts).sort(KEY),
        deciles=pl.concat(deciles),
        books=facts,
        coverage=coverage | {"common": common.height},
        models=inputs.models,
        horizons=inputs.horizons,
        scores=scores,
        positions=positions,
    )


def _returns(market: Market, books: dict[int, Simulation]) -> pl.DataFrame:
    """Date, horizon and what the portfolio of each horizon did."""
    return pl.concat(
        [
            pl.DataFrame(
                {
                    "Date": market.dates,
                    "horizon": np.full(len(market.dates), h, dtype=np.int32),
                    **{name: getattr(book, name) for name in ("gross", "net", "turnover", "exposure", "net_exposure")},
                    "benchmark": book.benchmark_return,
                    **{f"cost_{name}": getattr(book.costs, name) for name in COMPONENTS},
                },
                schema=_RETURNS,
            )
            for h, book in books.items()
        ]
    )


def _table(common: pl.DataFrame, model: str, returns: pl.DataFrame, settings: PortfolioSettings) -> pl.DataFrame:
    sections = ("horizon", "Date")
    figures = daily_ic(common, model, "label", sections, settings.min_names).join(
        daily_hit_rate(common, model, "label", sections, settings.min_names).drop("n"), on=sections
    )
    joined = figures.with_columns(pl.col("horizon").cast(pl.Int32)).join(
        returns, on=sections, how="full", coalesce=True
    )
    order = ("n", "ic", "rank_ic", "hit_rate", *BOOK_COLUMNS)
    return joined.select("Date", pl.lit(model).alias("model"), "horizon", *order)
