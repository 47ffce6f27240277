"""Membership follows from the past alone."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.raw_dataset.settings import UniverseSettings
from model.raw_dataset.universe import choose, effective_dates, in_force, membership, window

DAYS = [date(2020, 1, 1) + timedelta(days=n) for n in range(400)]


def traded(values: dict[str, list[float | None]], days: list[date], price: float = 100.0) -> pl.DataFrame:
    rows = [
        {"Date": day, "Code": code, "Close": price, "TurnoverValue": value}
        for code, series in values.items()
        for day, value in zip(days, series, strict=True)
        if value is not None
    ]
    return pl.DataFrame(rows).sort("Date", "Code")


@pytest.mark.parametrize(
    ("rebalance", "expected"),
    [
        ("yearly", [date(2020, 3, 1), date(2021, 1, 1)]),
        ("quarterly", [date(2020, 3, 1), date(2020, 4, 1), date(2020, 7, 1), date(2020, 10, 1), date(2021, 1, 1)]),
    ],
)
def test_members_are_chosen_when_the_window_is_full_and_then_each_period(rebalance: str, expected: list[date]) -> None:
    values = UniverseSettings.model_validate({"size": 1, "rebalance": rebalance, "lookback_days": 60})
    assert effective_dates(DAYS, values) == tuple(expected)
    assert effective_dates(DAYS[:60], values) == ()
    assert len(effective_dates(DAYS, values.model_copy(update={"rebalance": "monthly"}))) == 12


def test_the_window_ends_on_the_day_before() -> None:
    values = UniverseSettings(size=1, lookback_days=60)
    days = window(DAYS, DAYS[100], values)
    assert days == tuple(DAYS[40:100])


def test_the_most_traded_names_by_their_median_day_are_chosen_by_hand() -> None:
    days = DAYS[:5]
    frame = traded(
        {
            "steady": [5.0, 5.0, 5.0, 5.0, 5.0],
            "one_day": [1.0, 1.0, 1.0, 1.0, 900.0],
            "new": [None, None, None, 90.0, 90.0],
            "gone": [9.0, 9.0, 9.0, None, None],
            "tie": [5.0, 5.0, 5.0, 5.0, 5.0],
        },
        days,
    )
    chosen = choose(frame, days, DAYS[5], UniverseSettings(size=3, lookback_days=5))
    assert chosen.rows() == [(DAYS[5], "gone", 1, 9.0), (DAYS[5], "steady", 2, 5.0), (DAYS[5], "tie", 3, 5.0)]
    cheap = choose(frame, days, DAYS[5], UniverseSettings(size=3, lookback_days=5, min_price=101.0))
    assert cheap.rows() == [(DAYS[5], None, 0, None)]


def test_members_go_where_nobody_can_become_one_and_stay_where_there_is_nothing_to_choose_by() -> None:
    values = UniverseSettings(size=3, lookback_days=5, min_price=50.0)
    members = choose(traded({"A": [5.0] * 5, "B": [4.0] * 5}, DAYS[:5]), DAYS[:5], DAYS[5], values)
    keys = pl.DataFrame({"Date": [DAYS[7], DAYS[20]], "Code": ["A", "A"]})
    span = DAYS[10:15]

    def still_in(window: pl.DataFrame) -> list[bool]:
        chosen = choose(window, span, DAYS[15], values)
        universe = pl.concat([members, chosen])
        assert in_force(universe, DAYS[16], DAYS[20]).equals(members if chosen.is_empty() else chosen)
        return membership(keys, universe).to_list()

    usual = traded({"A": [5.0] * 5, "B": [4.0] * 5}, span)
    assert still_in(usual) == [True, True]
    assert still_in(usual.with_columns(Close=pl.lit(10.0))) == [True, False]

    def stopped_from(day: date) -> pl.DataFrame:  # the exchange stands still: rows without prices or trades
        fields = [pl.when(pl.col("Date") < day).then(pl.col(name)).alias(name) for name in ("Close", "TurnoverValue")]
        return usual.with_columns(fields)

    assert still_in(stopped_from(span[2])) == [True, True]
    one_day = stopped_from(span[4])
    assert still_in(one_day) == [True, True]
    assert still_in(one_day.with_columns(Close=pl.col("Close") / 10)) == [True, False]
    unpriced = usual.with_columns(Close=pl.lit(None, dtype=pl.Float64))
    assert still_in(unpriced) == [True, True]


def test_names_without_a_close_in_the_last_days_are_not_chosen() -> None:
    days = DAYS[:20]
    frame = traded({"left": [9.0] * 15 + [None] * 5, "stays": [1.0] * 20}, days)
    chosen = choose(frame, days, DAYS[20], UniverseSettings(size=2, lookback_days=20))
    assert chosen["Code"].to_list() == ["stays"]


def test_a_choice_holds_until_the_next_and_nobody_is_in_before_the_first() -> None:
    universe = pl.DataFrame(
        {"EffectiveDate": [DAYS[10], DAYS[10], DAYS[20]], "Code": ["A", "B", "B"], "rank": [1, 2, 1]},
        schema_overrides={"rank": pl.Int32},
    ).with_columns(median_turnover=1.0)
    keys = pl.DataFrame(
        [(day, code) for day in (DAYS[9], DAYS[10], DAYS[19], DAYS[20]) for code in "AB"],
        schema={"Date": pl.Date, "Code": pl.String},
        orient="row",
    )
    assert membership(keys, universe).to_list() == [False, False, True, True, True, True, False, True]
    assert in_force(universe, DAYS[12], DAYS[19])["EffectiveDate"].unique().to_list() == [DAYS[10]]
    assert in_force(universe, DAYS[12], DAYS[25]).height == 3
    assert in_force(universe, DAYS[0], DAYS[9]).is_empty()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), rebalance=st.sampled_from(["yearly", "quarterly", "monthly"]))
def test_the_future_never_moves_a_choice(seed: int, rebalance: str) -> None:
    rng = np.random.default_rng(seed)
    values = UniverseSettings.model_validate({"size": 4, "rebalance": rebalance, "lookback_days": 20})
    days = DAYS[:90]
    codes = [f"{n:04d}" for n in range(9)]
    first = traded({code: list(rng.exponential(size=90)) for code in codes}, days)
    cut = days[int(rng.integers(25, 89))]
    noise = pl.Series(rng.exponential(size=first.height))
    second = first.with_columns(
        TurnoverValue=pl.when(pl.col("Date") >= cut).then(noise).otherwise(pl.col("TurnoverValue"))
    )
    for effective in effective_dates(days, values):
        if effective > cut:
            break
        span = window(days, effective, values)
        one, other = (
            choose(frame.filter(pl.col("Date").is_in(span)), span, effective, values) for frame in (first, second)
        )
        assert one.equals(other) and one.height == 4
