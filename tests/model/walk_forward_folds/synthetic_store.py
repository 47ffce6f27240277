"""A store with a small quality_features artefact, for the stages that read features and labels by fold."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model.settings.root import Settings
from model.store.day_digests import DayDigests
from model.store.manifest import Identity
from model.store.stage import StageRun
from model.store.store import Store

IDENTITY = Identity({"quality_features": "x"}, "code", "settings")
HORIZONS = (1, 5)


def weekdays(count: int, first: date = date(2019, 1, 1)) -> list[date]:
    """The first weekdays from a date on."""
    days = (first + timedelta(days=offset) for offset in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def market(days: int = 120, codes: int = 30, seed: int = 0, **changes: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Features and labels of a market in which ``signal`` predicts and ``noise`` does not.

    ``changes`` may give ``bump=(day position, amount)``: an amount added to every return from that day on.
    """
    # A stream each, so that a longer market begins with the shorter one.
    streams = [np.random.Generator(np.random.PCG64([seed, stream])) for stream in range(4)]
    axis = weekdays(days + max(HORIZONS))
    signal, noise, shocks = (stream.normal(size=(len(axis), codes)) for stream in streams[:3])
    returns = 0.02 * shocks
    returns[1:] += 0.01 * signal[:-1]
    if "bump" in changes:
        position, amount = changes["bump"]
        returns[position:] += amount * np.arange(1, codes + 1) / codes
    signal[streams[3].random(signal.shape) < 0.03] = np.nan
    price = np.cumprod(1.0 + returns, axis=0)
    names = [f"{1000 + code}0" for code in range(codes)]
    key = pl.DataFrame(
        {
            "Date": pl.Series(axis).gather(np.repeat(np.arange(len(axis)), codes)),
            "Code": names * len(axis),
            "InUniverse": np.tile(np.arange(codes) < codes - 2, len(axis)),
        }
    )
    longer = {"ret_20d": 4.0 * returns, "ret_120d": 0.1 * noise}
    floats = {"ret_1d": returns, **longer, "signal": signal, "noise": noise}
    features = key.with_columns(
        pl.Series(name, grid.ravel(), dtype=pl.Float32, nan_to_null=True) for name, grid in floats.items()
    )
    labels = key.with_columns(_labels(price, axis)).with_columns(
        Sector=pl.Series([f"S{code % 3}" for code in range(codes)] * len(axis)),
    )
    last = axis[days - 1]
    return features.filter(pl.col("Date") <= last), _unknown_after(labels.filter(pl.col("Date") <= last), last)


def _labels(price: np.ndarray[Any, np.dtype[np.float64]], axis: list[date]) -> Iterator[pl.Series]:
    codes = price.shape[1]
    for horizon in (*HORIZONS, 0):
        ahead = horizon or 1
        target = np.full_like(price, np.nan)
        target[:-ahead] = price[ahead:] / price[:-ahead] - 1.0
        name = f"target_{horizon}" if horizon else "return_next"
        yield pl.Series(name, target.ravel(), dtype=pl.Float64, nan_to_null=True)
        if horizon:
            resolved = [*axis[ahead:], *([None] * ahead)]
            yield pl.Series(f"resolved_{horizon}", np.repeat(np.array(resolved, "datetime64[D]"), codes)).cast(pl.Date)


def _unknown_after(labels: pl.DataFrame, last: date) -> pl.DataFrame:
    for horizon in HORIZONS:
        known = (pl.col(f"resolved_{horizon}") <= last).fill_null(False)
        labels = labels.with_columns(
            pl.when(known).then(pl.col(name)).alias(name) for name in (f"target_{horizon}", f"resolved_{horizon}")
        )
    return labels


def write_store(home: Path, features: pl.DataFrame, labels: pl.DataFrame) -> Store:
    """Store both tables as the artefact quality_features."""
    store = Store(home)
    with store.writer("quality_features", None, IDENTITY) as w:
        for table, frame in (("features", features), ("labels", labels)):
            for month, chunk in frame.group_by(pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True):
                root = DayDigests.of(chunk).root(chunk.schema)
                w.chunk(table, str(month[0]), chunk, ("Date", "Code"), input_hash="i", content_hash=root)
        members = pl.col("InUniverse").sum().cast(pl.Int32)
        w.table("days.parquet", features.group_by("Date").agg(names=members).sort("Date"), ("Date",), hashed=False)
        names = features.columns[3:]
        w.json(
            "catalogue.json",
            [
                {"name": name, "scope": "stock", "group": "g", "formula": "", "lookback": 1, "inputs": []}
                for name in names
            ],
        )
    return store


def small_settings(**sections: Any) -> Settings:
    """Settings that fit the small market; sections may be overridden key by key."""
    base: dict[str, Any] = {
        "labels": {"horizons": HORIZONS},
        "tensors": {"lookback": 5},
        "folds": {
            "periods": ("2019q2",),
            "live": True,
            "min_train_days": 20,
            "validation_days": 10,
            "embargo_days": 2,
            "lookback_days": 10,
            "min_names": 10,
        },
        "graph": {"window_days": 10, "min_joint": 6, "rebalance_days": 5, "max_neighbours": 4},
        "baseline": {"n_estimators": 30, "early_stopping_rounds": 10, "min_data_in_leaf": 20, "learning_rate": 0.1},
        "source": {"kind": "files", "path": "bars.parquet"},
        "runtime": {"threads": 1},
    }
    for name, section in sections.items():
        base[name] = {**base.get(name, {}), **section} if isinstance(section, dict) else section
    return Settings.model_validate(base)


def stage_run(store: Store, settings: Settings, fold: str) -> StageRun:
    """What a stage is handed."""
    return StageRun(store=store, settings=settings, identity=IDENTITY, partition=fold)
