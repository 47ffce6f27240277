"""How much of each column is there, month by month: counted as chunks are written, so that nobody reads them for it.

``coverage.parquet`` has one row a table, month and column. A chunk that is taken over keeps its counts.
"""

from math import isfinite

import polars as pl

from model.quality_features.read import ASSET
from model.store.store import Store

COVERAGE_FILE = "coverage.parquet"
KEY = ("table", "month", "column")
SCHEMA = {
    "table": pl.String,
    "month": pl.String,
    "column": pl.String,
    "members": pl.Int64,
    "nulls": pl.Int64,
    "not_finite": pl.Int64,
}


def count(table: str, month: str, chunk: pl.DataFrame, members: pl.Series | None) -> pl.DataFrame:
    """Counts of a chunk's columns, but for Date, Code and InUniverse.

    Args:
        chunk: the rows as they are written.
        members: which rows are of universe members; None where a row stands for a whole day.

    Returns:
        The rows of ``coverage.parquet``: ``members`` and ``nulls`` count the rows of members and those of them without
        a value; ``not_finite`` the NaN and infinite values of all rows.
    """
    names = sorted(name for name in chunk.columns if name not in ("Date", "Code", "InUniverse"))
    others = chunk.clear() if members is None or members.all() else chunk.filter(~members)
    nulls = [chunk[name].null_count() - others[name].null_count() for name in names]
    # A sum tells cheaply whether there is anything to count.
    wild = [name for name in names if chunk[name].dtype.is_float() and not isfinite(chunk[name].sum())]
    not_finite = chunk.select((~pl.col(wild).is_finite()).sum()).row(0, named=True) if wild else {}
    return pl.DataFrame(
        {
            "table": [table] * len(names),
            "month": [month] * len(names),
            "column": names,
            "members": [chunk.height - others.height] * len(names),
            "nulls": nulls,
            "not_finite": [not_finite.get(name, 0) for name in names],
        },
        schema=SCHEMA,
    )


def read_coverage(store: Store) -> pl.DataFrame:
    """The counts of every chunk of the present features and labels.

    Raises:
        StoreError: they are not materialised.
    """
    return store.read_table(ASSET, COVERAGE_FILE)
