"""How many strategies were tried: counted, named, and the same for the same history."""

from typing import Any

import numpy as np
import pytest

from model.lineage.graph import BY_NAME
from model.lineage.staleness import Lineage
from model.metrics.performance import deflated_sharpe
from model.portfolio_report import trials
from model.portfolio_report.compare import evaluate
from model.portfolio_report.inputs import BASELINES, NETWORK, SUBMITTED
from model.portfolio_report.settings import PortfolioSettings
from model.settings.root import Settings
from model.store.documents import TRIALS
from model.store.manifest import Identity
from model.store.store import Store
from tests.model.portfolio_report.synthetic import make_inputs

SETTINGS = PortfolioSettings(bootstrap_draws=100, random_draws=20)


def run(configurations: Any, settings: PortfolioSettings = SETTINGS) -> Any:
    inputs = make_inputs(days=60, names=25, folds=1, horizons=(5,))
    return evaluate(inputs, settings, entry="close_to_close", seed=7, generated_from={}, configurations=configurations)


def test_the_number_is_the_recorded_configurations_and_the_models_of_the_table() -> None:
    found = run(["a", "b", "c"])
    assert found.report["trials"]["number"] == 3 + len(BASELINES)
    assert found.report["trials"]["source"].startswith("3 configurations of the network tried in this home")
    rows = found.daily.table
    net = rows.filter(rows["model"] == NETWORK)["net"].to_numpy()
    figure = found.report["models"][NETWORK]["5"]["deflated_sharpe"]
    assert figure["value"] == pytest.approx(deflated_sharpe(net, 3 + len(BASELINES)))


def test_without_a_record_the_network_counts_once_and_the_report_says_so() -> None:
    found = run(None).report["trials"]
    assert (found["number"], found["configurations"]) == (1 + len(BASELINES), None)
    assert "no configuration recorded" in found["source"]


def test_the_setting_only_raises_the_number() -> None:
    found = [
        run(["a", "b"], SETTINGS.model_copy(update={"trials": at_least})).report["trials"] for at_least in (3, 200)
    ]
    assert [each["number"] for each in found] == [2 + len(BASELINES), 200]
    assert "portfolio.trials" not in found[0]["source"] and "portfolio.trials" in found[1]["source"]


def test_what_the_author_of_submitted_predictions_tried_is_not_known() -> None:
    inputs = make_inputs(days=60, names=25, folds=1, horizons=(5,))
    predictions = inputs.predictions.select("Date", "Code", "horizon", "path", "fold", "label", NETWORK)
    alone = type(inputs)(predictions.rename({NETWORK: SUBMITTED}), inputs.market, inputs.test_dates, inputs.folds)
    found = trials.count(alone, None, 4)
    assert found.number == 4 and "not known" in found.source


def test_a_configuration_is_its_settings_not_its_data_or_folds() -> None:
    plain = trials.configuration_hash(Settings())
    assert trials.configuration_hash(Settings.model_validate({"seed": 99})) != plain
    assert trials.configuration_hash(Settings.model_validate({"network": {"hidden": 24}})) != plain
    assert trials.configuration_hash(Settings.model_validate({"portfolio": {"quantile": 0.1}})) == plain
    assert trials.configuration_hash(Settings.model_validate({"folds": {"embargo_days": 30}})) == plain


def ready(store: Store, settings: Settings) -> Lineage:
    """All inputs of the report are there."""
    for name in BY_NAME["portfolio_report"].upstream:
        for fold in settings.folds.names():
            with store.writer(name, fold, Identity(inputs={}, code_version="c", settings_hash="s")) as w:
                w.json("figures.json", {"value": 1})
    return Lineage(store, settings, {})


def test_the_history_is_an_input_so_that_equal_histories_give_equal_identities(tmp_path: Any) -> None:
    settings = Settings()
    stores = [Store(tmp_path / name) for name in ("one", "two")]
    first, second = (ready(store, settings) for store in stores)
    assert first.identity("portfolio_report", None) == second.identity("portfolio_report", None)
    trials.record(stores[0], ["b", "a"])
    assert first.identity("portfolio_report", None) != second.identity("portfolio_report", None)
    trials.record(stores[1], ["a"])
    trials.record(stores[1], ["b"])
    assert first.identity("portfolio_report", None) == second.identity("portfolio_report", None)
    assert trials.recorded(stores[1]) == ("a", "b")


def test_training_the_same_again_leaves_the_report_fresh_and_something_new_makes_it_stale(tmp_path: Any) -> None:
    settings, store = Settings(), Store(tmp_path)
    lineage = ready(store, settings)
    trials.record(store, ["a"])
    with store.writer("portfolio_report", None, lineage.identity("portfolio_report", None)) as w:
        w.json("report.json", {"value": np.pi})
    assert _state(store, settings).reasons == ()
    trials.record(store, ["a"])
    assert _state(store, settings).state == "fresh"
    trials.record(store, ["b"])
    [reason] = _state(store, settings).reasons
    assert reason.startswith(f"{TRIALS} changed")


def _state(store: Store, settings: Settings) -> Any:
    return Lineage(store, settings, {}).judge("portfolio_report", None)
