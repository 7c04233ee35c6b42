"""The entry to reading: any origin → Parquet files of the wanted columns, as written in the source.

Text formats (CSV, TSV, JSON lines, Excel) give text; typed ones (Parquet, databases) their own types, nested
values as JSON text. Each row has ``_file`` and ``_row``, its record number in that file from 1. What can't be
read record by record lies in ``broken``; what can't be read at all is a ``SourceError``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from valtag_assets.engine.reading.database import (
    database_columns,
    database_fingerprint,
    read_database,
)
from valtag_assets.engine.reading.delimited import delimited_columns, read_delimited
from valtag_assets.engine.reading.excel import excel_columns, read_excel
from valtag_assets.engine.reading.jsonlines import check_keys, json_columns, read_json_lines
from valtag_assets.engine.reading.origin import Origin, SourceError, fingerprint_files, match_columns
from valtag_assets.engine.reading.parquet import parquet_columns, read_parquet_files
from valtag_assets.engine.reading.tables import Output, RawTable

_DATABASES = ("duckdb", "sqlite", "postgres")


def read_source(
    con: duckdb.DuckDBPyConnection,
    origin: Origin,
    columns: Sequence[str],
    into: Path,
    known: Sequence[tuple[str, str]] = (),
) -> RawTable:
    """Read the ``columns`` (named as in the source) of all files of ``origin`` into the folder ``into``.

    ``into`` may exist but must not hold ``rows`` from before. Needs disk for one file unzipped or decoded, if
    it isn't plain UTF-8 or is damaged. ``known``: (name, DuckDB type) of the columns as other files of the source
    were read: Parquet files get types that hold their values, too, and JSON files may do without a key.
    Raises SourceError, naming the file, what is wrong and the fix.
    """
    if origin.format not in _DATABASES and not origin.paths:
        raise SourceError("the source names no file")
    match_columns(columns, columns, "the source")  # refuses names that no table can hold side by side
    output = Output(into)
    try:
        _read(con, origin, columns, output, known)
        broken = output.close()
    except OSError as error:
        if error.filename is None or Path(error.filename).is_relative_to(into):
            raise
        raise SourceError(f"{error.filename}: can't be read ({error.strerror})") from error
    finally:
        output.abandon()
    types = _types(con, output, columns)
    return RawTable(output.rows, types, output.accepted, broken, output.broken_rows, origin.names, output.own)


def column_names(origin: Origin) -> list[str]:
    """The columns of the origin's first file or table, in order, read from its head only.

    JSON lines have no header: the keys of the first 1,000 records.
    """
    if origin.format in _DATABASES:
        return database_columns(origin)
    read = {"jsonl": json_columns, "parquet": parquet_columns, "excel": excel_columns}
    return read.get(origin.format, delimited_columns)(origin, origin.paths[0])


def fingerprints(origin: Origin, cache: Path) -> dict[str, str]:
    """For each file, by the name it has in ``_file``, a digest that changes when its content does.

    Files, database files among them (with their write-ahead logs): SHA-256 of the content; it is kept in the
    JSON file ``cache`` and taken from there while the size and times of a file stay. PostgreSQL: SHA-256 over
    the columns, the number of rows, and two independent 64-bit hash sums over the text of every row, worked
    out by the server (one scan; order does not matter).
    """
    if origin.format == "postgres":
        return {origin.names[0]: database_fingerprint(origin)}
    return fingerprint_files(origin, cache)


def fingerprint(origin: Origin, cache: Path) -> str:
    """A digest of the source's content: that of its files' names and ``fingerprints``."""
    return combined(fingerprints(origin, cache))


def combined(files: Mapping[str, str]) -> str:
    """One digest (SHA-256) of the digests of files by name."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def _read(
    con: duckdb.DuckDBPyConnection,
    origin: Origin,
    columns: Sequence[str],
    output: Output,
    known: Sequence[tuple[str, str]],
) -> None:
    if origin.format in _DATABASES:
        read_database(con, origin, columns, output)
    elif origin.format == "parquet":
        read_parquet_files(con, origin, columns, output, known)
    elif origin.format == "jsonl":
        seen = {name for name, _ in known}
        for path in origin.paths:
            seen |= read_json_lines(origin, path, columns, output)
        check_keys(origin, columns, seen, output.accepted)
    elif origin.format == "excel":
        for path in origin.paths:
            read_excel(origin, path, columns, output)
    else:
        for path in origin.paths:
            read_delimited(con, origin, path, columns, output)


def _types(con: duckdb.DuckDBPyConnection, output: Output, columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    described = con.execute("select * from read_parquet($files) limit 0", {"files": output.parts}).description
    return tuple((name, str(column[1])) for name, column in zip(columns, described or [], strict=False))
