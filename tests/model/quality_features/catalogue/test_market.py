"""The market as an index, and the stock against it."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest
import talib

from model.quality_features.engine import compute_features
from model.quality_features.settings import FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
MarketMaker = Callable[[list[date], int], pl.DataFrame]
Arrays = dict[str, np.ndarray]
SETTINGS = FeatureSettings(market_index="TOPIX", groups=("returns", "volatility", "market", "relative"))
DAYS, COMPARED = 620, 60


@pytest.fixture(scope="module")
def panel(make_panel: PanelMaker) -> pl.DataFrame:
    return make_panel(DAYS, 3, seed=2, missing=0.0, members=1.0)


@pytest.fixture(scope="module")
def index(panel: pl.DataFrame, make_market: MarketMaker) -> pl.DataFrame:
    return make_market(panel["Date"].unique().sort().to_list(), 8)


@pytest.fixture(scope="module")
def level(index: pl.DataFrame) -> np.ndarray:
    return index["IndexClose"].to_numpy()


@pytest.fixture(scope="module")
def found(panel: pl.DataFrame, index: pl.DataFrame) -> Arrays:
    """Features of the first name on the newest days."""
    days = index["Date"].to_list()
    table = compute_features(panel, SETTINGS, days[-COMPARED], days[-1], threads=1, market=index)
    floats = table.filter(Code="1000A").select(pl.selectors.float())
    return {name: floats[name].cast(pl.Float64).to_numpy() for name in floats.columns}


def agree(found: np.ndarray, expected: np.ndarray, rtol: float = 2e-5, atol: float = 1e-7) -> None:
    np.testing.assert_allclose(found, expected[-len(found) :], rtol=rtol, atol=atol)


def rolled(values: np.ndarray, days: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, days)


def test_returns_of_the_market_are_those_of_the_index(found: Arrays, level: np.ndarray) -> None:
    for days in (1, 5, 10, 20, 60):
        agree(found[f"mkt_ret_{days}d"], level[days:] / level[:-days] - 1)


def test_averages_of_the_market_are_those_of_its_log_level(found: Arrays, level: np.ndarray) -> None:
    smooth = {span: talib.EMA(np.log(level), span) for span in (5, 20, 60)}
    agree(found["mkt_ema_ratio_60d"], np.log(level) - smooth[60], rtol=0.0, atol=2e-4)
    agree(found["mkt_ema_gap_5_20d"], smooth[5] - smooth[20], rtol=0.0, atol=2e-4)
    agree(found["mkt_ema_gap_20_60d"], smooth[20] - smooth[60], rtol=0.0, atol=2e-4)


def test_volatility_trend_and_drawdown_of_the_market(found: Arrays, level: np.ndarray) -> None:
    returns = level[1:] / level[:-1] - 1
    volatility = {days: np.sqrt(252) * rolled(returns, days).std(axis=1, ddof=1) for days in (20, 60)}
    agree(found["mkt_vol_20d"], volatility[20])
    agree(found["mkt_vol_60d"], volatility[60])
    agree(found["mkt_drawdown_252d"], level[252:] / rolled(level, 253).max(axis=1) - 1)
    agree(found["mkt_trend_60d"], (level[60:] > level[:-60]).astype(float))
    year = rolled(volatility[20], 252)
    z = (volatility[20][251:] - year.mean(axis=1)) / year.std(axis=1, ddof=1)
    agree(found["mkt_vol_20d_z_252d"], z, atol=1e-4)
    agree(found["mkt_high_vol"], (z > 1).astype(float))
    month = level[20:] / level[:-20] - 1
    year = rolled(month, 252)
    agree(found["mkt_ret_20d_z_252d"], (month[251:] - year.mean(axis=1)) / year.std(axis=1, ddof=1), atol=1e-4)


def test_the_stock_against_the_market_agrees_with_a_regression(
    panel: pl.DataFrame, found: Arrays, level: np.ndarray
) -> None:
    close = panel.filter(Code="1000A")["AdjClose"].to_numpy()
    own, market = close[1:] / close[:-1] - 1, level[1:] / level[:-1] - 1
    lines = [np.polyfit(x, y, 1) for x, y in zip(rolled(market, 60), rolled(own, 60), strict=True)]
    beta, alpha = np.array(lines).T
    explained = np.array(
        [np.corrcoef(x, y)[0, 1] ** 2 for x, y in zip(rolled(market, 60), rolled(own, 60), strict=True)]
    )
    agree(found["beta_60d"], beta, atol=1e-6)
    agree(found["alpha_60d"], 252 * alpha, atol=1e-5)
    agree(found["beta_stability_60d"], rolled(beta, 60).std(axis=1, ddof=1), atol=1e-6)
    agree(found["idio_vol_share_60d"], 1 - explained, atol=1e-6)
    spread = rolled(own, 60).std(axis=1, ddof=1)
    agree(found["idio_vol_60d"], np.sqrt(252) * spread * np.sqrt(1 - explained))


def test_strength_and_excess_compare_returns_over_the_same_days(
    panel: pl.DataFrame, found: Arrays, level: np.ndarray
) -> None:
    close = panel.filter(Code="1000A")["AdjClose"].to_numpy()
    for days in (20, 60):
        ratio = (close[days:] / close[:-days]) / (level[days:] / level[:-days])
        agree(found[f"rel_strength_{days}d"], ratio - 1)
    for days in (1, 5, 20):
        agree(found[f"excess_ret_{days}d"], close[days:] / close[:-days] - level[days:] / level[:-days])
