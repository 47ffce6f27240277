"""The technical group and the averages against TA-Lib, after the finite memories have filled."""

import numpy as np
import pytest
import talib

Bars = dict[str, np.ndarray]
Series = dict[str, np.ndarray]


def agree(found: np.ndarray, expected: np.ndarray, *, rtol: float = 2e-5, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(found, expected[-len(found) :], rtol=rtol, atol=atol)


def hlc(bars: Bars) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return bars["high"], bars["low"], bars["close"]


@pytest.mark.parametrize("days", [2, 14])
def test_rsi_is_ta_libs(bars: Bars, series: Series, days: int) -> None:
    agree(series[f"rsi_{days}"], talib.RSI(bars["close"], days), rtol=0.0, atol=0.02)


def test_the_change_of_rsi_is_over_five_days(bars: Bars, series: Series) -> None:
    rsi = talib.RSI(bars["close"], 14)
    agree(series["rsi_14_change_5d"][5:], rsi[5:] - rsi[:-5], rtol=0.0, atol=0.02)


def test_macd_over_the_close_is_ta_libs(bars: Bars, series: Series) -> None:
    parts = talib.MACD(bars["close"], 12, 26, 9)
    for name, part in zip(("macd_line", "macd_signal", "macd_hist"), parts, strict=True):
        agree(series[name], part / bars["close"], rtol=0.0, atol=2e-5)


def test_bollinger_bands_are_ta_libs(bars: Bars, series: Series) -> None:
    upper, middle, lower = talib.BBANDS(bars["close"], 20, 2.0, 2.0)
    agree(series["bollinger_b_20d"], (bars["close"] - lower) / (upper - lower), rtol=1e-4, atol=1e-5)
    agree(series["bollinger_width_20d"], (upper - lower) / middle, rtol=1e-4)


def test_average_true_range_is_ta_libs(bars: Bars, series: Series) -> None:
    agree(series["natr_14"], talib.NATR(*hlc(bars), 14), rtol=1e-3)
    atr = talib.ATR(*hlc(bars), 14)
    agree(series["atr_14_ratio_60d"], atr / talib.SMA(atr, 60) - 1, rtol=0.0, atol=1e-3)


def test_directional_indices_are_ta_libs(bars: Bars, series: Series) -> None:
    agree(series["plus_di_14"], talib.PLUS_DI(*hlc(bars), 14), rtol=0.0, atol=0.02)
    agree(series["minus_di_14"], talib.MINUS_DI(*hlc(bars), 14), rtol=0.0, atol=0.02)
    agree(series["adx_14"], talib.ADX(*hlc(bars), 14), rtol=0.0, atol=0.05)


def test_the_stochastic_is_ta_libs(bars: Bars, series: Series) -> None:
    k, d = talib.STOCHF(*hlc(bars), fastk_period=14, fastd_period=3)
    agree(series["stoch_k_14"], k, atol=1e-5)
    agree(series["stoch_d_14_3"], d, atol=1e-5)


def test_the_place_within_the_range_is_ta_libs(bars: Bars, series: Series) -> None:
    lowest, highest = talib.MIN(bars["low"], 60), talib.MAX(bars["high"], 60)
    agree(series["price_position_60d"], (bars["close"] - lowest) / (highest - lowest))


def test_the_commodity_channel_index_is_ta_libs(bars: Bars, series: Series) -> None:
    agree(series["cci_20"], talib.CCI(*hlc(bars), 20), rtol=1e-4, atol=1e-3)


def test_on_balance_volume_moves_as_ta_libs(bars: Bars, series: Series) -> None:
    level = talib.OBV(bars["close"], bars["volume"])
    traded = talib.SUM(bars["volume"], 20)
    agree(series["obv_20d"], (level[20:] - level[:-20]) / traded[20:])


@pytest.mark.parametrize("days", [5, 10, 20, 60, 120])
def test_the_price_over_simple_averages_is_ta_libs(bars: Bars, series: Series, days: int) -> None:
    agree(series[f"sma_ratio_{days}d"], bars["close"] / talib.SMA(bars["close"], days) - 1, atol=1e-7)


@pytest.mark.parametrize(("span", "cut_off"), [(5, 1e-5), (10, 2e-4), (20, 2e-4), (60, 2e-4), (200, 6e-3)])
def test_the_price_over_exponential_averages_is_ta_libs(bars: Bars, series: Series, span: int, cut_off: float) -> None:
    """What the finite memory cuts off is 0.6 % of the weight at 200 days, else 0.04 %; prices differ by less than 1."""
    agree(series[f"ema_ratio_{span}d"], bars["close"] / talib.EMA(bars["close"], span) - 1, rtol=0.0, atol=cut_off)


def test_gaps_slopes_and_distance_are_built_of_ta_libs_averages(bars: Bars, series: Series) -> None:
    close = bars["close"]
    simple = {days: talib.SMA(close, days) for days in (5, 20, 60, 120)}
    smooth = {span: talib.EMA(close, span) for span in (5, 20, 60, 200)}
    for short, long in ((5, 20), (20, 60)):
        agree(series[f"sma_gap_{short}_{long}d"], simple[short] / simple[long] - 1, atol=1e-7)
        agree(series[f"ema_gap_{short}_{long}d"], smooth[short] / smooth[long] - 1, rtol=0.0, atol=2e-4)
    for days in (20, 60, 120):
        agree(series[f"sma_slope_{days}d"], simple[days][5:] / simple[days][:-5] - 1, atol=1e-7)
    for span in (20, 60):
        agree(series[f"ema_slope_{span}d"], smooth[span][5:] / smooth[span][:-5] - 1, rtol=0.0, atol=2e-4)
    distance = (close - smooth[200]) / talib.ATR(*hlc(bars), 14)
    agree(series["ema_distance_200d"], distance, rtol=0.0, atol=0.2)


def test_the_slow_part_is_that_of_a_fourier_transform(bars: Bars, series: Series) -> None:
    returns = np.diff(np.log(bars["close"]))
    spectrum = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(returns, 64), axis=1)
    spectrum[:, 3:] = 0
    agree(series["low_freq_ret_64d"], np.fft.irfft(spectrum, axis=1)[:, -1], rtol=1e-4, atol=1e-7)
