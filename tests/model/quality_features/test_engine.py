"""What the engine promises: a row depends, bit for bit, on rows dated up to it and on nothing else."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import DataError, SettingsError
from model.quality_features.atft13 import ATFT13
from model.quality_features.bands import columns
from model.quality_features.engine import (
    compute_features,
    feature_plan,
    feature_schema,
)
from model.quality_features.language.columns import COLUMNS
from model.quality_features.selection import describe, feature_names, select, validity_names
from model.quality_features.settings import GROUP_NAMES, FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
SETTINGS = FeatureSettings(groups=GROUP_NAMES, minimum_sector_names=1)
SLOW = [COLUMNS[name].source for name in feature_plan(SETTINGS).columns if COLUMNS[name].table == "slow"]


def features(
    panel: pl.DataFrame, first: date, last: date, *, threads: int = 1, names: list[str] | None = None
) -> pl.DataFrame:
    return compute_features(with_slow(panel), SETTINGS, first, last, threads=threads, names=names, market=market(panel))


def with_slow(panel: pl.DataFrame) -> pl.DataFrame:
    """The panel with unadjusted closes and slow columns, each a function of the row itself."""
    number = pl.col("Date").dt.epoch("d") + pl.col("Code").str.slice(0, 4).cast(pl.Int64)
    values = {
        source: 1.0 + number // 60 % 4 if source == "Quarter" else 10.0 + (number // 40 * (3 + place)) % 17
        for place, source in enumerate(("Close", *SLOW))
    }
    return panel.with_columns(
        pl.when(number % 11 != 0).then(value).alias(source)
        for source, value in values.items()
        if source not in panel.columns
    )


def market(panel: pl.DataFrame) -> pl.DataFrame:
    """A market table: every column a function of the date."""
    number = pl.col("Date").dt.epoch("d")
    return panel.select(pl.col("Date").unique().sort()).with_columns(
        (5.0 + (number // 5 * (2 + place)) % 13).alias(spec.source)
        for place, spec in enumerate(COLUMNS.values())
        if spec.table == "market"
    )


def same_bits(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Equal schema, nulls and bit patterns (polars calls 0.0 and -0.0 equal, so compare the bits)."""
    floats = [name for name, dtype in left.schema.items() if dtype == pl.Float32]
    if not left.equals(right):
        return False
    return all(
        left[name].fill_null(0.0).to_numpy().tobytes() == right[name].fill_null(0.0).to_numpy().tobytes()
        for name in floats
    )


def axis(panel: pl.DataFrame) -> list[date]:
    return panel["Date"].unique().sort().to_list()


@given(seed=st.integers(0, 10**6), cut=st.integers(40, 110))
@settings(max_examples=6, deadline=None)
def test_future_rows_never_change_past_values(panel: pl.DataFrame, seed: int, cut: int) -> None:
    days = axis(panel)
    rng = np.random.Generator(np.random.PCG64(seed))
    wild = pl.Series(rng.lognormal(0, 3, panel.height))
    future = pl.col("Date") > days[cut]
    changed = panel.with_columns(
        pl.when(future).then(pl.col(name) * wild).otherwise(pl.col(name)).alias(name)
        for name in ("AdjOpen", "AdjHigh", "AdjLow", "AdjClose", "AdjVolume", "TurnoverValue")
    ).with_columns(
        InUniverse=pl.when(future).then(pl.Series(rng.random(panel.height) < 0.5)).otherwise("InUniverse"),
        Sector=pl.when(future).then(pl.lit("A0")).otherwise("Sector"),
    )
    dropped = changed.filter(~future | pl.Series(rng.random(panel.height) < 0.7))
    stored = features(panel, days[0], days[-1]).filter(pl.col("Date") <= days[cut])
    assert same_bits(stored, features(dropped, days[0], days[-1]).filter(pl.col("Date") <= days[cut]))
    assert same_bits(stored, features(panel.filter(~future), days[0], days[cut]))


def test_a_code_listed_later_changes_no_earlier_bit(panel: pl.DataFrame, make_panel: PanelMaker) -> None:
    days = axis(panel)
    newcomer = (
        make_panel(130, 200, seed=9)
        .filter((pl.col("Date") > days[100]) & (pl.col("Code").str.slice(0, 4).cast(pl.Int32) < 1150))
        .with_columns(Code=pl.lit("0") + pl.col("Code"), Sector=pl.lit("0new"))
    )
    joined = pl.concat([panel, newcomer]).sort("Date", "Code")
    before = features(panel, days[0], days[-1])
    after = features(joined, days[0], days[-1])
    early = pl.col("Date") <= days[100]
    assert same_bits(before.filter(early), after.filter(early))
    own = [feature.name for feature in select(SETTINGS) if "InUniverse" not in feature.inputs]
    late = after.filter(~early & ~pl.col("Code").str.starts_with("0"))
    assert same_bits(before.filter(~early).select(own), late.select(own))


@given(first=st.integers(0, 129), length=st.integers(1, 30), threads=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_any_date_range_has_the_bits_of_the_whole(panel: pl.DataFrame, first: int, length: int, threads: int) -> None:
    days = axis(panel)
    last = min(first + length, len(days)) - 1
    whole = features(panel, days[0], days[-1])
    part = features(panel, days[first], days[last], threads=threads)
    assert same_bits(part, whole.filter(pl.col("Date").is_between(days[first], days[last])))


def test_every_feature_reads_no_further_back_than_it_declares(make_panel: PanelMaker) -> None:
    panel = make_panel(1100, 5, seed=4, missing=0.02)
    days = axis(panel)
    stored = features(panel, days[-1], days[-1])
    by_reach: dict[int, list[str]] = {}
    for column in columns(SETTINGS):
        by_reach.setdefault(column.lookback_days, []).append(column.name)
    for reach, names in by_reach.items():
        start = len(days) - reach
        again = features(panel.filter(pl.col("Date") >= days[start]), days[-1], days[-1], names=names)
        assert same_bits(stored.select(names), again.select(names)), names
    assert {name for name in feature_names(SETTINGS) if stored[name].null_count() == stored.height} == set()


@pytest.mark.parametrize("column", sorted({source for feature in select(SETTINGS) for source in feature.inputs}))
def test_every_feature_reads_only_the_columns_it_declares(make_panel: PanelMaker, column: str) -> None:
    panel = with_slow(make_panel(290, 12, seed=6, missing=0.02, sectors=3))
    days = axis(panel)
    index = market(panel)
    rng = np.random.Generator(np.random.PCG64(1))
    other, other_index = panel, index
    if column == "InUniverse":
        other = panel.with_columns(InUniverse=pl.Series(rng.random(panel.height) < 0.5))
    elif column == "Sector":
        other = panel.with_columns(Sector=pl.Series([f"S{number}" for number in rng.integers(0, 3, panel.height)]))
    elif column in index.columns:
        other_index = index.with_columns(pl.col(column) * pl.Series(rng.lognormal(0, 0.2, index.height)))
    else:
        other = panel.with_columns(pl.col(column) * pl.Series(rng.lognormal(0, 0.2, panel.height)))
    before = compute_features(panel, SETTINGS, days[-9], days[-1], threads=1, market=index)
    after = compute_features(other, SETTINGS, days[-9], days[-1], threads=1, market=other_index)
    reading = [feature.name for feature in select(SETTINGS) if column in feature.inputs]
    own = [name for name in feature_names(SETTINGS) if name not in reading]
    assert same_bits(before.select(own), after.select(own))
    assert any(not before[name].equals(after[name]) for name in reading)


@given(
    names=st.lists(
        st.sampled_from([*feature_names(SETTINGS), *validity_names()]), min_size=1, max_size=12, unique=True
    ),
    keep=st.integers(1, 40),
)
@settings(max_examples=10, deadline=None)
def test_some_columns_of_some_codes_have_the_bits_of_the_whole(
    panel: pl.DataFrame, names: list[str], keep: int
) -> None:
    days = axis(panel)
    codes = panel["Code"].unique().sort().to_list()[::keep]
    whole = features(panel, days[100], days[110])
    part = compute_features(
        with_slow(panel), SETTINGS, days[100], days[110], names=names, codes=codes, threads=2, market=market(panel)
    )
    assert same_bits(part, whole.filter(pl.col("Code").is_in(codes)).select("Date", "Code", "InUniverse", *names))
    longest = max(column.lookback_days for column in columns(SETTINGS) if column.name in names)
    assert feature_plan(SETTINGS, tuple(names)).lookback_days == longest


def test_columns_are_those_of_the_catalogue(panel: pl.DataFrame) -> None:
    days = axis(panel)
    frame = features(panel, days[5], days[6])
    assert frame.schema == feature_schema(SETTINGS)
    names = feature_names(SETTINGS)
    assert len(set(names)) == len(names) >= 60
    assert set(ATFT13) <= set(names) and len(ATFT13) == 13
    assert [entry["name"] for entry in describe(SETTINGS)] == list(names)
    assert feature_plan(SETTINGS).lookback_days == max(entry["lookback_days"] for entry in describe(SETTINGS))
    assert {entry["group"] for entry in describe(SETTINGS)} == set(GROUP_NAMES)
    empty = features(panel, date(1990, 1, 1), date(1990, 1, 2))
    assert empty.schema == frame.schema and empty.is_empty()
    assert features(panel, date(2090, 1, 1), date(2090, 1, 2)).is_empty()
    assert features(panel, days[5], days[6], names=[]).equals(frame.select("Date", "Code", "InUniverse"))


def test_no_value_is_nan_or_infinite_even_in_dirty_data(panel: pl.DataFrame) -> None:
    days = axis(panel)
    dirty = panel.with_columns(
        AdjClose=pl.when(pl.int_range(pl.len()) % 97 == 0).then(1e30).otherwise("AdjClose"),
        AdjLow=pl.when(pl.int_range(pl.len()) % 89 == 0).then(0.0).otherwise("AdjLow"),
        AdjVolume=pl.when(pl.int_range(pl.len()) % 83 == 0).then(0.0).otherwise("AdjVolume"),
    )
    frame = features(dirty, days[0], days[-1])
    assert frame.select(pl.selectors.float().is_finite().all()).row(0) == (True,) * len(feature_names(SETTINGS))


def test_groups_switch_off_without_changing_the_others(panel: pl.DataFrame) -> None:
    days = axis(panel)
    some = FeatureSettings(groups=("quality", "sector"), minimum_sector_names=1)
    part = compute_features(panel, some, days[60], days[70], threads=1)
    whole = features(panel, days[60], days[70])
    assert "ret_5d" not in part.columns and "sector_ret_5d" in part.columns
    assert same_bits(part, whole.select(part.columns))
    with pytest.raises(ValueError, match="groups"):
        FeatureSettings(groups=())


def test_slow_data_that_the_source_does_not_have_are_missing(panel: pl.DataFrame) -> None:
    days = axis(panel)
    bare = with_slow(panel).drop(SLOW)
    frame = compute_features(bare, SETTINGS, days[60], days[61], threads=1)
    flow = [feature.name for feature in select(SETTINGS) if feature.group == "flow"]
    assert flow and all(frame[name].null_count() == frame.height for name in flow)


def test_a_bad_panel_is_refused_with_its_reason(panel: pl.DataFrame) -> None:
    days = axis(panel)
    with pytest.raises(DataError, match="TurnoverValue"):
        features(panel.drop("TurnoverValue"), days[0], days[1])
    with pytest.raises(DataError, match="not sorted"):
        features(panel.sort("Code", "Date"), days[0], days[1])
    with pytest.raises(SettingsError, match="ret_7d"):
        features(panel, days[0], days[1], names=["ret_7d"])
