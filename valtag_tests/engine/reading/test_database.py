"""DuckDB and SQLite files, and a real PostgreSQL."""

import datetime
import sqlite3
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from valtag_assets.engine.inventory.finding import find_places
from valtag_assets.engine.reading.database import database_tables
from valtag_assets.engine.reading.origin import Origin, SourceError
from valtag_assets.engine.reading.read import column_names, fingerprint


@pytest.fixture
def duckdb_file(tmp_path):
    def write(*statements: str, table: str = "orders") -> Origin:
        path = tmp_path / "shop's.duckdb"
        with duckdb.connect(str(path)) as database:
            for statement in statements:
                database.execute(statement)
        return Origin("duckdb", (path,), table=table)

    return write


class TestDuckDB:
    def test_types_stay_and_rows_are_numbered_by_the_primary_key(self, reading, duckdb_file):
        origin = duckdb_file(
            "create table orders (id int primary key, x decimal(9,2), l int[], e enum ('a', 'b'), j json)",
            "insert into orders values (3, 1.10, [1], 'b', '{}'), (1, 2, null, 'a', null), (2, 3, [], null, '1')",
        )
        assert column_names(origin) == ["id", "x", "l", "e", "j"]
        table = reading(origin, ["x", "l", "e", "j"])
        assert table.columns[:2] == (("x", "DECIMAL(9,2)"), ("l", "VARCHAR"))
        assert reading.rows(table) == [
            (Decimal("2"), None, "a", None, "shop's.duckdb", 1),
            (Decimal("3"), "[]", None, "1", "shop's.duckdb", 2),
            (Decimal("1.10"), "[1]", "b", "{}", "shop's.duckdb", 3),
        ]

    def test_a_table_without_key_is_numbered_by_its_columns(self, reading, duckdb_file):
        origin = duckdb_file("create table orders as select * from (values (2, 'b'), (1, 'z'), (2, 'a')) t(i, s)")
        assert [row[:2] for row in reading.rows(reading(origin, ["i", "s"]))] == [(1, "z"), (2, "a"), (2, "b")]

    def test_schemas_views_and_strange_names(self, reading, duckdb_file):
        origin = duckdb_file(
            'create schema "s;x"',
            'create table "s;x"."a.b""c" as select 1 as "col""umn"',
            'create view orders as select 2 as "col""umn"',
        )
        assert reading.rows(reading(origin, ['col"umn']))[0][0] == 2
        other = Origin("duckdb", origin.paths, table='s;x.a.b"c')
        assert reading.rows(reading(other, ['col"umn']))[0][0] == 1

    def test_a_missing_table_names_the_nearest(self, reading, duckdb_file):
        with pytest.raises(SourceError, match=r"no table 'oders'; did you mean orders\?"):
            reading(duckdb_file("create table orders (i int)", table="oders"), ["i"])

    def test_a_file_that_is_no_database_is_an_error(self, reading, tmp_path):
        (tmp_path / "t.duckdb").write_bytes(b"nothing" * 1000)
        with pytest.raises(SourceError, match=r"t\.duckdb: can't be opened as a DuckDB database"):
            reading(Origin("duckdb", (tmp_path / "t.duckdb",), table="x"), ["i"])


@pytest.fixture
def sqlite_file(tmp_path):
    def write(*statements: str) -> Origin:
        path = tmp_path / "a b%20?.sqlite"
        database = sqlite3.connect(path)
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()
        return Origin("sqlite", (path,), table="orders")

    return write


class TestSQLite:
    def test_a_column_has_the_type_its_values_have(self, reading, sqlite_file):
        origin = sqlite_file(
            'create table orders (id integer, "i""x" int, r real, mixed, "none" text, primary key (id))',
            "insert into orders values (2, null, 1.5, 7, null), (1, 9007199254740993, null, '007', null)",
        )
        table = reading(origin, ['i"x', "r", "mixed", "none"])
        assert [kind for _, kind in table.columns] == ["BIGINT", "DOUBLE", "VARCHAR", "VARCHAR"]
        name = origin.paths[0].name
        rows = [(9007199254740993, None, "007", None, name, 1), (None, 1.5, "7", None, name, 2)]
        assert reading.rows(table) == rows

    def test_text_far_below_numbers_is_read(self, reading, sqlite_file):
        origin = sqlite_file(
            "create table orders (v)",
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 70000) "
            "insert into orders select i from n",
            "insert into orders values ('last')",
        )
        table = reading(origin, ["v"])
        assert table.rows == 70001
        assert ("last",) in [row[:1] for row in reading.rows(table)]

    def test_reading_changes_nothing_and_a_non_database_is_an_error(self, reading, sqlite_file, tmp_path):
        origin = sqlite_file("create table orders (v)", "insert into orders values (1)")
        before = origin.paths[0].read_bytes()
        assert reading(origin, ["v"]).rows == 1
        assert origin.paths[0].read_bytes() == before
        (tmp_path / "t.sqlite").write_bytes(b"nothing" * 100)
        with pytest.raises(SourceError, match=r"t\.sqlite: can't be opened as an SQLite database"):
            reading(Origin("sqlite", (tmp_path / "t.sqlite",), table="orders"), ["v"])


@pytest.fixture
def postgres(postgres_url, monkeypatch):
    """Run statements in a fresh schema; gives the origin of its table ``orders``."""
    from adbc_driver_postgresql import dbapi

    monkeypatch.setenv("SHOP_URL", postgres_url)
    with dbapi.connect(postgres_url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute('drop schema if exists "s""x" cascade')
        cursor.execute('create schema "s""x"')
        cursor.execute('set search_path to "s""x"')

        def run(*statements: str) -> Origin:
            for statement in statements:
                cursor.execute(statement)
            return Origin("postgres", (), table='s"x.orders', url_env="SHOP_URL")

        yield run


class TestPostgres:
    def test_every_type_arrives_without_loss(self, reading, postgres):
        origin = postgres(
            "create type mood as enum ('good', 'bad')",
            "create table orders (id bigint, b boolean, f float8, d date, ts timestamp, tz timestamptz, t text, "
            "n numeric(38,10), nn numeric, m mood, u uuid, a int[], j jsonb, e inet, primary key (id))",
            "insert into orders values (2, true, 0.1, '2024-01-02', '2024-01-02 03:04:05.123456', "
            "'2024-01-02 03:04:05+08', '张', 12345678901234567890.1234567891, 'NaN', 'bad', "
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{1,null}', '{\"k\": 1.10}', '10.0.0.1')",
            "insert into orders (id) values (1)",
        )
        names = column_names(origin)
        table = reading(origin, names)
        kinds = ["BIGINT", "BOOLEAN", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"]
        assert [kind for _, kind in table.columns] == kinds + ["VARCHAR"] * 8
        empty, row = reading.rows(table)
        assert empty == (1, *[None] * 13, 'PostgreSQL s"x.orders', 1)
        assert row[:4] == (2, True, 0.1, datetime.date(2024, 1, 2))
        assert row[4] == datetime.datetime(2024, 1, 2, 3, 4, 5, 123456)
        assert row[5] == datetime.datetime(2024, 1, 1, 19, 4, 5, tzinfo=datetime.UTC)
        assert row[6:10] == ("张", "12345678901234567890.1234567891", "NaN", "bad")
        assert row[10:] == (
            *("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "[1,null]", '{"k": 1.10}', "10.0.0.1/32"),
            *('PostgreSQL s"x.orders', 2),
        )

    def test_rows_are_numbered_by_the_primary_key_in_its_own_order(self, reading, postgres):
        origin = postgres(
            'create table orders (x int, b int, "A" int, primary key ("A", b))',
            "insert into orders select i, i % 3, i / 3 from generate_series(8, 0, -1) i",
        )
        assert [row[0] for row in reading.rows(reading(origin, ["x"]))] == list(range(9))

    def test_a_large_table_streams(self, reading, postgres):
        origin = postgres("create table orders as select i, 'x' || i as s from generate_series(1, 200000) i")
        table = reading(origin, ["i", "s"])
        query = "select count(*), count(*) filter (i <> _row or s <> 'x' || i) from read_parquet($files)"
        assert reading.con.execute(query, {"files": table.files}).fetchone() == (200_000, 0)

    def test_its_tables_are_listed_as_they_are_asked_for(self, reading, postgres):
        origin = postgres("create table orders as select 1 as i", "create view seen as select * from orders")
        assert {'s"x.orders', 's"x.seen'} <= set(database_tables(origin))
        found = find_places(['postgres:SHOP_URL:s"x.orders'], Path("."))
        assert [(place.name, place.columns, place.pattern) for place in found.places] == [
            ('s"x.orders', ("i",), None)
        ]

    def test_the_fingerprint_follows_the_content_and_nothing_else(self, postgres, tmp_path):
        origin = postgres("create table orders (i int, s text)", "insert into orders values (1, 'a'), (2, 'b')")
        first = fingerprint(origin, tmp_path / "cache")
        postgres("update orders set s = 'c' where i = 1", "update orders set s = 'a' where i = 1", "vacuum orders")
        assert fingerprint(origin, tmp_path / "cache") == first
        postgres("update orders set s = 'c' where i = 1")
        assert fingerprint(origin, tmp_path / "cache") != first

    def test_mistakes_are_named_and_the_password_is_not(self, reading, postgres, monkeypatch):
        origin = postgres("create table orders (i int)")
        with pytest.raises(SourceError, match="no column 'x'"):
            reading(origin, ["x"])
        with pytest.raises(SourceError, match="no table 'nope'"):
            reading(Origin("postgres", (), table="nope", url_env="SHOP_URL"), ["i"])
        with pytest.raises(SourceError, match="environment variable OTHER_URL is not set"):
            reading(Origin("postgres", (), table="orders", url_env="OTHER_URL"), ["i"])
        for url in ("postgresql://valtag:s3cr3t@127.0.0.1:1/x", "postgresql://v:s3cr3t@h:s3cr3t/x"):
            monkeypatch.setenv("SHOP_URL", url)
            with pytest.raises(SourceError, match="no connection by the URL in SHOP_URL") as caught:
                reading(origin, ["i"])
            assert "s3cr3t" not in str(caught.value)
