"""One's own bars in Parquet or CSV as a source of canonical rows."""

from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import polars as pl

from model.daily_quotes import calendar
from model.daily_quotes.cross_section import require_names
from model.daily_quotes.schema import CANONICAL, KEY, OPTIONAL, REQUIRED, rising_by, validate_canonical
from model.daily_quotes.settings import CalendarSettings, FilesSource
from model.daily_quotes.sources.base import DayBatch, IndexedSource, fingerprint_of
from model.daily_quotes.sources.file_columns import FileFrame, canonical_columns
from model.daily_quotes.sources.file_finding import find_files, find_tables
from model.daily_quotes.sources.file_reading import check_columns, read_columns
from model.daily_quotes.sources.file_tables import read_table
from model.daily_quotes.sources.file_versions import newest, refuse_impossible_times, revisions
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
        """The files' bytes, what their folders say, how they are read, and the code that reads them."""
        found = {"bars": find_files(self.settings), **find_tables(self.settings)}
        contents = {name: [(file_hash(each.path), each.partitions) for each in files] for name, files in found.items()}
        reading = self.settings.model_dump(mode="json", exclude={"path", "tables"})
        return fingerprint_of(contents, reading, self.calendar.hashed(), code_version(__name__))

    def load(self) -> DayBatch:
        """Read, check and sort every row of every file.

        Raises:
            SourceError: the files are missing, unreadable, or say something impossible.
        """
        files = find_files(self.settings)
        tables = find_tables(self.settings)
        received, canonical, versioned = [], [], False
        mapped = [name for name in (*OPTIONAL, "KnownAt") if name in self.settings.columns]
        for found in files:
            rows = read_columns(found, self.settings)
            check_columns(rows, found.path, self.settings.columns, (*REQUIRED, *mapped))
            file = FileFrame(found.path, rows, self.settings, self.calendar.timezone)
            versioned |= file.has("KnownAt")
            canonical.append(canonical_columns(file))
            received.append(rows)
        where = str(files[0].path) if len(files) == 1 else f"{self.settings.path} ({len(files)} files)"
        frame, rows = pl.concat(canonical), received_of(received)
        del canonical, received  # whole markets: no copy is held longer than it is used
        batch = self._batch_of(frame, rows, where, versioned)
        zone = self.calendar.timezone
        beside = {
            name: read_table(name, found, self.settings, zone, batch.days, self.today) for name, found in tables.items()
        }
        return replace(batch, beside={**batch.beside, **beside})

    def _batch_of(self, frame: pl.DataFrame, received: pl.DataFrame, where: str, versioned: bool) -> DayBatch:
        refuse_future(frame, where, self.today)
        if versioned:
            refuse_impossible_times(frame, where, self.calendar.timezone, self.today)
        if not self.settings.sort:
            refuse_unsorted(frame, where)
        order = self._chosen(frame, where)
        refuse_duplicates(order, where, versioned)
        del frame
        beside = {}
        if versioned:
            is_newest = newest(order)
            beside["revisions"] = revisions(order, is_newest)
            order = order.filter(is_newest)
        column = self.settings.columns.get("Close", "Close")
        refuse_bad_closes(order, where, column, self.max_bad_close_share)
        quotes = validate_canonical(order.select(list(CANONICAL)))
        self._refuse_closed_days(quotes, where)
        names = quotes.group_by("Date", maintain_order=True).agg(names=pl.col("Close").count())
        require_names(names["names"], quotes["Code"].n_unique(), self.min_names, where)
        code = self.settings.columns.get("Code", "Code")
        rows = _received_in_order(received, order, code)
        del received, order
        if rows.equals(quotes.select(name for name in CANONICAL if name in rows.columns)):
            return DayBatch(tuple(names["Date"].to_list()), quotes, beside=beside)  # the files are canonical already
        return DayBatch(tuple(names["Date"].to_list()), quotes, rows, (code,), beside)

    def _chosen(self, frame: pl.DataFrame, where: str) -> pl.DataFrame:
        """The rows from ``source.start`` to ``source.end``, numbered as in the files and sorted, versions included."""
        chosen = frame.with_row_index(_ROW)
        if self.settings.start is not None:
            chosen = chosen.filter(pl.col("Date") >= self.settings.start)
        if self.settings.end is not None:
            chosen = chosen.filter(pl.col("Date") <= self.settings.end)
        published = calendar.known_at(self.calendar, pl.col("Date"))
        if not chosen.height:
            raise SourceError(
                f"None of the {frame.height} rows of {where} lies from source.start={self.settings.start} to "
                f"source.end={self.settings.end}. Widen them."
            )
        chosen = chosen.with_columns(KnownAt=pl.col("KnownAt").fill_null(published))
        key = ("Date", "Code", "KnownAt")
        in_order = chosen.select(rising_by(key).slice(1).all()).item()
        return chosen if in_order else chosen.sort(key, maintain_order=True)

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


def refuse_duplicates(ordered: pl.DataFrame, where: str, versioned: bool = False) -> None:
    """No two rows may have the same Date and Code, or be the same version of one (the frame is sorted)."""
    key = ("Date", "Code", "KnownAt") if versioned else KEY
    repeated = ordered.with_columns(new=rising_by(key)).slice(1).filter(~pl.col("new"))
    if repeated.height:
        first = repeated.row(0, named=True)
        at = f" known at {first['KnownAt']}" if versioned else ""
        raise SourceError(
            f"{where} has more than one row for the same {', '.join(key[:-1])} and {key[-1]}: {repeated.height} of "
            f"{ordered.height} rows repeat another, the first being code {first['Code']} on {first['Date']}{at}. "
            "Remove the repeats; the source cannot know which row is right."
        )


def received_of(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all files under one another; a column of which the files hold different types becomes text."""
    types: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            types.setdefault(name, set()).add(dtype)
    mixed = [name for name, found in types.items() if len(found - {pl.Null()}) > 1]
    as_text = [frame.with_columns(pl.col(n).cast(pl.String) for n in mixed if n in frame.columns) for frame in frames]
    return pl.concat(as_text, how="diagonal_relaxed")


def _received_in_order(received: pl.DataFrame, order: pl.DataFrame, code: str) -> pl.DataFrame:
    """The received rows by day, and within a day by the file's own code column."""
    place = order[_ROW]
    as_they_are = len(place) == received.height and bool((place == pl.int_range(len(place), eager=True)).all())
    rows = received if as_they_are else received[place]
    if rows.schema[code] == pl.String and rows[code].equals(order["Code"]):
        return rows
    return rows.with_columns(order["Date"].alias(_ROW)).sort(_ROW, code, maintain_order=True).drop(_ROW)
