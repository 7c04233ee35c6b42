"""A fingerprint of a table's content: the same for the same rows, whatever their order, files or machine.

Each row becomes one canonical text, the text an MD5 number, and the two 64-bit halves of all numbers are
summed. Sums don't see order or file boundaries, yet count duplicates. DuckDB's own ``hash()`` is three times
faster but promises nothing across versions, so it is not used.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from duckdb.sqltypes import DuckDBPyType

from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.in_memory import small
from valtag_assets.warehouse.quoting import quote
from valtag_assets.warehouse.reading import parquet

_RECIPE = "valtag content 1"
# Types whose text may hold any character; the others can't contain the separator and need no length.
_FREE_TEXT = frozenset({"varchar", "blob", "enum", "list", "array", "struct", "map"})
_UNSUPPORTED = frozenset({"union", "variant", "geometry", "unknown", "lambda"})
_NO_ROWS = (0, (0, 0))

Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Content:
    """What a file, or a table of several, holds. ``columns`` are (name, DuckDB type); ``sums`` are over its rows."""

    columns: Columns
    rows: int
    sums: tuple[int, int]

    @property
    def hash(self) -> str:
        """SHA-256 of schema, row count and sums, in hexadecimal."""
        low, high = self.sums
        # JSON, not repr or joining: a column name may hold any character.
        text = json.dumps([_RECIPE, self.columns, self.rows, str(low), str(high)])
        return hashlib.sha256(text.encode()).hexdigest()


def read_contents(files: Sequence[Path]) -> dict[str, Content]:
    """What each of the Parquet files that make up one table, all in one folder, holds; by file name.

    WarehouseError if a file can't be read, the files differ in schema, or a type has no canonical text.
    """
    if not files:
        return {}
    with small().connection() as con:
        try:
            types = {file.name: _types(con, file) for file in files}
            # DuckDB would read by the first file's schema and cast or drop the rest in silence.
            columns = _one_schema({name: _columns(found) for name, found in types.items()})
            sums = _row_sums(con, files, types[files[0].name])
        except duckdb.Error as error:
            raise WarehouseError(f"cannot read the staged files in {files[0].parent}: {error}") from error
    return {file.name: Content(columns, *sums.get(str(file), _NO_ROWS)) for file in files}


def table_content(parts: Mapping[str, Content]) -> Content:
    """What the table made up of ``parts`` (at least one, by file name) holds.

    WarehouseError names two parts that differ in columns or types.
    """
    columns = _one_schema({name: part.columns for name, part in parts.items()})
    low, high = zip(*(part.sums for part in parts.values()), strict=True)
    return Content(columns, sum(part.rows for part in parts.values()), (sum(low), sum(high)))


def _types(con: duckdb.DuckDBPyConnection, file: Path) -> dict[str, DuckDBPyType]:
    found = parquet(con, [file])
    return dict(zip(found.columns, found.types, strict=True))


def _columns(types: Mapping[str, DuckDBPyType]) -> Columns:
    return tuple((name, str(dtype)) for name, dtype in types.items())


def _one_schema(schemas: Mapping[str, Columns]) -> Columns:
    (first, wanted), *others = schemas.items()
    for name, columns in others:
        if columns != wanted:
            raise WarehouseError(
                f"{name} and {first} of one table differ in columns or types:"
                f" {_written(columns, wanted)} against {_written(wanted, columns)}"
            )
    return wanted


def _written(columns: Columns, others: Columns) -> str:
    """The columns that the others don't have; all of them if just the order differs."""
    named = [column for column in columns if column not in others] or columns
    return ", ".join(f"{name} {dtype}" for name, dtype in named)


def _row_sums(
    con: duckdb.DuckDBPyConnection, files: Sequence[Path], types: Mapping[str, DuckDBPyType]
) -> dict[str, tuple[int, tuple[int, int]]]:
    """Rows and sums of each file that has rows, by its path; in one query, since many of them cost twice as much."""
    pieces = ", ".join(_framed(quote(name), dtype) for name, dtype in types.items())
    taken = {name.lower() for name in types}
    path = next(name for count in itertools.count() if (name := f"path{count}") not in taken)
    query = f"""
        SELECT {quote(path)},
               count(*),
               sum((h & 18446744073709551615::UHUGEINT)::UBIGINT),
               sum((h >> 64)::UBIGINT)
        FROM (SELECT {quote(path)}, md5_number(concat_ws('|', {pieces})) AS h
              FROM read_parquet($files, hive_partitioning = false, filename = $path))
        GROUP BY ALL
    """
    found = con.execute(query, {"files": [str(file) for file in files], "path": path}).fetchall()
    return {file: (rows, (low, high)) for file, rows, low, high in found}


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
