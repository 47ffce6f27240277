"""What is beyond the market: each name by its own beta, on one scale, with no single day deciding."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.correlation_graph.residual import CLIP, market_residuals, standardised


def test_names_of_any_beta_have_nothing_of_the_market_left() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    market, beta = rng.normal(size=(2000, 1)), np.linspace(0.2, 1.8, 40)
    x = 0.01 * (market * beta + 0.5 * rng.normal(size=(2000, 40)))
    left = market_residuals(x)
    correlation = [np.corrcoef(left[:, n], market[:, 0])[0, 1] for n in (0, 39)]
    assert np.abs(correlation).max() < 0.05
    same_for_all = x - x.mean(axis=1, keepdims=True)
    assert min(abs(np.corrcoef(same_for_all[:, n], market[:, 0])[0, 1]) for n in (0, 39)) > 0.5


def test_where_betas_are_noise_every_name_gets_the_same() -> None:
    rng = np.random.Generator(np.random.PCG64(2))
    x = 0.001 * rng.normal(size=(20, 1)) + 0.05 * rng.normal(size=(20, 200))
    taken = x - market_residuals(x)
    share = taken / x.mean(axis=1, keepdims=True)
    raw = np.array([x[:, n] @ x.mean(axis=1) for n in range(200)]) / (x.mean(axis=1) ** 2).sum()
    assert share.std() < 0.5 * raw.std()
    np.testing.assert_allclose(share.mean(), 1.0, atol=0.05)


def test_missing_returns_stay_missing_and_a_market_that_stands_still_takes_nothing() -> None:
    x = np.array([[0.01, 0.03, np.nan], [0.02, -0.02, 0.03], [np.nan, 0.01, 0.00]])
    left = market_residuals(x)
    np.testing.assert_array_equal(np.isnan(left), np.isnan(x))
    still = np.array([[0.01, -0.01], [-0.02, 0.02]])
    np.testing.assert_allclose(market_residuals(still), still)
    assert np.isnan(market_residuals(np.full((3, 2), np.nan))).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.5))
def test_standardised_moves_are_of_one_size_and_bounded(seed: int, missing: float) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = 0.02 * rng.standard_t(3, size=(60, 5)) * np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    x[rng.random(x.shape) < missing] = np.nan
    z = standardised(x)
    scale = np.sqrt(np.nanmean(x**2, axis=0))
    np.testing.assert_allclose(z, np.clip(x / scale, -CLIP, CLIP))


def test_a_name_that_does_not_move_stays_at_zero() -> None:
    z = standardised(np.array([[0.0, 0.1], [np.nan, -0.1], [0.0, 0.1]]))
    np.testing.assert_array_equal(z[:, 0], [0.0, np.nan, 0.0])
