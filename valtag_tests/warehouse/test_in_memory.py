"""Connections to one in-memory database know nothing of each other."""

import os
from pathlib import Path

import duckdb
import pytest

from valtag_assets.warehouse.in_memory import Database


def test_each_connection_has_a_catalog_of_its_own() -> None:
    database = Database(duckdb.connect)
    with database.connection() as one, database.connection() as other:
        one.execute("CREATE TABLE made AS SELECT 1 AS n")
        other.execute("CREATE TABLE made AS SELECT 2 AS n")
        assert (one.table("made").fetchall(), other.table("made").fetchall()) == ([(1,)], [(2,)])
    with database.connection() as third:
        assert third.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_what_was_written_into_a_file_is_in_it_alone(tmp_path: Path) -> None:
    with Database(duckdb.connect).connection(tmp_path / "it's.duckdb") as connection:
        connection.execute("CREATE TABLE made AS SELECT 1 AS n")
    assert os.listdir(tmp_path) == ["it's.duckdb"]
    with duckdb.connect(str(tmp_path / "it's.duckdb"), read_only=True) as connection:
        assert connection.table("made").fetchall() == [(1,)]


def test_a_file_that_failed_half_way_holds_nothing_and_the_error_is_told(tmp_path: Path) -> None:
    database = Database(duckdb.connect)

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
