"""The days as the data set sees them: the newest version of every row, or the one that was known at a moment.

``quotes`` of a day holds the newest version of its bars, and ``revisions`` those that were superseded, each with when
it became known. With ``quality.as_of`` the version in force at that moment is taken, and rows that were not known yet
do not exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import polars as pl

from model.daily_quotes.availability import AVAILABLE_FROM, Exchange, known_by, open_exchange, with_availability
from model.daily_quotes.beside import TABLES
from model.daily_quotes.calendar import known_at, trading_days
from model.daily_quotes.schema import ASSET, CANONICAL, KEY, QUOTES
from model.daily_quotes.settings import CalendarSettings
from model.store.hashing import merkle_root
from model.store.store import Store

BARS, REVISIONS = "bars", "revisions"


@dataclass(frozen=True)
class Days:
    """The days in a store, as known at ``as_of`` (None: now); ``observed`` are all of them, in order."""

    store: Store
    calendar: CalendarSettings
    as_of: datetime | None = None
    observed: tuple[date, ...] = ()

    @cached_property
    def exchange(self) -> Exchange:
        """Hours and business days; only what lies beside the bars needs them.

        Raises:
            SettingsError: when trading closes is nowhere said.
        """
        return open_exchange(self.calendar, observed=self.observed)

    def known(self, contents: dict[date, str]) -> dict[date, str]:
        """The days of which some bars were known at ``as_of``: a day may have been served late."""
        if self.as_of is None:
            return contents
        days = pl.DataFrame({"Date": pl.Series(list(contents), dtype=pl.Date)})
        published = days.filter(known_at(self.calendar, pl.col("Date")) <= self.as_of)["Date"].to_list()
        there = set(self.quotes(published, ["Date"])["Date"])
        return {day: contents[day] for day in published if day in there}

    def contents(self, days: Sequence[date]) -> dict[str, str]:
        """Hash of what each table says on these days, by name, the bars' being ``BARS``; absent ones are left out."""
        manifests = {day.isoformat(): self.store.require(ASSET, day.isoformat()) for day in days}
        found = {}
        for name, file in {BARS: QUOTES, **{name: table.file for name, table in sorted(TABLES.items())}}.items():
            held = {day: manifest.files[file] for day, manifest in manifests.items() if file in manifest.files}
            if held:
                found[name] = merkle_root({day: entry.content_hash for day, entry in held.items()})
        return found

    def quotes(self, days: Sequence[date], columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The canonical rows of these days, sorted by Date and Code.

        Args:
            columns: all of them by default.
        """
        wanted = list(columns or CANONICAL)
        if self.as_of is None:
            return self._read(QUOTES, days, wanted)
        needed = list(dict.fromkeys([*wanted, *KEY, "KnownAt"]))
        superseded = self._read(REVISIONS, self._having(REVISIONS, days), [*needed, "SupersededAt"])
        versions = pl.concat([self._read(QUOTES, days, needed), superseded], how="diagonal_relaxed")
        in_force = (pl.col("KnownAt") <= self.as_of) & (pl.col("SupersededAt") > self.as_of).fill_null(True)
        chosen = versions.filter(in_force).sort(*KEY, "KnownAt").unique(KEY, keep="last", maintain_order=True)
        return chosen.select(wanted)

    def beside(self, table: str, days: Sequence[date]) -> pl.DataFrame:
        """The rows of a table beside the bars filed under these days, with ``AvailableFrom``, sorted by its key."""
        rows = self._read(table, self._having(table, days), list(TABLES[table].schema))
        rows = with_availability(table, rows, self.exchange)
        return rows if self.as_of is None else known_by(rows, self.as_of, self.exchange)

    def trading_days(self, days: Sequence[date]) -> tuple[date, ...]:
        """The trading days from the first of ``days`` to the last: those of the exchange, or these."""
        return trading_days(self.calendar, days[0], days[-1], observed=days)

    def _having(self, table: str, days: Sequence[date]) -> list[date]:
        file = TABLES[table].file
        return [day for day in days if file in self.store.require(ASSET, day.isoformat()).files]

    def _read(self, table: str, days: Sequence[date], columns: Sequence[str]) -> pl.DataFrame:
        """One read for many small files; each is verified first."""
        if not days:
            return pl.DataFrame(schema=CANONICAL if table == QUOTES else TABLES[table].schema).select(columns)
        file = QUOTES if table == QUOTES else TABLES[table].file
        paths = [self.store.path(ASSET, file, day.isoformat()) for day in days]
        return pl.read_parquet(paths, columns=list(columns), hive_partitioning=False, glob=False).rechunk()


def available_schema(table: str) -> pl.Schema:
    """The columns of a table beside the bars with ``AvailableFrom``."""
    return pl.Schema({**TABLES[table].schema, AVAILABLE_FROM: pl.Date()})
