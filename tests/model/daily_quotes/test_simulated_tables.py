"""What the simulated market delivers beside its bars, and bars that are superseded."""

import hashlib
from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.daily_quotes.beside import REPORTED, TABLES
from model.daily_quotes.schema import CANONICAL, KEY
from model.daily_quotes.settings import CalendarSettings, SimulatedSource
from model.daily_quotes.sources.base import DayBatch
from model.daily_quotes.sources.simulated.market import Bars, simulate
from model.daily_quotes.sources.simulated.source import SimulatedMarket
from model.errors import DataError

JPX = CalendarSettings()
BUSY = {"revision_rate": 0.01, "outage_rate": 0.01, "correction_rate": 0.2, "missing_value_rate": 0.05}


@cache
def batch(end: str = "2019-12-30", **keys: float | str) -> DayBatch:
    values = {"stocks": 30, "seed": 6, "end": end, **keys}
    market = SimulatedMarket(settings=SimulatedSource.model_validate(values), calendar=JPX)
    return market.read(market.days())


def busy() -> DayBatch:
    return batch(**BUSY)


def table(name: str) -> pl.DataFrame:
    return busy().beside[name]


def first_day_on_or_after(dates: pl.Series) -> list[date]:
    """By counting, for each date the first of the market's days that is not before it."""
    days = busy().days
    return [next(day for day in days if day >= each) for each in dates]


GOLDEN = {
    (40, 3, 200): "c2301c46feb6a3b5",
    (100, 23, 400): "d04dd2eb3e63c6a1",
}
"""Bars of the market as they were before it had tables beside them: figures in presets and reports rest on them."""


@pytest.mark.parametrize(("stocks", "seed", "days"), GOLDEN)
def test_the_bars_of_a_seed_keep_their_bits(stocks: int, seed: int, days: int) -> None:
    _, bars = simulate(SimulatedSource(stocks=stocks, seed=seed), days)
    digest = hashlib.sha256()
    for name in ("row", "open", "high", "low", "close", "volume", "turnover", "factor", "upper", "lower"):
        digest.update(getattr(bars, name).tobytes())
    assert digest.hexdigest()[:16] == GOLDEN[stocks, seed, days]


def test_the_tables_leave_the_bars_alone() -> None:
    plain = batch()
    assert plain.quotes.equals(batch(correction_rate=0.5, missing_value_rate=0.5, index_weighting="equal").quotes)
    assert set(plain.beside) == set(TABLES) - {"revisions"}


@settings(max_examples=4, deadline=None)
@given(extra=st.integers(1, 260), start=st.sampled_from(["2018-01-04", "2018-03-28", "2019-11-13"]))
def test_a_later_end_adds_rows_to_each_table_and_changes_none(extra: int, start: str) -> None:
    first = date.fromisoformat(start)
    ends = [first + timedelta(days=200), first + timedelta(days=200 + extra)]
    keys = {"start": start, "correction_rate": 0.2, "outage_rate": 0.01, "statement_strength": 0.1, "stocks": 25}
    short, long = (batch(end=end.isoformat(), **keys) for end in ends)
    common = long.only(short.days)
    assert short.quotes.equals(common.quotes)
    for name, frame in short.beside.items():
        assert frame.equals(common.beside[name]), name


def test_rows_lie_under_the_first_trading_day_on_or_after_their_publication() -> None:
    for name in ("statements", "investor_flow", "margin", "short_selling", "indices"):
        frame = table(name).drop_nulls("PublishedAt")
        local = frame["PublishedAt"].dt.convert_time_zone("Asia/Tokyo").dt.date()
        assert frame.height > 50 and frame["Date"].to_list() == first_day_on_or_after(local), name
    weekend = table("statements").filter(pl.col("PublishedAt").dt.convert_time_zone("Asia/Tokyo").dt.weekday() > 5)
    assert weekend.is_empty()


def test_statements_are_quarterly_cumulative_and_come_at_every_hour() -> None:
    frame = table("statements").drop_nulls("Sales")
    firsts = frame.unique(["Code", "FiscalYearEnd", "Quarter"], keep="first", maintain_order=True)
    assert firsts["Quarter"].value_counts()["count"].min() > 20
    assert (firsts["FiscalYearEnd"] == firsts["FiscalYearEnd"].dt.month_end()).all()
    ends = firsts.with_columns(end=pl.col("FiscalYearEnd").dt.offset_by("-12mo").dt.month_end())
    ends = ends.with_columns(end=pl.col("end").dt.offset_by("1d"))
    ended = pl.Series(
        [
            (day.replace(year=day.year + (day.month + 3 * q - 1) // 12, month=(day.month + 3 * q - 1) % 12 + 1))
            for day, q in ends.select("end", "Quarter").iter_rows()
        ]
    )
    delay = (firsts["PublishedAt"].dt.date() - ended).dt.total_days()
    assert delay.min() >= 18 and delay.max() <= 65 and 25 < delay.median() < 40
    steps = firsts.sort("Code", "FiscalYearEnd", "Quarter").with_columns(
        pl.col("Sales", "Quarter").shift(1).over("Code", "FiscalYearEnd").name.suffix("Before")
    )
    grown = steps.filter(pl.col("Quarter") == pl.col("QuarterBefore") + 1)
    assert grown.height > 50 and (grown["Sales"] > grown["SalesBefore"]).all()
    minutes = frame["PublishedAt"].dt.convert_time_zone("Asia/Tokyo").dt.strftime("%H:%M").unique().to_list()
    assert {"14:59", "15:00", "15:30"} <= set(minutes) and min(minutes) < "12:00" and max(minutes) >= "17:00"


def test_forecasts_are_revised_with_statements_between_them_and_hit_roughly() -> None:
    frame = table("statements").filter(pl.col("ForecastProfit").is_not_null())
    between = frame.filter(pl.all_horizontal(pl.col(REPORTED).is_null()))
    assert between.height > 10 and set(between["Quarter"]) <= {1, 2, 3}
    assert frame["ForecastProfit"].is_not_null().all()
    quarters = frame.filter(pl.col("Quarter") < 4).sort("Code", "PublishedAt")
    changed = quarters.group_by("Code", "FiscalYearEnd").agg(n=pl.col("ForecastProfit").n_unique())
    assert (changed["n"] > 1).mean() > 0.2 and (changed["n"] == 1).any()
    full = table("statements").filter(pl.col("Quarter") == 4).unique(["Code", "FiscalYearEnd"], keep="first")
    hit = quarters.unique(["Code", "FiscalYearEnd"], keep="last").join(full, on=["Code", "FiscalYearEnd"])
    error = (hit["Sales_right"] / hit["ForecastSales"] - 1).abs()
    assert hit.height > 20 and error.median() < 0.1
    plain = table("statements")
    assert plain["ForecastProfit"].null_count() > plain.height * 0.01  # some companies publish none
    assert plain.drop_nulls("Sales")["OperatingProfit"].null_count() > 0


def test_corrections_come_later_under_the_same_quarter_and_change_figures() -> None:
    frame = table("statements").drop_nulls("Sales").sort("Code", "FiscalYearEnd", "Quarter", "PublishedAt")
    versions = frame.group_by("Code", "FiscalYearEnd", "Quarter", maintain_order=True).agg("Sales", "PublishedAt")
    twice = versions.filter(pl.col("Sales").list.len() == 2)
    assert 0.08 < twice.height / versions.height < 0.35
    assert (twice["Sales"].list.first() != twice["Sales"].list.last()).mean() > 0.95


def test_shares_follow_splits() -> None:
    splits = batch(split_rate=0.02, stocks=60, end="2020-12-30")
    factors = splits.quotes.filter(pl.col("AdjustmentFactor") != 1.0)
    code = factors["Code"].mode().sort()[0]
    rows = splits.beside["statements"].filter(pl.col("Code") == code).drop_nulls("SharesOutstanding")
    assert rows["SharesOutstanding"].n_unique() > 1
    first, last = rows["SharesOutstanding"][0], rows["SharesOutstanding"][-1]
    products = np.cumprod([1.0, *factors.filter(pl.col("Code") == code)["AdjustmentFactor"]])
    ratios = {round(a / b, 6) for a in products for b in products}
    assert any(abs(first / last - ratio) < 1e-3 * ratio for ratio in ratios)


def test_adjusted_shares_never_move_and_a_usual_part_of_them_is_traded_a_day() -> None:
    market = batch(split_rate=0.02, stocks=60, end="2020-12-30")
    bars = market.quotes.with_columns(cumulative=pl.col("AdjustmentFactor").cum_prod().over("Code"))
    reported = market.beside["statements"].drop_nulls("SharesOutstanding")
    held = reported.join(bars.select(*KEY, "cumulative"), on=KEY)
    held = held.with_columns(shares=pl.col("SharesOutstanding") * pl.col("cumulative"))
    held = held.group_by("Code").agg(pl.col("shares").first(), moved=pl.col("shares").max() / pl.col("shares").min())
    assert bars["cumulative"].n_unique() > 5 and held.height > 50 and held["moved"].max() < 1.001
    traded = bars.join(held, on="Code").select(
        rate=(pl.col("Volume") * pl.col("cumulative")).rolling_mean(20).over("Code") / pl.col("shares")
    )
    low, middle, high = (traded["rate"].drop_nulls().quantile(share) for share in (0.01, 0.5, 0.99))
    assert 0.0005 < low < 0.002 < middle < 0.008 < high < 0.02


def test_companies_publish_only_while_they_are_listed() -> None:
    market = batch(late_listing_share=0.5, yearly_delisting_rate=0.3)
    spans = market.quotes.group_by("Code").agg(first=pl.col("Date").min(), last=pl.col("Date").max())
    for name in ("statements", "margin"):
        rows = market.beside[name].join(spans, on="Code", how="left")
        day = "Date" if name == "statements" else "RecordDate"
        outside = rows.filter((pl.col(day) < pl.col("first")) | (pl.col(day) > pl.col("last") + pl.duration(days=10)))
        assert rows["first"].null_count() == 0 and outside.is_empty(), name


def test_investor_flow_comes_on_the_fourth_trading_day_after_its_week_and_is_corrected_later() -> None:
    frame, days = table("investor_flow"), list(busy().days)
    later = [days.index(day) - days.index(end) for day, end in frame.select("Date", "PeriodEnd").iter_rows()]
    assert set(later) == {4, 9} and later.count(9) < later.count(4) / 2
    assert frame["PublishedAt"].dt.convert_time_zone("Asia/Tokyo").dt.strftime("%H:%M").unique().to_list() == ["18:00"]
    week = frame.filter(pl.col("PeriodEnd") == frame["PeriodEnd"][10])
    same = pl.col("Date").is_between(week["PeriodStart"][0], week["PeriodEnd"][0])
    turnover = busy().quotes.filter(same)["TurnoverValue"].sum()
    assert week.unique("Section")["Total"].sum() == pytest.approx(2 * turnover, rel=0.15)
    assert (frame["ForeignNet"].abs() < frame["Total"]).all() and frame["Section"].n_unique() == 3


def test_margin_is_weekly_for_all_and_daily_for_some_with_gaps_and_undated_weeks() -> None:
    frame, days = table("margin"), list(busy().days)
    weekly, daily = frame.filter(pl.col("Kind") == "weekly"), frame.filter(pl.col("Kind") == "daily")
    listed = busy().quotes["Code"].n_unique()
    firsts = weekly.unique(["Code", "RecordDate"], keep="first")
    a_week = firsts.group_by("RecordDate").len()["len"]
    assert a_week.min() > 0.7 * listed and 0 < daily.height < weekly.height
    later = {days.index(day) - days.index(end) for day, end in firsts.select("Date", "RecordDate").iter_rows()}
    assert later == {2}
    undated = firsts.filter(pl.col("PublishedAt").is_null())
    assert 0 < undated["RecordDate"].n_unique() < 20
    assert 0.02 < weekly["MarginLong"].null_count() / weekly.height < 0.08
    assert weekly["MarginShort"].null_count() and (weekly["MarginShort"] == 0).any()
    assert weekly.height > firsts.height  # corrections
    assert not frame.select(pl.col("MarginLong", "MarginShort").min() < 0).to_numpy().any()


def test_short_selling_is_a_ratio_of_each_sector_and_day() -> None:
    frame = table("short_selling")
    assert frame.height == len(busy().days) * 10 and (frame["Date"] == frame["RecordDate"]).all()
    assert frame["ShortRatio"].drop_nulls().is_between(0.05, 0.9).all() and frame["ShortRatio"].null_count() > 10
    assert set(frame["Sector"]) >= set(busy().quotes["Sector"])


def equal_weighted(quotes: pl.DataFrame) -> pl.DataFrame:
    """The index's return by polars alone: mean over names of close over the last earlier close, splits undone."""
    rows = quotes.sort("Code", "Date").with_columns(cumulative=pl.col("AdjustmentFactor").cum_prod().over("Code"))
    rows = rows.drop_nulls("Close").with_columns(adjusted=pl.col("Close") / pl.col("cumulative"))
    rows = rows.with_columns(moved=pl.col("adjusted") / pl.col("adjusted").shift(1).over("Code") - 1)
    return rows.group_by("Date").agg(pl.col("moved").mean()).sort("Date")


def test_the_index_moves_as_its_names_do() -> None:
    market = batch(index_weighting="equal", missing_row_rate=0.0)
    index = market.beside["indices"]
    assert index["IndexCode"].unique().to_list() == ["TOPIX"]
    moved = index.select("Date", index=pl.col("Close") / pl.col("Close").shift(1) - 1)
    both = moved.join(equal_weighted(market.quotes), on="Date").slice(1)
    assert np.allclose(both["index"], both["moved"], atol=2e-5)
    inside = index.select(
        (pl.col("Low") <= pl.min_horizontal("Open", "Close")) & (pl.col("High") >= pl.max_horizontal("Open", "Close"))
    )
    assert inside.to_series().all()
    cap = batch(missing_row_rate=0.0).beside["indices"]
    assert not np.allclose(cap["Close"], index["Close"], rtol=1e-3)


def test_on_an_outage_every_row_is_there_without_prices() -> None:
    quotes = busy().quotes
    still = quotes.group_by("Date").agg(traded=pl.col("Close").count(), rows=pl.len()).filter(pl.col("traded") == 0)
    assert 0 < still.height < 30 and (still["rows"] > 20).all()
    empty = table("indices").filter(pl.col("Close").is_null())
    assert empty["Date"].to_list() == still["Date"].sort().to_list()


def test_superseded_bars_differ_in_one_field_and_were_known_at_publication() -> None:
    older, quotes = table("revisions"), busy().quotes
    assert 50 < older.height < 0.02 * quotes.height
    now = older.join(quotes, on=KEY, how="left", suffix="_now")
    assert (now["KnownAt_now"] == now["SupersededAt"]).all() and (now["KnownAt"] < now["SupersededAt"]).all()
    fields = ("Open", "High", "Low", "Close", "Volume")
    changed = now.select(sum((pl.col(name) != pl.col(f"{name}_now")).cast(pl.Int8) for name in fields)).to_series()
    assert set(changed) == {1}
    for name in set(CANONICAL) - {*fields, "KnownAt", *KEY}:
        assert now[name].equals(now[f"{name}_now"], null_equal=True), name
    inside = older.select((pl.col("Low") <= pl.col("Close")) & (pl.col("Close") <= pl.col("High")))
    assert inside.to_series().all()
    truth = batch(**{**BUSY, "revision_rate": 0.0}).quotes.join(older.select(KEY), on=KEY, how="semi")
    assert truth.drop("KnownAt").equals(quotes.join(older.select(KEY), on=KEY, how="semi").drop("KnownAt"))


def test_a_later_end_restates_only_what_was_superseded_after_the_earlier_one() -> None:
    short, long = batch(end="2018-12-28", **BUSY), busy()
    common = long.only(short.days)
    differs = short.quotes.join(common.quotes, on=KEY, suffix="_later").filter(
        pl.col("KnownAt") != pl.col("KnownAt_later")
    )
    assert 0 < differs.height < 20
    assert (differs["KnownAt_later"].dt.date() > short.days[-1]).all() and (differs["Date"] >= short.days[-10]).all()
    settled = common.beside["revisions"].filter(pl.col("SupersededAt").dt.date() <= short.days[-1])
    assert settled.equals(short.beside["revisions"])
    unchanged = short.quotes.join(differs, on=KEY, how="anti")
    assert unchanged.equals(common.quotes.join(differs, on=KEY, how="anti"))


def test_a_market_that_follows_statements_needs_them() -> None:
    with pytest.raises(DataError, match="statement_strength"):
        simulate(SimulatedSource(stocks=10, statement_strength=0.1), 5)


@pytest.mark.parametrize("end", ["2018-01-04", "2018-01-05", "2018-01-12"])
def test_a_market_of_a_few_days_has_its_tables_too(end: str) -> None:
    market = batch(end=end, stocks=2, revision_rate=0.001)
    assert set(market.beside) == set(TABLES)
    assert market.beside["indices"].height == len(market.days)


def test_bars_that_are_listed_and_missing_are_told_apart() -> None:
    _, bars = simulate(SimulatedSource(stocks=30, missing_row_rate=0.05), 60)
    assert isinstance(bars, Bars) and (bars.row <= bars.listed).all() and (bars.row != bars.listed).any()
