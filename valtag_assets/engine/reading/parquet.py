"""Parquet: scalars keep their types, nested values become JSON text.

Files of one source may have their columns in any order, and types that differ in width (INTEGER here, BIGINT
there): the rows get the widest. A wanted column must be in every file. Enumerations are read as text.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.reading.origin import Origin, SourceError, match_columns
from valtag_assets.engine.reading.tables import Output, copy_to, literal_path
from valtag_assets.warehouse.quoting import quote

_NESTED = ("STRUCT", "MAP", "UNION")


def parquet_columns(origin: Origin, path: Path) -> list[str]:
    try:
        return pq.read_schema(path).names
    except pa.ArrowInvalid as error:
        raise SourceError(f"{origin.label(path)}: no sound Parquet file ({error}); export it again") from error


def read_parquet_files(
    con: duckdb.DuckDBPyConnection,
    origin: Origin,
    columns: Sequence[str],
    output: Output,
    known: Sequence[tuple[str, str]] = (),
) -> None:
    """Read all files of the origin into ``output``, one part each, with one schema that holds ``known``, too."""
    lists = [_select_list(con, origin, path, columns) for path in origin.paths]
    kinds = [_types(con, path, select) for path, select in zip(origin.paths, lists, strict=True)]
    types = _common_types(con, origin, columns, lists, kinds, known)
    for path, own in zip(origin.paths, kinds, strict=True):
        output.own[origin.label(path)] = dict(zip(columns, own, strict=True))
    for path, select in zip(origin.paths, lists, strict=True):
        outer = "".join(f"cast({quote(name)} as {kind}) as {quote(name)}, " for name, kind in types)
        query = (
            f"select {outer}$file as _file, file_row_number + 1 as _row "
            f"from (select {select}file_row_number from read_parquet($path, file_row_number = true))"
        )
        values = {"path": literal_path(path), "file": origin.label(path)}
        output.accepted += copy_to(con, query, output.part(), values)


def _select_list(con: duckdb.DuckDBPyConnection, origin: Origin, path: Path, columns: Sequence[str]) -> str:
    at = match_columns(columns, parquet_columns(origin, path), origin.label(path))
    # DuckDB renames columns that differ by case only; their order stays.
    cursor = con.execute("select * from read_parquet($path) limit 0", {"path": literal_path(path)})
    described = cursor.description or []
    return select_list([(described[i][0], described[i][1]) for i in at], columns)


def select_list(described: Sequence[tuple[str, object]], names: Sequence[str]) -> str:
    """A select list over (DuckDB name, DuckDB type) columns: renamed, nested ones as JSON, enums as text."""
    parts = []
    for (internal, kind), name in zip(described, names, strict=True):
        value = quote(internal)
        if str(kind).startswith(_NESTED) or str(kind).endswith("]"):
            value = f"cast(to_json({value}) as varchar)"
        elif str(kind).startswith("ENUM") or str(kind) == "JSON":
            value = f"cast({value} as varchar)"
        parts.append(f"{value} as {quote(name)}, ")
    return "".join(parts)


def _types(con: duckdb.DuckDBPyConnection, path: Path, select: str) -> tuple[str, ...]:
    """The types of what ``select`` takes of one file."""
    query = f"select {select}true from read_parquet($path) limit 0"
    described = con.execute(query, {"path": literal_path(path)}).description or []
    return tuple(str(column[1]) for column in described[:-1])


def _common_types(
    con: duckdb.DuckDBPyConnection,
    origin: Origin,
    columns: Sequence[str],
    lists: Sequence[str],
    kinds: Sequence[tuple[str, ...]],
    known: Sequence[tuple[str, str]],
) -> list[tuple[str, str]]:
    """(column, type) that holds the values of every file; DuckDB's own rule for a union."""
    if not columns:
        return []
    different = {kind: (path, select) for path, select, kind in zip(origin.paths, lists, kinds, strict=True)}
    parts, values = [], {}
    for number, (path, select) in enumerate(different.values()):
        parts.append(f"(select {select} from read_parquet($path{number}) limit 0)")
        values[f"path{number}"] = literal_path(path)
    if known:
        nulls = "".join(f"cast(null as {kind}), " for _, kind in known)
        parts.append(f"(select {nulls} from range(0))")
    described = con.execute(" union all ".join(parts), values).description or []
    return [(name, str(column[1])) for name, column in zip(columns, described, strict=True)]
