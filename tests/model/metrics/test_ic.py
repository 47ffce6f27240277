"""Daily correlations against theory and against scipy."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from model.metrics.ic import daily_ic


def frame(prediction: np.ndarray, label: np.ndarray) -> pl.DataFrame:
    days, names = label.shape
    dates = [date(2020, 1, 1) + timedelta(day) for day in range(days)]
    return pl.DataFrame(
        {
            "Date": np.repeat(np.array(dates, dtype="datetime64[D]"), names),
            "Code": [f"{code:04d}0" for code in range(names)] * days,
            "prediction": prediction.ravel(),
            "label": label.ravel(),
        },
        schema_overrides={"Date": pl.Date},
    )


@pytest.fixture
def label() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 30))


def test_an_oracle_scores_exactly_one(label: np.ndarray) -> None:
    found = daily_ic(frame(label, label))
    assert found["ic"].to_list() == [1.0] * 6
    assert found["rank_ic"].to_list() == [1.0] * 6


def test_a_negated_oracle_scores_exactly_minus_one(label: np.ndarray) -> None:
    found = daily_ic(frame(-label, label))
    assert found["ic"].to_list() == [-1.0] * 6
    assert found["rank_ic"].to_list() == [-1.0] * 6


def test_any_rising_transformation_keeps_rank_ic_at_one(label: np.ndarray) -> None:
    found = daily_ic(frame(np.exp(3 * label), label))
    assert found["rank_ic"].to_list() == [1.0] * 6
    assert (found["ic"] < 0.95).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-9, 7e11])
def test_a_constant_prediction_has_no_ic_instead_of_a_number_from_row_order(label: np.ndarray, value: float) -> None:
    found = daily_ic(frame(np.full_like(label, value), label))
    assert found["ic"].null_count() == found["rank_ic"].null_count() == 6
    assert found["n"].to_list() == [30] * 6


@pytest.mark.parametrize("scale", [1e-155, 1e155, 1e300])
def test_predictions_whose_squares_are_infinite_keep_their_ic(label: np.ndarray, scale: float) -> None:
    noisy = label + np.random.default_rng(1).normal(size=label.shape)
    plain, found = daily_ic(frame(noisy, label)), daily_ic(frame(noisy * scale, label))
    assert found["ic"].to_list() == pytest.approx(plain["ic"].to_list(), abs=1e-12)
    assert abs(plain["ic"]).min() > 0.2  # type: ignore[operator]


def test_a_constant_label_has_no_ic(label: np.ndarray) -> None:
    assert daily_ic(frame(label, np.full_like(label, 0.1)))["rank_ic"].null_count() == 6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.sampled_from([2, 5, 50]))
def test_figures_are_those_of_scipy_also_with_ties(seed: int, ties: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, ties, size=(2, 25)).astype(float)
    y = x + rng.normal(size=x.shape).round(1)
    found = daily_ic(frame(x, y))
    for day in range(2):
        if np.ptp(x[day]):
            assert found["ic"][day] == pytest.approx(pearsonr(x[day], y[day]).statistic, abs=1e-12)
            assert found["rank_ic"][day] == pytest.approx(spearmanr(x[day], y[day]).statistic, abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_does_not_change_a_bit_of_rank_ic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = frame(rng.normal(size=(4, 30)).round(1), rng.normal(size=(4, 30)))
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=seed)
    first, second = daily_ic(rows), daily_ic(shuffled)
    assert first["rank_ic"].to_list() == second["rank_ic"].to_list()
    np.testing.assert_allclose(first["ic"].to_numpy(), second["ic"].to_numpy(), atol=1e-12)


def test_random_predictions_average_to_zero_with_the_variance_of_the_theory() -> None:
    rng = np.random.default_rng(3)
    found = daily_ic(frame(rng.normal(size=(400, 50)), rng.normal(size=(400, 50))))["rank_ic"].to_numpy()
    assert abs(found.mean()) < 4 / np.sqrt(400 * 49)
    assert found.std() == pytest.approx(1 / np.sqrt(49), rel=0.15)


def test_a_prediction_given_to_the_wrong_rows_is_worth_nothing(label: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    many = rng.normal(size=(300, 40))
    permuted = rng.permuted(many, axis=1)
    assert abs(daily_ic(frame(permuted, many))["rank_ic"].to_numpy().mean()) < 4 / np.sqrt(300 * 39)


def test_missing_pairs_are_left_out_and_counted(label: np.ndarray) -> None:
    prediction = label.copy()
    prediction[0, :5] = np.nan
    label = label.copy()
    label[0, 5] = np.inf
    rows = frame(prediction, label).with_columns(
        label=pl.when(pl.col("Code") == "00290").then(None).otherwise(pl.col("label"))
    )
    found = daily_ic(rows)
    assert found["n"].to_list() == [23, 29, 29, 29, 29, 29]
    assert found["rank_ic"].to_list() == [1.0] * 6


def test_a_day_with_too_few_names_stays_in_the_table_without_a_figure(label: np.ndarray) -> None:
    prediction = label.copy()
    prediction[2, 10:] = np.nan
    prediction[3] = np.nan
    found = daily_ic(frame(prediction, label))
    assert found["n"].to_list() == [30, 30, 10, 0, 30, 30]
    assert found["rank_ic"].to_list() == [1.0, 1.0, None, None, 1.0, 1.0]


def test_several_keys_give_each_section_its_own_figure(label: np.ndarray) -> None:
    both = pl.concat(
        [
            frame(label, label).with_columns(horizon=pl.lit(1)),
            frame(-label, label).with_columns(horizon=pl.lit(5)),
        ]
    )
    found = daily_ic(both, by=("horizon", "Date"))
    assert found["rank_ic"].to_list() == [1.0] * 6 + [-1.0] * 6
