"""What changed in the panel since the features were last computed: rows, trading days, market-wide values.

Beside the features lie the fingerprints of the rows they were computed from: ``rows/<month>`` with three hashes a row
(of what features read of the panel, of its slow columns, and of what labels read), and ``days`` with one row a trading
day. A month whose content hash is the recorded one is not read at all; of the others the rows are compared with the
fingerprints, which gives the exact rows that were changed, inserted or deleted.
"""

from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby

import polars as pl

from model.labels.labels import PANEL_COLUMNS as LABEL_COLUMNS
from model.quality_features.language.columns import MEMBER
from model.quality_features.read import ASSET, DAYS_FILE, KEY, ROWS
from model.quality_features.rows import row_hashes
from model.quality_features.rows_panel import FEATURE_COLUMNS, MARKET_COLUMNS, SLOW_COLUMNS, Panel
from model.store.hashing import json_hash
from model.store.manifest import Manifest
from model.store.store import Store

_LABELS_READ = tuple(name for name in LABEL_COLUMNS if name not in KEY)
_HASHED = {"features": FEATURE_COLUMNS, "slow": SLOW_COLUMNS, "labels": _LABELS_READ}
"""The fingerprints of a row, and what each is made of: what features read of the panel and of the slow table, and what
labels read of the panel."""
_READ = tuple(dict.fromkeys(name for read in _HASHED.values() for name in read))
_DIFFERING = {"Date": pl.Date, "Code": pl.String, **dict.fromkeys(_HASHED, pl.Boolean)}
NO_ROWS = pl.DataFrame(schema=_DIFFERING)
_DAY_SCHEMA = {"Date": pl.Date, "rows": pl.Int64, "names": pl.Int32, "market": pl.UInt64}
_MONTH = pl.col("Date").dt.strftime("%Y-%m")

Record = Callable[[str, pl.DataFrame, str], None]


@dataclass(frozen=True)
class Changes:
    """The panel's trading days now, and what differs from the recorded state."""

    day_table: pl.DataFrame
    """Date, rows, names (members of the universe), market (hash of the day's market-wide values) of every trading day:
    what is recorded next."""
    read: frozenset[str]
    """Months whose content is not as recorded; of no other month was anything read."""
    rows: pl.DataFrame
    """Date, Code of the rows that were changed, inserted or deleted, sorted, with ``features``, ``slow``, ``labels``:
    whether the row differs in what features read of the panel, of the slow table, in what labels read. Rows of months
    without a record are not listed: their days are new."""
    breaks: tuple[date, ...]
    """Days before which a trading day was inserted or deleted, the inserted days themselves included; ``date.max``
    where days at the end are gone."""
    market_days: tuple[date, ...]
    """Days of which market-wide values differ."""

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The panel's trading days, in order."""
        return tuple(self.day_table["Date"].to_list())

    @cached_property
    def months(self) -> dict[str, tuple[date, ...]]:
        """Month to its trading days."""
        return {month: tuple(group) for month, group in groupby(self.days, key=lambda day: f"{day:%Y-%m}")}

    @property
    def any(self) -> bool:
        """Whether the panel differs at all from what was recorded."""
        return bool(self.read or self.breaks or self.rows.height)


def find_changes(store: Store, code_version: str, threads: int, record: Record) -> Changes:
    """Compare raw_dataset with what the present features were computed from; reads only months that differ.

    Args:
        code_version: of the stage; fingerprints of other code are made anew.
        threads: months read at the same time.
        record: handed each month that was read, its rows (Date, Code, InUniverse and their fingerprints) and the
            hash of what they were made from, by which the month is known to be unchanged the next time.
    """
    panel = Panel(store)
    before = store.manifest(ASSET)
    known = {} if before is None else _recorded_months(before)
    recorded = pl.DataFrame(schema=_DAY_SCHEMA) if not known else store.read_table(ASSET, DAYS_FILE)
    made_from = {month: json_hash([panel.content(month), code_version]) for month in panel.months}
    stale = [month for month in panel.months if known.get(month) != made_from[month]]

    def look(month: str) -> _Month:
        hashes = _fingerprints(panel.month(month, _READ))
        record(month, hashes, made_from[month])
        old = _read_recorded(store, month) if month in known else None
        return _Month(_days_of(hashes, panel.market_month(month)), _differing(old, hashes))

    with ThreadPoolExecutor(max_workers=threads) as pool:
        found = dict(zip(stale, pool.map(look, stale), strict=True))
    gone = [_read_recorded(store, month) for month in sorted(set(known) - set(panel.months))]
    by_month = {str(month): table for (month,), table in recorded.group_by(_MONTH, maintain_order=True)}
    now = pl.concat([found[month].days if month in found else by_month[month] for month in panel.months])
    differing = [each.differing for each in found.values()] + [_differing(old, old.clear()) for old in gone]
    return Changes(
        day_table=now,
        read=frozenset(found),
        rows=pl.concat([NO_ROWS, *differing]).sort(KEY),
        breaks=_breaks(recorded["Date"].to_list(), now["Date"].to_list()),
        market_days=_market_days(recorded, now),
    )


@dataclass(frozen=True)
class _Month:
    """A month that was read: its days, and the rows that differ from the recorded ones."""

    days: pl.DataFrame
    differing: pl.DataFrame


def _recorded_months(manifest: Manifest) -> dict[str, str | None]:
    head = f"{ROWS}/"
    return {
        name.removeprefix(head).removesuffix(".parquet"): entry.input_hash
        for name, entry in manifest.files.items()
        if name.startswith(head)
    }


def _read_recorded(store: Store, month: str) -> pl.DataFrame:
    return store.read_table(ASSET, f"{ROWS}/{month}.parquet")


def _fingerprints(rows: pl.DataFrame) -> pl.DataFrame:
    """Date, Code, InUniverse and the hashes; a column that the source does not have does not take part."""
    hashes = {
        name: row_hashes(rows, [column for column in read if column in rows.columns]) for name, read in _HASHED.items()
    }
    return rows.select(*KEY, pl.col(MEMBER).fill_null(False)).with_columns(
        pl.Series(name, values, pl.UInt64) for name, values in hashes.items()
    )


def _days_of(rows: pl.DataFrame, market: pl.DataFrame | None) -> pl.DataFrame:
    """Date, rows, names, market of a month."""
    days = rows.group_by("Date", maintain_order=True).agg(
        rows=pl.len().cast(pl.Int64), names=pl.col(MEMBER).sum().cast(pl.Int32)
    )
    if market is None:
        return days.with_columns(market=pl.lit(None, pl.UInt64))
    values = [name for name in MARKET_COLUMNS if name in market.columns]
    hashes = market.select("Date", pl.Series("market", row_hashes(market, values), pl.UInt64))
    return days.join(hashes, on="Date", how="left", maintain_order="left")


def _differing(old: pl.DataFrame | None, now: pl.DataFrame) -> pl.DataFrame:
    """Rows that are not as recorded; nothing where there is no record (the days are new then)."""
    if old is None:
        return NO_ROWS
    if old.select(KEY).equals(now.select(KEY)):
        marked = now.select(KEY).with_columns((old[name] != now[name]).alias(name) for name in _HASHED)
    else:
        both = old.drop(MEMBER).join(now.drop(MEMBER), on=KEY, how="full", suffix="_now", coalesce=True)
        gone_or_new = pl.col("features").is_null() | pl.col("features_now").is_null()
        marked = both.select(
            *KEY, *((gone_or_new | (pl.col(name) != pl.col(f"{name}_now"))).alias(name) for name in _HASHED)
        )
    return marked.filter(pl.any_horizontal(*_HASHED))


def _breaks(before: list[date], now: list[date]) -> tuple[date, ...]:
    """Days from which on a window may hold other days than it did."""
    inserted = set(now) - set(before)
    places = [bisect_left(now, day) for day in set(before) - set(now)]
    following = {now[place] if place < len(now) else date.max for place in places}
    return tuple(sorted(inserted | following))


def _market_days(before: pl.DataFrame, now: pl.DataFrame) -> tuple[date, ...]:
    both = now.join(before, on="Date", how="inner", suffix="_before", maintain_order="left")
    return tuple(both.filter(pl.col("market").ne_missing(pl.col("market_before")))["Date"].to_list())
