"""Who leads: found where it is planted, not where it is not, and by whom it is followed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.correlation_graph.lead_lag import LEAST_EFFECT, Leaders, leaders, two_groups
from model.correlation_graph.residual import standardised

Array = NDArray[np.float64]
EACH = 6
PAIRS = np.triu_indices(EACH, 1)


def edges(groups: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair within each group."""
    start = EACH * np.repeat(np.arange(groups), len(PAIRS[0]))
    return np.tile(PAIRS[0], groups) + start, np.tile(PAIRS[1], groups) + start


def returns(days: int, lead: float, *, groups: int = 10, seed: int = 0, own: float = 0.0) -> Array:
    """Groups with a common move; in each, all others follow the own move of its first name a day later.

    Args:
        own: how far every name goes on in the way of its own move of the day before.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    shock = rng.normal(size=(days, groups, EACH))
    x = 0.6 * rng.normal(size=(days, groups, 1)) + shock
    x[1:, :, 1:] += lead * shock[:-1, :, :1]
    x[1:] += own * shock[:-1]
    return 0.01 * x.reshape(days, groups * EACH)


def found(x: Array, groups: int = 10) -> Leaders:
    first, second = edges(groups)
    return leaders(standardised(x), first, second, np.ones(len(first)))


def test_the_leaders_stand_out_and_nobody_does_where_nobody_leads() -> None:
    leader = np.arange(10 * EACH) % EACH == 0
    led = found(returns(600, 0.2))
    assert led.probability[leader].min() > 0.9
    assert led.probability[~leader].max() < 0.1
    assert led.effect > 3.0
    assert found(returns(600, 0.0)).probability.max() < 0.5
    assert found(returns(600, 0.0)).probability.mean() < 0.02


@pytest.mark.parametrize("own", [-0.2, 0.2])
def test_going_on_or_turning_back_is_no_lead(own: float) -> None:
    quiet = found(returns(1500, 0.0, own=own))
    assert np.abs(quiet.t).max() < 4.0
    assert quiet.probability.mean() < 0.05


def test_those_who_do_not_follow_sharpen_the_test() -> None:
    # With two leaders, the other leader's next move shows what the group did for reasons of its own.
    rng = np.random.Generator(np.random.PCG64(2))
    shock = rng.normal(size=(1000, 10, EACH))
    x = 0.9 * rng.normal(size=(1000, 10, 1)) + shock
    x[1:, :, 2:] += 0.15 * shock[:-1, :, :2].sum(axis=2, keepdims=True)
    x = 0.01 * x.reshape(1000, -1)
    leader = np.arange(10 * EACH) % EACH < 2
    z = standardised(x)
    group = z.reshape(1000, 10, EACH).sum(axis=2, keepdims=True)
    mean = group / EACH
    products = (z.reshape(1000, 10, EACH) - mean)[:-1] * (group - z.reshape(1000, 10, EACH))[1:]
    plain = (products.sum(axis=0) / np.sqrt((products**2).sum(axis=0))).ravel()
    assert found(x).t[leader].mean() > 1.15 * plain[leader].mean()


def test_a_lead_is_over_followers_and_not_over_other_leaders() -> None:
    led = Leaders(np.array([4.0, 4.0, 0.0]), np.array([0.9, 0.8, 0.1]), 4.0)
    source, target = np.array([0, 0, 2]), np.array([1, 2, 0])
    np.testing.assert_allclose(led.over(source, target), [4 * 0.9 * 0.2, 4 * 0.9 * 0.9, 4 * 0.1 * 0.1])


def test_a_neighbour_that_moves_the_other_way_counts_with_its_sign() -> None:
    x = returns(600, 0.2)
    first, second = edges(10)
    turned, sign = x.copy(), np.ones(len(first))
    turned[:, 5] *= -1.0
    sign[(first == 5) | (second == 5)] = -1.0
    ours = leaders(standardised(turned), first, second, sign)
    np.testing.assert_allclose(ours.t, found(x).t, atol=2e-4)


def test_the_first_statistic_equals_the_formula_written_out_with_missing_days() -> None:
    x = returns(60, 0.3, groups=1)
    x[7, 2] = x[8, 0] = np.nan
    first, second, sign = np.array([0, 0, 2]), np.array([1, 2, 3]), np.array([1.0, -1.0, 1.0])
    z = standardised(x)
    known, z = np.isfinite(z), np.nan_to_num(z)
    around: dict[int, list[tuple[int, float]]] = {n: [] for n in range(EACH)}
    for a, b, s in zip(first, second, sign, strict=True):
        around[a].append((b, s))
        around[b].append((a, s))
    own = np.zeros_like(z)
    for j, near in around.items():
        own[:, j] = z[:, j] - (z[:, j] + sum(s * z[:, k] for k, s in near)) / (1 + len(near))
    own[~known] = 0.0
    response = (own[:-1] * z[1:]).sum() / (own[:-1] ** 2).sum()
    expected = np.zeros(EACH)
    for j, near in around.items():
        if near:
            moves = z[1:, [j, *(k for k, _ in near)]] - response * own[:-1, [j, *(k for k, _ in near)]]
            covariance = 0.9 * moves.T @ moves / 59
            covariance[np.diag_indices(len(covariance))] /= 0.9
            weight = np.linalg.solve(covariance, np.array([0.0, *(s for _, s in near)]))
            products = own[:-1, j] * (moves @ weight)
            expected[j] = products.sum() / np.sqrt((products**2).sum())
    ours = leaders(standardised(x), first, second, sign)
    # Nobody leads for sure in sixty days, so later rounds move the statistics little.
    assert ours.probability.max() < 0.6
    np.testing.assert_allclose(ours.t[[4, 5]], 0.0)
    assert np.corrcoef(ours.t[:4], expected[:4])[0, 1] > 0.95


@settings(max_examples=25, deadline=None)
@given(days=st.integers(1, 20), seed=st.integers(0, 100))
def test_too_few_days_say_nothing(days: int, seed: int) -> None:
    led = found(returns(days, 0.5, groups=1, seed=seed), groups=1)
    assert not led.t.any()
    assert not led.probability.any()


def test_a_graph_without_edges_has_no_leaders() -> None:
    none = np.zeros(0, np.int64)
    led = leaders(standardised(returns(60, 0.5)), none, none, np.zeros(0))
    assert not led.t.any()
    assert len(led.over(none, none)) == 0


@pytest.mark.parametrize(("names", "share"), [(140, 0.2), (2000, 0.02)])
def test_how_many_lead_and_how_far_follows_from_the_names_themselves(names: int, share: float) -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    leads = np.arange(names) < share * names
    t = rng.normal(size=names) + np.where(leads, 4.5, 0.0)
    probability, effect = two_groups(t)
    assert effect == pytest.approx(4.5, abs=0.6)
    assert probability.mean() == pytest.approx(share, rel=0.35)
    assert probability[leads].mean() > 0.85
    assert probability[~leads].mean() < 0.01


@pytest.mark.parametrize("names", [1, 20, 140, 2000])
def test_chance_makes_no_leaders(names: int) -> None:
    rng = np.random.Generator(np.random.PCG64(6))
    shares = [two_groups(rng.normal(size=names))[0].mean() for _ in range(20)]
    assert np.mean(shares) < (0.2 if names == 1 else 0.05)
    assert two_groups(np.zeros(0))[1] == LEAST_EFFECT
