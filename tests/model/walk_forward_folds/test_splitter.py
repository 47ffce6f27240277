"""No label span of one part reaches another, for every way of setting up a fold."""

import doctest
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import DataError
from model.walk_forward_folds import periods, spans, splitter
from model.walk_forward_folds.fold import Fold
from model.walk_forward_folds.settings import FoldSettings
from model.walk_forward_folds.splitter import make_fold
from tests.model.walk_forward_folds.synthetic_store import weekdays


@st.composite
def folds(draw: st.DrawFn) -> tuple[Fold, list[date], tuple[int, ...], FoldSettings]:
    horizons = tuple(sorted(draw(st.sets(st.integers(1, 12), min_size=1, max_size=3))))
    minimum = draw(st.integers(20, 30))
    config = FoldSettings(
        periods=("2019h2",),
        train_days=draw(st.none() | st.integers(minimum, 60)),
        min_train_days=minimum,
        validation_days=draw(st.integers(5, 20)),
        embargo_days=draw(st.integers(0, 8)),
        lookback_days=draw(st.integers(1, 15)),
        min_names=10,
    )
    days = weekdays(draw(st.integers(160, 300)))
    empty = draw(st.integers(0, 10))
    names = [0] * empty + [25] * (len(days) - empty)
    name = draw(st.sampled_from(["wf_2019h2", "live"]))
    return make_fold(name, days, names, horizons, config), days, horizons, config


@settings(max_examples=25, deadline=None)
@given(folds())
def test_no_label_span_of_one_part_touches_another_and_the_embargo_holds(
    case: tuple[Fold, list[date], tuple[int, ...], FoldSettings],
) -> None:
    fold, days, horizons, config = case
    place = {day: position for position, day in enumerate(days)}
    parts = (fold.train_dates, fold.validation_dates, fold.test_dates)
    reach = dict(zip(fold.window_dates, fold.reach, strict=True))
    for earlier, later in ((0, 1), (0, 2), (1, 2)):
        for first in parts[earlier]:
            for horizon in (each for each in horizons if each <= reach[first]):
                span_end = place[first] + horizon  # prices up to this close make the label of ``first``
                assert all(span_end + config.embargo_days < place[second] for second in parts[later])


@settings(max_examples=25, deadline=None)
@given(folds())
def test_a_label_is_fitted_exactly_if_its_own_span_lets_it(
    case: tuple[Fold, list[date], tuple[int, ...], FoldSettings],
) -> None:
    fold, days, horizons, config = case
    place = {day: position for position, day in enumerate(days)}
    judged = [place[day] for day in (*fold.validation_dates, *fold.test_dates)]
    for horizon in horizons:
        fitted = set(fold.fitted_dates(horizon))
        for day in days[place[fold.train_start] : place[fold.validation_start]]:
            resolved = place[day] + horizon
            apart = all(
                resolved + config.embargo_days < known  # ``known`` … ``known + max(horizons)`` is what it is judged on
                or place[day] > known + max(horizons) + config.embargo_days
                for known in judged
            )
            assert (day in fitted) is apart
    for day, role, reach in zip(fold.window_dates, fold.roles, fold.reach, strict=True):
        assert (reach in horizons) if role == "train" else reach == (max(horizons) if day in judged_days(fold) else 0)


def judged_days(fold: Fold) -> set[date]:
    """The days that are chosen by or tested."""
    return {*fold.validation_dates, *fold.test_dates}


def test_short_labels_gain_the_days_that_the_longest_one_loses() -> None:
    horizons, days = (1, 5, 10, 20), weekdays(500)
    fold = make_fold("live", days, [50] * 500, horizons, FoldSettings(min_train_days=20, embargo_days=3))
    stop = days.index(fold.validation_start)
    last = {horizon: stop - 1 - days.index(fold.fitted_dates(horizon)[-1]) for horizon in horizons}
    assert last == {1: 4, 5: 8, 10: 13, 20: 23}  # the horizon and the embargo lie strictly between
    assert len(fold.fitted_dates(1)) == len(fold.fitted_dates(20)) + 19 == fold.n_train


@settings(max_examples=25, deadline=None)
@given(folds())
def test_roles_cover_the_window_once_in_the_order_of_time(
    case: tuple[Fold, list[date], tuple[int, ...], FoldSettings],
) -> None:
    fold, days, horizons, config = case
    assert len(fold.roles) == len(fold.window_dates)
    start = days.index(fold.window_start)
    assert list(fold.window_dates) == days[start : start + len(fold.window_dates)]
    embargo = ["embargo"] * config.embargo_days
    resolution = min(max(horizons), len(days) - 1 - days.index(fold.test_end))
    assert list(fold.roles) == (
        ["lookback"] * config.lookback_days
        + ["train"] * fold.n_train
        + ["purge"] * min(horizons)
        + embargo
        + ["validation"] * config.validation_days
        + ["purge"] * max(horizons)
        + embargo
        + ["test"] * fold.n_test
        + ["resolution"] * resolution
    )
    assert fold.gap_days == max(horizons) + config.embargo_days


def test_exact_dates_of_a_small_fold() -> None:
    days = weekdays(60)  # from 2019-01-01
    config = FoldSettings(
        periods=("2019q2",), min_train_days=20, validation_days=5, embargo_days=1, lookback_days=3, min_names=2
    )
    with pytest.raises(DataError, match="no test days"):
        make_fold("wf_2019q2", days, [5] * 60, (1, 2), config)
    days = weekdays(80)
    assert days[64] == date(2019, 4, 1)
    fold = make_fold("wf_2019q2", days, [5] * 80, (1, 2), config)
    # Test 64 …; gap of 2 + 1 days 61, 62, 63; validation 56 … 60; embargo 55; labels over two days are fitted up to
    # day 52 (resolved on 54), over one day up to day 53; lookback 0, 1, 2.
    assert fold.test_dates == tuple(days[64:80])
    assert fold.validation_dates == tuple(days[56:61])
    assert fold.train_dates == fold.fitted_dates(1) == tuple(days[3:54])
    assert fold.fitted_dates(2) == tuple(days[3:53])
    assert (fold.window_start, fold.window_end) == (days[0], days[79])


def test_a_rolling_fold_has_exactly_its_train_days_and_reads_no_further_back() -> None:
    days = weekdays(200)
    config = FoldSettings(train_days=30, min_train_days=20, validation_days=10, embargo_days=2, lookback_days=5)
    fold = make_fold("live", days, [50] * 200, (1, 5), config)
    assert len(fold.fitted_dates(5)) == 30
    assert len(fold.fitted_dates(1)) == fold.n_train == 34
    assert fold.window_dates.index(fold.train_start) == 5


def test_the_live_fold_predicts_the_days_whose_longest_label_is_open() -> None:
    days = weekdays(200)
    fold = make_fold("live", days, [50] * 200, (1, 5, 10), FoldSettings(min_train_days=20, lookback_days=5))
    assert fold.test_dates == tuple(days[-10:])
    assert fold.window_end == days[-1]
    last_known = days.index(fold.validation_end) + 10
    assert last_known < len(days)


def test_days_added_later_change_no_fold_that_is_over() -> None:
    config = FoldSettings(periods=("2019h2",), min_train_days=20, validation_days=10, embargo_days=2, lookback_days=5)
    few, many = weekdays(280), weekdays(400)
    assert make_fold("wf_2019h2", few, [50] * 280, (1, 5), config) == make_fold(
        "wf_2019h2", many, [50] * 400, (1, 5), config
    )


def test_too_few_train_days_are_refused_with_what_there_is_and_what_to_change() -> None:
    with pytest.raises(DataError) as refusal:
        make_fold("wf_2019q2", weekdays(100), [50] * 100, (1, 5), FoldSettings(periods=("2019q2",)))
    message = str(refusal.value)
    for part in ("wf_2019q2", "0 train days", "needs 252", "2019-04-01", "too short to test any", "min_train_days"):
        assert part in message


@pytest.mark.parametrize(("asked", "reason"), [("2014", "no test days"), ("2019h1", "0 train days")])
def test_a_period_that_cannot_be_tested_is_refused_with_those_that_can(asked: str, reason: str) -> None:
    days = weekdays(262 * 4 + 80)  # 2019 to the spring of 2023
    settings = FoldSettings(periods=(asked,))
    with pytest.raises(DataError, match=rf"wf_{asked} has {reason}.*folds\.periods=\[2021,2022\]"):
        make_fold(f"wf_{asked}", days, [50] * len(days), (1, 5), settings)
    for year in ("2021", "2022"):
        assert make_fold(f"wf_{year}", days, [50] * len(days), (1, 5), settings).n_train >= settings.min_train_days
    with pytest.raises(DataError, match="train days"):
        make_fold("wf_2020", days, [50] * len(days), (1, 5), settings)


def test_where_no_whole_year_can_be_tested_halves_are_named() -> None:
    days = weekdays(520)
    with pytest.raises(DataError, match=r"folds\.periods=\[2020h2\]"):
        make_fold("wf_2018", days, [50] * len(days), (1, 5), FoldSettings(periods=("2018",), min_train_days=160))


def test_a_universe_that_is_too_small_is_named_as_the_reason() -> None:
    with pytest.raises(DataError, match=r"folds\.min_names"):
        make_fold("live", weekdays(300), [5] * 300, (1,), FoldSettings(min_train_days=20))


def test_days_out_of_order_are_a_mistake_of_the_caller() -> None:
    days = weekdays(50)
    with pytest.raises(ValueError, match="increasing"):
        make_fold("live", days[::-1], [50] * 50, (1,), FoldSettings(min_train_days=20))


@pytest.mark.parametrize("module", [splitter, periods, spans])
def test_the_indices_printed_in_the_documentation_are_the_real_ones(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


def test_dates_in_the_document_are_in_the_order_of_time() -> None:
    fold = make_fold("live", weekdays(200), [50] * 200, (1, 5), FoldSettings(min_train_days=20))
    document = fold.document()
    order = ["window_start", "train_start", "train_end", "validation_start", "validation_end", "test_start", "test_end"]
    assert all(document[a] < document[b] for a, b in pairwise(order))
    assert document["gap_days"] == document["purge_days"] + document["embargo_days"] == 25
