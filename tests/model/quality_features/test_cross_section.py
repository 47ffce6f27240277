"""Means, group means and positions across the names of a day."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from model.quality_features.cross_section import (
    group_count,
    group_mean,
    group_median,
    group_position,
    group_std,
    member_mean,
    member_std,
    position,
)


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


def test_equal_values_have_exactly_no_spread() -> None:
    x = np.array([[0.1] * 9, [0.1] * 8 + [0.2]])
    everyone, one_sector = np.ones(x.shape, dtype=np.bool_), np.zeros(x.shape, dtype=np.int32)
    assert member_mean(x, everyone)[0, 0] != 0.1  # a rounding error that no z-score may be taken over
    for spread in (member_std(x, everyone)[:, 0], group_std(x, everyone, one_sector, 1)[:, 0]):
        np.testing.assert_allclose(spread, [0.0, x[1].std(ddof=1)])
        assert spread[0] == 0.0


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


@given(seed=st.integers(0, 10**6), names=st.integers(1, 15), minimum=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_sector_statistics_agree_with_a_plain_loop(seed: int, names: int, minimum: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.integers(-3, 4, (4, names)) * 0.7
    x[rng.random(x.shape) < 0.2] = np.nan
    member = rng.random(x.shape) < 0.7
    sector = rng.integers(-1, 3, x.shape).astype(np.int32)
    by_rule = {
        group_mean: (minimum, np.mean),
        group_median: (minimum, np.median),
        group_std: (max(minimum, 2), lambda v: np.std(v, ddof=1)),
        group_count: (minimum, len),
    }
    found = {rule: rule(x, member, sector, minimum) for rule in (*by_rule, group_position)}
    for day, name in np.ndindex(*x.shape):
        peers = x[day][(sector[day] == sector[day, name]) & member[day] & ~np.isnan(x[day])]
        for rule, (needed, plain) in by_rule.items():
            known = sector[day, name] >= 0 and len(peers) >= needed
            np.testing.assert_allclose(found[rule][day, name], plain(peers) if known else np.nan, atol=1e-12)
        here, known = x[day, name], sector[day, name] >= 0 and len(peers) >= minimum and not np.isnan(x[day, name])
        place = ((peers < here).sum() + (peers <= here).sum()) / (2 * len(peers)) if known else np.nan
        np.testing.assert_allclose(found[group_position][day, name], place)


def test_market_spread_needs_two_members() -> None:
    x = np.array([[1.0, 3.0, 100.0], [1.0, np.nan, 100.0]])
    member = np.array([[True, True, False]] * 2)
    np.testing.assert_allclose(member_std(x, member)[:, 0], [np.sqrt(2.0), np.nan])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_a_stranger_and_a_newcomer_change_no_bit_of_the_others(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    x, member = rng.normal(0, 1, (3, 9)), rng.random((3, 9)) < 0.8
    sector = rng.integers(0, 2, (3, 9)).astype(np.int32)
    wider = [np.insert(grid, 4, value, axis=1) for grid, value in ((x, 99.0), (member, False), (sector, 5))]
    for rule in (group_mean, group_median, group_std, group_count, group_position):
        alone = rule(x, member, sector, 1)
        assert alone.tobytes() == np.delete(rule(*wider, 1), 4, axis=1).tobytes()
    assert position(x, member).tobytes() == np.delete(position(wider[0], wider[1]), 4, axis=1).tobytes()
    assert member_mean(x, member).tobytes() == member_mean(wider[0], wider[1]).tobytes()
