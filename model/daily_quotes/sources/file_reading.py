"""Finding and reading Parquet and CSV files, without guessing.

CSV columns are read as text, every one: a code ``0013``, ``NA`` or ``TRUE`` stays what it is. Parquet columns keep
their dtypes.
"""

import difflib
from pathlib import Path

import polars as pl
import polars.selectors as cs

from model.daily_quotes.schema import OPTIONAL, REQUIRED
from model.daily_quotes.settings import FilesSource
from model.errors import SourceError

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".tsv", ".txt")
_GLOB = "*?["
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


def find_files(settings: FilesSource) -> list[Path]:
    """The files of the source, in order of their names.

    Raises:
        SourceError: no path is set, nothing is there, or a file is of another kind.
    """
    if not settings.path:
        raise SourceError(
            "The files source has no path. Set source.path to a Parquet or CSV file, a folder of them, or a glob "
            "pattern, for example `--set source.path=bars.parquet`."
        )
    path = Path(settings.path).expanduser()
    if path.is_dir():
        found = sorted(entry for entry in path.iterdir() if entry.is_file() and _kind(entry))
        if not found:
            raise SourceError(
                f"The folder {path} of source.path holds no Parquet or CSV file. Files are recognised by their "
                f"endings {', '.join(PARQUET + CSV)}."
            )
        return found
    if path.is_file():
        found = [path]
    elif any(sign in settings.path for sign in _GLOB):
        found = sorted(entry for entry in Path(path.anchor or ".").glob(_relative(path)) if entry.is_file())
    else:
        found = []
    if not found:
        raise SourceError(
            f"The file {path} of source.path does not exist (looked from {Path.cwd()}). Correct source.path, or put "
            "the file there."
        )
    strange = [entry for entry in found if _kind(entry) is None]
    if strange:
        raise SourceError(
            f"{strange[0]} is neither Parquet nor CSV by its ending ({len(strange)} of {len(found)} files of "
            f"source.path). Endings that are read: {', '.join(PARQUET + CSV)}."
        )
    return found


def read_columns(path: Path, settings: FilesSource) -> pl.DataFrame:
    """One file as it is: CSV all text, Parquet with its dtypes.

    Raises:
        SourceError: the file is empty, or cannot be read as what its ending says.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"The file {path} is empty (0 bytes). Put the bars there, or correct source.path.")
    try:
        frame = _read_parquet(path) if _kind(path) == "parquet" else _read_csv(path, settings)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        kind = "Parquet" if _kind(path) == "parquet" else "UTF-8 CSV"
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(
            f"The file {path} cannot be read as {kind}: {first_line}. Write it again in that format, or correct "
            "source.path (CSV: also source.separator)."
        ) from error
    if not frame.height:
        raise SourceError(
            f"The file {path} has a header with {frame.width} columns and 0 rows. Put the bars there, or correct "
            "source.path."
        )
    return frame


def file_column(settings: FilesSource, canonical: str) -> str:
    """The file's name of a canonical column."""
    return settings.columns.get(canonical, canonical)


def check_columns(frame: pl.DataFrame, path: Path, settings: FilesSource) -> None:
    """Every required column, and every optional one that is mapped, is there.

    Raises:
        SourceError: with the nearest column that the file does have.
    """
    mapped = [name for name in OPTIONAL if name in settings.columns]
    gone = [name for name in (*REQUIRED, *mapped) if file_column(settings, name) not in frame.columns]
    if not gone:
        return
    parts = []
    for name in gone:
        near = _nearest(name, file_column(settings, name), frame.columns)
        hint = f" (the nearest is {near!r}: --set source.columns.{name}={near})" if near else ""
        parts.append(f"{file_column(settings, name)!r} for {name}{hint}")
    raise SourceError(
        f"The file {path} with {frame.height} rows has no column {'; '.join(parts)}. Its columns are "
        f"{', '.join(frame.columns[:30])}. Map the right ones in source.columns."
    )


def _nearest(canonical: str, wanted: str, columns: list[str]) -> str | None:
    plain = {column.lower().strip(): column for column in reversed(columns)}
    for name in (wanted.lower(), canonical.lower(), *_OTHER_NAMES[canonical]):
        if name in plain:
            return plain[name]
    near = difflib.get_close_matches(wanted.lower(), list(plain), n=1, cutoff=0.6)
    return plain[near[0]] if near else None


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


def _read_csv(path: Path, settings: FilesSource) -> pl.DataFrame:
    return pl.read_csv(
        path,
        separator=settings.separator,
        infer_schema=False,
        glob=False,
    )


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    if name.endswith(PARQUET):
        return "parquet"
    return "csv" if name.endswith(CSV) else None


def _relative(path: Path) -> str:
    return str(path.relative_to(path.anchor)) if path.anchor else str(path)
