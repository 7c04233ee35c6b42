"""Tables of a database: DuckDB and SQLite files for BI, PostgreSQL (``pip install valtag[databases]``).

All three understand the statements here. A batch is one transaction: the rows are loaded beside the table, then put
in by its key. The table is made if it is missing, and gets the columns it lacks; nothing is ever dropped from it.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from valtag_assets.delivery.message import Outcome, Parcel
from valtag_assets.delivery.secret import secret
from valtag_assets.delivery.tabular import Change, Fields, Shape, changes_of, flat
from valtag_assets.spec.destination import Destination
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.quoting import quote

_INCOMING, _LEAVING = "valtag_incoming", "valtag_leaving"


class Refused(Exception):
    """The database has the rows, and refuses them."""


class Unreachable(Exception):
    """The database can't be reached, or somebody else has it for himself."""


class Unfit(Exception):
    """The table is not made for what travels, or we may not write to it."""


class Session(Protocol):
    """One open transaction."""

    def run(self, statement: str) -> None: ...

    def columns(self, table: str) -> Sequence[str]:
        """The columns of ``table`` (quoted); none if there is no such table."""

    def load(self, name: str, rows: pa.Table) -> None:
        """Make ``rows`` a table of this transaction alone."""

    def type_of(self, kind: DataType) -> str: ...


class TableReceiver:
    """One table of a database. ``session`` opens a transaction that is committed when it ends without an error."""

    def __init__(
        self, spec: Destination, fields: Fields, session: Callable[[], AbstractContextManager[Session]]
    ) -> None:
        self._spec, self._fields, self._session = spec, fields, session

    async def deliver(self, parcels: Sequence[Parcel]) -> Sequence[Outcome]:
        """Put the parcels into the table: all of them, or none."""
        return [await asyncio.to_thread(self._deliver, parcels)] * len(parcels)

    def _deliver(self, parcels: Sequence[Parcel]) -> Outcome:
        try:
            changes = changes_of(parcels, self._fields, self._spec.mode)
        except pa.ArrowException:
            return Outcome("split", "a value is not of its column's type")
        table = ".".join(quote(part) for part in (self._spec.table or "").split("."))
        try:
            with self._session() as session:
                for change in changes.values():
                    apply(session, table, change)
            return Outcome("ok")
        except Unreachable as error:
            return Outcome("unreachable", str(error))
        except Refused as error:
            return Outcome("split", str(error))
        except Unfit as error:
            return Outcome("halt", str(error))


def apply(session: Session, table: str, change: Change) -> None:
    """Put the rows of ``change`` into ``table``, a quoted name, and take those that leave out of it."""
    _make(session, table, change.shape)
    key = _listed(change.shape.key)
    if change.put.num_rows:
        session.load(_INCOMING, change.put)
        every = _listed(change.shape.columns)
        news = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in change.shape.values)
        then = f"UPDATE SET {news}" if news and change.shape.key != ("message_key",) else "NOTHING"
        source = quote(_INCOMING)
        rows = f"SELECT {every} FROM {source} WHERE true"
        session.run(f"INSERT INTO {table} ({every}) {rows} ON CONFLICT ({key}) DO {then}")
    if change.gone.num_rows:
        session.load(_LEAVING, change.gone)
        session.run(f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {quote(_LEAVING)})")


def _make(session: Session, table: str, shape: Shape) -> None:
    there = session.columns(table)
    types = {name: session.type_of(kind) for name, kind in shape.columns.items()}
    if not there:
        columns = ", ".join(f"{quote(name)} {kind}" for name, kind in types.items())
        session.run(f"CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({_listed(shape.key)}))")
        return
    for name, kind in types.items():
        if name not in there:
            session.run(f"ALTER TABLE {table} ADD COLUMN {quote(name)} {kind}")


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(quote(name) for name in names)


@asynccontextmanager
async def open_database(spec: Destination, fields: Fields, folder: Path) -> AsyncIterator[TableReceiver]:
    """A table of a DuckDB or SQLite file; a relative path lies in ``folder``. The file is open only while written."""
    path = folder / str(spec.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    session = _duckdb_session if path.suffix == ".duckdb" else _sqlite_session
    yield TableReceiver(spec, fields, lambda: session(path))


class _DuckDB:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def run(self, statement: str) -> None:
        self._connection.execute(statement)

    def columns(self, table: str) -> Sequence[str]:
        try:
            found = self._connection.execute(f"SELECT * FROM {table} LIMIT 0").description or ()
        except duckdb.CatalogException:
            return ()
        return [column[0] for column in found]

    def load(self, name: str, rows: pa.Table) -> None:
        self._connection.register(name, rows)

    def type_of(self, kind: DataType) -> str:
        if kind.kind == "list":
            return f"{_DUCKDB[str(kind.item)]}[]"
        return _DUCKDB.get(kind.kind, str(kind))


_DUCKDB = {"text": "varchar", "integer": "bigint", "float": "double"}


@contextmanager
def _duckdb_session(path: Path) -> Iterator[Session]:
    try:
        connection = duckdb.connect(str(path))
    except duckdb.Error as error:
        raise Unreachable("another program has the file open") from error
    with closing(connection):
        try:
            connection.execute("BEGIN")
            yield _DuckDB(connection)
            connection.execute("COMMIT")
        except (duckdb.DataError, duckdb.IntegrityError) as error:
            raise Refused(f"DuckDB: {type(error).__name__}") from error
        except duckdb.ProgrammingError as error:
            raise Unfit(f"DuckDB: {type(error).__name__}; is the table made for what travels?") from error
        except duckdb.Error as error:
            raise Unreachable(f"DuckDB: {type(error).__name__}") from error


class _SQLite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, statement: str) -> None:
        self._connection.execute(statement)

    def columns(self, table: str) -> Sequence[str]:
        try:
            return [column[0] for column in self._connection.execute(f"SELECT * FROM {table} LIMIT 0").description]
        except sqlite3.OperationalError:
            return ()

    def load(self, name: str, rows: pa.Table) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS {quote(name)}")
        self._connection.execute(f"CREATE TEMP TABLE {quote(name)} ({_listed(rows.column_names)})")
        columns = [[_plain(value) for value in column.to_pylist()] for column in flat(rows).columns]
        marks = ", ".join("?" for _ in columns)
        self._connection.executemany(f"INSERT INTO {quote(name)} VALUES ({marks})", zip(*columns, strict=True))

    def type_of(self, kind: DataType) -> str:
        return _SQLITE.get(kind.kind, "text")


_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE = {"integer": "integer", "float": "real", "boolean": "integer", "decimal": "numeric"}


def _plain(value: Any) -> Any:
    """A value as SQLite stores it; decimals, dates and times as text that loses nothing."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


@contextmanager
def _sqlite_session(path: Path) -> Iterator[Session]:
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield _SQLite(connection)
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in _BUSY:
                raise Unreachable("another program writes to the file") from error
            raise Unfit(f"SQLite: {error.sqlite_errorname}; is the table made for what travels?") from error
        except sqlite3.Error as error:
            raise Refused(f"SQLite: {type(error).__name__}") from error


@asynccontextmanager
async def open_postgres(
    spec: Destination, fields: Fields, environment: Mapping[str, str]
) -> AsyncIterator[TableReceiver]:
    """A table of PostgreSQL, whose URL is in the environment. Mistake where the variable or the driver is missing."""
    url = secret(spec.url_env or "", environment, spec.destination)
    try:
        import adbc_driver_manager
        import adbc_driver_postgresql.dbapi as postgres
    except ImportError as error:
        raise Mistake(f'{spec.destination}: needs the PostgreSQL driver: pip install "valtag[databases]"') from error

    @contextmanager
    def session() -> Iterator[Session]:
        try:
            connection = postgres.connect(url)
        except adbc_driver_manager.Error as error:
            # The driver's text may hold the URL, and that the password.
            raise Unreachable("PostgreSQL can't be reached") from error
        with closing(connection), closing(connection.cursor()) as cursor:
            try:
                yield _Postgres(cursor)
                connection.commit()
            except (adbc_driver_manager.OperationalError, adbc_driver_manager.InterfaceError) as error:
                # What is put in by its key may be put in again.
                raise Unreachable(f"PostgreSQL: {_state(error)}") from error
            except adbc_driver_manager.ProgrammingError as error:
                raise Unfit(f"PostgreSQL: {_state(error)}; is the table made for what travels?") from error
            except adbc_driver_manager.Error as error:
                raise Refused(f"PostgreSQL: {_state(error)}") from error

    yield TableReceiver(spec, fields, session)


def _state(error: Any) -> str:
    """The error's kind and SQLSTATE, without its text: that quotes rows."""
    return f"{type(error).__name__} {error.sqlstate or ''}".strip()


class _Postgres:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def run(self, statement: str) -> None:
        self._cursor.execute(statement)

    def columns(self, table: str) -> Sequence[str]:
        self._cursor.execute("SELECT to_regclass($1)::text IS NOT NULL", (table,))
        if not self._cursor.fetchone()[0]:
            return ()
        self._cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        return [column[0] for column in self._cursor.description]

    def load(self, name: str, rows: pa.Table) -> None:
        self._cursor.execute(f"DROP TABLE IF EXISTS {quote(name)}")
        self._cursor.adbc_ingest(name, rows, mode="create", temporary=True)

    def type_of(self, kind: DataType) -> str:
        if kind.kind == "list":
            return f"{_POSTGRES[str(kind.item)]}[]"
        return _POSTGRES.get(kind.kind, str(kind).replace("decimal", "numeric"))


_POSTGRES = {"text": "text", "integer": "bigint", "float": "double precision"}
