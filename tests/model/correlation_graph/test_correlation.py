"""Masked, weighted correlation against independent definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.correlation_graph.correlation import DECIMALS, NAMES_PER_BLOCK, masked_correlation, weights

TOLERANCE = 0.51 * 10.0**-DECIMALS


def returns(days: int, names: int, seed: int = 0) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    return 0.02 * rng.normal(size=(days, names)) + 0.01 * rng.normal(size=(days, 1)) + 0.05


def test_complete_returns_with_flat_weights_give_the_ordinary_correlation() -> None:
    x = returns(60, 25)
    ours = masked_correlation(x, weights(60, None), min_joint=40, shrinkage=0.0)
    expected = np.corrcoef(x.T)
    off = ~np.eye(25, dtype=bool)
    np.testing.assert_allclose(ours[off], expected[off], atol=TOLERANCE)
    assert np.isnan(np.diag(ours)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.5), st.sampled_from([None, 5.0, 20.0]), st.sampled_from([0.0, 0.05]))
def test_every_pair_equals_the_weighted_correlation_of_its_joint_days(
    seed: int, missing: float, halflife: float | None, shrinkage: float
) -> None:
    x = returns(30, 6, seed)
    rng = np.random.Generator(np.random.PCG64(seed + 1))
    x[rng.random(x.shape) < missing] = np.nan
    weight = weights(30, halflife)
    ours = masked_correlation(x, weight, min_joint=12, shrinkage=shrinkage)
    for i in range(6):
        for j in range(6):
            joint = np.isfinite(x[:, i]) & np.isfinite(x[:, j])
            if i == j or joint.sum() < 12:
                assert np.isnan(ours[i, j])
                continue
            covariance = np.cov(x[joint, i], x[joint, j], aweights=weight[joint], ddof=0)
            expected = (1 - shrinkage) * covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
            assert ours[i, j] == pytest.approx(expected, abs=TOLERANCE)


def test_the_matrix_is_symmetric_to_the_bit() -> None:
    x = returns(60, 40)
    x[np.random.Generator(np.random.PCG64(5)).random(x.shape) < 0.1] = np.nan
    ours = masked_correlation(x, weights(60, 20.0), min_joint=10, shrinkage=0.05)
    np.testing.assert_array_equal(ours, ours.T)


def test_more_names_than_a_block_holds_give_the_same_pairs() -> None:
    x = returns(60, NAMES_PER_BLOCK + 30)
    ours = masked_correlation(x, weights(60, None), min_joint=40, shrinkage=0.0)
    expected = np.corrcoef(x.T)
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(ours, expected, atol=TOLERANCE)


def test_a_name_that_does_not_move_has_no_correlation() -> None:
    x = returns(60, 5)
    x[:, 2] = 0.001
    ours = masked_correlation(x, weights(60, 20.0), min_joint=40, shrinkage=0.0)
    assert np.isnan(ours[2]).all()
    assert np.isfinite(ours[0, 1])


def test_a_return_one_halflife_old_weighs_half() -> None:
    weight = weights(60, 20.0)
    assert weight[-1] == pytest.approx(2 * weight[-21])
    assert weight.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights(4, None), 0.25)
