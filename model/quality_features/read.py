"""Read features back, whatever bands they are stored in.

A month's features lie in several chunks, one a band (``model.quality_features.bands``). Every band holds the same
rows in the same order, so bands are put side by side; market-wide features have one row a day and are spread over the
day's rows. The first band is wide, so where nothing but keys and universe is wanted of it, they are read from the
panel that lies beside it. Which column lies where is read from the manifest, so that readers
depend on the data and not on the code that laid them out.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import polars as pl
import polars.selectors as cs

from model.errors import StoreError
from model.store.manifest import Manifest
from model.store.store import Store

ASSET = "quality_features"
TABLE = "features"
"""The first band: keys, universe and the features of the shortest memory. The others are ``features_<band>``."""
KEY = ("Date", "Code")
HEAD = (*KEY, "InUniverse")
PANEL = "panel"
"""The panel that the features were computed from (``rows_changes``)."""
DAYS_FILE = "days.parquet"
"""One row a trading day: Date, how many rows it has, and how many of them are ``names`` of the universe."""
_READERS = 2


@dataclass(frozen=True)
class _Part:
    """What is read of one band."""

    table: str
    columns: tuple[str, ...]
    by_day: bool
    """One row a day instead of one a date and code."""


def read_features(
    store: Store, *, start: date | None = None, end: date | None = None, columns: Sequence[str]
) -> pl.DataFrame:
    """Feature rows dated ``start`` to ``end`` (both included), sorted by Date and Code.

    Args:
        columns: any of Date, Code, InUniverse, features and validity flags; the result has them in this order.

    Raises:
        StoreError: the features are not materialised, have no such column or no month between the dates, or a file is
            not as it was written.
    """
    manifest = store.require(ASSET)
    parts = _parts(manifest, columns)
    months = [
        month
        for month in _months(manifest)
        if (start is None or month >= f"{start:%Y-%m}") and (end is None or month <= f"{end:%Y-%m}")
    ]
    if not months:
        raise StoreError(f"{ASSET}/{TABLE} has no month between {start} and {end} under {store.root}.")

    def read(month: str) -> pl.DataFrame:
        rows = _side_by_side(store, month, parts)
        first = 0 if start is None else int(rows["Date"].search_sorted(start, side="left"))
        last = rows.height if end is None else int(rows["Date"].search_sorted(end, side="right"))
        return rows.select(columns).slice(first, last - first)

    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        return pl.concat(list(pool.map(read, months)), rechunk=True)


def read_market_features(store: Store, *, start: date, end: date, columns: Sequence[str]) -> pl.DataFrame:
    """Date and market-wide features dated ``start`` to ``end`` (both included), one row a day.

    Args:
        columns: market-wide features, which ``read_features`` would spread over the names of each day.

    Raises:
        StoreError: the features are not materialised, have no such column or no month between the dates, or a file is
            not as it was written.
    """
    [part] = (part for part in _parts(store.require(ASSET), columns) if part.by_day)
    return store.read_chunks(ASSET, part.table, start=start, end=end, columns=["Date", *part.columns])


def band_columns(store: Store) -> dict[str, tuple[str, ...]]:
    """Table of each band to the columns that lie in it beside its keys, the first band first."""
    layout = _layout(store.require(ASSET))
    return {table: tuple(name for name in held if name not in KEY) for table, held in layout.items()}


def feature_columns(store: Store) -> tuple[str, ...]:
    """Every column that ``read_features`` can read: Date, Code, InUniverse, then band by band."""
    layout = _layout(store.require(ASSET))
    return tuple(dict.fromkeys(name for columns in layout.values() for name in columns))


def is_band(table: str) -> bool:
    """Whether a table of the artefact is a band of the features."""
    return table == TABLE or table.startswith(f"{TABLE}_")


def _file(table: str, month: str) -> str:
    return f"{table}/{month}.parquet"


def _months(manifest: Manifest) -> list[str]:
    head = f"{TABLE}/"
    return sorted(name.removeprefix(head).removesuffix(".parquet") for name in manifest.files if name.startswith(head))


def _layout(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Table to its columns, the first band first (all months of a table have the same columns)."""
    months = _months(manifest)
    end = f"/{months[-1]}.parquet" if months else "/"
    files = {name.removesuffix(end): entry for name, entry in manifest.files.items() if name.endswith(end)}
    return {table: tuple(files[table].columns or ()) for table in sorted(files) if is_band(table)}


def _parts(manifest: Manifest, columns: Sequence[str]) -> list[_Part]:
    """Which columns are read from which band; the first band always takes part and gives the dates."""
    layout = _layout(manifest)
    place: dict[str, str] = {}
    for table, held in layout.items():
        for name in held:
            place.setdefault(name, table)
    unknown = [name for name in columns if name not in place]
    if unknown:
        raise StoreError(
            f"{ASSET} has no column {', '.join(unknown[:10])}; its catalogue.json lists the features. Switch their "
            "group on in features.groups and run `gogooku run`."
        )
    wanted: dict[str, list[str]] = {TABLE: ["Date"]}
    for name in dict.fromkeys(columns):
        if name != "Date":
            wanted.setdefault(place[name], []).append(name)
    if set(wanted[TABLE]) <= set(HEAD) and any(name.startswith(f"{PANEL}/") for name in manifest.files):
        wanted = {PANEL: wanted.pop(TABLE), **wanted}
    return [_Part(table, tuple(names), "Code" not in layout.get(table, KEY)) for table, names in wanted.items()]


def _side_by_side(store: Store, month: str, parts: Sequence[_Part]) -> pl.DataFrame:
    rows = pl.DataFrame()
    for number, part in enumerate(parts):
        file = _file(part.table, month)
        if part.by_day:
            held = store.read_table(ASSET, file, columns=["Date", *part.columns])
            rows = rows.join(held, on="Date", how="left", maintain_order="left")
            continue
        held = store.read_table(ASSET, file, columns=list(part.columns))
        if part.table == PANEL:
            held = held.with_columns(cs.boolean().fill_null(False))  # InUniverse, as the features have it
        if number and held.height != rows.height:
            raise store.uneven(ASSET, file, held.height, _file(parts[0].table, month), rows.height)
        rows = rows.hstack(held) if number else held
    return rows
