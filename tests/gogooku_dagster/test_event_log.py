"""The instance of one command: Dagster's own files, written with connections that are kept."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.engine import Engine

from gogooku_dagster.lib import event_log
from gogooku_dagster.lib.event_log import EventLog, open_instance

ASSET = dg.AssetKey("prices")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as opened:
        yield opened


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c", "d"]))
def prices(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    for day in ("a", "b", "c"):
        context.log_event(dg.AssetMaterialization(ASSET, partition=day, metadata={"rows": 3}))
    return dg.MaterializeResult(metadata={"rows": 3})


def materialise(instance: dg.DagsterInstance) -> str:
    return dg.materialize([prices], instance=instance, partition_key="d").run_id


def test_dagster_itself_reads_every_event_of_runs_and_of_assets(home: Path, instance: dg.DagsterInstance) -> None:
    run_id = materialise(instance)
    written = [event.timestamp for event in instance.all_logs(run_id)]
    with dg.DagsterInstance.from_config(str(home)) as own:
        assert type(own.event_log_storage) is not EventLog
        assert [event.timestamp for event in own.all_logs(run_id)] == written
        records = own.fetch_materializations(ASSET, limit=10).records
        assert {record.partition_key for record in records} == {"a", "b", "c", "d"}
        assert own.get_run_by_id(run_id).status is dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]


def test_events_of_another_process_appear_and_are_not_lost(home: Path, instance: dg.DagsterInstance) -> None:
    materialise(instance)
    with dg.DagsterInstance.from_config(str(home)) as own:
        theirs = materialise(own)
    ours = materialise(instance)
    assert {run.run_id for run in instance.get_runs()} >= {theirs, ours}
    assert len(instance.fetch_materializations(ASSET, limit=100).records) == 12


def test_an_engine_is_made_once_a_file(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(url: str, **options: object) -> Engine:
        made.append(url)
        return event_log_engine(url, **options)

    event_log_engine = event_log.create_engine
    monkeypatch.setattr(event_log, "create_engine", counted)
    run_id = materialise(instance)
    assert sorted(url.rsplit("/", 1)[1] for url in made if "index" not in url) == [f"{run_id}.db"]


def test_a_runs_file_is_written_out_after_each_event_for_those_who_watch_it(
    home: Path, instance: dg.DagsterInstance
) -> None:
    run_id = materialise(instance)
    file = home / "history" / "runs" / f"{run_id}.db"
    before = file.read_bytes()
    instance.report_engine_event("looked at", instance.get_run_by_id(run_id))
    assert file.read_bytes() != before
    assert not file.with_name(f"{file.name}-wal").exists()


def test_a_wiped_log_can_be_written_again(instance: dg.DagsterInstance) -> None:
    materialise(instance)
    instance.wipe()
    assert instance.fetch_materializations(ASSET, limit=10).records == []
    materialise(instance)
    assert len(instance.fetch_materializations(ASSET, limit=10).records) == 4


def test_an_instance_that_names_its_own_storage_is_opened_as_it_says(home: Path) -> None:
    (home / "dagster.yaml").write_text(f"storage: {{sqlite: {{base_dir: {home / 'elsewhere'}}}}}\n", encoding="utf-8")
    with open_instance(home) as instance:
        assert not isinstance(instance.event_log_storage, EventLog)
        materialise(instance)
    assert (home / "elsewhere" / "history" / "runs" / "index.db").is_file()
    assert not (home / "history").exists()
