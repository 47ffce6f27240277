"""The benchmark's own parts: the tiled market, the bars as Qlib reads them, and what is compared."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import alpha158
from benchmarks.feature_stages import MarketStore, bring_one
from benchmarks.tiled_market import TiledMarket, batches
from model.daily_quotes.schema import validate_canonical
from model.daily_quotes.sources.base import validate_batch
from model.quality_features.settings import FeatureSettings
from model.store.store import Store


@pytest.fixture(scope="module")
def market() -> TiledMarket:
    return TiledMarket(stocks=12, days=40, copies=3)


def test_a_tiled_market_is_canonical_and_the_same_however_its_days_are_read(market: TiledMarket) -> None:
    whole = validate_batch(market.read(market.dates))
    validate_canonical(whole.quotes)
    assert whole.quotes.height == market.rows and len(market.dates) == 40
    parts = pl.concat([market.read(group).quotes for group in batches(market.dates, 36, most_rows=300)])
    assert parts.equals(whole.quotes)
    assert whole.beside["statements"].height % 3 == 0


def test_no_two_copies_of_a_name_have_the_same_returns(market: TiledMarket) -> None:
    quotes = market.read(market.dates).quotes.with_columns(name=pl.col("Code").str.head(4))
    name = quotes["name"][0]
    returns = quotes.filter(pl.col("name") == name).select(
        pl.col("Code"), change=pl.col("Close").pct_change().over("Code")
    )
    by_copy = [group["change"].to_numpy() for _, group in returns.group_by("Code", maintain_order=True)]
    assert len(by_copy) == 3
    assert not np.allclose(by_copy[0], by_copy[1], equal_nan=True)


def test_bars_are_written_as_qlib_reads_them(tmp_path: Path) -> None:
    days = pl.Series(["2020-01-06", "2020-01-07", "2020-01-08"]).str.to_date()
    panel = pl.DataFrame(
        {
            "Date": [days[0], days[1], days[1], days[2]],
            "Code": ["A", "A", "B", "A"],
            **{f"Adj{name}": [1.0, 2.0, 9.0, 4.0] for name in ("Open", "High", "Low", "Close")},
            "AdjVolume": [10.0, 0.0, 3.0, 5.0],
            "TurnoverValue": [20.0, 0.0, 27.0, 25.0],
        }
    )
    alpha158.write_qlib_bars(panel, tmp_path)
    assert (tmp_path / "calendars" / "day.txt").read_text() == "2020-01-06\n2020-01-07\n2020-01-08\n"
    assert "B\t2020-01-07\t2020-01-07\n" in (tmp_path / "instruments" / "all.txt").read_text()
    close = np.fromfile(tmp_path / "features" / "a" / "close.day.bin", dtype="<f4")
    vwap = np.fromfile(tmp_path / "features" / "a" / "vwap.day.bin", dtype="<f4")
    np.testing.assert_array_equal(close, [0, 1, 2, 4])
    np.testing.assert_array_equal(vwap, [0, 2, np.nan, 5])
    assert np.fromfile(tmp_path / "features" / "b" / "open.day.bin", dtype="<f4").tolist() == [1.0, 9.0]


def test_agreement_is_the_share_of_cells_that_are_near() -> None:
    ours = pl.DataFrame({"Code": ["A", "B"], "KMID": [1.0, None], "MA5": [2.0, 3.0]})
    theirs = pl.DataFrame({"instrument": ["B", "A"], "KMID": [None, 1.0005], "MA5": [3.1, 2.0]})
    assert alpha158.agreement(ours, theirs) == 0.75


def test_a_mended_price_and_a_new_day_are_brought_up_to_date_once(tmp_path: Path) -> None:
    market = TiledMarket(stocks=30, days=70, copies=1)
    store = MarketStore(tmp_path, market, FeatureSettings(groups=("returns",)))
    store.ingest(market.dates[:-1])
    stages = ("raw_dataset", "quality_features")
    assert [bring_one(tmp_path, stage).artefacts for stage in stages] == [1, 1]
    assert [bring_one(tmp_path, stage).artefacts for stage in stages] == [0, 0]

    day = market.dates[30]
    before = closes(tmp_path)
    code = market.read([day]).quotes.drop_nulls("Close")["Code"][0]
    store.mend(day, code, 1.5)
    assert [bring_one(tmp_path, stage).artefacts for stage in stages] == [1, 1]
    changed = (
        closes(tmp_path)
        .join(before, on=["Date", "Code"], suffix="_before")
        .filter(pl.col("Close") != pl.col("Close_before"))
    )
    assert changed.select("Date", "Code").rows() == [(day, code)]

    store.ingest(market.dates[-1:])
    figures = [bring_one(tmp_path, stage) for stage in stages]
    assert closes(tmp_path)["Date"].max() == market.dates[-1]
    assert all(each.rows > before.height and each.seconds > 0 for each in figures)


def closes(home: Path) -> pl.DataFrame:
    return Store(home).read_chunks("raw_dataset", "panel", columns=["Date", "Code", "Close"])
