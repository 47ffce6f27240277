"""A market of any size for the benchmarks: the simulated one, repeated under new codes.

Simulating ten thousand names takes longer than what is to be measured; a few hundred, copied with prices of their own,
look the same to every stage. A copy's prices are those of the simulated name times a factor of the copy and a small
one of the row, the same for all prices of a row, so that highs stay above lows and no two copies tie.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl

from model.daily_quotes.beside import TABLES
from model.daily_quotes.schema import KEY, PRICES
from model.daily_quotes.settings import CalendarSettings, SimulatedSource
from model.daily_quotes.sources.base import DayBatch
from model.daily_quotes.sources.simulated.source import SimulatedMarket

FIRST_DAY = date(2015, 1, 5)
_ROW = "__row_simulated"
_RIPPLE = 0.002


@dataclass
class TiledMarket:
    """``copies`` of each of ``stocks`` simulated names on ``days`` trading days; a day is made when it is read."""

    stocks: int
    days: int
    copies: int
    seed: int = 5
    _simulated: DayBatch | None = field(default=None, init=False)

    @property
    def dates(self) -> tuple[date, ...]:
        """The trading days."""
        return self._base().days

    @property
    def rows(self) -> int:
        """Rows of all days together."""
        return self._base().quotes.height * self.copies

    def read(self, days: Sequence[date]) -> DayBatch:
        """The tiled rows of these days, with the tables beside them."""
        base = self._base().only(days)
        copies = [self._copy(base.quotes, number) for number in range(self.copies)]
        quotes = pl.concat(copies).drop(_ROW).sort(KEY)
        return DayBatch(base.days, quotes, beside={name: self._tiled(name, rows) for name, rows in base.beside.items()})

    def _base(self) -> DayBatch:
        if self._simulated is None:
            end = FIRST_DAY + timedelta(days=int(self.days * 1.6) + 30)
            settings = SimulatedSource(seed=self.seed, start=FIRST_DAY, end=end, stocks=self.stocks)
            market = SimulatedMarket(settings=settings, calendar=CalendarSettings(exchange="jpx"))
            batch = market.load()
            batch = batch.only(batch.days[: self.days])
            self._simulated = DayBatch(batch.days, batch.quotes.with_row_index(_ROW), beside=batch.beside)
        return self._simulated

    def _tiled(self, name: str, table: pl.DataFrame) -> pl.DataFrame:
        if "Code" not in table.columns:
            return table
        copies = [table.with_columns(_code(number)) for number in range(self.copies)]
        return pl.concat(copies).sort(TABLES[name].key, nulls_last=False)

    def _copy(self, quotes: pl.DataFrame, number: int) -> pl.DataFrame:
        ripple = (pl.col(_ROW).cast(pl.Float64) * (7.3 + number)).sin() * _RIPPLE
        factor = (1.0 + 0.05 * number) * (1.0 + ripple)
        return quotes.with_columns(_code(number), *(pl.col(name) * factor for name in (*PRICES, "TurnoverValue")))


def batches(dates: Sequence[date], rows_a_day: float, most_rows: int = 400_000) -> Iterator[tuple[date, ...]]:
    """The days in groups of at most about ``most_rows`` rows."""
    step = max(int(most_rows / max(rows_a_day, 1.0)), 1)
    for first in range(0, len(dates), step):
        yield tuple(dates[first : first + step])


def _code(number: int) -> pl.Expr:
    return pl.concat_str(pl.col("Code"), pl.lit(f"{number:02d}")).alias("Code")
