"""Digests of cross-sections speak of one column on one day, whatever lies around it."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.store.day_digests import DayDigests

SCHEMA = {"Date": pl.Date, "Code": pl.String, "x": pl.Float32, "flag": pl.Boolean, "day": pl.Date}
ROWS = st.lists(
    st.tuples(
        st.dates(date(2020, 1, 1), date(2020, 1, 4)),
        st.none() | st.text(max_size=3),
        st.none() | st.floats(width=32),
        st.none() | st.booleans(),
        st.none() | st.dates(),
    ),
    max_size=12,
)


def frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("Date", maintain_order=True)


def canonical(table: pl.DataFrame) -> pl.DataFrame:
    """Every NaN the same and no negative zero."""
    return table.with_columns(pl.when(pl.col("x").is_nan()).then(float("nan")).otherwise(pl.col("x") + 0.0))


@settings(max_examples=50, deadline=None)
@given(ROWS, ROWS)
def test_digests_are_equal_exactly_where_the_values_of_the_day_are(
    one: list[tuple[object, ...]], other: list[tuple[object, ...]]
) -> None:
    tables = frame(one), frame(other)
    found = tuple(DayDigests.of(table) for table in tables)
    assert [each.days.tolist() for each in found] == [
        table["Date"].unique().sort().to_physical().to_list() for table in tables
    ]
    for day in set(found[0].days.tolist()) & set(found[1].days.tolist()):
        of_day = [canonical(table.filter(pl.col("Date").to_physical() == day)) for table in tables]
        own = [each.values[np.flatnonzero(each.days == day)[0]] for each in found]
        for index, name in enumerate(found[0].columns):
            same = of_day[0][name].equals(of_day[1][name])
            assert same == bool((own[0][index] == own[1][index]).all()), name


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(0, 3))
def test_a_part_of_the_days_has_the_root_of_a_table_of_these_days_alone(
    rows: list[tuple[object, ...]], cut: int
) -> None:
    whole = frame(rows)
    early = pl.col("Date") <= date(2020, 1, 1 + cut)
    pieces = pl.concat([whole.filter(early), whole.filter(~early)], rechunk=False)
    assert DayDigests.of(pieces).root(whole.schema) == DayDigests.of(whole).root(whole.schema)
    part = DayDigests.of(whole.filter(early))
    kept = np.isin(DayDigests.of(whole).days, part.days)
    assert np.array_equal(DayDigests.of(whole).values[kept], part.values)


@settings(max_examples=50, deadline=None)
@given(ROWS, ROWS)
def test_digests_brought_up_to_date_where_days_differ_are_those_of_the_table_as_a_whole(
    before: list[tuple[object, ...]], now: list[tuple[object, ...]]
) -> None:
    old, new = frame(before), frame(now)
    found = DayDigests.of(old)
    whole = DayDigests.of(new)
    differs = np.ones(whole.values.shape[:2], dtype=np.bool_)
    for row, day in enumerate(whole.days.tolist()):
        rows = [table.filter(pl.col("Date").to_physical() == day) for table in (old, new)]
        for index, name in enumerate(whole.columns):
            differs[row, index] = not rows[0][name].equals(rows[1][name])
    assert np.array_equal(DayDigests.of(new, found, differs).values, whole.values)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_columns_whose_digests_are_known_need_not_be_hashed_again(rows: list[tuple[object, ...]]) -> None:
    table = frame(rows)
    known = DayDigests.of(table.select("Date", "flag", "Code"))
    found = DayDigests.of(table, known)
    assert found.columns == tuple(table.columns[1:])
    assert np.array_equal(found.values, DayDigests.of(table).values)
    of_other_values = DayDigests(known.days, known.columns, known.values + np.uint64(1))
    taken = DayDigests.of(table, of_other_values).take(known.columns)
    assert taken is not None and np.array_equal(taken.values, of_other_values.values)


def test_the_root_speaks_of_names_dtypes_days_and_values() -> None:
    table = frame([(date(2020, 1, 1), "a", 1.0, True, None), (date(2020, 1, 2), "b", 2.0, None, None)])
    others = (
        table.rename({"x": "y"}),
        table.cast({"x": pl.Float64}),
        table.with_columns(pl.col("Date").dt.offset_by("1d")),
        table.with_columns(x=pl.col("x") + 1),
        table.head(1),
    )
    roots = {DayDigests.of(each).root(each.schema) for each in (table, *others)}
    assert len(roots) == 6
    turned = table.select("Date", "day", "flag", "x", "Code")  # the order of columns says nothing
    assert DayDigests.of(turned).root(turned.schema) in roots


def test_an_array_gives_the_digests_back_and_other_columns_none() -> None:
    table = frame([(date(1969, 12, 31), "a", 1.0, True, None), (date(2020, 1, 2), "b", 2.0, None, None)])
    found = DayDigests.of(table)
    again = DayDigests.of_array(found.array(), found.columns)
    assert np.array_equal(again.values, found.values) and np.array_equal(again.days, found.days)
    turned = again.take(("x", "Code"))
    assert turned is not None and np.array_equal(turned.values, DayDigests.of(table.select("Date", "x", "Code")).values)
    assert again.take(("x", "new")) is None


def test_two_states_are_compared_by_day_and_column_name() -> None:
    days = [date(2020, 1, day) for day in (1, 2, 3)]
    before = pl.DataFrame({"Date": days, "x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0], "gone": [1, 2, 3]})
    now = pl.DataFrame(
        {"Date": [*days[1:], date(2020, 1, 6)], "new": [1, 2, 3], "y": [2.0, 9.0, 4.0], "x": [2.0, 3.0, 4.0]}
    )
    same = DayDigests.of(now).equal(DayDigests.of(before))
    assert same.tolist() == [[False, True, True], [False, False, True], [False, False, False]]


def test_a_column_without_a_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no canonical hash"):
        DayDigests.of(pl.DataFrame({"Date": [date(2020, 1, 1)], "x": [[1, 2]]}))
