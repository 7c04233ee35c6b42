"""Tables of PostgreSQL, through ADBC (``pip install valtag[databases]``), streamed as Arrow.

Numbers, booleans, dates, timestamps and texts keep their types; arrays and rows become JSON text; every other
type (numeric, money, uuid, enumerations, …) the text that PostgreSQL itself writes, which loses no digit.
"""

import hashlib
import json
import os
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from valtag_assets.engine.reading.origin import Origin, SourceError
from valtag_assets.engine.reading.relation import Connection, Found, Opened, Scanned, find_table, registered
from valtag_assets.warehouse.quoting import quote

_NATIVE = {"int2", "int4", "int8", "float4", "float8", "bool", "text", "varchar", "date", "timestamp"}
_NATIVE |= {"timestamptz", "time"}

_TABLES = """
    select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
      and n.nspname !~ '^pg_toast' order by 1, 2"""
_COLUMNS = """
    select a.attname, t.typname, t.typcategory::text,
           array_position(i.indkey::int2[], a.attnum)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_index i on i.indrelid = c.oid and i.indisprimary
    where n.nspname = $1 and c.relname = $2 order by a.attnum"""


def postgres_tables(origin: Origin) -> list[str]:
    """Every table and view of the database, those of the schema ``public`` by their bare names."""
    label = origin.names[0]
    connection, error_type = _connect(origin, label)
    with closing(connection), closing(connection.cursor()) as cursor:
        try:
            cursor.execute(_TABLES)
            found = cursor.fetchall()
        except error_type as error:
            raise SourceError(f"{label}: {str(error).strip()}") from error
    return [name if schema == "public" else f"{schema}.{name}" for schema, name in found]


@contextmanager
def open_postgres(origin: Origin) -> Iterator[Opened]:
    """The origin's table; its URL comes from the environment variable ``origin.url_env``."""
    label = origin.names[0]
    connection, error_type = _connect(origin, label)
    with closing(connection), closing(connection.cursor()) as cursor:
        try:
            # The text forms of dates and numbers, which the fingerprint reads, depend on these.
            for setting in ("time zone 'UTC'", "datestyle = 'ISO'", "extra_float_digits = 1"):
                cursor.execute(f"set {setting}")
            cursor.execute(_TABLES)
            schema, name = find_table(origin.table or "", cursor.fetchall(), "public", label)
            cursor.execute(_COLUMNS, (schema, name))
            columns = cursor.fetchall()
            key = sorted((rank, column) for column, _, _, rank in columns if rank is not None)
            found = Found(schema, name, tuple(row[0] for row in columns), tuple(item[1] for item in key))
            values = {row[0]: _value(*row[:3]) for row in columns}

            @contextmanager
            def scan(con: Connection, names: Sequence[str]) -> Iterator[Scanned]:
                listed = ", ".join([*(values[column] for column in names), "1"])
                cursor.execute(f"select {listed} from {found.address}")
                with registered(con, cursor.fetch_record_batch(), len(names)) as scanned:
                    yield scanned

            yield Opened(found, label, scan, lambda: _digest(cursor, found, columns))
        except error_type as error:
            raise SourceError(f"{label}: {str(error).strip()}") from error


def _connect(origin: Origin, label: str) -> tuple[Any, type[Exception]]:
    url = os.environ.get(origin.url_env or "")
    if not url:
        raise SourceError(
            f"{label}: the environment variable {origin.url_env} is not set; put the PostgreSQL URL there, "
            "as in postgresql://user:password@host:5432/database"
        )
    try:
        import adbc_driver_manager
        import adbc_driver_postgresql.dbapi
    except ImportError as error:
        raise SourceError(f'{label}: needs the PostgreSQL driver: pip install "valtag[databases]"') from error
    try:
        return adbc_driver_postgresql.dbapi.connect(url, autocommit=True), adbc_driver_manager.Error
    except adbc_driver_manager.Error as error:
        reason = str(error).strip().replace(url, "…")
        if password := urllib.parse.urlsplit(url).password:
            reason = reason.replace(password, "…").replace(urllib.parse.unquote(password), "…")
        raise SourceError(f"{label}: no connection by the URL in {origin.url_env} ({reason})") from error


def _value(column: str, type_name: str, category: str) -> str:
    """The SQL of a column in a type that Arrow carries faithfully."""
    if type_name in _NATIVE:
        return quote(column)
    if category in ("A", "C"):  # array, row
        return f"to_json({quote(column)})::text"
    return f"{quote(column)}::text"


def _digest(cursor: Any, found: Found, columns: Sequence[Sequence[Any]]) -> str:
    cursor.execute(
        "select count(*), sum(hashtextextended(t::text, 0)::numeric)::text, "
        f"sum(hashtextextended(t::text, 1)::numeric)::text from {found.address} t"
    )
    shape = [found.schema, found.name, [list(column[:2]) for column in columns]]
    content = [shape, [str(value) for value in cursor.fetchone()]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
