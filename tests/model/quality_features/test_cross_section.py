"""Means, group means and positions across the names of a day."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from model.quality_features.cross_section import group_mean, member_mean, position


def test_means_run_over_members_that_have_a_value() -> None:
    x = np.array([[1.0, 2.0, np.nan, 9.0], [np.nan, 5.0, 5.0, 1.0]])
    member = np.array([[True, True, True, False], [True, False, False, False]])
    np.testing.assert_array_equal(member_mean(x, member)[:, 0], [1.5, np.nan])
    sector = np.array([[0, 0, 1, 1], [0, 0, 1, -1]])
    np.testing.assert_array_equal(
        group_mean(x, member, sector, 1), [[1.5, 1.5, np.nan, np.nan], [np.nan, np.nan, np.nan, np.nan]]
    )
    np.testing.assert_array_equal(group_mean(x, member, np.full((2, 4), -1), 1), np.full((2, 4), np.nan))


def test_position_places_strangers_among_the_members() -> None:
    x = np.array([[3.0, 1.0, 3.0, 2.0, np.nan, 9.0]])
    member = np.array([[True, True, True, False, True, False]])
    np.testing.assert_allclose(position(x, member), [[2 / 3, 1 / 6, 2 / 3, 1 / 3, np.nan, 1.0]])


@given(seed=st.integers(0, 10**6), names=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_position_of_members_is_the_average_rank(seed: int, names: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.integers(0, 5, (4, names)).astype(np.float64)
    x[rng.random(x.shape) < 0.2] = np.nan
    result = position(x, np.ones(x.shape, dtype=np.bool_))
    for row, ranked in zip(x, result, strict=True):
        known = ~np.isnan(row)
        np.testing.assert_allclose(ranked[known], (rankdata(row[known]) - 0.5) / max(known.sum(), 1))
        assert np.isnan(ranked[~known]).all()
