"""Read a fold's normaliser from the store."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.normalization_stats.apply import Normalizer
from model.normalization_stats.statistics import MAD_TO_STD
from model.store.store import Store

ASSET = "normalization_stats"


def load_normalizer(store: Store, fold: str) -> Normalizer:
    """The normaliser of a fold; its features are in the order of the catalogue.

    Raises:
        StoreError: the fold's statistics are not materialised.
    """
    about = store.read_json(ASSET, "normalization.json", fold)
    features: list[str] = about["features"]
    daily = store.read_table(ASSET, "daily.parquet", fold)
    bounds = store.read_table(ASSET, "bounds.parquet", fold)
    targets = store.read_table(ASSET, "targets.parquet", fold)
    robust = about["method"] == "robust"
    spread = _grid(daily, "mad" if robust else "std", features)
    order = [bounds["feature"].to_list().index(name) for name in features]
    return Normalizer(
        dates=daily["Date"].unique().sort().to_physical().to_numpy().astype(np.int32),
        features=tuple(features),
        mean=_grid(daily, "median" if robust else "mean", features),
        std=MAD_TO_STD * spread if robust else spread,
        low=bounds["low"].to_numpy()[order],
        high=bounds["high"].to_numpy()[order],
        target_scale=dict(zip(targets["horizon"].to_list(), targets["scale"].to_list(), strict=True)),
    )


def _grid(daily: pl.DataFrame, column: str, features: list[str]) -> NDArray[np.float64]:
    """A statistic as ``[days, features]``; the table is sorted by date and feature, and has every pair."""
    by_name = sorted(features)
    values = daily[column].to_numpy().reshape(-1, len(features))
    return np.ascontiguousarray(values[:, [by_name.index(name) for name in features]])
