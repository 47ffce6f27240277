"""The simulated market as a source of canonical rows and of the tables beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from model.daily_quotes import calendar
from model.daily_quotes.schema import CANONICAL, validate_canonical
from model.daily_quotes.settings import CalendarSettings, SimulatedSource
from model.daily_quotes.sources.base import DayBatch, IndexedSource, fingerprint_of
from model.daily_quotes.sources.simulated.beside import Simulated, beside_tables, sector_names
from model.daily_quotes.sources.simulated.clock import Clock
from model.daily_quotes.sources.simulated.market import simulate
from model.daily_quotes.sources.simulated.revisions import mistakes, revise
from model.daily_quotes.sources.simulated.statements import surprise_signal
from model.daily_quotes.sources.simulated.structure import structure
from model.errors import DataError, SettingsError
from model.lineage.code_version import code_version


@dataclass
class SimulatedMarket(IndexedSource):
    """The market of these settings on the trading days of this calendar."""

    settings: SimulatedSource = field(default_factory=SimulatedSource)
    calendar: CalendarSettings = field(default_factory=CalendarSettings)
    config_dir: Path | None = None

    def fingerprint(self) -> str:
        """Settings, trading days and the code that simulates."""
        plain = self.settings.model_dump(mode="json")
        return fingerprint_of(plain, self.calendar.hashed(), self.days(), code_version(__name__))

    def load(self) -> DayBatch:
        """Simulate every day.

        Raises:
            DataError: there is no trading day between start and end.
        """
        days = self.days()
        market = simulated(self.settings, self.calendar, days)
        quotes, beside = canonical_rows(market), beside_tables(market)
        if self.settings.revision_rate:
            found = mistakes(self.settings, market.bars)
            quotes, beside["revisions"] = revise(quotes, market.clock, market.bars, found)
        return DayBatch(days, validate_canonical(quotes), beside=beside)

    def days(self) -> tuple[date, ...]:
        """The trading days of the market.

        Raises:
            DataError: there is none between start and end.
            SettingsError: the calendar has no days of its own.
        """
        if self.calendar.exchange == "from_data":
            raise SettingsError(
                "The simulated source has no trading days of its own, and calendar.exchange is from_data. Set it "
                "to jpx or us."
            )
        days = calendar.trading_days(self.calendar, self.settings.start, self.settings.end, config_dir=self.config_dir)
        if not days:
            raise DataError(
                f"There is no trading day from source.start={self.settings.start} to source.end="
                f"{self.settings.end} on the {self.calendar.exchange} calendar. Set a later source.end."
            )
        return days


def simulated(settings: SimulatedSource, exchange: CalendarSettings, days: Sequence[date]) -> Simulated:
    """The market on these consecutive trading days, the first of which is its first."""
    clock = Clock(tuple(days), exchange)
    surprise = None
    if settings.statement_strength:
        surprise = surprise_signal(settings, structure(settings), clock.dates)
    fixed, bars = simulate(settings, clock.size, surprise)
    return Simulated(settings, clock, fixed, bars)


def canonical_rows(market: Simulated) -> pl.DataFrame:
    """The bars as they are, each known from its publication on."""
    bars = market.bars
    at, stock = np.nonzero(bars.row)
    codes = pl.Series("Code", market.fixed.codes, dtype=pl.String)
    numbers = {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close}
    prices = {name: pl.Series(values[at, stock], nan_to_null=True) for name, values in numbers.items()}
    frame = pl.DataFrame(
        {
            "Date": market.clock.column(at),
            "Code": codes.gather(stock),
            **prices,
            "Volume": bars.volume[at, stock].astype(np.int64),
            "TurnoverValue": bars.turnover[at, stock],
            "AdjustmentFactor": bars.factor[at, stock],
            "UpperLimit": bars.upper[at, stock],
            "LowerLimit": bars.lower[at, stock],
            "Sector": sector_names(market.fixed.sector).gather(stock),
        }
    )
    known_at = calendar.known_at(market.clock.calendar, pl.col("Date"))
    return frame.with_columns(Market=pl.lit("Simulated", dtype=pl.String), KnownAt=known_at).select(list(CANONICAL))
