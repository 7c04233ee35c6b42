"""Dagster's event log in SQLite with its databases kept open while a command runs.

Dagster opens a database anew for every event, sets up its SQL and closes it: 8 ms of CPU, and a run of a dozen small
tables has hundreds of events. The files are Dagster's own: its UI reads them at the same time, and afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, SqliteStorageConfig
from dagster._serdes import ConfigurableClassData


def open_instance(home: Path) -> dg.DagsterInstance:
    """The Dagster instance of a DAGSTER_HOME; one with a storage of its own choice as it is configured there."""
    configured = InstanceRef.from_dir(str(home)).storage_data
    if configured is None or configured.class_name != DagsterSqliteStorage.__name__:
        return dg.DagsterInstance.from_config(str(home))
    kept = {"module": __name__, "class": KeptStorage.__name__, "config": configured.config_dict}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides={"storage": {"custom": kept}}))


class KeptEventLog(SqliteEventLogStorage):
    """The event log whose databases, one per run and one for all, stay open until ``dispose``."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Any] = {}
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Any]:
        with self._db_lock:
            if shard not in self._engines:
                waiting = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
                self._engines[shard] = create_engine(self.conn_string_for_shard(shard), connect_args=waiting)
                self._initdb(self._engines[shard])
            with self._engines[shard].connect() as connection, connection.begin():
                yield connection

    def dispose(self) -> None:
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()


class KeptStorage(DagsterSqliteStorage):
    """Dagster's storage in SQLite with such an event log."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = KeptEventLog(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(  # type: ignore[override]  # as Dagster's own has it
        cls, inst_data: ConfigurableClassData, config_value: SqliteStorageConfig
    ) -> "KeptStorage":
        return cls.from_local(config_value["base_dir"], inst_data)
