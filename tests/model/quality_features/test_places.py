"""Where the rows of some codes stand in a month."""

import polars as pl
import pytest

from model.quality_features.places import OLD, Places, rows_of

CODES = ["1301", "130A", "7203", "7203X", "9984"] * 3


@pytest.mark.parametrize("wanted", [set(), {"7203"}, {"130A", "none"}, set(CODES)])
def test_rows_are_those_of_the_codes_whether_few_or_many(wanted: set[str]) -> None:
    found = rows_of(pl.Series(CODES), wanted).tolist()
    assert found == [row for row, code in enumerate(CODES) if code in wanted]


def test_places_name_number_date_and_code() -> None:
    keys = pl.DataFrame({"Date": [1] * 5 + [2] * 5 + [3] * 5, "Code": CODES, "x": range(15)})
    places = Places(keys)
    assert places.of(frozenset({"7203"})).rows() == [(2, 1, "7203"), (7, 2, "7203"), (12, 3, "7203")]
    assert places.of(frozenset()).columns == [OLD, "Date", "Code"] and places.of(frozenset()).is_empty()
