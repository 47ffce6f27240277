"""What the engine promises: a row depends, bit for bit, on rows dated up to it and on nothing else."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import DataError, SettingsError
from model.quality_features.engine import AMOUNTS, PRICES, compute_features, feature_schema
from model.quality_features.selection import (
    ATFT13,
    describe,
    feature_names,
    lookback,
    max_lookback,
    select,
)
from model.quality_features.settings import GROUP_NAMES, FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
SETTINGS = FeatureSettings(minimum_sector_names=1)


def features(panel: pl.DataFrame, first: date, last: date, *, threads: int = 1) -> pl.DataFrame:
    return compute_features(panel, SETTINGS, first, last, threads=threads)


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
@settings(max_examples=10, deadline=None)
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
    own = [feature.name for feature in select(SETTINGS).stock if "InUniverse" not in feature.inputs]
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
    panel = make_panel(330, 6, seed=4, missing=0.02)
    days = axis(panel)
    stored = features(panel, days[-1], days[-1])
    by_reach: dict[int, list[str]] = {}
    for name in feature_names(SETTINGS):
        by_reach.setdefault(lookback(name), []).append(name)
    for reach, names in by_reach.items():
        start = len(days) - reach
        again = features(panel.filter(pl.col("Date") >= days[start]), days[-1], days[-1])
        assert same_bits(stored.select(names), again.select(names)), names
    assert not any(stored[name].null_count() == stored.height for name in feature_names(SETTINGS))


@pytest.mark.parametrize("column", [*PRICES, *AMOUNTS, "InUniverse", "Sector"])
def test_every_feature_reads_only_the_columns_it_declares(make_panel: PanelMaker, column: str) -> None:
    panel = make_panel(290, 12, seed=6, missing=0.02, sectors=3)
    days = axis(panel)
    rng = np.random.Generator(np.random.PCG64(1))
    if column == "InUniverse":
        other = pl.Series(rng.random(panel.height) < 0.5)
    elif column == "Sector":
        other = pl.Series([f"S{number}" for number in rng.integers(0, 3, panel.height)])
    else:
        other = panel[column] * pl.Series(rng.lognormal(0, 0.2, panel.height))
    before = features(panel, days[-1], days[-1])
    after = features(panel.with_columns(other.alias(column)), days[-1], days[-1])
    reading = reads(column)
    own = [name for name in feature_names(SETTINGS) if name not in reading]
    assert same_bits(before.select(own), after.select(own))
    assert reading and not before.select(sorted(reading)).equals(after.select(sorted(reading)))


def reads(column: str) -> set[str]:
    """Features that depend on a column of the panel; a cross-section reads its members, and sectors their names."""
    chosen = select(SETTINGS)
    found = {feature.name for feature in (*chosen.stock, *chosen.market) if column in feature.inputs}
    for cross in chosen.cross_section:
        always = {"InUniverse", "Sector"} if cross.group == "sector" else {"InUniverse"}
        if column in always or found & set(cross.inputs):
            found.add(cross.name)
    return found


def test_columns_are_those_of_the_catalogue(panel: pl.DataFrame) -> None:
    days = axis(panel)
    frame = features(panel, days[5], days[6])
    assert frame.schema == feature_schema(SETTINGS)
    names = feature_names(SETTINGS)
    assert len(set(names)) == len(names) >= 60
    assert set(ATFT13) <= set(names) and len(ATFT13) == 13
    assert [entry["name"] for entry in describe(SETTINGS)] == list(names)
    assert max_lookback(SETTINGS) == max(entry["lookback_days"] for entry in describe(SETTINGS))
    assert {entry["group"] for entry in describe(SETTINGS)} == set(GROUP_NAMES)
    empty = features(panel, date(1990, 1, 1), date(1990, 1, 2))
    assert empty.schema == frame.schema and empty.is_empty()


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


def test_a_bad_panel_is_refused_with_its_reason(panel: pl.DataFrame) -> None:
    days = axis(panel)
    with pytest.raises(DataError, match="TurnoverValue"):
        features(panel.drop("TurnoverValue"), days[0], days[1])
    with pytest.raises(DataError, match="not sorted"):
        features(panel.sort("Code", "Date"), days[0], days[1])
    with pytest.raises(SettingsError, match="ret_7d"):
        lookback("ret_7d")
