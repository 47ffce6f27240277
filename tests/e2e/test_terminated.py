"""A training that is terminated in Dagster ends at once as cancelled, and the next run goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from mlflow.tracking import MlflowClient
from safetensors import safe_open

from tests.conftest import copy_of
from tests.e2e.conftest import ROOT, Place
from tests.gogooku_dagster.cli.bars import TINY_BARS
from tests.gogooku_dagster.cli.inside import inside

pytestmark = pytest.mark.e2e

FOLD = "wf_2019q2"
ENDLESS = (
    "training.phases=[{name: whole, epochs: 5000, patience: 5000, lr: 0.001}]",
    "training.guards.degenerate=flag",
)
SECONDS = 60
"""A training that ignored the signal would go on for an hour."""


def start(place: Place) -> subprocess.Popen[bytes]:
    """The run's process, as Dagster starts it; its step is a process of its own."""
    script = str(Path(sys.executable).with_name("dagster"))
    chosen = ["--select", "trained_model", "--partition", FOLD, "-m", "gogooku_dagster.definitions"]
    environment = {
        **place.environment,
        "GOGOOKU_CONFIG": str(place.home / "config.yaml"),
        "DAGSTER_HOME": str(place.home / "dagster"),
    }
    return subprocess.Popen(
        [script, "asset", "materialize", *chosen],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def epochs(place: Place) -> int:
    """Whole epochs in the checkpoint; 0 while there is none."""
    found = list((place.home / "checkpoints" / "trained_model" / FOLD).glob("*/checkpoint.safetensors"))
    if not found:
        return 0
    with safe_open(found[0], framework="pt") as stream:
        return int(json.loads(stream.metadata()["state"])["total"])


def instance_of(place: Place) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(place.home / "dagster"))


def terminate_after(place: Place, process: subprocess.Popen[bytes], epoch: int) -> None:
    """What *Terminate* does, once the checkpoint has so many epochs: say that it was asked for, then interrupt."""
    try:
        deadline = time.monotonic() + 240
        while epochs(place) < epoch:
            assert process.poll() is None, "the run ended by itself"
            assert time.monotonic() < deadline, "no checkpoint"
            time.sleep(0.2)
        with instance_of(place) as instance:
            [run] = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
            instance.report_run_canceling(run)
        process.send_signal(signal.SIGINT)
        process.wait(SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_terminated_run_is_cancelled_and_the_next_goes_on_from_its_checkpoint(prepared: Path, tmp_path: Path) -> None:
    place = Place(copy_of(prepared, tmp_path / "home"))
    overrides = [word for each in ENDLESS for word in ("--set", each)]
    made = inside(place.home, "run", "--config", str(TINY_BARS), *overrides, "--until", "atft_tensors")
    assert made.status == 0 and "nothing was recomputed" in made.err, made.err
    terminate_after(place, start(place), 3)
    reached = epochs(place)
    terminate_after(place, start(place), reached + 3)
    with instance_of(place) as instance:
        runs = instance.get_runs(limit=2)
        assert [run.status for run in runs] == [dg.DagsterRunStatus.CANCELED] * 2
        where = dg.AssetRecordsFilter(asset_key=dg.AssetKey("trained_model"), asset_partitions=[FOLD])
        records = instance.fetch_observations(where, limit=1000).records
        events = [record.asset_observation for record in reversed(records)]
        seen = [event.metadata["epoch"].value for event in events if event is not None]
        assert instance.event_log_storage.get_concurrency_info("gpu").active_slot_count == 0
    assert len(set(seen)) >= reached + 3
    assert len(seen) - len(set(seen)) <= 1, "at most the epoch in hand is done twice"
    client = MlflowClient(f"sqlite:///{place.home / 'mlflow' / 'mlflow.db'}")
    tracked = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert [run.info.status for run in tracked] == ["KILLED", "KILLED"]
