"""The month chunks: what each was made from, what it hands to the next, and which can be taken over as they are.

A month's panel follows from its bars, the adjustment state handed on by the month before and the universe in force.
Its slow and market tables follow from the tables beside its bars, the rows handed on that still matter or do not count
yet, the panel's keys and splits, and the trading days to count with: no price reaches them. Where none of these
changed, the chunk is taken over and nothing of it is read: what it hands on is known by its hash. A chain of months is
written again only as far as what is handed on differs.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import polars as pl

from model.daily_quotes.availability import on_trading_days
from model.daily_quotes.beside import TABLES
from model.daily_quotes.schema import KEY
from model.errors import SourceError
from model.raw_dataset import universe
from model.raw_dataset.adjustment import SHARES, SPLITS, empty_state, in_adjusted_shares, splits_until
from model.raw_dataset.days import BARS, REVISIONS, Days, available_schema
from model.raw_dataset.market import build_market
from model.raw_dataset.panel import build_month
from model.raw_dataset.slow import (
    LONGEST_MEMORY_DAYS,
    MARKET_TABLES,
    SLOW_TABLES,
    STILL_NEEDED,
    build_slow,
    carried,
)
from model.store.hashing import json_hash, table_hash
from model.store.stage import StageRun
from model.store.store import Store
from model.store.writer import ArtifactWriter

ASSET = "raw_dataset"
PANEL = "panel"
STATE = "state"
SLOW = "slow"
MARKET = "market"
CARRIED = "carried_"
_SPLITS = "splits"
QUARANTINE_FILE = "quarantine.parquet"
CALENDAR_FILE = "calendar.parquet"
SOURCES = "month_sources"
"""In the manifest, for each month: ``days``, the hash of its days; ``tables``, that of each of their tables by name;
``index_days``, how many of them have an index; ``keys``, the hash of what the slow table reads of the panel, where
there is one."""

_BUSINESS_DAYS_BEFORE = timedelta(days=60)


@dataclass
class Collected:
    """What grows month by month beside the chunks."""

    quarantine: list[pl.DataFrame] = field(default_factory=list)
    names: list[pl.DataFrame] = field(default_factory=list)
    rows: int = 0
    codes: int = 0
    reused: int = 0


@dataclass
class Handed:
    """A table that each month hands to the next one; read from the disk only if the next one is built."""

    store: Store
    writer: ArtifactWriter
    table: str
    key: Sequence[str]
    frame: pl.DataFrame | None
    hash: str = field(init=False)
    _file: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Nothing was handed on yet but the empty table."""
        self.hash = table_hash(self.read())

    def read(self) -> pl.DataFrame:
        """The rows that the last month handed on."""
        if self.frame is None:
            self.frame = self.store.read_table(ASSET, self._file)
        return self.frame

    def holds(self, month: str, input_hash: str) -> bool:
        """Whether the present artefact has this month's table, made from the same."""
        entry = self.writer.previous(_chunk(self.table, month))
        return entry is not None and entry.input_hash == input_hash

    def keep(self, month: str) -> int:
        """Take this month's table over; returns its number of rows."""
        self._file = _chunk(self.table, month)
        entry = self.writer.reuse(self._file)
        self.frame, self.hash = None, entry.content_hash
        return entry.rows or 0

    def write(self, month: str, frame: pl.DataFrame, input_hash: str) -> None:
        """Write this month's table."""
        entry = self.writer.chunk(self.table, month, frame, key=self.key, input_hash=input_hash)
        self.frame, self.hash = frame, entry.content_hash


@dataclass
class MonthChunks:
    """Writes every month of the data set, in order.

    Args:
        known: what the present artefact's manifest says under ``SOURCES``.
    """

    run: StageRun
    writer: ArtifactWriter
    days: Days
    contents: Mapping[date, str]
    members: pl.DataFrame
    known: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.collected = Collected()
        self.months = days_by_month(self.contents)
        self.sources = {month: self._sources_of(month) for month in self.months}
        read = {*SLOW_TABLES, *MARKET_TABLES}
        self.beside = {name for entry in self.sources.values() for name in entry["tables"] if name in read}
        self.trading_days = self.days.trading_days(list(self.contents)) if self.beside else ()
        self._state = self._handed(STATE, ["Code"], empty_state())
        self._carried = {
            name: self._handed(CARRIED + name, TABLES[name].key, pl.DataFrame(schema=available_schema(name)))
            for name in STILL_NEEDED
            if name in self.beside
        }
        if self.beside & SHARES.keys():
            self._carried[_SPLITS] = self._handed(CARRIED + _SPLITS, KEY, pl.DataFrame(schema=SPLITS))
        self._panel: pl.DataFrame | None = None
        self._names = pl.DataFrame()
        self._old: dict[str, pl.DataFrame] = {}

    def build(self) -> Collected:
        """Write or take over every month.

        Raises:
            SourceError: the source has indices, and ``quality.index`` is none of them.
        """
        for done, month in enumerate(self.months, start=1):
            self._panel = None
            reused = self._bars(month)
            if self.beside & set(SLOW_TABLES):
                reused &= self._slow(month)
            if self.beside & set(MARKET_TABLES):
                reused &= self._market(month)
            self.collected.reused += reused
            self.run.progress(done, len(self.months), month)
        self._require_index()
        return self.collected

    def _bars(self, month: str) -> bool:
        """The panel and the adjustment state; whether they could be taken over."""
        dates = list(self.months[month])
        force = universe.in_force(self.members, dates[0], dates[-1])
        quality, chosen = self.run.settings.quality, self.run.settings.universe
        made_from = self._hash(
            month,
            (BARS,) if self.days.as_of is None else (BARS, REVISIONS),
            state=self._state.hash,
            universe=table_hash(force),
            rules=[quality.max_daily_return, quality.range_tolerance, chosen.size is None, chosen.min_price],
        )
        file = _chunk(PANEL, month)
        entry = self.writer.previous(file)
        if entry is not None and entry.input_hash == made_from and self._state.holds(month, made_from):
            self.writer.reuse(file)
            if "keys" in self.known.get(month, {}):
                self.sources[month]["keys"] = self.known[month]["keys"]
            self.collected.codes = self._state.keep(month)
            rows, quarantine = entry.rows or 0, self._before(QUARANTINE_FILE, dates)
            self._names = self._before(CALENDAR_FILE, dates)
        else:
            built = build_month(self.days.quotes(dates), self._state.read(), force, quality, chosen)
            self.writer.chunk(PANEL, month, built.panel, key=KEY, input_hash=made_from)
            self._state.write(month, built.state, made_from)
            self.sources[month].pop("keys", None)
            self.collected.codes = built.state.height
            rows, quarantine, self._panel = built.panel.height, built.quarantine, built.panel
            self._names = _names(built.panel)
        self.collected.rows += rows
        self.collected.quarantine.append(quarantine)
        self.collected.names.append(self._names)
        return self._panel is None

    def _slow(self, month: str) -> bool:
        """The slow table and what it hands on; whether they could be taken over."""
        handed = [name for name in (_SPLITS, *SLOW_TABLES) if name in self._carried]
        made_from = self._hash_beside(month, SLOW_TABLES, handed, keys=self._keys(month))
        if self._keep(SLOW, month, handed, made_from):
            return True
        panel = self._read_by_slow(month)
        records = self._hand_on(month, handed, made_from, panel)
        slow = build_slow(panel.select("Date", "Code", "Sector"), records, self._positions(month))
        self.writer.chunk(SLOW, month, slow, key=KEY, input_hash=made_from)
        return False

    def _market(self, month: str) -> bool:
        """The market table and what it hands on; whether they could be taken over."""
        handed = [name for name in MARKET_TABLES if name in self._carried]
        index = self.run.settings.quality.index
        dates = [day.isoformat() for day in self._names["Date"]]
        made_from = self._hash_beside(month, MARKET_TABLES, handed, index=index, dates=dates)
        if self._keep(MARKET, month, handed, made_from):
            self.sources[month]["index_days"] = self.known[month]["index_days"]
            return True
        indices = self.days.beside("indices", list(self.months[month]))
        records = self._hand_on(month, handed, made_from)
        flow = records.get("investor_flow", pl.DataFrame(schema=available_schema("investor_flow")))
        market = build_market(self._names.select("Date"), indices, index, flow, self._positions(month))
        self.writer.chunk(MARKET, month, market, key=("Date",), input_hash=made_from)
        self.sources[month]["index_days"] = market["IndexClose"].count()
        return False

    def _keys(self, month: str) -> str:
        """Hash of what the slow table reads of the panel."""
        entry = self.sources[month]
        if "keys" not in entry:
            entry["keys"] = table_hash(self._read_by_slow(month))
        return str(entry["keys"])

    def _read_by_slow(self, month: str) -> pl.DataFrame:
        columns = ["Date", "Code", "Sector", "AdjustmentCumulative"]
        if self._panel is not None:
            return self._panel.select(columns)
        return pl.read_parquet(self.writer.staged(_chunk(PANEL, month)), columns=columns, glob=False)

    def _keep(self, table: str, month: str, handed: Sequence[str], made_from: str) -> bool:
        """Take a chunk and what was handed on with it over, if all of it was made from the same."""
        file = _chunk(table, month)
        entry = self.writer.previous(file)
        held = all(self._carried[name].holds(month, made_from) for name in handed)
        if entry is None or entry.input_hash != made_from or not held:
            return False
        self.writer.reuse(file)
        for name in handed:
            self._carried[name].keep(month)
        return True

    def _hand_on(
        self, month: str, handed: Sequence[str], made_from: str, panel: pl.DataFrame | None = None
    ) -> dict[str, pl.DataFrame]:
        """The rows of each table that the month sees: those handed to it and its own, with shares adjusted. The next
        month's are written.

        Args:
            handed: the tables.
            panel: that of the month, needed where the splits are among them.
        """
        dates = list(self.months[month])
        until = self.trading_days[: bisect_right(self.trading_days, dates[-1])]
        records, splits = {}, pl.DataFrame(schema=SPLITS)
        if panel is not None and _SPLITS in handed:
            splits = splits_until(self._carried[_SPLITS].read(), panel)
            self._carried[_SPLITS].write(month, splits, made_from)
        for name in (table for table in handed if table != _SPLITS):
            own = self.days.beside(name, dates)
            if name in SHARES:
                own = in_adjusted_shares(name, own, splits, self.days.exchange.hours.timezone)
            records[name] = on_trading_days(pl.concat([self._carried[name].read(), own]), until)
            self._carried[name].write(month, carried(name, records[name], dates[-1]), made_from)
        return records

    def _hash_beside(self, month: str, tables: Sequence[str], handed: Sequence[str], **more: object) -> str:
        """Hash of what the month's slow or market table follows from.

        Args:
            tables: those beside the bars that it reads.
            handed: tables of which the month before handed rows on.
        """
        dates, exchange = list(self.months[month]), self.days.exchange
        hours = exchange.hours
        around = dates[0] - _BUSINESS_DAYS_BEFORE, exchange.looked_at(dates[-1])
        return self._hash(
            month,
            tables,
            handed={name: self._carried[name].hash for name in handed},
            counted_in=[day.isoformat() for day in self._positions(month)],
            business_days=[day.isoformat() for day in exchange.business_days(*around)],
            closes=[hours.timezone, *map(str, hours.usual), *map(str, sorted(hours.half_days.items()))],
            **more,
        )

    def _positions(self, month: str) -> pl.Series:
        """The trading days up to the end of the month, from as far back as anything is remembered."""
        dates = list(self.months[month])
        first = max(0, bisect_left(self.trading_days, dates[0]) - LONGEST_MEMORY_DAYS)
        return pl.Series("day", self.trading_days[first : bisect_right(self.trading_days, dates[-1])], dtype=pl.Date)

    def _hash(self, month: str, tables: Sequence[str], **parts: object) -> str:
        """Hash of some tables of a month's days, and of what more something follows from."""
        as_of, said = self.days.as_of, self.sources[month]["tables"]
        return json_hash(
            {
                "days": [day.isoformat() for day in self.months[month]],
                "tables": {name: said[name] for name in tables if name in said},
                "as_of": None if as_of is None else as_of.isoformat(),
                "code": self.run.identity.code_version,
                **parts,
            }
        )

    def _sources_of(self, month: str) -> dict[str, Any]:
        """What a month is made from, without a look at its days where they are those of the last time."""
        days = self.months[month]
        content = json_hash([[day.isoformat(), content] for day, content in days.items()])
        before = self.known.get(month)
        if before is not None and before["days"] == content:
            return dict(before)
        return {"days": content, "tables": self.days.contents(list(days)), "index_days": 0}

    def _before(self, file: str, dates: Sequence[date]) -> pl.DataFrame:
        """The rows of a table of the present artefact dated within a month that is taken over."""
        if file not in self._old:
            self._old[file] = self.run.store.read_table(ASSET, file)
        frame = self._old[file]
        first, last = frame["Date"].search_sorted(dates[0], "left"), frame["Date"].search_sorted(dates[-1], "right")
        return frame.slice(first, last - first)

    def _handed(self, table: str, key: Sequence[str], empty: pl.DataFrame) -> Handed:
        return Handed(self.run.store, self.writer, table, key, empty)

    def _require_index(self) -> None:
        if "indices" not in self.beside or sum(entry["index_days"] for entry in self.sources.values()):
            return
        found = self.days.beside("indices", list(self.contents))["IndexCode"].unique().sort().to_list()
        raise SourceError(
            f"The source's indices over {len(self.contents)} days hold no {self.run.settings.quality.index!r} "
            f"(quality.index). They are {', '.join(found[:10]) or 'empty'}. Set quality.index to one of them."
        )


def days_by_month(days: Mapping[date, str]) -> dict[str, dict[date, str]]:
    """Month such as ``2016-01`` to its days."""
    return {month: {day: days[day] for day in group} for month, group in groupby(days, key=lambda day: f"{day:%Y-%m}")}


def _chunk(table: str, month: str) -> str:
    return f"{table}/{month}.parquet"


def _names(panel: pl.DataFrame) -> pl.DataFrame:
    names = panel.group_by("Date", maintain_order=True).agg(names=pl.col("Close").count().cast(pl.Int32))
    return names.sort("Date")
