"""What luck alone gives: the same evaluation on random rankings.

A figure means little beside zero and much beside the spread of the figures of useless rankings on the same stocks,
days, costs and constraints. Each draw ranks the universe of every day anew.

No scores are drawn and sorted for that: a random permutation is a ranking. Every day has one, and each draw turns it by
a random number of places of its own (the first names by code take the ranks from there on, around the end to the
beginning). A turned random permutation is a random permutation, and days stay independent, so each draw has exactly
the law of a random ranking. Two draws of a day are the same permutation turned by a random distance, over which the
covariance of anything linear in the ranks (RankIC, the return of a book) averages to zero.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.metrics.bootstrap import percentiles
from model.metrics.order import Scalar
from model.metrics.performance import annual_return, max_drawdown, sharpe
from model.metrics.ranked import Sorted
from model.metrics.summary import summarise
from model.portfolio.book import returns_of_ranking
from model.portfolio.fills import Limits
from model.portfolio.market import Flags, Floats, Grid, Ints, Market
from model.portfolio.returns_alone import Returns, follow_from_sleeves, returns_of_sleeves
from model.portfolio.targets import leg_size, rebalance_days
from model.portfolio_report.settings import PortfolioSettings

_STREAM = 0x7A4D
_THREADS = min(os.cpu_count() or 1, 4)
"""Groups of draws at a time; the figures do not depend on it."""
_DRAWS_TOGETHER = 10
"""Draws of a group: few enough that a day of theirs stays in the processor's cache."""


@dataclass(frozen=True)
class RandomBand:
    """Figures of every draw, by horizon and name; NaN where a draw has none. ``days`` counts the days with RankIC."""

    draws: dict[int, dict[str, Floats]]
    days: dict[int, int]

    def mean_and_band(self, horizon: int, name: str, confidence: float) -> tuple[float, tuple[float, float]] | None:
        """Mean over the draws and the central band that holds ``confidence`` of them; None where there is none."""
        values = self.draws[horizon][name]
        band = percentiles(values, confidence)
        return None if band is None else (float(np.nanmean(values)), band)


@dataclass(frozen=True)
class Turned:
    """The random rankings of every day: one permutation, and where each draw begins to read it."""

    names: tuple[Ints, ...]
    """[T] of code positions that are ranked."""
    twice: tuple[Ints, ...]
    """[T] of their places from best (0) to worst, and the same again."""
    start: Ints
    """[draws, T]."""

    @classmethod
    def of(cls, present: Flags, draws: int, seed: int) -> "Turned":
        """Draw them; ``present`` [T, N] says which names are ranked."""
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _STREAM])))
        names = tuple(np.flatnonzero(row) for row in present)
        twice = tuple(np.tile(rng.permutation(len(own)), 2) for own in names)
        return cls(names, twice, rng.integers(0, np.maximum([len(own) for own in names], 1), (draws, len(present))))

    def read(self, values: NDArray[Scalar], day: int, draws: slice) -> list[NDArray[Scalar]]:
        """What each draw gives the ranked names of a day, of ``values`` by place in ``twice`` [2 n]: views of them."""
        count = len(self.names[day])
        return [values[start : start + count] for start in self.start[draws, day].tolist()]

    def order(self, draw: int, codes: int) -> Ints:
        """[T, N] code positions of one draw from best to worst, those that are not ranked last."""
        order = np.empty((len(self.names), codes), dtype=np.int64)
        for day, (own, out) in enumerate(zip(self.names, order, strict=True)):
            place = self.read(self.twice[day], day, slice(draw, draw + 1))[0]
            out[place] = own
            out[len(own) :] = np.setdiff1d(np.arange(codes), own, assume_unique=True)
        return order


def random_band(
    labels: dict[int, Sorted],
    ranked: dict[int, Flags],
    market: Grid,
    settings: PortfolioSettings,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> RandomBand:
    """Evaluate random rankings of the common rows.

    Args:
        labels: by horizon, [T, N].
        ranked: by horizon, [T, N] the names that every model ranks.
        market: the test days; a grid that is no market has rankings and no portfolios.
    """
    draws: dict[int, dict[str, Floats]] = {}
    turned: Turned | None = None
    last: Flags | None = None
    groups = [slice(first, first + _DRAWS_TOGETHER) for first in range(0, settings.random_draws, _DRAWS_TOGETHER)]
    with ThreadPoolExecutor(_THREADS) as pool:  # a matter of products and sums, outside Python's lock
        for number, (h, present) in enumerate(ranked.items()):
            if turned is None or last is None or not np.array_equal(last, present):
                turned, last = Turned.of(present, settings.random_draws, seed), present
            evaluate = _Evaluate(turned, labels[h], market, settings, h)
            parts = []
            for part in pool.map(evaluate, groups):
                parts.append(part)
                done = number * settings.random_draws + min(len(parts) * _DRAWS_TOGETHER, settings.random_draws)
                progress(done // len(ranked))
            draws[h] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    days = {h: int(((labels[h].present & ranked[h]).sum(axis=1) >= settings.min_names).sum()) for h in ranked}
    return RandomBand(draws, days)


@dataclass(frozen=True)
class _Evaluate:
    """Figures of some draws at one horizon."""

    turned: Turned
    labels: Sorted
    market: Grid
    settings: PortfolioSettings
    horizon: int

    def __call__(self, draws: slice) -> dict[str, Floats]:
        draws = slice(draws.start, min(draws.stop, self.settings.random_draws))
        correlations = [summarise(row) for row in rank_ics(self.turned, self.labels, draws, self.settings.min_names)]
        figures: dict[str, list[float | None]] = {
            "rank_ic": [found.mean for found in correlations],
            "icir": [found.ir for found in correlations],
        }
        if isinstance(self.market, Market):
            books = _books(self.turned, draws, self.market, self.settings, self.horizon)
            for book in books:
                for name, value in _portfolio_figures(book, self.settings.periods_per_year).items():
                    figures.setdefault(name, []).append(value)
        return {name: np.array([np.nan if v is None else v for v in values]) for name, values in figures.items()}


def _portfolio_figures(book: Returns, periods: int) -> dict[str, float | None]:
    deepest = max_drawdown(book.net)
    return {
        "sharpe": sharpe(book.net, periods),
        "sharpe_gross": sharpe(book.gross, periods),
        "ann_return_net": annual_return(book.net, periods),
        "ann_return_gross": annual_return(book.gross, periods),
        "max_drawdown": deepest.depth if deepest else None,
        "turnover": float(book.turnover.mean()),
    }


def rank_ics(turned: Turned, labels: Sorted, draws: slice, min_names: int) -> Floats:
    """[draws, T] RankIC of some draws; a stock without label has no part, and those behind it move up."""
    found = np.full((draws.stop - draws.start, len(turned.names)), np.nan)
    for day, names in enumerate(turned.names):
        known = labels.present[day][names]
        count = int(known.sum())
        if count < max(min_names, 2):
            continue
        rank = labels.centred[day][names]
        if count == len(names):
            places = turned.read(turned.twice[day].astype(np.float64), day, draws)
        else:
            places = list(_closed_up(np.stack(turned.read(turned.twice[day], day, draws)), known))
        # The label ranks sum to 0, so the mean of the places drops out; 1 … n has the sum of squares n (n^2 - 1) / 12.
        spread = np.sqrt(count * (count**2 - 1.0) / 12.0 * float(rank @ rank))
        if spread > 0.0:
            found[:, day] = [-float(place @ rank) / spread for place in places]
    return found


def _closed_up(place: Ints, known: Flags) -> Floats:
    """[draws, n] places among the known names only; of no meaning for the others."""
    row = np.arange(len(place))[:, None] * place.shape[1]
    there = np.empty(place.size)
    there[(place + row).ravel()] = np.broadcast_to(known, place.shape).ravel()
    before = np.cumsum(there.reshape(place.shape), axis=1)
    return np.asarray(before.ravel()[place + row])


def _books(turned: Turned, draws: slice, market: Market, settings: PortfolioSettings, horizon: int) -> list[Returns]:
    """The returns of each draw's book."""
    limits = Limits.of(settings.execution, market)
    if follow_from_sleeves(settings) and settings.book in _BY_PLACE and limits.cap is None and limits.lot is None:
        sleeves = _sleeves(turned, draws, market, settings, horizon)
        found = returns_of_sleeves(sleeves, draws.stop - draws.start, market, settings, horizon)
        return [Returns(*row) for row in zip(found.gross, found.net, found.turnover, strict=True)]
    count = np.array([len(own) if len(own) >= settings.min_names else 0 for own in turned.names])
    return [
        returns_of_ranking(turned.order(draw, len(market.codes)), count, market, settings, horizon)
        for draw in range(draws.start, draws.stop)
    ]


_BY_PLACE = ("long_short", "long_only")
"""Books whose weights follow from the place in the whole ranking."""


def _sleeves(
    turned: Turned, draws: slice, market: Market, settings: PortfolioSettings, horizon: int
) -> Iterator[Floats]:
    """[draws, N] filled weights of each day: those of :func:`model.portfolio.targets.target_weights`, by place.

    What is handed out holds until the next day is asked for.
    """
    count = np.array([len(names) for names in turned.names])
    starts, share = rebalance_days(count >= settings.min_names, market, settings, horizon)
    appeal = 1.0 / market.known_volatility if settings.weighting == "inverse_volatility" else None
    nothing = np.zeros((draws.stop - draws.start, len(market.codes)))
    of_draw = np.empty(nothing.shape)
    weights = np.zeros(nothing.shape)
    long_only = settings.book == "long_only"
    sizes = leg_size(count, settings, "long_only" if long_only else "long_short").tolist()
    for day, (names, size) in enumerate(zip(turned.names, sizes, strict=True)):
        if not starts[day] or len(names) < settings.min_names or size == 0:
            yield nothing
            continue
        of_place = np.zeros(len(names))
        of_place[:size] = share / size
        if not long_only:
            of_place[-size:] = -share / size
        own = of_draw[:, : len(names)]
        for out, weight in zip(own, turned.read(of_place[turned.twice[day]], day, draws), strict=True):
            out[:] = weight
        if appeal is not None:
            long, short = (np.maximum(sign * own, 0.0) * appeal[day][names] for sign in (1.0, -1.0))
            own[:] = share * long / long.sum(axis=1, keepdims=True)
            own -= 0.0 if long_only else share * short / short.sum(axis=1, keepdims=True)
        by_name = own.T
        for possible, lost in ((market.can_buy[day], np.minimum), (market.can_sell[day], np.maximum)):
            blocked = np.flatnonzero(~possible[names])
            by_name[blocked] = lost(by_name[blocked], 0.0)
        if len(names) == len(market.codes):
            yield own
        else:
            weights.fill(0.0)
            weights[:, names] = own
            yield weights
