"""What a book wants to hold: the weights of the sleeve that starts on each day, from the day's ranking alone.

- ``long_short``: the best ``quantile`` of the day's names (or ``top_k``) sums to +1, the worst as many to -1;
- ``long_only``: the best alone, summing to +1; its benchmark holds every ranked name in the same weighting;
- ``sector_neutral``: the quantile of each sector. A sector's legs weigh as its share of the ranked names of all sectors
  that have two names or more, so long equals short in every sector. Names without a sector are left out.

A sleeve takes 1/h of the capital and starts every day, or takes all of it and starts on the first day with a ranking
on which the one before it is h or more days old.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.portfolio.market import NO_SECTOR, Flags, Floats, Ints, Market
from model.portfolio.settings import PortfolioBookSettings

Holding = Literal["long_short", "long_only", "sector_neutral", "universe"]
_BLOCK = 64


def rebalance_days(usable: Flags, market: Market, settings: PortfolioBookSettings, horizon: int) -> tuple[Flags, float]:
    """[T] whether a sleeve starts on the day, and the share of the capital that each takes.

    Args:
        usable: [T] the day has a ranking that a sleeve can be made of.
    """
    if settings.rebalance != "every_h_days":
        return np.ones(len(market.dates), dtype=np.bool_), 1.0 / horizon
    starts = np.zeros(len(market.dates), dtype=np.bool_)
    possible = usable & ~market.no_entry  # orders that nobody could fill are written again on the next day
    for run in market.runs:
        days = np.flatnonzero(possible[run.days]) + run.days.start
        place = 0
        while place < len(days):
            starts[days[place]] = True
            place = int(np.searchsorted(days, days[place] + horizon))
    return starts, 1.0


def target_weights(
    order: Ints, count: Ints, market: Market, settings: PortfolioBookSettings, horizon: int, holding: Holding
) -> Floats:
    """[T, N] wanted weights of the sleeve that starts on each day; 0 on a day that starts none.

    Args:
        order: [T, N] code positions from best to worst, those without prediction last.
        count: [T] names with prediction; 0 for a day that starts no sleeve.

    Raises:
        DataError: a sector-neutral book in a market without sectors.
    """
    starts, share = rebalance_days(count > 0, market, settings, horizon)
    counted = np.where(starts, count, 0)
    sector = market.sector if holding == "sector_neutral" else None
    if holding == "sector_neutral" and sector is None:
        raise DataError("The sector-neutral book needs the column Sector in the market table.")
    appeal = 1.0 / market.known_volatility if settings.weighting == "inverse_volatility" else None
    weights = np.zeros(order.shape)
    for start in range(0, len(order), _BLOCK):
        days = slice(start, start + _BLOCK)
        own = None if appeal is None else appeal[days]
        if sector is None:
            found = _over_all(order[days], counted[days], own, settings, holding)
        else:
            found = _by_sector(order[days], counted[days], own, sector[days], settings, holding)
        weights[days] = share * found
    return weights


def _over_all(
    order: Ints, count: Ints, appeal: Floats | None, settings: PortfolioBookSettings, holding: Holding
) -> Floats:
    """[days, N] weights of a capital of 1, legs from the ends of the whole ranking."""
    days, names = order.shape
    size = leg_size(count, settings, holding)[:, None]
    place = np.arange(max(int(size.max(initial=0)), 1))[None, :]
    inside = place < size
    weights = np.zeros((days, names + 1))  # the last column takes the places beyond a leg's end
    legs = [(1.0, np.broadcast_to(place, inside.shape))]
    if holding == "long_short":
        legs.append((-1.0, np.maximum(count[:, None] - 1 - place, 0)))
    for sign, position in legs:
        code = np.take_along_axis(order, position, axis=1)
        wish = inside * (1.0 if appeal is None else np.take_along_axis(appeal, code, axis=1))
        total = wish.sum(axis=1, keepdims=True)
        share = sign * wish / np.where(total > 0, total, 1.0)
        np.put_along_axis(weights, np.where(inside, code, names), share, axis=1)
    return weights[:, :names]


def _by_sector(
    order: Ints,
    count: Ints,
    appeal: Floats | None,
    sector: NDArray[np.int16],
    settings: PortfolioBookSettings,
    holding: Holding,
) -> Floats:
    """[days, N] weights of a capital of 1, legs from the ends of each sector's ranking."""
    ranked = np.arange(order.shape[1]) < count[:, None]
    group = np.where(ranked, np.take_along_axis(sector, order, axis=1), NO_SECTOR).astype(np.int64)
    by_group = np.argsort(group, axis=1, kind="stable")  # from best to worst inside each sector
    order, group = np.take_along_axis(order, by_group, axis=1), np.take_along_axis(group, by_group, axis=1)
    groups = int(group.max(initial=0)) + 1
    members = _group_sums(group, groups, np.ones(group.shape)).astype(np.int64)  # those without sector first
    size = leg_size(members, settings, holding)
    size[:, 0] = 0
    before = np.cumsum(members, axis=1) - members
    place = np.arange(order.shape[1]) - np.take_along_axis(before, group + 1, axis=1)
    of_group = np.take_along_axis(size, group + 1, axis=1)
    share = np.where(size > 0, members, 0) / np.maximum(np.where(size > 0, members, 0).sum(axis=1, keepdims=True), 1)
    ordered = np.zeros(order.shape)
    for sign, inside in (
        (1.0, place < of_group),
        (-1.0, place >= np.take_along_axis(members, group + 1, axis=1) - of_group),
    ):
        taken = inside & (group != NO_SECTOR)
        wish = taken * (1.0 if appeal is None else np.take_along_axis(appeal, order, axis=1))
        total = _group_sums(group, groups, wish)
        scale = sign * share / np.where(total > 0, total, 1.0)
        ordered += wish * np.take_along_axis(scale, group + 1, axis=1)
    weights = np.zeros(order.shape)
    np.put_along_axis(weights, order, ordered, axis=1)
    return weights


def _group_sums(group: Ints, groups: int, values: Floats) -> Floats:
    """[days, 1 + groups] sum of the values by group, ``NO_SECTOR`` first."""
    days, width = len(group), groups + 1
    key = group + 1 + np.arange(days)[:, None] * width
    sums = np.bincount(key.ravel(), weights=values.ravel(), minlength=days * width)
    return np.asarray(sums.reshape(days, width), dtype=np.float64)


def leg_size(members: Ints, settings: PortfolioBookSettings, holding: Holding) -> Ints:
    """Names of a leg of groups with so many members."""
    if holding == "universe":
        return members.copy()
    most = members if holding == "long_only" else members // 2
    if settings.top_k is not None:
        return np.minimum(settings.top_k, most)
    return np.minimum(np.maximum((settings.quantile * members + 1e-9).astype(np.int64), 1), most)
