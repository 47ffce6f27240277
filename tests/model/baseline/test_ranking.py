"""Relevance within a day, and the measure that stops the ranking."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from model.baseline.ranking import LEVELS, DailyRankIC, group_sizes, relevance


def test_relevance_is_the_place_within_the_own_day() -> None:
    day = np.repeat([0, 2], [64, 4])
    target = np.concatenate((np.arange(64.0), [5.0, 1.0, 1.0, 9.0]))
    found = relevance(target, day)
    assert found[:64].tolist() == [place // 2 for place in range(64)]
    assert found[64:].tolist() == [20, 8, 8, 28]  # places 2.5, 1, 1 and 3.5 of 4, in steps of 1/32
    assert relevance(np.array([3.0]), np.array([7])).tolist() == [LEVELS // 2]
    assert group_sizes(day).tolist() == [64, 4]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_measure_is_the_mean_of_the_days_spearman_correlations(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    day = np.repeat([0, 1, 4], [12, 30, 7])
    target, predictions = rng.normal(size=49), np.round(rng.normal(size=49), 1)
    name, value, larger_is_better = DailyRankIC(target, day)(predictions, None)
    expected = np.mean([spearmanr(target[day == d], predictions[day == d]).statistic for d in (0, 1, 4)])
    assert (name, larger_is_better) == ("rank_ic", True)
    assert value == pytest.approx(expected)


def test_constant_predictions_measure_zero() -> None:
    assert DailyRankIC(np.arange(6.0), np.repeat([0, 1], 3))(np.ones(6), None)[1] == 0.0
