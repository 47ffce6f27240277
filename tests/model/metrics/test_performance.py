"""Portfolio figures against values worked by hand."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from model.metrics import performance as p

RETURNS = [0.01, -0.02, 0.03, 0.0, -0.01]


def test_sharpe_is_mean_over_sample_deviation_annualised() -> None:
    # mean 0.002, squared deviations sum 0.00148, std sqrt(0.00148 / 4)
    assert p.sharpe(RETURNS) == pytest.approx(0.002 / np.sqrt(0.00148 / 4) * np.sqrt(252))


def test_sortino_divides_by_the_downside_over_all_days() -> None:
    assert p.sortino(RETURNS) == pytest.approx(0.002 / np.sqrt((0.02**2 + 0.01**2) / 5) * np.sqrt(252))


def test_the_drawdown_is_measured_from_the_highest_wealth_with_its_dates() -> None:
    # wealth 1.01 0.99 1.02 1.02 1.01: deepest fall 0.02 after day 0, regained on day 2
    assert p.max_drawdown(RETURNS) == p.Drawdown(pytest.approx(-0.02), 0, 1, 2)


def test_a_loss_from_the_first_day_on_counts_from_the_start_and_may_not_recover() -> None:
    assert p.max_drawdown([-0.01, -0.02, 0.01]) == p.Drawdown(pytest.approx(-0.03), -1, 1, None)


def test_wealth_that_never_falls_has_no_drawdown_and_no_calmar() -> None:
    found = p.max_drawdown([0.01, 0.0, 0.02])
    assert found is not None and found.depth == 0.0
    assert p.calmar([0.01, 0.0, 0.02]) is None
    assert p.sortino([0.01, 0.0, 0.02]) is None


def test_calmar_is_annual_return_over_depth() -> None:
    assert p.calmar(RETURNS) == pytest.approx(0.002 * 252 / 0.02)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=40))
def test_the_drawdown_is_the_worst_pair_of_days(returns: list[float]) -> None:
    wealth = np.concatenate([[0.0], np.cumsum(returns)])
    worst = min(wealth[j] - wealth[i] for i in range(len(wealth)) for j in range(i, len(wealth)))
    found = p.max_drawdown(returns)
    assert found is not None
    assert found.depth == pytest.approx(worst, abs=1e-12)
    if found.depth < 0:
        assert wealth[found.trough + 1] - wealth[found.peak + 1] == pytest.approx(worst, abs=1e-12)


def test_the_probabilistic_sharpe_ratio_is_bailey_and_lopez_de_prados_example() -> None:
    # The Sharpe Ratio Efficient Frontier: 24 months, SR 0.458, skewness -2.448, kurtosis 10.164 gives about 0.913
    ratio, n, skewness, kurtosis = 0.458, 24, -2.448, 10.164
    z = ratio * np.sqrt(n - 1) / np.sqrt(1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2)
    assert norm.cdf(z) == pytest.approx(0.913, abs=0.001)
    x = np.random.default_rng(0).standard_t(4, 300) * 0.01 + 0.001
    own = x.mean() / x.std(ddof=1)
    standard = (x - x.mean()) / x.std()
    g3, g4 = (standard**3).mean(), (standard**4).mean()
    expected = norm.cdf(own * np.sqrt(299) / np.sqrt(1 - g3 * own + (g4 - 1) / 4 * own**2))
    assert p.probabilistic_sharpe(x) == pytest.approx(expected)


def test_the_expected_maximum_is_that_of_simulated_trials() -> None:
    draws = np.random.default_rng(0).normal(size=(20000, 100)).max(axis=1).mean()
    assert p.expected_maximum_sharpe(100, 1.0) == pytest.approx(draws, rel=0.02)
    assert p.expected_maximum_sharpe(100, 0.25) == pytest.approx(0.5 * p.expected_maximum_sharpe(100, 1.0))


def test_more_trials_deflate_more_and_one_trial_not_at_all() -> None:
    x = np.random.default_rng(1).normal(0.001, 0.01, 500)
    by_trials = [p.deflated_sharpe(x, trials) for trials in (1, 2, 10, 100, 1000)]
    assert by_trials[0] == p.probabilistic_sharpe(x)
    assert by_trials == sorted(by_trials, reverse=True)
    with pytest.raises(ValueError, match="trials"):
        p.deflated_sharpe(x, 0)


@pytest.mark.parametrize("returns", [[], [np.nan], [0.01], [0.01, 0.01]])
def test_no_spread_means_no_sharpe(returns: list[float]) -> None:
    assert p.sharpe(returns) is None
    assert p.probabilistic_sharpe(returns) is None
    assert p.deflated_sharpe(returns, 10) is None


def test_years_are_separate() -> None:
    days = [date(2019, 12, 30), date(2019, 12, 31), date(2020, 1, 2), date(2020, 1, 3)]
    table = p.yearly_table(days, [0.01, -0.02, 0.03, 0.01])
    assert table["year"].to_list() == [2019, 2020]
    assert table["total"].to_list() == pytest.approx([-0.01, 0.04])
    assert table["max_drawdown"].to_list() == pytest.approx([-0.02, 0.0])
    assert table["n"].to_list() == [2, 2]


def test_a_record_of_the_minimum_length_is_just_sure_enough() -> None:
    x = np.random.default_rng(4).standard_t(5, 400) * 0.01 + 0.0008
    days = p.minimum_track_record(x, confidence=0.95)
    assert days is not None
    ratio = p.sharpe_per_day(x)
    assert ratio is not None
    standard = (x - x.mean()) / x.std()
    variance = 1 - (standard**3).mean() * ratio + ((standard**4).mean() - 1) / 4 * ratio**2
    assert norm.cdf(ratio * np.sqrt(days - 1) / np.sqrt(variance)) == pytest.approx(0.95)
    assert p.minimum_track_record(-x) is None
    assert p.minimum_track_record(x, benchmark_per_day=ratio) is None


def test_months_add_up_to_the_years() -> None:
    days = [date(2019, 12, 30), date(2019, 12, 31), date(2020, 1, 2), date(2020, 3, 3)]
    table = p.monthly_table(days, [0.01, -0.02, np.nan, 0.01])
    assert table.rows() == [(2019, 12, 2, pytest.approx(-0.01)), (2020, 3, 1, pytest.approx(0.01))]
