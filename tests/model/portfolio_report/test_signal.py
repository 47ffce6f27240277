"""Decay and persistence of a signal: the dense figures are those of the metric module."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from model.metrics import persistence
from model.metrics.ranked import Sorted, rank_correlation
from model.portfolio.market import dense_market, dense_scores
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


@hypothesis_settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), ties=st.booleans())
def test_decay_and_autocorrelation_are_those_of_the_metric_module(seed: int, ties: bool) -> None:
    rows, table, days = holed(seed, ties)
    market = dense_market(table, days)  # type: ignore[arg-type]
    scores = Sorted.of(dense_scores(rows, "ridge", market))
    found = ic_decay(scores, Sorted.of(market.calendar_returns), market, (1, 3, 5), LEAST)
    expected = persistence.ic_decay(rows, table, (1, 3, 5), "ridge", LEAST)
    for lag, values in found.items():
        own = expected.filter(pl.col("lag") == lag).sort("Date")
        np.testing.assert_allclose(values, own["rank_ic"].fill_null(np.nan).to_numpy(), atol=1e-12)
    for lag, values in autocorrelation(scores, (1, 4), LEAST).items():
        own = persistence.signal_autocorrelation(rows, lag, "ridge", LEAST)
        np.testing.assert_allclose(values, own["rank_autocorrelation"].fill_null(np.nan).to_numpy(), atol=1e-12)


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
