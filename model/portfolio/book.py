"""The simulated portfolio: what a ranking would have earned, net of what it would have cost.

On day t, after the close, the ranking of the day's universe decides a sleeve (:mod:`model.portfolio.targets`), which is
held for h trading days and then closed. With overlapping sleeves each takes 1/h of the capital and one starts every
day; otherwise one sleeve takes all of it, and the next starts when it is h days old. The optimised book is one
position, solved anew on those days (:mod:`model.portfolio.optimised`).

- An order is filled only where the stock can be bought (long) or sold (short) at the entry, within the volume cap and
  in whole trading units where the settings say so; what is not filled stays in cash, for nobody knew at t.
- The first day earns the entry convention's return, later days close to close. A missing return counts as 0 and is
  counted.
- Turnover is the sum of |traded weight|: an expiring sleeve is netted against the new one, and a full flip of both
  legs is four sides. At the end of a run of test days everything is sold, and that is charged too.
- A day with fewer than ``min_names`` predictions, or with a constant prediction, starts no sleeve.
- A day on which nobody has a price (an exchange outage) trades nothing: what is held stays.

Capital is a constant 1 (gains are not reinvested); the row of day t is earned from t to the next trading day.
"""

from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np

from model.metrics.ranked import Sorted
from model.portfolio.costs import Costs, CostsPaid, capacity, unit_impact
from model.portfolio.fills import DUST, Limits, Unfilled, exits_at_entry, fill_entries
from model.portfolio.ledger import Ledger, hold_sleeves
from model.portfolio.market import Floats, Ints, Market
from model.portfolio.returns_alone import Returns, follow_from_sleeves, returns_of_sleeves
from model.portfolio.settings import PortfolioBookSettings
from model.portfolio.targets import Holding, target_weights
from model.portfolio.walk import Rules, walk

REFERENCE_IMPACT = 1.0
"""Coefficient of the square-root law with which capacity is stated where no impact is charged."""
CASH = "cash"


@dataclass(frozen=True)
class Simulation:
    """Daily figures of one portfolio, [T] each, and counts over all days."""

    dates: tuple[date, ...]
    gross: Floats
    costs: CostsPaid
    turnover: Floats
    """Sum of |traded weight| of the day's trades."""
    exposure: Floats
    """Sum of |weight| held over the day, 2 when fully invested in both legs."""
    net_exposure: Floats
    """Sum of weight held over the day."""
    names: Ints
    """Stocks held."""
    unfilled: Unfilled
    missing_returns: int
    """Held positions (sleeve, day and stock) whose return was missing and counted as 0."""
    benchmark: str
    """What the book is judged against: cash, or the universe in the book's own weighting."""
    benchmark_return: Floats
    """Without costs; 0 for cash."""
    capacity: float | None
    """Capital in currency units at which impact eats half the gross return (:func:`model.portfolio.costs.capacity`) at
    the charged impact coefficient, or ``REFERENCE_IMPACT`` where none is charged; None without traded values."""
    unsolved_days: int = 0
    """Days on which the optimiser found no solution and the book was left as it was."""
    positions: Floats | None = None
    """[T, N] weights held over the day, where asked for."""

    @property
    def net(self) -> Floats:
        """[T] gross return after costs."""
        return self.gross - self.costs.total

    @property
    def unfilled_orders(self) -> int:
        """Orders that could not be filled, whatever the reason."""
        return int(self.unfilled.orders.sum())


def simulate(
    scores: Sorted, market: Market, settings: PortfolioBookSettings, horizon: int, keep_positions: bool = False
) -> Simulation:
    """Run the portfolio of one model and horizon.

    Args:
        scores: [T, N], absent where a stock is not in the day's universe.
        horizon: trading days that a sleeve is held.
        keep_positions: hand out the weights of every day (as large as ``scores``).

    Raises:
        DataError: the market lacks a column that the settings need.
    """
    count = names_ranked(scores, settings)
    return simulate_ranking(scores.from_highest, count, market, settings, horizon, keep_positions)


def names_ranked(scores: Sorted, settings: PortfolioBookSettings) -> Ints:
    """[T] names of each day's ranking; 0 where it starts no sleeve."""
    return np.where(scores.varied & (scores.count >= settings.min_names), scores.count, 0)


def simulate_ranking(
    order: Ints,
    count: Ints,
    market: Market,
    settings: PortfolioBookSettings,
    horizon: int,
    keep_positions: bool = False,
) -> Simulation:
    """Run the portfolio of a ranking; days with a count of 0 start no sleeve.

    Args:
        order: [T, N] code positions from best to worst, those without prediction last.
        count: [T] names with prediction.
    """
    unsolved = 0
    if settings.book == "optimised":
        from model.portfolio.optimised import run_optimised

        ledger, unfilled, unsolved = run_optimised(order, count, market, settings, horizon)
    else:
        ledger, unfilled = _run_sleeves(order, count, market, settings, horizon, settings.book)
    benchmark, benchmark_return = CASH, np.zeros(len(market.dates))
    if settings.book == "long_only":
        benchmark = f"{settings.weighting.replace('_', '-')}-weight universe".replace("volatility-weight", "volatility")
        everything = target_weights(order, count, market, settings, horizon, "universe")
        at_entry = exits_at_entry(settings.execution, market)
        benchmark_return = hold_sleeves(everything, market, horizon, at_entry).gross
    return _account(
        ledger, unfilled, market, settings, benchmark, benchmark_return, unsolved_days=unsolved, keep=keep_positions
    )


def returns_of_ranking(
    order: Ints, count: Ints, market: Market, settings: PortfolioBookSettings, horizon: int
) -> Returns:
    """The returns of ``simulate_ranking``, at half its cost where no position has to be known to charge them."""
    if not follow_from_sleeves(settings):
        book = simulate_ranking(order, count, market, settings, horizon)
        return Returns(book.gross, book.net, book.turnover)
    targets = target_weights(order, count, market, settings, horizon, cast("Holding", settings.book))
    limits = Limits.of(settings.execution, market)
    if limits.cap is None and limits.lot is None:
        filled = np.where(np.where(targets > 0.0, market.can_buy, market.can_sell), targets, 0.0)
    else:
        filled, _ = fill_entries(targets, market, limits)
    book_of_one = returns_of_sleeves((row[None, :] for row in filled), 1, market, settings, horizon)
    return Returns(book_of_one.gross[0], book_of_one.net[0], book_of_one.turnover[0])


def _run_sleeves(
    order: Ints, count: Ints, market: Market, settings: PortfolioBookSettings, horizon: int, holding: Holding
) -> tuple[Ledger, Unfilled]:
    targets = target_weights(order, count, market, settings, horizon, holding)
    limits, at_entry = Limits.of(settings.execution, market), exits_at_entry(settings.execution, market)
    if settings.execution.exits == "always":
        filled, unfilled = fill_entries(targets, market, limits)
        return hold_sleeves(filled, market, horizon, at_entry), unfilled
    of_lots = Unfilled.none(len(targets))
    wanted = limits.round_to_lots(targets, of_lots)
    rules = Rules(horizon, exits_constrained=True, exit_at_entry=at_entry, round_orders=False)
    ledger, unfilled = walk(lambda day, held: wanted[day], market, limits, rules)
    return ledger, Unfilled(unfilled.orders + of_lots.orders, unfilled.weight + of_lots.weight)


def _account(
    ledger: Ledger,
    unfilled: Unfilled,
    market: Market,
    settings: PortfolioBookSettings,
    benchmark: str,
    benchmark_return: Floats,
    unsolved_days: int,
    keep: bool,
) -> Simulation:
    size = np.abs(ledger.positions)
    exposure, net_exposure = size.sum(axis=1), ledger.positions.sum(axis=1)
    turnover, costs = ledger.turnover, Costs.of(settings)
    short_value = np.maximum((exposure - net_exposure) / 2.0, 0.0)
    unit = most = None
    if market.traded_value is not None:
        unit = unit_impact(ledger.trades, ledger.closing, market)
        most = capacity(ledger.gross, unit, costs.impact_coefficient or REFERENCE_IMPACT)
    return Simulation(
        dates=market.dates,
        gross=ledger.gross,
        costs=costs.charge(turnover, short_value, unit),
        turnover=turnover,
        exposure=exposure,
        net_exposure=net_exposure,
        names=(size > DUST).sum(axis=1),
        unfilled=unfilled,
        missing_returns=ledger.missing_returns,
        benchmark=benchmark,
        benchmark_return=benchmark_return,
        capacity=most,
        unsolved_days=unsolved_days,
        positions=ledger.positions if keep else None,
    )
