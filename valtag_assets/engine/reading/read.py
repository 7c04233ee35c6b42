"""The entry to reading: any origin → Parquet files of the wanted columns, as written in the source.

Text formats (CSV, TSV, JSON lines, Excel) give text; typed ones (Parquet, databases) their own types, nested
values as JSON text. Each row has ``_file`` and ``_row``, its record number in that file from 1. What can't be
read record by record lies in ``broken``; what can't be read at all is a ``SourceError``.
"""

from collections.abc import Sequence
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


def read_source(con: duckdb.DuckDBPyConnection, origin: Origin, columns: Sequence[str], into: Path) -> RawTable:
    """Read the ``columns`` (named as in the source) of all files of ``origin`` into the folder ``into``.

    ``into`` may exist but must not hold ``rows`` from before. Needs disk for one file unzipped or decoded, if
    it isn't plain UTF-8 or is damaged. Raises SourceError, naming the file, what is wrong and the fix.
    """
    if origin.format not in _DATABASES and not origin.paths:
        raise SourceError("the source names no file")
    match_columns(columns, columns, "the source")  # refuses names that no table can hold side by side
    output = Output(into)
    try:
        _read(con, origin, columns, output)
        broken = output.close()
    except OSError as error:
        if error.filename is None or Path(error.filename).is_relative_to(into):
            raise
        raise SourceError(f"{error.filename}: can't be read ({error.strerror})") from error
    finally:
        output.abandon()
    return RawTable(output.rows, _types(con, output, columns), output.accepted, broken, output.broken_rows)


def column_names(origin: Origin) -> list[str]:
    """The columns of the origin's first file or table, in order, read from its head only.

    JSON lines have no header: the keys of the first 1,000 records.
    """
    if origin.format in _DATABASES:
        return database_columns(origin)
    read = {"jsonl": json_columns, "parquet": parquet_columns, "excel": excel_columns}
    return read.get(origin.format, delimited_columns)(origin, origin.paths[0])


def fingerprint(origin: Origin, cache: Path) -> str:
    """A digest that changes when the content of the source does.

    Files, database files among them (with their write-ahead logs): SHA-256 over (name, SHA-256 of the
    content) in order; the digest of a file is kept in the JSON file ``cache`` and taken from there while its
    size and times stay. PostgreSQL: SHA-256 over the columns, the number of rows, and two independent 64-bit
    hash sums over the text of every row, worked out by the server (one scan; order does not matter).
    """
    return database_fingerprint(origin) if origin.format == "postgres" else fingerprint_files(origin, cache)


def _read(con: duckdb.DuckDBPyConnection, origin: Origin, columns: Sequence[str], output: Output) -> None:
    if origin.format in _DATABASES:
        read_database(con, origin, columns, output)
    elif origin.format == "parquet":
        read_parquet_files(con, origin, columns, output)
    elif origin.format == "jsonl":
        seen: set[str] = set()
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
