"""The optimised book: first-order conditions on paper, its bounds, and a plan that charges what the account charges."""

import importlib

import numpy as np
import pytest

from model.errors import DataError, SettingsError
from model.portfolio.market import Market
from model.portfolio.optimised import Day, Optimiser
from model.portfolio.risk import RiskModel, risk_model
from model.portfolio.settings import PortfolioBookSettings
from tests.model.portfolio.markets import market_of, simulate


def book(**more: object) -> PortfolioBookSettings:
    wide = {"max_weight": 1.0, "max_turnover": 10.0, "gross_exposure": 10.0, "risk_factors": 2, "risk_days": 20}
    wide |= dict(more.pop("optimiser", {}))  # type: ignore[call-overload]
    return PortfolioBookSettings.model_validate(
        {"book": "optimised", "min_names": 2, "cost_bps_per_side": 0.0, "optimiser": wide} | more
    )


def day(alpha: list[float], own: list[float], **more: object) -> Day:
    names = len(alpha)
    given: dict[str, object] = {
        "alpha": np.array(alpha),
        "held": np.zeros(names),
        "risk": RiskModel(np.zeros((names, 2)), np.array(own)),
        "impact": np.zeros(names),
        "allowed": np.ones(names, dtype=bool),
        "group": np.zeros(names, dtype=np.int64),
    }
    return Day(**(given | more))  # type: ignore[arg-type]


def solve(settings: PortfolioBookSettings, problem: Day, groups: int = 1) -> np.ndarray:
    pytest.importorskip("cvxpy", reason="the extra `optimiser` is not installed")
    found = Optimiser(settings, groups, 1).solve(problem)
    assert found is not None
    return found


def test_without_costs_the_weights_are_markowitz_under_neutrality() -> None:
    alpha, own = np.array([0.02, 0.01, -0.01, 0.0]), np.array([0.1, 0.2, 0.1, 0.15])
    found = solve(book(), day(list(alpha), list(own)))
    price = (alpha / own**2).sum() / (1 / own**2).sum()
    np.testing.assert_allclose(found, (alpha - price) / (5.0 * own**2), atol=1e-5)


def test_with_factors_the_weights_are_those_of_the_whole_covariance() -> None:
    rng = np.random.default_rng(0)
    alpha, risk = rng.normal(0, 0.01, 5), RiskModel(rng.normal(0, 0.1, (5, 2)), np.full(5, 0.1))
    found = solve(book(), day(list(alpha), [0.1] * 5, risk=risk))
    inverse = np.linalg.inv(risk.covariance())
    price = (inverse @ alpha).sum() / inverse.sum()
    np.testing.assert_allclose(found, inverse @ (alpha - price) / 5.0, atol=1e-5)


def test_trades_end_where_the_gain_no_longer_pays_for_rate_and_impact() -> None:
    # Two mirrored stocks: alpha - 5 s^2 w = rate + 1.5 m sqrt(w).
    settings = book(costs={"half_spread_bps": 10.0, "impact_coefficient": 1.0}, execution={"capital": 1e6})
    found = solve(settings, day([0.02, -0.02], [0.1, 0.1], impact=np.full(2, 0.01)))
    assert found[0] == pytest.approx(-found[1], abs=1e-6)
    assert 0.02 - 5.0 * 0.01 * found[0] == pytest.approx(0.001 + 1.5 * 0.01 * np.sqrt(found[0]), abs=1e-5)


def test_a_gain_smaller_than_the_cost_of_both_sides_trades_nothing() -> None:
    held = np.array([0.1, -0.1])
    problem = day([0.0051, -0.0051], [0.1, 0.1], held=held)  # the optimum without costs is 0.102
    assert solve(book(costs={"half_spread_bps": 10.0}), problem).tolist() == held.tolist()


def test_bounds_on_weight_gross_and_turnover_and_neutrality_in_sectors_hold() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(12) % 3
    settings = book(optimiser={"max_weight": 0.1, "gross_exposure": 0.7, "max_turnover": 0.5})
    held = np.where(group == 0, 0.05, 0.0) * np.array([1, -1] * 6)
    problem = day(list(rng.normal(0, 0.05, 12)), [0.1] * 12, group=group, held=held)
    found = solve(settings, problem, groups=3)
    assert np.abs(found).max() <= 0.1 + 1e-6
    assert np.abs(found).sum() <= 0.7 + 1e-6
    assert np.abs(found - held).sum() == pytest.approx(0.5, abs=1e-5)
    assert [found[group == n].sum() for n in range(3)] == pytest.approx([0.0] * 3, abs=1e-5)


def test_a_problem_without_solution_is_none() -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimiser` is not installed")
    far = day([0.0, 0.0], [0.1, 0.1], held=np.array([1.0, 1.0]))
    assert Optimiser(book(optimiser={"max_turnover": 0.1}), 1, 1).solve(far) is None


def _market(seed: int = 0) -> tuple[np.ndarray, Market]:
    rng = np.random.default_rng(seed)
    returns = rng.normal(0, 0.02, (40, 12))
    columns = {"turnover_20": rng.uniform(1e7, 1e8, returns.shape), "price": rng.uniform(100, 500, returns.shape)}
    scores = returns + rng.normal(0, 0.02, returns.shape)
    return scores, market_of(returns, Sector=np.array([list("AAABBBCCCDDD")] * 40), **columns)


def test_the_book_keeps_its_bounds_earns_and_is_the_same_again() -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimiser` is not installed")
    scores, market = _market()
    settings = book(
        optimiser={"max_weight": 0.3, "max_turnover": 0.6, "gross_exposure": 2.0, "information_coefficient": 0.5},
        costs={"half_spread_bps": 1.0, "impact_coefficient": 0.1},
        execution={"capital": 1e5},
    )
    found, again = (simulate(scores, market, settings, 1, keep_positions=True) for _ in range(2))
    assert found.unsolved_days == 0
    assert found.net_exposure == pytest.approx(np.zeros(40), abs=1e-4)
    assert found.turnover[:-1].max() <= 0.6 + 1e-4
    assert found.net.mean() > 0
    np.testing.assert_array_equal(found.net, again.net)


def test_every_h_days_nothing_is_traded_in_between_and_whole_units_are() -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimiser` is not installed")
    scores, market = _market()
    settings = book(
        rebalance="every_h_days",
        optimiser={"max_weight": 0.3, "information_coefficient": 0.5},
        execution={"capital": 1e7, "lot_size": 100, "exits": "constrained"},
    )
    found = simulate(scores, market, settings, 5, keep_positions=True)
    between = np.arange(39) % 5 != 0
    assert found.turnover[:-1][between].tolist() == [0.0] * int(between.sum())
    assert found.positions is not None and market.price is not None
    units = found.positions[0] * 1e7 / market.price[0] / 100
    np.testing.assert_allclose(units, np.round(units), atol=1e-6)
    assert np.abs(units).max() >= 1


@pytest.mark.parametrize("exits", ["always", "constrained"])
@pytest.mark.parametrize("rebalance", ["overlapping", "every_h_days"])
def test_what_has_ended_is_settled_at_its_last_price(exits: str, rebalance: str) -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimiser` is not installed")
    rng = np.random.default_rng(0)
    returns, scores = rng.normal(0, 0.02, (40, 12)), rng.normal(size=(40, 12))
    returns[18:, 0], scores[19:, 0], scores[:19, 0] = np.nan, np.nan, 9.0  # the best name has its last price on day 18
    settings = book(
        rebalance=rebalance,
        optimiser={"max_weight": 0.3, "information_coefficient": 0.5},
        costs={"half_spread_bps": 30.0},
        execution={"exits": exits},
    )
    found = simulate(scores, market_of(returns), settings, 5, keep_positions=True)
    assert found.positions is not None
    assert found.positions[17, 0] > 0.05
    assert found.positions[18:, 0].tolist() == [0.0] * 22
    assert found.exposure[20:].min() > 0.1 and found.unsolved_days == 0


def test_without_a_ranking_the_book_is_held_for_h_days_and_sold() -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimiser` is not installed")
    scores, market = _market()
    scores[12:30] = np.nan
    settings = book(optimiser={"max_weight": 0.3, "information_coefficient": 0.5})
    found = simulate(scores, market, settings, 5)
    assert np.flatnonzero(found.exposure == 0.0).tolist() == list(range(16, 30))


def test_the_risk_model_is_the_sample_covariance_when_it_has_all_factors() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.02, (60, 3)) @ rng.normal(size=(3, 3))
    market = market_of(returns.clip(-0.9))
    found = risk_model(market, 59, np.arange(3), days=50, factors=3, horizon=4)
    sample = np.cov(market.calendar_returns[9:59].T)
    np.testing.assert_allclose(found.loadings @ found.loadings.T, 4 * sample, rtol=1e-9, atol=1e-12)
    few = risk_model(market, 59, np.arange(3), days=50, factors=1, horizon=4)
    np.testing.assert_allclose(np.diag(few.covariance()), 4 * np.diag(sample), rtol=0.02)


def test_the_risk_model_knows_only_the_past() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.02, (60, 4))
    later = returns.copy()
    later[40:] = rng.normal(0, 0.2, (20, 4))
    one, two = (risk_model(market_of(each), 40, np.arange(4), 30, 2, 5) for each in (returns, later))
    np.testing.assert_array_equal(one.loadings, two.loadings)
    np.testing.assert_array_equal(one.own, two.own)


def test_without_cvxpy_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(SettingsError, match="extra `optimiser`"):
        Optimiser(book(), 1, 1)


def test_sector_neutrality_needs_sectors() -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimiser` is not installed")
    settings = book(optimiser={"neutral": "sector"})
    with pytest.raises(DataError, match="Sector"):
        simulate(np.array([[4.0, 3.0, 2.0, 1.0]]), market_of([[0.1, 0.0, 0.0, 0.0]]), settings, 1)
