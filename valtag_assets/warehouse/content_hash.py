"""A fingerprint of a table's content: the same for the same rows, whatever their order, files or machine.

Each row becomes one canonical text, the text an MD5 number, and the two 64-bit halves of all numbers are
summed. Sums don't see order or file boundaries, yet count duplicates. DuckDB's own ``hash()`` is three times
faster but promises nothing across versions, so it is not used.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from duckdb.sqltypes import DuckDBPyType

from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.quoting import quote
from valtag_assets.warehouse.reading import parquet

_RECIPE = "valtag content 1"
# Types whose text may hold any character; the others can't contain the separator and need no length.
_FREE_TEXT = frozenset({"varchar", "blob", "enum", "list", "array", "struct", "map"})
_UNSUPPORTED = frozenset({"union", "variant", "geometry", "unknown", "lambda"})


@dataclass(frozen=True)
class Content:
    """What a set of Parquet files holds. ``columns`` are (name, DuckDB type)."""

    columns: tuple[tuple[str, str], ...]
    rows: int
    hash: str


def read_content(files: Sequence[Path]) -> Content:
    """Schema, row count and hash of Parquet files that make up one table.

    WarehouseError if a file can't be read, the files differ in schema, or a type has no canonical text.
    """
    with duckdb.connect() as con:
        try:
            columns, types = _one_schema(con, files)
            rows, low, high = _row_sums(con, files, columns, types)
        except duckdb.Error as error:
            raise WarehouseError(f"cannot read the staged files in {files[0].parent}: {error}") from error
    schema = tuple(zip(columns, map(str, types), strict=True))
    # JSON, not repr or joining: a column name may hold any character.
    text = json.dumps([_RECIPE, schema, rows, str(low), str(high)])
    return Content(columns=schema, rows=rows, hash=hashlib.sha256(text.encode()).hexdigest())


def _one_schema(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> tuple[list[str], list[DuckDBPyType]]:
    first = parquet(con, files[:1])
    wanted = list(zip(first.columns, map(str, first.types), strict=True))
    for file in files[1:]:
        other = parquet(con, [file])
        # DuckDB would read by the first file's schema and cast or drop the rest in silence.
        if list(zip(other.columns, map(str, other.types), strict=True)) != wanted:
            raise WarehouseError(f"{file.name} and {files[0].name} in {file.parent} differ in columns or types")
    return list(first.columns), list(first.types)


def _row_sums(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    columns: Sequence[str],
    types: Sequence[DuckDBPyType],
) -> tuple[int, int, int]:
    pieces = ", ".join(_framed(quote(name), dtype) for name, dtype in zip(columns, types, strict=True))
    query = f"""
        SELECT count(*),
               coalesce(sum((h & 18446744073709551615::UHUGEINT)::UBIGINT), 0),
               coalesce(sum((h >> 64)::UBIGINT), 0)
        FROM (SELECT md5_number(concat_ws('|', {pieces})) AS h
              FROM read_parquet($files, hive_partitioning = false))
    """
    row = con.execute(query, {"files": [str(file) for file in files]}).fetchone()
    assert row is not None  # an aggregate without GROUP BY has one row
    return row[0], row[1], row[2]


def _framed(value: str, dtype: DuckDBPyType) -> str:
    """Text of one cell that can't run into its neighbour's: ``-`` for null, free text after its length."""
    text = _canonical(value, dtype)
    if dtype.id in _FREE_TEXT:
        return f"coalesce(strlen({text}) || ':' || ({text}), '-')"
    return f"coalesce({text}, '-')"


def _canonical(value: str, dtype: DuckDBPyType, depth: int = 0) -> str:
    """SQL giving the one text of a value, or null; equal values give equal text on every machine."""
    kind = dtype.id
    if kind in _UNSUPPORTED:
        raise WarehouseError(f"columns of type {dtype} can't be published: no canonical text")
    if kind in ("float", "double"):
        return f"CASE WHEN isnan({value}) THEN 'nan' WHEN {value} = 0 THEN '0.0' ELSE CAST({value} AS VARCHAR) END"
    if kind == "timestamp with time zone":
        return f"CAST(epoch_us({value}) AS VARCHAR)"  # as text it would depend on the session's zone
    if kind in ("list", "array", "struct", "map"):
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE {_nested(value, dtype, depth)} END"
    if kind == "varchar":
        return value
    return f"CAST({value} AS VARCHAR)"


def _nested(value: str, dtype: DuckDBPyType, depth: int) -> str:
    """Lists, structs and maps as JSON whose leaves are canonical texts."""
    item = quote(f"item{depth}")
    if dtype.id == "struct":
        fields = (_canonical(f"({value}).{quote(name)}", child, depth) for name, child in _children(dtype).items())
        return f"CAST(to_json([{', '.join(fields)}]) AS VARCHAR)"
    children = _children(dtype)
    if dtype.id == "map":
        pair = ", ".join(_canonical(f'({item})."{part}"', children[part], depth + 1) for part in ("key", "value"))
        entries = f"list_transform(map_entries({value}), lambda {item}: CAST(to_json([{pair}]) AS VARCHAR))"
        return f"CAST(to_json(list_sort({entries})) AS VARCHAR)"
    inner = _canonical(item, children["child"], depth + 1)
    return f"CAST(to_json(list_transform({value}, lambda {item}: {inner})) AS VARCHAR)"


def _children(dtype: DuckDBPyType) -> dict[str, DuckDBPyType]:
    """The types inside a nested type, by name (an array's size is not one)."""
    return {name: child for name, child in dtype.children if isinstance(child, DuckDBPyType)}
