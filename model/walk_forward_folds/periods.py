"""Test periods as text: half-years, quarters, years."""

import re
from datetime import date

PERIOD = re.compile(r"(?P<year>\d{4})(?:h(?P<half>[12])|q(?P<quarter>[1-4]))?")


def period_bounds(period: str) -> tuple[date, date]:
    """First and last calendar day of a period.

    >>> period_bounds("2016h1")
    (datetime.date(2016, 1, 1), datetime.date(2016, 6, 30))
    >>> period_bounds("2016q4")
    (datetime.date(2016, 10, 1), datetime.date(2016, 12, 31))

    Raises:
        ValueError: the text is none of ``YYYY``, ``YYYYh1``, ``YYYYh2``, ``YYYYq1`` … ``YYYYq4``.
    """
    match = PERIOD.fullmatch(period)
    if match is None or int(match["year"]) == 0:
        raise ValueError(
            f"folds.periods: {period!r} is not a period; write a half-year as 2016h1, a quarter as 2016q3, "
            "a year as 2016 (in quotation marks in YAML)"
        )
    year = int(match["year"])
    if match["half"]:
        first, months = 6 * int(match["half"]) - 5, 6
    elif match["quarter"]:
        first, months = 3 * int(match["quarter"]) - 2, 3
    else:
        first, months = 1, 12
    last = first + months - 1
    return date(year, first, 1), date(year, last, 30 if last in (6, 9) else 31)
