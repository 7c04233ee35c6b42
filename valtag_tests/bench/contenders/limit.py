"""The physical limit: read the columns that the tags read, and group each table by person once."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb

_NEEDED = {
    "members": "max(gender), max(birth_date), max(city), max(channel), max(registered_at), max(level)",
    "orders": "max(order_id), max(ordered_at), max(channel), max(brand), max(category), sum(amount), max(status)",
    "events": "max(event_id), max(happened_at), max(event_type), max(category), sum(dwell_seconds)",
}


def build(inputs: Mapping[str, Sequence[Path]], as_of: date, into: Path, spill: Path) -> None:
    with duckdb.connect(config={"threads": 2, "temp_directory": str(spill)}) as connection:
        for table, files in inputs.items():
            connection.read_parquet([str(file) for file in files]).create_view(table)
            connection.execute(
                f"CREATE TABLE grouped_{table} AS SELECT {_NEEDED[table]} FROM {table} GROUP BY member_no"
            )
