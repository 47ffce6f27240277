"""The interactive plots: documents that Plotly accepts, with the figures of the report in them."""

import base64
import re
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from model.portfolio_report import style
from model.portfolio_report.compare import Evaluation, evaluate
from model.portfolio_report.inputs import NETWORK
from model.portfolio_report.page import plot_document
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio_report.synthetic import make_curves, make_inputs

SETTINGS = PortfolioSettings.model_validate(
    {
        "bootstrap_draws": 100,
        "random_draws": 20,
        "costs": {"half_spread_bps": 2.0, "borrow_bps_per_year": 50.0},
    }
)
ABLATION = {
    "horizon": 5,
    "rows": [
        {
            "name": "graph",
            "rank_ic": {"value": 0.02, "n": 90, "interval": None},
            "difference": {"value": 0.01, "n": 90, "interval": [0.0, 0.02]},
            "seeds": None,
        }
    ],
    "note": "",
}
DRAWN = {
    "cumulative",
    "drawdown",
    "costs",
    "ic_decay",
    "yearly",
    "rank_ic",
    "distribution",
    "deciles",
    "size_and_market",
    "exposures_over_time",
    "sectors",
    "folds",
    "training",
    "ablation",
}


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    inputs = make_inputs(days=90, names=30, horizons=(1, 5))
    return evaluate(
        inputs, SETTINGS, entry="close_to_close", seed=7, generated_from={}, configurations=None, ablation=ABLATION
    )


@pytest.fixture(scope="module")
def document(evaluation: Evaluation) -> dict[str, Any]:
    return plot_document(evaluation, make_curves(make_inputs(days=90, names=30, horizons=(1, 5))))


def resolved(value: Any, days: list[list[str]]) -> Any:
    """What the page's script makes of the texts, in the light colours."""
    colours = {**style.LIGHT, "soft": "#f0f3f7", "line": "#e3e7ec"}
    if isinstance(value, str):
        if value.startswith("--"):
            name, _, opacity = value[2:].partition("/")
            red, green, blue = (int(colours[name][at : at + 2], 16) for at in (1, 3, 5))
            return f"rgba({red},{green},{blue},{opacity or 1})"
        return days[int(value[1:])] if re.fullmatch(r"@\d+", value) else value
    if isinstance(value, list):
        return [resolved(each, days) for each in value]
    return {key: resolved(each, days) for key, each in value.items()} if isinstance(value, dict) else value


def values(trace: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(trace["y"]["bdata"]), "<f4")


def test_every_plot_is_there_and_is_one_that_plotly_accepts(document: dict[str, Any]) -> None:
    assert set(document["plots"]) == DRAWN
    for name, plot in document["plots"].items():
        figure = go.Figure(resolved({"data": plot["data"], "layout": plot["layout"]}, document["days"]))
        assert len(figure.data) > 0, name
        assert plot["height"] >= 100


def test_days_are_kept_once(document: dict[str, Any]) -> None:
    assert len(document["days"]) == len({tuple(days) for days in document["days"]}) <= 3


def test_the_cumulative_return_ends_at_the_sum_of_the_daily_returns(
    evaluation: Evaluation, document: dict[str, Any]
) -> None:
    traces = {trace["name"]: trace for trace in document["plots"]["cumulative"]["data"]}
    cell = evaluation.report["models"][NETWORK]["5"]
    for name, figure in (("ATFT-GAT-FAN", "ann_return_net"), ("ATFT-GAT-FAN, gross", "ann_return_gross")):
        assert values(traces[name])[-1] == pytest.approx(cell[figure]["value"] * cell[figure]["n"] / 252, rel=1e-5)
    assert traces["Reachable oracle"]["visible"] == "legendonly"


def test_costs_by_month_are_those_of_the_days_and_only_charged_components_are_drawn(
    evaluation: Evaluation, document: dict[str, Any]
) -> None:
    traces = {trace["name"]: values(trace) for trace in document["plots"]["costs"]["data"]}
    assert set(traces) == {"Commission", "Half-spread", "Borrow", "Turnover a day (right)"}
    paid = evaluation.report["models"][NETWORK]["5"]["costs"]
    assert traces["Commission"].sum() == pytest.approx(paid["commission"]["value"] * 90 / 252, rel=1e-5)


def test_purge_and_embargo_are_drawn_between_train_validation_and_test(document: dict[str, Any]) -> None:
    bars = {trace["name"]: trace for trace in document["plots"]["folds"]["data"]}
    assert set(bars) == {"Train", "Purge", "Validation", "Embargo", "Test"}
    assert len(bars["Purge"]["base"]) == 3
    assert all(width > 0 for trace in bars.values() for width in trace["x"])


def test_each_horizon_has_its_own_deciles_behind_a_button(evaluation: Evaluation, document: dict[str, Any]) -> None:
    plot = document["plots"]["deciles"]
    assert [choice["label"] for choice in plot["choices"]] == ["1 d", "5 d"]
    assert plot["choices"][plot["chosen"]]["label"] == "5 d"
    for choice, h in zip(plot["choices"], ("1", "5"), strict=True):
        shown = [plot["data"][number] for number in choice["traces"]]
        assert [trace["name"] for trace in shown] == ["ATFT-GAT-FAN", "LightGBM"]
        expected = evaluation.report["decile_horizons"][NETWORK][h]
        assert shown[0]["y"] == [row["value"] for row in expected]
    assert evaluation.report["decile_horizons"][NETWORK]["5"] == evaluation.report["deciles"][NETWORK]


def test_without_a_market_only_rankings_are_drawn() -> None:
    inputs = replace(make_inputs(days=60, names=25, horizons=(5,)), market=None)
    found = evaluate(inputs, SETTINGS, entry="close_to_close", seed=7, generated_from={})
    assert set(plot_document(found, {})["plots"]) == {"rank_ic", "distribution", "deciles", "folds"}
