"""Writing one Parquet file per value of a column."""

from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.session import unbound
from valtag_tests.kit import connected

ROWS = [{"month": f"2024-0{1 + n % 3}", "number": (n * 7919) % 1000} for n in range(1000)]


def written(folder: Path, rows: list[dict], table: ibis.Table) -> list[Path]:
    source = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, pa.schema({"month": pa.string(), "number": pa.int64()})), source)
    into = folder / "parts"
    into.mkdir()
    with connected() as connection:
        return DuckDBEngine(connection).write_parts(table, {"rows": [source]}, into, "month")


def ordered() -> ibis.Table:
    return unbound("rows", {"month": "string", "number": "int64"}).order_by(["month", "number"])


def test_each_value_has_one_file_with_its_rows_in_order_and_without_the_column(tmp_path: Path) -> None:
    parts = written(tmp_path, ROWS, ordered())
    assert [part.name for part in parts] == [f"part-2024-0{n}.parquet" for n in (1, 2, 3)]
    assert sorted(part.name for part in (tmp_path / "parts").iterdir()) == [part.name for part in parts]
    for part in parts:
        month = part.stem.removeprefix("part-")
        wanted = sorted(row["number"] for row in ROWS if row["month"] == month)
        assert pq.read_table(part).to_pydict() == {"number": wanted}


def test_no_rows_give_no_file(tmp_path: Path) -> None:
    assert written(tmp_path, [], ordered()) == []


@pytest.mark.parametrize("value", ["../escape", "", "a b", None])
def test_a_value_that_is_no_file_name_is_refused(tmp_path: Path, value: str | None) -> None:
    with pytest.raises(ValueError, match="can't be part of a file's name"):
        written(tmp_path, [{"month": value, "number": 1}], ordered())
