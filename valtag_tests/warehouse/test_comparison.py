"""Two snapshots cell by cell."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.warehouse.comparison import Difference, compare
from valtag_assets.warehouse.snapshot import Snapshot
from valtag_tests.quality.frames import published

COLUMNS = (("key", "VARCHAR"), ('odd "name"', "DOUBLE"))


def snapshot(file: Path, rows: list[tuple[str, float | None]]) -> Snapshot:
    columns: dict[str, Any] = {"key": pa.array([key for key, _ in rows], pa.string())}
    columns['odd "name"'] = pa.array([value for _, value in rows], pa.float64())
    pq.write_table(pa.table(columns), file)
    at = datetime(2024, 7, 1, tzinfo=UTC)
    return replace(published(len(rows)), columns=COLUMNS, files=(file,), known_at=at)


def test_equal_cells_in_equal_order_are_equal(tmp_path: Path) -> None:
    rows = [("a", float("nan")), ("b", None), ("c", 0.0)]
    one, other = (snapshot(tmp_path / name, rows) for name in ("one.parquet", "other.parquet"))
    found = compare(one, other)
    assert found.equal
    assert (found.rows, found.cells, found.differ) == ((3, 3), 6, 0)


def test_every_cell_that_differs_is_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    one = snapshot(tmp_path / "one.parquet", [("a", 1.0), ("b", None), ("c", 3.0)])
    other = snapshot(tmp_path / "other.parquet", [("a", 1.0), ("b", 2.0), ("x", 3.5)])
    found = compare(one, other)
    assert not found.equal
    assert found.differ == 3
    assert found.sample == [
        Difference(3, "key", "c", "x"),
        Difference(2, 'odd "name"', None, "2.0"),
        Difference(3, 'odd "name"', "3.0", "3.5"),
    ]


def test_another_order_another_number_of_rows_and_other_columns_are_differences(tmp_path: Path) -> None:
    one = snapshot(tmp_path / "one.parquet", [("a", 1.0), ("b", 2.0)])
    turned = snapshot(tmp_path / "turned.parquet", [("b", 2.0), ("a", 1.0)])
    fewer = snapshot(tmp_path / "fewer.parquet", [("a", 1.0)])
    renamed = replace(one, columns=(("key", "VARCHAR"), ("other", "DOUBLE")))
    assert compare(one, turned).differ == 4
    assert compare(one, fewer).unlike == "another number of rows"
    assert compare(one, renamed).unlike == 'columns differ: odd "name", other'
