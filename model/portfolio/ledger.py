"""What a simulation writes down of every day, and the engine for books whose days do not depend on their fills.

Inside its h days a sleeve is left alone: weights drift with prices, so a sleeve without missing prices earns exactly
the h-day return that the labels hold. An expiring sleeve is netted against the new one; one that expires while the
whole exchange stands still leaves when it opens again. At the end of a run of test days everything is sold, and that is
charged too.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from model.portfolio.market import Flags, Floats, Ints, Market, Run

_BLOCK = 64


@dataclass(frozen=True)
class Ledger:
    """Trades, positions and gross return of all days; capital is a constant 1, gains are not reinvested."""

    gross: Floats
    """[T] earned from day t to the next, before costs."""
    trades: Floats
    """[T, N] signed weight traded on the day, the closing of a run apart."""
    positions: Floats
    """[T, N] weight held after the day's trades."""
    turnover: Floats
    """[T] sum of |traded weight|, the closing of a run with its last day."""
    closing: dict[int, Floats] = field(default_factory=dict)
    """Last day of each run to [N]: what was traded to end it."""
    missing_returns: int = 0
    """Held positions (sleeve, day and stock) whose return was missing and counted as 0."""

    @classmethod
    def empty(cls, market: Market) -> "Ledger":
        """To be filled run by run."""
        shape = market.missing.shape
        return cls(np.zeros(shape[0]), np.zeros(shape), np.zeros(shape), np.zeros(shape[0]))


def hold_sleeves(sleeves: Floats, market: Market, horizon: int, exit_at_entry: bool) -> Ledger:
    """Hold every sleeve for ``horizon`` days and let it go at once, unless nobody has a price.

    Args:
        sleeves: [T, N] filled weights of the sleeve of each day.
        exit_at_entry: exits are filled at the entry price of the day that follows, not at the close.
    """
    ledger = Ledger.empty(market)
    shut = market.shut(exit_at_entry)
    oldest = [oldest_held(shut[run.days], horizon) for run in market.runs]
    for run, first in zip(market.runs, oldest, strict=True):
        _hold(sleeves[run.days], run, first, exit_at_entry, ledger)
    firsts = [run.days.start + first[:-1] for run, first in zip(market.runs, oldest, strict=True)]
    return replace(ledger, missing_returns=_missing(sleeves, market, np.concatenate(firsts)))


def oldest_held(shut: Flags, horizon: int) -> Ints:
    """[t + 1] the first day of a run whose sleeve is still held over each of its days, and after the last.

    Args:
        shut: [t] nobody can leave on the day.
    """
    oldest = np.maximum(np.arange(len(shut) + 1) - horizon + 1, 0)
    oldest[:-1][shut] = 0
    return np.maximum.accumulate(oldest)


def _hold(new: Floats, run: Run, oldest: Ints, exit_at_entry: bool, ledger: Ledger) -> None:
    """One run, with nothing held before and after.

    A sleeve S of day i is worth ``S (1 + entry[i]) growth[t] / growth[i + 1]`` at the start of day t > i, so all
    sleeves alive at t are ``growth[t]`` times a difference of running sums: no loop over their ages.
    """
    length, names = new.shape
    gone = np.append(0, oldest[:-1])
    gross, turnover = np.zeros(length), np.zeros(length)
    closing = np.zeros(names)
    for start in range(0, names, _BLOCK):  # so few names at a time that all of it stays in the processor's cache
        own = slice(start, start + _BLOCK)
        block, growth, returns = new[:, own], run.growth[:, own], run.returns[:, own]
        sums = np.zeros((length + 1, block.shape[1]))  # row t: sleeves of days before t
        np.cumsum(block * run.first_day[:, own], axis=0, out=sums[1:])
        held = (sums - sums[oldest]) * growth  # sleeves of age 1 to h - 1 at the start of t
        leaving = (sums[oldest] - sums[gone]) * growth  # the sleeve of age h, and any that could not leave before
        gross += np.einsum("tn,tn->t", block, run.entry_returns[:, own]) + np.einsum("tn,tn->t", held[:-1], returns)
        sold = leaving[:-1]
        if exit_at_entry:
            gross += np.einsum("tn,tn->t", sold, run.overnight[:, own])
            sold = sold * (1.0 + run.overnight[:, own])
        trades = block - sold
        turnover += np.abs(trades).sum(axis=1)
        closing[own] = -(held[-1] + leaving[-1])
        ledger.trades[run.days, own] = trades
        np.add(block, held[:-1], out=ledger.positions[run.days, own])
    turnover[-1] += np.abs(closing).sum()
    ledger.gross[run.days] = gross
    ledger.turnover[run.days] = turnover
    ledger.closing[run.days.stop - 1] = closing


def _missing(sleeves: Floats, market: Market, oldest: Ints) -> int:
    """Held positions (sleeve, day, stock) without a return; ``oldest`` [T] is the first day of the sleeves held."""
    total = int(np.count_nonzero(market.missing_entry & (sleeves != 0.0)))
    day, code = np.nonzero(market.missing)
    for age in range(1, int((np.arange(len(oldest)) - oldest).max()) + 1):
        inside = day - age >= oldest[day]
        total += int(np.count_nonzero(sleeves[day[inside] - age, code[inside]]))
    return total
