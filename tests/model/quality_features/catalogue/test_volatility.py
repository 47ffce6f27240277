"""Returns, volatility, ranges and volume against plain formulas."""

import math

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

Bars = dict[str, np.ndarray]
Series = dict[str, np.ndarray]
ANNUAL = math.sqrt(252)


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected[-len(found) :], rtol=2e-5, atol=1e-7)


def rolled(values: np.ndarray, days: int) -> np.ndarray:
    return sliding_window_view(values, days)


@pytest.mark.parametrize("days", [1, 5, 10, 20, 60, 120])
def test_returns_compare_with_the_close_some_days_ago(bars: Bars, series: Series, days: int) -> None:
    ratio = bars["close"][days:] / bars["close"][:-days]
    agree(series[f"ret_{days}d"], ratio - 1)
    agree(series[f"logret_{days}d"], np.log(ratio))


def test_a_return_is_its_overnight_and_its_intraday_part(series: Series) -> None:
    agree((1 + series["ret_overnight"]) * (1 + series["ret_intraday"]) - 1, series["ret_1d"])


@pytest.mark.parametrize("days", [5, 10, 20, 60])
def test_volatility_is_the_annualised_standard_deviation(bars: Bars, series: Series, days: int) -> None:
    returns = bars["close"][1:] / bars["close"][:-1] - 1
    agree(series[f"vol_{days}d"], ANNUAL * rolled(returns, days).std(axis=1, ddof=1))


def test_volatility_of_volatility_is_the_spread_of_the_five_day_one(bars: Bars, series: Series) -> None:
    returns = bars["close"][1:] / bars["close"][:-1] - 1
    weekly = ANNUAL * rolled(returns, 5).std(axis=1, ddof=1)
    agree(series["vol_of_vol_20d"], rolled(weekly, 20).std(axis=1, ddof=1))


def rogers_satchell(bars: Bars) -> np.ndarray:
    opening, high, low, close = (np.log(bars[name]) for name in ("open", "high", "low", "close"))
    return (high - close) * (high - opening) + (low - close) * (low - opening)


@pytest.mark.parametrize("days", [20, 60])
def test_range_estimators_follow_their_papers(bars: Bars, series: Series, days: int) -> None:
    opening, high, low, close = (np.log(bars[name]) for name in ("open", "high", "low", "close"))
    parkinson = rolled((high - low) ** 2, days).mean(axis=1) / (4 * math.log(2))
    agree(series[f"parkinson_{days}d"], ANNUAL * np.sqrt(parkinson))
    drift_free = rolled(rogers_satchell(bars), days).mean(axis=1)
    agree(series[f"rogers_satchell_{days}d"], ANNUAL * np.sqrt(drift_free))
    overnight = rolled(opening[1:] - close[:-1], days).var(axis=1, ddof=1)
    within = rolled(close - opening, days).var(axis=1, ddof=1)[1:]
    k = 0.34 / (1.34 + (days + 1) / (days - 1))
    agree(series[f"yang_zhang_{days}d"], ANNUAL * np.sqrt(overnight + k * within + (1 - k) * drift_free[1:]))


def test_illiquidity_is_amihuds_in_logs(bars: Bars, series: Series) -> None:
    returns = bars["close"][1:] / bars["close"][:-1] - 1
    agree(series["amihud_20d"], np.log(rolled(np.abs(returns) / bars["turnover"][1:], 20).mean(axis=1)))


def test_range_and_volume_are_measured_against_their_past(bars: Bars, series: Series) -> None:
    high, low, close, volume, turnover = (bars[name] for name in ("high", "low", "close", "volume", "turnover"))
    agree(series["range_1d"], high / low - 1)
    agree(series["range_20d"], rolled(high / low - 1, 20).mean(axis=1))
    agree(series["close_from_high"], (high - close) / (high - low))
    for days in (5, 20):
        agree(series[f"volume_ratio_{days}d"], volume[days - 1 :] / rolled(volume, days).mean(axis=1))
    month = rolled(volume, 20)
    agree(series["volume_z_20d"], (volume[19:] - month.mean(axis=1)) / month.std(axis=1, ddof=1))
    agree(series["turnover_ratio_5_20d"], rolled(turnover, 5).mean(axis=1)[15:] / rolled(turnover, 20).mean(axis=1))
    agree(series["log_turnover_1d"], np.log(turnover))
    agree(series["log_turnover_20d"], np.log(rolled(turnover, 20).mean(axis=1)))


def test_sharpe_ratios_and_two_sigma_days_follow_from_the_returns(bars: Bars, series: Series) -> None:
    returns = bars["close"][1:] / bars["close"][:-1] - 1
    for days in (20, 60):
        window = rolled(returns, days)
        np.testing.assert_allclose(
            series[f"sharpe_{days}d"],
            (ANNUAL * window.mean(axis=1) / window.std(axis=1, ddof=1))[-len(series["sharpe_20d"]) :],
            rtol=1e-4,
            atol=1e-4,
        )
    quarter = rolled(returns, 60)
    far = np.abs(returns[59:] - quarter.mean(axis=1)) > 2 * quarter.std(axis=1, ddof=1)
    agree(series["flag_two_sigma"], far.astype(float))
    assert 0 < series["flag_two_sigma"].sum() < 30
