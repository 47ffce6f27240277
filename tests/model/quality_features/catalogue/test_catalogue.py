"""What holds for every feature of the catalogue: it says something, it is honest about its memory, it forgets."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.quality_features.engine import compute_features, feature_plan
from model.quality_features.language.columns import COLUMNS
from model.quality_features.selection import describe, feature_names
from model.quality_features.settings import GROUP_NAMES, FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
SlowData = Callable[[pl.DataFrame, int], pl.DataFrame]
MarketMaker = Callable[[list[date], int], pl.DataFrame]
CODES = 9


@pytest.fixture(scope="module")
def panel(make_panel: PanelMaker, slow_data: SlowData, everything: FeatureSettings) -> pl.DataFrame:
    rows = make_panel(feature_plan(everything).lookback_days + 40, CODES, seed=21, missing=0.02, sectors=3, members=0.9)
    return slow_data(rows, 22)


@pytest.fixture(scope="module")
def days(panel: pl.DataFrame) -> list[date]:
    return panel["Date"].unique().sort().to_list()


@pytest.fixture(scope="module")
def market(days: list[date], make_market: MarketMaker) -> pl.DataFrame:
    return make_market(days, 23)


def newest(panel: pl.DataFrame, market: pl.DataFrame, chosen: FeatureSettings, names: list[str]) -> pl.DataFrame:
    last = panel["Date"][-1]
    return compute_features(panel, chosen, last, last, names=names, threads=1, market=market)


def bits(table: pl.DataFrame) -> dict[str, bytes]:
    return {
        name: table[name].is_null().to_numpy().tobytes() + table[name].fill_null(0.0).to_numpy().tobytes()
        for name in table.columns
        if table.schema[name] == pl.Float32
    }


def test_every_feature_has_values_that_differ(
    panel: pl.DataFrame, market: pl.DataFrame, days: list[date], everything: FeatureSettings
) -> None:
    table = compute_features(panel, everything, days[-150], days[-1], threads=1, market=market)
    values = table.select(feature_names(everything))
    assert values.select(pl.all().drop_nulls().is_finite().all()).row(0) == (True,) * values.width
    nulls = values.select(pl.all().is_null().mean()).row(0, named=True)
    assert max(nulls.values()) < 0.5, max(nulls, key=nulls.__getitem__)
    constant = [name for name in values.columns if values[name].drop_nulls().n_unique() < 2]
    assert constant == []


def test_no_two_features_are_the_same(
    panel: pl.DataFrame, market: pl.DataFrame, days: list[date], everything: FeatureSettings
) -> None:
    table = compute_features(panel, everything, days[-150], days[-1], threads=1, market=market)
    found = bits(table)
    assert len(set(found.values())) == len(found)


@given(seed=st.integers(0, 10**6), index=st.sampled_from([None, "TOPIX"]))
@settings(max_examples=4, deadline=None)
def test_rows_older_than_the_lookback_change_no_bit(
    panel: pl.DataFrame, market: pl.DataFrame, days: list[date], seed: int, index: str | None
) -> None:
    chosen = everything_with(index)
    by_reach: dict[int, list[str]] = {}
    for entry in describe(chosen):
        by_reach.setdefault(entry["lookback_days"], []).append(entry["name"])
    for reach, names in by_reach.items():
        cut = days[-reach - 1]
        before = newest(panel, market, chosen, names)
        after = newest(shaken(panel, cut, seed), shaken(market, cut, seed), chosen, names)
        assert bits(before) == bits(after), names


def everything_with(index: str | None) -> FeatureSettings:
    return FeatureSettings(groups=GROUP_NAMES, minimum_sector_names=2, market_index=index)


def shaken(table: pl.DataFrame, until: date, seed: int) -> pl.DataFrame:
    """Every number up to a day multiplied by something wild, names out of the universe and in other sectors."""
    rng = np.random.Generator(np.random.PCG64(seed))
    old = pl.col("Date") <= until
    wild = {
        name: pl.when(old).then(pl.col(name) * pl.Series(rng.lognormal(0, 3, table.height))).otherwise(pl.col(name))
        for name, dtype in table.schema.items()
        if dtype == pl.Float64
    }
    table = table.with_columns(**wild)
    if "Sector" not in table.columns:
        return table
    return table.with_columns(
        Sector=pl.when(old).then(pl.lit("S0")).otherwise("Sector"),
        InUniverse=pl.when(old).then(~pl.col("InUniverse")).otherwise("InUniverse"),
    )


def test_the_catalogue_reads_every_slow_column_that_a_source_can_have(everything: FeatureSettings) -> None:
    read = {COLUMNS[name].source: COLUMNS[name].table for name in feature_plan(everything).columns}
    slow = {"MarginLong", "Sales", "SharesOutstanding", "SectorShortRatio", "Quarter"}
    assert {read[name] for name in slow} == {"slow"}
    assert {name for name in read if read[name] == "market"} == {"ForeignNet", "IndividualNet", "FlowTotal"}
    indexed = feature_plan(everything.model_copy(update={"market_index": "TOPIX"})).columns
    assert "IndexClose" in {COLUMNS[name].source for name in indexed}
