"""A handmade market with everything that a source can deliver, small enough to recompute by brute force."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from model.daily_quotes.availability import effective_days
from model.daily_quotes.beside import TABLES, validate_beside
from model.daily_quotes.calendar import known_at, trading_days
from model.daily_quotes.schema import ASSET, CANONICAL, KEY, QUOTES, validate_canonical
from model.daily_quotes.settings import CalendarSettings
from model.raw_dataset import stage
from model.raw_dataset.settings import QualitySettings, UniverseSettings
from model.store.manifest import Identity, Manifest
from model.store.stage import StageRun
from model.store.store import Store

CALENDAR = CalendarSettings()
DAYS = trading_days(CALENDAR, date(2024, 9, 17), date(2024, 12, 30))
CODES = ("1301", "130A0", "7203", "NA", "TRUE", "9984")
SECTORS = ("S01", "S02")
FIGURES = tuple(TABLES["statements"].schema)[5:]


@dataclass(frozen=True)
class Market:
    """Canonical rows of all days: the bars, and the tables beside them by name."""

    quotes: pl.DataFrame
    beside: Mapping[str, pl.DataFrame]

    def with_table(self, name: str, rows: pl.DataFrame) -> "Market":
        """The same market with another table, put into order."""
        table = TABLES[name]
        ordered = rows.select(list(table.schema)).unique(table.key, keep="last").sort(table.key)
        return replace(self, beside={**self.beside, name: validate_beside(name, ordered)})

    def with_quotes(self, rows: pl.DataFrame) -> "Market":
        """The same market with other bars, put into order."""
        return replace(self, quotes=validate_canonical(rows.select(list(CANONICAL)).sort(KEY)))

    def until(self, day: date) -> "Market":
        """The market without what lies under later days."""
        early = pl.col("Date") <= day
        return Market(self.quotes.filter(early), {name: rows.filter(early) for name, rows in self.beside.items()})

    def publish(self, store: Store, days: Any = None) -> None:
        """Write the days (those given, or all) as ``daily_quotes`` does."""
        for day in self.quotes["Date"].unique().sort() if days is None else days:
            on = pl.col("Date") == day
            with store.writer(ASSET, day.isoformat(), Identity({}, "code", "settings")) as writer:
                writer.table(QUOTES, self.quotes.filter(on), key=KEY)
                for name, rows in self.beside.items():
                    writer.table(TABLES[name].file, rows.filter(on), key=TABLES[name].key)


def sections(**keys: Any) -> Any:
    """The sections that these rooms read."""
    values = {
        "calendar": CALENDAR,
        "quality": QualitySettings(min_names=2, min_days=5, max_quarantined_share=1.0, max_bad_close_share=1.0),
        "universe": UniverseSettings(size=4, lookback_days=10, rebalance="monthly"),
    }
    return SimpleNamespace(**{**values, **keys})


def build(store: Store, settings: Any = None, *, until: date = date.max) -> Manifest:
    """Bring raw_dataset up to date with the days in the store, up to ``until``."""
    days = [day for day in store.partitions(ASSET) if day <= until.isoformat()]
    inputs = {f"{ASSET}/{day}": store.require(ASSET, day).content_hash for day in days}
    return stage.materialise(StageRun(store, settings or sections(), Identity(inputs, "code", "settings")))


def linked(store: Store, home: Path, *, only_days: bool = False) -> Store:
    """A copy of a store that shares its files (writers never change one in place)."""
    copied = [store.directory(ASSET, day) for day in store.partitions(ASSET)]
    for folder in copied if only_days else [*copied, store.directory(stage.ASSET)]:
        shutil.copytree(folder, home / "artifacts" / folder.relative_to(store.root), copy_function=os.link)
    return Store(home)


def contents(manifest: Manifest) -> dict[str, str]:
    """Content hash by file."""
    return {name: entry.content_hash for name, entry in manifest.files.items()}


def make_market(seed: int = 0, days: tuple[date, ...] = DAYS) -> Market:
    """A market with statements, corrections, both kinds of margin, short selling, flow and an index."""
    rng = np.random.default_rng(seed)
    makers = {
        "statements": _statements,
        "margin": _margin,
        "short_selling": _short_selling,
        "investor_flow": _flow,
        "indices": _indices,
    }
    market = Market(_quotes(rng, days), {})
    for name, maker in makers.items():
        market = market.with_table(name, filed(name, maker(rng, days), days))
    return market


def filed(name: str, rows: list[dict[str, Any]], days: tuple[date, ...] = DAYS) -> pl.DataFrame:
    """Rows of a table under the day of their publication; what is published after the last day is left out."""
    table = TABLES[name]
    frame = pl.DataFrame(rows, schema={column: dtype for column, dtype in table.schema.items() if column != "Date"})
    published = frame["PublishedAt"].dt.convert_time_zone(CALENDAR.timezone).dt.date()
    dates = effective_days(published, days).alias("Date")
    return frame.with_columns(dates).drop_nulls("Date").select(list(table.schema))


def local(day: date, hour: int, minute: int = 0) -> datetime:
    """A moment of Tokyo, in UTC."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC) - timedelta(hours=9)


def _quotes(rng: np.random.Generator, days: tuple[date, ...]) -> pl.DataFrame:
    rows = []
    for place, code in enumerate(CODES):
        close = 100.0 * (place + 1)
        first, last = (20, len(days)) if code == "NA" else (0, 55 if code == "TRUE" else len(days))
        for number, day in enumerate(days[first:last]):
            close *= float(np.exp(0.02 * rng.standard_normal()))
            factor = 0.5 if rng.random() < 0.02 and number else 1.0
            close *= factor
            traded = None if rng.random() < 0.03 else close
            rows.append(
                {"Date": day, "Code": code, "Open": traded, "High": traded, "Low": traded, "Close": traded}
                | {"Volume": int(rng.integers(1, 1000)), "AdjustmentFactor": factor}
                | {"UpperLimit": False, "LowerLimit": False, "Sector": SECTORS[place % 2]}
            )
    frame = pl.DataFrame(rows, schema={name: dtype for name, dtype in CANONICAL.items() if name != "KnownAt"})
    with_time = frame.with_columns(KnownAt=known_at(CALENDAR, pl.col("Date")))
    return validate_canonical(with_time.select(list(CANONICAL)).sort(KEY))


def _statements(rng: np.random.Generator, days: tuple[date, ...]) -> list[dict[str, Any]]:
    """Quarters from a year before to the present one in any order, so that corrections and late ones are common."""
    return [
        {"Code": str(rng.choice(CODES)), "PublishedAt": local(_any(rng, days), int(rng.integers(8, 20)))}
        | {"FiscalYearEnd": date(int(rng.integers(2023, 2026)), 3, 31), "Quarter": int(rng.integers(1, 5))}
        | {name: float(rng.integers(1, 100)) if rng.random() < 0.7 else None for name in FIGURES}
        for _ in range(90)
    ]


def _margin(rng: np.random.Generator, days: tuple[date, ...]) -> list[dict[str, Any]]:
    rows = []
    for _ in range(150):
        record = _any(rng, days)
        rows.append(
            {"Code": str(rng.choice(CODES)), "Kind": str(rng.choice(["weekly", "daily"])), "RecordDate": record}
            | {"PublishedAt": local(record + timedelta(days=int(rng.integers(0, 12))), int(rng.integers(9, 20)))}
            | {"MarginLong": float(rng.integers(1, 100)), "MarginShort": float(rng.integers(1, 100))}
        )
    return rows


def _short_selling(rng: np.random.Generator, days: tuple[date, ...]) -> list[dict[str, Any]]:
    return [
        {"Sector": str(rng.choice(SECTORS)), "RecordDate": day, "ShortRatio": float(rng.random())}
        | {"PublishedAt": local(day + timedelta(days=int(rng.integers(0, 3))), 17, 30)}
        for day in days
        if rng.random() < 0.6
    ]


def _flow(rng: np.random.Generator, days: tuple[date, ...]) -> list[dict[str, Any]]:
    rows = []
    for day in days:
        if day.weekday() != 4 or rng.random() < 0.2:
            continue
        for section in ("Prime", "Growth", "Prime"):  # the third is a correction of the first
            delay = timedelta(days=int(rng.integers(3, 10)))
            value = {name: float(rng.integers(-9, 10)) for name in ("ForeignNet", "IndividualNet")}
            value["Total"] = float(rng.integers(0, 10))
            period = {"Section": section, "PeriodStart": day - timedelta(days=4), "PeriodEnd": day}
            rows.append(period | value | {"PublishedAt": local(day + delay, 18)})
    return rows


def _indices(rng: np.random.Generator, days: tuple[date, ...]) -> list[dict[str, Any]]:
    names = ("Open", "High", "Low", "Close")
    return [
        {"IndexCode": code, "PublishedAt": local(day, 16, 30)}
        | {name: float(rng.integers(1000, 1100)) for name in names}
        for day in days
        for code in ("TOPIX", "TOPIX-17")
    ]


def _any(rng: np.random.Generator, days: tuple[date, ...]) -> date:
    """Any date from the first day to the last, weekends included."""
    return days[0] + timedelta(days=int(rng.integers(0, (days[-1] - days[0]).days)))
