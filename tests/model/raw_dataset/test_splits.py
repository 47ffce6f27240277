"""Numbers of shares are adjusted as volumes are: a split between two records moves nothing that is compared."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.quality_features.engine import compute_features
from model.quality_features.settings import FeatureSettings
from model.raw_dataset.adjustment import SPLITS, in_adjusted_shares, splits_until
from model.raw_dataset.stage import ASSET
from model.store.store import Store
from tests.model.raw_dataset.synthetic import DAYS, Market, build, filed, linked, local

SPLIT = DAYS.index(date(2024, 11, 13))
"""2 for 1 on this Wednesday: after one statement and a weekly record, before the next ones."""
BEFORE, AFTER = 5, SPLIT + 10
COMPARED = ("book_to_price", "forecast_earnings_yield", "log_market_value", "turnover_rate_20d")
COMPARED += ("margin_long_days", "margin_short_days", "margin_long_change", "margin_short_change", "margin_imbalance")


def shares_on(place: int, factor: float) -> float:
    return 1000.0 if place < SPLIT else 1000.0 / factor


def still_market(factor: float = 0.5) -> Market:
    """Two codes that stand still; the first splits, and its records speak of the shares of their own day."""
    bars, statements, margin = [], [], []
    for code, by in (("1301", factor), ("7203", 1.0)):
        for place, day in enumerate(DAYS):
            traded = shares_on(place, by) / 100.0
            price = 1e6 / shares_on(place, by)
            bars.append(
                {"Date": day, "Code": code, **dict.fromkeys(("Open", "High", "Low", "Close"), price)}
                | {"Volume": int(traded), "AdjustmentFactor": by if place == SPLIT else 1.0}
                | {"UpperLimit": False, "LowerLimit": False, "Sector": "S01", "KnownAt": local(day, 16, 30)}
            )
            if day.weekday() == 2:  # of Wednesday, the split's own among them, published on the Friday
                held = shares_on(place, by)
                published = local(day + timedelta(days=2), 16)
                margin.append(
                    {"Code": code, "Kind": "weekly", "RecordDate": day, "PublishedAt": published}
                    | {"MarginLong": held / 10.0, "MarginShort": held / 20.0}
                )
        for quarter, place in ((1, BEFORE), (2, AFTER)):
            statements.append(
                {"Code": code, "PublishedAt": local(DAYS[place], 16), "FiscalYearEnd": date(2025, 3, 31)}
                | {"Quarter": quarter, "SharesOutstanding": shares_on(place, by), "Equity": 5e5, "ForecastProfit": 1e5}
            )
    quotes = pl.DataFrame(bars).with_columns(TurnoverValue=pl.lit(None, pl.Float64), Market=pl.lit(None, pl.String))
    quotes = quotes.with_columns(pl.col("KnownAt").dt.replace_time_zone("UTC").dt.cast_time_unit("us"))
    market = Market(quotes, {}).with_quotes(quotes)
    tables = {"statements": statements, "margin": margin}
    for name, rows in tables.items():
        market = market.with_table(name, filed(name, rows))
    return market


def built(home: Path, market: Market) -> Store:
    store = Store(home)
    market.publish(store)
    build(store)
    return store


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return built(tmp_path_factory.mktemp("halved"), still_market())


def features_of(store: Store) -> pl.DataFrame:
    panel = store.read_chunks(ASSET, "panel").join(
        store.read_chunks(ASSET, "slow"), on=["Date", "Code"], how="left", maintain_order="left"
    )
    chosen: Any = FeatureSettings(groups=("statements", "margin"))
    return compute_features(panel, chosen, DAYS[0], DAYS[-1], threads=1)


@pytest.mark.parametrize("factor", [0.5, 10.0])
def test_a_split_between_two_statements_moves_no_feature_that_counts_shares(
    tmp_path: Path, halved: Store, factor: float
) -> None:
    store = halved if factor == 0.5 else built(tmp_path, still_market(factor))
    table = features_of(store).filter((pl.col("Code") == "1301") & (pl.col("Date") >= DAYS[30]))
    assert table["Date"].min() < DAYS[SPLIT] < DAYS[AFTER] < table["Date"].max()
    for name in COMPARED:
        assert table[name].null_count() == 0, name
        assert table[name].max() == pytest.approx(table[name].min(), abs=1e-9), name
    first = table.row(0, named=True)
    assert first["book_to_price"] == pytest.approx(0.5) and first["turnover_rate_20d"] == pytest.approx(0.01)
    assert first["margin_long_days"] == pytest.approx(10.0) and first["margin_long_change"] == 0.0


def test_what_is_filed_after_the_close_before_the_split_speaks_of_the_old_shares(tmp_path: Path) -> None:
    eve = {"Code": "1301", "PublishedAt": local(DAYS[SPLIT - 1], 16), "FiscalYearEnd": date(2025, 3, 31), "Quarter": 1}
    market = still_market().with_table("statements", filed("statements", [{**eve, "SharesOutstanding": 1000.0}]))
    slow = built(tmp_path, market).read_chunks(ASSET, "slow").filter(pl.col("Code") == "1301")
    known = slow.drop_nulls("SharesOutstanding")
    assert known["Date"].min() == DAYS[SPLIT] and known["SharesOutstanding"].unique().to_list() == [1000.0]


@pytest.mark.parametrize(("hour", "day"), [(10, 0), (23, 0), (10, 1)])
def test_what_is_filed_on_a_holiday_before_the_split_speaks_of_the_old_shares(
    tmp_path: Path, hour: int, day: int
) -> None:
    holiday = date(2024, 11, 3 + day)  # a Sunday, and the Monday after it, on which the exchange was closed
    split = DAYS.index(date(2024, 11, 5))
    quotes = still_market(1.0).quotes.with_columns(
        AdjustmentFactor=pl.when((pl.col("Date") == DAYS[split]) & (pl.col("Code") == "1301")).then(0.5).otherwise(1.0)
    )
    row = {"Code": "1301", "PublishedAt": local(holiday, hour), "FiscalYearEnd": date(2025, 3, 31), "Quarter": 1}
    market = still_market(1.0).with_quotes(quotes)
    market = market.with_table("statements", filed("statements", [{**row, "SharesOutstanding": 1000.0}]))
    assert market.beside["statements"]["Date"].to_list() == [DAYS[split]]
    slow = built(tmp_path, market).read_chunks(ASSET, "slow").filter(pl.col("Code") == "1301")
    known = slow.drop_nulls("SharesOutstanding")
    assert known["Date"].min() == DAYS[split] and known["SharesOutstanding"].unique().to_list() == [1000.0]


def test_a_factor_that_is_mended_reaches_the_shares_after_it_and_none_before(tmp_path: Path, halved: Store) -> None:
    store = linked(halved, tmp_path / "kept")
    before = store.read_chunks(ASSET, "slow")
    mended = still_market().quotes.with_columns(
        AdjustmentFactor=pl.when(pl.col("AdjustmentFactor") != 1.0).then(0.25).otherwise("AdjustmentFactor")
    )
    after = Market(mended, still_market().beside)
    after.publish(store, [DAYS[SPLIT]])
    manifest = build(store)
    fresh = build(linked(store, tmp_path / "fresh", only_days=True))
    assert manifest.content_hash == fresh.content_hash and manifest.extra["months_reused"] == 2
    now = store.read_chunks(ASSET, "slow")
    early, late = pl.col("Date") < DAYS[SPLIT], (pl.col("Date") > DAYS[AFTER]) & (pl.col("Code") == "1301")
    assert now.filter(early).equals(before.filter(early))
    for name in ("SharesOutstanding", "MarginLong"):
        assert (now.filter(late)[name] * 2.0).equals(before.filter(late)[name]), name


def test_a_month_without_splits_hands_on_what_it_was_handed(halved: Store) -> None:
    [split] = halved.read_table(ASSET, "carried_splits/2024-12.parquet").rows()
    assert split == (DAYS[SPLIT], "1301", 0.5)
    assert halved.read_table(ASSET, "carried_splits/2024-10.parquet").is_empty()


CHANGES = st.lists(st.tuples(st.integers(0, 59), st.sampled_from(["A", "B"]), st.sampled_from([0.5, 0.2, 10.0])))


@settings(max_examples=25, deadline=None)
@given(changes=CHANGES, gaps=st.sets(st.integers(0, 59)), cut=st.integers(1, 59))
def test_the_factor_of_a_day_is_the_product_up_to_it_wherever_months_are_cut(
    changes: list[tuple[int, str, float]], gaps: set[int], cut: int
) -> None:
    days = [DAYS[0] + timedelta(days=place) for place in range(60)]
    factor = {(code, place): by for place, code, by in changes}
    rows, expected = [], []
    for code in ("A", "B"):
        cumulative = 1.0
        for place, day in enumerate(days):
            if place not in gaps or (code, place) in factor:  # a day without a row changes nothing
                cumulative *= factor.get((code, place), 1.0)
                rows.append((day, code, cumulative))
            expected.append((day, code, cumulative))
    panel = pl.DataFrame(rows, schema=SPLITS, orient="row").sort("Date", "Code")
    early = pl.col("Date") < days[cut]
    splits = splits_until(splits_until(pl.DataFrame(schema=SPLITS), panel.filter(early)), panel.filter(~early))
    assert splits.equals(splits_until(pl.DataFrame(schema=SPLITS), panel))
    records = pl.DataFrame(expected, schema=["RecordDate", "Code", "factor"], orient="row").reverse()
    records = records.with_columns(MarginLong=pl.lit(3.0), MarginShort=pl.lit(None, pl.Float64))
    adjusted = in_adjusted_shares("margin", records, splits, "Asia/Tokyo")
    assert adjusted["MarginLong"].equals(records["factor"] * 3.0) and adjusted["MarginShort"].null_count() == 120
    assert adjusted.drop("MarginLong").equals(records.drop("MarginLong"))
