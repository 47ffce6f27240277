"""The simulated market as a source of canonical rows."""

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
from model.daily_quotes.sources.simulated.market import simulate
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
        return fingerprint_of(plain, self.calendar.hashed(), self._days(), code_version(__name__))

    def load(self) -> DayBatch:
        """Simulate every day.

        Raises:
            DataError: there is no trading day between start and end.
        """
        days = self._days()
        return DayBatch(days, canonical_rows(self.settings, self.calendar, days))

    def _days(self) -> tuple[date, ...]:
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


def canonical_rows(settings: SimulatedSource, exchange: CalendarSettings, days: Sequence[date]) -> pl.DataFrame:
    """The canonical table of the market on these consecutive trading days, the first of which is its first."""
    fixed, bars = simulate(settings, len(days))
    at, stock = np.nonzero(bars.row)
    codes = pl.Series("Code", fixed.codes, dtype=pl.String)
    sectors = pl.Series("Sector", [f"S{number + 1:02d}" for number in fixed.sector], dtype=pl.String)
    position = pl.Series("position", stock.astype(np.uint32))
    prices = {
        name: pl.Series(values[at, stock], nan_to_null=True)
        for name, values in {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close}.items()
    }
    frame = pl.DataFrame(
        {
            "Date": pl.Series(list(days), dtype=pl.Date).gather(pl.Series(at.astype(np.uint32))),
            "Code": codes.gather(position),
            **prices,
            "Volume": bars.volume[at, stock].astype(np.int64),
            "TurnoverValue": bars.turnover[at, stock],
            "AdjustmentFactor": bars.factor[at, stock],
            "UpperLimit": bars.upper[at, stock],
            "LowerLimit": bars.lower[at, stock],
            "Sector": sectors.gather(position),
        }
    ).with_columns(Market=pl.lit("Simulated", dtype=pl.String), KnownAt=calendar.known_at(exchange, pl.col("Date")))
    return validate_canonical(frame.select(list(CANONICAL)))
