"""The training step: epochs where people look for them, links both ways, and a clean end whatever happens."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import mlflow.pyfunc
import numpy as np
import polars as pl
import pytest
import torch
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from gogooku_dagster.lib.metadata import pictures
from gogooku_dagster.lib.tracking import CONFIGURATION, training_run
from model.atft_tensors.panel import load_panel
from model.atft_tensors.stage import shard_directory
from model.errors import TrainingError
from model.lineage.graph import Stage
from model.portfolio_report import trials
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.trained_model.batches import DayBatches
from tests.gogooku_dagster.support import FOLDS, Place, refusal, values

FOLD = FOLDS[0]


def tracking_of(place: Place) -> MlflowClient:
    """The tracking store of a home."""
    return MlflowClient(f"sqlite:///{place.home / 'mlflow' / 'mlflow.db'}")


def tracked_runs(place: Place) -> list[Run]:
    """All MLflow runs, the newest first."""
    client = tracking_of(place)
    return list(client.search_runs([each.experiment_id for each in client.search_experiments()]))


def a_day(place: Place) -> dict[str, np.ndarray]:
    """What the network of the fold reads on its first test day."""
    store = place.installation.store
    panel = load_panel(store.directory("atft_tensors", FOLD), shard_directory(store))
    lookback = store.read_json("trained_model", "config.json", FOLD)["lookback"]
    batch = DayBatches(panel, lookback, torch.device("cpu")).batch(panel.test[:1], graph=True)
    names = ("x", "own_return", "edge_index", "edge_attr")
    return {name: getattr(batch, name).numpy() for name in names}


def instead_of_training(monkeypatch: pytest.MonkeyPatch, body: Callable[[StageRun], Manifest]) -> None:
    """Let ``trained_model`` do something else; the other stages stay as they are."""
    original = Stage.materialise

    def materialise(stage: Stage, run: StageRun) -> Manifest:
        return body(run) if stage.name == "trained_model" else original(stage, run)

    monkeypatch.setattr(Stage, "materialise", materialise)


def fail_with(error: BaseException) -> Callable[[StageRun], Manifest]:
    """A training that ends after its first epoch."""

    def body(run: StageRun) -> Manifest:
        assert run.events is not None
        run.events.on_epoch({"phase": "baseline", "epoch": 1, "loss": 0.5})
        raise error

    return body


def test_the_materialisation_and_its_mlflow_run_point_at_each_other(unchanged: Place) -> None:
    for fold in FOLDS:
        where = dg.AssetRecordsFilter(asset_key=dg.AssetKey("trained_model"), asset_partitions=[fold])
        [record] = unchanged.instance.fetch_materializations(where, limit=1).records
        materialisation = record.asset_materialization
        assert materialisation is not None
        metadata = values(materialisation)
        run_id = metadata["mlflow/run_id"]
        run = tracking_of(unchanged).get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.data.tags["dagster.run_id"] == record.run_id
        assert run.data.tags["dagster.asset_key"] == "trained_model"
        assert run.data.tags["dagster.partition"] == fold
        assert run.data.tags["dagster.url"].endswith(f"/runs/{record.run_id}")
        assert metadata["mlflow_run"].endswith(f"/runs/{run_id}")
        assert metadata["mlflow_errors"] == 0
        assert run.data.params["network.hidden"] == "8"
        assert run.data.params["graph.window_days"] == "25" and run.data.params["labels.horizons"] == "[1, 5]"
        assert {"epoch", "val_rank_ic"} <= set(run.data.metrics)


def test_the_configurations_that_were_trained_are_recorded_for_the_report(unchanged: Place) -> None:
    [configuration] = {run.data.tags[CONFIGURATION] for run in tracked_runs(unchanged)}  # one for all folds
    assert configuration == trials.configuration_hash(unchanged.installation.settings)
    assert trials.recorded(unchanged.installation.store) == (configuration,)
    report = unchanged.installation.store.read_json("portfolio_report", "report.json")
    assert report["trials"]["configurations"] == 1
    assert "tried in this home" in report["trials"]["source"]
    assert trials.TRIALS in report["generated_from"]


def test_every_epoch_is_an_observation_of_the_folds_model(unchanged: Place) -> None:
    for fold in FOLDS:
        where = dg.AssetRecordsFilter(asset_key=dg.AssetKey("trained_model"), asset_partitions=[fold])
        records = unchanged.instance.fetch_observations(where, limit=50).records
        seen = [values(each) for each in (record.asset_observation for record in reversed(records)) if each]
        assert [each["epoch"] for each in seen] == [1, 2, 3, 4]
        assert [each["phase"] for each in seen] == ["baseline", "adaptive_norm", "gat", "fine_tuning"]
        assert all(isinstance(each["val_rank_ic"], float) for each in seen)


def test_the_op_waits_for_the_pool_of_the_gpu(unchanged: Place) -> None:
    [assets] = {
        each
        for each in unchanged.definitions.get_repository_def().assets_defs_by_key.values()
        if each.op.name == "trained_model"
    }
    assert assets.op.pool == "gpu"
    assert assets.op.retry_policy is not None
    assert assets.op.retry_policy.max_retries == 1


def test_a_training_that_is_broken_fails_without_a_retry(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    instead_of_training(monkeypatch, fail_with(TrainingError("the loss is not finite in epoch 1")))
    result = place.materialise("trained_model", FOLD, raise_on_error=False)
    said = refusal(result)
    assert said == "the loss is not finite in epoch 1"
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    newest = tracked_runs(place)[0]
    assert newest.data.tags["dagster.run_id"] == result.run_id
    assert newest.info.status == "FAILED"


def test_a_retry_continues_the_same_mlflow_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(tracked_runs(place))
    instead_of_training(monkeypatch, fail_with(RuntimeError("the device went away")))
    result = place.materialise("trained_model", FOLD, raise_on_error=False)
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 1
    assert len(tracked_runs(place)) == before + 1


def test_the_registry_holds_every_folds_model_with_its_signature_and_without_a_pickle(unchanged: Place) -> None:
    client = tracking_of(unchanged)
    versions = {each.tags["fold"]: each for each in client.search_model_versions("name = 'gogooku'")}
    assert set(versions) == set(FOLDS)
    for fold, version in versions.items():
        assert client.get_model_version_by_alias("gogooku", fold).version == version.version
        metadata = values(unchanged.materialisation("trained_model", fold))
        assert metadata["mlflow/model_version"] == int(version.version)
        assert version.run_id == metadata["mlflow/run_id"]
        assert version.tags["dagster.data_version"] == metadata["content_hash"]
        assert version.tags["dagster.run_id"] == client.get_run(version.run_id).data.tags["dagster.run_id"]
    with pytest.raises(MlflowException):
        client.get_model_version_by_alias("gogooku", "challenger")  # there is no live fold here
    folder = Path(client.download_artifacts(versions[FOLD].run_id, "model"))
    files = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert files <= {"", ".json", ".safetensors", ".txt", ".yaml", ".yml"}, files


def test_the_registered_model_predicts_what_the_asset_predicted(unchanged: Place) -> None:
    client = tracking_of(unchanged)
    version = client.get_model_version_by_alias("gogooku", FOLD)
    model = mlflow.pyfunc.load_model(client.download_artifacts(version.run_id, "model"))
    inputs = a_day(unchanged)
    outputs = model.predict(inputs)
    table = unchanged.installation.store.read_table("validation_predictions", "predictions.parquet", FOLD)
    first = table.filter(pl.col("Date") == table["Date"].min())
    assert [spec.name for spec in model.metadata.get_output_schema()] == ["point", "quantiles"]
    for position, horizon in enumerate((1, 5)):
        wanted = first.filter(pl.col("horizon") == horizon).sort("Code")["prediction"].to_numpy()
        np.testing.assert_allclose(outputs["point"][:, position], wanted, rtol=1e-5, atol=1e-9)
    with pytest.raises(MlflowException):
        model.predict({**inputs, "x": inputs["x"][:, :-1]})


def test_a_run_records_its_data_plots_phases_and_the_machine(unchanged: Place) -> None:
    client = tracking_of(unchanged)
    metadata = values(unchanged.materialisation("trained_model", FOLD))
    run = client.get_run(metadata["mlflow/run_id"])
    assert run.data.tags["dagster.data_version"] == metadata["content_hash"]
    assert run.data.tags["gogooku.flagged"] == str(metadata["extra/flagged"])
    [read] = run.inputs.dataset_inputs
    tensors = unchanged.installation.store.require("atft_tensors", FOLD)
    assert {tag.key: tag.value for tag in read.tags}["content_hash"] == tensors.content_hash
    assert read.dataset.name == f"atft_tensors/{FOLD}" and Path(read.dataset.source).name == FOLD
    assert Path(read.dataset.source).parent.name == "atft_tensors"
    plots = {item.path for item in client.list_artifacts(run.info.run_id, "plots")}
    assert {"plots/curves.png", "plots/selection.png", "plots/attention.png", "plots/learning_rate.png"} <= plots
    curves = Path(client.download_artifacts(run.info.run_id, "plots/curves.png"))
    drawn = pictures(unchanged.materialisation("trained_model", FOLD).metadata)["curves"]
    assert curves.read_bytes() == drawn and drawn.startswith(b"\x89PNG")
    names = set(run.data.metrics)
    assert {f"phase_{phase}/val_rank_ic" for phase in ("baseline", "adaptive_norm", "gat", "fine_tuning")} <= names
    assert {"gradient_gat", "gradient_gate", "system/process_cpu_percentage"} <= names
    assert run.data.metrics["system/process_peak_memory_megabytes"] > 50


def test_a_tracking_store_that_cannot_be_opened_is_said_before_the_training(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **named: Any) -> None:
        raise MlflowException("connection refused by http://user:s3cret@127.0.0.1:9/mlflow")

    def train(run: StageRun) -> Manifest:
        pytest.fail("the training began without a record")

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", refuse)
    instead_of_training(monkeypatch, train)
    said = refusal(place.materialise("trained_model", FOLD, raise_on_error=False))
    assert "cannot be used" in said and "connection refused by http://…@127.0.0.1:9/mlflow" in said
    assert not any(b"s3cret" in file.read_bytes() for file in place.home.rglob("*.db"))


@pytest.mark.parametrize("interrupt", [dg.DagsterExecutionInterruptedError, KeyboardInterrupt])
def test_an_interrupted_training_leaves_a_killed_mlflow_run(
    place: Place, monkeypatch: pytest.MonkeyPatch, interrupt: type[BaseException]
) -> None:
    instead_of_training(monkeypatch, fail_with(interrupt()))
    with pytest.raises(BaseException):  # noqa: B017 - Dagster and Python each have an interrupt of their own
        place.materialise("trained_model", FOLD)
    assert tracked_runs(place)[0].info.status == "KILLED"


def test_an_interrupt_in_the_middle_of_a_record_leaves_it_whole_and_the_run_killed(place: Place) -> None:
    def slowly(client: MlflowClient) -> None:
        with sqlite3.connect(place.home / "mlflow" / "mlflow.db") as database:
            database.execute("UPDATE runs SET name = 'recorded' WHERE run_uuid = ?", [tracker.run_id])
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)  # the main thread has its interrupt while the database is locked

    run = SimpleNamespace(run_id="terminated", root_run_id=None)
    key = dg.AssetKey("trained_model")
    context: Any = SimpleNamespace(run=run, asset_key=key, partition_key=FOLD, instance=place.instance)
    with pytest.raises(KeyboardInterrupt), training_run(context, place.installation) as tracker:
        tracker.attempt(slowly)
    found = tracking_of(place).get_run(tracker.run_id)
    assert (found.info.run_name, found.info.status, tracker.errors) == ("recorded", "KILLED", 0)


def test_a_training_that_is_started_again_names_the_dagster_run_that_goes_on_with_it(place: Place) -> None:
    def of(run_id: str) -> Any:
        run = SimpleNamespace(run_id=run_id, root_run_id="crashed")
        key = dg.AssetKey("trained_model")
        return SimpleNamespace(run=run, asset_key=key, partition_key=FOLD, instance=place.instance)

    with training_run(of("crashed"), place.installation) as begun:
        pass
    with training_run(of("again"), place.installation) as continued:
        assert continued.run_id == begun.run_id
        shown = tracking_of(place).get_run(begun.run_id)
    assert shown.info.status == "RUNNING"
    assert shown.data.tags["dagster.run_id"] == "again"
    assert shown.data.tags["dagster.root_run_id"] == "crashed"
    assert shown.data.tags["dagster.url"].endswith("/runs/again")


def test_a_run_that_is_executed_again_with_other_settings_is_a_training_of_its_own(place: Place) -> None:
    key = dg.AssetKey("trained_model")
    run = SimpleNamespace(run_id="first", root_run_id="first")
    context: Any = SimpleNamespace(run=run, asset_key=key, partition_key=FOLD, instance=place.instance)
    with training_run(context, place.installation) as begun:
        begun.parameters({"graph": {"window_days": 25}})
    changed = replace(place.installation, overrides=("graph.window_days=40",))
    with training_run(context, changed) as other:
        other.parameters({"graph": {"window_days": 40}})
        assert other.run_id != begun.run_id and other.errors == 0
    shown = [tracking_of(place).get_run(each.run_id).data for each in (begun, other)]
    assert [data.params["graph.window_days"] for data in shown] == ["25", "40"]
    assert shown[0].tags[CONFIGURATION] != shown[1].tags[CONFIGURATION]


def test_the_figures_of_a_phase_are_kept_whatever_its_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def body(run: StageRun) -> Manifest:
        assert run.events is not None
        run.events.on_epoch({"phase": "gat+fan (2/2)", "epoch": 1, "loss": 0.5})
        return run.store.require("trained_model", run.partition)

    instead_of_training(monkeypatch, body)
    assert place.materialise("trained_model", FOLD).success
    metadata = values(place.materialisation("trained_model", FOLD))
    found = tracking_of(place).get_run(metadata["mlflow/run_id"]).data.metrics
    assert metadata["mlflow_errors"] == 0
    assert found["loss"] == found["phase_gat_fan _2_2_/loss"] == 0.5


def test_the_next_training_closes_the_runs_of_killed_processes_and_no_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, finished = tracked_runs(place)
    client = tracking_of(place)
    client.update_run(killed.info.run_id, status="RUNNING")  # as a killed process leaves it; its Dagster run has ended
    elsewhere = {"dagster.run_id": "a run of another Dagster instance"}
    other = client.create_run(killed.info.experiment_id, tags=elsewhere)
    instead_of_training(monkeypatch, fail_with(TrainingError("not this time")))
    place.materialise("trained_model", FOLD, raise_on_error=False)
    status = {run.info.run_id: run.info.status for run in tracked_runs(place)}
    assert status.pop(killed.info.run_id) == "KILLED"
    assert status.pop(finished.info.run_id) == "FINISHED"
    assert status.pop(other.info.run_id) == "RUNNING"
    assert list(status.values()) == ["FAILED"]


def test_a_tracking_store_that_cannot_be_written_does_not_end_a_training(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **named: Any) -> None:
        raise OSError("no space left")

    for method in ("log_batch", "log_artifact", "log_artifacts", "log_inputs", "set_terminated"):
        monkeypatch.setattr(MlflowClient, method, refuse)
    instead_of_training(monkeypatch, lambda run: run.store.require("trained_model", run.partition))
    assert place.materialise("trained_model", FOLD).success
    metadata = values(place.materialisation("trained_model", FOLD))
    assert metadata["mlflow_errors"] >= 4, "parameters, files, plots, data"
    assert "mlflow/model_version" not in metadata, "nothing was registered"
