"""The Dagster instance of the containers: what the file says is what Dagster understands."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

FOLDER = Path(__file__).resolve().parents[2] / "docker"


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "dagster.yaml").write_bytes((FOLDER / "dagster.yaml").read_bytes())
    loaded, _ = dagster_instance_config(str(tmp_path))
    return dict(loaded)


def test_dagster_accepts_the_instance_file(config: dict[str, Any]) -> None:
    assert config["storage"]["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"


def test_the_password_is_read_from_the_environment() -> None:
    document = yaml.safe_load((FOLDER / "dagster.yaml").read_text(encoding="utf-8"))
    assert document["storage"]["postgres"]["postgres_db"]["password"] == {"env": "DAGSTER_PG_PASSWORD"}


def test_nothing_is_reported_to_anybody(config: dict[str, Any]) -> None:
    assert config["telemetry"] == {"enabled": False}
    dockerfile = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert "DAGSTER_DISABLE_TELEMETRY=1" in dockerfile
    assert "MLFLOW_DISABLE_TELEMETRY=true" in dockerfile


def test_a_killed_run_gives_its_slot_back_and_is_retried_only_after_a_crash(config: dict[str, Any]) -> None:
    assert config["run_monitoring"]["enabled"] is True
    assert config["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    assert config["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert config["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}


def test_the_workspace_and_the_code_server_agree_on_the_address() -> None:
    [location] = yaml.safe_load((FOLDER / "workspace.docker.yaml").read_text(encoding="utf-8"))["load_from"]
    server = location["grpc_server"]
    compose = yaml.safe_load((FOLDER / "docker-compose.yaml").read_text(encoding="utf-8"))
    assert server["host"] in compose["services"]
    dockerfile = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert f'"-p", "{server["port"]}", "-m", "gogooku_dagster.definitions"' in dockerfile
