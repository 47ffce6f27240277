"""One's own bars in Parquet or CSV as a source of canonical rows."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from model.daily_quotes import calendar
from model.daily_quotes.cross_section import require_names
from model.daily_quotes.schema import CANONICAL, rising, validate_canonical
from model.daily_quotes.settings import CalendarSettings, FilesSource
from model.daily_quotes.sources.base import DayBatch, IndexedSource, fingerprint_of
from model.daily_quotes.sources.file_columns import FileFrame, canonical_columns
from model.daily_quotes.sources.file_reading import check_columns, file_column, find_files, read_columns
from model.errors import SourceError
from model.lineage.code_version import code_version
from model.store.hashing import file_hash

_ROW = "__row_in_file"


@dataclass
class FilesOfBars(IndexedSource):
    """The bars in these files.

    ``today`` is the date that no row may lie after. ``min_names`` and ``max_bad_close_share`` are limits of the
    quality gate that the whole source is held to as soon as it is read, before anything is computed from it.
    """

    settings: FilesSource = field(default_factory=FilesSource)
    calendar: CalendarSettings = field(default_factory=CalendarSettings)
    today: date = date.max
    config_dir: Path | None = None
    min_names: int = 0
    max_bad_close_share: float = 1.0

    def fingerprint(self) -> str:
        """The files' bytes, how they are read, and the code that reads them."""
        contents = [file_hash(path) for path in find_files(self.settings)]
        reading = self.settings.model_dump(mode="json", exclude={"path"})
        return fingerprint_of(contents, reading, self.calendar.hashed(), code_version(__name__))

    def load(self) -> DayBatch:
        """Read, check and sort every row of every file.

        Raises:
            SourceError: the files are missing, unreadable, or say something impossible.
        """
        paths = find_files(self.settings)
        received, canonical = [], []
        for path in paths:
            rows = read_columns(path, self.settings)
            check_columns(rows, path, self.settings)
            canonical.append(canonical_columns(FileFrame(path, rows, self.settings)))
            received.append(rows)
        where = str(paths[0]) if len(paths) == 1 else f"{self.settings.path} ({len(paths)} files)"
        return self._batch_of(pl.concat(canonical), pl.concat(received, how="diagonal_relaxed"), where)

    def _batch_of(self, frame: pl.DataFrame, received: pl.DataFrame, where: str) -> DayBatch:
        refuse_future(frame, where, self.today)
        if not self.settings.sort:
            refuse_unsorted(frame, where)
        keep = pl.lit(True)
        if self.settings.start is not None:
            keep &= pl.col("Date") >= self.settings.start
        if self.settings.end is not None:
            keep &= pl.col("Date") <= self.settings.end
        order = frame.with_row_index(_ROW).filter(keep).sort("Date", "Code", maintain_order=True)
        if not order.height:
            raise SourceError(
                f"None of the {frame.height} rows of {where} lies from source.start={self.settings.start} to "
                f"source.end={self.settings.end}. Widen them."
            )
        refuse_duplicates(order, where)
        refuse_bad_closes(order, where, file_column(self.settings, "Close"), self.max_bad_close_share)
        quotes = order.with_columns(KnownAt=calendar.known_at(self.calendar, pl.col("Date"))).select(list(CANONICAL))
        self._refuse_closed_days(quotes, where)
        names = quotes.group_by("Date", maintain_order=True).agg(names=pl.col("Close").count())
        require_names(names["names"], quotes["Code"].n_unique(), self.min_names, where)
        days = tuple(names["Date"].to_list())
        code = file_column(self.settings, "Code")
        return DayBatch(
            days, validate_canonical(quotes), _received_in_order(received, order, code), received_key=(code,)
        )

    def _refuse_closed_days(self, quotes: pl.DataFrame, where: str) -> None:
        """Every row lies on a trading day of the calendar."""
        if self.calendar.exchange == "from_data":
            return
        first, last = quotes["Date"][0], quotes["Date"][-1]
        open_days = calendar.trading_days(self.calendar, first, last, config_dir=self.config_dir)
        closed = quotes.filter(~pl.col("Date").is_in(list(open_days)))
        if closed.height:
            day, code = closed.row(0)[:2]
            raise SourceError(
                f"The dates of {where} lie on days when the exchange ({self.calendar.exchange}) is closed in "
                f"{closed.height} of {quotes.height} rows, the first being {day} for code {code}. Correct those rows "
                "or source.date_format, set calendar.exchange to the right one, or to from_data to take the days of "
                "the file as the calendar."
            )


def refuse_future(frame: pl.DataFrame, where: str, today: date) -> None:
    """No row may be dated after today."""
    late = frame.filter(pl.col("Date") > today)
    if late.height:
        first = late.row(0, named=True)
        raise SourceError(
            f"The dates of {where} lie in the future in {late.height} of {frame.height} rows, the first being "
            f"{first['Date']} for code {first['Code']} (today is {today}). Remove or correct those rows, or correct "
            "source.date_format."
        )


def refuse_unsorted(frame: pl.DataFrame, where: str) -> None:
    """Within a code, dates may not go backwards from row to row."""
    marked = frame.select("Date", "Code", before=pl.col("Date").shift(1).over("Code"))
    back = marked.filter(pl.col("Date") < pl.col("before"))
    if back.height:
        first = back.row(0, named=True)
        raise SourceError(
            f"The dates of {where} go backwards within a code in {back.height} of {frame.height} rows, the first being "
            f"code {first['Code']} with {first['Date']} after {first['before']}. Sort the file by Code and Date, or "
            "set source.sort=true to have it sorted."
        )


def refuse_bad_closes(ordered: pl.DataFrame, where: str, column: str, limit: float) -> None:
    """No larger share of the rows than ``limit`` may have a close of zero (the frame is sorted by Date and Code)."""
    bad = ordered.filter(pl.col("Close") <= 0)
    if bad.height > limit * ordered.height:
        first = bad.row(0, named=True)
        raise SourceError(
            f"The column {column!r} of {where} is zero or negative in {bad.height} of {ordered.height} rows "
            f"({bad.height / ordered.height:.2%}, the limit is {limit:.2%}), the first being code {first['Code']} on "
            f"{first['Date']}. Leave those cells empty if nothing traded, map the right column with "
            "source.columns.Close, or raise quality.max_bad_close_share."
        )


def refuse_duplicates(ordered: pl.DataFrame, where: str) -> None:
    """No two rows may have the same Date and Code (the frame is sorted by them)."""
    repeated = ordered.with_columns(new=rising()).slice(1).filter(~pl.col("new"))
    if repeated.height:
        first = repeated.row(0, named=True)
        raise SourceError(
            f"{where} has more than one row for the same Date and Code: {repeated.height} of {ordered.height} rows "
            f"repeat another, the first being code {first['Code']} on {first['Date']}. Remove the repeats; the source "
            "cannot know which row is right."
        )


def _received_in_order(received: pl.DataFrame, order: pl.DataFrame, code: str) -> pl.DataFrame:
    """The received rows by day, and within a day by the file's own code column."""
    rows = received[order[_ROW]].with_columns(order["Date"].alias(_ROW))
    return rows.sort(_ROW, code, maintain_order=True).drop(_ROW)
