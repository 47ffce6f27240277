"""Quarterly statements of the simulated companies: figures, forecasts, when they are published, corrections.

Sales follow a random walk with a season, margins swing around a long-run level. A statement comes 20 to 44 days after
the quarter (rarely later), before the close, at it or after it. With the full year comes the forecast of the next
one; forecasts are revised with a statement or between two. Prices play no part here, so the surprises in the
statements can move them (``source.statement_strength``) and the oracle can know of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.clock import Dates
from model.daily_quotes.sources.simulated.companies import AFTER_TAX, Companies, Matrix, companies
from model.daily_quotes.sources.simulated.structure import Stream, Structure, generator

DRIFT_DAYS = 20
"""Trading days over which prices follow a surprise."""

_HISTORY_QUARTERS = 8
_DELAY_DAYS, _LATE_DAYS = (20, 45), (46, 61)
_LATE_SHARE = 0.01
_REVISED_WITH_STATEMENT = 0.3
_UNIT_SURPRISE = 0.02
_MINUTES = np.array([690, 780, 840, 899, 900, 929, 930, 960, 1020])
_CHANCES = np.cumsum([0.05, 0.08, 0.10, 0.02, 0.35, 0.02, 0.18, 0.12])
"""Local times of publication (11:30 to 17:00, both sides of either close) and how often each is chosen."""


@dataclass(frozen=True)
class Figures:
    """[N] figures of one quarter's statements, cumulative in the fiscal year, and the forecasts that go with them."""

    sales: Matrix
    operating: Matrix
    profit: Matrix
    assets: Matrix
    equity: Matrix
    forecast_sales: Matrix
    forecast_operating: Matrix
    forecast_profit: Matrix


@dataclass(frozen=True)
class Publication:
    """[N] when a document is published; ``given`` says which companies publish one at all."""

    given: NDArray[np.bool_]
    date: Dates
    minute: NDArray[np.int64]


@dataclass(frozen=True)
class Quarter:
    """The documents of one calendar quarter, [N] each."""

    year_ends: Dates
    forecast_year_ends: Dates
    """End of the fiscal year that the forecasts speak of: the next one after a full year."""
    number: NDArray[np.int64]
    """1 to 4, the fiscal quarter; 4 is the full year."""
    figures: Figures
    statement: Publication
    correction: Publication
    corrected: Matrix
    """What a correction multiplies sales and profit by."""
    revision: Publication
    """Revisions of the forecast before the next statement."""
    revised: Figures
    """The statement's figures with the forecasts of the revision."""
    surprise: Matrix
    """The margin so far less the margin last forecast, in units of its usual error; 0 without a forecast."""


def quarters(settings: SimulatedSource, fixed: Structure, first: date, last: date) -> Iterator[Quarter]:
    """The quarters whose statements may be published from ``first`` (the market's first day) to ``last``."""
    firms = companies(settings, fixed)
    rng = generator(settings, Stream.STATEMENTS)
    books = _Books(firms)
    start = 4 * first.year + (first.month - 1) // 3 - _HISTORY_QUARTERS
    for calendar_quarter in range(start, 4 * last.year + (last.month - 1) // 3 + 1):
        normal, uniform = rng.standard_normal((4, fixed.size)), rng.random((10, fixed.size))
        number = (calendar_quarter - firms.year_end - 1) % 4 + 1
        surprise, figures = books.close(calendar_quarter % 4, number, normal, uniform[0])
        ends = _month_ends(calendar_quarter, firms.shift)
        delay = np.where(
            uniform[1] < _LATE_SHARE, _between(uniform[2], *_LATE_DAYS), _between(uniform[2], *_DELAY_DAYS)
        )
        statement = Publication(np.ones(fixed.size, dtype=np.bool_), _weekday(ends + delay), _minute(uniform[3]))
        corrects = uniform[4] < settings.correction_rate
        revises = firms.forecasts & (uniform[6] < settings.forecast_revision_rate)
        yield Quarter(
            year_ends=_month_ends(calendar_quarter + 4 - number, firms.shift),
            forecast_year_ends=_month_ends(calendar_quarter + 4 - number % 4, firms.shift),
            number=number,
            figures=figures,
            statement=statement,
            correction=_later(statement, corrects, uniform[5], (3, 30), uniform[3], 5),
            corrected=np.where(uniform[5] < 0.5, 0.90 + 0.16 * uniform[5], 0.97 + 0.10 * uniform[5]),
            revision=_later(statement, revises, uniform[7], (15, 40), uniform[8], 10),
            revised=books.revise(revises, uniform[9]),
            surprise=surprise,
        )


def surprise_signal(settings: SimulatedSource, fixed: Structure, days: Dates) -> Matrix:
    """[T, N]: the surprises in the statements of the last days, about unit variance, on these trading days.

    A statement counts from the trading day after that of its publication on, for ``DRIFT_DAYS`` days: by then
    everybody knows it, whatever the hour.
    """
    signal = np.zeros((len(days), fixed.size))
    first, last = days[0].astype(date), days[-1].astype(date)
    scale = np.sqrt(62.0 / DRIFT_DAYS)  # a quarter has about 62 trading days; the signal is 0 on the others
    stock = np.arange(fixed.size)
    for quarter in quarters(settings, fixed, first, last):
        shown = quarter.statement.date >= days[0]
        known = np.searchsorted(days, quarter.statement.date, side="left") + 1
        for position in (known + offset for offset in range(DRIFT_DAYS)):
            there = shown & (position < len(days))
            signal[position[there], stock[there]] += scale * quarter.surprise[there]
    return signal


class _Books:
    """The companies' accounts from quarter to quarter."""

    def __init__(self, firms: Companies) -> None:
        n = len(firms.sales)
        self._firms = firms
        self._level = np.log(firms.sales)
        self._swing = np.zeros(n)
        self._year = np.zeros((3, n))
        """Sales, operating profit and profit so far in the fiscal year."""
        self._share = np.zeros(n)
        self._equity = firms.equity * firms.sales
        self._debt = firms.capital * firms.sales
        self._forecast = firms.sales * np.stack([np.ones(n), firms.margin, AFTER_TAX * firms.margin])

    def close(self, quarter: int, number: NDArray[np.int64], normal: Matrix, revises: Matrix) -> tuple[Matrix, Figures]:
        """Close a quarter: the surprise in its statements, and their figures."""
        firms = self._firms
        self._level = self._level + firms.growth / 4.0 + 0.03 * normal[0]
        self._swing = 0.85 * self._swing + 0.012 * normal[1]
        sales = np.exp(self._level) * firms.season[quarter]
        operating = sales * (firms.margin + self._swing)
        profit = AFTER_TAX * operating + 0.004 * sales * normal[2]
        begins = number == 1
        self._year = np.where(begins, 0.0, self._year) + np.stack([sales, operating, profit])
        self._share = np.where(begins, 0.0, self._share) + firms.season[quarter]
        self._equity = self._equity + 0.7 * profit
        gap = self._year[2] / self._year[0] - self._forecast[2] / self._forecast[0]
        surprise = np.where(firms.forecasts, np.clip(gap / _UNIT_SURPRISE, -3.0, 3.0), 0.0)
        self._plan(number, normal[3], revises)
        return surprise, self._figures()

    def _plan(self, number: NDArray[np.int64], error: Matrix, revises: Matrix) -> None:
        """The forecast after a statement: next year's at the year's end, else this year's, sometimes revised."""
        expected = self._year / self._share
        following = expected * np.exp(self._firms.growth + 0.02 * error)
        renewed = np.where(
            number == 4, following, np.where(revises < _REVISED_WITH_STATEMENT, expected, self._forecast)
        )
        self._forecast = renewed

    def revise(self, chosen: NDArray[np.bool_], size: Matrix) -> Figures:
        """Revise the forecasts of these companies by up to a tenth, profits more than sales."""
        change = np.stack([0.9 + 0.2 * size, 0.8 + 0.4 * size, 0.8 + 0.4 * size])
        self._forecast = np.where(chosen, self._forecast * change, self._forecast)
        return self._figures()

    def _figures(self) -> Figures:
        firms = self._firms
        hidden = np.where(firms.forecasts, 0.0, np.nan)
        unstated = np.where(firms.operating, 0.0, np.nan)
        sales, operating, profit = (millions(part) for part in self._year)
        forecast = [millions(part) + hidden for part in self._forecast]
        return Figures(
            sales=sales,
            operating=operating + unstated,
            profit=profit,
            assets=millions(self._equity + self._debt),
            equity=millions(self._equity),
            forecast_sales=forecast[0],
            forecast_operating=forecast[1] + unstated,
            forecast_profit=forecast[2],
        )


def _later(
    before: Publication, given: NDArray[np.bool_], delay: Matrix, days: tuple[int, int], minute: Matrix, after: int
) -> Publication:
    """A document some days after another, some minutes after the usual times: no two kinds at the same time."""
    return Publication(given, _weekday(before.date + _between(delay, *days)), _minute(1.0 - minute) + after)


def _month_ends(calendar_quarter: "int | NDArray[np.int64]", shift: NDArray[np.int64]) -> Dates:
    """Last days of calendar quarters (counted from year 0), some months earlier."""
    month = 3 * np.asarray(calendar_quarter) + 3 - shift - 12 * 1970
    following: Dates = month.astype("datetime64[M]").astype("datetime64[D]")
    return following + np.timedelta64(-1, "D")


def _weekday(dates: Dates) -> Dates:
    """Saturdays and Sundays become the Monday that follows; holidays stay."""
    weekday = (dates.astype(np.int64) + 3) % 7
    moved: Dates = dates + np.where(weekday == 5, 2, np.where(weekday == 6, 1, 0)).astype("timedelta64[D]")
    return moved


def _between(draw: Matrix, low: int, high: int) -> NDArray[np.timedelta64]:
    return (low + np.floor(draw * (high - low))).astype(np.int64).astype("timedelta64[D]")


def _minute(draw: Matrix) -> NDArray[np.int64]:
    chosen: NDArray[np.int64] = _MINUTES[np.searchsorted(_CHANCES, draw, side="right")]
    return chosen


def millions(money: Matrix) -> Matrix:
    """Money as statements give it: in whole millions."""
    rounded: Matrix = np.rint(money / 1e6) * 1e6
    return rounded
