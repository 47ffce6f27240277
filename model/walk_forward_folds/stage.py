"""The stage: one fold's dates and fingerprint, from the trading days that there are."""

import polars as pl

from model.quality_features.read import DAYS_FILE
from model.store.manifest import Manifest
from model.store.stage import StageRun
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
    days = run.store.read_table(FEATURES, DAYS_FILE, columns=["Date", "names"])
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


def _dates(fold: Fold, days: pl.DataFrame) -> pl.DataFrame:
    table = pl.DataFrame(
        {"Date": fold.window_dates, "role": fold.roles, "reach": fold.reach},
        schema={"Date": pl.Date, "role": pl.String, "reach": pl.Int32},
    )
    return table.join(days, on="Date", how="left", maintain_order="left")


def _name(run: StageRun) -> str:
    if run.partition is None:
        raise ValueError(f"{ASSET} is materialised fold by fold, and no fold was named")
    return run.partition
