"""On which days a book that is renewed every h days begins anew."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.portfolio.settings import PortfolioBookSettings
from model.portfolio.targets import rebalance_days
from tests.model.portfolio.markets import market_of, simulate, trading_days

EVERY_H = PortfolioBookSettings(min_names=2, quantile=0.5, rebalance="every_h_days")


def starts(usable: list[bool], horizon: int) -> list[int]:
    """Numbers of the days on which a sleeve starts."""
    market = market_of(np.zeros((len(usable), 2)))
    return np.flatnonzero(rebalance_days(np.array(usable), market, EVERY_H, horizon)[0]).tolist()


@given(first=st.integers(1, 15), second=st.integers(1, 15), horizon=st.integers(1, 6))
def test_daily_rankings_are_traded_on_every_h_th_day_of_a_run(first: int, second: int, horizon: int) -> None:
    calendar = trading_days(first + second + 2)
    market = market_of(np.zeros((len(calendar), 2)), test=calendar[:first] + calendar[first + 2 :])
    found, share = rebalance_days(np.ones(first + second, dtype=bool), market, EVERY_H, horizon)
    assert share == 1.0
    assert found.tolist() == [n % horizon == 0 for n in (*range(first), *range(second))]


@given(usable=st.lists(st.booleans(), min_size=1, max_size=40), horizon=st.integers(1, 6))
def test_a_position_of_h_days_gives_way_to_the_first_ranking_that_comes(usable: list[bool], horizon: int) -> None:
    expected, free_from = [], 0
    for day, there in enumerate(usable):
        if there and day >= free_from:
            expected.append(day)
            free_from = day + horizon
    assert starts(usable, horizon) == expected


def test_a_week_with_a_holiday_costs_a_weekly_ranking_one_week() -> None:
    weekly = [day in {0, 5, 9, 14, 19} for day in range(24)]
    assert starts(weekly, 5) == [0, 5, 14, 19]


@pytest.mark.parametrize("thin", [[2.0, np.nan, np.nan, np.nan], [1.0, 1.0, 1.0, 1.0]])
def test_a_day_with_too_few_names_or_one_score_puts_a_start_off_by_a_day_and_not_by_h(thin: list[float]) -> None:
    scores = np.tile([4.0, 3.0, 2.0, 1.0], (12, 1))
    scores[4] = thin
    found = simulate(scores, market_of(np.zeros((12, 4))), EVERY_H, 4)
    # Renewed on days 0, 5 and 9; sold on day 4.
    assert found.exposure.tolist() == [2.0] * 4 + [0.0] + [2.0] * 7
    assert np.flatnonzero(found.turnover[:-1]).tolist() == [0, 4, 5]
