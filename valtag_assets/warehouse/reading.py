"""Reading Parquet as values: paths are never pasted into SQL."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from valtag_assets.warehouse.snapshot import Snapshot


def parquet(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> duckdb.DuckDBPyRelation:
    """The rows of ``files`` as one relation, with exactly the columns written in them.

    Hive partitioning is off: the folder ``as_of=<D>`` would otherwise appear as a column.
    """
    return con.read_parquet([str(file) for file in files], hive_partitioning=False)


def relation(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> duckdb.DuckDBPyRelation:
    """The rows of ``snapshot`` on the caller's connection (lazy)."""
    return parquet(con, snapshot.files)
