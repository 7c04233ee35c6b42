"""What a database engine must do for valtag, and the tables an expression reads.

Everything above this line is Ibis expressions on unbound tables; an engine compiles one to its own SQL and
runs it over Parquet files. Nothing else about an engine is visible to the rest of the product.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import ibis
import pyarrow as pa
from ibis.expr.operations import Relation

if TYPE_CHECKING:
    from ibis.backends.sql.compilers.base import SQLGlotCompiler

Inputs = Mapping[str, Sequence[Path]]
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]+")


# Ibis imports the compilers of every engine it knows at once: a third of what a command takes to start.
def _duckdb() -> "SQLGlotCompiler":
    from ibis.backends.sql.compilers.duckdb import DuckDBCompiler

    return DuckDBCompiler()


def _spark() -> "SQLGlotCompiler":
    from valtag_assets.engine.spark_sql import SparkCompiler

    return SparkCompiler()


COMPILERS: Mapping[str, Callable[[], "SQLGlotCompiler"]] = {"duckdb": _duckdb, "spark": _spark}


class EngineError(Exception):
    """An engine could not do what it was asked; the message says which engine and why."""


class Engine(Protocol):
    """One open session. ``inputs`` maps the name of each unbound table to its Parquet files."""

    name: str

    def sql(self, expression: ibis.Table) -> str:
        """The engine's SQL text of ``expression``, as it runs."""

    def write(self, expression: ibis.Table, inputs: Inputs, into: Path, *, passing: bool = False) -> None:
        """Run ``expression`` and write its rows to one Parquet file ``into``, in the expression's order; one that is
        ``passing``, soon read and gone, without packing it small."""

    def write_parts(self, expression: ibis.Table, inputs: Inputs, into: Path, bucket: str) -> list[Path]:
        """Run ``expression`` and write one Parquet file ``part-<value>.parquet`` per value of its text column
        ``bucket`` into the folder ``into``; the files, sorted.

        The column itself is left out; rows keep the expression's order, which should begin with ``bucket``.
        ValueError for a value that is null or no file name ([A-Za-z0-9_-]+). No rows: no file.
        """

    def fetch(self, expression: ibis.Table, inputs: Inputs) -> pa.Table:
        """Run ``expression`` and bring its (few) rows into memory."""


def compile_sql(expression: ibis.Table, engine: str, *, fused: bool = False) -> str:
    """The SQL text of ``expression`` for the ``engine`` of that name, one SELECT per step of it.

    ``fused`` folds steps into one SELECT, as Ibis does by default: short to read for a few steps. But a value
    is then copied into each place that uses it; long chains would grow exponentially, and be worked out again
    and again. So what runs is never fused.
    """
    return _compiled(expression.unbind().op(), engine, fused)


# An expression is asked for twice, to run it and to show it; and anew by every run of a long-lived process.
@lru_cache(maxsize=256)
def _compiled(operation: Relation, engine: str, fused: bool) -> str:
    before = ibis.options.sql.fuse_selects
    ibis.options.sql.fuse_selects = fused
    try:
        compiler = COMPILERS[engine]()
        return str(compiler.to_sqlglot(operation.to_expr()).sql(dialect=compiler.dialect, pretty=True))
    finally:
        ibis.options.sql.fuse_selects = before


def part_name(value: str | None) -> str:
    """The file of one bucket of ``Engine.write_parts``; ValueError if it can't be one."""
    if value is None or not _FILE_NAME.fullmatch(value):
        raise ValueError(f"{value!r} can't be part of a file's name")
    return f"part-{value}.parquet"


def unbound(name: str, schema: Mapping[str, str] | ibis.Schema) -> ibis.Table:
    """An unbound Ibis table called ``name``; the engine binds it to files when it runs."""
    return ibis.table(ibis.schema(schema), name=name)
