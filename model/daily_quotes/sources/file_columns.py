"""From a file's columns to the canonical ones, refusing what cannot be understood.

Each function either returns a clean column or raises one paragraph with the file, the column, how many rows are
wrong, the first of them, and what to do.
"""

from dataclasses import dataclass
from datetime import time
from pathlib import Path

import polars as pl

from model.daily_quotes.schema import PRICES
from model.daily_quotes.settings import FilesSource
from model.errors import SourceError

_TRUE = ("1", "true", "t", "yes", "1.0")
_FALSE = ("0", "false", "f", "no", "0.0", "")
_GROUPED = r"^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$"
_DECIMAL_COMMA = r"^[-+]?\d+,\d+$"
_CLOCK_TIME = r"^\d{4}\D?\d{2}\D?\d{2}[ T]\d{2}:"
_DAY = "%Y-%m-%d"
_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?)$"
_ZONED, _LOCAL = "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f"
_LARGEST = 9.0e18
"""Volumes are 64-bit whole numbers."""
_FIRST_YEAR = 1900
"""What lies before it is a year of two digits, read as one of four."""

TIME = pl.Datetime("us", "UTC")


def _printable(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else repr(text)


@dataclass(frozen=True)
class FileFrame:
    """One file's rows as received, and how to read them."""

    path: Path
    rows: pl.DataFrame
    settings: FilesSource
    timezone: str
    mapped: bool = True
    """Whether ``source.columns`` maps names; tables beside the bars have canonical names."""

    def name(self, canonical: str) -> str:
        """The file's name of a canonical column."""
        return self.settings.columns.get(canonical, canonical) if self.mapped else canonical

    def column(self, canonical: str) -> pl.Series:
        """The file's column for a canonical one, under the canonical name."""
        return self.rows[self.name(canonical)].alias(canonical)

    def has(self, canonical: str) -> bool:
        """Whether the file has a column for a canonical one."""
        return self.name(canonical) in self.rows.columns

    def remedy(self, canonical: str) -> str:
        """How another column can be taken for a canonical one."""
        if self.mapped:
            return f"Map the right column in source.columns.{canonical}."
        return f"Rename the right column to {canonical}."

    def refuse_type(self, canonical: str, what: str) -> SourceError:
        """What to raise for a column whose type cannot be what it should."""
        column = self.rows[self.name(canonical)]
        return SourceError(
            f"The column {self.name(canonical)!r} of {self.path} has type {column.dtype} in all {len(column)} rows, "
            f"which is no {what}. {self.remedy(canonical)}"
        )

    def refuse(self, canonical: str, wrong: pl.Series, what: str, remedy: str) -> None:
        """Raise if any row is wrong.

        Raises:
            SourceError: with the count and the first wrong row.
        """
        count = int(wrong.sum())
        if not count:
            return
        first = wrong.arg_max()
        assert first is not None
        names = dict.fromkeys(self.name(name) for name in (canonical, "Date", "Code"))
        shown = ", ".join(f"{name}={_printable(self.rows[name][first])}" for name in names if name in self.rows.columns)
        raise SourceError(
            f"The column {self.name(canonical)!r} of {self.path} {what} in {count} of "
            f"{self.rows.height} rows, the first being row {first + 1} ({shown}). {remedy}"
        )


def canonical_columns(file: FileFrame) -> pl.DataFrame:
    """Canonical columns of one file, rows in the file's order; KnownAt is null where the file does not say.

    Raises:
        SourceError: see the module.
    """
    columns = [dates(file), codes(file)]
    height = file.rows.height
    columns += [price(file, name) for name in PRICES]
    columns.append(volume(file))
    no_turnover = pl.Series("TurnoverValue", [None], dtype=pl.Float64).new_from_index(0, height)
    columns.append(numbers(file, "TurnoverValue") if file.has("TurnoverValue") else no_turnover)
    columns.append(factor(file))
    columns += [flag(file, name) for name in ("UpperLimit", "LowerLimit")]
    columns += [label(file, name) for name in ("Sector", "Market")]
    unknown = pl.Series("KnownAt", [None], dtype=TIME).new_from_index(0, height)
    columns.append(time_stamps(file, "KnownAt") if file.has("KnownAt") else unknown)
    return pl.DataFrame(columns)


def dates(file: FileFrame, name: str = "Date") -> pl.Series:
    """Dates; of a time stamp the date is taken as written, unless it is another one at the exchange."""
    column = file.column(name)
    remedy = "Set source.date_format (strftime codes, such as %Y%m%d or %d/%m/%Y), or correct those rows."
    if column.dtype == pl.Date:
        parsed = column
    elif column.dtype == pl.Datetime:
        parsed = _dates_of_stamps(file, name, column)
    elif column.dtype == pl.String or column.dtype.is_integer():
        text = column.cast(pl.String).str.strip_chars()
        parsed = text.str.to_date(file.settings.date_format, strict=False)
        if file.settings.date_format == _DAY and parsed.null_count():
            parsed = parsed.zip_with(parsed.is_not_null(), _dates_of_texts(file, name, text))
        if (parsed.is_null() & text.str.contains(_CLOCK_TIME)).any():
            remedy = "Those are dates with times: write them without, or set source.date_format (%Y-%m-%d %H:%M)."
    else:
        raise file.refuse_type(name, "date")
    file.refuse(name, parsed.is_null(), f"is no date in the format {file.settings.date_format}", remedy)
    two_digits = (
        "Set source.date_format (%y stands for a year of two digits, %Y for one of four), or correct those rows."
    )
    _refuse_early_years(file, name, parsed, two_digits)
    return parsed.alias(name)


def _refuse_early_years(file: FileFrame, name: str, days: pl.Series, remedy: str) -> None:
    early = (days.dt.year() < _FIRST_YEAR).fill_null(False)
    file.refuse(name, early, f"lies before the year {_FIRST_YEAR}", remedy)


def _dates_of_stamps(file: FileFrame, name: str, column: pl.Series) -> pl.Series:
    zoned = isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None
    return _dates_as_written(file, name, column.dt.replace_time_zone(None), column if zoned else None)


def _dates_of_texts(file: FileFrame, name: str, text: pl.Series) -> pl.Series:
    """Dates of time stamps such as ``2020-01-06T00:00:00+09:00``, with or without a zone; null where there is none."""
    stamps = text.str.replace(" ", "T", literal=True)
    moments = stamps.str.to_datetime(_ZONED, strict=False, time_zone="UTC", time_unit="us")
    written = stamps.str.replace(_ZONE, "").str.to_datetime(_LOCAL, strict=False, time_unit="us")
    return _dates_as_written(file, name, written, moments)


def _dates_as_written(file: FileFrame, name: str, written: pl.Series, moments: pl.Series | None) -> pl.Series:
    """Midnight stands for its own date; any other hour must lie on the same date where the exchange is.

    Args:
        written: time stamps as they stand there, without their zone.
        moments: what they mean where they have a zone.
    """
    parsed = written.dt.date()
    if moments is not None:
        there = moments.dt.convert_time_zone(file.timezone).dt.date()
        shifted = (written.dt.time() != time(0)) & (parsed != there)
        file.refuse(
            name,
            shifted.fill_null(False),
            f"is a time stamp that lies on another date in {file.timezone}",
            "Write dates without times, or time stamps of the exchange's own zone.",
        )
    return parsed


def time_stamps(file: FileFrame, name: str) -> pl.Series:
    """Moments in UTC, null where the cell is empty; without a zone they are the exchange's local time."""
    column = file.column(name)
    if column.dtype == pl.Null:
        return column.cast(TIME)
    if column.dtype == pl.Datetime:
        missing, parsed = column.is_null(), _in_utc(column, file.timezone)
    elif column.dtype == pl.String:
        text = column.str.strip_chars().str.replace(" ", "T", literal=True)
        missing = text.is_null() | text.is_in(list(file.settings.missing))
        zoned = text.str.to_datetime(_ZONED, strict=False, time_zone="UTC", time_unit="us")
        local = text.str.to_datetime(_LOCAL, strict=False, time_unit="us")
        parsed = zoned.zip_with(zoned.is_not_null(), _in_utc(local, file.timezone))
    else:
        raise file.refuse_type(name, "time stamp")
    remedy = "Write it like 2020-01-06T16:30:00+09:00 in every row."
    file.refuse(name, parsed.is_null() & ~missing, "is no time stamp", remedy)
    _refuse_early_years(file, name, parsed, remedy)
    return parsed.alias(name)


def _in_utc(column: pl.Series, timezone: str) -> pl.Series:
    plain = column.dt.cast_time_unit("us")
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is None:
        # The hour that a clock shows twice in autumn is its later self: never known too early.
        plain = plain.dt.replace_time_zone(timezone, ambiguous="latest", non_existent="null")
    return plain.dt.convert_time_zone("UTC")


def codes(file: FileFrame, name: str = "Code") -> pl.Series:
    """Codes as text, exactly as written."""
    column = file.column(name)
    if column.dtype.is_integer():
        if file.settings.code_type != "integer":
            raise SourceError(
                f"The column {file.name(name)!r} of {file.path} holds whole numbers in all "
                f"{len(column)} rows; codes are text, and numbers may have lost leading zeros. Write the codes as "
                "text, or set source.code_type=integer and source.code_width to the length of a code."
            )
    elif column.dtype != pl.String:
        raise file.refuse_type(name, "code")
    text = column.cast(pl.String).str.strip_chars()
    if file.settings.code_width is not None:
        text = text.str.zfill(file.settings.code_width)
    missing = text.is_null() | (text == "")
    file.refuse(name, missing, "is empty", "Give every row its code.")
    unseen = text.str.contains(r"[\p{Cc}\p{Cf}]")  # with which one name would pass for two
    file.refuse(name, unseen, "holds line ends, control characters or invisible ones", "Correct those rows.")
    return text


def price(file: FileFrame, name: str) -> pl.Series:
    """Prices; zero is let through to the quality gate, negative is not."""
    values = numbers(file, name)
    file.refuse(
        name,
        (values < 0).fill_null(False),
        "is negative",
        "No share has a negative price: correct those rows, or map the right column in source.columns.",
    )
    return values


def volume(file: FileFrame) -> pl.Series:
    """Volumes in whole shares; whole numbers keep all their digits."""
    column = file.column("Volume")
    values = column if column.dtype.is_integer() else numbers(file, "Volume").round()
    remedy = "Correct those rows, or map the right column in source.columns."
    file.refuse("Volume", (values < 0).fill_null(False), "is negative", remedy)
    file.refuse("Volume", (values > _LARGEST).fill_null(False), "is larger than any volume", remedy)
    return values.cast(pl.Int64)


def factor(file: FileFrame) -> pl.Series:
    """Adjustment factors; 1 where there is none, everywhere if prices are already adjusted."""
    if file.settings.adjusted or not file.has("AdjustmentFactor"):
        return pl.Series("AdjustmentFactor", [1.0], dtype=pl.Float64).new_from_index(0, file.rows.height)
    values = numbers(file, "AdjustmentFactor").fill_null(1.0)
    file.refuse(
        "AdjustmentFactor",
        values <= 0,
        "is zero or negative",
        "A 2-for-1 split is 0.5 on its first day, no split is 1: correct those rows, or set source.adjusted=true "
        "if prices are already adjusted.",
    )
    return values


def flag(file: FileFrame, name: str) -> pl.Series:
    """Daily-limit flags; false where there is none."""
    if not file.has(name):
        return pl.Series(name, [False], dtype=pl.Boolean).new_from_index(0, file.rows.height)
    column = file.column(name)
    if column.dtype == pl.Boolean:
        return column.fill_null(False)
    text = column.cast(pl.String).str.strip_chars().str.to_lowercase().fill_null("")
    true, false = text.is_in(list(_TRUE)), text.is_in(list(_FALSE))
    file.refuse(name, ~(true | false), "is neither true nor false", "Write 1 or 0, true or false.")
    return true.alias(name)


def label(file: FileFrame, name: str) -> pl.Series:
    """Sector and market names; null where there is none."""
    if not file.has(name):
        return pl.Series(name, [None], dtype=pl.String).new_from_index(0, file.rows.height)
    text = file.column(name).cast(pl.String).str.strip_chars()
    return pl.DataFrame({name: text}).select(
        pl.when(pl.col(name).is_in(["", "-", "*"])).then(None).otherwise(pl.col(name)).alias(name)
    )[name]


def numbers(file: FileFrame, name: str) -> pl.Series:
    """A column as float64: missing texts and NaN become null, anything else that is no number is refused."""
    column = file.column(name)
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        missing = text.is_null() | text.is_in(list(file.settings.missing))
        values = text.cast(pl.Float64, strict=False)
        wrong = values.is_null() & ~missing
        file.refuse(name, wrong, "is not a number", _remedy_for_text(text.filter(wrong), file.remedy(name)))
        values = values.zip_with(~missing, pl.Series(name, [None], dtype=pl.Float64).new_from_index(0, len(text)))
    elif column.dtype.is_numeric() or column.dtype == pl.Null:
        values = column.cast(pl.Float64)
    else:
        raise file.refuse_type(name, "number")
    values = values.fill_nan(None)
    file.refuse(name, values.is_infinite().fill_null(False), "is infinite", "Correct those rows.")
    return values.alias(name)


def _remedy_for_text(wrong: pl.Series, mapping: str) -> str:
    if wrong.str.contains(_GROUPED).any():
        return "Write numbers without thousands separators (1234.5, not 1,234.5): it is not guessed what a comma means."
    if wrong.str.contains(_DECIMAL_COMMA).any():
        return "Write numbers with a decimal point (1.5, not 1,5): it is not guessed what a comma means."
    return f"Correct those rows, add the text to source.missing if it stands for a missing number, or: {mapping}"
