"""Purging by spans and combinatorial splits against brute force."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.walk_forward_folds.combinatorial import groups, parts, path_count, paths, splits
from model.walk_forward_folds.spans import stretches, trainable

HORIZONS = (1, 5, 10, 20)


def days_between(span: range, other: range) -> int:
    """Whole days strictly between two spans; -1 where they touch or overlap without a day between."""
    if span.start >= other.stop:
        return span.start - other.stop
    if other.start >= span.stop:
        return other.start - span.stop
    return -1


@given(
    horizon=st.sampled_from(HORIZONS),
    longest=st.integers(1, 20),
    embargo=st.integers(0, 12),
    start=st.integers(0, 60),
    length=st.integers(1, 15),
    second=st.integers(0, 40),
)
@settings(max_examples=60, deadline=None)
def test_a_sample_is_usable_exactly_if_its_span_keeps_the_embargo_from_every_evaluated_span(
    horizon: int, longest: int, embargo: int, start: int, length: int, second: int
) -> None:
    evaluated = [range(start, start + length), range(start + length + second, start + length + second + 3)]
    known = np.arange(120)
    found = trainable(known, known + horizon, evaluated, longest_horizon=longest, embargo_days=embargo)
    for day in known.tolist():
        own = range(day, day + horizon + 1)
        spans = [range(part.start, part.stop + longest) for part in evaluated]
        assert found[day] == all(days_between(own, span) >= embargo for span in spans)


def test_mixed_horizons_are_purged_by_their_own_spans() -> None:
    known = np.arange(100)
    last = {
        h: int(known[trainable(known, known + h, [range(60, 100)], longest_horizon=20, embargo_days=3)].max())
        for h in HORIZONS
    }
    assert last == {1: 55, 5: 51, 10: 46, 20: 36}  # resolves on 56, three days of embargo, 60 is evaluated


def test_a_sample_that_resolves_before_it_is_known_is_refused() -> None:
    with pytest.raises(ValueError, match="before it is known"):
        trainable(np.array([3]), np.array([2]), [], longest_horizon=1, embargo_days=0)


@given(first=st.integers(0, 50), count=st.integers(2, 12), length=st.integers(24, 400))
@settings(max_examples=25, deadline=None)
def test_groups_are_consecutive_and_nearly_equal(first: int, count: int, length: int) -> None:
    found = groups(first, first + length, count)
    assert [position for group in found for position in group] == list(range(first, first + length))
    sizes = [len(group) for group in found]
    assert len(sizes) == count and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("count", "tested"), [(4, 2), (6, 2), (5, 1), (6, 3), (10, 2)])
def test_every_prediction_is_in_exactly_one_path_and_every_path_covers_the_history(count: int, tested: int) -> None:
    every, table = splits(count, tested), paths(count, tested)
    assert len(every) == comb(count, tested)
    assert table.shape == (path_count(count, tested), count) == (comb(count, tested) * tested // count, count)
    used = sorted((int(table[path, group]), group) for path, group in product(range(len(table)), range(count)))
    assert used == sorted((number, group) for number, chosen in enumerate(every) for group in chosen)


def test_the_published_example_of_six_groups_and_two_tested_has_fifteen_splits_and_five_paths() -> None:
    assert len(splits(6, 2)) == 15 and path_count(6, 2) == 5
    with pytest.raises(ValueError, match="not all"):
        splits(4, 4)


@pytest.mark.parametrize("tested", splits(6, 2))
def test_no_train_sample_of_any_split_touches_what_it_is_judged_on(tested: tuple[int, ...]) -> None:
    days = groups(60, 660, 6)
    found = parts(days, tested, horizons=HORIZONS, embargo_days=5, validation_days=40)
    assert set(found.test) == {position for group in tested for position in days[group]}
    assert len(found.validation) == 40 and not set(found.validation) & set(found.test)
    assert len(found.train) > 150
    judged = [*stretches(found.test), *stretches(found.validation)]
    for day in found.train:
        own = range(day, day + 1 + min(HORIZONS))
        assert all(days_between(own, range(part.start, part.stop + max(HORIZONS))) >= 5 for part in judged)
    for day in found.validation:
        own = range(day, day + 1 + max(HORIZONS))
        assert all(days_between(own, range(p.start, p.stop + max(HORIZONS))) >= 5 for p in stretches(found.test))
