"""Hand-written DuckDB SQL over the company's text tables, or over valtag's clean tables."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb

_SQL = Path(__file__).with_name("tags.sql")


def build(inputs: Mapping[str, Sequence[Path]], as_of: date, into: Path, spill: Path) -> None:
    with duckdb.connect(config={"threads": 2, "memory_limit": "12GB", "temp_directory": str(spill)}) as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET VARIABLE as_of = ?", [as_of])
        for table, files in inputs.items():
            connection.read_parquet([str(file) for file in files]).create_view(table)
        query = _SQL.read_text(encoding="utf-8")
        connection.execute(f"COPY ({query}) TO $path (FORMAT parquet, COMPRESSION zstd)", {"path": str(into)})
