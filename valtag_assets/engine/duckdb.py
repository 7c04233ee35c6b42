"""The embedded engine: an in-memory DuckDB over Parquet snapshots."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
from duckdb import ColumnExpression, ConstantExpression, StarExpression

from valtag_assets.engine.session import EngineError, Inputs, compile_sql, part_name
from valtag_assets.spec.types import DataType, parse_type
from valtag_assets.warehouse.in_memory import Database
from valtag_assets.warehouse.quoting import quote

Bound = list[tuple[str, object]]
_TYPES = {"varchar": "text", "bigint": "integer", "double": "float"}


class DuckDBEngine:
    """Runs Ibis expressions on one DuckDB connection.

    External access is needed only to read and write the Parquet files named by valtag itself: rules never reach
    the connection as text.
    """

    name = "duckdb"

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._bound: dict[str, Bound] = {}
        connection.execute("SET TimeZone = 'UTC'")

    def sql(self, expression: ibis.Table) -> str:
        return compile_sql(expression, self.name)

    def write(self, expression: ibis.Table, inputs: Inputs, into: Path, *, passing: bool = False) -> None:
        self._bind(inputs)
        self._copy(self.sql(expression), into, passing=passing)

    def write_parts(self, expression: ibis.Table, inputs: Inputs, into: Path, bucket: str) -> list[Path]:
        # COPY ... PARTITION_BY keeps no order inside a part and may make several files of one.
        with tempfile.TemporaryDirectory(dir=into, prefix=".whole-") as space:
            whole = Path(space) / "whole.parquet"
            self.write(expression, inputs, whole)
            rows = self.connection.read_parquet(str(whole))
            values = sorted(row[0] or "" for row in rows.select(bucket).distinct().fetchall())
            parts = [into / part_name(value) for value in values]
            for value, part in zip(values, parts, strict=True):
                mine = rows.filter(ColumnExpression(bucket) == ConstantExpression(value))
                self._copy(mine.select(StarExpression(exclude=[bucket])).sql_query(), part)
        return parts

    def fetch(self, expression: ibis.Table, inputs: Inputs) -> pa.Table:
        self._bind(inputs)
        return self.connection.execute(self.sql(expression)).to_arrow_table()

    def _copy(self, sql: str, into: Path, *, passing: bool = False) -> None:
        # The lowest level takes half the time of the usual one for texts of digits, and the files are hardly larger.
        packed = "COMPRESSION uncompressed" if passing else "COMPRESSION zstd, COMPRESSION_LEVEL 1"
        copy = f"COPY ({sql}) TO $into (FORMAT parquet, {packed}, ROW_GROUP_SIZE 122880)"
        self.connection.execute(copy, {"into": str(into)})

    def _bind(self, inputs: Inputs) -> None:
        """Give each unbound table of the next statement its files, and no other any.

        Many statements ask the same tables, one after the other: their views stay while the files are what they were.
        """
        asked = {name: [_as_it_is(file) for file in files] for name, files in inputs.items()}
        for name in [name for name, files in self._bound.items() if asked.get(name) != files]:
            del self._bound[name]
            self.connection.execute(f"DROP VIEW {quote(name)}")
        for name, files in inputs.items():
            if name not in self._bound:
                self.connection.read_parquet([str(file) for file in files]).create_view(name, replace=True)
                self._bound[name] = asked[name]


def _as_it_is(file: Path) -> tuple[str, object]:
    """Where a file is, and what changes when it is written again. One that is missing is never as it was."""
    try:
        found = file.stat()
    except OSError:  # for the engine to say
        return str(file), object()
    return str(file), (found.st_ino, found.st_mtime_ns, found.st_size)


@contextmanager
def open_duckdb(spill: Path | None = None) -> Iterator[DuckDBEngine]:
    """An engine with a catalog of its own in memory, gone at the end. Big sorts go to the folder ``spill``."""
    with _kept(str(spill or tempfile.gettempdir())).connection() as connection:
        yield DuckDBEngine(connection)


# The one used last: a process has one warehouse, as a rule.
@lru_cache(maxsize=1)
def _kept(spill: str) -> Database:
    return Database(lambda: within_limits(duckdb.connect(":memory:"), spill))


def within_limits(database: duckdb.DuckDBPyConnection, spill: str) -> duckdb.DuckDBPyConnection:
    """The ``database`` just opened, with as much memory as it may use and the folder for what is more."""
    database.execute("SET memory_limit = '6GB'")
    database.execute("SET temp_directory = $path", {"path": spill})
    return database


@contextmanager
def told() -> Iterator[None]:
    """DuckDB's own errors as EngineError: a rule may ask for what can't be computed (a product too large, say)."""
    try:
        yield
    except duckdb.Error as error:
        raise EngineError(str(error)) from error


def data_type(text: str) -> DataType:
    """The catalog's type of a column stored as this DuckDB type."""
    written = text.lower()
    if written.endswith("[]"):
        item = written.removesuffix("[]")
        return parse_type(f"list({_TYPES.get(item, item)})")
    return parse_type(_TYPES.get(written, written))
