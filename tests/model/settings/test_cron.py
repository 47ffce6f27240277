"""What is taken for a cron expression is one for the scheduler as well."""

import pytest
from dagster._utils.schedules import is_valid_cron_string

from model.settings import cron

GOOD = ("0 20 * * 1-5", "0 7 * * 2-6", "*/15 0,12 1-15/2 JAN-MAR sun", "59 23 31 12 7", "0 0 * * mon,fri")
BAD = (
    "a",
    "",
    "20:00",
    "0 20 * *",
    "60 20 * * *",
    "0 24 * * *",
    "0 20 0 * *",
    "0 20 * 13 *",
    "0 20 * * 8",
    "0 20 * * 5-1x",
)


@pytest.mark.parametrize("text", GOOD)
def test_a_cron_expression_is_left_as_it_is(text: str) -> None:
    assert cron.require(text) == text
    assert is_valid_cron_string(text)


@pytest.mark.parametrize("text", [*BAD, "*/0 * * * *", "1-a * * * *", "5-1 * * * *"])
def test_anything_else_is_refused_with_the_field_that_is_wrong(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not a cron expression: (five fields|its (minute|hour|day|month|weekday))"
    ):
        cron.require(text)
