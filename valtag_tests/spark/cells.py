"""Two Parquet files, cell by cell."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.warehouse.content_hash import read_contents


def differences(one: Path, other: Path, key: str | None = None) -> list[tuple[Any, ...]]:
    """(row, column, value there, value here) wherever the files differ, rows in the order of the file."""
    left, right = pq.read_table(one), pq.read_table(other)
    assert left.column_names == right.column_names
    found = []
    rows = left.num_rows
    if rows != right.num_rows:
        return [("rows", rows, right.num_rows)]
    names = left.column(key).to_pylist() if key else range(rows)
    for column in left.column_names:
        pairs = zip(names, _values(left.column(column)), _values(right.column(column)), strict=True)
        found += [(name, column, a, b) for name, a, b in pairs if not _same(a, b)]
    return found


def _same(one: Any, other: Any) -> bool:
    # NaN is NaN here, and 0.0 is -0.0, as for the hash.
    return type(one) is type(other) and (one == other or (one != one and other != other))


def _values(column: pa.ChunkedArray) -> list[Any]:
    # Python's own times end with the year 9999.
    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()


def assert_equal(one: Path, other: Path, key: str | None = None) -> None:
    """Equal in names, types, order of rows and every cell, and so in the hash the warehouse keeps."""
    found = differences(one, other, key)
    assert not found, f"{len(found)} cells differ: {found[:40]}"
    contents = [read_contents([file])[file.name] for file in (one, other)]
    assert contents[0] == contents[1], contents
