"""The simulated portfolio: worked by hand, against a slow reference, and on what must never happen."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from model.errors import DataError
from model.portfolio_report.portfolio import Market, Simulation, code_positions, dense_market, dense_scores, simulate
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio_report.synthetic import trading_days

PLAIN = PortfolioSettings(quantile=0.5, min_names=2, cost_bps_per_side=10.0)


def market_frame(
    returns: np.ndarray,
    entry: np.ndarray | None = None,
    can_buy: np.ndarray | None = None,
    can_sell: np.ndarray | None = None,
) -> pl.DataFrame:
    """returns: [days, names], NaN where missing."""
    days, names = returns.shape
    free = np.ones(returns.shape, dtype=bool)
    return pl.DataFrame(
        {
            "Date": np.repeat(np.array(trading_days(days), dtype="datetime64[D]"), names),
            "Code": [f"{code:04d}0" for code in range(names)] * days,
            "return_next": returns.ravel(),
            "entry_return_next": (returns if entry is None else entry).ravel(),
            "can_buy_next": (free if can_buy is None else can_buy).ravel(),
            "can_sell_next": (free if can_sell is None else can_sell).ravel(),
        },
        schema_overrides={"Date": pl.Date},
    ).with_columns(pl.col("return_next", "entry_return_next").fill_nan(None))


def market_of(returns: np.ndarray, test: list[date] | None = None, **more: np.ndarray) -> Market:
    return dense_market(market_frame(returns, **more), test or trading_days(len(returns)))


def reference(
    scores: np.ndarray, returns: np.ndarray, entry: np.ndarray, settings: PortfolioSettings, h: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gross return and turnover by going through days, sleeves and stocks one at a time."""
    days, names = scores.shape
    gross, turnover = np.zeros(days), np.zeros(days)
    sleeves: list[tuple[int, dict[int, float]]] = []
    for t in range(days):
        trade = dict.fromkeys(range(names), 0.0)
        for born, held in sleeves:
            if born == t - h:
                for code, value in held.items():
                    trade[code] -= value
        sleeves = [(born, held) for born, held in sleeves if born > t - h]
        there = sorted(
            (code for code in range(names) if not np.isnan(scores[t, code])), key=lambda c: (-scores[t, c], c)
        )
        k = max(int(settings.quantile * len(there) + 1e-9), 1)
        new = dict.fromkeys(there[:k], 1 / k / h) | dict.fromkeys(there[-k:], -1 / k / h)
        sleeves.append((t, new))
        for code, weight in new.items():
            trade[code] += weight
        turnover[t] = sum(abs(value) for value in trade.values())
        for born, held in sleeves:
            for code in held:
                earned = held[code] * (entry if born == t else returns)[t, code]
                gross[t] += earned
                held[code] += earned
    final = dict.fromkeys(range(names), 0.0)
    for _, held in sleeves:
        for code, value in held.items():
            final[code] += value
    turnover[-1] += sum(abs(value) for value in final.values())
    return gross, turnover


def test_two_stocks_over_two_days_by_hand() -> None:
    market = market_of(np.array([[0.10, 0.00], [-0.10, 0.05]]))
    found = simulate(np.array([[1.0, 0.0], [0.0, 1.0]]), market, PLAIN, 1)
    # day 0: +1 and -1; day 1: the legs flip, the long one having grown to 1.1
    assert found.gross == pytest.approx([0.10, 0.05 + 0.10])
    # at the end +1.05 and -0.9 are closed
    assert found.turnover == pytest.approx([2.0, 2.1 + 2.0 + 1.05 + 0.9])
    assert found.net == pytest.approx(found.gross - found.turnover * 0.001)
    assert found.exposure == pytest.approx([2.0, 2.0])


def test_a_full_flip_of_both_legs_is_four_sides() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = simulate(scores, market_of(np.zeros((3, 2))), PLAIN, 1)
    assert found.turnover.tolist() == [2.0, 4.0, 0.0 + 2.0]


@hypothesis_settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), h=st.sampled_from([1, 2, 5, 7]), days=st.integers(1, 12))
def test_the_vectorised_portfolio_is_the_slow_one(seed: int, h: int, days: int) -> None:
    rng = np.random.default_rng(seed)
    returns, entry = rng.normal(0, 0.05, (days, 6)), rng.normal(0, 0.05, (days, 6))
    scores = rng.integers(0, 5, (days, 6)) + np.linspace(0, 0.1, 6) * rng.integers(0, 2)
    scores[:, 0] += 0.01
    scores = np.where(rng.random((days, 6)) < 0.15, np.nan, scores)
    settings = PortfolioSettings(quantile=0.34, min_names=2)
    scores[np.isnan(scores).sum(axis=1) > 2] = np.arange(6.0)
    scores = np.where(
        np.nanmax(scores, axis=1, keepdims=True) > np.nanmin(scores, axis=1, keepdims=True), scores, np.arange(6.0)
    )
    found = simulate(scores, market_of(returns, entry=entry), settings, h)
    gross, turnover = reference(scores, returns, entry, settings, h)
    np.testing.assert_allclose(found.gross, gross, atol=1e-12)
    np.testing.assert_allclose(found.turnover, turnover, atol=1e-12)


def test_a_sleeve_earns_exactly_the_return_that_the_label_holds() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.03, (9, 4))
    scores = np.full((9, 4), np.nan)
    scores[2] = [4.0, 3.0, 2.0, 1.0]
    found = simulate(scores, market_of(returns), PLAIN, 5)
    label = np.prod(1 + returns[2:7], axis=0) - 1
    assert found.gross.sum() == pytest.approx((label[:2].mean() - label[2:].mean()) / 5)
    assert found.gross[:2].tolist() == [0.0, 0.0]
    assert found.gross[7:] == pytest.approx([0.0, 0.0], abs=1e-15)


def test_the_first_day_earns_the_entry_return_and_later_days_close_to_close() -> None:
    scores = np.array([[1.0, 0.0], [np.nan, np.nan]])
    market = market_of(np.full((2, 2), [0.01, 0.0]), entry=np.full((2, 2), [0.20, 0.0]))
    found = simulate(scores, market, PLAIN, 2)
    assert found.gross == pytest.approx([0.5 * 0.20, 0.5 * 1.2 * 0.01])


def test_orders_that_cannot_be_filled_stay_in_cash_and_are_counted() -> None:
    free, blocked = np.ones((1, 4), dtype=bool), np.array([[False, True, True, False]])
    market = market_of(np.array([[0.5, 0.1, 0.1, 0.5]]), can_buy=blocked, can_sell=blocked)
    found = simulate(np.array([[4.0, 3.0, 2.0, 1.0]]), market, PLAIN, 1)
    assert found.unfilled_orders == 2
    assert found.exposure == pytest.approx([1.0])
    assert found.gross == pytest.approx([0.5 * 0.1 - 0.5 * 0.1])
    assert (
        simulate(np.array([[4.0, 3.0, 2.0, 1.0]]), market_of(np.zeros((1, 4)), can_buy=free), PLAIN, 1).unfilled_orders
        == 0
    )


def test_a_missing_return_counts_as_nothing_and_is_counted() -> None:
    returns = np.array([[0.1, 0.0], [np.nan, 0.0], [0.1, 0.0]])
    found = simulate(np.tile([1.0, 0.0], (3, 1)), market_of(returns), PLAIN, 2)
    assert found.missing_returns == 2
    assert found.gross[1] == 0.0


def test_a_constant_prediction_holds_nothing() -> None:
    found = simulate(np.ones((3, 4)), market_of(np.full((3, 4), 0.01)), PLAIN, 1)
    assert found.exposure.tolist() == [0.0, 0.0, 0.0]
    assert found.turnover.tolist() == [0.0, 0.0, 0.0]


def test_a_day_with_too_few_names_starts_no_sleeve() -> None:
    scores = np.array([[3.0, 2.0, np.nan, np.nan], [4.0, 3.0, 2.0, 1.0]])
    settings = PortfolioSettings(quantile=0.5, min_names=4)
    assert simulate(scores, market_of(np.zeros((2, 4))), settings, 1).exposure.tolist() == [0.0, 2.0]


def test_nothing_is_carried_over_a_gap_between_test_periods() -> None:
    returns = np.tile([0.01, 0.0], (6, 1))
    calendar = trading_days(6)
    scores = np.tile([1.0, 0.0], (4, 1))
    together = simulate(scores, market_of(returns, [calendar[n] for n in (0, 1, 4, 5)]), PLAIN, 3)
    alone = simulate(scores[:2], market_of(returns[:2], calendar[:2]), PLAIN, 3)
    for name in ("gross", "turnover", "exposure"):
        assert getattr(together, name) == pytest.approx(np.tile(getattr(alone, name), 2))


def test_renewing_every_h_days_trades_only_on_those_days() -> None:
    rng = np.random.default_rng(0)
    settings = PortfolioSettings(quantile=0.5, min_names=2, rebalance="every_h_days")
    found = simulate(rng.normal(size=(7, 4)), market_of(rng.normal(0, 0.01, (7, 4))), settings, 3)
    assert (found.turnover[[0, 3, 6]] > 0).all()
    assert found.turnover[[1, 2, 4, 5]] == pytest.approx(np.zeros(4), abs=1e-15)
    assert found.exposure[[0, 3, 6]] == pytest.approx([2.0, 2.0, 2.0])


def test_inverse_volatility_holds_less_of_the_wild_stock() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 1, (40, 4)) * np.array([0.04, 0.01, 0.01, 0.01])
    scores = np.tile([4.0, 3.0, 2.0, 1.0], (40, 1))
    settings = PortfolioSettings(quantile=0.5, min_names=2, weighting="inverse_volatility")
    market = market_of(returns)
    assert np.isnan(market.volatility[:10]).all() and not np.isnan(market.volatility[10:]).any()
    assert market.volatility[30, 0] == pytest.approx(returns[10:30, 0].std(ddof=1))
    wild = returns.copy()
    wild[:, 0] += 1.0
    gain = simulate(scores, market_of(wild), settings, 1).gross - simulate(scores, market, settings, 1).gross
    assert gain[0] == pytest.approx(0.5)
    assert 0.1 < gain[-1] < 0.35


@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), weighting=st.sampled_from(["equal", "inverse_volatility"]), cut=st.integers(5, 35))
def test_what_comes_later_never_changes_an_earlier_day(seed: int, weighting: str, cut: int) -> None:
    rng = np.random.default_rng(seed)
    returns, scores = rng.normal(0, 0.02, (40, 6)), rng.normal(size=(40, 6))
    later, later_scores = returns.copy(), scores.copy()
    later[cut:] = rng.normal(0, 0.5, (40 - cut, 6)).clip(-0.9)
    later_scores[cut:] = rng.normal(size=(40 - cut, 6))
    settings = PortfolioSettings(quantile=0.34, min_names=2).model_copy(update={"weighting": weighting})
    before, after = (simulate(s, market_of(r), settings, 5) for s, r in ((scores, returns), (later_scores, later)))
    for name in Simulation.__dataclass_fields__:
        if isinstance(getattr(before, name), np.ndarray):
            assert (getattr(before, name)[:cut] == getattr(after, name)[:cut]).all()


def test_days_whose_next_day_is_unknown_are_no_portfolio_days() -> None:
    market = market_of(np.array([[0.1, 0.0], [np.nan, np.nan]]))
    assert len(market.dates) == 1
    with pytest.raises(DataError, match="following day"):
        market_of(np.full((2, 2), np.nan))
    with pytest.raises(DataError, match="-100 %"):
        market_of(np.array([[-1.0, 0.0]]))


def test_a_predicted_code_without_a_market_is_refused() -> None:
    with pytest.raises(DataError, match="99990"):
        code_positions(pl.Series(["00000", "99990"]), ["00000", "00010"])


def test_predictions_off_the_grid_of_days_are_left_out() -> None:
    market = market_of(np.zeros((2, 2)), trading_days(1))
    rows = pl.DataFrame({"Date": trading_days(2), "Code": ["00000", "00010"], "score": [1.0, 2.0]})
    found = dense_scores(rows, "score", market)
    assert found.shape == (1, 2)
    assert found[0, 0] == 1.0 and np.isnan(found[0, 1])
