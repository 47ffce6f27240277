"""The report as a document."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import false_discovery_control, norm

from model.errors import DataError, SettingsError
from model.metrics.summary import newey_west_lags, two_sided_p
from model.portfolio_report.compare import Evaluation, evaluate
from model.portfolio_report.figures import NAMES
from model.portfolio_report.headline import gate, headline, headline_text, number, standing, verdict_sentence
from model.portfolio_report.inputs import BASELINES, NETWORK, ORACLE, RANDOM, Inputs
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio_report.synthetic import make_inputs

SETTINGS = PortfolioSettings(bootstrap_draws=200, random_draws=20)


def run(inputs: Inputs, settings: PortfolioSettings = SETTINGS, seed: int = 7) -> Evaluation:
    return evaluate(inputs, settings, entry="close_to_close", seed=seed, generated_from={"baseline/wf_1": "ab"})


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return make_inputs(days=90, names=30, horizons=(1, 5))


@pytest.fixture(scope="module")
def report(inputs: Inputs) -> dict[str, Any]:
    return run(inputs).report


def test_it_is_plain_json_and_the_same_for_the_same_seed(inputs: Inputs, report: dict[str, Any]) -> None:
    text = json.dumps(report, allow_nan=False, sort_keys=True)
    assert text == json.dumps(run(inputs).report, allow_nan=False, sort_keys=True)
    assert json.loads(text) == report


def test_every_model_has_every_figure_with_value_n_and_interval(report: dict[str, Any]) -> None:
    assert set(report["models"]) == {NETWORK, *BASELINES, RANDOM, ORACLE}
    for by_horizon in report["models"].values():
        assert set(by_horizon) == {"1", "5"}
        for figures in by_horizon.values():
            for name in NAMES:
                found = figures[name]
                assert {"value", "n", "interval"} <= set(found)
                if found["interval"] is not None:
                    assert found["interval"][0] <= found["value"] <= found["interval"][1]


def test_figures_are_those_of_the_daily_table(inputs: Inputs) -> None:
    found = run(inputs)
    rows = found.daily.table.filter((pl.col("model") == "ridge") & (pl.col("horizon") == 5))
    stored = found.report["models"]["ridge"]["5"]
    assert stored["rank_ic"]["value"] == pytest.approx(rows["rank_ic"].mean())
    net = rows["net"].drop_nulls()
    assert stored["sharpe"]["value"] == pytest.approx(net.mean() / net.std() * np.sqrt(252))
    assert stored["ann_return_net"]["value"] == pytest.approx(net.mean() * 252)


def test_costs_by_component_and_unfilled_orders_by_reason_add_up(inputs: Inputs) -> None:
    costs = {"half_spread_bps": 3.0, "impact_coefficient": 1.0, "borrow_bps_per_year": 100.0}
    execution = {"capital": 1e8, "lot_size": 100, "max_participation": 0.01}
    settings = PortfolioSettings.model_validate(SETTINGS.model_dump() | {"costs": costs, "execution": execution})
    found = run(inputs, settings)
    cell = found.report["models"]["lightgbm"]["5"]
    paid = {name: figure["value"] for name, figure in cell["costs"].items()}
    assert all(value > 0 for value in paid.values())
    assert paid["total"] == pytest.approx(sum(value for name, value in paid.items() if name != "total"))
    assert paid["total"] == pytest.approx(cell["ann_return_gross"]["value"] - cell["ann_return_net"]["value"])
    turnover = cell["turnover"]["value"] * 252
    assert paid["half_spread"] == pytest.approx(turnover * 3e-4) and paid["commission"] == pytest.approx(
        turnover * 5e-4
    )
    assert sum(cell["unfilled"].values()) == cell["unfilled_orders"]
    assert all(cell["unfilled"][reason] > 0 for reason in ("limit_up", "limit_down", "volume_cap"))
    assert found.report["models"][ORACLE]["5"]["capacity"]["value"] > 0
    rows = found.daily.table.filter((pl.col("model") == "lightgbm") & (pl.col("horizon") == 5))
    by_component = rows.select(pl.sum_horizontal(pl.col("^cost_.*$"))).to_series()
    assert (rows["gross"] - rows["net"] - by_component).abs().max() < 1e-12


def test_the_benchmark_is_named_and_matches_the_weighting(inputs: Inputs, report: dict[str, Any]) -> None:
    assert report["benchmark"]["name"] == "cash"
    cell = report["models"][NETWORK]["5"]
    assert cell["ann_return_benchmark"]["value"] == 0.0
    assert cell["information_ratio"] == cell["sharpe"] and cell["ann_return_active"] == cell["ann_return_net"]
    for weighting, name in (("equal", "equal-weight universe"), ("inverse_volatility", "inverse-volatility universe")):
        settings = SETTINGS.model_copy(update={"book": "long_only", "top_k": 5, "weighting": weighting})
        long_only = run(inputs, settings).report
        assert long_only["benchmark"]["name"] == name
        own = long_only["models"][NETWORK]["5"]
        active = own["ann_return_net"]["value"] - own["ann_return_benchmark"]["value"]
        assert own["ann_return_active"]["value"] == pytest.approx(active)
        others = [long_only["models"][name]["5"]["ann_return_benchmark"]["value"] for name in ("ridge", "lightgbm")]
        assert others == pytest.approx(
            [own["ann_return_benchmark"]["value"]] * 2
        )  # one benchmark: they rank the same stocks
        assert own["net_exposure"]["value"] == pytest.approx(1.0, abs=0.1)


def test_models_are_compared_on_the_rows_that_all_have(inputs: Inputs) -> None:
    first_code = inputs.predictions["Code"].min()
    gap = (pl.col("Code") == first_code) & (pl.col("horizon") == 1)
    holed = replace(inputs, predictions=inputs.predictions.with_columns(ridge=pl.when(~gap).then(pl.col("ridge"))))
    found = run(holed)
    rows = found.report["coverage"]["rows"]
    assert rows["common"] == rows["ridge"] == rows[NETWORK] - 90
    counts = found.daily.table.filter(pl.col("horizon") == 1)["n"].unique().to_list()
    assert counts == [29]


def test_the_self_tests_pass_and_say_why(report: dict[str, Any]) -> None:
    tests = report["self_tests"]
    assert tests["perfect"]["rank_ic"]["value"] == 1.0 and tests["perfect"]["sharpe_gross"]["value"] > 0
    assert tests["inverted"]["rank_ic"]["value"] == -1.0 and tests["inverted"]["sharpe_gross"]["value"] < 0
    assert all(tests[name]["passed"] for name in ("perfect", "inverted", "random"))


def test_a_long_only_book_is_tested_above_its_benchmark_and_must_leave_some_stocks_out(inputs: Inputs) -> None:
    assert inputs.market is not None
    rising = inputs.market.with_columns(pl.col("return_next", "entry_return_next") + 0.02)
    settings = SETTINGS.model_copy(update={"book": "long_only", "top_k": 29})
    tests = run(replace(inputs, market=rising), settings).report["self_tests"]
    assert all(tests[name]["passed"] for name in ("perfect", "inverted", "random"))
    for top_k in (30, 31):
        with pytest.raises(SettingsError, match=f"top_k is {top_k}, and no day has more than 30 ranked stocks"):
            run(inputs, settings.model_copy(update={"top_k": top_k}))


def test_a_leak_in_the_random_scores_fails_the_random_self_test(inputs: Inputs) -> None:
    leaking = replace(inputs, predictions=inputs.predictions.with_columns(stored_random=pl.col("label")))
    assert not run(leaking).report["self_tests"]["random"]["passed"]


def test_a_constant_model_has_no_figures_and_breaks_nothing(inputs: Inputs) -> None:
    constant = replace(inputs, predictions=inputs.predictions.with_columns(ridge=pl.lit(0.1)))
    found = run(constant).report
    figures = found["models"]["ridge"]["5"]
    assert figures["rank_ic"] == {"value": None, "n": 0, "interval": None}
    assert figures["sharpe"]["value"] is None
    assert "Ridge" in headline_text(found)


def test_without_an_oracle_there_is_no_share_of_the_reachable() -> None:
    found = run(make_inputs(days=60, names=25, horizons=(5,), oracle=False)).report
    assert found["reachable"] is None
    assert ORACLE not in found["models"]


def test_folds_split_the_days_between_them(report: dict[str, Any]) -> None:
    days = [fold["rank_ic"][NETWORK]["n"] for fold in report["folds"]]
    assert sum(days) == report["models"][NETWORK]["5"]["rank_ic"]["n"]
    assert len(days) == 3


def test_an_unknown_headline_horizon_and_empty_comparisons_are_refused(inputs: Inputs) -> None:
    with pytest.raises(SettingsError, match="headline_horizon is 3"):
        run(inputs, SETTINGS.model_copy(update={"headline_horizon": 3}))
    apart = inputs.predictions.with_columns(
        ridge=pl.when(pl.col("horizon") == 1).then(pl.col("ridge")),
        lightgbm=pl.when(pl.col("horizon") == 5).then(pl.col("lightgbm")),
    )
    with pytest.raises(DataError, match="predicted by every model"):
        run(replace(inputs, predictions=apart))


def test_the_headline_shows_each_model_once_in_a_fixed_order(report: dict[str, Any]) -> None:
    rows = headline(report)
    assert rows == report["headline"]
    assert [row["model"] for row in rows] == [NETWORK, *BASELINES, RANDOM, ORACLE]
    assert {row["horizon"] for row in rows} == {5}


def test_the_text_table_is_aligned_and_names_the_verdict(report: dict[str, Any]) -> None:
    lines = headline_text(report).splitlines()
    ends = {line.index("horizon") + len("horizon") for line in lines[:1]} | {
        line.index(" d ") + 2 for line in lines[1:7]
    }
    assert len(ends) == 1
    assert any(line.startswith("The network ") for line in lines)


@pytest.mark.parametrize(
    ("interval", "said"), [([0.1, 0.2], "better"), ([-0.2, -0.1], "worse"), ([-0.1, 0.1], "open"), (None, "open")]
)
def test_a_verdict_needs_an_interval_that_excludes_zero(interval: list[float] | None, said: str) -> None:
    assert standing({"value": 0.1, "n": 5, "interval": interval}) == said


@pytest.mark.parametrize(
    ("interval", "passed", "words"),
    [
        ([0.001, 0.02], True, "beats LightGBM"),
        ([-0.02, -0.001], False, "falls behind LightGBM"),
        ([-0.001, 0.02], False, "is not shown to beat LightGBM"),
    ],
)
def test_the_gate_passes_only_with_the_whole_paired_interval_above_zero(
    report: dict[str, Any], interval: list[float], passed: bool, words: str
) -> None:
    difference = {"value": 0.01, "n": 90, "interval": interval}
    found = gate({**report, "differences": {"lightgbm": {"5": {"rank_ic": difference}}}})
    assert found is not None
    assert found["passed"] is passed and words in found["sentence"] and found["difference"] == difference
    text = headline_text({**report, "gate": found})
    assert f"Gate {'passed' if passed else 'not passed'}: The network {words}" in text
    assert gate({**report, "differences": {}}) is None


def test_the_sentence_names_who_is_beaten_and_who_is_not(report: dict[str, Any]) -> None:
    def sentence(lightgbm: list[float], ridge: list[float]) -> str:
        gaps = {
            name: {"5": {"rank_ic": {"value": 0.0, "n": 9, "interval": interval}}}
            for name, interval in (("lightgbm", lightgbm), ("ridge", ridge))
        }
        return verdict_sentence({**report, "differences": gaps})

    assert sentence([1, 2], [1, 2]) == "The network beats LightGBM and Ridge."
    assert sentence([-1, 2], [1, 2]) == "The network beats Ridge and cannot be told apart from LightGBM."
    assert sentence([-2, -1], [-1, 1]) == "The network falls behind LightGBM and cannot be told apart from Ridge."


def test_numbers_carry_a_real_minus_and_absent_ones_a_dash() -> None:
    assert [number(-0.5, 2), number(0.5, 2), number(0.5, 2, signed=False), number(None, 2)] == [
        "−0.50",
        "+0.50",
        "0.50",
        "–",
    ]


def test_paths_are_judged_apart_and_averaged_day_by_day() -> None:
    one = make_inputs(days=80, names=30, folds=2, horizons=(5,))
    other = one.predictions.with_columns(path=pl.lit(1, pl.Int32), lightgbm=-pl.col("lightgbm"))
    both = replace(one, predictions=pl.concat([one.predictions, other]))
    single, double = run(one).report, run(both).report
    assert single["paths"] is None
    by_path = [row["rank_ic"]["value"] for row in double["paths"]["lightgbm"]]
    assert by_path[0] == single["models"]["lightgbm"]["5"]["rank_ic"]["value"] == -by_path[1]
    assert double["models"]["lightgbm"]["5"]["rank_ic"]["value"] == pytest.approx(0.0, abs=1e-15)
    assert double["models"][NETWORK] == {
        h: {**found, "unfilled_orders": 2 * single["models"][NETWORK][h]["unfilled_orders"]}
        | {"missing_returns": 2 * single["models"][NETWORK][h]["missing_returns"]}
        for h, found in double["models"][NETWORK].items()
    }
    assert double["models"][NETWORK]["5"]["sharpe"] == single["models"][NETWORK]["5"]["sharpe"]
    assert all(fold["rank_ic"]["lightgbm"]["value"] == pytest.approx(0.0, abs=1e-15) for fold in double["folds"])


def test_q_values_control_all_models_and_horizons_but_the_oracle_and_luck(report: dict[str, Any]) -> None:
    tested = [(name, h) for name in report["models"] if name not in (ORACLE, RANDOM) for h in report["models"][name]]
    p = [report["models"][name][h]["rank_ic_p"]["value"] for name, h in tested]
    q = [report["models"][name][h]["rank_ic_q"]["value"] for name, h in tested]
    np.testing.assert_allclose(q, false_discovery_control(p), rtol=1e-12)
    cell = report["models"]["ridge"]["5"]
    lags = newey_west_lags(90, 5)
    assert cell["rank_ic_p"]["value"] == two_sided_p(cell["nw_t"]["value"], (lags + 1) / 90)
    assert cell["rank_ic_p"]["value"] > 2 * norm.sf(abs(cell["nw_t"]["value"]))
    for name in (ORACLE, RANDOM):
        assert report["models"][name]["5"]["rank_ic_q"]["value"] is None


def test_months_sum_up_to_the_whole_and_carry_the_running_sum(inputs: Inputs) -> None:
    found = run(inputs)
    months, rows = found.report["monthly"]["ridge"], found.daily.table.filter(model="ridge", horizon=5)
    assert [(m["year"], m["month"]) for m in months] == sorted({(d.year, d.month) for d in rows["Date"]})
    for side in ("gross", "net"):
        running = np.cumsum([month[f"return_{side}"] for month in months])
        np.testing.assert_allclose([month[f"cumulative_{side}"] for month in months], running)
        assert running[-1] == pytest.approx(rows[side].sum())
    assert sum(month["n"] for month in months) == found.report["coverage"]["portfolio_days"]


def test_signals_and_books_are_shown_of_the_network_and_lightgbm_only(report: dict[str, Any]) -> None:
    assert set(report["signal"]) == set(report["exposures"]) == {NETWORK, "lightgbm"}
    decay = report["signal"][NETWORK]["ic_decay"]
    assert [row["lag"] for row in decay] == [1, 2, 3, 4, 5]
    for book in report["exposures"].values():
        assert sum(row["net"] for row in book["sectors"]) == pytest.approx(book["net"]["value"])


def test_without_a_market_there_are_correlations_and_no_portfolios(inputs: Inputs) -> None:
    found = run(replace(inputs, market=None)).report
    whole = run(inputs).report
    for name in ("ic", "rank_ic", "icir", "nw_t", "hit_rate"):
        assert found["models"]["ridge"]["5"][name] == whole["models"]["ridge"]["5"][name]
    assert found["models"]["ridge"]["5"]["sharpe"] == {"value": None, "n": 0, "interval": None}
    assert found["exposures"] is None and found["signal"][NETWORK]["ic_decay"] is None
    assert found["coverage"]["portfolio_days"] == 0 and found["yearly"]["ridge"][0]["sharpe"] is None
    assert all(found["self_tests"][name]["passed"] for name in ("perfect", "inverted", "random"))
    json.dumps(found, allow_nan=False)
