"""Daily returns of many books at once, where nothing else is asked of them.

A report simulates a hundred random rankings beside every model; of those it needs gross return and turnover, not what
was held. Where exits always fill, the gross return is linear in the sleeves: a sleeve ``S`` of day s earns
``S . q(s, a)`` on day s + a, with

- ``q(s, 0)``: the return from the entry price;
- ``q(s, a) = (1 + entry(s)) growth(s + a) / growth(s + 1) return(s + a)`` for a = 1 ... h - 1;
- ``q(s, h)``: the same with the overnight return, where exits are filled at the entry price;

(a sleeve that expires while the whole exchange stands still lives on until it opens)

so the days of all books are one matrix product a day. The figures are those of :func:`model.portfolio.ledger.
hold_sleeves`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model.portfolio.costs import Costs
from model.portfolio.fills import exits_at_entry
from model.portfolio.ledger import oldest_held
from model.portfolio.market import Floats, Ints, Market, Run
from model.portfolio.settings import PortfolioBookSettings


@dataclass(frozen=True)
class Returns:
    """Daily figures of a book of which nothing else is asked, [T] each (of many books [books, T])."""

    gross: Floats
    net: Floats
    turnover: Floats


def follow_from_sleeves(settings: PortfolioBookSettings) -> bool:
    """Whether gross return and turnover are all that has to be known: exits fill, and costs are those of turnover."""
    costs = Costs.of(settings)
    by_turnover = costs.impact_coefficient == 0.0 and costs.borrow_bps_per_year == 0.0
    return settings.book != "optimised" and settings.execution.exits == "always" and by_turnover


def returns_of_sleeves(
    sleeves: Iterator[Floats], books: int, market: Market, settings: PortfolioBookSettings, horizon: int
) -> Returns:
    """Hold every sleeve for ``horizon`` days and let it go at once, unless nobody has a price.

    Args:
        sleeves: for each day in order, [books, N] filled weights of the sleeve that starts on it (copied at once).
        settings: of which ``follow_from_sleeves`` holds.
    """
    days = len(market.dates)
    gross, turnover = np.zeros((books, days)), np.zeros((books, days))
    at_entry = exits_at_entry(settings.execution, market)
    shut = market.shut(at_entry)
    for run in market.runs:
        _hold(
            sleeves,
            run,
            oldest_held(shut[run.days], horizon),
            at_entry,
            gross[:, run.days],
            turnover[:, run.days],
        )
    paid = Costs.of(settings).linear * turnover
    return Returns(gross, gross - paid, turnover)


def _hold(
    sleeves: Iterator[Floats], run: Run, oldest: Ints, exit_at_entry: bool, gross: Floats, turnover: Floats
) -> None:
    """One run, with nothing held before and after; writes into ``gross`` and ``turnover`` [books, t]."""
    length, names = run.returns.shape
    growth, start_value = run.growth, run.first_day
    together = int((np.arange(length) - oldest[:-1]).max()) + 1
    leaves = np.searchsorted(oldest[:-1], np.arange(length), side="right")  # ``length`` where only the end closes it
    held = np.zeros((together, len(gross), names))  # the sleeve of day s in place s modulo ``together``
    sold, trades = np.empty((len(gross), names)), np.empty((len(gross), names))
    earned = np.empty((together + 1, names))  # by one unit of the day's sleeve, at each age
    for day in range(length):
        new = order = next(sleeves)
        for born in range(oldest[day - 1] if day else 0, oldest[day]):
            value = start_value[born] * growth[day]
            np.multiply(held[born % together], value * (1.0 + run.overnight[day]) if exit_at_entry else value, out=sold)
            order = np.subtract(order, sold, out=trades)
        turnover[:, day] = np.abs(order, out=trades).sum(axis=1)
        held[day % together] = new
        ages = int(leaves[day]) - day
        earned[0] = run.entry_returns[day]
        np.multiply(run.growth_earned[day + 1 : day + ages], start_value[day], out=earned[1:ages])
        if exit_at_entry and ages < length - day:
            earned[ages] = start_value[day] * growth[day + ages] * run.overnight[day + ages]
            ages += 1
        gross[:, day : day + ages] += new @ earned[:ages].T
    closing = sum(
        held[day % together] * (start_value[day] * growth[length]) for day in range(oldest[length - 1], length)
    )
    turnover[:, -1] += np.abs(closing).sum(axis=1)
