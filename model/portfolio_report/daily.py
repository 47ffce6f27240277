"""From stored predictions to daily figures: every model on the same stocks and days.

A row (stock, day, horizon) counts only if every model predicted it, so that no model is judged on easier names than
another. Rows whose label is missing still have a place in the portfolio, for nobody knew on the day.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from model.errors import DataError
from model.metrics.ranked import Agreement, Sorted, agreement
from model.portfolio.book import CASH, Simulation, simulate
from model.portfolio.costs import COMPONENTS
from model.portfolio.fills import REASONS
from model.portfolio.market import Flags, Floats, Grid, Ints, Market, Rows, dense_grid
from model.portfolio_report.inputs import Inputs
from model.portfolio_report.settings import PortfolioSettings

KEY = ("Date", "model", "horizon")
COSTS = tuple(f"cost_{name}" for name in COMPONENTS)
BOOK_COLUMNS = ("gross", "net", "turnover", "exposure", "net_exposure", "benchmark", *COSTS)
GROUPS = 10
"""Equal groups of each day's predictions: deciles."""
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
    grid: Grid
    """The market's days and codes; without a market, those of the common rows."""
    scores: dict[str, Sorted]
    """[T, N] of the models shown in detail at the headline horizon (of the first path)."""
    labels: dict[int, Sorted]
    """[T, N] by horizon (of the first path)."""
    universe: dict[int, Flags]
    """[T, N] by horizon, the stocks that every model ranks (of the first path)."""
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
    panel = _Panel.of(common, inputs.horizons, market)
    parts: list[pl.DataFrame] = []
    deciles: list[pl.DataFrame] = []
    facts: dict[str, dict[int, BookFacts]] = {}
    scores: dict[str, Sorted] = {}
    positions: dict[str, Floats] = {}
    for model in inputs.models:
        progress(model)
        facts[model] = {}
        for h in inputs.horizons:
            own = Sorted.of(panel.rows[h].floats(model))
            detailed = model in inputs.shown and h == settings.headline_horizon
            grouped = model in inputs.shown or h == settings.headline_horizon
            found = agreement(own, panel.labels[h], settings.min_names, GROUPS if grouped else None)
            deciles += [_deciles(panel, found, model, h)] if grouped else []
            own = own.days(panel.on_market)
            book = None
            if market:
                book = simulate(own, market, settings, h, keep_positions=detailed)
            parts.append(_table(panel, found, model, h, _returns(market, book, h)))
            facts[model][h] = BookFacts.of(book) if book else BookFacts()
            if detailed:
                scores[model] = own
                positions |= {} if book is None or book.positions is None else {model: book.positions}
    coverage = {model: int(inputs.predictions[model].count()) for model in inputs.models}
    return DailyFigures(
        table=pl.concat(parts).sort(KEY),
        deciles=pl.concat(deciles),
        books=facts,
        coverage=coverage | {"common": common.height},
        models=inputs.models,
        horizons=inputs.horizons,
        grid=market or panel.grid,
        scores=scores,
        labels={h: own.days(panel.on_market) for h, own in panel.labels.items()},
        universe={h: own[panel.on_market] for h, own in panel.universe.items()},
        positions=positions,
    )


@dataclass(frozen=True)
class _Panel:
    """The common rows of one path as arrays [D, N], and the labels of each horizon in order."""

    grid: Grid
    """Days with rows or a market."""
    on_market: Ints
    """Rows of the market's days; all of them without a market."""
    rows: dict[int, Rows]
    universe: dict[int, Flags]
    labels: dict[int, Sorted]

    @classmethod
    def of(cls, common: pl.DataFrame, horizons: Sequence[int], market: Market | None) -> "_Panel":
        grid: Grid = dense_grid(common) if market is None else market
        predicted = common["Date"].unique()
        if market is not None and not predicted.is_in(pl.Series(market.dates, dtype=pl.Date).implode()).all():
            grid = Grid(tuple(sorted({*market.dates, *predicted.to_list()})), market.codes)
        on_market = np.arange(len(grid.dates))
        if market is not None and len(grid.dates) > len(market.dates):
            on_market = np.searchsorted(
                np.array(grid.dates, dtype="datetime64[D]"), np.array(market.dates, dtype="datetime64[D]")
            )
        alone = len(horizons) == 1
        rows = {h: Rows.on(common if alone else common.filter(pl.col("horizon") == h), grid) for h in horizons}
        universe = {h: own.there for h, own in rows.items()}
        return cls(grid, on_market, rows, universe, {h: Sorted.of(own.floats("label")) for h, own in rows.items()})


def _deciles(panel: _Panel, found: Agreement, model: str, horizon: int) -> pl.DataFrame:
    """horizon, Date, model, decile (1 holds the lowest predictions), n and excess."""
    if found.decile_excess is None or found.decile_n is None:
        raise ValueError("figures without groups have no deciles")
    days = np.flatnonzero(found.decile_n.any(axis=1))
    groups = found.decile_n.shape[1]
    return pl.DataFrame(
        {
            "horizon": np.full(len(days) * groups, horizon, dtype=np.int32),
            "Date": pl.Series(panel.grid.dates, dtype=pl.Date).gather(np.repeat(days, groups)),
            "model": pl.repeat(model, len(days) * groups, eager=True),
            "decile": np.tile(np.arange(1, groups + 1, dtype=np.int32), len(days)),
            "n": found.decile_n[days].ravel(),
            "excess": found.decile_excess[days].ravel(),
        }
    )


def _returns(market: Market | None, book: Simulation | None, horizon: int) -> pl.DataFrame:
    """Date, horizon and what the portfolio did."""
    if market is None or book is None:
        return pl.DataFrame(schema=_RETURNS)
    return pl.DataFrame(
        {
            "Date": market.dates,
            "horizon": np.full(len(market.dates), horizon, dtype=np.int32),
            **{name: getattr(book, name) for name in ("gross", "net", "turnover", "exposure", "net_exposure")},
            "benchmark": book.benchmark_return,
            **{f"cost_{name}": getattr(book.costs, name) for name in COMPONENTS},
        },
        schema=_RETURNS,
    )


def _table(panel: _Panel, found: Agreement, model: str, horizon: int, returns: pl.DataFrame) -> pl.DataFrame:
    """The daily rows of one model and horizon: days with predictions or a portfolio."""
    days = np.flatnonzero(panel.universe[horizon].any(axis=1))
    figures = pl.DataFrame(
        {
            "Date": pl.Series(panel.grid.dates, dtype=pl.Date).gather(days),
            "horizon": np.full(len(days), horizon, dtype=np.int32),
            "n": found.n[days],
            **{name: getattr(found, name)[days] for name in ("ic", "rank_ic", "hit_rate")},
        }
    ).with_columns(pl.col("ic", "rank_ic", "hit_rate").fill_nan(None))
    joined = figures.join(returns, on=("horizon", "Date"), how="full", coalesce=True)
    order = ("n", "ic", "rank_ic", "hit_rate", *BOOK_COLUMNS)
    return joined.select("Date", pl.lit(model).alias("model"), "horizon", *order)
