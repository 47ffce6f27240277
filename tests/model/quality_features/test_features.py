"""Feature values: by hand, and against independent plain implementations."""

import math
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from model.quality_features.engine import compute_features
from model.quality_features.settings import FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
SETTINGS = FeatureSettings(minimum_sector_names=1)


def panel_of(bars: dict[str, list[tuple[float, float, float, float, float]]], sector: str | None = "S") -> pl.DataFrame:
    """Codes with (open, high, low, close, volume) a day; every row is a universe member."""
    rows = [
        (date(2020, 1, 1) + timedelta(days=day), code, *bar, bar[3] * bar[4], sector, True)
        for code, days in bars.items()
        for day, bar in enumerate(days)
    ]
    names = [
        "Date",
        "Code",
        "AdjOpen",
        "AdjHigh",
        "AdjLow",
        "AdjClose",
        "AdjVolume",
        "TurnoverValue",
        "Sector",
        "InUniverse",
    ]
    return pl.DataFrame(rows, schema_overrides={"Sector": pl.String}, schema=names, orient="row").sort("Date", "Code")


def last_row(panel: pl.DataFrame, code: str, settings: FeatureSettings = SETTINGS) -> dict[str, float]:
    day = panel["Date"].max()
    assert isinstance(day, date)
    return compute_features(panel, settings, day, day, threads=1).filter(pl.col("Code") == code).row(0, named=True)


def test_returns_ranges_and_volume_by_hand() -> None:
    bars = [(10.0, 12.0, 8.0, 10.0, 100.0)] * 4 + [(10.0, 12.0, 8.0, 10.0, 300.0), (11.0, 14.0, 10.0, 13.0, 500.0)]
    row = last_row(panel_of({"A": bars}), "A")
    assert row["ret_1d"] == row["ret_5d"] == pytest.approx(0.3)
    assert row["logret_1d"] == pytest.approx(math.log(1.3))
    assert row["ret_overnight"] == pytest.approx(0.1)
    assert row["ret_intraday"] == pytest.approx(2 / 11)
    assert row["range_1d"] == pytest.approx(0.4)
    assert row["close_from_high"] == pytest.approx(0.25)
    assert row["volume_ratio_5d"] == pytest.approx(500 / ((3 * 100 + 300 + 500) / 5))
    assert row["sma_ratio_5d"] == pytest.approx(13 / ((4 * 10 + 13) / 5) - 1)
    assert row["vol_5d"] == pytest.approx(np.std([0, 0, 0, 0, 0.3], ddof=1) * math.sqrt(252))
    assert row["ret_20d"] is None and row["sma_ratio_20d"] is None
    assert row["valid_5d"] and not row["valid_20d"]


def test_market_sector_and_ranks_by_hand() -> None:
    def close(*prices: float) -> list[tuple[float, float, float, float, float]]:
        return [(p, p, p, p, 10.0) for p in prices]

    panel = panel_of({"A": close(100, 110), "B": close(100, 90), "C": close(100, 106)})
    panel = panel.with_columns(Sector=pl.when(pl.col("Code") == "C").then(pl.lit("T")).otherwise(pl.lit("S")))
    row = last_row(panel, "A")
    assert row["mkt_ret_1d"] == pytest.approx(0.02)
    assert row["excess_ret_1d"] == pytest.approx(0.08)
    assert row["sector_ret_1d"] == pytest.approx(0.0, abs=1e-7)
    assert row["ret_1d_vs_sector"] == pytest.approx(0.1)
    assert row["xs_rank_ret_1d"] == pytest.approx(5 / 6)
    thin = last_row(panel, "C", FeatureSettings(minimum_sector_names=2))
    assert thin["sector_ret_1d"] is None


def test_range_volatilities_of_identical_days_by_hand() -> None:
    row = last_row(panel_of({"A": [(100.0, 110.0, 95.0, 105.0, 1000.0)] * 30}), "A")
    annual = math.sqrt(252)
    assert row["parkinson_20d"] == pytest.approx(annual * math.log(110 / 95) / math.sqrt(4 * math.log(2)))
    term = math.log(110 / 105) * math.log(110 / 100) + math.log(95 / 105) * math.log(95 / 100)
    assert row["rogers_satchell_20d"] == pytest.approx(annual * math.sqrt(term))
    k = 0.34 / (1.34 + 21 / 19)
    assert row["yang_zhang_20d"] == pytest.approx(annual * math.sqrt((1 - k) * term), rel=1e-5)
    assert row["vol_20d"] == 0.0
    assert row["rsi_14"] == 50.0
    assert row["amihud_20d"] is None
    assert row["bollinger_b_20d"] is None
    assert row["low_freq_ret_64d"] is None


def test_features_without_sectors_are_null_and_the_rest_is_there(make_panel: PanelMaker) -> None:
    row = last_row(make_panel(90, 6, missing=0.0, sectors=0), "1000A")
    assert row["sector_ret_5d"] is None and row["ret_5d_vs_sector"] is None
    assert row["beta_60d"] is not None and row["obv_20d"] is not None


@pytest.fixture(scope="module")
def bars() -> dict[str, np.ndarray]:
    rng = np.random.Generator(np.random.PCG64(11))
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 400)))
    high, low = close * (1 + rng.uniform(0, 0.03, 400)), close * (1 - rng.uniform(0, 0.03, 400))
    return {"high": high, "low": low, "close": close, "volume": rng.uniform(100, 1000, 400)}


@pytest.fixture(scope="module")
def technical(bars: dict[str, np.ndarray]) -> dict[str, float]:
    rows = zip(bars["close"], bars["high"], bars["low"], bars["close"], bars["volume"], strict=True)
    return last_row(panel_of({"A": [tuple(float(v) for v in row) for row in rows]}), "A")  # type: ignore[misc]


def wilder(values: np.ndarray, days: int) -> np.ndarray:
    """Wilder's recursion, seeded with the mean of the first values as in his book (1978)."""
    smooth = np.full(len(values), np.nan)
    smooth[days - 1] = values[:days].mean()
    for t in range(days, len(values)):
        smooth[t] = (smooth[t - 1] * (days - 1) + values[t]) / days
    return smooth


def recursive_ema(values: np.ndarray, span: int) -> np.ndarray:
    smooth = values.copy()
    for t in range(1, len(values)):
        smooth[t] = smooth[t - 1] + 2 / (span + 1) * (values[t] - smooth[t - 1])
    return smooth


def true_range(b: dict[str, np.ndarray]) -> np.ndarray:
    before = b["close"][:-1]
    return np.maximum.reduce(
        [b["high"] - b["low"], *(np.abs(b[k] - np.append(np.nan, before)) for k in ("high", "low"))]
    )[1:]


def test_rsi_agrees_with_wilders_recursion(bars: dict[str, np.ndarray], technical: dict[str, float]) -> None:
    change = np.diff(bars["close"])
    for days, tolerance in ((14, 0.02), (2, 0.02)):
        gain, loss = wilder(np.maximum(change, 0), days)[-1], wilder(np.maximum(-change, 0), days)[-1]
        assert technical[f"rsi_{days}"] == pytest.approx(100 - 100 / (1 + gain / loss), abs=tolerance)


def test_natr_agrees_with_wilders_recursion(bars: dict[str, np.ndarray], technical: dict[str, float]) -> None:
    assert technical["natr_14"] == pytest.approx(100 * wilder(true_range(bars), 14)[-1] / bars["close"][-1], rel=1e-3)


def test_adx_agrees_with_wilders_recursion(bars: dict[str, np.ndarray], technical: dict[str, float]) -> None:
    up, down = np.diff(bars["high"]), -np.diff(bars["low"])
    plus = wilder(np.where((up > down) & (up > 0), up, 0.0), 14)
    minus = wilder(np.where((down > up) & (down > 0), down, 0.0), 14)
    atr = wilder(true_range(bars), 14)
    di_plus, di_minus = plus / atr, minus / atr
    index = (100 * np.abs(di_plus - di_minus) / (di_plus + di_minus))[13:]
    assert technical["adx_14"] == pytest.approx(wilder(index, 14)[-1], abs=0.05)


def test_macd_agrees_with_the_recursion(bars: dict[str, np.ndarray], technical: dict[str, float]) -> None:
    line = recursive_ema(bars["close"], 12) - recursive_ema(bars["close"], 26)
    expected = (line - recursive_ema(line, 9))[-1] / bars["close"][-1]
    assert technical["macd_hist"] == pytest.approx(expected, abs=2e-5)


def test_other_indicators_agree_with_their_definitions(
    bars: dict[str, np.ndarray], technical: dict[str, float]
) -> None:
    close, high, low = bars["close"], bars["high"], bars["low"]
    mean, spread = close[-20:].mean(), close[-20:].std()
    assert technical["bollinger_b_20d"] == pytest.approx((close[-1] - mean + 2 * spread) / (4 * spread), rel=1e-5)
    assert technical["bollinger_width_20d"] == pytest.approx(4 * spread / mean, rel=1e-5)
    lowest, highest = low[-14:].min(), high[-14:].max()
    assert technical["stoch_k_14"] == pytest.approx(100 * (close[-1] - lowest) / (highest - lowest), rel=1e-5)
    typical = (high + low + close)[-20:] / 3
    deviation = np.abs(typical - typical.mean()).mean()
    assert technical["cci_20"] == pytest.approx((typical[-1] - typical.mean()) / (0.015 * deviation), rel=1e-4)
    sign, volume = np.sign(np.diff(close))[-20:], bars["volume"][-20:]
    assert technical["obv_20d"] == pytest.approx((sign * volume).sum() / volume.sum(), rel=1e-5)
    returns = (close[1:] / close[:-1] - 1)[-60:]
    assert technical["sharpe_60d"] == pytest.approx(math.sqrt(252) * returns.mean() / returns.std(ddof=1), rel=1e-4)
    slow = np.fft.rfft(np.diff(np.log(close))[-64:])
    slow[3:] = 0
    assert technical["low_freq_ret_64d"] == pytest.approx(np.fft.irfft(slow)[-1], rel=1e-5)


def test_beta_and_idiosyncratic_share_agree_with_a_regression(make_panel: PanelMaker) -> None:
    panel = make_panel(120, 5, missing=0.0, members=1.0)
    closes = panel.pivot(on="Code", index="Date", values="AdjClose").drop("Date").to_numpy()
    returns = closes[1:] / closes[:-1] - 1
    market = returns.mean(axis=1)
    slope, _ = np.polyfit(market[-60:], returns[-60:, 0], 1)
    row = last_row(panel, "1000A")
    assert row["beta_60d"] == pytest.approx(slope, rel=1e-5)
    share = 1 - np.corrcoef(market[-60:], returns[-60:, 0])[0, 1] ** 2
    assert row["idio_vol_share_60d"] == pytest.approx(share, rel=1e-5)
    level = np.cumprod(np.append(1.0, 1 + market))
    assert row["mkt_drawdown_252d"] is None
    assert row["mkt_ret_20d"] == pytest.approx(level[-1] / level[-21] - 1, rel=1e-5)
