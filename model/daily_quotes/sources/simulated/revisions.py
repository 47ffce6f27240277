"""Bars that are published with one wrong field, and superseded some trading days later.

The market itself follows the right figures. Of a bar whose correction is not yet published, the wrong version is the
newest one, so a later end of the market restates days near the earlier end.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from model.daily_quotes.beside import REVISIONS
from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.clock import Clock, Positions
from model.daily_quotes.sources.simulated.companies import Matrix
from model.daily_quotes.sources.simulated.market import Bars
from model.daily_quotes.sources.simulated.structure import Stream, generator

_LONGEST_DAYS = 10
_MINUTE = 18 * 60
"""Corrections are published in the evening."""
_FIELDS = ("Open", "High", "Low", "Close", "Volume")


@dataclass(frozen=True)
class Mistakes:
    """First versions that are wrong, [mistakes] each, in the order of days and stocks."""

    day: Positions
    stock: Positions
    superseded: Positions
    """Trading day on which the right version is published; it may lie after the market's last day."""
    values: dict[str, Matrix]
    """The bar's fields as first published, all but one of them right."""


def mistakes(settings: SimulatedSource, bars: Bars) -> Mistakes:
    """Draw the mistakes; each bar that traded may have one, and stays a possible bar."""
    rng = generator(settings, Stream.REVISIONS)
    days, stocks, draws = [], [], []
    for position, close in enumerate(bars.close):
        uniform = rng.random((4, len(close)))
        chosen = np.flatnonzero((uniform[0] < settings.revision_rate) & ~np.isnan(close))
        days.append(np.full(len(chosen), position))
        stocks.append(chosen)
        draws.append(uniform[1:, chosen])
    day, stock, (kind, delay, size) = np.concatenate(days), np.concatenate(stocks), np.concatenate(draws, axis=1)
    later = 1 + np.floor(_LONGEST_DAYS * delay).astype(np.int64)
    return Mistakes(day, stock, day + later, _wrong(bars, day, stock, np.floor(5 * kind), size))


def _wrong(bars: Bars, day: Positions, stock: Positions, kind: Matrix, size: Matrix) -> dict[str, Matrix]:
    """Open or close moved to the end of the day's range, the range widened, or the volume multiplied."""
    arrays = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    values = {name: array[day, stock] for name, array in zip(_FIELDS, arrays, strict=True)}
    high, low = values["High"], values["Low"]
    for place, name in ((0, "Open"), (3, "Close")):
        far = np.where(high - values[name] >= values[name] - low, high, low)
        kind = np.where((kind == place) & (far == values[name]), 4, kind)
        values[name] = np.where(kind == place, far, values[name])
    values["High"] = np.where(kind == 1, np.round(high * (1.01 + 0.05 * size), 1), high)
    values["Low"] = np.where(kind == 2, np.round(low * (0.99 - 0.05 * size), 1), low)
    values["Volume"] = np.where(kind == 4, values["Volume"] * (2.0 + np.floor(9 * size)), values["Volume"])
    return values


def revise(quotes: pl.DataFrame, clock: Clock, bars: Bars, found: Mistakes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The newest version of every row, and the superseded ones (canonical ``quotes`` and ``revisions``)."""
    number = np.cumsum(bars.row.ravel()) - 1
    row = number[found.day * bars.row.shape[1] + found.stock]
    published = [pl.Series(name, values).cast(quotes.schema[name]) for name, values in found.values.items()]
    first = quotes[row].with_columns(published)
    settled = found.superseded < clock.size
    corrected = clock.at(clock.dates[found.superseded[settled]], _MINUTE)
    superseded = first.filter(settled).with_columns(SupersededAt=corrected)
    newest = [quotes["KnownAt"].scatter(row[settled], corrected)]
    newest += [quotes[name].scatter(row[~settled], first[name].filter(~settled)) for name in _FIELDS]
    return quotes.with_columns(newest), superseded.select(list(REVISIONS.schema)).sort(REVISIONS.key)
