"""Periods and fold names."""

from datetime import date

import pytest
from pydantic import ValidationError

from model.walk_forward_folds.periods import period_bounds
from model.walk_forward_folds.settings import FoldSettings


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("2016", date(2016, 1, 1), date(2016, 12, 31)),
        ("2016h1", date(2016, 1, 1), date(2016, 6, 30)),
        ("2016h2", date(2016, 7, 1), date(2016, 12, 31)),
        ("2016q1", date(2016, 1, 1), date(2016, 3, 31)),
        ("2016q2", date(2016, 4, 1), date(2016, 6, 30)),
        ("2016q3", date(2016, 7, 1), date(2016, 9, 30)),
        ("2016q4", date(2016, 10, 1), date(2016, 12, 31)),
    ],
)
def test_a_period_covers_its_calendar_days(period: str, first: date, last: date) -> None:
    assert period_bounds(period) == (first, last)


@pytest.mark.parametrize("period", ["2016h3", "2016q0", "16h1", "h1", "2016-h1", "", "0000"])
def test_what_is_no_period_is_refused_with_an_example(period: str) -> None:
    with pytest.raises(ValidationError, match="2016h1"):
        FoldSettings(periods=(period,))


def test_keys_follow_from_the_settings_alone() -> None:
    assert FoldSettings(periods=("2016h1", "2016q3", "2017")).names() == (
        "wf_2016h1",
        "wf_2016q3",
        "wf_2017",
        "live",
    )
    assert FoldSettings(periods=("2016h1",), live=False).names() == ("wf_2016h1",)


def test_a_bare_year_as_yaml_reads_it_is_a_period() -> None:
    assert FoldSettings.model_validate({"periods": [2016, "2017h1"], "live": False}).names() == (
        "wf_2016",
        "wf_2017h1",
    )


@pytest.mark.parametrize(
    "periods", [("2016h2", "2016h1"), ("2016", "2016h2"), ("2016h1", "2016h1"), ("2016q2", "2016h1")]
)
def test_periods_out_of_order_or_overlapping_are_refused(periods: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="overlap"):
        FoldSettings(periods=periods)


def test_a_train_window_shorter_than_the_minimum_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"folds\.min_train_days"):
        FoldSettings(train_days=100, min_train_days=252)


def test_another_list_of_periods_leaves_the_hash_of_each_fold_alone() -> None:
    assert FoldSettings(periods=("2016h1",)).hashed() == FoldSettings(periods=("2016h1", "2016h2"), live=False).hashed()
    assert FoldSettings(embargo_days=5).hashed() != FoldSettings().hashed()
