"""Tables of databases: DuckDB and SQLite files here, PostgreSQL in its own module.

A row of a database has no place of its own, so ``_row`` is its rank by the primary key or, in a table
without one, by the wanted columns in the order asked for (rows that are equal in all of them are alike
anyway). It does not depend on how the rows lie on disk.

DuckDB's types stay. SQLite types each *value*: a column is BIGINT or DOUBLE if all its values are, else text.
"""

import sqlite3
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

import duckdb
import pyarrow as pa

from valtag_assets.engine.reading.origin import Origin, SourceError, match_columns
from valtag_assets.engine.reading.parquet import select_list
from valtag_assets.engine.reading.postgres import open_postgres, postgres_tables
from valtag_assets.engine.reading.relation import Connection, Found, Opened, Scanned, find_table, registered
from valtag_assets.engine.reading.tables import BATCH, Output, copy_to
from valtag_assets.warehouse.quoting import quote

_DUCKDB_TABLES = (
    "select schema_name, table_name from duckdb_tables() where database_name = current_database() "
    "union all select schema_name, view_name from duckdb_views() "
    "where database_name = current_database() and not internal order by all"
)
_SQLITE_TABLES = (
    "select 'main', name from sqlite_schema "
    "where type in ('table', 'view') and name not like 'sqlite_%' order by name"
)


def database_tables(origin: Origin) -> list[str]:
    """Every table and view of the origin's database, named as ``Origin.table`` takes it."""
    if origin.format == "postgres":
        return postgres_tables(origin)
    if origin.format == "duckdb":
        with _duckdb(origin) as database:
            found = database.execute(_DUCKDB_TABLES).fetchall()
    else:
        with _sqlite(origin) as (_, found):
            pass
    return [name if schema == "main" else f"{schema}.{name}" for schema, name in found]


def database_columns(origin: Origin) -> list[str]:
    with _open(origin) as opened:
        return list(opened.found.columns)


def database_fingerprint(origin: Origin) -> str:
    """A digest of a PostgreSQL table's content; see ``read.fingerprint``."""
    with _open(origin) as opened:
        assert opened.digest is not None
        return opened.digest()


def read_database(con: Connection, origin: Origin, columns: Sequence[str], output: Output) -> None:
    """Read the origin's table into ``output``."""
    with _open(origin) as opened:
        found = opened.found
        wanted = [found.columns[i] for i in match_columns(columns, found.columns, opened.label)]
        key_only = [name for name in found.key if name not in wanted]
        renamed = dict(zip(wanted, columns, strict=True))
        renamed |= {name: f"_key{number}" for number, name in enumerate(key_only)}
        order = ", ".join(quote(renamed[name]) for name in found.key or wanted)
        with opened.scan(con, list(renamed)) as scanned:
            select = select_list(scanned.columns, list(renamed.values()))
            query = (
                f"select {''.join(quote(name) + ', ' for name in columns)}$file as _file, "
                f"row_number() over ({'order by ' + order if order else ''}) as _row "
                f"from (select {select}true as _one from {scanned.source})"
            )
            output.accepted += copy_to(scanned.con, query, output.part(), {"file": opened.label})


def _open(origin: Origin) -> AbstractContextManager[Opened]:
    kinds = {"duckdb": _open_duckdb, "sqlite": _open_sqlite, "postgres": open_postgres}
    return kinds[origin.format](origin)


@contextmanager
def _duckdb(origin: Origin) -> Iterator[Connection]:
    path, label = origin.paths[0], origin.label(origin.paths[0])
    try:
        database = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise SourceError(
            f"{label}: can't be opened as a DuckDB database ({error}); if a program has it open for writing, "
            "close it or read a copy"
        ) from error
    with closing(database):
        yield database


@contextmanager
def _open_duckdb(origin: Origin) -> Iterator[Opened]:
    label = origin.label(origin.paths[0])
    with _duckdb(origin) as database:
        tables = database.execute(_DUCKDB_TABLES).fetchall()
        schema, name = find_table(origin.table or "", tables, "main", label)
        columns = database.execute(
            "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ? "
            "and database_name = current_database() order by column_index",
            [schema, name],
        ).fetchall()
        keys = database.execute(
            "select constraint_column_names from duckdb_constraints() where schema_name = ? "
            "and table_name = ? and constraint_type = 'PRIMARY KEY' and database_name = current_database()",
            [schema, name],
        ).fetchall()
        types = dict(columns)

        @contextmanager
        def scan(_: Connection, names: Sequence[str]) -> Iterator[Scanned]:
            yield Scanned(database, found.address, [(column, types[column]) for column in names])

        found = Found(schema, name, tuple(types), tuple(keys[0][0]) if keys else ())
        yield Opened(found, label, scan)


@contextmanager
def _sqlite(origin: Origin) -> Iterator[tuple[sqlite3.Connection, list[tuple[str, str]]]]:
    """The database and its tables.

    Through Python's own sqlite3: the ADBC driver takes a column's type from its first rows and fails on an
    other one further down."""
    path, label = origin.paths[0], origin.label(origin.paths[0])
    address = f"file:{urllib.parse.quote(str(path.absolute()))}?mode=ro"
    # DuckDB pulls the rows from its own threads, one at a time.
    with closing(sqlite3.connect(address, uri=True, check_same_thread=False)) as database:
        try:
            tables = database.execute(_SQLITE_TABLES).fetchall()
        except sqlite3.Error as error:
            raise SourceError(f"{label}: can't be opened as an SQLite database ({error})") from error
        yield database, tables


@contextmanager
def _open_sqlite(origin: Origin) -> Iterator[Opened]:
    label = origin.label(origin.paths[0])
    with _sqlite(origin) as (database, tables):
        schema, name = find_table(origin.table or "", tables, "main", label)
        columns = database.execute("select name, pk from pragma_table_info(?)", [name]).fetchall()
        key = tuple(column for column, rank in sorted(columns, key=lambda item: item[1]) if rank)
        found = Found(schema, name, tuple(column for column, _ in columns), key)

        @contextmanager
        def scan(con: Connection, names: Sequence[str]) -> Iterator[Scanned]:
            with registered(con, _sqlite_batches(database, found, names), len(names)) as scanned:
                yield scanned

        yield Opened(found, label, scan)


def _sqlite_batches(database: sqlite3.Connection, found: Found, names: Sequence[str]) -> pa.RecordBatchReader:
    """The table as Arrow; one transaction, so the types found are those of the rows read."""
    database.execute("begin")
    kinds = []
    for name in names:
        query = f"select distinct typeof({quote(name)}) from {found.address}"
        kinds.append(_sqlite_type({kind for (kind,) in database.execute(query)}))
    texts = (
        f"cast({quote(name)} as text)" if kind == pa.string() else quote(name)
        for name, kind in zip(names, kinds, strict=True)
    )
    cursor = database.execute(f"select {', '.join([*texts, '1'])} from {found.address}")
    schema = pa.schema([(f"c{i}", kind) for i, kind in enumerate(kinds)] + [("one", pa.int8())])

    def batches() -> Iterator[pa.RecordBatch]:
        while rows := cursor.fetchmany(BATCH):
            columns = zip(zip(*rows, strict=True), schema.types, strict=True)
            arrays = [pa.array(column, kind) for column, kind in columns]
            yield pa.record_batch(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _sqlite_type(kinds: set[str]) -> pa.DataType:
    kinds = kinds - {"null"}
    if kinds == {"integer"}:
        return pa.int64()
    return pa.float64() if kinds == {"real"} else pa.string()
