"""Reading somebody else's predictions: a Parquet or CSV file, without guessing.

Columns are ``Date``, ``Code`` and ``prediction``, and optionally ``horizon`` (trading days), ``label`` and ``fold``;
others are ignored. CSV cells are read as text, so that a code ``0013`` stays what it is.
"""

import difflib
from datetime import time
from pathlib import Path
from typing import Any

import polars as pl

from model.errors import SourceError

REQUIRED = ("Date", "Code", "prediction")
OPTIONAL = ("horizon", "label", "fold")
_SHOWN = 3
_MISSING_TEXT = ("", "NA", "NaN", "nan", "null", "None")


def read_submission(path: Path, horizon: int) -> pl.DataFrame:
    """The file's rows: Date, Code, horizon (Int32), prediction and, where it has them, label and fold.

    Args:
        horizon: of every row of a file without that column.

    Returns:
        Sorted by horizon, Date and Code, unique by them; prediction and label are null where missing, never NaN.

    Raises:
        SourceError: what the file is not, with the column and the number of rows.
    """
    frame = _read(path)
    if not frame.height:
        raise SourceError(f"The file {path} has the columns {', '.join(frame.columns)} and 0 rows. Put the rows there.")
    columns = {"Date": _dates(frame, path), "Code": _texts(frame, "Code", path)}
    columns |= {name: _numbers(frame, name, path) for name in ("prediction", "label") if name in frame.columns}
    if "fold" in frame.columns:
        columns["fold"] = _texts(frame, "fold", path)
    rows = pl.DataFrame(columns)
    horizons = _horizons(frame, path) if "horizon" in frame.columns else pl.lit(horizon, pl.Int32)
    rows = rows.with_columns(horizons.alias("horizon")).sort("horizon", "Date", "Code")
    _check_unique(rows, path)
    return rows


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SourceError(f"The file {path} {what}. Name a Parquet or CSV file with {', '.join(REQUIRED)}.")
    if path.stat().st_size == 0:
        raise SourceError(f"The file {path} is empty (0 bytes). Put the predictions there.")
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv"):
        raise SourceError(
            f"The file {path} ends with {kind or 'nothing'}. Name a file that ends with .parquet or .csv."
        )
    try:
        if kind == ".parquet":
            names = pl.scan_parquet(path, glob=False).collect_schema().names()
            return pl.read_parquet(path, columns=_wanted(names, path), glob=False)
        header = pl.read_csv(path, n_rows=1, has_header=False, infer_schema=False, glob=False).row(0)
        _refuse_repeated([str(name) for name in header], path)
        names = pl.read_csv(path, n_rows=0, infer_schema=False, glob=False).columns
        wanted, missing = _wanted(names, path), list(_MISSING_TEXT[:1])
        return pl.read_csv(path, columns=wanted, infer_schema=False, null_values=missing, glob=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        form = "Parquet" if kind == ".parquet" else "UTF-8 CSV with commas"
        raise SourceError(
            f"The file {path} cannot be read as {form}: {first_line}. Write it again in that format."
        ) from error


def _refuse_repeated(header: list[str], path: Path) -> None:
    """A CSV file may name a column twice; which of the two is meant, nobody knows."""
    twice = [name for name in (*REQUIRED, *OPTIONAL) if header.count(name) > 1]
    if twice:
        raise SourceError(
            f"The header of {path} names {', '.join(map(repr, twice))} more than once (its columns: "
            f"{', '.join(header[:20])}). Keep one column of each name, or rename the others."
        )


def _wanted(names: list[str], path: Path) -> list[str]:
    gone = [name for name in REQUIRED if name not in names]
    if gone:
        hints = []
        for name in gone:
            lower = {each.lower().strip(): each for each in names}
            near = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.5)
            hints.append(f"{name!r}" + (f" (the nearest is {lower[near[0]]!r})" if near else ""))
        raise SourceError(
            f"The file {path} has no column {', '.join(hints)}; it has {', '.join(names[:20]) or 'none'}. Rename its "
            f"columns: {', '.join(REQUIRED)} are needed, {', '.join(OPTIONAL)} are optional."
        )
    return [name for name in (*REQUIRED, *OPTIONAL) if name in names]


def _dates(frame: pl.DataFrame, path: Path) -> pl.Series:
    values = frame["Date"]
    if values.dtype == pl.Date:
        found = values
    elif isinstance(values.dtype, pl.Datetime):
        found = values.dt.date()
        timed = values.is_not_null() & (values.dt.time() != time(0)).fill_null(False)
        _refuse(frame, timed, "Date", path, "has a time of day", "Give trading days, without a time")
    else:
        text = _texts(frame, "Date", path)
        found = text.str.to_date("%Y-%m-%d", strict=False)
        compact = text.str.to_date("%Y%m%d", strict=False)
        found = found.zip_with(found.is_not_null(), compact)
    _refuse(frame, found.is_null(), "Date", path, "is not a date", "Write dates as 2020-01-31")
    return found


def _texts(frame: pl.DataFrame, name: str, path: Path) -> pl.Series:
    values = frame[name]
    if values.dtype.is_float() or values.dtype.is_nested() or values.dtype in (pl.Boolean, pl.Binary):
        raise SourceError(
            f"The column {name!r} of {path} has the type {values.dtype}, which no {name} has. Write it as text."
        )
    text = values.cast(pl.String)
    _refuse(frame, text.is_null() | (text == ""), name, path, "is missing", "Give every row one")
    return text


def _numbers(frame: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """Float64, null for missing."""
    values = frame[name]
    if values.dtype == pl.String:
        known = values.set(values.is_in(list(_MISSING_TEXT)), None)
        found = known.cast(pl.Float64, strict=False)
        _refuse(frame, known.is_not_null() & found.is_null(), name, path, "is not a number", "Write plain numbers")
    elif values.dtype.is_numeric() or values.dtype == pl.Null:
        found = values.cast(pl.Float64)
    else:
        raise SourceError(f"The column {name!r} of {path} has the type {values.dtype}. Write it as numbers.")
    _refuse(frame, found.is_infinite().fill_null(False), name, path, "is infinite", "Leave the cell empty instead")
    return found.fill_nan(None)


def _horizons(frame: pl.DataFrame, path: Path) -> pl.Series:
    found = _numbers(frame, "horizon", path)
    wrong = ~((found >= 1) & (found <= 10_000) & (found == found.floor())).fill_null(False)
    _refuse(frame, wrong, "horizon", path, "is not a whole number of trading days", "Write 1, 5, 10, …")
    return found.cast(pl.Int32)


def _check_unique(rows: pl.DataFrame, path: Path) -> None:
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in ("horizon", "Date", "Code"))
    repeated = rows.select(same.fill_null(False)).to_series()
    if repeated.any():
        _refuse(
            rows, repeated, "Code", path, "repeats a Date, Code and horizon", "Keep one prediction for each of them"
        )


def _refuse(frame: pl.DataFrame, wrong: pl.Series, name: str, path: Path, what: str, remedy: str) -> None:
    """Raise if any row is wrong, with the count and the first of them."""
    count = int(wrong.sum())
    if count:
        first: dict[str, Any] = frame.filter(wrong).select(*REQUIRED).row(0, named=True)
        example = ", ".join(f"{key}={value}" for key, value in first.items())
        shown = frame.filter(wrong)[name].head(_SHOWN).to_list()
        raise SourceError(
            f"The column {name!r} of {path} {what} in {count} of {frame.height} rows (such as {shown}; the first row: "
            f"{example}). {remedy}."
        )
