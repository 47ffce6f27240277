"""What changed in the panel since the features were last computed: rows, trading days, market-wide values.

Beside the features lie the files of raw_dataset that they were computed from (hard links, which take no room), and
``days`` with one row a trading day. A month whose files say what they said is not read at all; of the others both
states of the files that differ are compared value by value, which gives the exact rows that were changed, inserted or
deleted.
"""

from bisect import bisect_left
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, reduce
from itertools import groupby
from operator import or_

import polars as pl

from model.labels.labels import PANEL_COLUMNS as LABEL_COLUMNS
from model.quality_features.language.columns import MEMBER
from model.quality_features.read import ASSET, DAYS_FILE, KEY, PANEL
from model.quality_features.rows_panel import FEATURE_COLUMNS, MARKET_COLUMNS, SLOW, SLOW_COLUMNS, Panel
from model.store.store import Store

_COMPARED = {
    "features": FEATURE_COLUMNS,
    "slow": SLOW_COLUMNS,
    "labels": tuple(name for name in LABEL_COLUMNS if name not in KEY),
}
"""What features read of the panel and of the slow table, and what labels read of the panel."""
_READ = tuple(dict.fromkeys(name for read in _COMPARED.values() for name in read))
_DIFFERING = {"Date": pl.Date, "Code": pl.String, **dict.fromkeys(_COMPARED, pl.Boolean)}
NO_ROWS = pl.DataFrame(schema=_DIFFERING)
_DAY_SCHEMA = {"Date": pl.Date, "rows": pl.Int64, "names": pl.Int32}
_THERE = "__there"


@dataclass(frozen=True)
class Changes:
    """The panel's trading days now, and what differs from the recorded state."""

    day_table: pl.DataFrame
    """Date, rows, names (members of the universe) of every trading day: what is recorded next."""
    read: frozenset[str]
    """Months whose content is not as recorded; of no other month were rows compared."""
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


def find_changes(store: Store, panel: Panel, code_version: str, threads: int, *, read_around: int = 0) -> Changes:
    """Compare raw_dataset with what the present features were computed from.

    Args:
        panel: raw_dataset.
        code_version: of the stage; days that other code counted are counted anew.
        threads: months read at the same time.
        read_around: months before and after one whose bars changed that will be read next.
    """
    before = _recorded(store)
    days = pl.DataFrame(schema=_DAY_SCHEMA) if before is None else store.read_table(ASSET, DAYS_FILE)
    counted: dict[str, pl.DataFrame] = {}
    if before is not None and store.require(ASSET).files[DAYS_FILE].input_hash == code_version:
        counted = _by_month(days)
    changed = frozenset(month for month in panel.months if before is None or not _same(before, panel, month))
    if before is not None:
        around = _around(panel, [month for month in changed if not _same(before, panel, month, PANEL)], read_around)
        panel.expect(around, heads=[month for month in around if month >= min(changed)])

    def look(month: str) -> _Month:
        if month in changed and before is not None and month in before.months:
            return _compare(before, panel, month)
        if month in changed or month not in counted:
            return _Month(_days_of(panel.month(month, [MEMBER])))
        return _Month(counted[month])

    with ThreadPoolExecutor(max_workers=threads) as pool:
        found = list(pool.map(look, panel.months))
    gone = [] if before is None else [before.month(month, []) for month in before.months if month not in panel.months]
    now = pl.concat(each.days for each in found)
    differing = [each.differing for each in found] + [_differing(old, old.clear()) for old in gone]
    return Changes(
        day_table=now,
        read=changed,
        rows=pl.concat(differing).sort(KEY),
        breaks=_breaks(days["Date"].to_list(), now["Date"].to_list()),
        market_days=tuple(day for each in found for day in each.market_days),
    )


@dataclass(frozen=True)
class _Month:
    """A month's days, and the rows and the days' market-wide values that differ from the recorded ones."""

    days: pl.DataFrame
    differing: pl.DataFrame = field(default_factory=NO_ROWS.clone)
    market_days: tuple[date, ...] = ()


def _recorded(store: Store) -> Panel | None:
    """What the present features were computed from; None where there are none, or none that keep it."""
    manifest = store.manifest(ASSET)
    kept = manifest is not None and any(name.startswith(f"{PANEL}/") for name in manifest.files)
    return Panel(store, ASSET) if kept else None


def _same(before: Panel, panel: Panel, month: str, table: str = "") -> bool:
    """Whether the files of a month, or that of one table, say what they said."""
    old, now = (
        {name: entry.content_hash for name, entry in each.files(month).items() if name.startswith(table)}
        for each in (before, panel)
    )
    return old == now


def _by_month(days: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The rows of each month of a table that is sorted by Date: slices, which a grouping would copy one by one."""
    found, first = {}, 0
    for month, group in groupby(days["Date"].dt.strftime("%Y-%m").to_list()):
        rows = len(list(group))
        found[month] = days.slice(first, rows)
        first += rows
    return found


def _around(panel: Panel, months: Iterable[str], reach: int) -> set[str]:
    """The panel's months that lie at most so many before or after one of these."""
    places = [bisect_left(panel.months, month) for month in months]
    return {month for place in places for month in panel.months[max(place - reach, 0) : place + reach + 1]}


def _days_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Date, rows, names of a month."""
    return rows.group_by("Date", maintain_order=True).agg(
        rows=pl.len().cast(pl.Int64), names=pl.col(MEMBER).sum().cast(pl.Int32)
    )


def _compare(before: Panel, panel: Panel, month: str) -> _Month:
    same = {table: _same(before, panel, month, table) for table in (PANEL, SLOW)}
    differing = [name for name in _READ if not same[SLOW if name in SLOW_COLUMNS else PANEL]]
    columns = list(dict.fromkeys([MEMBER, *differing]))  # the members of each day are counted in any case
    with ThreadPoolExecutor(max_workers=2) as pool:
        old, now = pool.map(lambda each: each.month(month, columns), (before, panel))
    days = _days_of(now)
    both = days.select("Date").filter(pl.col("Date").is_in(old["Date"].unique().to_list()))
    old_values, new_values = (
        both if values is None else both.join(values, on="Date", how="left", maintain_order="left")
        for values in (before.market_month(month), panel.market_month(month))
    )
    market_days = both["Date"].filter(_unequal(old_values, new_values, MARKET_COLUMNS))
    return _Month(days, _differing(old, now), tuple(market_days.to_list()))


def _differing(old: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """Rows that were changed, inserted or deleted."""
    keys = now.select(KEY)
    if not old.select(KEY).equals(keys):
        keys = pl.concat([old.select(KEY), keys]).unique().sort(KEY)
        old, now = (
            keys.join(each.with_columns(pl.lit(True).alias(_THERE)), on=KEY, how="left", maintain_order="left")
            for each in (old, now)
        )
    marked = keys.with_columns(
        _unequal(old, now, (*columns, _THERE)).alias(name) for name, columns in _COMPARED.items()
    )
    return marked.filter(pl.any_horizontal(*_COMPARED))


def _unequal(old: pl.DataFrame, now: pl.DataFrame, columns: Iterable[str]) -> pl.Series:
    """Where two tables of the same rows differ in any of the columns. Null and NaN say the same, as do 0.0 and -0.0.

    A column that one of them lacks, or has as another type, differs everywhere.
    """
    nowhere = pl.repeat(False, now.height, dtype=pl.Boolean, eager=True)
    held = [name for name in columns if name in old.columns or name in now.columns]
    if any(old.schema.get(name) != now.schema.get(name) for name in held):
        return ~nowhere
    differing = [name for name in held if not old[name].equals(now[name], null_equal=True)]  # few; a third of the time
    return reduce(or_, (_plain(old[name]).ne_missing(_plain(now[name])) for name in differing), nowhere)


def _plain(column: pl.Series) -> pl.Series:
    return column.fill_nan(None) if column.dtype.is_float() else column


def _breaks(before: list[date], now: list[date]) -> tuple[date, ...]:
    """Days from which on a window may hold other days than it did."""
    inserted = set(now) - set(before)
    places = [bisect_left(now, day) for day in set(before) - set(now)]
    following = {now[place] if place < len(now) else date.max for place in places}
    return tuple(sorted(inserted | following))
