"""What trading costs: one object that every book and the optimiser read, so that plan and account cannot drift apart.

- commission and half-spread: a rate times the value traded, on each side;
- market impact by the square-root law (Grinold and Kahn 2000, ch. 16; Toth et al. 2011): an order of value v in a
  stock of daily volatility s and median traded value V pays ``k s sqrt(v / V)`` of its value, so that twice the capital
  costs sqrt(2) times as much of it;
- stock loan: a yearly rate times the value held short, each trading day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.portfolio.settings import PortfolioBookSettings

if TYPE_CHECKING:
    from model.portfolio.market import Market

Floats = NDArray[np.float64]

COMPONENTS = ("commission", "half_spread", "impact", "borrow")
_BPS = 1e-4
_BLOCK = 64


@dataclass(frozen=True)
class CostsPaid:
    """Cost of each day by component, [T] each, as a share of the capital."""

    commission: Floats
    half_spread: Floats
    impact: Floats
    borrow: Floats

    @property
    def total(self) -> Floats:
        """[T] all components."""
        return self.commission + self.half_spread + self.impact + self.borrow


@dataclass(frozen=True)
class Costs:
    """The rates."""

    commission_bps: float = 0.0
    half_spread_bps: float = 0.0
    impact_coefficient: float = 0.0
    borrow_bps_per_year: float = 0.0
    periods_per_year: int = 252
    capital: float | None = None
    """In currency units; needed for impact only."""

    @classmethod
    def of(cls, settings: PortfolioBookSettings) -> "Costs":
        """The rates that the settings name."""
        own = settings.costs
        return cls(
            commission_bps=settings.cost_bps_per_side if own.commission_bps is None else own.commission_bps,
            half_spread_bps=own.half_spread_bps,
            impact_coefficient=own.impact_coefficient,
            borrow_bps_per_year=own.borrow_bps_per_year,
            periods_per_year=settings.periods_per_year,
            capital=settings.execution.capital,
        )

    @property
    def linear(self) -> float:
        """Share of the value traded that a side costs, without impact."""
        return (self.commission_bps + self.half_spread_bps) * _BPS

    @property
    def borrow(self) -> float:
        """Share of the short value that a day costs."""
        return self.borrow_bps_per_year * _BPS / self.periods_per_year

    def impact_rate(self, volatility: Floats, traded_value: Floats) -> Floats:
        """Impact of an order of weight w is this times ``|w| ** 1.5``.

        Args:
            volatility: daily, of each stock.
            traded_value: median traded value of a day in currency units.
        """
        if self.impact_coefficient == 0.0 or self.capital is None:
            return np.zeros(np.shape(volatility))
        return np.asarray(self.impact_coefficient * volatility * np.sqrt(self.capital / traded_value))

    def charge(self, turnover: Floats, short_value: Floats, unit: Floats | None) -> CostsPaid:
        """What a book pays.

        Args:
            turnover: [T] sum of |traded weight|.
            short_value: [T] value held short over the day.
            unit: [T] :func:`unit_impact` of the trades; None in a market without traded values.

        Raises:
            DataError: impact is charged and the capital or the traded values are missing.
        """
        impact = np.zeros(len(turnover))
        if self.impact_coefficient > 0.0:
            if self.capital is None or unit is None:
                raise DataError(
                    "Market impact needs the capital (portfolio.execution.capital, in currency units) and the column "
                    "turnover_20 in the market table; without them set portfolio.costs.impact_coefficient to 0."
                )
            impact = self.impact_coefficient * np.sqrt(self.capital) * unit
        return CostsPaid(
            commission=turnover * self.commission_bps * _BPS,
            half_spread=turnover * self.half_spread_bps * _BPS,
            impact=impact,
            borrow=short_value * self.borrow,
        )


def unit_impact(trades: Floats, closing: dict[int, Floats], market: "Market") -> Floats:
    """[T] impact with a coefficient of 1 and a capital of 1 currency unit: the sum of ``s |w| ** 1.5 / sqrt(V)``.

    Args:
        trades: [T, N] signed weights traded.
        closing: day to [N], the trades that end a run of days, apart from the day's own.

    Raises:
        DataError: the market has no traded values.
    """
    total = np.empty(len(trades))
    for days, rate in impact_scale(market):
        size = np.abs(trades[days])
        total[days] = (size * np.sqrt(size) * rate).sum(axis=1)
        for day, closed in closing.items():
            if days.start <= day < days.stop:
                total[day] += (np.abs(closed) ** 1.5 * rate[day - days.start]).sum()
    return total


def impact_scale(market: "Market") -> Iterator[tuple[slice, Floats]]:
    """``s / sqrt(V)`` by blocks of days, which stay in the processor's cache."""
    volatility, value = market.known_volatility, market.known_traded_value
    for start in range(0, len(volatility), _BLOCK):
        days = slice(start, min(start + _BLOCK, len(volatility)))
        yield days, volatility[days] / np.sqrt(value[days])


def capacity(gross: Floats, unit: Floats, impact_coefficient: float, share: float = 0.5) -> float | None:
    """Capital in currency units at which impact eats ``share`` of the gross return.

    With trades in the same proportions impact grows with the root of the capital C: ``k sqrt(C) mean(unit)`` a day, so
    ``C = (share mean(gross) / (k mean(unit))) ** 2``. Volume caps and lots, which bind harder as C grows, are left out.

    Args:
        gross: [T] gross return.
        unit: [T] :func:`unit_impact`.

    Returns:
        None where the gross return is not positive or nothing is traded.
    """
    earned, paid = float(gross.mean()), impact_coefficient * float(unit.mean())
    if earned <= 0.0 or paid <= 0.0:
        return None
    return (share * earned / paid) ** 2
