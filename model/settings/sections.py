"""Sections that belong to no single stage."""

from typing import ClassVar

from pydantic import Field, field_validator

from model.settings import cron
from model.settings.base import Section


class RuntimeSettings(Section):
    """How the machine is used. Nothing here may change a result."""

    unhashed: ClassVar[frozenset[str]] = frozenset({"threads", "night_window", "parallel_steps"})

    threads: int = Field(default=2, ge=1, le=256)
    """Threads that LightGBM and the feature engine may use; a training has its own, in `training`."""
    parallel_steps: int = Field(default=2, ge=1, le=64)
    """Steps of one Dagster run that may run at the same time (each in its own process)."""
    night_window: tuple[str, str] = ("0 20 * * 1-5", "0 7 * * 2-6")
    """Cron expressions (calendar time zone) between which automation may start GPU work."""

    @field_validator("night_window")
    @classmethod
    def _cron_expressions(cls, window: tuple[str, str]) -> tuple[str, str]:
        opens, shuts = window
        return cron.require(opens), cron.require(shuts)


class TrackingSettings(Section):
    """Where experiments are recorded."""

    unhashed: ClassVar[frozenset[str]] = frozenset({"experiment", "uri", "dagster_url", "mlflow_url"})

    experiment: str = "gogooku"
    """Name of the MLflow experiment."""
    uri: str | None = None
    """MLflow tracking address; left out, a SQLite file under the storage root is used."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """Address of the MLflow web server, for the links from Dagster to MLflow."""
    dagster_url: str = "http://127.0.0.1:3000"
    """Address of the Dagster web server, for the links from MLflow back to Dagster."""
