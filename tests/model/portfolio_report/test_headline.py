"""What may be said of a report, and what may not."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from model.portfolio_report.checks import check_gate
from model.portfolio_report.compare import Evaluation
from model.portfolio_report.headline import costs_in_words, headline_text, verdict_sentence
from model.portfolio_report.inputs import NETWORK, SUBMITTED, Inputs
from model.portfolio_report.page import render
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio_report.synthetic import make_inputs
from tests.model.portfolio_report.test_compare import SETTINGS, run

LONG_BLOCKS = SETTINGS.model_copy(update={"bootstrap_block_days": 5000})


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return make_inputs(days=70, names=26, folds=2, horizons=(1, 5))


@pytest.fixture(scope="module")
def short(inputs: Inputs) -> Evaluation:
    """A report whose days make too few blocks."""
    return run(inputs, LONG_BLOCKS)


def alone(inputs: Inputs, prediction: pl.Expr = pl.col(NETWORK)) -> Inputs:  # noqa: B008 - an expression never changes
    """The network's predictions (or others) as somebody's own."""
    keys = ("Date", "Code", "horizon", "path", "fold", "label")
    return replace(inputs, predictions=inputs.predictions.select(*keys, prediction.alias(SUBMITTED)))


def cells(found: Any) -> list[dict[str, Any]]:
    """Every figure with an interval in a document."""
    if isinstance(found, dict):
        own = [found] if {"value", "n", "interval"} <= found.keys() else []
        return own + [each for value in found.values() for each in cells(value)]
    return [each for value in found for each in cells(value)] if isinstance(found, list) else []


def test_blocks_longer_than_the_days_allow_give_no_interval_and_no_verdict(inputs: Inputs, short: Evaluation) -> None:
    report = short.report
    judged = {name: own for name, own in report["models"].items() if name != "random"}
    assert all(each["interval"] is None for each in cells([judged, report["differences"], report["reachable"]]))
    assert report["models"][NETWORK]["5"]["blocks"] == report["headline"][0]["n_blocks"] == 70 / 5000
    why = "70 days make 0.0 blocks of 5000 days, and an interval needs 6"
    assert verdict_sentence(report) == f"Too few days to tell: {why}."
    assert not report["gate"]["passed"]
    text = headline_text(report)
    assert f"Gate undecided: It cannot be told whether the network beats LightGBM at 5 days: {why}." in text
    assert "[–]" in text
    submitted = run(alone(inputs), LONG_BLOCKS).report
    assert verdict_sentence(submitted) == f"Too few days to tell: {why}."


def test_the_page_shows_a_dash_and_no_chip_of_luck_where_there_is_no_interval(short: Evaluation) -> None:
    page = render(short, {}, "0" * 64)
    assert "gate undecided" in page and "cannot be told" in page and "<small>–</small>" in page
    assert "too few days to tell" in page and "network ahead" not in page


def test_the_check_of_the_gate_says_that_it_cannot_be_told(short: Evaluation) -> None:
    class Stored:
        def read_json(self, asset: str, name: str) -> dict[str, Any]:
            return short.report

    outcome = check_gate(Stored(), None, None)  # type: ignore[arg-type]
    assert not outcome.passed and outcome.severity == "warn" and "cannot be told whether" in outcome.summary


def test_days_that_make_enough_blocks_have_intervals_and_count_them(inputs: Inputs) -> None:
    report = run(inputs).report
    assert report["models"][NETWORK]["5"]["blocks"] == 7.0 and report["models"][NETWORK]["1"]["blocks"] == 7.0
    assert report["models"][NETWORK]["5"]["rank_ic"]["interval"] is not None
    assert "blocks" not in report["models"]["random"]["5"]
    longer = run(make_inputs(days=70, names=26, horizons=(5, 20))).report  # 1.8 blocks at 20 days
    assert longer["models"][NETWORK]["20"]["rank_ic"]["interval"] is None
    assert longer["models"][NETWORK]["20"]["sharpe"]["interval"] is None
    assert longer["differences"]["ridge"]["20"]["rank_ic"]["interval"] is None


def test_where_nothing_was_measured_the_verdict_says_why(inputs: Inputs) -> None:
    constant = run(alone(inputs, pl.lit(0.25))).report
    said = "no RankIC: predictions are constant: all names of a day have the same"
    assert verdict_sentence(constant) == f"The submitted predictions have {said}."
    few = run(alone(inputs), SETTINGS.model_copy(update={"min_names": 27})).report
    said = "no RankIC: no day has 27 names with a prediction and an outcome"
    assert verdict_sentence(few) == f"The submitted predictions have {said}."
    network = run(replace(inputs, predictions=inputs.predictions.with_columns(pl.lit(0.1).alias(NETWORK)))).report
    said = "predictions are constant: all names of a day have the same"
    assert verdict_sentence(network) == f"The network has no RankIC: {said}."
    assert network["gate"]["sentence"] == f"It cannot be told whether the network beats LightGBM at 5 days: {said}."


def test_a_baseline_that_cannot_be_measured_is_named_apart(inputs: Inputs) -> None:
    said = verdict_sentence(run(replace(inputs, predictions=inputs.predictions.with_columns(ridge=pl.lit(0.1)))).report)
    assert said.startswith("The network ") and "LightGBM" in said.split(" and cannot be held against Ridge (")[0]


def in_words(**costs: float) -> str:
    impact = {"execution": {"capital": 1e8}} if "impact_coefficient" in costs else {}
    return costs_in_words(PortfolioSettings.model_validate({"costs": costs, **impact}).model_dump(mode="json"))


def test_the_costs_named_are_those_charged(inputs: Inputs) -> None:
    assert in_words() == "5 bps a side"
    assert in_words(commission_bps=0.0) == "0 bps a side"
    assert in_words(commission_bps=2.5, half_spread_bps=4.0) == "6.5 bps a side (commission 2.5, half-spread 4)"
    assert in_words(impact_coefficient=1.0, borrow_bps_per_year=100.0) == (
        "5 bps a side, market impact (1 x volatility x root of participation), stock loan 100 bps a year"
    )
    settings = SETTINGS.model_validate(SETTINGS.model_dump() | {"costs": {"half_spread_bps": 3.0}})
    assert ", 8 bps a side (commission 5, half-spread 3), entry" in headline_text(run(inputs, settings).report)


@pytest.mark.parametrize(("confidence", "said"), [(0.95, "95"), (0.975, "97.5"), (0.999, "99.9")])
def test_the_confidence_is_said_as_it_is(short: Evaluation, confidence: float, said: str) -> None:
    report = short.report | {"config": short.report["config"] | {"confidence": confidence}}
    assert f"RankIC [{said} %]" in headline_text(report) and f"net Sharpe [{said} %]" in headline_text(report)
    assert f"Ranges are {said}&nbsp;% intervals" in render(replace(short, report=report), {}, "code")
