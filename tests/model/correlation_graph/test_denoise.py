"""Correlations without their noise: nothing where there is nothing, whole groups where there are some."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.correlation_graph.correlation import masked_correlation, weights
from model.correlation_graph.denoise import denoised


def correlation(x: np.ndarray) -> np.ndarray:
    return masked_correlation(x, weights(len(x), None), min_joint=5, shrinkage=0.0)


def grouped(days: int, groups: int, each: int, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns, and the correlation that the names truly have."""
    rng = np.random.Generator(np.random.PCG64(seed))
    member = np.arange(groups * each) % groups
    common = rng.normal(size=(days, groups))[:, member]
    x = np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=(days, groups * each))
    truth = np.where(member[:, None] == member[None], share, 0.0)
    np.fill_diagonal(truth, np.nan)
    return x, truth


@pytest.mark.parametrize("seed", range(3))
def test_it_is_nearer_to_the_truth_than_what_was_measured(seed: int) -> None:
    x, truth = grouped(250, 10, 10, 0.3, seed)
    raw = correlation(x)
    clean = denoised(raw, 250)
    assert np.nanmean((clean - truth) ** 2) < 0.7 * np.nanmean((raw - truth) ** 2)
    assert np.nanmin(clean[truth > 0]) > np.nanmax(clean[truth == 0])  # no pair is on the wrong side; raw has many
    assert np.nanmin(raw[truth > 0]) < np.nanmax(raw[truth == 0])


def test_names_that_have_nothing_in_common_keep_nothing() -> None:
    x = np.random.Generator(np.random.PCG64(4)).normal(size=(250, 80))
    raw = correlation(x)
    assert np.nanmax(np.abs(raw)) > 0.2
    assert np.nanmax(np.abs(denoised(raw, 250))) < 0.1


def test_it_equals_the_definition_for_two_groups_by_hand() -> None:
    raw = np.full((4, 4), 0.1)
    raw[0, 1] = raw[1, 0] = raw[2, 3] = raw[3, 2] = 0.7
    np.fill_diagonal(raw, np.nan)
    # Eigenvalues 1 + 0.7 + 0.2 = 1.9, 1 + 0.7 - 0.2 = 1.5 and twice 0.3. Over 400 days the edge is at most 1.21: two
    # are signal, the others have the mean 0.3, which is what they are, so nothing changes.
    np.testing.assert_allclose(denoised(raw, 400), raw, atol=1e-12)
    # Over four days the edge is 4 s2: of s2 = 1 all four are noise, and their mean is 1.
    np.testing.assert_allclose(np.nan_to_num(denoised(raw, 4)), 0.0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(6, 80))
def test_the_result_is_a_symmetric_correlation_with_the_same_gaps(seed: int, names: int, days: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.normal(size=(days, names)) + rng.normal(size=(days, 1))
    x[rng.random(x.shape) < 0.2] = np.nan
    x[:, 0] = 0.001
    raw = correlation(x)
    clean = denoised(raw, days)
    np.testing.assert_array_equal(np.isnan(clean), np.isnan(raw))
    np.testing.assert_array_equal(clean, clean.T)
    assert np.nanmax(np.abs(clean), initial=0.0) <= 1.0


def test_nothing_known_stays_nothing() -> None:
    assert np.isnan(denoised(np.full((3, 3), np.nan), 60)).all()
