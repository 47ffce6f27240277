"""The stage: one fold's dates and fingerprint, from the dates and labels that there are."""

import polars as pl

from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.walk_forward_folds import fingerprint
from model.walk_forward_folds.fold import ASSET, Fold
from model.walk_forward_folds.splitter import make_fold

FEATURES = fingerprint.ASSET


def materialise(run: StageRun) -> Manifest:
    """Compute and publish the fold named by the partition.

    Raises:
        DataError: its period has no days, or too few days lie before it.
    """
    name = _name(run)
    days = trading_days(run)
    fold = make_fold(
        name,
        days["Date"].to_list(),
        days["names"].to_list(),
        run.settings.labels.horizons,
        run.settings.folds,
    )
    with run.writer(ASSET) as w:
        w.json("fold.json", fold.document())
        w.table("dates.parquet", _dates(fold, days), key=("Date",))
        w.json("fingerprint.json", fingerprint.fingerprint(run.store, fold.window_start, fold.window_end))
        w.extra.update(fold.document())
    return w.manifest


def trading_days(run: StageRun) -> pl.DataFrame:
    """Date and ``names`` (Int32, universe members) of every trading day, one month in memory at a time."""
    months = list(run.store.chunks(FEATURES, "labels"))
    parts: list[pl.DataFrame] = []
    for done, month in enumerate(months):
        run.progress(done, len(months), f"counting names in {month}")
        parts.append(_count_names(run.store, month))
    return pl.concat(parts)


def _count_names(store: Store, month: str) -> pl.DataFrame:
    rows = store.read_table(FEATURES, f"labels/{month}.parquet", columns=["Date", "InUniverse"])
    members = pl.col("InUniverse").fill_null(False).sum().cast(pl.Int32)
    return rows.group_by("Date").agg(names=members).sort("Date")


def _dates(fold: Fold, days: pl.DataFrame) -> pl.DataFrame:
    table = pl.DataFrame({"Date": fold.window_dates, "role": fold.roles}, schema={"Date": pl.Date, "role": pl.String})
    return table.join(days, on="Date", how="left", maintain_order="left")


def _name(run: StageRun) -> str:
    if run.partition is None:
        raise ValueError(f"{ASSET} is materialised fold by fold, and no fold was named")
    return run.partition
