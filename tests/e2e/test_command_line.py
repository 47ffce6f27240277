"""The commands, used as people and scripts use them, on a computed storage root."""

import json
from pathlib import Path

import duckdb
import pytest

from model.lineage.graph import ASSET_NAMES
from tests.conftest import Computed
from tests.e2e.conftest import Place
from tests.gogooku_dagster.cli.inside import inside

pytestmark = pytest.mark.e2e


def test_a_run_prints_the_headline_and_where_the_report_is(pipeline: Computed) -> None:
    assert "RankIC" in pipeline.rest.out
    assert str(pipeline.home / "artifacts" / "portfolio_report" / "all" / "report.html") in pipeline.rest.out


def test_after_a_run_everything_is_fresh(pipeline: Computed) -> None:
    shown = inside(pipeline.home, "status", "--json")
    assert shown.status == 0, shown.err
    document = json.loads(shown.out)
    assert document["stale"] == [] and document["missing"] == []
    assert document["fresh"] > len(ASSET_NAMES)


def test_a_second_run_computes_nothing(pipeline: Computed) -> None:
    before = {path: path.stat().st_mtime_ns for path in pipeline.home.glob("artifacts/*/*/manifest.json")}
    again = Place(pipeline.home).gogooku("refresh", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["computed"] == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_seed_makes_the_trained_parts_stale_and_leaves_the_data_alone(pipeline: Computed) -> None:
    shown = inside(pipeline.home, "status", "--json", "--set", "seed=8")
    stale = {entry["asset"] for entry in json.loads(shown.out)["stale"]}
    assert {"baseline", "trained_model"} <= stale
    assert not stale & {"daily_quotes", "raw_dataset", "quality_features", "walk_forward_folds", "correlation_graph"}


def test_figures_for_scripts_carry_their_number_of_days_and_interval(pipeline: Computed) -> None:
    shown = inside(pipeline.home, "report", "--json")
    assert shown.status == 0, shown.err
    text = json.dumps(json.loads(shown.out))
    assert '"rank_ic"' in text and '"sharpe"' in text
    assert '"interval"' in text and '"n"' in text


def test_the_catalogue_answers_queries(pipeline: Computed) -> None:
    with duckdb.connect(str(pipeline.home / "catalog.duckdb"), read_only=True) as catalogue:
        views = {row[0] for row in catalogue.sql("SELECT table_name FROM information_schema.tables").fetchall()}
        assert {"daily_quotes", "raw_dataset", "quality_features", "baseline", "validation_predictions"} <= views
        rows = catalogue.sql("SELECT count(*) FROM validation_predictions WHERE prediction IS NOT NULL").fetchall()
    assert rows[0][0] > 0


def test_every_training_is_an_mlflow_run_that_names_its_dagster_run(pipeline: Computed) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{pipeline.home / 'mlflow' / 'mlflow.db'}")
    [experiment] = [each for each in client.search_experiments() if each.name == "gogooku"]
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2, "one for each fold"
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({run.data.tags["dagster.run_id"] for run in runs}) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--config", "no_such_preset"], "no preset"),
        (["run", "--set", "training.epoch=3"], "unknown key"),
        (["run", "--until", "no_such_asset"], "no_such_asset"),
        (["status", "--set", "source"], "key=value"),
    ],
)
def test_mistakes_end_with_one_paragraph_on_stderr(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = inside(tmp_path / "home", *arguments)
    assert done.status == 1
    assert done.out == ""
    assert said in done.paragraph
    assert "Traceback" not in done.err
