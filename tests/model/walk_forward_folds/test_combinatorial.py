"""Purging by spans and combinatorial splits against brute force."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from model.errors import DataError
from model.walk_forward_folds.combinatorial import paths, splits
from model.walk_forward_folds.periods import period_bounds
from model.walk_forward_folds.settings import FoldSettings
from model.walk_forward_folds.spans import stretches, trainable
from model.walk_forward_folds.splitter import make_fold
from tests.model.walk_forward_folds.synthetic_store import weekdays

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


@pytest.mark.parametrize(("count", "tested"), [(4, 2), (6, 2), (5, 1), (6, 3), (10, 2)])
def test_every_prediction_is_in_exactly_one_path_and_every_path_covers_the_history(count: int, tested: int) -> None:
    every, table = splits(count, tested), paths(count, tested)
    assert len(every) == comb(count, tested)
    assert table.shape == (comb(count - 1, tested - 1), count) == (comb(count, tested) * tested // count, count)
    used = sorted((int(table[path, group]), group) for path, group in product(range(len(table)), range(count)))
    assert used == sorted((number, group) for number, chosen in enumerate(every) for group in chosen)


def test_the_published_example_of_six_groups_and_two_tested_has_fifteen_splits_and_five_paths() -> None:
    assert len(splits(6, 2)) == 15 and len(paths(6, 2)) == 5
    with pytest.raises(ValueError, match="not all"):
        splits(4, 4)


PERIODS = ("2019h1", "2019h2", "2020h1", "2020h2", "2021h1")
DAYS = weekdays(860)  # from 2019-01-01 to April 2022


def chosen(**changes: object) -> FoldSettings:
    plain = {
        "scheme": "combinatorial",
        "periods": PERIODS,
        "min_train_days": 60,
        "validation_days": 40,
        "embargo_days": 5,
        "lookback_days": 15,
    }
    return FoldSettings.model_validate({**plain, **changes})


@pytest.mark.parametrize("name", [key for key in chosen().names() if key != "live"])
def test_no_sample_of_any_split_touches_what_it_is_judged_on(name: str) -> None:
    fold = make_fold(name, DAYS, [50] * len(DAYS), HORIZONS, chosen())
    place = {day: position for position, day in enumerate(DAYS)}
    tested = [period_bounds(period) for period in name.removeprefix("cv_").split("_")]
    assert set(fold.test_dates) == {day for day in DAYS if any(low <= day <= high for low, high in tested)}
    assert len(fold.validation_dates) == 40 and len(fold.train_dates) > 150
    judged = [*stretches([place[day] for day in fold.test_dates])]
    for part, judges in (
        (fold.validation_dates, judged),
        (fold.train_dates, [*judged, *stretches([place[day] for day in fold.validation_dates])]),
    ):
        reach = dict(zip(fold.window_dates, fold.reach, strict=True))
        for day in part:
            own = range(place[day], place[day] + reach[day] + 1)
            assert all(days_between(own, range(span.start, span.stop + max(HORIZONS))) >= 5 for span in judges)
    assert sum(days for _, _, _, days in fold.stretches()) == len(fold.window_dates)


@pytest.mark.parametrize("name", ["cv_2019h2_2020h2", "cv_2020h1_2021h1"])
def test_a_label_is_fitted_exactly_if_its_own_span_lets_it(name: str) -> None:
    fold = make_fold(name, DAYS, [50] * len(DAYS), HORIZONS, chosen())
    place = {day: position for position, day in enumerate(DAYS)}
    judged = stretches(sorted(place[day] for part in (fold.validation_dates, fold.test_dates) for day in part))
    for horizon in HORIZONS:
        fitted = set(fold.fitted_dates(horizon))
        for day in DAYS[15 : DAYS.index(max(fold.train_dates[-1], fold.validation_dates[-1], fold.test_dates[-1]))]:
            own = range(place[day], place[day] + horizon + 1)
            spans = [range(stretch.start, stretch.stop + max(HORIZONS)) for stretch in judged]
            assert (day in fitted) == all(days_between(own, span) >= 5 for span in spans), (day, horizon)


def test_a_split_learns_from_both_sides_of_what_it_tests() -> None:
    fold = make_fold("cv_2019h2_2020h2", DAYS, [50] * len(DAYS), (1, 5), chosen())
    roles = [role for role, *_ in fold.stretches()]
    assert roles == [
        *("lookback", "train", "embargo", "purge", "test", "purge", "embargo", "train"),
        *("embargo", "purge", "test", "purge", "embargo", "train", "embargo", "purge", "validation", "resolution"),
    ]
    assert fold.window_end == DAYS[DAYS.index(fold.validation_end) + 5]


def test_keys_are_the_choices_of_periods_and_too_many_are_refused() -> None:
    settings = chosen(live=False)
    assert len(settings.names()) == len(splits(5, 2)) == 10
    assert settings.names()[0] == "cv_2019h1_2019h2"
    assert chosen(tested_periods=1).names()[0] == "cv_2019h1"
    with pytest.raises(ValidationError, match="tested_periods"):
        chosen(tested_periods=5)
    with pytest.raises(ValidationError, match="at most 66"):
        chosen(periods=[f"20{year}q{quarter}" for year in (10, 11, 12) for quarter in (1, 2, 3, 4)], tested_periods=4)


def test_a_period_without_days_and_a_split_without_training_say_so() -> None:
    with pytest.raises(DataError, match="2021h1"):
        make_fold("cv_2020h1_2021h1", DAYS[:500], [50] * 500, HORIZONS, chosen())
    with pytest.raises(DataError, match=r"folds\.min_train_days"):
        make_fold("cv_2019h1_2019h2", DAYS, [50] * len(DAYS), HORIZONS, chosen(min_train_days=600))


def test_further_periods_make_combinatorial_folds_stale_and_walk_forward_ones_not() -> None:
    more = (*PERIODS, "2021h2")
    assert chosen().hashed() != chosen(periods=more).hashed()
    assert FoldSettings(periods=PERIODS).hashed() == FoldSettings(periods=more).hashed()
