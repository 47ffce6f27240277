"""Decay and persistence of a signal, beside the same pairs taken row by row, and where the answer is known."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from model.metrics.ic import daily_ic
from model.metrics.ranked import Sorted, rank_correlation
from model.portfolio.market import Rows, dense_market
from model.portfolio_report.signal import autocorrelation, ic_decay
from tests.model.portfolio_report.synthetic import make_inputs

LEAST = 20


def holed(seed: int, ties: bool) -> tuple[pl.DataFrame, pl.DataFrame, tuple[object, ...]]:
    """Predictions and market with gaps, and with equal values where there are to be ties."""
    inputs = make_inputs(days=30, names=26, horizons=(5,), seed=seed)
    rng = np.random.default_rng(seed)
    rows, market = inputs.predictions, inputs.market
    assert market is not None
    rows = rows.filter(pl.Series(rng.random(rows.height) > 0.1))
    gone = pl.Series(rng.random(market.height) < 0.08)
    market = market.with_columns(return_next=pl.when(~gone).then(pl.col("return_next")))
    if ties:
        rows = rows.with_columns(pl.col("ridge").round(0))
        market = market.with_columns(pl.col("return_next").round(2))
    return rows, market, inputs.test_dates


def pairs_rank_ic(scores: pl.DataFrame, later: pl.DataFrame) -> float:
    """RankIC of a day's scores with what the same names had later (Code, later)."""
    pairs = scores.select("Date", "Code", prediction="ridge").join(later, on="Code")
    found = daily_ic(pairs, label="later", min_names=LEAST)["rank_ic"].to_list()
    return np.nan if found in ([], [None]) else found[0]


@hypothesis_settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), ties=st.booleans())
def test_decay_and_autocorrelation_are_those_of_the_pairs_of_each_day(seed: int, ties: bool) -> None:
    rows, table, test_days = holed(seed, ties)
    market = dense_market(table, test_days)  # type: ignore[arg-type]
    scores = Sorted.of(Rows.on(rows, market).floats("ridge"))
    own = dict(rows.partition_by("Date", as_dict=True))
    calendar = table["Date"].unique().sort().to_list()
    returns = {day: part.select("Code", later="return_next") for (day,), part in table.group_by("Date")}
    for lag, values in ic_decay(scores, Sorted.of(market.calendar_returns), market, (1, 3, 5), LEAST).items():
        ahead = dict(zip(calendar, calendar[lag - 1 :], strict=False))
        expected = [pairs_rank_ic(own[day,], returns[ahead[day]]) if day in ahead else np.nan for day in market.dates]
        np.testing.assert_allclose(values, expected, atol=1e-12)
    days = sorted(day for (day,) in own)
    for lag, values in autocorrelation(scores, (1, 4), LEAST).items():
        expected = [
            pairs_rank_ic(own[day,], own[before,].select("Code", later="ridge"))
            for before, day in zip(days, days[lag:], strict=False)
        ]
        np.testing.assert_allclose(values, expected, atol=1e-12)


def test_decay_finds_the_day_on_which_the_return_comes() -> None:
    inputs = make_inputs(days=30, names=26, horizons=(5,), seed=2)
    assert inputs.market is not None
    market = dense_market(inputs.market, inputs.test_dates)
    returns = market.calendar_returns
    foresight = returns[market.day + 2]  # knows the return of the third day ahead: close t + 2 to close t + 3
    found = ic_decay(Sorted.of(foresight), Sorted.of(returns), market, (1, 3), LEAST)
    np.testing.assert_allclose(found[3], 1.0)
    assert abs(np.nanmean(found[1])) < 0.3


def test_a_constant_side_or_too_few_names_have_no_correlation() -> None:
    table = Sorted.of(np.array([[1.0, 1.0, 1.0], [1.0, 2.0, np.nan], [3.0, 1.0, 2.0]]))
    days = np.arange(3)
    assert np.isnan(rank_correlation(table, table, days, days, 3)).tolist() == [True, True, False]
    assert rank_correlation(table, table, days, days, 2)[1:].tolist() == [1.0, 1.0]


def test_a_ranking_that_is_kept_has_an_autocorrelation_of_one_and_one_that_is_turned_of_minus_one() -> None:
    row = np.arange(25.0)
    kept = Sorted.of(np.stack([row, row, -row]))
    found = autocorrelation(kept, (1, 2, 9), LEAST)
    assert found[1].tolist() == [1.0, -1.0] and found[2].tolist() == [-1.0]
    assert len(found[9]) == 0
