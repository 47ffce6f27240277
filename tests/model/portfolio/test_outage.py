"""A day on which the whole exchange stands still: nothing is traded, and what is held earns the move over it."""

from typing import Any

import numpy as np
import pytest

from model.metrics.ranked import Sorted
from model.portfolio.book import Simulation, returns_of_ranking
from model.portfolio.market import Market
from model.portfolio.settings import PortfolioBookSettings
from tests.model.portfolio.markets import market_of, simulate, trading_days

DAYS, NAMES, OUTAGE = 30, 8, 14


def closes(seed: int = 0) -> np.ndarray:
    """[days, names] with one day of outage."""
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.03, (DAYS, NAMES)), axis=0))
    close[OUTAGE] = np.nan
    return close


def market(close: np.ndarray, entry: str = "close_to_close", suspended: str = "flat") -> Market:
    """As the labels have it: the flags speak of the day of the entry price."""
    after = np.vstack([close[1:], np.full((1, close.shape[1]), np.nan)])
    returns, filled_on = after / close - 1.0, close
    columns: dict[str, Any] = {"close": close, "turnover_20": np.full(close.shape, 1e7)}
    if entry == "next_open":
        columns["entry"], filled_on = np.where(np.isnan(after), np.nan, after / (after * 1.01) - 1.0), after
    columns |= dict.fromkeys(("can_buy", "can_sell"), ~np.isnan(filled_on))
    return market_of(returns, suspended=suspended, **columns)


def run(own: Market, h: int, **more: Any) -> tuple[Simulation, np.ndarray]:
    """A book of random rankings with none on the day of the outage, and its positions."""
    scores = np.random.default_rng(1).normal(size=(len(own.dates), NAMES))
    scores[OUTAGE] = np.nan
    settings = PortfolioBookSettings.model_validate({"min_names": 2, "quantile": 0.25} | more)
    found = simulate(scores, own, settings, h, keep_positions=True)
    assert found.positions is not None
    ranked = Sorted.of(scores)
    alone = returns_of_ranking(ranked.from_highest, ranked.count, own, settings, h)
    for name in ("gross", "net", "turnover"):
        np.testing.assert_allclose(getattr(alone, name), getattr(found, name), atol=1e-14)
    return found, found.positions


@pytest.mark.parametrize("h", [1, 2, 5])
@pytest.mark.parametrize("exits", ["always", "constrained"])
@pytest.mark.parametrize("rebalance", ["overlapping", "every_h_days"])
def test_a_book_filled_at_the_close_is_held_through_and_earns_the_gap(h: int, exits: str, rebalance: str) -> None:
    close = closes()
    more = {"rebalance": rebalance, "execution": {"exits": exits, "suspended": "gap"}}
    own = market(close, suspended="gap")
    found, positions = run(own, h, **more)
    assert found.dates == tuple(trading_days(DAYS)[:-1]) and len(own.runs) == 1
    assert np.abs(positions[OUTAGE - 1]).sum() > 0.5
    np.testing.assert_allclose(positions[OUTAGE], positions[OUTAGE - 1], atol=1e-15)
    assert [found.turnover[OUTAGE], found.gross[OUTAGE - 1]] == [0.0, 0.0]
    gap = close[OUTAGE + 1] / close[OUTAGE - 1] - 1.0
    assert found.gross[OUTAGE] == pytest.approx(positions[OUTAGE] @ gap)
    # The account goes on as if the day had not been: positions come from trades and returns alone.
    carried = positions[OUTAGE] * (1.0 + gap)
    assert found.turnover[OUTAGE + 1] == pytest.approx(np.abs(positions[OUTAGE + 1] - carried).sum())
    lost, _ = run(market(close), h, rebalance=rebalance, execution={"exits": exits})
    assert lost.gross[OUTAGE] == 0.0 and lost.missing_returns > 0


@pytest.mark.parametrize("h", [1, 2, 5])
@pytest.mark.parametrize("exits", ["always", "constrained"])
@pytest.mark.parametrize("price", ["label", "entry"])
def test_a_book_filled_at_the_open_trades_nothing_at_an_open_that_was_none(h: int, exits: str, price: str) -> None:
    more = {"execution": {"exits": exits, "exit_price": price, "suspended": "gap"}}
    found, positions = run(market(closes(), "next_open", "gap"), h, **more)
    if price == "entry":  # the orders of the day before the outage would all be filled at its open
        assert found.turnover[OUTAGE - 1] == pytest.approx(0.0, abs=1e-15)
    assert not (positions[OUTAGE - 1] != 0.0)[positions[OUTAGE - 2] == 0.0].any()
    assert found.unfilled.orders[0, OUTAGE - 1] > 0
    assert found.exposure[OUTAGE + 1 :].min() > 0.2


def test_orders_that_nobody_could_fill_are_written_again_on_the_next_day() -> None:
    own = market(closes(), "next_open")
    scores = np.random.default_rng(1).normal(size=(len(own.dates), NAMES))
    settings = PortfolioBookSettings(min_names=2, quantile=0.25, rebalance="every_h_days")
    found = simulate(scores, own, settings, OUTAGE - 1)  # due on the day before the outage
    assert found.exposure[OUTAGE : OUTAGE + 5].min() > 1.8


def test_the_optimised_book_stays_through_an_outage() -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimiser` is not installed")
    small = {"risk_factors": 2, "risk_days": 20, "max_weight": 0.5, "information_coefficient": 0.5}
    found, positions = run(market(closes(), suspended="gap"), 1, book="optimised", optimiser=small)
    assert found.exposure[OUTAGE - 1] > 0.1
    np.testing.assert_allclose(positions[OUTAGE], positions[OUTAGE - 1], atol=1e-15)
    gap = closes()[OUTAGE + 1] / closes()[OUTAGE - 1] - 1.0
    assert found.gross[OUTAGE] == pytest.approx(positions[OUTAGE] @ gap)
    assert found.turnover[OUTAGE] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("exits", ["always", "constrained"])
def test_before_an_outage_nobody_trades_as_if_it_were_known(exits: str) -> None:
    quiet, struck = closes(), closes()
    quiet[OUTAGE] = quiet[OUTAGE - 1]
    one, two = (
        run(market(close), 5, execution={"exits": exits})[0].turnover[:OUTAGE].tolist() for close in (quiet, struck)
    )
    assert one == two


def test_days_of_an_outage_at_the_end_of_the_data_are_no_portfolio_days() -> None:
    close = closes()
    close[-3:] = np.nan
    assert market(close).dates == tuple(trading_days(DAYS)[:-4])


def test_in_two_days_of_outage_what_should_leave_waits_for_both() -> None:
    close = closes()
    close[OUTAGE + 1] = np.nan
    scores = np.full((DAYS - 1, NAMES), np.nan)
    scores[OUTAGE - 2] = np.arange(NAMES)
    own = market(close, suspended="gap")
    settings = PortfolioBookSettings(min_names=2, quantile=0.25, execution={"suspended": "gap"})  # type: ignore[arg-type]
    found = simulate(scores, own, settings, 2)
    assert np.flatnonzero(found.exposure).tolist() == [OUTAGE - 2, OUTAGE - 1, OUTAGE, OUTAGE + 1]
    moves = close[OUTAGE + 2] / close[OUTAGE - 2] - 1.0
    assert found.gross.sum() == pytest.approx((moves[-2:].mean() - moves[:2].mean()) / 2)
