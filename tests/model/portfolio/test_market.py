"""The dense market: what lies where, and what is refused."""

import numpy as np
import polars as pl
import pytest

from model.errors import DataError
from model.portfolio.market import TYPICAL_VOLATILITY, Rows, code_positions, dense_grid, dense_market
from tests.model.portfolio.markets import market_frame, market_of, trading_days


def test_volatility_is_that_of_the_last_twenty_returns_known_on_the_day() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.02, (150, 3))
    returns[60:64, 1] = np.nan
    volatility = market_of(returns).volatility
    assert np.isnan(volatility[:10]).all()
    assert volatility[10] == pytest.approx(returns[:10].std(axis=0, ddof=1))
    for day in (30, 64, 65, 128, 149):
        window = returns[day - 20 : day]
        assert volatility[day] == pytest.approx(np.nanstd(window, axis=0, ddof=1))


def test_the_days_median_stands_in_for_an_unknown_volatility_and_traded_value() -> None:
    returns = np.tile([0.01, -0.01], (10, 1)).reshape(20, 1) * np.array([1.0, 2.0, 4.0, np.nan])
    market = market_of(
        np.where(np.isnan(returns), np.nan, returns), turnover_20=np.full((20, 4), [1.0, 2.0, 6.0, np.nan])
    )
    assert market.known_volatility[15, 3] == pytest.approx(market.volatility[15, 1])
    assert market.known_volatility[0].tolist() == [TYPICAL_VOLATILITY] * 4  # nobody's is known yet
    assert market.known_traded_value[0].tolist() == [1.0, 2.0, 6.0, 2.0]


def test_who_hardly_trades_counts_as_the_least_traded_and_not_as_typical() -> None:
    value = np.array([[5.0, 0.0, 6.0, np.nan], [0.0, 0.0, 0.0, 0.0]])
    market = market_of(np.zeros((2, 4)), turnover_20=value)
    assert market.known_traded_value.tolist() == [[5.0, 5.0, 6.0, 5.0], [1.0] * 4]


def test_rows_in_any_order_give_the_same_market() -> None:
    rng = np.random.default_rng(0)
    frame = market_frame(rng.normal(0, 0.02, (6, 4)), Sector=np.array([list("ABAB")] * 6))
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    one, two = dense_market(frame, trading_days(6)), dense_market(shuffled, trading_days(6))
    np.testing.assert_array_equal(one.calendar_returns, two.calendar_returns)
    assert one.sector is not None and two.sector is not None
    np.testing.assert_array_equal(one.sector, two.sector)
    assert one.codes == two.codes and one.sectors == two.sectors == ("A", "B")


def test_days_whose_next_day_is_unknown_are_no_portfolio_days() -> None:
    assert len(market_of([[0.1, 0.0], [np.nan, np.nan]]).dates) == 1
    with pytest.raises(DataError, match="following day"):
        market_of(np.full((2, 2), np.nan))
    with pytest.raises(DataError, match="-100 %"):
        market_of([[-1.0, 0.0]])


def test_a_day_has_a_close_where_a_return_runs_into_it_or_out_of_it() -> None:
    returns = np.zeros((5, 2))
    returns[1:3, 0] = np.nan  # suspended on day 2
    returns[3:, 1] = np.nan  # its last day is day 3
    market = market_of(returns)
    assert market.unpriced[:, 0].tolist() == [False, False, True, False, False]
    assert market.unpriced[:, 1].tolist() == [False, False, False, False, True]
    assert not market.no_entry.any() and not market.shut(exit_at_entry=False).any()


def test_a_day_without_any_price_inside_the_test_is_a_day_on_which_nothing_can_be_traded() -> None:
    returns, opens = np.zeros((6, 2)), np.zeros((6, 2))
    returns[2:4] = np.nan  # nobody trades on day 3
    opens[2] = np.nan
    at_close, at_open = market_of(returns), market_of(returns, entry=opens)
    assert len(at_close.dates) == len(at_open.dates) == 6 and len(at_close.runs) == 1
    assert at_close.entry_at_close and not at_open.entry_at_close
    assert np.flatnonzero(at_close.no_entry).tolist() == [3] and np.flatnonzero(at_open.no_entry).tolist() == [2]
    assert at_open.shut(exit_at_entry=False).tolist() == at_close.no_entry.tolist()
    assert (
        at_close.can_buy.all(axis=1).tolist() == at_close.can_sell.all(axis=1).tolist() == (~at_close.no_entry).tolist()
    )


def test_a_stock_has_ended_only_when_no_return_comes_any_more() -> None:
    returns = np.zeros((4, 2))
    returns[1, 0], returns[2:, 1] = np.nan, np.nan
    assert market_of(returns).ended[:, 0].tolist() == [False] * 4
    assert market_of(returns).ended[:, 1].tolist() == [False, False, True, True]


def test_a_predicted_code_without_a_market_is_refused() -> None:
    with pytest.raises(DataError, match="99990"):
        code_positions(pl.Series(["00000", "99990"]), ["00000", "00010"])


def test_predictions_off_the_grid_of_days_are_left_out() -> None:
    market = market_of(np.zeros((2, 2)), test=trading_days(1))
    rows = pl.DataFrame({"Date": trading_days(2), "Code": ["00000", "00010"], "score": [1.0, 2.0]})
    found = Rows.on(rows, market).floats("score")
    assert found.shape == (1, 2)
    assert found[0, 0] == 1.0 and np.isnan(found[0, 1])


def test_predictions_without_a_market_lie_on_the_grid_of_their_own_days_and_codes() -> None:
    days = trading_days(2)
    rows = pl.DataFrame({"Date": [days[1], days[0]], "Code": ["00010", "00000"], "score": [1.0, 2.0]})
    grid = dense_grid(rows)
    assert (grid.dates, grid.codes) == (tuple(days), ("00000", "00010"))
    assert Rows.on(rows, grid).floats("score")[[0, 1], [0, 1]].tolist() == [2.0, 1.0]
