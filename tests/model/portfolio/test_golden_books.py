"""Books whose profit and costs are worked out on paper."""

import numpy as np
import pytest

from model.errors import DataError
from model.portfolio.book import Simulation
from model.portfolio.fills import REASONS
from model.portfolio.settings import PortfolioBookSettings
from tests.model.portfolio.markets import market_of, simulate

BEST_FIRST = np.array([[4.0, 3.0, 2.0, 1.0]])


def book(**more: object) -> PortfolioBookSettings:
    return PortfolioBookSettings.model_validate({"quantile": 0.5, "min_names": 2, "cost_bps_per_side": 0.0} | more)


def unfilled(found: Simulation, reason: str) -> list[int]:
    """Orders of each day that were not filled for a reason."""
    orders: list[int] = found.unfilled.orders[REASONS.index(reason)].tolist()
    return orders


def test_two_stocks_over_two_days_on_paper() -> None:
    market = market_of([[0.10, 0.00], [-0.10, 0.05]])
    found = simulate(np.array([[1.0, 0.0], [0.0, 1.0]]), market, book(cost_bps_per_side=10.0), 1)
    # day 0: +1 and -1; day 1: the legs flip, the long one having grown to 1.1; at the end +1.05 and -0.9 are closed
    assert found.gross == pytest.approx([0.10, 0.05 + 0.10])
    assert found.turnover == pytest.approx([2.0, 2.1 + 2.0 + 1.05 + 0.9])
    assert found.costs.commission == pytest.approx(found.turnover * 0.001)
    assert found.net == pytest.approx(found.gross - found.turnover * 0.001)
    assert found.exposure == pytest.approx([2.0, 2.0])
    assert found.net_exposure == pytest.approx([0.0, 0.0])
    assert found.names.tolist() == [2, 2]
    assert (found.benchmark, found.benchmark_return.tolist()) == ("cash", [0.0, 0.0])


def test_a_full_flip_of_both_legs_is_four_sides() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = simulate(scores, market_of(np.zeros((3, 2))), book(), 1)
    assert found.turnover.tolist() == [2.0, 4.0, 0.0 + 2.0]


def test_the_first_day_earns_the_entry_return_and_later_days_close_to_close() -> None:
    scores = np.array([[1.0, 0.0], [np.nan, np.nan]])
    market = market_of(np.full((2, 2), [0.01, 0.0]), entry=np.full((2, 2), [0.20, 0.0]))
    assert simulate(scores, market, book(), 2).gross == pytest.approx([0.5 * 0.20, 0.5 * 1.2 * 0.01])


def test_inverse_volatility_holds_less_of_the_wild_stock() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 1, (40, 4)) * np.array([0.04, 0.01, 0.01, 0.01])
    market = market_of(returns)
    found = simulate(np.tile(BEST_FIRST, (40, 1)), market, book(weighting="inverse_volatility"), 1, keep_positions=True)
    assert found.positions is not None
    assert found.positions[0] == pytest.approx([0.5, 0.5, -0.5, -0.5])  # nobody's volatility is known yet
    known = 1.0 / returns[19:39].std(axis=0, ddof=1)
    long, short = known[:2] / known[:2].sum(), known[2:] / known[2:].sum()
    assert found.positions[39] == pytest.approx([*long, *-short])


def test_every_cost_component_on_paper() -> None:
    # Capital 1,000,000; each of four names trades 10,000,000 a day; 12 days of +-1 % give a volatility known exactly.
    returns = np.where(np.arange(13)[:, None] % 2, 0.01, -0.01) * np.ones(4)
    returns[12] = [0.02, 0.0, 0.0, -0.01]
    scores = np.full((13, 4), np.nan)
    scores[12] = BEST_FIRST[0]
    costs = {"commission_bps": 3.0, "half_spread_bps": 2.0, "impact_coefficient": 0.5, "borrow_bps_per_year": 252.0}
    market = market_of(returns, turnover_20=np.full((13, 4), 1e7))
    found = simulate(scores, market, book(costs=costs, execution={"capital": 1e6}), 1)
    volatility = np.sqrt(12 * 0.01**2 / 11)
    # In: four orders of 0.5; out: 0.51, -0.5, -0.5 and 0.495 (the short leg's value fell by 1 %).
    out = [0.51, 0.5, 0.5, 0.495]
    assert found.gross[12] == pytest.approx(0.5 * 0.02 + 0.5 * 0.01)
    assert found.turnover[12] == pytest.approx(4 * 0.5 + sum(out))
    assert found.costs.commission[12] == pytest.approx(3e-4 * (2.0 + sum(out)))
    assert found.costs.half_spread[12] == pytest.approx(2e-4 * (2.0 + sum(out)))
    paid = [size * 0.5 * volatility * np.sqrt(size * 1e6 / 1e7) for size in [0.5] * 4 + out]
    assert found.costs.impact[12] == pytest.approx(sum(paid))
    assert found.costs.borrow[12] == pytest.approx(1.0 * 0.0252 / 252)
    total = found.costs.commission + found.costs.half_spread + found.costs.impact + found.costs.borrow
    assert found.net == pytest.approx(found.gross - total)
    assert found.costs.total[:12].tolist() == [0.0] * 12


def test_at_its_capacity_impact_eats_half_of_the_gross() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.01, (60, 6))
    value = rng.uniform(1e6, 1e8, (60, 6))
    market = market_of(returns, turnover_20=value)
    first = simulate(returns, market, book(), 2)
    assert first.capacity is not None
    at_capacity = book(costs={"impact_coefficient": 1.0}, execution={"capital": first.capacity})
    found = simulate(returns, market, at_capacity, 2)
    assert found.costs.impact.mean() == pytest.approx(found.gross.mean() / 2)
    assert found.capacity == pytest.approx(first.capacity)
    harder = simulate(returns, market, book(costs={"impact_coefficient": 2.0}, execution={"capital": 1.0}), 2)
    assert harder.capacity == pytest.approx(first.capacity / 4)


def test_a_book_that_loses_has_no_capacity_and_a_market_without_volumes_none() -> None:
    market = market_of(np.full((3, 4), [[-0.01, 0.0, 0.0, 0.01]]), turnover_20=np.full((3, 4), 1e6))
    assert simulate(np.tile(BEST_FIRST, (3, 1)), market, book(), 1).capacity is None
    assert simulate(BEST_FIRST, market_of([[0.1, 0.0, 0.0, 0.0]]), book(), 1).capacity is None


def test_long_only_is_judged_against_the_equal_weight_universe() -> None:
    market = market_of([[0.10, 0.02, -0.04, 0.04]])
    found = simulate(BEST_FIRST, market, book(book="long_only", top_k=1), 1)
    assert found.gross == pytest.approx([0.10])
    assert found.net_exposure == pytest.approx([1.0])
    assert found.names.tolist() == [1]
    assert found.benchmark == "equal-weight universe"
    assert found.benchmark_return == pytest.approx([(0.10 + 0.02 - 0.04 + 0.04) / 4])


def test_long_only_of_all_names_is_its_benchmark() -> None:
    rng = np.random.default_rng(0)
    returns, scores = rng.normal(0, 0.02, (30, 5)), rng.normal(size=(30, 5))
    for weighting, name in (("equal", "equal-weight universe"), ("inverse_volatility", "inverse-volatility universe")):
        settings = book(book="long_only", top_k=5, weighting=weighting)
        found = simulate(scores, market_of(returns), settings, 3)
        assert found.benchmark == name
        np.testing.assert_allclose(found.gross, found.benchmark_return, atol=1e-15)


def test_the_sector_neutral_book_on_paper() -> None:
    # Sector A: names 0 to 3, B: 4 and 5, C: 6 alone (no pair, left out), 7 without sector (left out).
    scores = np.array([[8.0, 7.0, 2.0, 1.0, 6.0, 5.0, 9.0, 0.0]])
    returns = [[0.04, 0.02, 0.01, -0.02, 0.03, -0.03, 0.5, 0.5]]
    sector = np.array([["A", "A", "A", "A", "B", "B", "C", None]])
    market = market_of(returns, Sector=sector)
    found = simulate(scores, market, book(book="sector_neutral", quantile=0.25), 1, keep_positions=True)
    # Each leg: 4/6 in A's one name, 2/6 in B's.
    assert found.gross == pytest.approx([4 / 6 * (0.04 + 0.02) + 2 / 6 * (0.03 + 0.03)])
    assert found.exposure == pytest.approx([2.0])
    assert found.positions is not None
    assert found.positions[0] == pytest.approx([4 / 6, 0.0, 0.0, -4 / 6, 2 / 6, -2 / 6, 0.0, 0.0])


def test_a_sector_neutral_book_of_one_sector_is_the_long_short_book() -> None:
    rng = np.random.default_rng(0)
    returns, scores = rng.normal(0, 0.02, (12, 7)), rng.normal(size=(12, 7))
    scores[rng.random((12, 7)) < 0.2] = np.nan
    market = market_of(returns, Sector=np.full((12, 7), "A"))
    for weighting in ("equal", "inverse_volatility"):
        plain, neutral = (
            simulate(scores, market, book(book=name, quantile=0.3, weighting=weighting), 3)
            for name in ("long_short", "sector_neutral")
        )
        np.testing.assert_allclose(plain.gross, neutral.gross, atol=1e-14)
        np.testing.assert_allclose(plain.turnover, neutral.turnover, atol=1e-14)


def test_entries_are_rounded_to_whole_trading_units() -> None:
    # Capital 1,000,000: the long order is 500,000 a name. At 2,100 a share that is 2 units of 100 (420,000); at 6,000
    # none; the shorts divide exactly.
    market = market_of([[0.10, 0.10, 0.0, 0.10]], price=[[2100.0, 6000.0, 50.0, 5000.0]])
    found = simulate(BEST_FIRST, market, book(execution={"capital": 1e6, "lot_size": 100}), 1, keep_positions=True)
    assert found.positions is not None
    assert found.positions[0] == pytest.approx([0.42, 0.0, -0.5, -0.5])
    assert found.gross == pytest.approx([0.042 - 0.05])
    assert unfilled(found, "lot") == [1]
    assert found.unfilled.weight.sum(axis=0) == pytest.approx([0.08 + 0.5])


def test_orders_beyond_the_volume_cap_are_cut() -> None:
    # 10 % of a median traded value of 2,000,000 is 200,000: a weight of 0.2 where 0.5 was wanted.
    market = market_of([[0.10, 0.10, 0.0, 0.0]], turnover_20=[[2e6, 1e9, np.nan, 1e9]])
    settings = book(execution={"capital": 1e6, "max_participation": 0.1})
    found = simulate(BEST_FIRST, market, settings, 1, keep_positions=True)
    assert found.positions is not None
    assert found.positions[0] == pytest.approx([0.2, 0.5, 0.0, -0.5])
    assert unfilled(found, "volume_cap") == [2]


def test_blocked_entries_stay_in_cash_and_are_counted_by_reason() -> None:
    market = market_of(
        [[0.5, 0.1, 0.1, 0.5]], can_buy=[[False, False, True, True]], can_sell=[[True, False, True, False]]
    )
    found = simulate(BEST_FIRST, market, book(), 1)
    assert [unfilled(found, reason) for reason in ("not_traded", "limit_up", "limit_down")] == [[1]] * 3
    assert found.unfilled_orders == 3
    assert found.gross == pytest.approx([-0.5 * 0.1])


def test_a_book_that_cannot_leave_holds_on_and_leaves_when_it_can() -> None:
    # One long and one short a day; the long of day 0 is locked limit-down on days 1 and 2 and falls 10 % each day.
    returns = [[-0.1, 0.0, 0.0, 0.0], [-0.1, 0.0, 0.0, 0.0], [-0.1, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    locked = np.ones((4, 4), dtype=bool)
    locked[1:3, 0] = False
    scores = np.array([[4.0, 3.0, 2.0, 1.0], [1.5, 4.0, 2.0, 1.0], [1.5, 4.0, 2.0, 1.0], [1.5, 4.0, 2.0, 1.0]])
    settings = book(quantile=0.25, execution={"exits": "constrained"})
    found = simulate(scores, market_of(returns, can_sell=locked), settings, 1, keep_positions=True)
    assert found.positions is not None
    assert found.positions[:, 0] == pytest.approx([1.0, 0.9, 0.81, 0.0])
    assert found.gross == pytest.approx([-0.1, -0.09, -0.081, 0.0])
    assert unfilled(found, "limit_down") == [0, 1, 1, 0]
    # In: 1 + 1; the new long 1, nothing out; nothing; the old long out at 0.729; at the end 1 + 1.
    assert found.turnover == pytest.approx([2.0, 1.0, 0.0, 0.729 + 2.0])
    freely = simulate(scores, market_of(returns, can_sell=locked), book(quantile=0.25), 1)
    assert freely.gross == pytest.approx([-0.1, 0.0, 0.0, 0.0])


def test_a_delisted_stock_is_settled_at_its_last_price() -> None:
    returns = np.zeros((4, 4))
    returns[0, 0], returns[1:, 0] = -0.3, np.nan
    gone = np.ones((4, 4), dtype=bool)
    gone[:, 0] = [True, False, False, False]
    scores = np.array([[4.0, 3.0, 2.0, 1.0]] + [[np.nan, 4.0, 2.0, 1.0]] * 3)
    settings = book(quantile=0.25, execution={"exits": "constrained"})
    found = simulate(scores, market_of(returns, can_buy=gone, can_sell=gone), settings, 1, keep_positions=True)
    assert found.gross == pytest.approx([-0.3, 0.0, 0.0, 0.0])
    assert found.positions is not None
    assert found.positions[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert found.unfilled_orders == 0


def test_a_suspended_stock_is_held_and_earns_the_whole_gap_when_it_trades_again() -> None:
    # Closes 100, 110, none, none, 88, 88: held from day 0 on although its sleeve ends on day 1.
    close = np.full((6, 4), 50.0)
    close[:, 0] = [100.0, 110.0, np.nan, np.nan, 88.0, 88.0]
    returns = np.full((6, 4), np.nan)
    returns[:-1] = close[1:] / close[:-1] - 1.0
    trades_next = np.ones((6, 4), dtype=bool)
    trades_next[1:3, 0] = False
    scores = np.array([[4.0, 3.0, 2.0, 1.0]] + [[np.nan, 4.0, 2.0, 1.0]] * 4)
    columns = {"can_buy": trades_next, "can_sell": trades_next, "close": close}
    settings = book(quantile=0.25, execution={"exits": "constrained", "suspended": "gap"})
    found = simulate(scores, market_of(returns, suspended="gap", **columns), settings, 1, keep_positions=True)
    assert found.positions is not None
    # The order of day 3 could be filled on day 4, but there is no close of day 3 to fill it at: sold at that of day 4.
    assert found.positions[:, 0] == pytest.approx([1.0, 1.1, 1.1, 1.1, 0.0])
    assert found.gross == pytest.approx([0.1, 0.0, 0.0, 1.1 * (88 / 110 - 1), 0.0])
    assert found.turnover[4] == pytest.approx(0.88 + 1.0 + 1.0)
    assert found.missing_returns == 2
    flat = simulate(scores, market_of(returns, **columns), settings, 1)
    assert flat.gross == pytest.approx([0.1, 0.0, 0.0, 0.0, 0.0])
    assert flat.missing_returns == 3


@pytest.mark.parametrize("book_", [{"execution": {"exits": "always"}}, {"execution": {"exits": "constrained"}}])
def test_at_the_close_the_price_of_an_exit_is_the_close_whatever_the_setting(book_: dict[str, dict[str, str]]) -> None:
    # Name 0 has no close on day 3 and comes back 20 % lower; a sleeve of day 1 ends on day 3.
    close = np.full((8, 4), 50.0)
    close[:, 0] = [100.0, 100.0, 100.0, np.nan, 80.0, 80.0, 80.0, 80.0]
    returns = np.full((8, 4), np.nan)
    returns[:-1] = close[1:] / close[:-1] - 1.0
    traded = ~np.isnan(close)
    scores = np.tile([4.0, 3.0, 2.0, 1.0], (8, 1))
    scores[3:, 0] = np.nan
    market = market_of(returns, suspended="gap", close=close, can_buy=traded, can_sell=traded)
    found = [
        simulate(scores[:7], market, book(quantile=0.25, execution=execution | {"suspended": "gap"}), 2)
        for price in ("label", "entry")
        for execution in [book_["execution"] | {"exit_price": price}]
    ]
    # Half of the capital a sleeve: that of day 2 is held over the gap, and that of day 1 where it cannot leave.
    assert found[0].gross.sum() == pytest.approx(-0.2 * (0.5 if book_["execution"]["exits"] == "always" else 1.0))
    for name in ("gross", "net", "turnover", "exposure"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))


def test_a_position_beyond_the_volume_cap_is_left_in_parts() -> None:
    # The cap is 0.4 a day: in over one day only 0.4 of 1.0; the volume then dries up to 0.1 a day.
    value = np.full((5, 4), 1e9)
    value[:, 0] = [4e6, 1e6, 1e6, 1e6, 1e9]
    scores = np.array([[4.0, 3.0, 2.0, 1.0]] + [[np.nan, 4.0, 2.0, 1.0]] * 4)
    execution = {"exits": "constrained", "capital": 1e6, "max_participation": 0.1}
    settings = book(quantile=0.25, execution=execution)
    found = simulate(scores, market_of(np.zeros((5, 4)), turnover_20=value), settings, 1, keep_positions=True)
    assert found.positions is not None
    assert found.positions[:, 0] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])
    assert unfilled(found, "volume_cap") == [1, 1, 1, 1, 0]


def test_the_next_open_leaves_the_night_out_or_in_as_the_exit_price_says() -> None:
    # Close to close +10 %, of which the night 5 % (so the day 1.1 / 1.05 - 1). The same stock is held again on day 1.
    night, whole = 0.05, 0.10
    by_day = (1 + whole) / (1 + night) - 1
    returns = np.full((2, 2), [whole, 0.0])
    market = market_of(returns, entry=np.full((2, 2), [by_day, 0.0]))
    scores = np.array([[1.0, 0.0], [1.0, 0.0]])
    as_label = simulate(scores, market, book(), 1)
    assert as_label.gross == pytest.approx([by_day, by_day])
    at_open = simulate(scores, market, book(execution={"exit_price": "entry"}), 1)
    assert at_open.gross == pytest.approx([by_day, (1 + by_day) * night + by_day])
    # sold at the open at (1 + by_day)(1 + night) = 1 + whole and bought at 1: the net order is the growth
    assert at_open.turnover == pytest.approx([2.0, whole + (1 + by_day) + 1.0])
    walked = simulate(scores, market, book(execution={"exit_price": "entry", "exits": "constrained"}), 1)
    assert walked.gross == pytest.approx(at_open.gross)


def test_renewing_every_h_days_trades_only_on_those_days() -> None:
    rng = np.random.default_rng(0)
    found = simulate(rng.normal(size=(7, 4)), market_of(rng.normal(0, 0.01, (7, 4))), book(rebalance="every_h_days"), 3)
    assert (found.turnover[[0, 3, 6]] > 0).all()
    assert found.turnover[[1, 2, 4, 5]] == pytest.approx(np.zeros(4), abs=1e-15)
    assert found.exposure[[0, 3, 6]] == pytest.approx([2.0, 2.0, 2.0])


def test_overlapping_sleeves_of_two_days_on_paper() -> None:
    # Half of the capital a sleeve: day 0 buys 0 and sells 1; day 1 the other way round, while the first is held.
    market = market_of([[0.10, 0.0], [0.10, 0.0], [0.0, 0.0]])
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan]])
    found = simulate(scores, market, book(), 2)
    assert found.gross == pytest.approx([0.05, 0.55 * 0.10 - 0.05, 0.0])
    # Day 2: the first sleeve leaves at 0.605 and 0.5; the end closes the second at 0.55 and 0.5.
    assert found.turnover == pytest.approx([1.0, 1.0, 0.605 + 0.5 + 0.55 + 0.5])


def test_settings_without_the_columns_they_need_are_refused() -> None:
    market = market_of([[0.1, 0.0, 0.0, 0.0]])
    with pytest.raises(DataError, match="price"):
        simulate(BEST_FIRST, market, book(execution={"capital": 1e6, "lot_size": 100}), 1)
    with pytest.raises(DataError, match="turnover_20"):
        simulate(BEST_FIRST, market, book(execution={"capital": 1e6, "max_participation": 0.1}), 1)
    with pytest.raises(DataError, match="turnover_20"):
        simulate(BEST_FIRST, market, book(costs={"impact_coefficient": 1.0}, execution={"capital": 1e6}), 1)
    with pytest.raises(DataError, match="Sector"):
        simulate(BEST_FIRST, market, book(book="sector_neutral"), 1)
    with pytest.raises(DataError, match="close"):
        market_of([[0.1, 0.0]], suspended="gap")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"costs": {"impact_coefficient": 1.0}}, "capital"),
        ({"execution": {"lot_size": 100}}, "capital"),
        ({"execution": {"max_participation": 0.1}}, "capital"),
        ({"book": "sector_neutral", "top_k": 3}, "top_k"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(more: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        book(**more)
