"""The optimised book: on each rebalance day, the weights of the best trade-off of forecast, risk and cost.

Single-period optimisation (Boyd et al. 2017, section 4): with h the weights in the market, maximise over w

    alpha' w - (risk_aversion / 2) w' Sigma w - costs(w - h) - borrow(w)

where long equals short (over all or in every sector), total |w|, each |w| and the turnover are bounded. ``alpha`` is
Grinold's (1994): expected correlation x volatility x normal score of the rank. ``costs`` and ``borrow`` are those of
the simulator's own :class:`~model.portfolio.costs.Costs`. The problem is compiled once for each number of stocks
(rounded up) and solved by Clarabel, an interior-point method on one thread: the same input gives the same bits.

The book is one position without sleeves, solved anew every day or every h days, and sold once no ranking has come for h
days. All orders are filled at the entry price, and what has ended is settled at its last price. cvxpy (Apache-2.0; the
extra ``optimiser``) is imported only here.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from model.errors import DataError, SettingsError
from model.portfolio.costs import Costs
from model.portfolio.fills import DUST, Limits, Unfilled
from model.portfolio.ledger import Ledger
from model.portfolio.market import NO_SECTOR, Flags, Floats, Ints, Market
from model.portfolio.risk import RiskModel, risk_model
from model.portfolio.settings import PortfolioBookSettings
from model.portfolio.targets import rebalance_days
from model.portfolio.walk import Rules, walk

_ROUND_UP = 64
"""Stocks in a problem are padded to a multiple of this, so that few problems are compiled."""
_NOISE = 1e-6
"""Weights and trades below this are the solver's tolerance."""


@dataclass(frozen=True)
class Day:
    """What one problem is made of, n stocks each."""

    alpha: Floats
    """Expected return over the horizon."""
    held: Floats
    """Weights in the market."""
    risk: RiskModel
    impact: Floats
    """Impact of a trade of weight w is this times ``|w| ** 1.5``."""
    allowed: Flags
    """May be held; the others are left."""
    group: Ints
    """Group in which long must equal short."""


class Optimiser:
    """Compiled problems by number of stocks.

    Args:
        groups: in each of which long equals short.
        horizon: trading days of the forecast.

    Raises:
        SettingsError: cvxpy is not installed.
    """

    def __init__(self, settings: PortfolioBookSettings, groups: int, horizon: int) -> None:
        self._cp = _cvxpy()
        self._own = settings.optimiser
        self._costs = Costs.of(settings)
        self._groups, self._horizon = groups, horizon
        self._problems: dict[int, tuple[Any, Any, dict[str, Any]]] = {}

    def solve(self, day: Day) -> Floats | None:
        """[n] the best weights, None where the solver finds none."""
        count = len(day.alpha)
        size = -(-count // _ROUND_UP) * _ROUND_UP
        if size not in self._problems:
            self._problems[size] = self._compile(size)
        problem, weights, given = self._problems[size]
        most = np.where(day.allowed, np.maximum(self._own.max_weight, np.abs(day.held)), 0.0)
        scale = np.sqrt(self._own.risk_aversion / 2.0)
        given["alpha"].value = _padded(day.alpha, size)
        given["held"].value = _padded(day.held, size)
        given["loadings"].value = _padded(day.risk.loadings * scale, size)
        given["own"].value = _padded(day.risk.own * scale, size)
        given["most"].value = _padded(most, size)
        # What prices have carried beyond the bound may stay: selling it at once could break the bound on turnover.
        given["gross"].value = max(self._own.gross_exposure, float(np.abs(day.held).sum()))
        given["member"].value = _padded((day.group[:, None] == np.arange(self._groups)).astype(float), size)
        if "impact" in given:
            given["impact"].value = _padded(day.impact, size)
        try:
            problem.solve(solver=self._cp.CLARABEL)
        except self._cp.error.SolverError:
            return None
        if problem.status not in {self._cp.OPTIMAL, self._cp.OPTIMAL_INACCURATE}:
            return None
        found = np.asarray(weights.value[:count], dtype=np.float64)
        found = np.where(np.abs(found) < _NOISE, 0.0, found)
        return np.where(np.abs(found - day.held) < _NOISE, day.held, found)

    def _compile(self, size: int) -> tuple[Any, Any, dict[str, Any]]:
        """The problem, its weights and its parameters (disciplined parametrised programming, Agrawal et al. 2019)."""
        cp, own, costs = self._cp, self._own, self._costs
        weights, trades = cp.Variable(size), cp.Variable(size)
        given: dict[str, Any] = {
            "alpha": cp.Parameter(size),
            "held": cp.Parameter(size),
            "loadings": cp.Parameter((size, own.risk_factors)),
            "own": cp.Parameter(size, nonneg=True),
            "most": cp.Parameter(size, nonneg=True),
            "gross": cp.Parameter(nonneg=True),
            "member": cp.Parameter((size, self._groups), nonneg=True),
        }
        risk = cp.sum_squares(given["loadings"].T @ weights) + cp.sum_squares(cp.multiply(given["own"], weights))
        paid = costs.linear * cp.norm1(trades) + costs.borrow * self._horizon * cp.sum(cp.neg(weights))
        if costs.impact_coefficient > 0.0:
            given["impact"] = cp.Parameter(size, nonneg=True)
            paid += given["impact"] @ cp.power(cp.abs(trades), 1.5)
        constraints = [
            trades == weights - given["held"],
            given["member"].T @ weights == 0,
            cp.norm1(weights) <= given["gross"],
            cp.norm1(trades) <= own.max_turnover,
            cp.abs(weights) <= given["most"],
        ]
        return cp.Problem(cp.Maximize(given["alpha"] @ weights - risk - paid), constraints), weights, given


def run_optimised(
    order: Ints, count: Ints, market: Market, settings: PortfolioBookSettings, horizon: int
) -> tuple[Ledger, Unfilled, int]:
    """Simulate the book; also the number of days without a solution, on which the book was left as it was.

    Raises:
        SettingsError: cvxpy is not installed.
        DataError: the market lacks a column that the settings need.
    """
    from threadpoolctl import threadpool_limits

    optimiser = Optimiser(settings, _groups(market, settings), horizon)
    starts, _ = rebalance_days(count > 0, market, settings, horizon)
    unsolved = renewed = 0

    def decide(day: int, held: Floats) -> Floats:
        nonlocal unsolved, renewed
        held = np.where(market.ended[day], 0.0, held)
        if not starts[day] or count[day] == 0:
            return held if day - renewed < horizon else np.zeros_like(held)
        renewed = day
        codes = _candidates(order[day], int(count[day]), held, settings.optimiser.candidates)
        found = optimiser.solve(_day(day, codes, order[day], int(count[day]), held, market, settings, horizon))
        if found is None:
            unsolved += 1
            return held
        wanted = np.zeros_like(held)
        wanted[codes] = np.where(market.ended[day, codes], 0.0, found)
        return wanted

    rules = Rules(
        horizon=1,
        exits_constrained=settings.execution.exits == "constrained",
        exit_at_entry=not market.entry_at_close,
        round_orders=True,
    )
    with threadpool_limits(1):  # so that the bits do not depend on the number of threads
        ledger, unfilled = walk(decide, market, Limits.of(settings.execution, market), rules)
    return ledger, unfilled, unsolved


def _day(
    day: int,
    codes: Ints,
    order: Ints,
    count: int,
    held: Floats,
    market: Market,
    settings: PortfolioBookSettings,
    horizon: int,
) -> Day:
    own, costs = settings.optimiser, Costs.of(settings)
    volatility = market.known_volatility[day, codes]
    impact = np.zeros(len(codes))
    if costs.impact_coefficient > 0.0:
        impact = costs.impact_rate(volatility, market.known_traded_value[day, codes])
    sector = np.zeros(len(codes), dtype=np.int64)
    if own.neutral == "sector" and market.sector is not None:
        sector = market.sector[day, codes].astype(np.int64)
    return Day(
        alpha=own.information_coefficient * volatility * np.sqrt(horizon) * _normal_scores(order, count)[codes],
        held=held[codes],
        risk=risk_model(market, day, codes, own.risk_days, own.risk_factors, horizon),
        impact=impact,
        allowed=sector != NO_SECTOR,
        group=sector,
    )


def _normal_scores(order: Ints, count: int) -> Floats:
    """[N] normal quantile of each name's rank, best highest; 0 without prediction."""
    from scipy.special import ndtri

    scores = np.zeros(len(order))
    scores[order[:count]] = ndtri(1.0 - (np.arange(count) + 0.5) / count)
    return scores


def _candidates(order: Ints, count: int, held: Floats, most: int) -> Ints:
    """[n] positions of the stocks of both ends of the ranking and of those held, in the order of the codes."""
    half = min(most // 2, (count + 1) // 2)
    return np.union1d(np.flatnonzero(np.abs(held) > DUST), np.concatenate([order[:half], order[count - half : count]]))


def _groups(market: Market, settings: PortfolioBookSettings) -> int:
    if settings.optimiser.neutral == "money":
        return 1
    if market.sector is None:
        raise DataError("portfolio.optimiser.neutral = sector needs the column Sector in the market table.")
    return len(market.sectors)


def _padded(values: Floats, size: int) -> Floats:
    result = np.zeros((size, *values.shape[1:]))
    result[: len(values)] = values
    return result


def _cvxpy() -> ModuleType:
    try:
        return importlib.import_module("cvxpy")
    except ModuleNotFoundError as error:
        raise SettingsError(
            "portfolio.book = optimised needs cvxpy with the solver Clarabel, which are not installed. Install the "
            "extra `optimiser` (pip install 'gogooku[optimiser]'), or choose another book."
        ) from error
