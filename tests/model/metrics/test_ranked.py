"""Figures on dense arrays are those of the same pairs, taken day by day."""

import numpy as np
import polars as pl
import pytest

from model.metrics.ic import daily_ic
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
    found, correlations = agreement(Sorted.of(scores), Sorted.of(labels), 20), daily_ic(rows(scores, labels))
    assert found.n.tolist() == correlations["n"].to_list()
    for name in ("ic", "rank_ic"):
        expected = correlations[name].fill_null(np.nan).to_numpy()
        np.testing.assert_allclose(getattr(found, name), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_hit_rates_and_groups_are_those_of_the_days_pairs(ties: bool, gaps: bool) -> None:
    scores, labels = tables(ties, gaps)
    found = agreement(Sorted.of(scores), Sorted.of(labels), 20, groups=5)
    assert found.decile_excess is not None and found.decile_n is not None
    for day, both in enumerate(~np.isnan(scores + labels)):
        x, y = scores[day, both], labels[day, both]
        sides = np.sign(x - np.median(x)) * np.sign(y - np.median(y)) if len(x) else x
        sided = np.count_nonzero(sides)
        expected = np.count_nonzero(sides > 0) / sided if sided >= 20 else np.nan
        np.testing.assert_allclose(found.hit_rate[day], expected, atol=1e-15)
        if len(x) < 20 or x.min() == x.max():
            assert np.isnan(found.decile_excess[day]).all() and not found.decile_n[day].any()
            continue
        group = np.empty(len(x), dtype=int)
        group[np.argsort(x, kind="stable")] = np.arange(len(x)) * 5 // len(x)
        assert found.decile_n[day].tolist() == np.bincount(group).tolist()
        means = [y[group == n].mean() - y.mean() for n in range(5)]
        np.testing.assert_allclose(found.decile_excess[day], means, rtol=0, atol=1e-13)


def test_perfect_foresight_gives_rising_groups_around_the_days_mean() -> None:
    label = Sorted.of(np.arange(20.0)[None, :])
    found = agreement(label, label, 20)
    assert found.decile_excess is not None and found.decile_n is not None
    assert found.decile_excess[0].tolist() == [2 * n + 0.5 - 9.5 for n in range(10)]
    assert found.decile_n[0].tolist() == [2] * 10


def test_the_hit_rate_ignores_the_markets_direction() -> None:
    labels = np.random.default_rng(0).normal(size=(6, 30))
    for scores, expected in ((labels - 10.0, 1.0), (-labels, 0.0), (np.ones_like(labels), np.nan)):
        found = agreement(Sorted.of(scores), Sorted.of(labels), 20).hit_rate
        np.testing.assert_array_equal(found, np.full(6, expected))


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
