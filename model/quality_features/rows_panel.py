"""Read what features and labels are computed from: the panel, the slow columns beside it, the market table.

Work goes through the history from old to new, and a window that moves on needs the months of its lookback again: what
was read is kept, up to a bound. Few columns are needed far back (a 200-day mean reads closes alone), so each column of
a window has its own first day, before which it is not read and stays null.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Lock

import numpy as np
import polars as pl

from model.errors import DataError, StoreError
from model.quality_features.language.columns import COLUMNS, MEMBER, SECTOR
from model.quality_features.places import rows_of
from model.quality_features.read import KEY, PANEL
from model.store.frames import columns_of, day_edges
from model.store.manifest import FileEntry
from model.store.store import Store

SOURCE = "raw_dataset"
SLOW, MARKET = "slow", "market"
_READERS = 2
_KEPT_BYTES = 1 << 29
"""What is kept in memory for reading again."""
_HEADS_AHEAD = 32
_FEW_CODES = 64
"""Codes of which the rows are kept instead of the months that they are read from."""


def _sources(table: str) -> tuple[str, ...]:
    return tuple(spec.source for spec in COLUMNS.values() if spec.table == table)


FEATURE_COLUMNS = (*_sources(PANEL), SECTOR, MEMBER)
"""What features may read of the panel, beside Date and Code."""
SLOW_COLUMNS = _sources(SLOW)
MARKET_COLUMNS = _sources(MARKET)


class Panel:
    """The tables of one state of raw_dataset, month by month; several threads may read windows of it.

    Args:
        asset: ``quality_features`` for the state that its features were computed from, which it keeps beside them.

    Raises:
        StoreError: the asset is not materialised.
        DataError: its panel has no rows.
    """

    def __init__(self, store: Store, asset: str = SOURCE) -> None:
        self._store = store
        self._asset = asset
        self._files = store.require(asset).files
        self._verified: dict[str, Future[Path]] = {}
        self._verifying, self._readers = (ThreadPoolExecutor(max_workers=_READERS) for _ in range(2))
        self._asking, self._keeping = Lock(), Lock()
        self._kept: dict[str, tuple[frozenset[str], pl.DataFrame]] = {}
        self._markets: dict[str, pl.DataFrame | None] = {}
        self._picked: dict[tuple[str, frozenset[str]], tuple[frozenset[str], pl.Series | None, pl.DataFrame]] = {}
        head = f"{PANEL}/"
        self.months = tuple(
            name.removeprefix(head).removesuffix(".parquet")
            for name, entry in sorted(self._files.items())
            if name.startswith(head) and entry.rows
        )
        if not self.months:
            raise DataError("The panel of raw_dataset has no rows, so there is nothing to compute features from.")
        self._reading = {month: Lock() for month in self.months}  # who comes second finds the month kept

    def files(self, month: str) -> dict[str, FileEntry]:
        """The files that hold what a month's rows say, by name."""
        names = [f"{table}/{month}.parquet" for table in (PANEL, SLOW, MARKET)]
        return {name: self._files[name] for name in names if name in self._files}

    def month(self, month: str, columns: Sequence[str]) -> pl.DataFrame:
        """Date, Code and the columns of a month, sorted; a column that the source does not have is absent."""
        return self._beside(month, self._table(PANEL, month, [*KEY, *columns]), columns)

    def head(self, month: str) -> pl.DataFrame:
        """Date, Code and InUniverse of a month, from what is kept of it where anything is; null says not a member."""
        with self._reading[month]:
            rows = self._remembered(month, [MEMBER])
        return rows if not rows[MEMBER].null_count() else rows.with_columns(pl.col(MEMBER).fill_null(False))

    def _beside(self, month: str, rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
        """The rows of a month with those of the columns beside that the slow table has."""
        entry = self._files.get(f"{SLOW}/{month}.parquet")
        held = (entry.columns or {}) if entry else {}
        slow = [name for name in columns if name in SLOW_COLUMNS and name in held]
        if not slow:
            return rows
        beside = self._table(SLOW, month, slow)
        if beside.height != rows.height:
            raise self._store.uneven(
                self._asset, f"{SLOW}/{month}.parquet", beside.height, f"{PANEL}/{month}.parquet", rows.height
            )
        return rows.hstack(beside)

    def window(
        self, first: date, last: date, columns: Mapping[str, date], codes: Collection[str] | None = None
    ) -> pl.DataFrame:
        """The rows dated ``first`` to ``last``, both included, sorted by Date and Code.

        Args:
            columns: column to the first date on which it is needed; in months before, it may be null throughout.
            codes: rows of these codes, and the first of each day whosever it is: the dates of the result are the
                trading days in any case.
        """
        months = [month for month in self.months if f"{first:%Y-%m}" <= month <= f"{last:%Y-%m}"]
        if not months:
            raise StoreError(f"{self._asset} has no month between {first} and {last} under {self._store.root}.")
        self.expect(months)

        def read(month: str) -> pl.DataFrame:
            wanted = [name for name, since in columns.items() if f"{since:%Y-%m}" <= month]
            with self._reading[month]:
                rows = self._remembered(month, wanted) if codes is None else self._of(frozenset(codes), month, wanted)
            if month in (months[0], months[-1]):
                rows = rows.filter(pl.col("Date").is_between(first, last))
            return rows

        return pl.concat(list(self._readers.map(read, months)), how="diagonal")

    def market(self, first: date, last: date) -> pl.DataFrame | None:
        """Date and the market-wide columns of the days ``first`` to ``last``; None where the source has none."""
        months = [month for month in self.months if f"{first:%Y-%m}" <= month <= f"{last:%Y-%m}"]
        frames = [table for month in months if (table := self.market_month(month)) is not None]
        return pl.concat(frames).filter(pl.col("Date").is_between(first, last)) if frames else None

    def market_month(self, month: str) -> pl.DataFrame | None:
        """Date and the market-wide columns of a month, where the source has them; every job asks for the same few."""
        if month not in self._markets:
            held = f"{MARKET}/{month}.parquet" in self._files
            self._markets[month] = self._table(MARKET, month, ["Date", *MARKET_COLUMNS]) if held else None
        return self._markets[month]

    def _remembered(self, month: str, columns: Sequence[str]) -> pl.DataFrame:
        with self._keeping:
            asked, rows = self._kept.pop(month, (frozenset[str](), pl.DataFrame()))
        absent = [name for name in columns if name not in asked]
        if not rows.width:
            rows = self.month(month, absent)
        elif absent:
            rows = self._beside(month, rows.hstack(self._table(PANEL, month, absent)), absent)
        with self._keeping:
            self._kept[month] = (asked | {*KEY, *columns}, rows)  # the newest use stands last
            kept = sum(frame.estimated_size() for _, frame in self._kept.values())
            while kept > _KEPT_BYTES and len(self._kept) > 1:
                kept -= self._kept.pop(next(iter(self._kept)))[1].estimated_size()
        return columns_of(rows, (*KEY, *(name for name in columns if name in rows.columns)))

    def _of(self, codes: frozenset[str], month: str, columns: Sequence[str]) -> pl.DataFrame:
        """The rows of some codes and the first of each day; several jobs ask for the same.

        A job of few codes reads years for a handful of rows: these are kept, and a month's memory is free for the next.
        """
        if len(codes) > _FEW_CODES:
            rows = self._remembered(month, columns)
            return rows[_places(rows, codes)]
        asked, places, rows = self._picked.get((month, codes), (frozenset[str](), None, pl.DataFrame()))
        absent = [name for name in (*KEY, *columns) if name not in asked]
        if absent:
            whole = self._whole(month, absent)
            if places is None:
                places = _places(whole, codes)
            if whole.width:  # else the source has none of them
                rows = rows.hstack(whole[places]) if rows.width else whole[places]
            self._picked[month, codes] = asked | set(absent), places, rows
        return columns_of(rows, (*KEY, *(name for name in columns if name in rows.columns)))

    def _whole(self, month: str, columns: Sequence[str]) -> pl.DataFrame:
        """Those of some columns that a month has; what is kept of it is not read again, and nothing more is kept."""
        kept, rows = self._kept.get(month, (frozenset[str](), pl.DataFrame()))
        absent = [name for name in columns if name not in kept]
        if absent:
            counted = "Date" in absent or rows.width or not any(name in SLOW_COLUMNS for name in absent)
            read = self._table(PANEL, month, absent if counted else ["Date", *absent])  # whose rows slow ones must have
            rows = self._beside(month, rows.hstack(read) if rows.width else read, absent)
        return columns_of(rows, (name for name in columns if name in rows.columns))

    def _table(self, table: str, month: str, columns: Sequence[str]) -> pl.DataFrame:
        name = f"{table}/{month}.parquet"
        held = self._files[name].columns or {}
        [path] = self._verify([name])
        return pl.read_parquet(path, columns=[column for column in columns if column in held], glob=False)

    def expect(self, months: Collection[str], heads: Collection[str] = ()) -> None:
        """Begin to read what will be asked for, while the caller goes on with other work.

        Args:
            months: months of which the panel's file is verified.
            heads: those of them of which :meth:`head` is read; as many as are kept beside others.
        """
        self._begin_to_verify([f"{PANEL}/{month}.parquet" for month in self.months if month in months])
        for month in [month for month in self.months if month in heads][:_HEADS_AHEAD]:
            self._readers.submit(self.head, month)  # an error is raised when the head is asked for

    def _verify(self, names: Sequence[str]) -> list[Path]:
        """Compare files with the manifest; once is enough: this state of raw_dataset is read column by column."""
        self._begin_to_verify(names)
        return [self._verified[name].result() for name in names]

    def _begin_to_verify(self, names: Sequence[str]) -> None:
        with self._asking:
            for name in names:
                if name not in self._verified:
                    self._verified[name] = self._verifying.submit(self._store.path, self._asset, name)


def _places(rows: pl.DataFrame, codes: frozenset[str]) -> pl.Series:
    """Where the rows of some codes stand in a month, and the first of each day."""
    _, edges = day_edges(rows)
    return pl.Series(np.union1d(rows_of(rows["Code"], codes), edges[:-1]))
