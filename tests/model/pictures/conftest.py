"""A store with a tiny artefact of every room that has pictures: 60 weekdays, 12 names, one fold."""

from dataclasses import asdict
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from model.atft_tensors.panel import INDEX, STATS
from model.atft_tensors.shards import MonthArrays, write_month
from model.atft_tensors.stage import shard_directory
from model.quality_features import coverage
from model.settings.presets import load
from model.settings.root import Settings
from model.store.manifest import Identity
from model.store.store import Store

FOLD = "wf_a"
IDENTITY = Identity({}, "code", "settings")
LAYOUT = {"lookback": 8, "train": 22, "purge": 3, "validation": 8, "embargo": 2, "test": 14, "resolution": 3}
ROLES = [role for role, count in LAYOUT.items() for _ in range(count)]
DAYS = [day for day in (date(2019, 1, 1) + timedelta(days=n) for n in range(90)) if day.weekday() < 5][: len(ROLES)]
CODES = [f"{1000 + n}0" for n in range(12)]
HORIZONS = (1, 5)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load(Path(__file__).parents[2] / "presets" / "tiny.yaml")


@pytest.fixture(scope="session")
def full_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Every artefact, with data."""
    return _fill(Store(tmp_path_factory.mktemp("full")), empty=False)


@pytest.fixture(scope="session")
def bare_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Every artefact, with nothing to see: no defect, no member, no edge, no label, no epoch."""
    return _fill(Store(tmp_path_factory.mktemp("bare")), empty=True)


def _fill(store: Store, *, empty: bool) -> Store:
    rng = np.random.default_rng(3)
    rows = pl.DataFrame({"Date": DAYS}).join(pl.DataFrame({"Code": CODES}), how="cross")
    rows = rows.with_columns(InUniverse=pl.lit(not empty) & (pl.col("Code") != CODES[0]))
    _raw_dataset(store, rows, empty)
    _quality_features(store, rows, rng, empty)
    _fold(store)
    _normalization_stats(store, rng, empty)
    _baseline(store, rows, rng, empty)
    _correlation_graph(store, empty)
    _atft_tensors(store)
    _trained_model(store, empty)
    _validation_predictions(store, rows, rng, empty)
    return store


def _months(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    months = frame["Date"].dt.strftime("%Y-%m").unique().sort()
    return {month: frame.filter(pl.col("Date").dt.strftime("%Y-%m") == month) for month in months}


def _raw_dataset(store: Store, rows: pl.DataFrame, empty: bool) -> None:
    panel = rows.with_columns(Close=pl.lit(100.0), Tradable=pl.lit(True))
    marked = rows.filter(pl.col("Code") == CODES[3]).with_row_index()
    reason = pl.when(pl.col("index") % 2 == 0).then(pl.lit("close_not_positive;volume_missing"))
    quarantine = marked.select("Date", "Code", reason=reason.otherwise(pl.lit("volume_missing")))
    with store.writer("raw_dataset", None, IDENTITY) as w:
        for month, chunk in _months(panel).items():
            w.chunk("panel", month, chunk, key=("Date", "Code"), input_hash="x")
        w.table("quarantine.parquet", quarantine.clear() if empty else quarantine, key=("Date", "Code"))


def _quality_features(store: Store, rows: pl.DataFrame, rng: np.random.Generator, empty: bool) -> None:
    noise = pl.Series(rng.standard_normal(rows.height))
    features = rows.with_columns(
        full=noise.cast(pl.Float32),
        half=pl.when(pl.int_range(pl.len()) % 2 == 0).then(noise).cast(pl.Float32),
    )
    labels = rows.select("Date", "Code", *(_label(noise, empty).alias(f"target_{h}") for h in HORIZONS))
    with store.writer("quality_features", None, IDENTITY) as w:
        counts = []
        for table, frame in (("features", features), ("labels", labels)):
            for month, chunk in _months(frame).items():
                w.chunk(table, month, chunk, key=("Date", "Code"), input_hash="x")
                members = rows.filter(pl.col("Date").is_between(chunk["Date"][0], chunk["Date"][-1]))["InUniverse"]
                counts.append(coverage.count(table, month, chunk, members))
        w.table(coverage.COVERAGE_FILE, pl.concat(counts).sort(coverage.KEY), key=coverage.KEY, hashed=False)
        w.json("catalogue.json", [{"name": "full", "group": "returns"}, {"name": "half", "group": "trend"}])


def _label(values: pl.Series, empty: bool) -> pl.Series:
    return pl.Series([None] * len(values), dtype=pl.Float64) if empty else values


def _fold(store: Store) -> None:
    with store.writer("walk_forward_folds", FOLD, IDENTITY) as w:
        w.json("fold.json", {"fold": FOLD, "purge_days": 3, "embargo_days": 2})
        reach = [3 if role in ("train", "validation", "test") else 0 for role in ROLES]
        w.table("dates.parquet", pl.DataFrame({"Date": DAYS, "role": ROLES, "reach": reach}), key=("Date",))


def _normalization_stats(store: Store, rng: np.random.Generator, empty: bool) -> None:
    bounds = pl.DataFrame(
        {
            "feature": ["full", "half", "mkt"],
            "low": [-2.0, -3.0, -1.0],
            "high": [2.0, 3.0, 1.0],
            "kind": ["cross_section", "cross_section", "market"],
        }
    )
    daily = pl.DataFrame({"Date": DAYS}).join(bounds.select("feature"), how="cross")
    spread = np.where(empty, np.nan, rng.uniform(0.5, 2.0, daily.height))
    daily = daily.with_columns(std=pl.Series(spread, nan_to_null=True))
    with store.writer("normalization_stats", FOLD, IDENTITY) as w:
        w.table("bounds.parquet", bounds.clear() if empty else bounds, key=("feature",))
        for month, chunk in _months(daily).items():
            w.chunk("daily", month, chunk, key=("Date", "feature"), input_hash="x")


def _baseline(store: Store, rows: pl.DataFrame, rng: np.random.Generator, empty: bool) -> None:
    importances = pl.DataFrame(
        {"horizon": [1, 1, 5, 5], "feature": ["full", "half"] * 2, "gain": [0.0 if empty else 0.5] * 4},
        schema_overrides={"horizon": pl.Int32},
    )
    predictions = _by_horizon(rows).join(pl.DataFrame({"model": ["lightgbm", "random", "ridge"]}), how="cross")
    predictions = predictions.with_columns(prediction=pl.Series(rng.standard_normal(predictions.height)))
    with store.writer("baseline", FOLD, IDENTITY) as w:
        w.table("importances.parquet", importances, key=("horizon", "feature"))
        w.table("predictions.parquet", predictions, key=("Date", "Code", "horizon", "model"))


def _by_horizon(rows: pl.DataFrame) -> pl.DataFrame:
    test = [day for day, role in zip(DAYS, ROLES, strict=True) if role == "test"]
    horizons = pl.DataFrame({"horizon": HORIZONS}, schema={"horizon": pl.Int32})
    return rows.filter(pl.col("Date").is_in(test)).select("Date", "Code").join(horizons, how="cross")


def _correlation_graph(store: Store, empty: bool) -> None:
    rebalances = (DAYS[10], DAYS[30])
    edges = [(day, a, b, 0.5 - n) for day in rebalances for n in (0, 1) for a, b in _both(CODES[n], CODES[n + 2])]
    schema = {"rebalance": pl.Date, "source": pl.String, "target": pl.String, "correlation": pl.Float32}
    linked = () if empty else CODES[:4]
    nodes = [(day, code, int(code in linked)) for day in rebalances for code in CODES]
    with store.writer("correlation_graph", FOLD, IDENTITY) as w:
        table = pl.DataFrame([] if empty else edges, schema=schema, orient="row").sort(list(schema)[:3])
        w.table("edges.parquet", table, key=("rebalance", "source", "target"))
        w.table(
            "nodes.parquet",
            pl.DataFrame(nodes, schema={"rebalance": pl.Date, "Code": pl.String, "degree": pl.Int32}, orient="row"),
            key=("rebalance", "Code"),
        )


def _both(a: str, b: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (a, b), (b, a)


def _atft_tensors(store: Store) -> None:
    shards, first = [], 0
    for month, group in groupby(DAYS, key=lambda day: f"{day:%Y-%m}"):
        shape = (len(list(group)), len(CODES))
        labels = np.zeros((*shape, len(HORIZONS)), np.float32)
        labels[:, 0, :] = np.nan
        arrays = MonthArrays(
            features=np.zeros((*shape, 2), np.float32),
            labels=labels,
            own_return=np.zeros(shape, np.float32),
            present=np.ones(shape, np.bool_),
            member=np.ones(shape, np.bool_),
            codes=np.array(CODES),
        )
        shards.append(asdict(write_month(shard_directory(store), month, first, arrays)))
        first += shape[0]
    stats: dict[str, Any] = {
        role: np.array([n for n, own in enumerate(ROLES) if own == role], np.int64)
        for role in ("train", "validation", "test")
    }
    stats["dates"] = pl.Series(DAYS).to_physical().to_numpy().astype(np.int32)
    with store.writer("atft_tensors", FOLD, IDENTITY) as w:
        w.json(INDEX, {"horizons": list(HORIZONS), "shards": shards})
        w.safetensors(STATS, stats)


def _trained_model(store: Store, empty: bool) -> None:
    losses = ("rank_ic", "cs_ic", "sharpe", "pointwise", "pinball", "direction")
    history: list[dict[str, Any]] = [
        {
            "epoch": epoch,
            "phase": "baseline" if epoch < 3 else "gat",
            "steps": 4,
            "val_rank_ic": 0.01 * epoch,
            **{f"val_rank_ic_{h}": 0.01 * epoch / h for h in HORIZONS},
            **{f"loss_{name}": 1.0 / epoch for name in losses},
        }
        for epoch in range(1, 6)
    ]
    history[1].pop("val_rank_ic_5")  # a horizon without a rank IC is left out of the record
    metrics = {"history": history, "rates": [1e-3] * 20, "best_epoch": 4}
    with store.writer("trained_model", FOLD, IDENTITY) as w:
        w.json("metrics.json", {"history": [], "rates": [], "best_epoch": 0} if empty else metrics)
        w.json("config.json", {"training": {"loss": dict.fromkeys(losses, 0.5)}})
        w.json(
            "insight.json",
            {
                "selection": {"ret_1d": 0.5, "rsi_14": 0.2, "natr_14": 0.3},
                "attention": [] if empty else [0.1, 0.2, 0.7],
                "gate_alpha": [0.5],
                "days": 0 if empty else 9,
                "rows": 0 if empty else 90,
            },
        )


def _validation_predictions(store: Store, rows: pl.DataFrame, rng: np.random.Generator, empty: bool) -> None:
    frame = _by_horizon(rows)
    values = pl.Series(rng.standard_normal(frame.height))
    quantiles = {"q05": -1.64, "q50": 0.0, "q95": 1.64}
    frame = frame.with_columns(
        prediction=values,
        label=_label(values, empty),
        **{name: pl.lit(level, pl.Float64) for name, level in quantiles.items()},
    )
    with store.writer("validation_predictions", FOLD, IDENTITY) as w:
        w.table("predictions.parquet", frame, key=("Date", "Code", "horizon"))
