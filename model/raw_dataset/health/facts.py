"""What the stored panel says of its own health, gathered once and shared by the checks and the page.

Months are read one at a time, and of each only the columns that are looked at. What needs a code's whole history
(returns, streaks, anomalies) works on a narrow frame of prices sorted by code. The facts of one content of
``raw_dataset`` are kept under ``<home>/cache``: losing them costs seconds, and nothing else reads them.
"""

import os
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from model.daily_quotes.beside import TABLES
from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.lineage.code_version import code_version
from model.raw_dataset.health.series import Series, gather_series
from model.raw_dataset.stage import ASSET, CALENDAR_FILE, PANEL, day_contents
from model.store import atomic
from model.store.hashing import json_hash
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

CHUNKED = (PANEL, "slow", "market")
"""Tables of ``raw_dataset`` in month chunks whose columns are counted; the later ones only where there are any."""
_FOLDER = "raw_dataset_health"


@dataclass(frozen=True)
class Facts(Series):
    """Tables of facts, each sorted by its first columns.

    ``daily``: Date, rows, priced, tradable, members, turnover (value traded), and of the names with a close on both
    days ``returns``, ``median_return``, ``outliers``, ``reversed`` (outliers undone the next day), ``stale`` and
    ``quiet`` (rows in a long streak of the same close, or without trading).
    ``nulls``: table, month, column, rows, nulls. ``beside``: table, Date, rows of the tables beside the bars.
    ``splits``: Date, Code, factor, excess_return (adjusted log return since the last close against the day's median).
    ``histogram``: bin (left edge of a log return), count. ``worst``: the outliers farthest from their day.
    ``streaks``: the longest streaks. ``anomalies``: see :mod:`model.raw_dataset.anomalies`.
    """

    nulls: pl.DataFrame
    beside: pl.DataFrame


def gather(store: Store, settings: "Settings") -> Facts:
    """The facts of ``raw_dataset`` as it is now; those of the same content are taken from the cache."""
    manifest = store.require(ASSET)
    key = json_hash(
        [
            manifest.content_hash,
            settings.quality.outlier_mads,
            settings.quality.stale_days,
            code_version("model.raw_dataset.health.facts"),
            _days_hash(store),
        ]
    )
    folder = store.home / "cache" / _FOLDER / key
    if folder.is_dir():
        return Facts(
            **{field.name: pl.read_parquet(folder / f"{field.name}.parquet", glob=False) for field in fields(Facts)}
        )
    facts = measure(store, settings)
    _keep(facts, folder)
    return facts


def measure(store: Store, settings: "Settings") -> Facts:
    """The facts, computed."""
    days = store.read_table(ASSET, CALENDAR_FILE, columns=["Date"])["Date"]
    paths = [store.path(ASSET, f"{PANEL}/{month}.parquet") for month in store.chunks(ASSET, PANEL)]
    counted = pl.concat(_count_days(path) for path in paths).sort("Date")
    nulls = [
        _count_nulls(store.path(ASSET, f"{table}/{month}.parquet"), table, month)
        for table in CHUNKED
        for month in store.chunks(ASSET, table)
    ]
    series = gather_series((_narrow(path) for path in paths), days, counted, settings.quality)
    of_series = {field.name: getattr(series, field.name) for field in fields(Series)}
    return Facts(**of_series, nulls=pl.concat(nulls), beside=_count_beside(store))


def _count_days(path: Path) -> pl.DataFrame:
    scan = pl.scan_parquet(path, glob=False)
    return (
        scan.group_by("Date")
        .agg(
            rows=pl.len(),
            priced=pl.col("Close").count(),
            tradable=pl.col("Tradable").sum(),
            members=pl.col("InUniverse").sum(),
            turnover=pl.col("TurnoverValue").sum(),
        )
        .collect()
    )


def _narrow(path: Path) -> pl.DataFrame:
    columns = ["Date", "Code", "AdjOpen", "AdjClose", "AdjVolume", "AdjustmentCumulative", "Tradable"]
    return pl.scan_parquet(path, glob=False).select(columns).collect()


def _count_nulls(path: Path, table: str, month: str) -> pl.DataFrame:
    scan = pl.scan_parquet(path, glob=False).select(pl.all().exclude("Date", "Code"))
    counted = scan.select(pl.len().alias("rows"), pl.all().null_count()).collect()
    rows = int(counted["rows"][0])
    long = counted.drop("rows").unpivot(variable_name="column", value_name="nulls")
    return long.select(
        table=pl.lit(table), month=pl.lit(month), column="column", rows=pl.lit(rows, pl.Int64), nulls="nulls"
    ).cast({"nulls": pl.Int64})


def _count_beside(store: Store) -> pl.DataFrame:
    """Rows of each table beside the bars on each day used, from the days' manifests (no table is opened)."""
    found: list[tuple[str, str, int]] = []
    for day in map(str, day_contents(store.require(ASSET).inputs)):
        files = store.require(QUOTES_ASSET, day).files
        found += [(name, day, files[table.file].rows or 0) for name, table in TABLES.items() if table.file in files]
    schema = {"table": pl.String(), "Date": pl.String(), "rows": pl.Int64()}
    return (
        pl.DataFrame(found, schema=schema, orient="row")
        .with_columns(pl.col("Date").str.to_date())
        .sort("table", "Date")
    )


def _days_hash(store: Store) -> str:
    """The tables beside the bars may change where the panel does not."""
    return json_hash(store.require(ASSET).inputs)


def _keep(facts: Facts, folder: Path) -> None:
    """Write the facts in one step and remove those of earlier contents."""
    staging = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for field in fields(facts):
        getattr(facts, field.name).write_parquet(staging / f"{field.name}.parquet")
    atomic.publish_directory(staging, folder)
    for old in folder.parent.iterdir():
        if old != folder and not old.name.startswith("."):  # another process may be writing those
            shutil.rmtree(old, ignore_errors=True)
