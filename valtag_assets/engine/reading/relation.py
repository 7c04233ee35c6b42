"""What the database readers share: a table found by name, open for one scan."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from valtag_assets.engine.reading.origin import SourceError, did_you_mean
from valtag_assets.warehouse.quoting import quote

Connection = duckdb.DuckDBPyConnection
_STREAM = "_valtag_stream"


@dataclass(frozen=True)
class Found:
    """A table that exists: where, its columns in order, its primary key (() if it has none)."""

    schema: str
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def address(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"


@dataclass(frozen=True)
class Scanned:
    """An SQL source, the connection that can query it (once), and its (name, DuckDB type) columns."""

    con: Connection
    source: str
    columns: list[tuple[str, str]]


@dataclass(frozen=True)
class Opened:
    """A table open for reading.

    ``scan(con, names)`` gives the columns ``names``, in this order; ``digest`` a fingerprint of the content,
    where the content isn't a file.
    """

    found: Found
    label: str
    scan: Callable[[Connection, Sequence[str]], AbstractContextManager[Scanned]]
    digest: Callable[[], str] | None = None


def find_table(table: str, tables: Sequence[tuple[str, str]], default: str, label: str) -> tuple[str, str]:
    """The (schema, name) that ``table`` means: a name in the default schema first, then schema.name."""
    schema, _, name = table.partition(".")
    for candidate in ((default, table), (schema, name)):
        if candidate in tables:
            return candidate
    shown = [name if schema == default else f"{schema}.{name}" for schema, name in tables]
    listed = f"; the tables are {', '.join(shown[:30])}" if shown else "; the database has no tables"
    raise SourceError(f"{label}: no table '{table}'{did_you_mean(table, shown)}{listed}")


@contextmanager
def registered(con: Connection, reader: pa.RecordBatchReader, width: int) -> Iterator[Scanned]:
    """An Arrow stream as a source; only its first ``width`` columns count."""
    empty = con.from_arrow(reader.schema.empty_table())
    columns = list(zip(empty.columns, (str(kind) for kind in empty.types), strict=True))[:width]
    con.register(_STREAM, reader)
    try:
        yield Scanned(con, quote(_STREAM), columns)
    finally:
        con.unregister(_STREAM)
