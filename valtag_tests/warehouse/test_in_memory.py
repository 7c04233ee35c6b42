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


def test_what_was_written_into_a_file_is_in_it_alone(database: Database, tmp_path: Path) -> None:
    with database.connection(tmp_path / "it's.duckdb") as connection:
        connection.execute("CREATE TABLE made AS SELECT 1 AS n")
    assert os.listdir(tmp_path) == ["it's.duckdb"]
    with duckdb.connect(str(tmp_path / "it's.duckdb"), read_only=True) as connection:
        assert connection.table("made").fetchall() == [(1,)]


def test_a_file_that_failed_half_way_holds_nothing_and_the_error_is_told(database: Database, tmp_path: Path) -> None:
    def fail() -> None:
        with database.connection(tmp_path / "file.duckdb") as connection:
            connection.begin()
            connection.execute("CREATE TABLE made AS SELECT 1 AS n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.connection(tmp_path / "file.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_a_database_that_is_closed_is_opened_again() -> None:
    opened: list[duckdb.DuckDBPyConnection] = []

    def connect() -> duckdb.DuckDBPyConnection:
        opened.append(duckdb.connect())
        return opened[-1]

    database = Database(connect)
    for close in (True, False):
        with database.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        if close:
            opened[-1].close()
    assert len(opened) == 2
