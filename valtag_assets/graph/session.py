"""The engines as a Dagster resource."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import PrivateAttr

from valtag_assets.engine.duckdb import DuckDBEngine, within_limits
from valtag_assets.engine.session import Engine, EngineError
from valtag_assets.spec.engines import Engines
from valtag_assets.warehouse.in_memory import Database


class EngineSession(dg.ConfigurableResource):
    """The engines of a run. ``duckdb`` supplies the in-memory database; ``spill`` is where big sorts go.

    ``engines`` says which of them computes a table, and where Spark is (spec.project.Engines as data).
    """

    duckdb: DuckDBResource
    spill: str
    engines: dict
    _database: Database = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["EngineSession"]:
        """Keeps what the first table of a run opens until its last one is through."""
        with ExitStack() as run:
            self._database = Database(
                lambda: within_limits(run.enter_context(self.duckdb.get_connection()), self.spill)
            )
            yield self

    @contextmanager
    def open(self, table: str) -> Iterator[Engine]:
        """The engine that computes ``table``."""
        spill = Path(self.spill)
        spill.mkdir(parents=True, exist_ok=True)
        engines = Engines.model_validate(self.engines)
        if engines.of(table) == "spark":
            with _spark(engines, spill) as engine:
                yield engine
        else:
            with self._database.connection() as connection:
                yield DuckDBEngine(connection)


@contextmanager
def _spark(engines: Engines, spill: Path) -> Iterator[Engine]:
    try:
        from valtag_assets.engine.spark import LOG, open_spark
    except ModuleNotFoundError as error:
        raise EngineError(f"Spark is not installed ({error.name} is missing); pip install 'valtag[spark]'") from error
    with open_spark(engines.master, engines.settings, spill / LOG) as engine:
        yield engine
