"""What the tracking store remembers of earlier trainings, also where it cannot be asked."""

from pathlib import Path

import pytest

from gogooku_dagster.lib.home import Installation
from gogooku_dagster.lib.tracking import remember_trials
from model.portfolio_report import trials
from model.settings.presets import locate


def test_a_store_that_cannot_be_asked_after_a_training_is_logged_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    gone = Installation(tmp_path, locate("demo"), ("tracking.uri=http://somebody:hunter2@127.0.0.1:9",))
    remember_trials(gone)
    assert "which configurations were trained" in caplog.text and "hunter2" not in caplog.text
    assert trials.recorded(gone.store) == (trials.configuration_hash(gone.settings),)


def test_a_damaged_store_does_not_fail_a_training_that_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_bytes(b"no database" * 500)
    remember_trials(Installation(tmp_path, locate("demo")))
    assert "which configurations were trained" in caplog.text
