"""Labels: what happens after day t, and whether it could have been traded.

Everything here looks forward from t, on adjusted prices and over trading days of the panel's calendar; nothing here
may enter the feature table. A label is null where a price, the listing or the tradability at either end is missing,
and where the return between two prices is too large to be a number.

Entry conventions:

- ``close_to_close``: ``target_h = C[t+h] / C[t] - 1``; the position starts at the very close that the features see.
- ``next_open``: ``target_h = C[t+h] / O[t+1] - 1``; the position starts at the first price that can still be traded.

Whether an order is filled is a question to the day of that price: a close that is locked at the upper limit is real and
enters the labels, and nobody can buy at it.
"""

from datetime import date
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.labels.settings import LabelSettings
from model.quality_features.dense import DensePanel, check_panel, densify
from model.quality_features.windows import Array
from model.quality_features.windows_sorted import quantile

PANEL_COLUMNS = (
    "Date",
    "Code",
    "AdjOpen",
    "Close",
    "AdjClose",
    "TurnoverValue",
    "Tradable",
    "LimitUp",
    "LimitDown",
    "Sector",
    "InUniverse",
)
"""What the labels read of the panel."""
MARKET_NAMES = (
    "return_next",
    "entry_return_next",
    "can_buy_next",
    "can_sell_next",
    "Sector",
    "turnover_20",
    "price",
    "close",
)
"""What a simulated portfolio needs to know of a row beside its label."""
TURNOVER_DAYS = 20
"""Trading days that a row reads back, its own included (for ``turnover_20``)."""

Kind = TypeVar("Kind", np.float64, np.bool_)


def reach(settings: LabelSettings) -> int:
    """Trading days after t that a row of t reads."""
    return max(settings.horizons)


def label_names(settings: LabelSettings) -> tuple[str, ...]:
    """The columns of a table of labels, after Date, Code and InUniverse."""
    targets = [name for h in settings.horizons for name in (f"target_{h}", f"resolved_{h}")]
    return (*targets, *MARKET_NAMES)


@np.errstate(over="ignore")  # what is not finite becomes null
def labels(panel: pl.DataFrame, settings: LabelSettings, first: date, last: date) -> pl.DataFrame:
    """Labels of every panel row dated ``first`` to ``last``, both included.

    Args:
        panel: rows of raw_dataset's panel sorted by (Date, Code), from 20 trading days back (``first`` included) to
            ``reach(settings)`` trading days after ``last``, or to the ends of the data. Its dates are the trading days.
            A code's labels read no other code.
        settings: horizons in trading days and the entry convention.
        first: first date of the result.
        last: last date of the result.

    Returns:
        Date, Code, InUniverse; per horizon ``target_h`` (Float64) and ``resolved_h`` (the date of t + h, null while
        that day is not in the panel); ``return_next`` (close t to close t+1), ``entry_return_next`` (entry price to
        close t+1), ``can_buy_next`` and ``can_sell_next`` (an order of t is filled at the entry price: its day, t or
        t+1, is tradable and not locked at the limit; null while t+1 is not in the panel), Sector, ``turnover_20``
        (median traded value of the last 20 days, known at t), ``price`` (close of t as traded) and ``close`` (adjusted;
        both null on a day without trading).

    Raises:
        DataError: the panel lacks a column or is not sorted and unique.
    """
    check_panel(panel, PANEL_COLUMNS)
    dense = densify(panel.select(PANEL_COLUMNS))
    rows = _Rows(dense, first, last)
    close = _positive(dense.column("AdjClose"))
    tradable = dense.flag("Tradable")
    entry_price, wait = _entry(dense, settings, close)
    entry_tradable = _ahead(tradable, wait, False)

    columns: list[pl.Series] = []
    for h in settings.horizons:
        tradable_at_both = entry_tradable & _ahead(tradable, h, False)
        target = np.where(tradable_at_both, _ahead(close, h, np.nan) / entry_price - 1.0, np.nan)
        columns += [rows.gather(f"target_{h}", target), rows.day_after(f"resolved_{h}", h)]
    next_close = _ahead(close, 1, np.nan)
    columns += [
        rows.gather("return_next", next_close / close - 1.0),
        rows.gather("entry_return_next", next_close / entry_price - 1.0),
        rows.known_next("can_buy_next", _ahead(tradable & ~dense.flag("LimitUp"), wait, False)),
        rows.known_next("can_sell_next", _ahead(tradable & ~dense.flag("LimitDown"), wait, False)),
        rows.frame["Sector"],
        rows.gather("turnover_20", _trailing_median(dense.column("TurnoverValue"), rows.days)),
        rows.gather("price", np.where(tradable, _positive(dense.column("Close")), np.nan)),
        rows.gather("close", np.where(tradable, close, np.nan)),
    ]
    return rows.frame.select("Date", "Code", pl.col("InUniverse").fill_null(False)).with_columns(columns)


class _Rows:
    """The panel rows of the result and the way from the grid to them."""

    def __init__(self, dense: DensePanel, first: date, last: date) -> None:
        self.days = slice(dense.position(first, "left"), dense.position(last, "right"))
        kept = (dense.row_day >= self.days.start) & (dense.row_day < self.days.stop)
        self.frame = dense.rows.filter(pl.Series(kept, dtype=pl.Boolean))
        self._day, self._code = dense.row_day[kept], dense.row_code[kept]
        self._dates = dense.dates

    def gather(self, name: str, grid: Array) -> pl.Series:
        """Float64 values of the rows, null for what is no finite number."""
        values = grid[self._day, self._code]
        return pl.Series(name, np.where(np.isfinite(values), values, np.nan), dtype=pl.Float64, nan_to_null=True)

    def day_after(self, name: str, days: int) -> pl.Series:
        """The trading day ``days`` later, null where the panel ends before it."""
        later = self._day + days
        known = later < len(self._dates)
        number = self._dates[np.where(known, later, 0)]
        return pl.Series(name, number, dtype=pl.Int32).set(pl.Series(~known), None).cast(pl.Date)

    def known_next(self, name: str, grid: NDArray[np.bool_]) -> pl.Series:
        """Flags of the rows, null where the panel has no next day."""
        known = self._day + 1 < len(self._dates)
        return pl.Series(name, grid[self._day, self._code], dtype=pl.Boolean).set(pl.Series(~known), None)


def _positive(price: Array) -> Array:
    return np.where(price > 0.0, price, np.nan)


def _entry(dense: DensePanel, settings: LabelSettings, close: Array) -> tuple[Array, int]:
    """Price a position opened on the signal of t starts from, and how many trading days after t it is made."""
    if settings.entry == "close_to_close":
        return close, 0
    return _ahead(_positive(dense.column("AdjOpen")), 1, np.nan), 1


def _ahead(x: NDArray[Kind], days: int, missing: float | bool) -> NDArray[Kind]:
    """The value ``days`` trading days later."""
    shifted = np.full_like(x, missing)
    if days < len(x):
        shifted[: len(x) - days] = x[days:]
    return shifted


def _trailing_median(x: Array, days: slice) -> Array:
    """Median of the values present in the last 20 days, on the given days only (NaN elsewhere)."""
    start = max(days.start - TURNOVER_DAYS + 1, 0)
    [median] = quantile(x[start : days.stop], [(TURNOVER_DAYS, 0.5)], days.stop - days.start).values()
    result = np.full_like(x, np.nan)
    result[days] = median.value
    return result
