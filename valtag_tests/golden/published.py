"""A shipped catalog, run once through Dagster, and what it published."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from valtag_assets.definitions import build_definitions
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.jobs import DERIVE, INTAKE
from valtag_assets.graph.setting import SHIPPED, Setting, TableDone
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_tests.graph.shop import opened

AFTER = datetime(2026, 7, 2, 4, tzinfo=UTC)
"""The clock of the runs: later than the last day of every shipped catalog's data."""


@dataclass(frozen=True)
class Published:
    """What a run for ``as_of`` left behind. ``done``: the outcome of every table."""

    setting: Setting
    as_of: date
    done: dict[str, TableDone]

    def snapshot(self, table: str) -> Snapshot:
        ref = TableRef.parse(table)
        warehouse = self.setting.warehouse
        found = warehouse.current(ref, self.as_of) or warehouse.current(ref)
        assert found is not None, f"{table} is not published: {self.done.get(table)}"
        return found

    def scan(self, table: str) -> str:
        """The published rows as something DuckDB can select from, with what stands in the vault for tokens."""
        snapshot = self.snapshot(table)
        files = [str(file) for file in snapshot.files]
        rows, vault = f"read_parquet({files}, hive_partitioning = false)", self._vault()
        names = [name for name, kind in snapshot.columns if kind == "VARCHAR"] if vault else []
        values = [f"coalesce((SELECT value FROM {vault} WHERE token = {name}), {name}) AS {name}" for name in names]
        return f"(SELECT * REPLACE ({', '.join(values)}) FROM {rows})" if values else rows

    def rows(self, table: str) -> pd.DataFrame:
        rows = pd.concat(pd.read_parquet(file, partitioning=None) for file in self.snapshot(table).files)
        return opened(rows, self.setting.warehouse.root)

    def _vault(self) -> str:
        """(token, value) of the whole vault, once each; "" where there is none."""
        files = [str(file) for file in self.setting.warehouse.root.glob("vault/*/as_of=*/*/*.parquet")]
        return (
            f"(SELECT DISTINCT token, value FROM read_parquet({files}, hive_partitioning = false))" if files else ""
        )

    def tags(self) -> dict[str, str]:
        """The category of every tag of the catalog."""
        return {tag.code: f"tags/{tag.category}" for tag in self.setting.resolved.tags.values()}

    def account(self, source: str) -> dict[str, Any]:
        return self.snapshot(f"clean/{source}").metrics["account"]


def publish(catalog: str, data: Path, as_of: date) -> Published:
    """Run the whole graph of a shipped catalog in this process."""
    return run(Setting(resolve_catalog(SHIPPED / catalog), data, lambda: AFTER), as_of)


def run(setting: Setting, as_of: date) -> Published:
    """Run the whole graph of a setting in this process."""
    done: dict[str, TableDone] = {}
    definitions = build_definitions(replace(setting, listen=lambda item: done.update({item.table: item})))
    with dg.DagsterInstance.ephemeral() as instance:
        for job, partition in ((INTAKE, None), (DERIVE, as_of.isoformat())):
            definitions.resolve_job_def(job).execute_in_process(
                instance=instance,
                partition_key=partition,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
    return Published(setting, as_of, done)


def differences(connection: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> list[tuple[Any, ...]]:
    """Up to five rows that only one of two queries gives, each with the side it stands on."""
    return connection.execute(
        f"(SELECT 'published' AS side, * FROM (({ours}) EXCEPT ALL ({theirs})) LIMIT 5)"
        f" UNION ALL (SELECT 'expected' AS side, * FROM (({theirs}) EXCEPT ALL ({ours})) LIMIT 5)"
    ).fetchall()
