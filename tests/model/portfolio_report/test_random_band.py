"""Random rankings as a yardstick."""

import numpy as np
import polars as pl

from model.metrics.ic import daily_ic
from model.portfolio.market import dense_market, dense_scores
from model.portfolio.targets import ranking
from model.portfolio_report.daily import common_rows
from model.portfolio_report.random_band import RandomBand, _centred_ranks, random_band, rank_ic_of_order
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio_report.synthetic import make_inputs

SETTINGS = PortfolioSettings(random_draws=40)


def band(seed: int = 1) -> RandomBand:
    inputs = make_inputs(days=40, names=25, horizons=(1, 5))
    market = dense_market(inputs.market, inputs.test_dates)
    return random_band(common_rows(inputs), inputs.horizons, market, SETTINGS, seed)


def test_rank_ic_of_an_order_is_the_one_of_the_metric_also_with_missing_labels() -> None:
    inputs = make_inputs(days=30, names=25, horizons=(5,))
    rng = np.random.default_rng(0)
    rows = inputs.predictions.with_columns(
        score=pl.Series(rng.random(inputs.predictions.height)),
        label=pl.when(pl.Series(rng.random(inputs.predictions.height) > 0.1)).then(pl.col("label").round(2)),
    )
    market = dense_market(inputs.market, inputs.test_dates)
    order, _ = ranking(dense_scores(rows, "score", market))
    found = rank_ic_of_order(order, _centred_ranks(dense_scores(rows, "label", market)), 20)
    expected = daily_ic(rows, "score", "label")["rank_ic"].fill_null(np.nan).to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_luck_is_centred_on_zero_with_the_spread_of_the_theory() -> None:
    draws = band().draws[1]["rank_ic"]
    theory = 1 / np.sqrt(24 * 40)
    assert abs(draws.mean()) < 4 * theory / np.sqrt(len(draws))
    assert 0.6 * theory < draws.std() < 1.5 * theory


def test_luck_pays_its_costs() -> None:
    draws = band().draws[1]
    assert draws["sharpe"].mean() < draws["sharpe_gross"].mean()
    assert 2.0 < draws["turnover"].mean() < 4.0


def test_the_seed_decides_the_draws() -> None:
    assert (band(1).draws[5]["sharpe"] == band(1).draws[5]["sharpe"]).all()
    assert (band(1).draws[5]["sharpe"] != band(2).draws[5]["sharpe"]).any()
