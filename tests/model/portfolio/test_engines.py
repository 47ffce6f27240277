"""Both engines against a slow reference and each other, and what must hold for every market."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from model.metrics.ranked import Sorted
from model.portfolio.book import Simulation, returns_of_ranking
from model.portfolio.settings import PortfolioBookSettings
from tests.model.portfolio.markets import market_of, simulate, trading_days

DAILY = ("gross", "net", "turnover", "exposure", "net_exposure", "names", "benchmark_return")


def book(**more: object) -> PortfolioBookSettings:
    return PortfolioBookSettings.model_validate({"quantile": 0.34, "min_names": 2} | more)


def reference(
    scores: np.ndarray, returns: np.ndarray, entry: np.ndarray, quantile: float, h: int
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
        k = max(int(quantile * len(there) + 1e-9), 1)
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


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    h=st.sampled_from([1, 2, 5, 7]),
    days=st.integers(1, 12),
    exits=st.sampled_from(["always", "constrained"]),
)
def test_both_engines_are_the_slow_one_in_a_market_without_obstacles(seed: int, h: int, days: int, exits: str) -> None:
    rng = np.random.default_rng(seed)
    returns, entry = rng.normal(0, 0.05, (days, 6)), rng.normal(0, 0.05, (days, 6))
    scores = rng.permuted(np.tile(np.arange(6.0), (days, 1)), axis=1)
    scores[rng.random((days, 6)) < 0.15] = np.nan
    scores[np.isnan(scores).sum(axis=1) > 2] = np.arange(6.0)
    found = simulate(scores, market_of(returns, entry=entry), book(execution={"exits": exits}), h)
    gross, turnover = reference(scores, returns, entry, 0.34, h)
    np.testing.assert_allclose(found.gross, gross, atol=1e-12)
    np.testing.assert_allclose(found.turnover, turnover, atol=1e-12)


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    h=st.sampled_from([1, 3]),
    name=st.sampled_from(["long_short", "long_only", "sector_neutral"]),
    weighting=st.sampled_from(["equal", "inverse_volatility"]),
    rebalance=st.sampled_from(["overlapping", "every_h_days"]),
    price=st.sampled_from(["label", "entry"]),
)
def test_the_two_engines_agree_where_nothing_stands_in_the_way(
    seed: int, h: int, name: str, weighting: str, rebalance: str, price: str
) -> None:
    rng = np.random.default_rng(seed)
    returns, entry = rng.normal(0, 0.05, (14, 8)), rng.normal(0, 0.05, (14, 8))
    calendar = trading_days(14)
    market = market_of(
        returns,
        entry=entry,
        test=calendar[:6] + calendar[8:],
        Sector=np.array([list("AABBABBA")] * 14),
        turnover_20=rng.uniform(1e6, 1e7, (14, 8)),
    )
    scores = rng.normal(size=(12, 8))
    free, walked = (
        simulate(
            scores,
            market,
            book(
                book=name,
                weighting=weighting,
                rebalance=rebalance,
                costs={"impact_coefficient": 1.0, "borrow_bps_per_year": 50.0},
                execution={"capital": 1e6, "exits": exits, "exit_price": price},
            ),
            h,
        )
        for exits in ("always", "constrained")
    )
    for figure in DAILY:
        np.testing.assert_allclose(getattr(free, figure), getattr(walked, figure), atol=1e-12, err_msg=figure)
    assert free.missing_returns == walked.missing_returns == 0
    assert free.capacity == pytest.approx(walked.capacity)


def _hostile(rng: np.random.Generator, days: int, names: int) -> dict[str, np.ndarray]:
    returns = rng.normal(0, 0.05, (days, names))
    returns[rng.random((days, names)) < 0.1] = np.nan
    return {
        "returns": returns,
        "can_buy": rng.random((days, names)) < 0.8,
        "can_sell": rng.random((days, names)) < 0.8,
        "turnover_20": np.where(rng.random((days, names)) < 0.05, np.nan, rng.uniform(1e5, 1e7, (days, names))),
        "price": rng.uniform(100, 5000, (days, names)),
        "Sector": np.where(rng.random((days, names)) < 0.5, "A", "B"),
    }


EXECUTION = {"capital": 1e6, "lot_size": 10, "max_participation": 0.1}


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    h=st.sampled_from([1, 2, 5]),
    exits=st.sampled_from(["always", "constrained"]),
    name=st.sampled_from(["long_short", "long_only", "sector_neutral"]),
)
def test_money_is_neither_made_nor_lost_in_trading(seed: int, h: int, exits: str, name: str) -> None:
    """Every position comes from trades and returns: what is bought, earned and sold at the end sums to nothing."""
    rng = np.random.default_rng(seed)
    columns = _hostile(rng, 12, 8)
    market = market_of(columns.pop("returns"), **columns)
    settings = book(book=name, execution=EXECUTION | {"exits": exits}, cost_bps_per_side=0.0)
    found = simulate(rng.normal(size=(len(market.dates), 8)), market, settings, h, keep_positions=True)
    assert found.positions is not None
    # Entry and close coincide here, so a day earns its positions times the day's returns.
    np.testing.assert_allclose(found.gross, (found.positions * market.runs[0].returns).sum(axis=1), atol=1e-12)
    carried = found.positions * (1.0 + market.runs[0].returns)
    trades = found.positions - np.concatenate([np.zeros((1, 8)), carried[:-1]])
    turnover = np.abs(trades).sum(axis=1)
    turnover[-1] += np.abs(carried[-1]).sum()
    np.testing.assert_allclose(found.turnover, turnover, atol=1e-12)
    if exits == "constrained":
        sells = (trades < -1e-9) & ~market.can_sell & ~market.ended
        buys = (trades > 1e-9) & ~market.can_buy & ~market.ended
        assert not sells.any() and not buys.any()
        assert market.traded_value is not None
        beyond = np.abs(trades) > 0.1 * np.nan_to_num(market.traded_value) / 1e6 + 1e-9
        assert not (beyond & ~market.ended).any()


@hypothesis_settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(5, 35), exits=st.sampled_from(["always", "constrained"]))
def test_what_comes_later_never_changes_an_earlier_day(seed: int, cut: int, exits: str) -> None:
    rng = np.random.default_rng(seed)
    first, second = _hostile(rng, 40, 6), _hostile(rng, 40, 6)
    # The last two days are the same, so that the same stocks are still there at the end.
    second = {
        name: np.concatenate([first[name][:cut], values[cut:38], first[name][38:]]) for name, values in second.items()
    }
    for columns in (first, second):
        columns["returns"][38:] = 0.0
    scores = rng.normal(size=(40, 6))
    other = np.concatenate([scores[:cut], rng.normal(size=(40 - cut, 6))])
    settings = book(
        weighting="inverse_volatility",
        costs={"impact_coefficient": 1.0},
        execution=EXECUTION | {"exits": exits},
    )
    before, after = (
        simulate(own, market_of(columns.pop("returns"), **columns), settings, 5)
        for own, columns in ((scores, first), (other, second))
    )
    for name in DAILY:
        assert (getattr(before, name)[:cut] == getattr(after, name)[:cut]).all(), name
    assert (before.unfilled.orders[:, :cut] == after.unfilled.orders[:, :cut]).all()


def test_a_sleeve_earns_exactly_the_return_that_the_label_holds() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.03, (9, 4))
    scores = np.full((9, 4), np.nan)
    scores[2] = [4.0, 3.0, 2.0, 1.0]
    found = simulate(scores, market_of(returns), book(quantile=0.5), 5)
    label = np.prod(1 + returns[2:7], axis=0) - 1
    assert found.gross.sum() == pytest.approx((label[:2].mean() - label[2:].mean()) / 5)
    assert found.gross[:2].tolist() == [0.0, 0.0]
    assert found.gross[7:] == pytest.approx([0.0, 0.0], abs=1e-15)


@pytest.mark.parametrize("exits", ["always", "constrained"])
def test_nothing_is_carried_over_a_gap_between_test_periods(exits: str) -> None:
    returns = np.tile([0.01, 0.0], (6, 1))
    calendar = trading_days(6)
    scores = np.tile([1.0, 0.0], (4, 1))
    settings = book(quantile=0.5, execution={"exits": exits})
    together = simulate(scores, market_of(returns, test=[calendar[n] for n in (0, 1, 4, 5)]), settings, 3)
    alone = simulate(scores[:2], market_of(returns[:2], test=calendar[:2]), settings, 3)
    for name in ("gross", "turnover", "exposure"):
        assert getattr(together, name) == pytest.approx(np.tile(getattr(alone, name), 2))


def test_a_constant_prediction_and_a_day_with_too_few_names_hold_nothing() -> None:
    scores = np.array([[1.0] * 4, [3.0, 2.0, np.nan, np.nan], [4.0, 3.0, 2.0, 1.0]])
    found = simulate(scores, market_of(np.zeros((3, 4))), book(min_names=4), 1)
    assert found.exposure.tolist() == [0.0, 0.0, 2.0]


@pytest.mark.parametrize("exits", ["always", "constrained"])
def test_a_missing_return_counts_as_nothing_and_is_counted(exits: str) -> None:
    returns = np.array([[0.1, 0.0], [np.nan, 0.0], [np.nan, 0.0], [0.1, 0.0]])  # no close on day 2
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [np.nan, np.nan], [np.nan, np.nan]])
    settings = book(quantile=0.5, execution={"exits": exits})
    found = simulate(scores, market_of(returns), settings, 2)
    assert found.gross[1:3].tolist() == [0.0, 0.0]
    # Two sleeves hold the stock over day 1 and one over day 2; in a constrained book the other cannot leave on it.
    assert found.missing_returns == (3 if exits == "always" else 4)


def test_the_same_numbers_whatever_the_number_of_days_computed_together() -> None:
    """Targets, costs and volatility are computed by blocks of 64 days; the figures of a day know nothing of them."""
    rng = np.random.default_rng(0)
    columns = _hostile(rng, 150, 5)
    returns = columns.pop("returns")
    scores = rng.normal(size=(150, 5))
    settings = book(weighting="inverse_volatility", costs={"impact_coefficient": 1.0}, execution=EXECUTION)
    calendar = trading_days(150)

    def run(first: int) -> Simulation:
        return simulate(scores[first:], market_of(returns, test=calendar[first:], **columns), settings, 1)

    whole, part = run(0), run(37)
    for name in ("gross", "net", "exposure"):
        np.testing.assert_allclose(getattr(whole, name)[38:], getattr(part, name)[1:], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"rebalance": "every_h_days", "book": "sector_neutral"},
        {"costs": {"borrow_bps_per_year": 90.0}},
        {"execution": {"exits": "constrained"}},
        {"execution": {"exit_price": "entry"}},
    ],
)
def test_returns_alone_are_those_of_the_whole_simulation(more: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    shape = (30, 12)
    returns = np.where(rng.random(shape) < 0.05, np.nan, rng.normal(0, 0.03, shape))
    market = market_of(returns, can_buy=rng.random(shape) < 0.9, Sector=np.tile(["A", "B", "C"], (30, 4)))
    settings = PortfolioBookSettings.model_validate({"min_names": 2, "quantile": 0.3} | more)
    scores = rng.normal(size=shape)
    whole = simulate(scores, market, settings, 4)
    ranked = Sorted.of(scores)
    alone = returns_of_ranking(ranked.from_highest, ranked.count, market, settings, 4)
    for name in ("gross", "net", "turnover"):
        np.testing.assert_allclose(getattr(alone, name), getattr(whole, name), rtol=0, atol=1e-15)
