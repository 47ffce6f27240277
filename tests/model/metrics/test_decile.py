"""Mean returns by prediction group."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from model.metrics.decile import daily_deciles, decile_means


def rows(prediction: list[float], label: list[float], day: date = date(2020, 1, 6)) -> pl.DataFrame:
    codes = [f"{n:04d}0" for n in range(len(label))]
    return pl.DataFrame({"Date": [day] * len(label), "Code": codes, "prediction": prediction, "label": label})


def test_perfect_foresight_gives_rising_groups_around_the_days_mean() -> None:
    label = [float(n) for n in range(20)]
    found = daily_deciles(rows(label, label))
    assert found["excess"].to_list() == [2 * n + 0.5 - 9.5 for n in range(10)]
    assert found["n"].to_list() == [2] * 10


def test_groups_differ_by_at_most_one_stock_also_with_ties() -> None:
    found = daily_deciles(rows([1.0] * 22 + [2.0], [float(n) for n in range(23)]))
    assert set(found["n"].to_list()) == {2, 3}


def test_a_constant_prediction_or_too_few_stocks_form_no_groups() -> None:
    assert daily_deciles(rows([1.0] * 30, [float(n) for n in range(30)])).height == 0
    assert daily_deciles(rows([float(n) for n in range(12)], [0.0] * 12)).height == 0


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    frame = rows(rng.integers(0, 4, 40).astype(float).tolist(), rng.normal(size=40).tolist())
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    np.testing.assert_allclose(daily_deciles(frame)["excess"], daily_deciles(shuffled)["excess"], atol=1e-15)


def test_days_are_averaged_with_equal_weight() -> None:
    label = [float(n) for n in range(20)]
    both = pl.concat([rows(label, label), rows(label, [3 * v for v in label], date(2020, 1, 7))])
    means = decile_means(daily_deciles(both))
    assert means["days"].to_list() == [2] * 10
    assert means["mean"][9] == pytest.approx((9.0 + 27.0) / 2)
