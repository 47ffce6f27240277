"""What luck alone gives: the same evaluation on random rankings.

A figure means little beside zero and much beside the spread of the figures of useless rankings on the same stocks,
days, costs and constraints. Each draw ranks the universe of every day anew.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.metrics.bootstrap import percentiles
from model.metrics.performance import annual_return, max_drawdown, sharpe
from model.metrics.summary import summarise
from model.portfolio.book import Returns, returns_of_ranking
from model.portfolio.market import Flags, Floats, Grid, Market, dense_scores
from model.portfolio_report.settings import PortfolioSettings
from model.portfolio_report.signal import Sorted

_STREAM = 0x7A4D
_BLOCK_DAYS = 64
_THREADS = min(os.cpu_count() or 1, 4)
"""Draws at a time; the figures do not depend on it."""


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


def random_band(
    common: pl.DataFrame,
    horizons: tuple[int, ...],
    market: Grid,
    settings: PortfolioSettings,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> RandomBand:
    """Evaluate random rankings of the common rows.

    Args:
        common: Date, Code, horizon, label.
        market: the test days; a grid that is no market has rankings and no portfolios.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _STREAM])))
    ones = common.with_columns(present=pl.lit(1.0))
    by_horizon = {h: ones.filter(pl.col("horizon") == h) for h in horizons}
    present = {h: ~np.isnan(dense_scores(rows, "present", market)) for h, rows in by_horizon.items()}
    labels = {h: _centred_ranks(dense_scores(rows, "label", market)) for h, rows in by_horizon.items()}
    draws: dict[int, dict[str, list[float]]] = {h: {} for h in horizons}

    def one(scores: NDArray[np.int64]) -> dict[int, dict[str, float | None]]:
        return _draw(scores, present, labels, market, settings)

    with ThreadPoolExecutor(_THREADS) as pool:  # a draw is a matter of sorting and summing, outside Python's lock
        for start in range(0, settings.random_draws, _THREADS):
            count = min(_THREADS, settings.random_draws - start)
            drawn = [rng.integers(0, 1 << 63, (len(market.dates), len(market.codes))) for _ in range(count)]
            for number, found in enumerate(pool.map(one, drawn)):
                for h, named in found.items():
                    for name, value in named.items():
                        draws[h].setdefault(name, []).append(np.nan if value is None else value)
                progress(start + number + 1)
    days = {h: int((np.isfinite(ranks).sum(axis=1) >= settings.min_names).sum()) for h, ranks in labels.items()}
    return RandomBand({h: {n: np.array(v) for n, v in named.items()} for h, named in draws.items()}, days)


def _draw(
    scores: NDArray[np.int64],
    present: dict[int, Flags],
    labels: dict[int, Floats],
    market: Grid,
    settings: PortfolioSettings,
) -> dict[int, dict[str, float | None]]:
    """Figures of one random ranking by horizon and name."""
    order, ranked = np.empty((0, 0), np.int64), np.empty((0, 0), np.bool_)
    result: dict[int, dict[str, float | None]] = {}
    for h, there in present.items():
        if not np.array_equal(ranked, there):  # most often the universe is the same for all horizons
            order, ranked = _random_order(scores, there), there
        result[h] = _correlation_figures(rank_ic_of_order(order, labels[h], settings.min_names))
        if isinstance(market, Market):
            count = ranked.sum(axis=1)
            book = returns_of_ranking(order, np.where(count >= settings.min_names, count, 0), market, settings, h)
            result[h] |= _portfolio_figures(book, settings.periods_per_year)
    return result


def _random_order(scores: NDArray[np.int64], there: Flags) -> NDArray[np.int64]:
    """Code positions in random order, those that are not there last.

    The position takes the lowest bits of each random number, so that sorting the numbers sorts the positions.
    """
    bits = max(int(scores.shape[1] - 1).bit_length(), 1)
    keys = (np.where(there, scores, np.iinfo(np.int64).max) >> bits << bits) | np.arange(scores.shape[1])
    keys.sort(axis=1)
    return np.asarray(keys & ((1 << bits) - 1))


def _correlation_figures(correlations: Floats) -> dict[str, float | None]:
    of_rank_ic = summarise(correlations)
    return {"rank_ic": of_rank_ic.mean, "icir": of_rank_ic.ir}


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


def rank_ic_of_order(order: NDArray[np.int64], labels: Floats, min_names: int) -> Floats:
    """RankIC [T] of rankings without ties, best first, against centred label ranks.

    A stock without label has no part: its place is taken out and those behind it move up.

    Args:
        order: [T, N] code positions from best to worst.
        labels: [T, N] average ranks minus their mean, NaN where there is no label.
    """
    found = np.empty(len(labels))
    for start in range(0, len(labels), _BLOCK_DAYS):
        days = slice(start, start + _BLOCK_DAYS)
        found[days] = _rank_ic_of_days(order[days], labels[days], min_names)
    return found


def _rank_ic_of_days(order: NDArray[np.int64], labels: Floats, min_names: int) -> Floats:
    ordered = np.take_along_axis(labels, order, axis=1)
    there = ~np.isnan(ordered)
    ordered[~there] = 0.0
    place = np.cumsum(there, axis=1, dtype=np.float64)
    count = place[:, -1]
    # The label ranks sum to 0, so the mean of the places drops out; 1 … n has the sum of squares n (n^2 - 1) / 12.
    covariance = -np.einsum("tn,tn->t", place, ordered)
    spread = np.sqrt(count * (count**2 - 1.0) / 12.0 * np.einsum("tn,tn->t", ordered, ordered))
    enough = (count >= min_names) & (spread > 0)
    return np.where(enough, covariance / np.where(enough, spread, 1.0), np.nan)


def _centred_ranks(labels: Floats) -> Floats:
    """[T, N] average ranks within the day minus their mean, NaN where there is no label."""
    there = ~np.isnan(labels)
    ranks = Sorted.of(labels).ranks(np.arange(len(labels)), there)
    return np.where(there, ranks - (there.sum(axis=1, keepdims=True) + 1) / 2.0, np.nan)
