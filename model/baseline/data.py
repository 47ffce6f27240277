"""A fold's rows as arrays: normalised features, labels, and the days they belong to.

Rows are the universe members of the wanted dates, sorted by date and code. Features are float32 z-scores from the
fold's ``Normalizer``, the same as the network's; where the raw value is missing they are NaN here, which LightGBM
understands and which the linear model reads as 0, the centre of the day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.errors import DataError
from model.normalization_stats.apply import Normalizer
from model.quality_features.read import read_features

if TYPE_CHECKING:
    from model.store.store import Store

FEATURES = "quality_features"
RETURNS = ("ret_1d", "ret_20d", "ret_120d")
"""Raw returns that the scores which learn nothing are made of; every selection of features keeps them."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """R rows of D days."""

    dates: tuple[date, ...]
    """The days [D]."""
    day: NDArray[np.int64]
    """Position of each row's day in ``dates`` [R], not decreasing."""
    codes: pl.Series
    """Code of each row [R], increasing within a day."""
    x: NDArray[np.float32]
    """z-scores [R, F], NaN where the raw value is missing."""
    past_return: Array
    """Raw one-day return known at the day's close [R], NaN where missing."""
    past_return_20d: Array
    """The same over 20 days."""
    past_return_120d: Array
    """The same over 120 days."""
    labels: dict[int, Array]
    """Raw forward returns by horizon [R]; NaN where missing, and where the fold does not use them (its reach)."""

    def blocks(self, at_least: int = 0) -> Iterator[slice]:
        """The rows of each day, or of as many whole days at a time as give ``at_least`` so many rows."""
        edges = np.searchsorted(self.day, np.arange(len(self.dates) + 1)).tolist()
        start = 0
        for stop in edges[1:]:
            if stop - start >= at_least or stop == edges[-1]:
                yield slice(start, stop)
                start = stop


def load_design(
    store: "Store",
    fold: str,
    normalizer: Normalizer,
    dates: Sequence[date],
    horizons: Sequence[int],
) -> Design:
    """Read the universe members of some dates of a fold, a month at a time, into arrays allocated once.

    Raises:
        DataError: features and labels do not have the same members on these dates.
    """
    days = store.read_table("walk_forward_folds", "dates.parquet", fold, ["Date", "names", "reach"])
    days = days.filter(pl.col("Date").is_in(list(dates)))
    rows = int(days["names"].sum())
    x = np.empty((rows, len(normalizer.features)), np.float32)
    past = np.empty((len(RETURNS), rows))
    keys: list[pl.DataFrame] = []
    filled = 0
    for wanted in _by_month(dates):
        part = _read(store, "features", wanted, list(dict.fromkeys([*RETURNS, *normalizer.features])))
        block = slice(filled, filled + part.height)
        filled += part.height
        keys.append(part.select("Date", "Code"))
        x[block] = _scores(part, normalizer)
        for own, name in zip(past, RETURNS, strict=True):
            own[block] = _floats(part[name])
    key = pl.concat(keys)
    numbers = pl.Series(dates, dtype=pl.Date).to_physical().to_numpy()
    day = np.searchsorted(numbers, key["Date"].to_physical().to_numpy()).astype(np.int64)
    reach = days["reach"].to_numpy()[day]
    labels = _labels(store, key, dates, horizons)
    return Design(
        dates=tuple(dates),
        day=day,
        codes=key["Code"],
        x=x,
        past_return=past[0],
        past_return_20d=past[1],
        past_return_120d=past[2],
        labels={horizon: np.where(reach >= horizon, values, np.nan) for horizon, values in labels.items()},
    )


def day_targets(design: Design, horizon: int, scale: float, clip: float) -> Array:
    """What is fitted [R]: labels minus their mean of the day, over ``scale``, clipped; NaN where missing."""
    target = np.full(len(design.day), np.nan)
    for block in design.blocks():
        label = design.labels[horizon][block]
        known = np.isfinite(label)
        if known.any():
            target[block][known] = label[known] - label[known].mean()
    clipped: Array = np.clip(target / scale, -clip, clip)
    return clipped


def _by_month(dates: Sequence[date]) -> Iterator[list[date]]:
    month: list[date] = []
    for day in dates:
        if month and (day.year, day.month) != (month[0].year, month[0].month):
            yield month
            month = []
        month.append(day)
    if month:
        yield month


def _read(store: "Store", table: str, dates: list[date], columns: list[str]) -> pl.DataFrame:
    wanted = ["Date", "Code", "InUniverse", *columns]
    if table == "features":
        rows = read_features(store, start=dates[0], end=dates[-1], columns=wanted)
    else:
        rows = store.read_chunks(FEATURES, table, start=dates[0], end=dates[-1], columns=wanted)
    return rows.filter(pl.col("InUniverse") & pl.col("Date").is_in(dates))


def _scores(rows: pl.DataFrame, normalizer: Normalizer) -> NDArray[np.float32]:
    raw = rows.select(pl.col(normalizer.features).cast(pl.Float32).fill_null(np.nan)).to_numpy()
    day = np.searchsorted(normalizer.dates, rows["Date"].to_physical().to_numpy()).astype(np.int64)
    scores = normalizer.apply(raw, day)
    scores[~np.isfinite(raw)] = np.nan
    return scores


def _labels(store: "Store", key: pl.DataFrame, dates: Sequence[date], horizons: Sequence[int]) -> dict[int, Array]:
    names = [f"target_{horizon}" for horizon in horizons]
    rows = pl.concat([_read(store, "labels", wanted, names) for wanted in _by_month(dates)])
    if rows.height != key.height:
        raise DataError(
            f"The features have {key.height} rows of universe members on {len(dates)} dates from {dates[0]} on and the "
            f"labels {rows.height}. Run `gogooku refresh` so that both are made from the same raw_dataset."
        )
    joined = key.join(rows, on=["Date", "Code"], how="left", maintain_order="left")
    return {horizon: _floats(joined[name]) for horizon, name in zip(horizons, names, strict=True)}


def _floats(column: pl.Series) -> Array:
    values: Array = column.cast(pl.Float64).fill_null(np.nan).to_numpy().copy()
    values[~np.isfinite(values)] = np.nan
    return values
