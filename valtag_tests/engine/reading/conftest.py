"""Files to read, an in-memory DuckDB, and the session's PostgreSQL."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from valtag_assets.engine.reading.origin import Origin
from valtag_assets.engine.reading.read import read_source
from valtag_assets.engine.reading.tables import RawTable
from valtag_tests.kit import connected
from valtag_tests.servers import postgres_url

__all__ = ["postgres_url"]
Rows = list[tuple]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with connected() as connection:
        yield connection


class Reading:
    """Reads origins into fresh folders and shows the results as Python rows."""

    def __init__(self, con: duckdb.DuckDBPyConnection, folder: Path):
        self.con, self.folder, self.count = con, folder, 0

    def __call__(self, origin: Origin, columns: Sequence[str]) -> RawTable:
        self.count += 1
        return read_source(self.con, origin, columns, self.folder / f"into{self.count}")

    def rows(self, table: RawTable) -> Rows:
        """The wanted columns, _file and _row, by file and row."""
        query = "select * from read_parquet($files) order by _file, _row"
        return self.con.execute(query, {"files": table.files}).fetchall()

    def broken(self, table: RawTable) -> Rows:
        if table.broken is None:
            return []
        query = "select row, line, text, reason from read_parquet($file) order by file, row"
        return self.con.execute(query, {"file": str(table.broken)}).fetchall()


@pytest.fixture
def reading(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Reading:
    return Reading(con, tmp_path / "reading")


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Origin]:
    """Write bytes to a file and name it as a CSV origin."""

    def write(content: bytes, name: str = "t.csv", **settings: object) -> Origin:
        path = tmp_path / name
        path.write_bytes(content)
        return Origin("csv", (path,), **settings)  # type: ignore[arg-type]

    return write
