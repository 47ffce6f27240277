"""The ticks of a time axis, on the shortest histories and on long ones."""

import warnings
from datetime import datetime, timedelta

import pytest

from model.pictures.date_axis import date_locator

FIRST = datetime(2019, 1, 7)


@pytest.mark.parametrize("ticks", [(3, 9), (3, 5), (2, 11), (2, 5)])
def test_every_length_of_history_has_ticks_at_days_without_a_warning(ticks: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for days in (*range(1, 80), *range(80, 1200, 7), 5000, 20000):
            locator = date_locator(*ticks)
            found = locator.tick_values(FIRST, FIRST + timedelta(days=days, hours=1))
            assert 1 <= len(found) <= 2 * ticks[1]
            assert all(each == int(each) for each in found), days
