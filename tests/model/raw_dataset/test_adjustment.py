"""Forward adjustment by hand, and independent of where months are cut."""

import math
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import SourceError
from model.raw_dataset.adjustment import empty_state, next_state, with_cumulative
from model.raw_dataset.panel import PANEL, build_month
from model.raw_dataset.settings import QualitySettings, UniverseSettings
from model.raw_dataset.universe import UNIVERSE

NO_MEMBERS = pl.DataFrame(schema=UNIVERSE)
FIRST = date(2020, 1, 6)


def quotes(closes: list[float | None], factors: list[float], code: str = "A") -> pl.DataFrame:
    n = len(closes)
    return pl.DataFrame(
        {
            "Date": [FIRST + timedelta(days=day) for day in range(n)],
            "Code": [code] * n,
            "Open": closes,
            "High": closes,
            "Low": closes,
            "Close": closes,
            "Volume": [100] * n,
            "TurnoverValue": [None] * n,
            "AdjustmentFactor": factors,
            "UpperLimit": [False] * n,
            "LowerLimit": [False] * n,
            "Sector": ["S"] * n,
        },
        schema_overrides={"TurnoverValue": pl.Float64, "Close": pl.Float64, "AdjustmentFactor": pl.Float64},
    )


def build(frame: pl.DataFrame, state: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    month = build_month(frame, state, NO_MEMBERS, QualitySettings(), UniverseSettings())
    return month.panel, month.state


def test_a_two_for_one_split_by_hand() -> None:
    panel, state = build(quotes([100.0, 102.0, 50.0, 51.0], [1.0, 1.0, 0.5, 1.0]), empty_state())
    assert panel.schema == PANEL
    assert panel["AdjustmentCumulative"].to_list() == [1.0, 1.0, 0.5, 0.5]
    assert panel["AdjClose"].to_list() == [100.0, 102.0, 100.0, 102.0]
    assert panel["AdjVolume"].to_list() == [100.0, 100.0, 50.0, 50.0]
    assert panel["Close"].to_list() == [100.0, 102.0, 50.0, 51.0]
    assert panel["TurnoverValue"].to_list() == [10000.0, 10200.0, 5000.0, 5100.0]
    assert state.rows() == [("A", 0.5, 102.0)]


def test_a_consolidation_and_a_day_without_a_close_by_hand() -> None:
    panel, state = build(quotes([10.0, None, 105.0], [1.0, 10.0, 1.0]), empty_state())
    assert panel["AdjClose"].to_list() == [10.0, None, 10.5]
    assert panel["Tradable"].to_list() == [True, False, True]
    assert panel["InUniverse"].to_list() == [True, False, True]
    assert state.rows() == [("A", 10.0, 10.5)]


@pytest.mark.parametrize("factor", [math.nan, math.inf, 0.0, -0.5])
def test_a_factor_that_would_spoil_every_later_day_is_refused(factor: float) -> None:
    with pytest.raises(SourceError, match=r"AdjustmentFactor is not .* in 1 of 3 rows, the first being code A on 2020"):
        build(quotes([10.0, 10.0, 10.0], [1.0, factor, 1.0]), empty_state())


@pytest.mark.parametrize("factors", [[1.0, 5e-324, 1.0], [1e-20, 1e-20, 1.0], [1e200, 1e200, 1.0]])
def test_factors_whose_product_would_make_prices_infinite_are_refused(factors: list[float]) -> None:
    with pytest.raises(SourceError, match=r"AdjustmentFactors .* in \d of 3 rows, the first being code A on 2020"):
        build(quotes([10.0, 10.0, 10.0], factors), empty_state())


@pytest.mark.parametrize("close", [5e-324, 1e-308, 1e200, 1e308])
def test_nothing_infinite_comes_from_a_close_that_no_price_can_be(close: float) -> None:
    panel, state = build(quotes([10.0, close, 11.0], [1.0, 0.5, 1.0]), empty_state())
    assert panel["AdjClose"].to_list() == [10.0, None, 22.0] and panel["AdjOpen"].to_list() == [10.0, None, 22.0]
    assert panel["TurnoverValue"].to_list() == [1000.0, None, 1100.0]
    assert panel["Tradable"].to_list() == [True, False, True] and state.rows() == [("A", 0.5, 22.0)]


def test_a_close_that_is_not_finite_counts_as_missing_and_the_next_day_goes_on() -> None:
    panel, state = build(quotes([10.0, math.inf, math.nan, 11.0], [1.0] * 4), empty_state())
    assert panel["AdjClose"].to_list() == [10.0, None, None, 11.0]
    assert panel["Tradable"].to_list() == panel["InUniverse"].to_list() == [True, False, False, True]
    assert state.rows() == [("A", 1.0, 11.0)]


def test_a_code_keeps_its_state_through_months_in_which_it_is_absent() -> None:
    _, state = build(quotes([10.0, 5.0], [1.0, 0.5]), empty_state())
    _, state = build(quotes([3.0], [1.0], code="B"), state)
    assert state.rows() == [("A", 0.5, 10.0), ("B", 1.0, 3.0)]
    panel, _ = build(quotes([6.0], [1.0]), state)
    assert panel["AdjClose"].to_list() == [12.0]


factors = st.sampled_from([1.0, 1.0, 1.0, 0.5, 1 / 3, 0.2, 10.0])


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.tuples(st.floats(1, 1000), factors), min_size=2, max_size=20), data=st.data())
def test_the_bits_do_not_depend_on_where_months_are_cut_nor_on_later_splits(
    values: list[tuple[float, float]], data: st.DataObject
) -> None:
    frame = quotes([close for close, _ in values], [factor for _, factor in values])
    cut = data.draw(st.integers(1, len(values) - 1))
    whole, end = build(frame, empty_state())
    first, state = build(frame.head(cut), empty_state())
    second, end_by_parts = build(frame.slice(cut), state)
    assert whole.equals(pl.concat([first, second])) and end.equals(end_by_parts)


def test_the_running_product_is_that_of_the_factors() -> None:
    frame = quotes([1.0] * 4, [0.5, 1 / 3, 1.0, 10.0])
    found = with_cumulative(frame, empty_state())["cumulative"].to_list()
    assert found == pytest.approx([0.5, 1 / 6, 1 / 6, 10 / 6])
    assert next_state(empty_state(), build(frame, empty_state())[0])["cumulative"].to_list() == found[-1:]
