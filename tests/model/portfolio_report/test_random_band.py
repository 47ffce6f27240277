"""Random rankings as a yardstick."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from model.metrics.ic import daily_ic
from model.metrics.ranked import Sorted
from model.portfolio.book import simulate, simulate_ranking
from model.portfolio.market import Market, Rows, dense_market
from model.portfolio_report.compare import evaluate
from model.portfolio_report.daily import common_rows
from model.portfolio_report.inputs import Inputs
from model.portfolio_report.random_band import RandomBand, Turned, _books, random_band, rank_ics
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio_report.synthetic import make_inputs

SETTINGS = PortfolioSettings(random_draws=40)


def band(seed: int = 1) -> RandomBand:
    inputs = make_inputs(days=40, names=25, horizons=(1, 5))
    market = dense_market(inputs.market, inputs.test_dates)
    common = common_rows(inputs)
    rows = {h: Rows.on(common.filter(pl.col("horizon") == h), market) for h in inputs.horizons}
    labels = {h: Sorted.of(own.floats("label")) for h, own in rows.items()}
    return random_band(labels, {h: own.there for h, own in rows.items()}, market, SETTINGS, seed)


def with_gaps() -> tuple[Inputs, Market, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Names that are not ranked on every day."""
    inputs = make_inputs(days=30, names=25, horizons=(5,))
    market = dense_market(inputs.market, inputs.test_dates)
    present = np.random.default_rng(2).random((len(market.dates), len(market.codes))) < 0.9
    return inputs, market, present


def test_every_draw_ranks_exactly_the_names_that_are_there() -> None:
    _, market, present = with_gaps()
    turned = Turned.of(present, 7, seed=3)
    for draw in range(7):
        order = turned.order(draw, len(market.codes))
        assert (np.sort(order, axis=1) == np.arange(len(market.codes))).all()
        for row, there in zip(order, present, strict=True):
            assert set(row[: there.sum()]) == set(np.flatnonzero(there))
    assert (turned.order(0, len(market.codes)) != turned.order(1, len(market.codes))).any()


def test_every_name_is_as_often_in_every_place_and_draws_agree_no_more_than_by_chance() -> None:
    days, names = 4000, 6
    turned = Turned.of(np.ones((days, names), dtype=np.bool_), 2, seed=0)
    places = [np.argsort(turned.order(draw, names), axis=1) for draw in range(2)]
    for place in places:
        for name in range(names):
            assert np.bincount(place[:, name], minlength=names) / days == pytest.approx(np.full(names, 1 / 6), abs=0.03)
    label = np.arange(names) - (names - 1) / 2.0
    first, second = (place @ label for place in places)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(days)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / np.sqrt(days)


def test_rank_ic_of_a_draw_is_the_one_of_the_metric_also_with_missing_labels() -> None:
    inputs, market, present = with_gaps()
    rng = np.random.default_rng(0)
    rows = inputs.predictions.with_columns(
        label=pl.when(pl.Series(rng.random(inputs.predictions.height) > 0.1)).then(pl.col("label").round(2)),
    )
    labels = np.where(present, Rows.on(rows, market).floats("label"), np.nan)
    turned = Turned.of(present, 3, seed=1)
    found = rank_ics(turned, Sorted.of(labels), slice(0, 3), 20)
    for draw in range(3):
        place = np.argsort(turned.order(draw, len(market.codes)), axis=1)
        score = np.where(present, -place.astype(np.float64), np.nan)
        frame = pl.DataFrame(
            {"Date": np.repeat(np.arange(len(score)), score.shape[1]), "prediction": score.ravel()}
        ).with_columns(label=pl.Series(labels.ravel()))
        expected = daily_ic(frame.fill_nan(None), min_names=20)["rank_ic"].fill_null(np.nan).to_numpy()
        np.testing.assert_allclose(found[draw], expected, atol=1e-12)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"book": "long_only"},
        {"top_k": 3, "rebalance": "every_h_days"},
        {"weighting": "inverse_volatility", "execution": {"exit_price": "entry"}},
        {"book": "sector_neutral"},
        {"costs": {"borrow_bps_per_year": 50.0}},
    ],
)
def test_the_books_of_the_draws_are_those_of_the_simulator(more: dict[str, object]) -> None:
    _, market, present = with_gaps()
    settings = PortfolioSettings.model_validate({"random_draws": 20, "min_names": 5} | more)
    turned = Turned.of(present, 20, seed=5)
    count = present.sum(axis=1)
    for draw, book in zip(range(4, 7), _books(turned, slice(4, 7), market, settings, 5), strict=True):
        whole = simulate_ranking(turned.order(draw, len(market.codes)), count, market, settings, 5)
        for name in ("gross", "net", "turnover"):
            np.testing.assert_allclose(getattr(book, name), getattr(whole, name), rtol=0, atol=1e-13)


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


@pytest.mark.parametrize("more", [{}, {"book": "sector_neutral"}])
def test_draws_begin_anew_on_the_days_on_which_a_model_does(more: dict[str, object]) -> None:
    _, market, present = with_gaps()
    present[np.setdiff1d(np.arange(len(present)), [0, 6, 9, 13, 20])] = False  # ranked on few days only
    settings = PortfolioSettings.model_validate(
        {"random_draws": 20, "min_names": 5, "rebalance": "every_h_days", "cost_bps_per_side": 0.0} | more
    )
    model = np.where(present, np.random.default_rng(0).normal(size=present.shape), np.nan)
    traded = np.flatnonzero(simulate(Sorted.of(model), market, settings, 5).turnover > 1e-9).tolist()
    assert traded == [0, 5, 6, 11, 13, 18, 20, 25]
    for book in _books(Turned.of(present, 20, seed=5), slice(0, 3), market, settings, 5):
        assert np.flatnonzero(book.turnover > 1e-9).tolist() == traded


def test_through_an_outage_draws_are_judged_on_the_days_of_the_models() -> None:
    inputs = make_inputs(days=40, names=25, horizons=(5,))
    assert inputs.market is not None
    struck = pl.col("Date").is_in(list(inputs.test_dates[19:21]))  # no close on day 20: no return into it or out of it
    nothing = pl.when(~struck).then(pl.col("return_next", "entry_return_next"))
    inputs = replace(inputs, market=inputs.market.with_columns(nothing))
    report = evaluate(inputs, SETTINGS, entry="close_to_close", seed=7, generated_from={}).report["models"]
    for name in ("rank_ic", "sharpe"):
        assert report["random"]["5"][name]["n"] == report[inputs.subject]["5"][name]["n"] == 40
