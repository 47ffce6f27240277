"""Figures on dense arrays are those that the metrics define on rows."""

import numpy as np
import polars as pl
import pytest

from model.metrics.decile import daily_deciles
from model.metrics.ic import daily_hit_rate, daily_ic
from model.metrics.order import row_order
from model.metrics.ranked import Sorted, agreement


def tables(ties: bool, gaps: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    scores, labels = rng.normal(size=(90, 37)), rng.normal(size=(90, 37))
    if ties:
        scores, labels = scores.round(1), labels.round(1)
        scores[3], labels[4] = 1.0, 2.0
    if gaps:
        scores[rng.random(scores.shape) < 0.1] = np.nan
        labels[rng.random(labels.shape) < 0.2] = np.nan
        scores[5], labels[6, 10:] = np.nan, np.nan
    return scores, labels


def rows(scores: np.ndarray, labels: np.ndarray) -> pl.DataFrame:
    days, names = scores.shape
    return pl.DataFrame(
        {
            "Date": np.repeat(np.arange(days), names),
            "Code": np.tile(np.arange(names), days),
            "prediction": scores.ravel(),
            "label": labels.ravel(),
        }
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_agreement_is_what_the_metrics_say_of_the_same_rows(ties: bool, gaps: bool) -> None:
    scores, labels = tables(ties, gaps)
    found, frame = agreement(Sorted.of(scores), Sorted.of(labels), 20), rows(scores, labels)
    correlations = daily_ic(frame)
    assert found.n.tolist() == correlations["n"].to_list()
    for name, expected in (
        ("ic", correlations["ic"]),
        ("rank_ic", correlations["rank_ic"]),
        ("hit_rate", daily_hit_rate(frame)["hit_rate"]),
    ):
        np.testing.assert_allclose(getattr(found, name), expected.fill_null(np.nan).to_numpy(), rtol=0, atol=1e-13)
    deciles = daily_deciles(frame)
    assert found.decile_excess is not None and found.decile_n is not None
    days = np.flatnonzero(found.decile_n.any(axis=1))
    assert days.tolist() == deciles["Date"].unique().sort().to_list()
    assert found.decile_n[days].ravel().tolist() == deciles["n"].to_list()
    np.testing.assert_allclose(found.decile_excess[days].ravel(), deciles["excess"].to_numpy(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-155, 1e155, 1e300])
def test_scores_whose_squares_are_infinite_keep_their_ic(scale: float) -> None:
    scores, labels = tables(ties=False, gaps=False)
    labels += scores
    plain, found = (agreement(Sorted.of(own), Sorted.of(labels), 20).ic for own in (scores, scores * scale))
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-12)
    assert plain.min() > 0.2


@pytest.mark.parametrize("ties", [False, True])
def test_the_order_from_the_highest_is_that_of_sorting_the_negated_values(ties: bool) -> None:
    scores, _ = tables(ties, gaps=True)
    assert (Sorted.of(scores).from_highest == row_order(-scores)).all()


def test_some_days_of_a_table_are_that_tables_days() -> None:
    scores, labels = tables(ties=True, gaps=True)
    for kept in (np.array([1, 2, 3, 4]), np.array([1, 5, 8])):
        whole = agreement(Sorted.of(scores), Sorted.of(labels), 20)
        part = agreement(Sorted.of(scores).days(kept), Sorted.of(labels).days(kept), 20)
        np.testing.assert_array_equal(part.rank_ic, whole.rank_ic[kept])
        np.testing.assert_array_equal(part.ic, whole.ic[kept])


def test_scores_of_which_nothing_varies_start_no_book() -> None:
    values = np.array([[1.0, 1.0, np.nan], [1.0, 2.0, np.nan], [np.nan, np.nan, np.nan]])
    assert Sorted.of(values).varied.tolist() == [False, True, False]
