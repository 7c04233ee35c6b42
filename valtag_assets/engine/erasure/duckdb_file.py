"""DuckDB files: their tables, and persons taken out of them by a rewrite, since deleted bytes stay in such a file."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from valtag_assets.warehouse import durable
from valtag_assets.warehouse.quoting import literal, quote

_MAGIC = b"DUCK"


def is_duckdb(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(12)[8:] == _MAGIC


@contextmanager
def attached(connection: duckdb.DuckDBPyConnection, file: Path, *, read_only: bool = True) -> Iterator[str]:
    """The file as a database of the connection; its quoted name."""
    how = " (READ_ONLY)" if read_only else ""
    path = str(file)
    connection.execute(f"ATTACH {literal(path)} AS attached{how}")
    try:
        yield "attached"
    finally:
        connection.execute("DETACH attached")


def tables_of(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, dict[str, str]]:
    """Every table of a database, as SQL names it, with the type of each column."""
    columns = connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()"
        " SEMI JOIN duckdb_tables() USING (database_name, schema_name, table_name)"
        " WHERE database_name = ? ORDER BY ALL",
        [database],
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in columns:
        found.setdefault(f"{database}.{quote(schema)}.{quote(table)}", {})[column] = kind
    return found


def forget_in_duckdb(file: Path, column: str, persons: Collection[str]) -> int:
    """Delete the rows whose ``column`` is one of the persons from every table that has it, and rewrite the file
    without what was ever deleted; how many rows there were."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TEMP TABLE asked (person_id VARCHAR)")
        connection.execute("INSERT INTO asked SELECT unnest(?)", [list(persons)])
        with attached(connection, file, read_only=False) as name:
            tables = [table for table, types in tables_of(connection, name).items() if column in types]
            theirs = f"CAST({quote(column)} AS VARCHAR) IN (SELECT person_id FROM asked)"
            done = [connection.execute(f"DELETE FROM {table} WHERE {theirs}").fetchone() for table in tables]
            gone = sum(row[0] for row in done if row is not None)
        _rewrite(connection, file)
    return gone


def _rewrite(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    path = str(aside)
    connection.execute(f"ATTACH {literal(path)} AS rewritten")
    with attached(connection, file) as name:
        connection.execute(f"COPY FROM DATABASE {name} TO rewritten")
    connection.execute("DETACH rewritten")
    durable.flush(aside)
    aside.replace(file)
    durable.flush(file.parent)
