"""The database that stays open remembers nothing of the connections before."""

import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valtag_assets.warehouse.in_memory import Database


@pytest.fixture
def database() -> Database:
    return Database(duckdb.connect)


def test_a_file_written_anew_within_the_second_is_read_anew(database: Database, tmp_path: Path) -> None:
    file, found = tmp_path / "rows.parquet", []
    for rows in (1, 2, 3):
        pq.write_table(pa.table({"row": ["once"] * rows}), file)
        os.utime(file, (1_700_000_000, 1_700_000_000))
        with database.connection() as connection:
            found.append(connection.read_parquet(str(file)).fetchall())
    assert found == [[("once",)] * rows for rows in (1, 2, 3)]


def test_what_one_connection_makes_no_other_sees_and_nothing_is_left(database: Database) -> None:
    with database.connection() as one, database.connection() as other:
        one.execute("CREATE TABLE rows AS SELECT 1 AS row")
        with pytest.raises(duckdb.CatalogException):
            other.execute("FROM rows")
    with database.connection() as later:
        kept = later.execute("SELECT count(*) FROM duckdb_databases() WHERE database_name LIKE 'session%'").fetchone()
    assert kept == (1,)


def test_a_failed_query_is_told_and_the_next_connection_works(database: Database) -> None:
    def fail() -> None:
        with database.connection() as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT CAST('a' AS INTEGER)")

    with pytest.raises(duckdb.ConversionException):
        fail()
    with database.connection() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
