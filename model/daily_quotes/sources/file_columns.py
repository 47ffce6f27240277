"""From a file's columns to the canonical ones, refusing what cannot be understood.

Each function either returns a clean column or raises one paragraph with the file, the column, how many rows are
wrong, the first of them, and what to do.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from model.daily_quotes.schema import PRICES
from model.daily_quotes.settings import FilesSource
from model.daily_quotes.sources.file_reading import file_column
from model.errors import SourceError

_TRUE = ("1", "true", "t", "yes", "1.0")
_FALSE = ("0", "false", "f", "no", "0.0", "")


@dataclass(frozen=True)
class FileFrame:
    """One file's rows as received, and how to read them."""

    path: Path
    rows: pl.DataFrame
    settings: FilesSource

    def column(self, canonical: str) -> pl.Series:
        """The file's column for a canonical one, under the canonical name."""
        return self.rows[file_column(self.settings, canonical)].alias(canonical)

    def has(self, canonical: str) -> bool:
        """Whether the file has a column for a canonical one."""
        return file_column(self.settings, canonical) in self.rows.columns

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
        names = dict.fromkeys(file_column(self.settings, name) for name in (canonical, "Date", "Code"))
        shown = ", ".join(f"{name}={self.rows[name][first]!s}" for name in names if name in self.rows.columns)
        raise SourceError(
            f"The column {file_column(self.settings, canonical)!r} of {self.path} {what} in {count} of "
            f"{self.rows.height} rows, the first being row {first + 1} ({shown}). {remedy}"
        )


def canonical_columns(file: FileFrame) -> pl.DataFrame:
    """Canonical columns of one file, rows in the file's order (KnownAt is added later).

    Raises:
        SourceError: see the module.
    """
    columns = [dates(file), codes(file)]
    columns += [price(file, name) for name in PRICES]
    columns.append(volume(file))
    height = file.rows.height
    for name in ("TurnoverValue",):
        columns.append(_numbers(file, name) if file.has(name) else pl.Series(name, [None] * height, dtype=pl.Float64))
    columns.append(factor(file))
    columns += [flag(file, name) for name in ("UpperLimit", "LowerLimit")]
    columns += [label(file, name) for name in ("Sector", "Market")]
    return pl.DataFrame(columns)


def dates(file: FileFrame) -> pl.Series:
    """Dates; of a time stamp the date is taken as written."""
    column = file.column("Date")
    if column.dtype == pl.Date:
        parsed = column
    elif column.dtype == pl.Datetime:
        parsed = column.dt.replace_time_zone(None).dt.date()
    elif column.dtype == pl.String or column.dtype.is_integer():
        text = column.cast(pl.String).str.strip_chars()
        parsed = text.str.to_date(file.settings.date_format, strict=False)
    else:
        raise SourceError(
            f"The column {file_column(file.settings, 'Date')!r} of {file.path} has type {column.dtype} in all "
            f"{len(column)} rows, which is no date. Map the date column in source.columns.Date."
        )
    file.refuse(
        "Date",
        parsed.is_null(),
        f"is no date in the format {file.settings.date_format}",
        "Set source.date_format (strftime codes, such as %Y%m%d or %d/%m/%Y), or correct those rows.",
    )
    return parsed.alias("Date")


def codes(file: FileFrame) -> pl.Series:
    """Codes as text, exactly as written."""
    column = file.column("Code")
    if column.dtype.is_integer():
        if file.settings.code_type != "integer":
            raise SourceError(
                f"The column {file_column(file.settings, 'Code')!r} of {file.path} holds whole numbers in all "
                f"{len(column)} rows; codes are text, and numbers may have lost leading zeros. Write the codes as "
                "text, or set source.code_type=integer and source.code_width to the length of a code."
            )
    elif not (column.dtype == pl.String or isinstance(column.dtype, (pl.Categorical, pl.Enum))):
        raise SourceError(
            f"The column {file_column(file.settings, 'Code')!r} of {file.path} has type {column.dtype} in all "
            f"{len(column)} rows, which is no code. Map the code column in source.columns.Code."
        )
    text = column.cast(pl.String).str.strip_chars()
    if file.settings.code_width is not None:
        text = text.str.zfill(file.settings.code_width)
    missing = text.is_null() | (text == "")
    file.refuse("Code", missing, "is empty", "Give every row its code.")
    return text


def price(file: FileFrame, name: str) -> pl.Series:
    """Prices; zero is let through to the quality gate, negative is not."""
    numbers = _numbers(file, name)
    file.refuse(
        name,
        (numbers < 0).fill_null(False),
        "is negative",
        "No share has a negative price: correct those rows, or map the right column in source.columns.",
    )
    return numbers


def volume(file: FileFrame) -> pl.Series:
    """Volumes in whole shares."""
    numbers = _numbers(file, "Volume")
    file.refuse(
        "Volume",
        (numbers < 0).fill_null(False),
        "is negative",
        "Correct those rows, or map the right column in source.columns.",
    )
    return numbers.round().cast(pl.Int64)


def factor(file: FileFrame) -> pl.Series:
    """Adjustment factors; 1 where there is none, everywhere if prices are already adjusted."""
    if file.settings.adjusted or not file.has("AdjustmentFactor"):
        return pl.Series("AdjustmentFactor", [1.0], dtype=pl.Float64).new_from_index(0, file.rows.height)
    numbers = _numbers(file, "AdjustmentFactor").fill_null(1.0)
    file.refuse(
        "AdjustmentFactor",
        numbers <= 0,
        "is zero or negative",
        "A 2-for-1 split is 0.5 on its first day, no split is 1: correct those rows, or set source.adjusted=true "
        "if prices are already adjusted.",
    )
    return numbers


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


def _numbers(file: FileFrame, name: str) -> pl.Series:
    """A column as float64: missing texts and NaN become null, anything else that is no number is refused."""
    column = file.column(name)
    if column.dtype == pl.String or isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        text = column.cast(pl.String).str.strip_chars()
        missing = text.is_null() | text.is_in(list(file.settings.missing))
        numbers = text.cast(pl.Float64, strict=False)
        wrong = numbers.is_null() & ~missing
        remedy = (
            "Correct those rows, map the right column in source.columns, or add the text to source.missing if it "
            "stands for a missing number."
        )
        file.refuse(name, wrong, "is not a number", remedy)
        numbers = numbers.zip_with(~missing, pl.Series(name, [None], dtype=pl.Float64).new_from_index(0, len(text)))
    elif column.dtype.is_numeric() or column.dtype == pl.Null:
        numbers = column.cast(pl.Float64)
    else:
        raise SourceError(
            f"The column {file_column(file.settings, name)!r} of {file.path} has type {column.dtype} in all "
            f"{len(column)} rows, which is no number. Map the right column in source.columns.{name}."
        )
    numbers = numbers.fill_nan(None)
    file.refuse(name, numbers.is_infinite().fill_null(False), "is infinite", "Correct those rows.")
    return numbers.alias(name)
