"""The market of the test days as dense arrays: what a book earns, and what stands in the way of its orders.

The row of day t speaks of the time from t to the next trading day. Days of the table that are no test days show where
runs of consecutive test days end, and give volatility and covariance their history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.errors import DataError
from model.metrics.order import span

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

VOLATILITY_DAYS = 20
VOLATILITY_MIN_DAYS = 10
TYPICAL_VOLATILITY = 0.02
"""Daily volatility of a stock on a day on which nobody's is known yet."""
NO_SECTOR = -1
_BLOCK = 64


@dataclass(frozen=True)
class Run:
    """Consecutive trading days among the test days, [t, N] arrays; missing returns are 0."""

    days: slice
    returns: Floats
    """Close to next close."""
    entry_returns: Floats
    """Entry price to next close."""
    overnight: Floats
    """Close to entry price; 0 for entries at the close."""

    @cached_property
    def growth(self) -> Floats:
        """[t + 1, N] value at the start of each day, and at the end of the last, of 1 held since the first."""
        value = np.ones((len(self.returns) + 1, self.returns.shape[1]))
        np.cumprod(1.0 + self.returns, axis=0, out=value[1:])
        return value

    @cached_property
    def growth_earned(self) -> Floats:
        """[t, N] what the day adds to ``growth``."""
        return np.asarray(self.growth[:-1] * self.returns, dtype=np.float64)

    @cached_property
    def first_day(self) -> Floats:
        """[t, N] ``(1 + entry) / growth`` at the day's end: a new position in units of ``growth``."""
        return np.asarray((1.0 + self.entry_returns) / self.growth[1:], dtype=np.float64)


@dataclass(frozen=True)
class Grid:
    """T days by N codes, both in order."""

    dates: tuple[date, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Market(Grid):
    """T test days whose next day is known, N codes; D days of the whole table."""

    runs: tuple[Run, ...]
    """The returns, cut where the test days are not consecutive."""
    missing: Flags
    """[T, N] the close-to-close return is missing."""
    missing_entry: Flags
    """[T, N] the entry return is missing."""
    unpriced: Flags
    """[T, N] there is no close on the day: the returns into it and out of it are missing (before gaps were closed)."""
    entry_at_close: bool
    """Entries are filled at the close of the day itself: the entry return is that from close to close."""
    no_entry: Flags
    """[T] nobody has an entry price, for the exchange stood still."""
    can_buy: Flags
    """[T, N] an order of the day could be filled at the entry price."""
    can_sell: Flags
    ended: Flags
    """[T, N] the stock has no return on this day or later: it is settled at its last price."""
    calendar_returns: Floats
    """[D, N] close-to-close returns, NaN where missing."""
    day: Ints
    """[T] row of each test day in ``calendar_returns``; rows before it were known on the day."""
    traded_value: Floats | None
    """[T, N] median traded value of the last 20 days in currency units (column turnover_20)."""
    price: Floats | None
    """[T, N] close as traded (column price)."""
    sector: NDArray[np.int16] | None
    """[T, N] position in ``sectors``, ``NO_SECTOR`` where there is none (column Sector)."""
    sectors: tuple[str, ...]

    def shut(self, exit_at_entry: bool) -> Flags:
        """[T] nobody has a price to leave at: what should be sold stays until there is one."""
        return self.no_entry if exit_at_entry else np.asarray(self.unpriced.all(axis=1))

    @cached_property
    def volatility(self) -> Floats:
        """[T, N] std of the last daily returns known on the day, NaN where too few."""
        return trailing_volatility(self.calendar_returns)[span(self.day)]

    @cached_property
    def known_volatility(self) -> Floats:
        """[T, N] volatility; the day's median stands in where a stock has too few returns yet, and
        ``TYPICAL_VOLATILITY`` where all have."""
        return _with_typical(self.volatility, TYPICAL_VOLATILITY)

    @cached_property
    def known_traded_value(self) -> Floats:
        """[T, N] traded value above 0; the day's least stands in for 0, and the day's median where nothing is known.

        Raises:
            DataError: the market has no traded values.
        """
        value = self.needed("traded_value")
        if not (value == 0.0).any():
            return _with_typical(value)
        least = np.where(value > 0.0, value, np.inf).min(axis=1, keepdims=True)
        return _with_typical(np.where(value == 0.0, np.where(np.isfinite(least), least, np.nan), value))

    def needed(self, name: Literal["traded_value", "price"]) -> Floats:
        """An optional array that a setting asks for.

        Raises:
            DataError: the market table lacked its column.
        """
        found: Floats | None = getattr(self, name)
        if found is None:
            column = {"traded_value": "turnover_20", "price": "price"}[name]
            raise DataError(
                f"The market table has no column {column}, which lots, volume caps or impact need. Hand it in with the "
                "market, or leave portfolio.execution and portfolio.costs.impact_coefficient at their defaults."
            )
        return found


def dense_market(
    market: pl.DataFrame, test_dates: Sequence[date], suspended: Literal["flat", "gap"] = "flat"
) -> Market:
    """Lay the market of the test days out as arrays.

    Args:
        market: Date, Code, return_next, entry_return_next, can_buy_next, can_sell_next; unique by (Date, Code). Where
            there, also turnover_20, Sector, ``price`` (close as traded) and ``close`` (adjusted close, null without a
            trade, for ``suspended="gap"``).
        suspended: whether the first return after days without price is lost or holds the whole gap.

    Raises:
        DataError: no test day with a known next day, a return of -100 % or less, or gaps asked for without ``close``.
    """
    calendar = market["Date"].unique().sort()
    codes = tuple(market["Code"].unique().sort().to_list())
    day = np.searchsorted(calendar.to_physical().to_numpy(), market["Date"].to_physical().to_numpy())
    grid = Rows(market, day, code_positions(market["Code"], codes), (len(calendar), len(codes)))
    returns, entry = grid.floats("return_next"), grid.floats("entry_return_next")
    if min(_lowest(returns), _lowest(entry)) <= -1.0:
        raise DataError(
            "validation_predictions/market.parquet holds a return of -100 % or less: prices must be positive."
        )
    kept = _kept_days(calendar, returns, test_dates)
    test = span(kept)
    unpriced = np.isnan(returns)
    unpriced[1:] &= unpriced[:-1].copy()
    at_close = np.array_equal(returns, entry, equal_nan=True)
    no_entry = np.asarray((unpriced if at_close else np.isnan(entry))[test].all(axis=1))
    if suspended == "gap":
        if "close" not in market.columns:
            raise DataError(
                "portfolio.execution.suspended = gap needs the column close (adjusted) in the market table. Hand it "
                "in, or use flat."
            )
        returns = _with_gaps(returns, grid.floats("close"))
    sector, sectors = grid.sectors(test)
    starts = np.flatnonzero(np.diff(kept, prepend=kept[0] - 2) > 1)
    later = np.logical_or.accumulate((~np.isnan(returns) | ~np.isnan(entry))[::-1])[::-1]
    return Market(
        dates=tuple(calendar.gather(kept).to_list()),
        codes=codes,
        runs=tuple(
            _run(slice(int(a), int(b)), returns[span(kept[a:b])], entry[span(kept[a:b])], at_close)
            for a, b in zip(starts, np.append(starts[1:], len(kept)), strict=True)
        ),
        missing=np.isnan(returns[test]),
        missing_entry=np.isnan(entry[test]),
        unpriced=unpriced[test],
        entry_at_close=at_close,
        no_entry=no_entry,
        can_buy=grid.flags("can_buy_next")[test] & ~no_entry[:, None],
        can_sell=grid.flags("can_sell_next")[test] & ~no_entry[:, None],
        ended=~later[test],
        calendar_returns=returns,
        day=kept,
        traded_value=grid.floats("turnover_20")[test] if "turnover_20" in market.columns else None,
        price=grid.floats("price")[test] if "price" in market.columns else None,
        sector=sector,
        sectors=sectors,
    )


def dense_grid(predictions: pl.DataFrame) -> Grid:
    """The days and codes of a table with Date and Code."""
    days, codes = (predictions[name].unique().sort().to_list() for name in ("Date", "Code"))
    return Grid(tuple(days), tuple(codes))


def code_positions(codes: pl.Series, known: Sequence[str]) -> Ints:
    """Position of each code in a sorted list.

    Raises:
        DataError: a code is not in the list.
    """
    try:
        positions = codes.cast(pl.Enum(list(known))).to_physical()
    except pl.exceptions.InvalidOperationError as error:
        strangers = sorted(set(codes.unique().to_list()) - set(known))
        raise DataError(
            f"{len(strangers)} predicted codes (the first: {strangers[:3]}) have no row in market.parquet. "
            "Compute validation_predictions again."
        ) from error
    return positions.to_numpy().astype(np.int64)


def trailing_volatility(returns: Floats) -> Floats:
    """[D, N] std of the last ``VOLATILITY_DAYS`` returns that ended on or before the day (row t ends on day t + 1)."""
    result = np.empty_like(returns)
    for start in range(0, len(returns), _BLOCK):
        stop = min(start + _BLOCK, len(returns))
        first = max(start - VOLATILITY_DAYS, 0)
        before = np.full((stop - start - 1 + VOLATILITY_DAYS, returns.shape[1]), np.nan)
        before[len(before) - (stop - 1 - first) :] = returns[first : stop - 1]
        result[start:stop] = _window_std(before, stop - start)
    return result


def _window_std(padded: Floats, days: int) -> Floats:
    """Std of ``VOLATILITY_DAYS`` rows from each of the first ``days`` rows on."""
    known = ~np.isnan(padded)
    filled = np.where(known, padded, 0.0)
    windows = [slice(lag, lag + days) for lag in range(VOLATILITY_DAYS)]
    count, total = np.zeros((days, padded.shape[1])), np.zeros((days, padded.shape[1]))
    for window in windows:
        count += known[window]
        total += filled[window]
    mean = total / np.maximum(count, 1.0)
    squares = np.zeros_like(mean)
    for window in windows:
        squares += known[window] * (filled[window] - mean) ** 2
    return np.where(count >= VOLATILITY_MIN_DAYS, np.sqrt(squares / np.maximum(count - 1.0, 1.0)), np.nan)


class Rows:
    """The way from rows to [days, codes]."""

    def __init__(self, table: pl.DataFrame, day: Ints, code: Ints, shape: tuple[int, int]) -> None:
        self._table, self._shape = table, shape
        place = day * shape[1] + code
        self._whole = len(place) == shape[0] * shape[1] and bool((np.diff(place) == 1).all())
        self._place = place

    @classmethod
    def on(cls, table: pl.DataFrame, grid: Grid) -> "Rows":
        """The rows of a table with Date and Code that lie on a grid.

        Raises:
            DataError: a code is not on the grid.
        """
        calendar = pl.Series(grid.dates, dtype=pl.Date)
        if table["Date"].n_unique() != len(calendar) or not table["Date"].is_in(calendar.implode()).all():
            table = table.filter(pl.col("Date").is_in(calendar.implode()))
        day = np.searchsorted(calendar.to_physical().to_numpy(), table["Date"].to_physical().to_numpy())
        return cls(table, day, code_positions(table["Code"], grid.codes), (len(grid.dates), len(grid.codes)))

    @cached_property
    def there(self) -> Flags:
        """Where there is a row."""
        return np.asarray(self._laid(np.ones(self._table.height, dtype=np.bool_), False))

    def floats(self, column: str) -> Floats:
        """A column; NaN where there is none."""
        values = self._table[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return np.asarray(self._laid(values, np.nan), dtype=np.float64)

    def flags(self, column: str) -> Flags:
        """A column; False where there is none."""
        values = self._table[column].cast(pl.Boolean).fill_null(False).to_numpy()
        return np.asarray(self._laid(values, False), dtype=np.bool_)

    def _laid(self, values: NDArray[Any], absent: Any) -> NDArray[Any]:
        if self._whole:  # every day has every code, in order
            return values.reshape(self._shape)
        grid = np.full(self._shape, absent, dtype=values.dtype)
        grid.ravel()[self._place] = values
        return grid

    def sectors(self, days: Ints | slice) -> tuple[NDArray[np.int16] | None, tuple[str, ...]]:
        """Sector of some days as positions in the names, ``NO_SECTOR`` where there is none, and the names."""
        if "Sector" not in self._table.columns:
            return None, ()
        names = tuple(self._table["Sector"].drop_nulls().unique().sort().to_list())
        number = self._table["Sector"].cast(pl.Enum(list(names))).to_physical().cast(pl.Int16).fill_null(NO_SECTOR)
        return np.asarray(self._laid(number.to_numpy(), NO_SECTOR), dtype=np.int16)[days], names


def _kept_days(calendar: pl.Series, returns: Floats, test_dates: Sequence[date]) -> Ints:
    """Rows of the test days up to the last whose next day is known: an outage before it is a day like any other."""
    known = np.flatnonzero(~np.isnan(returns).all(axis=1))
    kept = np.flatnonzero(calendar.is_in(pl.Series(list(test_dates), dtype=pl.Date).implode()).to_numpy())
    kept = np.asarray(kept[kept <= known.max(initial=-1)], dtype=np.int64)
    if len(kept) == 0:
        raise DataError(
            f"None of the {len(test_dates)} test days has a following day in market.parquet, so there is nothing to "
            "simulate a portfolio on. Update the data or end the last fold earlier."
        )
    return kept


def _run(days: slice, returns: Floats, entry: Floats, at_close: bool) -> Run:
    filled, filled_entry = np.nan_to_num(returns), np.nan_to_num(entry)
    # Without an entry price the whole return comes before it; at the close nothing does, whatever gap was closed.
    overnight = np.where(np.isnan(returns) | at_close, 0.0, (1.0 + filled) / (1.0 + filled_entry) - 1.0)
    return Run(days, filled, filled_entry, overnight)


def _lowest(values: Floats) -> float:
    return float(np.fmin.reduce(values, axis=None, initial=0.0))


def _with_gaps(returns: Floats, close: Floats) -> Floats:
    """Returns into a day with price from the last price before it, however long ago."""
    days = np.arange(len(close))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(close), -1, days), axis=0)
    before = np.take_along_axis(close, np.maximum(last, 0), axis=0)
    gap = np.full_like(returns, np.nan)
    gap[:-1] = np.where(last[:-1] >= 0, close[1:] / before[:-1] - 1.0, np.nan)
    return np.where(np.isnan(returns), gap, returns)


def _with_typical(values: Floats, otherwise: float = 1.0) -> Floats:
    """Values; the day's median stands in where there is none above 0, and ``otherwise`` on a day without any."""
    known = np.isfinite(values) & (values > 0)
    gaps = np.flatnonzero(~known.all(axis=1))
    if not len(gaps):
        return values
    typical = np.full(len(values), otherwise)
    typical[gaps] = [np.median(values[row][known[row]]) if known[row].any() else otherwise for row in gaps]
    return np.where(known, values, typical[:, None])
