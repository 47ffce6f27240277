"""Facts that need a code's history: returns and their outliers, streaks, anomalies.

All bars lie side by side, sorted by code and day, as plain arrays; a row's neighbour is the code's day before.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.raw_dataset.anomalies import find
from model.raw_dataset.anomaly_evidence import BARS, LONG_GAP, SMALLEST_JUMP
from model.raw_dataset.settings import QualitySettings

BIN_WIDTH = 0.02
_BINS = np.arange(-4.0, 4.0 + BIN_WIDTH / 2, BIN_WIDTH)
"""Edges of the histogram of log returns; what lies beyond counts in the outermost bins."""
_SHOWN = 200
_SIGMA = 1.4826
"""Of a normal distribution, the standard deviation over the median absolute deviation (MAD)."""
_LEAST_MAD = 1e-4
"""On a day on which most names stand still, nearly every move would be an outlier."""
_UNDONE = 0.25
"""An outlier counts as reversed if at most this share of it is left at the next close."""


@dataclass(frozen=True)
class Series:
    """See :class:`model.raw_dataset.health.facts.Facts`."""

    daily: pl.DataFrame
    histogram: pl.DataFrame
    worst: pl.DataFrame
    splits: pl.DataFrame
    streaks: pl.DataFrame
    anomalies: pl.DataFrame


def gather_series(
    months: Iterable[pl.DataFrame], days: pl.Series, counted: pl.DataFrame, settings: QualitySettings
) -> Series:
    """Returns, streaks and anomalies.

    Args:
        months: ``BARS`` and Tradable of each month, in order; read as they are needed.
        days: every trading day, in order.
        counted: one row a day, to which the counts of this module are added.
    """
    bars = _by_code(months)
    place = days.search_sorted(bars["Date"]).to_numpy()
    starts = _starts(bars["Code"])
    quiet = _streaks(~bars["Tradable"].to_numpy(), starts)
    daily = [pl.Series("quiet", np.bincount(place[quiet >= settings.stale_days], minlength=len(days)))]

    known = bars["AdjClose"].is_not_null()
    priced, day = bars.filter(known), place[known.to_numpy()]
    close = priced["AdjClose"].to_numpy()
    starts = _starts(priced["Code"])
    move = np.diff(np.log(close), prepend=0.0)
    follows = ~starts & (np.diff(day.astype(np.int64), prepend=-2) == 1)
    same = _streaks(~starts & (move == 0.0), starts)
    daily.append(pl.Series("stale", np.bincount(day[same + 1 >= settings.stale_days], minlength=len(days))))

    score, median = _scores(np.where(follows, move, np.nan), day, len(days))
    outlier = np.abs(score) > settings.outlier_mads
    undone = _undone(move, starts, outlier)
    counts = {"returns": follows, "outliers": outlier, "reversed": undone}
    daily += [pl.Series(name, np.bincount(day[chosen], minlength=len(days))) for name, chosen in counts.items()]
    market = pl.DataFrame({"Date": days, "market_return": median})
    table = counted.join(
        pl.DataFrame({"Date": days, "median_return": median}).with_columns(daily), on="Date", maintain_order="left"
    )
    factor = np.log(priced["AdjustmentCumulative"].to_numpy())
    step = np.where(starts, 0.0, np.diff(factor, prepend=0.0))
    odd = (np.abs(move) >= SMALLEST_JUMP) | (np.diff(day.astype(np.int64), prepend=0) >= LONG_GAP) | (step != 0.0)
    return Series(
        daily=table,
        histogram=_histogram(move[follows]),
        worst=_worst(priced, score, move, undone, outlier),
        splits=_splits(priced, np.flatnonzero(step != 0.0), step, move - np.nan_to_num(median)[day]),
        streaks=_longest(bars, quiet, priced, same, settings.stale_days),
        anomalies=find(_of_codes(priced, odd & ~starts), days, market),
    )


def _of_codes(priced: pl.DataFrame, odd: NDArray[np.bool_]) -> pl.DataFrame:
    """All rows of the codes that have an odd row, as the search for anomalies reads them."""
    codes = priced["Code"].filter(pl.Series(odd)).unique()
    return priced.select(list(BARS)).filter(pl.col("Code").is_in(codes.implode())).cast({"Code": pl.String})


def _by_code(months: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all months, those of a code together and in the order of the days; Code as an Enum."""
    bars = pl.concat(months)
    codes = bars["Code"].unique().sort()
    bars = bars.with_columns(pl.col("Code").cast(pl.Enum(codes)))
    numbers = bars["Code"].to_physical().to_numpy()
    # Whole numbers of 16 bits are sorted stably in linear time, and there are seldom more codes than those can count.
    order = np.argsort(numbers.astype(np.uint16) if len(codes) <= 1 << 16 else numbers, kind="stable")
    return bars.select(pl.all().gather(pl.lit(pl.Series(order.astype(np.uint32)))))


def _starts(codes: pl.Series) -> NDArray[np.bool_]:
    """True on the first row of each code."""
    numbers = codes.to_physical().to_numpy()
    return np.asarray(np.diff(numbers.astype(np.int64), prepend=-1) != 0)


def _streaks(holds: NDArray[np.bool_], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row how many rows in a row, this one included, the condition has held; 0 where it does not."""
    rows = np.arange(len(holds))
    since = np.maximum.accumulate(np.where(~holds, rows, np.where(starts, rows - 1, -1))) if len(rows) else rows
    return np.asarray(rows - since, np.int64)


def _scores(
    returns: NDArray[np.float64], day: NDArray[np.int64], days: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each return's robust distance from its day (NaN without a return), and the median of each day."""
    frame = pl.DataFrame({"day": day, "move": returns}).with_columns(pl.col("move").fill_nan(None))
    by_day = frame.group_by("day").agg(pl.col("move").median().alias("median"))
    medians = np.full(days, np.nan)
    medians[by_day["day"].to_numpy()] = by_day["median"].fill_null(np.nan).to_numpy()
    apart = returns - medians[day]
    spread = (
        pl.DataFrame({"day": day, "apart": np.abs(apart)})
        .group_by("day")
        .agg(pl.col("apart").fill_nan(None).median().alias("mad"))
    )
    mads = np.full(days, np.nan)
    mads[spread["day"].to_numpy()] = spread["mad"].fill_null(np.nan).to_numpy()
    return apart / (_SIGMA * np.maximum(mads, _LEAST_MAD)[day]), medians


def _undone(move: NDArray[np.float64], starts: NDArray[np.bool_], outlier: NDArray[np.bool_]) -> NDArray[np.bool_]:
    following = np.append(move[1:], 0.0)
    last = np.append(starts[1:], True)
    return np.asarray(outlier & ~last & (np.abs(move + following) <= _UNDONE * np.abs(move)))


def _histogram(moves: NDArray[np.float64]) -> pl.DataFrame:
    counts, edges = np.histogram(np.clip(moves, _BINS[0], _BINS[-1] - 1e-9), bins=_BINS)
    return pl.DataFrame({"bin": edges[:-1], "count": counts})


def _worst(
    priced: pl.DataFrame,
    score: NDArray[np.float64],
    move: NDArray[np.float64],
    undone: NDArray[np.bool_],
    outlier: NDArray[np.bool_],
) -> pl.DataFrame:
    rows = np.flatnonzero(outlier)
    rows = rows[np.argsort(-np.abs(score[rows]), kind="stable")[:_SHOWN]]
    chosen = priced.select("Date", pl.col("Code").cast(pl.String), "AdjClose")[rows]
    return chosen.with_columns(
        pl.Series("log_return", move[rows]), pl.Series("score", score[rows]), pl.Series("reversed", undone[rows])
    )


def _splits(
    priced: pl.DataFrame, rows: NDArray[np.int64], step: NDArray[np.float64], apart: NDArray[np.float64]
) -> pl.DataFrame:
    """Rows on which the adjustment changed since the code's last close, and the return against the day's median."""
    chosen = priced.select("Date", pl.col("Code").cast(pl.String))[rows]
    return chosen.with_columns(factor=pl.Series(np.exp(step[rows])), excess_return=pl.Series(apart[rows]))


def _longest(
    bars: pl.DataFrame, quiet: NDArray[np.int64], priced: pl.DataFrame, same: NDArray[np.int64], least: int
) -> pl.DataFrame:
    """The longest streaks of each kind: the day on which it ended, and how many days it lasted."""
    parts = []
    for kind, frame, lengths, extra in (("quiet", bars, quiet, 0), ("stale", priced, same, 1)):
        ends = np.flatnonzero((lengths + extra >= least) & (np.append(lengths[1:], 0) == 0))
        ends = ends[np.argsort(-lengths[ends], kind="stable")[:_SHOWN]]
        chosen = frame.select("Code", "Date")[ends].with_columns(pl.col("Code").cast(pl.String))
        parts.append(chosen.with_columns(kind=pl.lit(kind), days=pl.Series(lengths[ends] + extra, dtype=pl.Int64)))
    return pl.concat(parts).select("kind", "days", "Code", "Date")
