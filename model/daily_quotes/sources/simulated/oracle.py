"""The reachable oracle: the expectation of a label given what anybody could observe up to t.

It knows the market's true structure (clusters, leaders, the form of each signal) and computes each part from the
observed panel and from the published statements, so its IC is the most that a model could reach, not what a hidden
state would give.

For one day ahead the expectation is the planted one, in closed form. For h days ahead each part p contributes
c_{p,h} times its one-day value; the c are fitted by ridge regression (shrunk towards 1, the contribution of the first
day) on days s with s + h <= t only, again every half year.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.clock import Dates
from model.daily_quotes.sources.simulated.market import expectation
from model.daily_quotes.sources.simulated.observables import ObservableState, part_weights
from model.daily_quotes.sources.simulated.statements import surprise_signal
from model.daily_quotes.sources.simulated.structure import Structure, structure
from model.errors import DataError

REFIT_DAYS = 126
_SHRINKAGE = 4.0
_FEWEST_NAMES = 20

Matrix = NDArray[np.float64]


def oracle(panel: pl.DataFrame, settings: SimulatedSource, horizons: Sequence[int]) -> pl.DataFrame:
    """Date, Code and ``oracle_{h}`` for each horizon in trading days, one row for each row of the panel.

    Args:
        panel: rows of ``raw_dataset`` (Date, Code, AdjClose, AdjVolume, Tradable), sorted by Date and Code, from the
            market's first day on.
        settings: the settings that the market was simulated with.

    Returns:
        The oracle's expectation of the simple return over h days; null where the row has no close.

    Raises:
        DataError: the panel holds codes that are not in the simulated market.
    """
    fixed = structure(settings)
    day, stock = _positions(panel, fixed)
    days = int(day.max()) + 1 if len(day) else 0
    close = _grid(panel["AdjClose"], day, stock, days, fixed.size)
    traded = pl.Series(np.where(panel["Tradable"].to_numpy(), 1.0, np.nan))
    volume = _grid(panel["AdjVolume"].cast(pl.Float64) * traded, day, stock, days, fixed.size)
    dates = panel["Date"].unique().sort().to_numpy()
    parts = _weighted_parts(close, volume, dates, fixed, settings)
    columns = {}
    for horizon in horizons:
        values = _expected(parts, close, fixed, horizon)
        known = np.where(np.isnan(close), np.nan, values)[day, stock]
        columns[f"oracle_{horizon}"] = pl.Series(known, nan_to_null=True)
    return panel.select("Date", "Code").with_columns(**columns)


def _positions(panel: pl.DataFrame, fixed: Structure) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    known = pl.DataFrame({"Code": fixed.codes, "stock": np.arange(fixed.size)}, schema_overrides={"Code": pl.String})
    stock = panel.select("Code").join(known, on="Code", how="left", maintain_order="left")["stock"]
    if stock.null_count():
        strange = panel["Code"].filter(stock.is_null()).unique().sort().to_list()
        raise DataError(
            f"The panel holds {len(strange)} codes that the simulated market does not have, the first {strange[0]!r} "
            f"(of {panel.height} rows {stock.null_count()} are theirs). The oracle needs the settings that the market "
            "was simulated with: run `gogooku refresh`."
        )
    day = panel["Date"].rank("dense").cast(pl.Int64).to_numpy() - 1
    return day, stock.to_numpy()


def _grid(column: pl.Series, day: NDArray[np.int64], stock: NDArray[np.int64], days: int, stocks: int) -> Matrix:
    grid = np.full((days, stocks), np.nan)
    grid[day, stock] = column.fill_null(np.nan).to_numpy()
    return grid


def _weighted_parts(close: Matrix, volume: Matrix, dates: Dates, fixed: Structure, settings: SimulatedSource) -> Matrix:
    """[T, parts, N]: each part of the expected next return, in units of the stock's relative volatility."""
    surprise = None
    if settings.statement_strength and len(dates):
        surprise = surprise_signal(settings, fixed, dates)
    weights = part_weights(settings)
    planted = np.flatnonzero(weights)
    state = ObservableState(fixed)
    before = np.full(fixed.size, np.nan)
    days = []
    for day, (now, traded) in enumerate(zip(close, volume, strict=True)):
        parts = state.update(now / before - 1.0, traded, None if surprise is None else surprise[day])
        days.append(weights[planted, np.newaxis] * parts[planted])
        before = now
    return np.stack(days) if days else np.zeros((0, len(planted), fixed.size))


def _expected(parts: Matrix, close: Matrix, fixed: Structure, horizon: int) -> Matrix:
    """[T, N]: the expected return over ``horizon`` days."""
    count = parts.shape[1]
    values = np.empty_like(close)
    contributions: Matrix = np.ones((count, 1))
    gram: Matrix = _SHRINKAGE * np.eye(count)
    moment: Matrix = _SHRINKAGE * np.ones(count)
    for day in range(len(close)):
        resolved = day - horizon
        if horizon > 1 and count and resolved >= 0:
            outcome = (close[day] / close[resolved] - 1.0) / fixed.relative_volatility
            known = np.flatnonzero(~np.isnan(outcome))
            if len(known) >= _FEWEST_NAMES:
                x = _centred(parts[resolved][:, known])
                gram = gram + np.einsum("pn,qn->pq", x, x)
                moment = moment + np.einsum("pn,n->p", x, _centred(outcome[known]))
            if (resolved + 1) % REFIT_DAYS == 0:
                contributions = np.linalg.solve(gram, moment).astype(np.float64)[:, np.newaxis]
        values[day] = expectation(parts[day], contributions, fixed)
    return values


def _centred(values: Matrix) -> Matrix:
    centred: Matrix = values - values.mean(axis=-1, keepdims=True)
    return centred
