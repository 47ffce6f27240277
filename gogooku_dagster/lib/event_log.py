"""Dagster's instance as one command uses it: the same files, with connections that outlive a statement.

Dagster's SQLite event log makes an engine and a connection for each statement it runs: of an ingestion of many days,
with two events a day, that was the larger part. A command that works alone on its home keeps both.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, NullPool, create_engine

from model.errors import SettingsError
from model.settings import strict_yaml

_STORAGES = ("storage", "event_log_storage", "run_storage", "schedule_storage")
"""Keys of ``dagster.yaml`` that say where runs and events are kept."""
_EVENT_LOG = Path("history", "runs")
"""Where Dagster keeps its SQLite event log, below its home."""
_BUSY_SECONDS = 30
"""How long a writer waits for another process's transaction, as in Dagster's own connections."""


def open_instance(dagster_home: Path) -> dg.DagsterInstance:
    """The Dagster instance of a folder, as its ``dagster.yaml`` says.

    Where that file names no storage of its own, events are written by :class:`EventLog`.

    Raises:
        SettingsError: ``dagster.yaml`` is not readable YAML, or has keys or values that Dagster does not know.
    """
    configured = _configured(dagster_home / "dagster.yaml")
    try:
        return _instance(dagster_home, keeps_records_elsewhere=any(key in configured for key in _STORAGES))
    except dg.DagsterInvalidConfigError as error:
        # What would be valid is a page of text.
        problems = "; ".join(each.message.partition(" Expected: ")[0].rstrip(".") for each in error.errors) or str(
            error
        )
        raise SettingsError(_unusable(dagster_home / "dagster.yaml", problems)) from error


def _configured(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(_unusable(path, strict_yaml.problem(error))) from error
    if not isinstance(document, dict):
        raise SettingsError(_unusable(path, f"it holds a {type(document).__name__} instead of keys with values"))
    return document


def _unusable(path: Path, problem: str) -> str:
    return (
        f"{path}, the configuration of Dagster, cannot be used: {problem}. Correct it, or remove the file: the next "
        "run writes it anew."
    )


def _instance(dagster_home: Path, *, keeps_records_elsewhere: bool) -> dg.DagsterInstance:
    if keeps_records_elsewhere:
        return dg.DagsterInstance.from_config(str(dagster_home))
    event_log = {
        "module": __name__,
        "class": EventLog.__name__,
        "config": {"base_dir": str(dagster_home / _EVENT_LOG)},
    }
    return dg.DagsterInstance.local_temp(str(dagster_home), overrides={"event_log_storage": event_log})


class EventLog(SqliteEventLogStorage):
    """Dagster's SQLite event log for the one process that writes much to it.

    Statements are compiled once, not once an event, and the connection to the index of all runs stays open. A run's own
    file is opened and closed for each event, as before: closing writes it out, which is what the web server watches.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._one_at_a_time = threading.Lock()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: dict[str, str]) -> "EventLog":  # type: ignore[override]
        """As Dagster makes a storage of its configuration."""
        return cls(config_value["base_dir"], inst_data)

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        """A transaction on the file of one run."""
        return self._transaction(str(run_id), super().run_connection(run_id))

    def index_connection(self) -> AbstractContextManager[Connection]:
        """A transaction on the index of all runs."""
        return self._transaction(INDEX_SHARD_NAME, super().index_connection())

    def wipe(self) -> None:
        """Delete every event."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close what is open."""
        self._close()
        super().dispose()

    @contextmanager
    def _transaction(self, shard: str, first: AbstractContextManager[Connection]) -> Iterator[Connection]:
        """``first`` makes the file and its tables where need be; from then on the engine is kept."""
        with self._one_at_a_time:
            engine = self._engines.get(shard)
            if engine is None:
                with first as connection:
                    yield connection
                self._engines[shard] = self._engine(shard)
            else:
                with engine.begin() as connection:
                    yield connection

    def _engine(self, shard: str) -> Engine:
        pool = None if shard == INDEX_SHARD_NAME else NullPool
        url = self.conn_string_for_shard(shard)
        return create_engine(url, poolclass=pool, connect_args={"timeout": _BUSY_SECONDS})

    def _close(self) -> None:
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
