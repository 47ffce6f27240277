"""Reading Parquet and CSV files, without guessing.

CSV columns are read as text, every one: a code ``0013``, ``NA`` or ``TRUE`` stays what it is. Parquet columns keep
their dtypes. Columns that folders name are text.
"""

import difflib
import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import polars.selectors as cs

from model.daily_quotes.settings import FilesSource
from model.daily_quotes.sources.file_finding import FoundFile, kind_of
from model.errors import SourceError

_OTHER_NAMES = {
    "Date": ("day", "time", "timestamp", "datetime", "tradedate", "trading_date"),
    "Code": ("symbol", "ticker", "sym", "security", "localcode", "instrument", "id"),
    "Open": ("o",),
    "High": ("h",),
    "Low": ("l",),
    "Close": ("c", "last", "price"),
    "Volume": ("vo", "vol", "v", "shares"),
    "TurnoverValue": ("va", "turnover", "value", "amount"),
    "AdjustmentFactor": ("adjfactor", "adj_factor", "splitfactor"),
    "UpperLimit": ("ul",),
    "LowerLimit": ("ll",),
    "Sector": ("industry", "sector33codename"),
    "Market": ("segment", "exchange"),
}
_SEPARATORS = {";": ";", "\t": "\\t", "|": "|", ",": ","}
_NUMBER = re.compile(r"[-+.\d/:]+")
_REPEATED = re.compile(r"_duplicated_\d+$")


def read_columns(file: FoundFile, settings: FilesSource, *, may_be_empty: bool = False) -> pl.DataFrame:
    """One file as it is: CSV all text, Parquet with its dtypes, and the columns that its folders name.

    Args:
        may_be_empty: accept a file that has column names and no rows.

    Raises:
        SourceError: the file is empty, or cannot be read as what its ending says.
    """
    path = file.path
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"The file {path} is empty (0 bytes). Put the rows there, or correct {file.key}.")
        frame = _read_parquet(path) if kind_of(path) == "parquet" else _read_csv(path, settings.separator)
    except (pl.exceptions.PolarsError, OSError, EOFError, UnicodeDecodeError) as error:
        kind = "Parquet" if kind_of(path) == "parquet" else "UTF-8 CSV"
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(
            f"The file {path} cannot be read as {kind}: {first_line}. Write it again in that format, or correct "
            f"{file.key} (CSV: also source.separator)."
        ) from error
    if not frame.height and not may_be_empty:
        raise SourceError(
            f"The file {path} has a header with {frame.width} columns and 0 rows. Put the rows there, or correct "
            f"{file.key}."
        )
    named = {name: value for name, value in file.partitions.items() if name not in frame.columns}
    return frame.with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in named.items())


def check_columns(frame: pl.DataFrame, path: Path, names: Mapping[str, str], required: Sequence[str]) -> None:
    """Every required column is there.

    Args:
        names: the file's name of each canonical column (the same where it is not listed).
        required: canonical columns.

    Raises:
        SourceError: with the nearest column that the file does have.
    """
    gone = [name for name in required if names.get(name, name) not in frame.columns]
    if not gone:
        return
    parts = []
    for name in gone:
        near = _nearest(name, names.get(name, name), frame.columns)
        hint = f" (the nearest is {near!r}: --set source.columns.{name}={near})" if near else ""
        parts.append(f"{names.get(name, name)!r} for {name}{hint}")
    raise SourceError(
        f"The file {path} with {frame.height} rows has no column {'; '.join(parts)}. Its columns are "
        f"{', '.join(frame.columns[:30])}. Map the right ones in source.columns{_headless(frame.columns)}."
    )


def check_table_columns(frame: pl.DataFrame, path: Path, table: str, required: Sequence[str]) -> None:
    """Every canonical column of a table beside the bars is there.

    Raises:
        SourceError: with the columns that are not.
    """
    gone = [name for name in required if name not in frame.columns]
    if gone:
        raise SourceError(
            f"The file {path} of source.tables.{table} with {frame.height} rows has no column {', '.join(gone)}. Its "
            f"columns are {', '.join(frame.columns[:30])}. Tables beside the bars have canonical names: rename the "
            "columns in the file, and leave cells empty where nothing is known."
        )


def _nearest(canonical: str, wanted: str, columns: Sequence[str]) -> str | None:
    plain = {column.lower().strip(): column for column in reversed(columns)}
    for name in (wanted.lower(), canonical.lower(), *_OTHER_NAMES.get(canonical, ())):
        if name in plain:
            return plain[name]
    near = difflib.get_close_matches(wanted.lower(), list(plain), n=1, cutoff=0.6)
    return plain[near[0]] if near else None


def _headless(columns: Sequence[str]) -> str:
    numbers = [name for name in columns if _NUMBER.fullmatch(name)]
    return ", or write the names of the columns into the first line" if len(numbers) > len(columns) / 3 else ""


def _read_parquet(path: Path) -> pl.DataFrame:
    """Columns with plain dtypes: categories and decimals become the text that they stand for."""
    frame = pl.read_parquet(path, hive_partitioning=False, glob=False)
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested() or dtype in (pl.Binary, pl.Object)]
    if nested:
        raise SourceError(
            f"The file {path} with {frame.height} rows has columns that are neither numbers, texts nor dates: "
            f"{', '.join(nested)} ({frame.schema[nested[0]]}). Leave them out of the file."
        )
    return frame.with_columns(cs.categorical().cast(pl.String), cs.decimal().cast(pl.String), cs.enum().cast(pl.String))


def _read_csv(path: Path, separator: str) -> pl.DataFrame:
    header = _first_line(path)
    _refuse_separator(path, header, separator)
    frame = pl.read_csv(path, separator=separator, infer_schema=False, glob=False)
    repeated = sorted({_REPEATED.sub("", name) for name in frame.columns if _REPEATED.search(name)} - {""})
    repeated = [name for name in repeated if header.count(name) > 1 and not _NUMBER.fullmatch(name)]
    if repeated:
        raise SourceError(
            f"The header of {path} names the column {', '.join(map(repr, repeated))} more than once ({frame.height} "
            "rows). Rename or remove the repeats; nobody can know which of them is meant."
        )
    if frame.height and frame[frame.columns[-1]].null_count():
        _refuse_short_rows(path, separator, frame.columns)
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines


def _packed(path: Path) -> bool:
    with path.open("rb") as raw:
        return raw.read(2) == b"\x1f\x8b"


def _first_line(path: Path) -> str:
    with path.open("rb") as raw:
        start = gzip.GzipFile(fileobj=raw).read(65536) if _packed(path) else raw.read(65536)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"The file {path} is UTF-16 text, and CSV is read as UTF-8. Save it as UTF-8.")
    first, _, rest = start.partition(b"\n")
    if not rest and first.count(b"\r") > 1:
        raise SourceError(
            f"The lines of {path} end in carriage returns alone, so the whole file is one line. Save it with line "
            "feeds (Unix or Windows line ends)."
        )
    return first.decode("utf-8", errors="replace").strip("\ufeff\r")


def _refuse_separator(path: Path, header: str, separator: str) -> None:
    if separator in header:
        return
    other = next((sign for sign in _SEPARATORS if sign in header), None)
    if other is not None:
        raise SourceError(
            f"The header of {path} ({header[:80]!r}) has no {separator!r} between its columns, and it has "
            f"{_SEPARATORS[other]!r}. Set source.separator to that character (in a preset: separator: "
            f'"{_SEPARATORS[other]}").'
        )


def _refuse_short_rows(path: Path, separator: str, columns: Sequence[str]) -> None:
    """A line with fewer fields than the header is cut off, and not a line with empty cells at its end.

    polars fills such lines with nulls; pyarrow counts the fields, so it has the last word where the last column has
    nulls at all.
    """
    from pyarrow import ArrowInvalid, csv, input_stream, string

    try:
        with (
            input_stream(str(path), compression="gzip" if _packed(path) else None) as raw,
            csv.open_csv(
                raw,
                parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
                convert_options=csv.ConvertOptions(column_types=dict.fromkeys(columns, string())),
            ) as batches,
        ):
            for _ in batches:
                pass
    except ArrowInvalid as error:
        raise SourceError(
            f"The file {path} has a line with fewer cells than its header: {str(error).splitlines()[0][:200]}. It may "
            "have been cut off: complete the line, or write the file again."
        ) from error
