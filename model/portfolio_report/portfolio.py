"""The simulated long-short portfolio: what the ranking would have earned, net of what it would have cost.

On day t, after the close, the best ``quantile`` of the day's universe is bought and the worst sold short: a sleeve,
held for h trading days and then closed. With overlapping sleeves each takes 1/h of the capital and one starts every
day; otherwise one sleeve takes all of it every h days. Inside its h days a sleeve is left alone: weights drift with
prices, so a sleeve without missing prices earns exactly the h-day return that the labels hold.

- An order is filled only where the stock can be bought (long) or sold (short) at the entry; what is not filled
  stays in cash, for nobody knew at t that it would not be.
- The first day earns the entry convention's return (``entry_return_next``), later days close to close.
- A missing return counts as 0 and is counted.
- Turnover is the sum of |traded weight|: an expiring sleeve is netted against the new one, and a full flip of both
  legs is four sides. At the end of a run of test days everything is sold, and that is charged too.
- A day with fewer than ``min_names`` predictions, or with a constant prediction, starts no sleeve.

Capital is a constant 1 (gains are not reinvested); the row of day t is earned from t to the next trading day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.errors import DataError
from model.portfolio_report.settings import PortfolioSettings

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

VOLATILITY_DAYS = 20
VOLATILITY_MIN_DAYS = 10
_BLOCK_CODES = 64


@dataclass(frozen=True)
class Run:
    """Consecutive trading days among the test days, [t, N] arrays; missing returns are 0."""

    days: slice
    returns: Floats
    """Close to next close."""
    entry_returns: Floats
    """Entry price to next close."""
    growth: Floats
    """[t + 1, N] value at the start of each day, and at the end of the last, of 1 held since the first."""
    first_day: Floats
    """``(1 + entry) / growth`` at the day's end: a new position in units of ``growth``."""

    @classmethod
    def of(cls, days: slice, returns: Floats, entry_returns: Floats) -> "Run":
        """Cut the run out of arrays over all test days."""
        growth = np.ones((days.stop - days.start + 1, returns.shape[1]))
        np.cumprod(1.0 + returns[days], axis=0, out=growth[1:])
        return cls(days, returns[days], entry_returns[days], growth, (1.0 + entry_returns[days]) / growth[1:])

    def of_codes(self, codes: slice) -> "Run":
        """The same days of some codes."""
        parts = (self.returns, self.entry_returns, self.growth, self.first_day)
        return Run(self.days, *(part[:, codes] for part in parts))


@dataclass(frozen=True)
class Grid:
    """T days by N codes, both in order."""

    dates: tuple[date, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Market(Grid):
    """The test days as dense arrays; T days whose next day is known, N codes."""

    runs: tuple[Run, ...]
    """The returns, cut where the test days are not consecutive."""
    missing: Flags
    """[T, N] the close-to-close return is missing."""
    missing_entry: Flags
    """[T, N] the entry return is missing."""
    can_buy: Flags
    can_sell: Flags
    calendar_returns: Floats
    """[C, N] close to next close of every day that the market has, test days or not; NaN where missing."""
    day: NDArray[np.int64]
    """[T] position of each test day among those."""

    @cached_property
    def volatility(self) -> Floats:
        """[T, N] std of the last daily returns known on the day, NaN where too few."""
        return _trailing_volatility(self.calendar_returns)[self.day]

    @cached_property
    def day_in_run(self) -> NDArray[np.int64]:
        """[T] how many days of the run came before."""
        return np.concatenate([np.arange(run.days.stop - run.days.start) for run in self.runs])


@dataclass(frozen=True)
class Simulation:
    """Daily figures of one portfolio, [T] each, and counts over all days."""

    gross: Floats
    net: Floats
    turnover: Floats
    """Sum of |traded weight| of the day's trades."""
    exposure: Floats
    """Sum of |weight| held over the day, 2 when fully invested in both legs."""
    missing_returns: int
    """Held positions (sleeve, day and stock) whose return was missing and counted as 0."""
    unfilled_orders: int
    """Orders that could not be filled because the stock did not trade or was locked at its limit."""


def dense_market(market: pl.DataFrame, test_dates: Sequence[date]) -> Market:
    """Lay the market of the test days out as arrays.

    Args:
        market: Date, Code, return_next, entry_return_next, can_buy_next, can_sell_next; unique by (Date, Code). Days
            that are no test days show where runs of consecutive test days end, and give the volatility its history.

    Raises:
        DataError: no test day with a known next day, or a return of -100 % or less.
    """
    calendar = market["Date"].unique().sort()
    codes = tuple(market["Code"].unique().sort().to_list())
    day = np.searchsorted(calendar.to_physical().to_numpy(), market["Date"].to_physical().to_numpy())
    code = code_positions(market["Code"], codes)
    shape = (len(calendar), len(codes))
    returns = _scatter(market["return_next"], day, code, shape)
    entry = _scatter(market["entry_return_next"], day, code, shape)
    if np.nanmin(np.concatenate([returns[~np.isnan(returns)], entry[~np.isnan(entry)], [0.0]])) <= -1.0:
        raise DataError(
            "validation_predictions/market.parquet holds a return of -100 % or less: prices must be positive."
        )
    known = ~np.isnan(returns).all(axis=1)
    kept = np.flatnonzero(calendar.is_in(pl.Series(list(test_dates), dtype=pl.Date).implode()).to_numpy() & known)
    if len(kept) == 0:
        raise DataError(
            f"None of the {len(test_dates)} test days has a following day in market.parquet, so there is nothing to "
            "simulate a portfolio on. Update the data or end the last fold earlier."
        )
    starts = np.flatnonzero(np.diff(kept, prepend=kept[0] - 2) > 1)
    return Market(
        dates=tuple(calendar.gather(kept).to_list()),
        codes=codes,
        runs=tuple(
            Run.of(slice(a, b), np.nan_to_num(returns[kept]), np.nan_to_num(entry[kept]))
            for a, b in zip(starts, np.append(starts[1:], len(kept)), strict=True)
        ),
        missing=np.isnan(returns[kept]),
        missing_entry=np.isnan(entry[kept]),
        can_buy=_scatter(market["can_buy_next"].cast(pl.Float64), day, code, shape)[kept] > 0,
        can_sell=_scatter(market["can_sell_next"].cast(pl.Float64), day, code, shape)[kept] > 0,
        calendar_returns=returns,
        day=kept,
    )


def dense_grid(predictions: pl.DataFrame) -> Grid:
    """The days and codes of a table with Date and Code."""
    days, codes = (predictions[name].unique().sort().to_list() for name in ("Date", "Code"))
    return Grid(tuple(days), tuple(codes))


def dense_scores(predictions: pl.DataFrame, column: str, market: Grid) -> Floats:
    """[T, N] predictions of one horizon on the market's grid, NaN where there is none (rows off the grid are left out).

    Args:
        predictions: Date, Code and ``column``.
    """
    on_grid = predictions.filter(pl.col("Date").is_in(pl.Series(market.dates, dtype=pl.Date).implode()))
    calendar = pl.Series(market.dates, dtype=pl.Date).to_physical().to_numpy()
    day = np.searchsorted(calendar, on_grid["Date"].to_physical().to_numpy())
    code = code_positions(on_grid["Code"], market.codes)
    return _scatter(on_grid[column].cast(pl.Float64), day, code, (len(market.dates), len(market.codes)))


def simulate(scores: Floats, market: Market, settings: PortfolioSettings, horizon: int) -> Simulation:
    """Run the portfolio of one model and horizon.

    Args:
        scores: [T, N], NaN where a stock is not in the day's universe.
        horizon: trading days that a sleeve is held.
    """
    order, count = _held_ranking(scores, settings)
    return simulate_ranking(order, count, market, settings, horizon)


def holdings(scores: Floats, market: Market, settings: PortfolioSettings, horizon: int) -> Floats:
    """[T, N] weights held over each day by the portfolio of ``simulate``, at the day's start; short ones negative."""
    order, count = _held_ranking(scores, settings)
    sleeves, _ = _sleeves(order, count, market, settings, horizon)
    weights = [sleeves[run.days] + _older(sleeves, run, horizon)[0][:-1] for run in market.runs]
    return np.concatenate(weights)


def _held_ranking(scores: Floats, settings: PortfolioSettings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order, count = ranking(scores)
    varied = _varied(scores) & (count >= settings.min_names)
    return order, np.where(varied, count, 0)


def ranking(scores: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Code positions of each day from best to worst (ties by code, absent ones last) [T, N], and the count [T]."""
    absent = np.isnan(scores)
    order = np.argsort(np.where(absent, np.inf, -scores), axis=1, kind="stable")
    return order, (~absent).sum(axis=1)


def simulate_ranking(
    order: NDArray[np.int64], count: NDArray[np.int64], market: Market, settings: PortfolioSettings, horizon: int
) -> Simulation:
    """Run the portfolio of a ranking; days with a count of 0 start no sleeve."""
    sleeves, unfilled = _sleeves(order, count, market, settings, horizon)
    runs = [_run(sleeves, run, horizon) for run in market.runs]
    gross, turnover, exposure = (np.concatenate(parts) for parts in zip(*runs, strict=True))
    return Simulation(
        gross=gross,
        net=gross - turnover * settings.cost_bps_per_side * 1e-4,
        turnover=turnover,
        exposure=exposure,
        missing_returns=_missing(sleeves, market, horizon),
        unfilled_orders=unfilled,
    )


def _run(sleeves: Floats, run: Run, horizon: int) -> tuple[Floats, Floats, Floats]:
    """Gross return, turnover and exposure on consecutive trading days, with nothing held before and after.

    A few codes at a time, so that the running sums stay in the cache.
    """
    total = np.zeros((3, run.days.stop - run.days.start))
    for first in range(0, sleeves.shape[1], _BLOCK_CODES):
        codes = slice(first, first + _BLOCK_CODES)
        total += _run_codes(sleeves[:, codes], run.of_codes(codes), horizon)
    gross, turnover, exposure = total
    return gross, turnover, exposure


def _run_codes(sleeves: Floats, run: Run, horizon: int) -> tuple[Floats, Floats, Floats]:
    new = sleeves[run.days]
    held, leaving = _older(sleeves, run, horizon)
    gross = np.einsum("tn,tn->t", new, run.entry_returns) + np.einsum("tn,tn->t", held[:-1], run.returns)
    turnover = np.abs(new - leaving[:-1]).sum(axis=1)
    turnover[-1] += np.abs(held[-1] + leaving[-1]).sum()
    return gross, turnover, np.abs(new + held[:-1]).sum(axis=1)


def _older(sleeves: Floats, run: Run, horizon: int) -> tuple[Floats, Floats]:
    """[t + 1, N] value of the sleeves of age 1 to h - 1, and of the one of age h, at the start of each day.

    A sleeve S of day i is worth ``S (1 + entry[i]) growth[t] / growth[i + 1]`` at the start of day t > i, so all
    sleeves alive at t are ``growth[t]`` times a difference of running sums: no loop over their ages.
    """
    new = sleeves[run.days]
    length = len(new)
    sums = np.zeros((horizon + length + 1, new.shape[1]))  # row horizon + t: sleeves of days before t
    np.cumsum(new * run.first_day, axis=0, out=sums[horizon + 1 :])
    held = (sums[horizon:] - sums[1 : length + 2]) * run.growth
    leaving = (sums[1 : length + 2] - sums[: length + 1]) * run.growth
    return held, leaving


def _missing(sleeves: Floats, market: Market, horizon: int) -> int:
    """Held positions (sleeve, day, stock) without a return."""
    total = int(np.count_nonzero(market.missing_entry & (sleeves != 0.0)))
    day, code = np.nonzero(market.missing)
    for age in range(1, horizon):
        inside = market.day_in_run[day] >= age
        total += int(np.count_nonzero(sleeves[day[inside] - age, code[inside]]))
    return total


def _sleeves(
    order: NDArray[np.int64], count: NDArray[np.int64], market: Market, settings: PortfolioSettings, horizon: int
) -> tuple[Floats, int]:
    """[T, N] weights filled on each day (long leg up to +1, short leg to -1, times the sleeve's share of capital), and
    the number of orders that could not be filled."""
    days, names = order.shape
    size = np.minimum(np.maximum((settings.quantile * count + 1e-9).astype(np.int64), 1), count // 2)
    share = 1.0 / horizon
    if settings.rebalance == "every_h_days":
        size, share = np.where(market.day_in_run % horizon == 0, size, 0), 1.0
    place = np.arange(max(int(size.max(initial=0)), 1))[None, :]
    inside = place < size[:, None]
    weights = np.zeros((days, names + 1))  # the last column takes the places beyond a leg's end
    unfilled = 0
    for sign, position, possible in (
        (share, place, market.can_buy),
        (-share, np.maximum(count[:, None] - 1 - place, 0), market.can_sell),
    ):
        code = np.take_along_axis(order, np.broadcast_to(position, inside.shape), axis=1)
        appeal = inside / 1.0
        if settings.weighting == "inverse_volatility":
            appeal = inside * np.take_along_axis(_inverse_volatility(market), code, axis=1)
        total = appeal.sum(axis=1, keepdims=True)
        filled = inside & np.take_along_axis(possible, code, axis=1)
        unfilled += int(np.count_nonzero(inside & ~filled))
        wanted = sign * appeal / np.where(total > 0, total, 1.0)
        np.put_along_axis(weights, np.where(filled, code, names), wanted, axis=1)
    return weights[:, :names], unfilled


def _inverse_volatility(market: Market) -> Floats:
    """[T, N] 1 / volatility; the day's median volatility stands in where a stock has too few returns yet."""
    known = np.isfinite(market.volatility) & (market.volatility > 0)
    typical = np.array(
        [np.median(row[there]) if there.any() else 1.0 for row, there in zip(market.volatility, known, strict=True)]
    )
    return np.asarray(1.0 / np.where(known, market.volatility, typical[:, None]), dtype=np.float64)


def _trailing_volatility(returns: Floats) -> Floats:
    """[T, N] std of the last ``VOLATILITY_DAYS`` returns that ended on or before the day (row t ends on day t + 1)."""
    days = len(returns)
    padded = np.concatenate([np.full((VOLATILITY_DAYS, returns.shape[1]), np.nan), returns])[
        : days + VOLATILITY_DAYS - 1
    ]
    window = np.lib.stride_tricks.sliding_window_view(padded, VOLATILITY_DAYS, axis=0)
    known = ~np.isnan(window)
    count = known.sum(axis=-1)
    filled = np.where(known, window, 0.0)
    mean = filled.sum(axis=-1) / np.maximum(count, 1)
    squares = np.where(known, (window - mean[..., None]) ** 2, 0.0).sum(axis=-1)
    enough = count >= VOLATILITY_MIN_DAYS
    return np.where(enough, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)


def _varied(scores: Floats) -> Flags:
    absent = np.isnan(scores)
    low = np.where(absent, np.inf, scores).min(axis=1, initial=np.inf)
    high = np.where(absent, -np.inf, scores).max(axis=1, initial=-np.inf)
    return np.asarray(low < high)


def code_positions(codes: pl.Series, known: Sequence[str]) -> NDArray[np.int64]:
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


def _scatter(values: pl.Series, day: NDArray[np.int64], code: NDArray[np.int64], shape: tuple[int, int]) -> Floats:
    grid = np.full(shape, np.nan)
    grid[day, code] = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return grid
