"""The figures of the simulator before this room (model/portfolio_report/portfolio.py), where the settings say the same.

This file goes away together with that one.
"""

import numpy as np
import pytest

from model.portfolio import book
from model.portfolio import market as new_market
from model.portfolio.settings import PortfolioBookSettings
from model.portfolio_report import portfolio as old
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio.markets import market_frame, trading_days


@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize("weighting", ["equal", "inverse_volatility"])
@pytest.mark.parametrize("rebalance", ["overlapping", "every_h_days"])
def test_the_default_book_is_the_one_of_the_report(horizon: int, weighting: str, rebalance: str) -> None:
    rng = np.random.default_rng(horizon)
    shape = (90, 60)
    returns = rng.normal(0, 0.03, shape)
    returns[rng.random(shape) < 0.03] = np.nan
    entry = np.where(rng.random(shape) < 0.03, np.nan, rng.normal(0, 0.03, shape))
    frame = market_frame(returns, entry=entry, can_buy=rng.random(shape) < 0.9, can_sell=rng.random(shape) < 0.9)
    days = trading_days(90)
    scores = np.round(rng.normal(size=shape), 1)
    scores[rng.random(shape) < 0.3] = np.nan
    scores[7], scores[8, 5:] = 1.0, np.nan
    test = days[:40] + days[55:]
    rows = np.r_[0:40, 55:90]
    more = {"weighting": weighting, "rebalance": rebalance}
    before = old.simulate(scores[rows], old.dense_market(frame, test), PortfolioSettings.model_validate(more), horizon)
    now = book.simulate(
        scores[rows], new_market.dense_market(frame, test), PortfolioBookSettings.model_validate(more), horizon
    )
    for name in ("gross", "net", "turnover", "exposure"):
        np.testing.assert_allclose(getattr(now, name), getattr(before, name), rtol=0, atol=1e-13, err_msg=name)
    assert (now.unfilled_orders, now.missing_returns) == (before.unfilled_orders, before.missing_returns)


def test_every_key_of_the_report_that_concerns_the_book_has_the_same_default() -> None:
    own = PortfolioBookSettings()
    for name in ("quantile", "weighting", "rebalance", "cost_bps_per_side", "min_names", "periods_per_year"):
        assert getattr(own, name) == getattr(PortfolioSettings(), name)
