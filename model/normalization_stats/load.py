"""Read a fold's normaliser from the store."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.normalization_stats.apply import Normalizer
from model.normalization_stats.statistics import robust_scale
from model.store.store import Store

ASSET = "normalization_stats"
DAILY = "daily"
"""Chunks: Date, feature, n and the statistics of that day's universe members."""
LABELS = "labels_daily"
"""Chunks: Date, horizon and the moments of that day's labels."""


def load_normalizer(store: Store, fold: str) -> Normalizer:
    """The normaliser of a fold; its features are in the order of the catalogue.

    Raises:
        StoreError: the fold's statistics are not materialised.
    """
    about = store.read_json(ASSET, "normalization.json", fold)
    features: list[str] = about["features"]
    robust = about["method"] == "robust"
    daily = read_daily(store, fold, ["n", "std", *(["median", "mad"] if robust else ["mean"])])
    targets = store.read_table(ASSET, "targets.parquet", fold)
    bounds = pl.DataFrame({"feature": features}).join(
        store.read_table(ASSET, "bounds.parquet", fold), on="feature", how="left", maintain_order="left"
    )
    center = daily_grid(daily, "median" if robust else "mean", features)
    scale = daily_grid(daily, "std", features)
    if robust:
        scale = robust_scale(daily_grid(daily, "mad", features), scale)
    scale[daily_grid(daily, "n", features) < about["minimum_names"]] = np.nan
    market = (bounds["kind"] == "market").to_numpy()
    center[:, market] = bounds["center"].to_numpy()[market]
    scale[:, market] = bounds["scale"].to_numpy()[market]
    return Normalizer(
        dates=daily["Date"].unique().sort().to_physical().to_numpy().astype(np.int32),
        features=tuple(features),
        mean=center,
        std=scale,
        low=bounds["low"].to_numpy(),
        high=bounds["high"].to_numpy(),
        target_scale=dict(zip(targets["horizon"].to_list(), targets["scale"].to_list(), strict=True)),
    )


def read_daily(store: Store, fold: str, statistics: Sequence[str]) -> pl.DataFrame:
    """Date, feature and some of the daily statistics over the fold's window, sorted."""
    return store.read_chunks(ASSET, DAILY, partition=fold, columns=["Date", "feature", *statistics])


def daily_grid(daily: pl.DataFrame, column: str, features: Sequence[str]) -> NDArray[np.float64]:
    """A statistic as ``[days, features]``; the table is sorted by date and feature, and has every pair."""
    by_name = {name: index for index, name in enumerate(sorted(features))}
    values = daily[column].to_numpy().reshape(-1, len(features))
    return np.ascontiguousarray(values[:, [by_name[name] for name in features]])
