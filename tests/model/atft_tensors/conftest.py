"""A store that holds what atft_tensors reads, written by hand."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from model.store.manifest import Identity
from model.store.stage import StageRun
from model.store.store import Store

IDENTITY = Identity(inputs={}, code_version="1", settings_hash="1")
FEATURES = ("ret_1d", "rsi_14", "gap")
HORIZONS = (1, 5)


def days_from(start: date, count: int) -> list[date]:
    found = [start + timedelta(days=n) for n in range(count * 2)]
    return [day for day in found if day.weekday() < 5][:count]


class Upstream:
    """Two folds over the same months; the second reaches further."""

    def __init__(self, home: Path) -> None:
        self.store = Store(home)
        self.settings: Any = SimpleNamespace(
            seed=3,
            tensors=SimpleNamespace(lookback=4, features=FEATURES[:2]),
            labels=SimpleNamespace(horizons=HORIZONS),
        )
        self.days = days_from(date(2016, 1, 11), 60)
        rng = np.random.default_rng(0)
        rows = []
        for number, day in enumerate(self.days):
            for code in range(26):
                if code == 24 and number < 30:  # listed later
                    continue
                values = rng.standard_normal(3)
                rows.append((day, f"{1300 + code}0", code != 25 and (code + number) % 13 != 0, *values))
        self.features = pl.DataFrame(rows, schema=["Date", "Code", "InUniverse", *FEATURES], orient="row").with_columns(
            pl.col(FEATURES).cast(pl.Float32)
        )
        self.features = self.features.with_columns(
            pl.when(pl.col("rsi_14") > 1.5).then(None).otherwise(pl.col("rsi_14")).alias("rsi_14")
        )
        noise = rng.standard_normal((self.features.height, 2))
        self.labels = self.features.select("Date", "Code", "InUniverse").with_columns(
            target_1=pl.Series(0.01 * noise[:, 0]),
            target_5=pl.Series(0.02 * noise[:, 1]),
            resolved_1=pl.col("Date") + pl.duration(days=1),
            resolved_5=pl.col("Date") + pl.duration(days=7),
            return_next=pl.Series(0.01 * noise[:, 0]),
            entry_return_next=pl.Series(0.01 * noise[:, 0]),
            can_buy_next=pl.lit(True),
            can_sell_next=pl.lit(True),
            Sector=pl.lit("Banks"),
            turnover_20=pl.lit(1e6),
            price=pl.lit(1000.0),
            close=pl.lit(1000.0),
            oracle_1=pl.Series(0.001 * noise[:, 0]),
            oracle_5=pl.lit(None, pl.Float64),
        )
        self.write_features()

    def write_features(self) -> None:
        with self.store.writer("quality_features", None, IDENTITY) as w:
            for name, table in (("features", self.features), ("labels", self.labels)):
                for (month,), chunk in table.group_by(pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True):
                    w.chunk(name, str(month), chunk, key=("Date", "Code"), input_hash="x")

    def write_fold(self, name: str, first: int, roles: list[tuple[str, int]], rebalances: tuple[int, ...]) -> None:
        named = [role for role, count in roles for _ in range(count)]
        window = self.days[first : first + len(named)]
        with self.store.writer("walk_forward_folds", name, IDENTITY) as w:
            w.json("fold.json", {"fold": name, "purge_days": 1, "embargo_days": 1})
            reach = np.array([5 if role in ("train", "validation", "test") else 0 for role in named], np.int32)
            reach[np.flatnonzero(np.array(named) == "train")[-2:]] = 1  # the longer label is purged there
            w.table("dates.parquet", pl.DataFrame({"Date": window, "role": named, "reach": reach}), key=("Date",))
        self._write_stats(name, window)
        self._write_graph(name, [self.days[n] for n in rebalances])

    def run(self, fold: str, **more: Any) -> StageRun:
        return StageRun(store=self.store, settings=self.settings, identity=IDENTITY, partition=fold, **more)

    def _write_stats(self, name: str, window: list[date]) -> None:
        inside = self.features.filter(pl.col("Date").is_in(window) & pl.col("InUniverse"))
        long = inside.unpivot(on=FEATURES, index=["Date", "Code"], variable_name="feature")
        daily = long.group_by("Date", "feature").agg(
            n=pl.col("value").count(),
            mean=pl.col("value").cast(pl.Float64).mean(),
            std=pl.col("value").cast(pl.Float64).std(ddof=0),
            median=pl.col("value").cast(pl.Float64).median(),
            mad=pl.lit(1.0),
        )
        unscaled = pl.lit(None, pl.Float64)
        bounds = pl.DataFrame({"feature": sorted(FEATURES), "low": -3.0, "high": 3.0, "kind": "cross_section"})
        bounds = bounds.with_columns(center=unscaled, scale=unscaled)
        targets = pl.DataFrame({"horizon": list(HORIZONS), "scale": [0.01, 0.02], "center": [0.0, 0.0]})
        with self.store.writer("normalization_stats", name, IDENTITY) as w:
            for (month,), chunk in daily.sort("Date", "feature").group_by(
                pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True
            ):
                w.chunk("daily", str(month), chunk, key=("Date", "feature"), input_hash="x")
            w.table("bounds.parquet", bounds, key=("feature",))
            w.table("targets.parquet", targets, key=("horizon",))
            w.json("normalization.json", {"features": list(FEATURES), "method": "zscore", "minimum_names": 2})

    def _write_graph(self, name: str, rebalances: list[date]) -> None:
        rows = [
            (day, f"{1300 + a}0", f"{1300 + b}0", 0.5 if (a + b) % 2 else -0.5, (a + b) % 3 == 0, 0.5, float(a - 13))
            for day in rebalances
            for a in range(26)
            for b in range(26)
            if a != b and abs(a - b) <= 2
        ]
        schema = ["rebalance", "source", "target", "correlation", "same_sector", "weight", "lead"]
        edges = pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("correlation").cast(pl.Float32))
        nodes = edges.group_by("rebalance", "source").agg(degree=pl.len()).rename({"source": "Code"})
        with self.store.writer("correlation_graph", name, IDENTITY) as w:
            w.table("edges.parquet", edges.sort(schema[:3]), key=("rebalance", "source", "target"))
            w.table("nodes.parquet", nodes.sort("rebalance", "Code"), key=("rebalance", "Code"))


ROLES = [
    ("lookback", 4),
    ("train", 20),
    ("purge", 1),
    ("embargo", 1),
    ("validation", 6),
    ("purge", 1),
    ("embargo", 1),
    ("test", 6),
    ("resolution", 5),
]


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    """A store with the fold ``wf_a``, whose window starts in the middle of a month."""
    made = Upstream(tmp_path)
    made.write_fold("wf_a", 0, ROLES, rebalances=(0, 10, 30))
    return made


@pytest.fixture
def make_fold(upstream: Upstream) -> Callable[[str, int], None]:
    """Add a fold whose window starts on another day."""

    def make(name: str, first: int) -> None:
        upstream.write_fold(name, first, ROLES, rebalances=(first, first + 10))

    return make
