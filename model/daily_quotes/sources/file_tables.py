"""Tables beside the bars from files: canonical columns, the day under which each row lies, sorted and unique."""

from collections.abc import Callable, Sequence
from datetime import date

import polars as pl

from model.daily_quotes.beside import TABLES, BesideTable
from model.daily_quotes.beside_rules import RULES
from model.daily_quotes.settings import FilesSource
from model.daily_quotes.sources.file_columns import FileFrame, codes, dates, numbers, time_stamps
from model.daily_quotes.sources.file_finding import FoundFile
from model.daily_quotes.sources.file_reading import check_table_columns, read_columns
from model.errors import SourceError


def read_table(
    name: str,
    files: Sequence[FoundFile],
    settings: FilesSource,
    timezone: str,
    days: Sequence[date],
    today: date = date.max,
) -> pl.DataFrame:
    """The canonical table ``name`` from its files.

    A row lies under its ``Date``; in a file without that column, under the first trading day on or after the local
    date of publication. What is published after the last day of the bars waits until bars of a later day are there.

    Args:
        days: the days of the bars, in order.
        today: the date that nothing may be published after.

    Raises:
        SourceError: a file is unreadable, lacks a column, says something impossible, or repeats a row.
    """
    table = TABLES[name]
    frames = [_canonical(table, found, settings, timezone, days, today) for found in files]
    frame = pl.concat(frames).filter(pl.col("Date") <= days[-1])
    if settings.start is not None:
        frame = frame.filter(pl.col("Date") >= settings.start)
    frame = frame.sort(table.key)
    where = f"source.tables.{name} ({files[0].path}{f' and {len(files) - 1} more files' if len(files) > 1 else ''})"
    _refuse_repeats(frame, table, where)
    _refuse_untimed_versions(frame, table, where)
    _refuse_other_days(frame, days, where)
    return frame


def _canonical(
    table: BesideTable, found: FoundFile, settings: FilesSource, timezone: str, days: Sequence[date], today: date
) -> pl.DataFrame:
    rows = read_columns(found, settings, may_be_empty=True)
    check_table_columns(rows, found.path, table.name, [name for name in table.schema if name != "Date"])
    file = FileFrame(found.path, rows, settings, timezone, mapped=False)
    columns = {name: _column(file, name, dtype) for name, dtype in table.schema.items() if name != "Date"}
    if "PublishedAt" not in table.nullable_key:
        missing = columns["PublishedAt"].is_null()
        file.refuse("PublishedAt", missing, "is empty", "Say when each row was published, or leave the row out.")
    _refuse_future(file, "PublishedAt", columns["PublishedAt"].dt.convert_time_zone(timezone).dt.date(), today)
    if file.has("Date"):
        day = dates(file)
        _refuse_future(file, "Date", day, today)
    else:
        day = _first_day(file, columns["PublishedAt"], timezone, days)
    frame = pl.DataFrame({"Date": day, **columns}).select(list(table.schema))
    for rule in RULES.get(table.name, ()):
        file.refuse(rule.column, rule.broken(frame), f"holds {rule.what}", f"{rule.remedy}.")
    return frame


def _column(file: FileFrame, name: str, dtype: pl.DataType) -> pl.Series:
    if name == "Code":
        return codes(file)
    if name == "Quarter":
        return _quarter(file)
    reader = _READERS.get(dtype)
    if reader is None:
        raise TypeError(f"no column of dtype {dtype} can be read from a file")
    return reader(file, name)


def _quarter(file: FileFrame) -> pl.Series:
    values = numbers(file, "Quarter")
    wrong = ~values.is_in([1.0, 2.0, 3.0, 4.0]).fill_null(False)
    file.refuse("Quarter", wrong, "is none of 1, 2, 3 and 4", "Write 4 for the full year.")
    return values.cast(pl.Int8)


def _text(file: FileFrame, name: str) -> pl.Series:
    column = file.column(name)
    if column.dtype != pl.String:
        raise file.refuse_type(name, "text")
    text = column.str.strip_chars()
    file.refuse(name, text.is_null() | (text == ""), "is empty", "Give every row its value, or leave the row out.")
    return text


_READERS: dict[pl.DataType, Callable[[FileFrame, str], pl.Series]] = {
    pl.Date(): dates,
    pl.Float64(): numbers,
    pl.String(): _text,
    pl.Datetime("us", "UTC"): time_stamps,
}


def _refuse_future(file: FileFrame, name: str, days: pl.Series, today: date) -> None:
    remedy = "Remove or correct those rows, or correct source.date_format."
    late = (days > today).fill_null(False)
    file.refuse(name, late, f"lies in the future (today is {today})", remedy)


def _first_day(file: FileFrame, published: pl.Series, timezone: str, days: Sequence[date]) -> pl.Series:
    """The first trading day on or after the local date of publication; the day after the last one if none is there."""
    file.refuse(
        "PublishedAt", published.is_null(), "is empty", "Fill it, or name the row's trading day in a column Date."
    )
    local = published.dt.convert_time_zone(timezone).dt.date()
    known = pl.Series("Date", [*days, date.max], dtype=pl.Date)
    return known.gather(known.search_sorted(local.clip(upper_bound=date.max), side="left"))


def _refuse_repeats(frame: pl.DataFrame, table: BesideTable, where: str) -> None:
    repeated = frame.filter(pl.struct(table.key).is_duplicated())
    if repeated.height:
        first = ", ".join(f"{name}={repeated[name][0]}" for name in table.key)
        raise SourceError(
            f"{where} says more than one thing under the same {', '.join(table.key)}: {repeated.height} of "
            f"{frame.height} rows share theirs with another, the first being {first}. Remove the repeats; a correction "
            "has a PublishedAt of its own."
        )


def _refuse_untimed_versions(frame: pl.DataFrame, table: BesideTable, where: str) -> None:
    """Of several versions of a row each says when it was published; else nobody can know which is the newest."""
    for name in table.nullable_key:
        rest = [column for column in table.key if column != name]
        untimed = frame.filter(pl.col(name).is_null() & pl.struct(rest).is_duplicated())
        if untimed.height:
            first = ", ".join(f"{column}={untimed[column][0]}" for column in rest)
            raise SourceError(
                f"{where} has an empty {name} beside another row of the same {', '.join(rest)} in {untimed.height} of "
                f"{frame.height} rows, the first being {first}. Fill {name} in both, so that it is known which of them "
                "corrects the other, or leave one of them out."
            )


def _refuse_other_days(frame: pl.DataFrame, days: Sequence[date], where: str) -> None:
    strange = frame.filter(~pl.col("Date").is_in(list(days)))
    if strange.height:
        raise SourceError(
            f"{where} has {strange.height} of {frame.height} rows under a Date without bars, the first being "
            f"{strange['Date'][0]}. Date is the first trading day on or after the publication: correct it, or leave "
            "the column out to have it derived from PublishedAt."
        )
