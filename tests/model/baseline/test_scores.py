"""Scores that learn nothing."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from model.baseline.data import Design, day_targets
from model.baseline.scores import momentum_120d, random, reversal_1d

DAYS = (date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 8))


def design(names: tuple[int, ...] = (3, 4, 2)) -> Design:
    rows = sum(names)
    rng = np.random.Generator(np.random.PCG64(0))
    return Design(
        dates=DAYS[: len(names)],
        day=np.repeat(np.arange(len(names)), names),
        codes=pl.Series("Code", [f"{code}" for count in names for code in range(count)]),
        x=rng.normal(size=(rows, 2)).astype(np.float32),
        past_return=rng.normal(size=rows),
        past_return_20d=rng.uniform(-0.5, 1.0, size=rows),
        past_return_120d=rng.uniform(-0.5, 1.0, size=rows),
        labels={1: rng.normal(size=rows)},
    )


def test_random_scores_of_a_day_do_not_depend_on_other_days() -> None:
    whole = random(design((3, 4, 2)), seed=7, horizon=1)
    other = random(design((5, 4)), seed=7, horizon=1)
    np.testing.assert_array_equal(whole[3:7], other[5:9])


def test_random_scores_repeat_with_the_seed_and_differ_by_seed_horizon_and_day() -> None:
    first = random(design(), seed=7, horizon=1)
    np.testing.assert_array_equal(first, random(design(), seed=7, horizon=1))
    assert not np.array_equal(first, random(design(), seed=8, horizon=1))
    assert not np.array_equal(first, random(design(), seed=7, horizon=5))
    assert len(set(first)) == len(first)


def test_reversal_is_minus_the_known_return_and_stays_missing_where_it_is() -> None:
    some = design()
    some.past_return[2] = np.nan
    np.testing.assert_array_equal(reversal_1d(some), -some.past_return)


def test_momentum_is_the_long_return_without_its_newest_part() -> None:
    some = design()
    some.past_return_120d[0], some.past_return_20d[0] = 0.32, 0.10
    assert momentum_120d(some)[0] == pytest.approx(0.2)
    some.past_return_20d[1] = np.nan
    assert np.isnan(momentum_120d(some)[1])


def test_blocks_hold_whole_days_and_every_row_once() -> None:
    some = design((3, 4, 2))
    assert list(some.blocks()) == [slice(0, 3), slice(3, 7), slice(7, 9)]
    assert list(some.blocks(at_least=4)) == [slice(0, 7), slice(7, 9)]
    assert list(some.blocks(at_least=100)) == [slice(0, 9)]


def test_a_day_without_rows_has_an_empty_block() -> None:
    assert list(design((3, 0, 2)).blocks()) == [slice(0, 3), slice(3, 3), slice(3, 5)]


def test_targets_are_demeaned_by_day_scaled_and_clipped() -> None:
    some = design((3, 2))
    some.labels[1][:] = [0.01, 0.03, np.nan, 1.0, -1.0]
    np.testing.assert_allclose(day_targets(some, 1, scale=0.1, clip=5.0), [-0.1, 0.1, np.nan, 5.0, -5.0])
