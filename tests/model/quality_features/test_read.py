"""Features read back: bands side by side, market-wide features spread over the day's rows."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from model.errors import StoreError
from model.quality_features.read import (
    band_columns,
    feature_columns,
    is_band,
    read_features,
    read_market_features,
)
from model.store.store import Store
from tests.model.quality_features.stage_support import ASSET, IDENTITY, KEY

DAYS = [date(2020, month, day) for month in (1, 2, 3) for day in (6, 7)]
ROWS = (
    pl.DataFrame({"Date": DAYS})
    .join(pl.DataFrame({"Code": ["1301A", "1302A"]}), how="cross")
    .with_columns(
        InUniverse=pl.int_range(pl.len()) % 3 != 0,
        short=pl.int_range(pl.len()).cast(pl.Float32),
        long=-pl.int_range(pl.len()).cast(pl.Float32),
        market=pl.col("Date").dt.ordinal_day().cast(pl.Float32),
    )
)
BANDS = {"features": ["InUniverse", "short"], "features_long": ["long"], "features_market": ["market"]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return write(Store(tmp_path), ROWS)


def write(store: Store, rows: pl.DataFrame) -> Store:
    with store.writer(ASSET, None, IDENTITY) as w:
        for table, columns in BANDS.items():
            key = ("Date",) if table == "features_market" else KEY
            frame = rows.select(*key, *columns).unique(maintain_order=True)
            for (month,), chunk in frame.group_by(pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True):
                w.chunk(table, str(month), chunk, key=key, input_hash="-")
    return store


def test_columns_come_in_the_order_asked_for_whatever_band_they_lie_in(store: Store) -> None:
    columns = ["long", "Code", "market", "InUniverse", "Date", "short"]
    assert read_features(store, columns=columns).equals(ROWS.select(columns))
    assert read_features(store, columns=["market"]).equals(ROWS.select("market"))
    assert set(feature_columns(store)) == set(ROWS.columns)


def test_dates_are_cut_on_both_ends(store: Store) -> None:
    found = read_features(store, start=DAYS[1], end=DAYS[4], columns=["Date", "long"])
    assert found.equals(ROWS.filter(pl.col("Date").is_between(DAYS[1], DAYS[4])).select("Date", "long"))


def test_market_features_come_once_a_day(store: Store) -> None:
    found = read_market_features(store, start=DAYS[1], end=DAYS[4], columns=["market"])
    once = ROWS.select("Date", "market").unique(maintain_order=True)
    assert found.equals(once.filter(pl.col("Date").is_between(DAYS[1], DAYS[4])))


def test_what_is_not_there_is_said_by_name(store: Store) -> None:
    with pytest.raises(StoreError, match="no column shorter"):
        read_features(store, columns=["shorter"])
    with pytest.raises(StoreError, match="no month between 2021-01-01"):
        read_features(store, start=date(2021, 1, 1), columns=["short"])


def hashes(store: Store) -> dict[str, dict[str, str]]:
    """Table of each band to the content hash of each of its months."""
    return {
        band: {month: entry.content_hash for month, entry in store.chunks("quality_features", band).items()}
        for band in band_columns(store)
    }


def test_a_change_shows_in_the_month_of_its_band_only(store: Store, tmp_path: Path) -> None:
    before = hashes(store)
    changed = ROWS.with_columns(
        market=pl.when(pl.col("Date") == DAYS[3]).then(0.0).otherwise("market").cast(pl.Float32)
    )
    after = hashes(write(Store(tmp_path / "other"), changed))
    differing = {(band, m) for band, months in before.items() for m in months if months[m] != after[band][m]}
    assert differing == {("features_market", "2020-02")}
    assert list(before["features"]) == ["2020-01", "2020-02", "2020-03"]
    assert {name for columns in band_columns(store).values() for name in columns} | {"Date", "Code"} == set(
        feature_columns(store)
    )


def test_only_feature_tables_are_bands() -> None:
    assert [is_band(table) for table in ("features", "features_long", "labels", "rows")] == [True, True, False, False]
