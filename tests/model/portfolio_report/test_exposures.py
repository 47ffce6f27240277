"""Exposures of a book, by hand."""

import numpy as np
import polars as pl
import pytest

from model.portfolio.book import positions
from model.portfolio.market import dense_market
from model.portfolio_report.exposures import exposures
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio_report.synthetic import trading_days

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


def test_sectors_size_and_beta_by_hand() -> None:
    market = dense_market(table(), DAYS)
    found = exposures(WEIGHTS, np.ones((3, 4)), market, table())
    assert found["sectors"] == [
        {"sector": "steel", "long": 0.75, "short": 0.0, "net": 0.75},
        {"sector": "unknown", "long": 0.0, "short": -0.5, "net": -0.5},
        {"sector": "banks", "long": 0.25, "short": -0.5, "net": -0.25},
    ]
    # sizes: A 1, D 2/3, C 1/3, B 0
    assert found["size"]["long"]["value"] == pytest.approx(0.75)
    assert found["size"]["short"]["value"] == pytest.approx(0.5)
    assert found["size"]["difference"] == {"value": pytest.approx(0.25), "n": 3, "interval": None}
    # the book earns 0.75 x - 0.5 x where the mean of the names earns x / 2
    assert found["market_beta"]["value"] == pytest.approx(0.5)
    assert found["net"]["value"] == pytest.approx(0.0)


def test_what_the_data_do_not_have_gives_no_figure() -> None:
    bare = table(Sector=[None] * 12, turnover_20=[None] * 12)
    found = exposures(WEIGHTS, np.ones((3, 4)), dense_market(bare, DAYS), bare)
    assert found["sectors"] == [] and found["size"] is None
    empty = exposures(np.zeros((3, 4)), np.ones((3, 4)), dense_market(table(), DAYS), table())
    assert empty["market_beta"]["value"] is None and empty["net"]["n"] == 0


def test_the_weights_held_are_those_that_earn_the_return() -> None:
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 0.02, 12)
    rows = table(return_next=returns, entry_return_next=returns)
    settings = PortfolioSettings(quantile=0.25, min_names=2)
    weights = positions(rng.random((3, 4)), dense_market(rows, DAYS), settings, 2)
    assert np.abs(weights).sum(axis=1) == pytest.approx([1.0, 2.0, 2.0], abs=0.1)
    assert (np.sign(weights[0]) != 0).sum() == 2
