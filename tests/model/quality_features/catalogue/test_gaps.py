"""Days without a price: an outage of the exchange, a missing index level, a bar of which the gate kept the close."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest

from model.quality_features.engine import compute_features
from model.quality_features.settings import FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
DAYS, CODES = 290, 40
OUTAGE = 270
PRICES = ("AdjOpen", "AdjHigh", "AdjLow", "AdjClose")


@pytest.fixture(scope="module")
def panel(make_panel: PanelMaker) -> pl.DataFrame:
    return make_panel(DAYS, CODES, seed=5, missing=0.0, members=1.0)


@pytest.fixture(scope="module")
def days(panel: pl.DataFrame) -> list[date]:
    return panel["Date"].unique(maintain_order=True).to_list()


def closed(panel: pl.DataFrame, day: date) -> pl.DataFrame:
    """The panel with a day on which nothing traded and nobody is a member."""
    hit = pl.col("Date") == day
    return panel.with_columns(
        *(pl.when(~hit).then(name).alias(name) for name in PRICES),
        AdjVolume=pl.when(hit).then(0.0).otherwise("AdjVolume"),
        InUniverse=pl.col("InUniverse") & ~hit,
    )


def value(panel: pl.DataFrame, day: date, name: str, market: pl.DataFrame | None = None, **chosen: str) -> float | None:
    table = compute_features(panel, FeatureSettings(**chosen), day, day, names=[name], threads=1, market=market)
    found: float | None = table[name][0]
    return found


@pytest.mark.parametrize("later", [1, 3, 15])
def test_what_happened_across_an_outage_is_in_the_markets_return_over_several_days(
    panel: pl.DataFrame, days: list[date], later: int
) -> None:
    day = days[OUTAGE + later]
    close = panel["AdjClose"].to_numpy().reshape(DAYS, CODES)
    steps = [t for t in range(OUTAGE + later - 19, OUTAGE + later + 1) if t != OUTAGE]
    from_day = {t: OUTAGE - 1 if t == OUTAGE + 1 else t - 1 for t in steps}
    moves = [np.mean(close[t] / close[before] - 1) for t, before in from_day.items()]
    shut = closed(panel, days[OUTAGE])
    assert value(shut, day, "mkt_ret_20d") == pytest.approx(np.prod(1 + np.array(moves)) - 1, rel=1e-4)
    apart = compute_features(shut, FeatureSettings(), day, day, names=["excess_ret_20d"])["excess_ret_20d"]
    whole = compute_features(panel, FeatureSettings(), day, day, names=["excess_ret_20d"])["excess_ret_20d"]
    assert apart.mean() == pytest.approx(whole.mean(), abs=2e-3)


def test_on_the_days_around_an_outage_there_is_no_return_over_one_day(panel: pl.DataFrame, days: list[date]) -> None:
    shut = closed(panel, days[OUTAGE])
    found = [value(shut, days[t], "mkt_ret_1d") for t in (OUTAGE - 1, OUTAGE, OUTAGE + 1, OUTAGE + 2)]
    assert [each is None for each in found] == [False, True, True, False]


def test_a_missing_level_of_the_index_leaves_its_longer_returns_and_the_regression_right(
    panel: pl.DataFrame, days: list[date]
) -> None:
    rng = np.random.Generator(np.random.PCG64(8))
    level = 1000 * np.exp(np.cumsum(rng.normal(0, 0.01, DAYS)))
    holed = level.copy()
    holed[OUTAGE] = np.nan
    market = pl.DataFrame({"Date": days, "IndexClose": holed}).with_columns(pl.col("IndexClose").fill_nan(None))
    t = OUTAGE + 5
    found = {
        name: value(panel, days[t], name, market, market_index="TOPIX")
        for name in ("mkt_ret_20d", "mkt_drawdown_252d", "beta_60d", "alpha_60d", "idio_vol_60d")
    }
    assert found["mkt_ret_20d"] == pytest.approx(level[t] / level[t - 20] - 1, rel=1e-5)
    highest = np.nanmax(holed[t - 251 : t + 1])
    assert found["mkt_drawdown_252d"] == pytest.approx(level[t] / highest - 1, rel=1e-4, abs=1e-6)
    close = panel["AdjClose"].to_numpy().reshape(DAYS, CODES)[:, 0]
    own, index = (series[t - 59 : t + 1] / series[t - 60 : t] - 1 for series in (close, holed))
    both = np.isfinite(index)
    beta, alpha = np.polyfit(index[both], own[both], 1)
    assert both.sum() == 58
    assert found["beta_60d"] == pytest.approx(beta, rel=1e-4)
    assert found["alpha_60d"] == pytest.approx(252 * alpha, rel=1e-4)
    left = own[both] - alpha - beta * index[both]
    assert found["idio_vol_60d"] == pytest.approx(np.sqrt(252 * (left**2).sum() / (both.sum() - 1)), rel=1e-4)


def test_a_price_that_stood_still_has_no_channel_index_however_many_days_are_missing(make_panel: PanelMaker) -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    panel = make_panel(60, 200, missing=0.0, members=1.0)
    price = np.tile(np.round(rng.uniform(1, 5000, 200), 1), (60, 1))
    price[:-1][rng.random((59, 200)) < 0.1] = np.nan
    still = panel.with_columns(*(pl.Series(name, price.ravel(), nan_to_null=True) for name in PRICES))
    last = panel["Date"][-1]
    found = compute_features(still, FeatureSettings(), last, last, names=["cci_20", "sma_ratio_20d"])
    assert found["sma_ratio_20d"].count() > 100
    assert found["cci_20"].count() == 0


def test_a_close_whose_high_and_low_were_refused_stays_within_the_range(panel: pl.DataFrame, days: list[date]) -> None:
    t = OUTAGE
    hit = pl.col("Date") == days[t]
    spike = panel.with_columns(
        AdjClose=pl.when(hit).then(pl.col("AdjClose") * 1.5).otherwise("AdjClose"),
        **{name: pl.when(~hit).then(name) for name in ("AdjOpen", "AdjHigh", "AdjLow")},
    )
    for name, top in (("stoch_k_14", 100.0), ("price_position_60d", 1.0)):
        found = [value(spike, days[t + later], name) for later in (0, 1)]
        assert found[0] == top and found[1] is not None and 0.0 <= found[1] < top


def test_every_feature_has_a_value_where_every_day_is_asked_for_and_none_is_missing(make_panel: PanelMaker) -> None:
    panel = make_panel(1100, 8, missing=0.0, members=1.0)
    panel = panel.with_columns(AdjVolume=pl.col("AdjVolume").clip(lower_bound=1.0))
    last = panel["Date"][-1]
    whole = FeatureSettings(minimum_share=1.0, minimum_sector_names=1)
    found = compute_features(panel, whole, last, last)
    half = compute_features(panel, FeatureSettings(minimum_share=0.5, minimum_sector_names=1), last, last)
    missing = [name for name in found.columns if found[name].null_count() > half[name].null_count()]
    assert missing == []
