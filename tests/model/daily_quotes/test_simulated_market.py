"""The simulated market: reproducible, extendable, and as messy as a market."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.daily_quotes.calendar import trading_days
from model.daily_quotes.settings import CalendarSettings, SimulatedSource
from model.daily_quotes.sources.simulated.market import simulate
from model.daily_quotes.sources.simulated.source import SimulatedMarket
from model.daily_quotes.sources.simulated.structure import structure
from model.errors import DataError, SettingsError

JPX = CalendarSettings()


def market(end: str = "2018-12-28", **keys: object) -> SimulatedMarket:
    values = {"stocks": 40, "start": "2018-01-04", "end": end, "seed": 3, **keys}
    return SimulatedMarket(settings=SimulatedSource.model_validate(values), calendar=JPX)


def whole(source: SimulatedMarket) -> pl.DataFrame:
    return source.read(list(source.index().days)).quotes


@pytest.fixture(scope="module")
def eventful() -> pl.DataFrame:
    return whole(
        market(
            end="2020-12-30",
            stocks=80,
            yearly_delisting_rate=0.1,
            suspension_rate=0.005,
            missing_row_rate=0.005,
            jump_rate=0.02,
            split_rate=0.005,
        )
    )


def test_the_same_settings_give_the_same_bits_and_another_seed_does_not() -> None:
    first, again, other = (market(end="2018-06-29", seed=seed) for seed in (3, 3, 4))
    assert first.index() == again.index()
    assert whole(first).equals(whole(again))
    assert set(first.index().days.values()).isdisjoint(other.index().days.values())


@settings(max_examples=5, deadline=None)
@given(extra=st.integers(1, 400), stocks=st.sampled_from([3, 40, 61]))
def test_a_later_end_adds_days_and_changes_none(extra: int, stocks: int) -> None:
    values = SimulatedSource.model_validate({"stocks": stocks, "seed": 5})
    _, short = simulate(values, 60)
    _, long = simulate(values, 60 + extra)
    for name, values_short in vars(short).items():
        assert values_short.tobytes() == vars(long)[name][:60].tobytes(), name


def test_the_index_of_a_longer_market_keeps_the_earlier_days() -> None:
    short, long = market(end="2018-06-29").index().days, market(end="2018-09-28").index().days
    assert short.items() <= long.items() and len(short) < len(long)


def test_it_trades_on_the_days_of_the_exchange() -> None:
    days = market(end="2019-06-28").index().days
    assert tuple(days) == trading_days(JPX, date(2018, 1, 4), date(2019, 6, 28))
    source = SimulatedMarket(settings=SimulatedSource(), calendar=CalendarSettings(exchange="from_data"))
    with pytest.raises(SettingsError, match="from_data"):
        source.index()
    with pytest.raises(DataError, match="no trading day"):
        market(start="2018-01-01", end="2018-01-03").index()


def test_codes_are_strings_of_five_and_some_carry_letters(eventful: pl.DataFrame) -> None:
    codes = eventful["Code"].unique().to_list()
    assert {len(code) for code in codes} == {5} and any("A" in code for code in codes)
    for stocks in (2, 150, 5000):
        assert len(set(structure(SimulatedSource(stocks=stocks)).codes)) == stocks


def test_prices_lie_within_their_range_and_within_the_daily_limit(eventful: pl.DataFrame) -> None:
    priced = eventful.drop_nulls("Close")
    inside = priced.select(
        (pl.col("Low") <= pl.min_horizontal("Open", "Close")) & (pl.col("High") >= pl.max_horizontal("Open", "Close"))
    )
    assert inside.to_series().all() and priced["Low"].min() >= 1.0
    assert (priced["Volume"] >= 100).all() and (priced["Volume"] % 100 == 0).all()
    limit = priced.filter(pl.col("UpperLimit"))
    assert limit.height > 20 and (limit["Close"] == limit["High"]).all()
    locked = limit.filter((pl.col("Open") == pl.col("Close")) & (pl.col("Low") == pl.col("Close")))
    assert 0.2 < locked.height / limit.height < 0.9
    assert priced.filter(pl.col("UpperLimit") & pl.col("LowerLimit")).is_empty()


def test_splits_move_the_price_and_leave_the_adjusted_price_alone(eventful: pl.DataFrame) -> None:
    adjusted = eventful.with_columns(
        before=pl.col("Close").shift(1).over("Code"), then=pl.col("Date").shift(1).over("Code")
    ).filter(pl.col("AdjustmentFactor") != 1.0)
    assert adjusted.height > 20 and (adjusted["AdjustmentFactor"] < 1).any()
    moved = adjusted.drop_nulls("before").select(
        raw=(pl.col("Close") / pl.col("before") - 1).abs(),
        fair=(pl.col("Close") / pl.col("before") / pl.col("AdjustmentFactor") - 1).abs(),
    )
    assert moved["raw"].median() > 0.4 and moved["fair"].median() < 0.05


def test_stocks_list_leave_are_suspended_and_miss_rows(eventful: pl.DataFrame) -> None:
    days = eventful["Date"].unique().sort()
    spans = eventful.group_by("Code").agg(first=pl.col("Date").min(), last=pl.col("Date").max(), rows=pl.len())
    assert (spans["first"] > days[0]).any() and (spans["last"] < days[-1]).any()
    suspended = eventful.filter(pl.col("Close").is_null())
    assert suspended.height > 100
    assert suspended.select("Open", "High", "Low").null_count().row(0) == (suspended.height,) * 3
    assert (suspended["Volume"] == 0).all()
    position = {day: place for place, day in enumerate(days)}
    complete = sum(position[last] - position[first] + 1 for _, first, last, _ in spans.iter_rows())
    assert 50 < complete - spans["rows"].sum() < 1000


def test_volatility_clusters_and_stocks_of_a_cluster_move_together() -> None:
    values = SimulatedSource(stocks=60, seed=9, jump_rate=0.0)
    fixed, bars = simulate(values, 600)
    with np.errstate(invalid="ignore"):
        returns = bars.close[1:] / bars.close[:-1] / bars.factor[1:] - 1.0
    full = ~np.isnan(returns).any(axis=0)
    returns = returns[:, full]
    size = np.abs(returns.mean(axis=1))
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.05
    correlation = np.corrcoef(returns.T) * np.outer(
        np.sign(fixed.cluster_loading[full]), np.sign(fixed.cluster_loading[full])
    )
    same = fixed.cluster[full][:, None] == fixed.cluster[full][None, :]
    off = ~np.eye(len(same), dtype=bool)
    assert correlation[same & off].mean() > correlation[~same].mean() + 0.2
    assert 0.01 < returns.std() < 0.035
