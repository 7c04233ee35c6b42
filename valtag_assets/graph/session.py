"""The engine as a Dagster resource."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster_duckdb import DuckDBResource

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.session import Engine


class EngineSession(dg.ConfigurableResource):
    """The engine of a run. ``duckdb`` supplies an in-memory connection; ``spill`` is where big sorts go."""

    duckdb: DuckDBResource
    spill: str

    @contextmanager
    def open(self) -> Iterator[Engine]:
        Path(self.spill).mkdir(parents=True, exist_ok=True)
        with self.duckdb.get_connection() as connection:
            yield DuckDBEngine(connection, Path(self.spill))
