"""The simulated market, day by day.

A stock's return is the market's, its cluster's and its sector's move, its own shock with volatility clustering,
now and then news, and the planted expectation that follows from what was observable the day before. Prices move in
ticks, stop at the daily limit, split and consolidate; stocks list, delist, are suspended, and miss a row.

Random numbers are drawn day-major from one stream a purpose, some days at a time: a longer run has the shorter one
as its prefix, bit for bit, and memory grows with the bars alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.observables import (
    CALM_VOLATILITY,
    STORMY_VOLATILITY,
    ObservableState,
    part_weights,
)
from model.daily_quotes.sources.simulated.structure import Stream, Structure, generator, structure
from model.errors import DataError

_DAYS_A_YEAR = 245
_CALM_TO_STORMY, _STORMY_TO_CALM = 1 / 80, 1 / 40
_SPLIT_PRICE, _CONSOLIDATION_PRICE = 2000.0, 150.0
_LOT = 100.0
_BLOCK_DAYS = 64
"""Days whose random numbers are held at a time."""

_LIMIT_BASE = np.array(
    [
        100,
        200,
        500,
        700,
        1000,
        1500,
        2000,
        3000,
        5000,
        7000,
        10000,
        15000,
        20000,
        30000,
        50000,
        70000,
        100000,
        150000,
        200000.0,
    ]
)
_LIMIT_WIDTH = np.array(
    [30, 50, 80, 100, 150, 300, 400, 500, 700, 1000, 1500, 3000, 4000, 5000, 7000, 10000, 15000, 30000, 40000, 50000.0]
)
"""Daily price limits of the Tokyo Stock Exchange by base price, in yen."""

_TICK_BASE = np.array([1000, 3000, 10000, 30000.0])
_TICK = np.array([0.1, 0.5, 1.0, 5.0, 10.0])

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Bars:
    """[T, N] arrays; ``row`` says where a row exists (of a listed stock it may be missing), prices may be NaN."""

    listed: NDArray[np.bool_]
    row: NDArray[np.bool_]
    open: Matrix
    high: Matrix
    low: Matrix
    close: Matrix
    volume: Matrix
    turnover: Matrix
    factor: Matrix
    upper: NDArray[np.bool_]
    lower: NDArray[np.bool_]


@dataclass(frozen=True)
class _Draws:
    """Everything random of some consecutive days; the first axis is the day."""

    market: Matrix
    regime: Matrix
    sectors: Matrix
    clusters: Matrix
    shocks: Matrix
    events: Matrix
    intraday: Matrix
    volume: Matrix
    outages: Matrix


def simulate(settings: SimulatedSource, days: int, surprise: Matrix | None = None) -> tuple[Structure, Bars]:
    """The first ``days`` trading days of the market.

    Args:
        surprise: [days, N], the part of the planted signals that follows from statements; needed where
            ``settings.statement_strength`` is not 0.

    Raises:
        DataError: the statements are to move prices, and ``surprise`` is not given.
    """
    if settings.statement_strength and surprise is None:
        raise DataError(
            f"source.statement_strength is {settings.statement_strength}, and the {days} days were simulated without "
            "their statements. Simulate them with the dates that the statements need."
        )
    fixed = structure(settings)
    bars = _empty_bars(days, fixed.size)
    columns = list(vars(bars).values())
    market = _Market(settings, fixed)
    for day, draws, place in _draws(settings, fixed, days):
        values = market.step(day, draws, place, None if surprise is None else surprise[day])
        for column, value in zip(columns, values, strict=True):
            column[day] = value
    return fixed, bars


def _empty_bars(days: int, stocks: int) -> Bars:
    def flags() -> NDArray[np.bool_]:
        return np.empty((days, stocks), dtype=np.bool_)

    def numbers() -> Matrix:
        return np.empty((days, stocks))

    return Bars(
        listed=flags(),
        row=flags(),
        open=numbers(),
        high=numbers(),
        low=numbers(),
        close=numbers(),
        volume=numbers(),
        turnover=numbers(),
        factor=numbers(),
        upper=flags(),
        lower=flags(),
    )


def _draws(settings: SimulatedSource, fixed: Structure, days: int) -> Iterator[tuple[int, _Draws, int]]:
    """Each day with the draws of its block and its place in them."""
    n = fixed.size
    tail = settings.tail_degrees
    streams = {stream: generator(settings, stream) for stream in Stream}
    for first in range(0, days, _BLOCK_DAYS):
        count = min(_BLOCK_DAYS, days - first)
        draws = _Draws(
            market=streams[Stream.MARKET].standard_normal(count),
            regime=streams[Stream.REGIME].random(count),
            sectors=streams[Stream.SECTORS].standard_normal((count, settings.sectors)),
            clusters=streams[Stream.CLUSTERS].standard_normal((count, fixed.clusters)),
            shocks=streams[Stream.SHOCKS].standard_t(tail, (count, n)) * np.sqrt((tail - 2.0) / tail),
            events=streams[Stream.EVENTS].random((count, 8, n)),
            intraday=streams[Stream.INTRADAY].standard_normal((count, 3, n)),
            volume=streams[Stream.VOLUME].standard_normal((count, 2, n)),
            outages=streams[Stream.OUTAGES].random(count),
        )
        for place in range(count):
            yield first + place, draws, place


class _Market:
    """The state that one day hands to the next."""

    def __init__(self, settings: SimulatedSource, fixed: Structure) -> None:
        n = fixed.size
        self._settings = settings
        self._fixed = fixed
        self._weights = part_weights(settings)[:, np.newaxis]
        self._observable = ObservableState(fixed)
        self._expected = np.zeros(n)
        self._close = _to_tick(fixed.first_price)
        self._published = np.full(n, np.nan)
        self._variance = np.ones(n)
        self._busy = np.zeros(n)
        self._cumulative = np.ones(n)
        self._suspended = np.zeros(n, dtype=np.int64)
        self._alive = np.ones(n, dtype=np.bool_)
        self._stormy = False

    def step(self, day: int, draws: _Draws, place: int, surprise: Matrix | None) -> tuple[NDArray[np.generic], ...]:
        """One day's bars, in the order of the fields of :class:`Bars`; its draws are those at ``place``."""
        events = draws.events[place]
        listed = self._listed(day, events[0])
        trading = self._trading(listed, events[1], events[2])
        trading &= bool(draws.outages[place] >= self._settings.outage_rate)
        row = listed & (events[3] >= self._settings.missing_row_rate)
        trading &= row
        factor = self._split(trading, events[4], events[5])
        base = self._close * factor
        target = base * (1.0 + self._returns(place, draws, events[6], events[7]))
        close, upper, lower = _limited(target, base)
        close = np.where(trading, close, base)
        moved = close / base - 1.0
        volume = self._traded(moved, draws.volume[place])
        first, high, low = _range(base, close, draws.intraday[place], self._fixed.volatility, upper | lower)
        self._observe(close, volume, factor, trading, surprise)
        self._close = close
        nan = np.where(trading, 0.0, np.nan)
        value = np.rint(volume * (high + low + 2.0 * close) / 4.0)
        return (
            *(listed, row, first + nan, high + nan, low + nan, close + nan),
            *(np.where(trading, volume, 0.0), np.where(trading, value, 0.0), np.where(row, factor, 1.0)),
            *(upper & trading, lower & trading),
        )

    def _listed(self, day: int, draw: Matrix) -> NDArray[np.bool_]:
        listed: NDArray[np.bool_] = self._alive & (day >= self._fixed.listing_day)
        self._alive &= ~(listed & (draw < self._settings.yearly_delisting_rate / _DAYS_A_YEAR))
        return listed

    def _trading(self, listed: NDArray[np.bool_], draw: Matrix, length: Matrix) -> NDArray[np.bool_]:
        starts = listed & (self._suspended == 0) & (draw < self._settings.suspension_rate)
        self._suspended = np.where(starts, 1 + np.floor(5 * length).astype(np.int64), self._suspended)
        trading: NDArray[np.bool_] = listed & (self._suspended == 0)
        self._suspended = np.maximum(self._suspended - 1, 0)
        return trading

    def _split(self, trading: NDArray[np.bool_], draw: Matrix, kind: Matrix) -> Matrix:
        """Adjustment factors of the day: 1/2, 1/3 or 1/5 for a split, 10 for a consolidation, else 1."""
        splits = trading & (self._close > _SPLIT_PRICE) & (draw < self._settings.split_rate)
        joins = trading & (self._close < _CONSOLIDATION_PRICE) & (draw < 10 * self._settings.split_rate)
        ratio = np.where(kind < 0.7, 2.0, np.where(kind < 0.9, 3.0, 5.0))
        factor: Matrix = np.where(splits, 1.0 / ratio, np.where(joins, 10.0, 1.0))
        return factor

    def _returns(self, place: int, draws: _Draws, jump: Matrix, jump_size: Matrix) -> Matrix:
        """The returns that the day would bring without ticks and limits."""
        fixed = self._fixed
        turns = _STORMY_TO_CALM if self._stormy else _CALM_TO_STORMY
        self._stormy ^= bool(draws.regime[place] < turns)
        level = STORMY_VOLATILITY if self._stormy else CALM_VOLATILITY
        market = 0.0003 + fixed.market_volatility * level * draws.market[place]
        shock = np.sqrt(self._variance) * draws.shocks[place]
        self._variance = np.clip(0.04 + 0.06 * shock**2 + 0.90 * self._variance, 0.2, 6.0)
        news = np.where(jump < self._settings.jump_rate, 0.5 * jump_size - 0.25, 0.0)
        total = (
            fixed.beta * market
            + fixed.cluster_loading * draws.clusters[place, fixed.cluster]
            + fixed.sector_loading * draws.sectors[place, fixed.sector]
            + fixed.volatility * (1.2 if self._stormy else 0.93) * shock
            + self._expected
            + news
        )
        bounded: Matrix = np.clip(total, -0.6, 1.0)
        return bounded

    def _traded(self, moved: Matrix, draw: Matrix) -> Matrix:
        """Volumes in whole lots: a level, a slow swing, more on days with large moves."""
        self._busy = 0.95 * self._busy + 0.12 * draw[0]
        excitement = np.minimum(np.abs(moved) / self._fixed.relative_volatility, 5.0)
        level = self._fixed.log_volume + self._busy + 0.15 * (excitement - 0.8) + 0.3 * draw[1]
        lots = np.maximum(np.rint(np.exp(level) / _LOT / self._cumulative), 1.0)
        volume: Matrix = lots * _LOT
        return volume

    def _observe(
        self, close: Matrix, volume: Matrix, factor: Matrix, trading: NDArray[np.bool_], surprise: Matrix | None
    ) -> None:
        """Publish the day, and form the expectation that moves the next one."""
        self._cumulative = self._cumulative * factor
        adjusted = np.where(trading, close / self._cumulative, np.nan)
        returns = adjusted / self._published - 1.0
        adjusted_volume = np.where(trading, volume * self._cumulative, np.nan)
        parts = self._observable.update(returns, adjusted_volume, surprise)
        self._published = adjusted
        self._expected = expectation(parts, self._weights, self._fixed)


def expectation(parts: Matrix, weights: Matrix, fixed: Structure) -> Matrix:
    """The planted expectation of the next day's return, [N], from [parts, N] and weights [parts, 1]."""
    total: Matrix = (weights * parts).sum(axis=0) * fixed.relative_volatility
    return total


def _limited(target: Matrix, base: Matrix) -> tuple[Matrix, NDArray[np.bool_], NDArray[np.bool_]]:
    """Prices in ticks, stopped at the daily limit, and where they stopped."""
    width = _LIMIT_WIDTH[np.searchsorted(_LIMIT_BASE, base, side="right")]
    top = np.round(base + width, 1)
    bottom = np.round(np.maximum(base - width, 1.0), 1)
    price = np.maximum(_to_tick(target), 1.0)
    return np.clip(price, bottom, top), price >= top, price <= bottom


def _to_tick(price: Matrix) -> Matrix:
    tick = _TICK[np.searchsorted(_TICK_BASE, price, side="right")]
    rounded: Matrix = np.round(np.rint(price / tick) * tick, 1)
    return rounded


def _range(
    base: Matrix, close: Matrix, draw: Matrix, volatility: Matrix, limit: NDArray[np.bool_]
) -> tuple[Matrix, Matrix, Matrix]:
    """Open, high and low around the day's path; half of the days at the limit are locked there from the start."""
    overnight = 0.35 * (close / base - 1.0) + 0.4 * volatility * draw[0]
    first = np.maximum(_to_tick(base * (1.0 + np.clip(overnight, -0.15, 0.15))), 1.0)
    top = np.maximum(first, close)
    bottom = np.minimum(first, close)
    high = np.maximum(_to_tick(top * (1.0 + 0.4 * volatility * np.abs(draw[1]))), top)
    low = np.maximum(np.minimum(_to_tick(bottom * (1.0 - 0.4 * volatility * np.abs(draw[2]))), bottom), 1.0)
    locked = limit & (draw[0] > 0.0)
    high = np.where(limit & (close > base), close, high)
    low = np.where(limit & (close < base), close, low)
    first = np.clip(first, low, high)
    return np.where(locked, close, first), np.where(locked, close, high), np.where(locked, close, low)
