"""Exposures of a book, by hand."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from model.metrics.bootstrap import Resampler
from model.metrics.ranked import Sorted
from model.portfolio.book import simulate
from model.portfolio.market import Market, dense_market
from model.portfolio_report.exposures import exposures
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio.markets import trading_days

DAYS = trading_days(3)
CODES = ("A", "B", "C", "D")
RETURNS = np.array([[0.02, 0.00, 0.02, 0.00], [0.00, 0.00, 0.00, 0.00], [-0.02, 0.00, -0.02, 0.00]])
WEIGHTS = np.tile([0.75, 0.25, -0.5, -0.5], (3, 1))


def table(**columns: object) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Date": np.repeat(np.array(DAYS, dtype="datetime64[D]"), 4),
            "Code": CODES * 3,
            "return_next": RETURNS.ravel(),
            "entry_return_next": RETURNS.ravel(),
            "can_buy_next": True,
            "can_sell_next": True,
            "Sector": ["steel", "banks", "banks", None] * 3,
            "turnover_20": [40.0, 10.0, 20.0, 30.0] * 3,
            **columns,
        },
        schema_overrides={"Date": pl.Date, "Sector": pl.String, "turnover_20": pl.Float64},
    )


def measured(weights: np.ndarray, market: Market) -> dict[str, Any]:
    ranked = np.ones(weights.shape, dtype=np.bool_)
    return exposures(weights, ranked, market, PortfolioSettings(), Resampler(200, seed=0))


def test_sectors_size_and_beta_by_hand() -> None:
    market = dense_market(table(), DAYS)
    found = measured(WEIGHTS, market)
    assert found["sectors"] == [
        {"sector": "steel", "long": 0.75, "short": 0.0, "net": 0.75, "n": 3, "interval": None},
        {"sector": "unknown", "long": 0.0, "short": -0.5, "net": -0.5, "n": 3, "interval": None},
        {"sector": "banks", "long": 0.25, "short": -0.5, "net": -0.25, "n": 3, "interval": None},
    ]
    # sizes: A 1, D 2/3, C 1/3, B 0
    assert found["size"]["long"]["value"] == pytest.approx(0.75)
    assert found["size"]["short"]["value"] == pytest.approx(0.5)
    assert found["size"]["difference"] == {"value": pytest.approx(0.25), "n": 3, "interval": None}
    # the book earns 0.75 x - 0.5 x where the mean of the names earns x / 2
    assert found["market_beta"]["value"] == pytest.approx(0.5)
    assert found["net"]["value"] == pytest.approx(0.0)


def test_a_book_with_one_side_has_a_size_beside_the_middle_of_the_ranked_names() -> None:
    found = measured(np.maximum(WEIGHTS, 0.0), dense_market(table(), DAYS))
    assert found["size"]["long"]["value"] == pytest.approx(0.75)
    assert found["size"]["short"] == {"value": None, "n": 0, "interval": None}
    assert found["size"]["difference"]["value"] == pytest.approx(0.25) and found["size"]["difference"]["n"] == 3
    market, weights = long_market(250, 40)
    rows = measured(np.maximum(weights, 0.0), market)["over_time"]
    assert all(row["size"] == pytest.approx(29.5 / 39 - 0.5) for row in rows) and rows


def test_what_the_data_do_not_have_gives_no_figure() -> None:
    bare = table(Sector=[None] * 12, turnover_20=[None] * 12)
    found = measured(WEIGHTS, dense_market(bare, DAYS))
    assert found["sectors"] == [] and found["size"] is None
    empty = measured(np.zeros((3, 4)), dense_market(table(), DAYS))
    assert empty["market_beta"] == {"value": None, "n": 0, "interval": None} and empty["net"]["n"] == 0
    assert empty["over_time"] == []


def long_market(days: int, names: int) -> tuple[Market, np.ndarray]:
    """A market in which the book (long the first half) earns 0.8 times the market and some noise."""
    rng = np.random.default_rng(1)
    whole, noise = rng.normal(0, 0.01, (days, 1)), rng.normal(0, 0.001, (days, names))
    half = np.arange(names) < names // 2
    returns = np.clip(whole * np.where(half, 1.4, 0.6) + noise, -0.9, None)
    calendar = trading_days(days)
    rows = pl.DataFrame(
        {
            "Date": np.repeat(np.array(calendar, dtype="datetime64[D]"), names),
            "Code": [f"{n:03d}" for n in range(names)] * days,
            "return_next": returns.ravel(),
            "entry_return_next": returns.ravel(),
            "can_buy_next": True,
            "can_sell_next": True,
            "turnover_20": np.tile(np.arange(names, 0.0, -1.0), days),
            "Sector": [f"S{n % 2}" for n in range(names)] * days,
        },
        schema_overrides={"Date": pl.Date},
    )
    weights = np.tile(np.where(half, 2.0, -2.0) / names, (days, 1))
    return dense_market(rows, calendar), weights


def test_beta_and_size_have_intervals_that_hold_the_truth_and_a_course_over_time() -> None:
    market, weights = long_market(250, 40)
    found = measured(weights, market)
    low, high = found["market_beta"]["interval"]
    assert low < 0.8 < high and high - low < 0.1
    assert found["market_beta"]["n"] == 250 and found["market_beta"]["value"] == pytest.approx(0.8, abs=0.03)
    assert found["size"]["difference"]["value"] == pytest.approx(20 / 39)  # the first half is the larger one
    assert found["net"]["interval"] == pytest.approx([0.0, 0.0], abs=1e-12)
    rows = found["over_time"]
    assert [row["date"][:7] for row in rows] == sorted({row["date"][:7] for row in rows}) and len(rows) >= 8
    assert all(row["market_beta"] == pytest.approx(0.8, abs=0.1) for row in rows)
    assert all(row["size"] == pytest.approx(20 / 39) for row in rows)
    assert all(row["n"] == {"market_beta": 60, "size": 60, "net": 60} for row in rows)
    held = [row["interval"]["market_beta"][0] < 0.8 < row["interval"]["market_beta"][1] for row in rows]
    assert sum(held) >= len(held) - 1  # intervals of 95 %, of windows that overlap


def test_sectors_have_intervals_that_hold_the_truth_and_a_course_over_time() -> None:
    market, weights = long_market(250, 40)
    rng = np.random.default_rng(5)
    tilt = rng.normal(0.2, 0.1, (250, 1))  # the book leans to sector S1 by this much of capital, day by day
    leaning = weights + tilt / 20 * np.where(np.arange(40) % 2, 0.5, -0.5)
    found = measured(leaning, market)
    for row, sign in zip(sorted(found["sectors"], key=lambda row: str(row["sector"])), (-1, 1), strict=True):
        low, high = row["interval"]
        assert low < sign * 0.1 < high and high - low < 0.03 and row["n"] == 250
        assert row["net"] == pytest.approx(float(sign * tilt.mean() / 2))
    last = found["over_time"][-1]
    assert last["sectors"]["S1"] == pytest.approx(float(tilt[-60:].mean() / 2), abs=0.01)
    assert last["sectors"]["S0"] == pytest.approx(-last["sectors"]["S1"])


def test_the_course_over_time_looks_back_and_never_ahead() -> None:
    market, weights = long_market(250, 40)
    turned = weights.copy()
    turned[200:] *= -1.0
    before, after = (measured(own, market)["over_time"] for own in (weights, turned))
    changed = [row["date"] for row, other in zip(before, after, strict=True) if row != other]
    assert changed and min(changed) >= str(market.dates[200])


def test_the_weights_held_are_those_that_earn_the_return() -> None:
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 0.02, 12)
    rows = table(return_next=returns, entry_return_next=returns)
    settings = PortfolioSettings(quantile=0.25, min_names=2)
    scores = Sorted.of(rng.random((3, 4)))
    weights = simulate(scores, dense_market(rows, DAYS), settings, 2, keep_positions=True).positions
    assert weights is not None
    assert np.abs(weights).sum(axis=1) == pytest.approx([1.0, 2.0, 2.0], abs=0.1)
    assert (np.sign(weights[0]) != 0).sum() == 2
