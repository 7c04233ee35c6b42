"""CSV and TSV: every column as text, exactly as written.

An empty field is '' whether it is quoted or not; nothing is null, nothing is trimmed but spaces *around*
quotes. Damaged records go to ``broken``, one by one. A file in another encoding than declared is an error of
the whole file; bad bytes in at most one record of a thousand make those records broken.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from valtag_assets.engine.reading.origin import Origin, SourceError, match_columns
from valtag_assets.engine.reading.plain import (
    BadBytes,
    decoded,
    empty_file,
    first_invalid,
    plain_file,
    wrong_encoding,
)
from valtag_assets.engine.reading.records import LONGEST, Irregular, RecordReader, Shape, Sound, count_regular
from valtag_assets.engine.reading.tables import Output, copy_to, in_file_order, literal_path, number_file, selected

TOLERATED = 1000  # one undecodable record in so many is damage; more is a wrong encoding


def delimited_columns(origin: Origin, path: Path) -> list[str]:
    """The column names of one file, from its first record only."""
    head = b""
    for block in decoded(origin, path, BadBytes(), 1 << 16):
        head += block
        if names := _first_record(origin, path, head, whole=False):
            return names
    names = _first_record(origin, path, head, whole=True)
    if names is None:
        raise empty_file(origin, path)
    return names


def read_delimited(
    con: duckdb.DuckDBPyConnection, origin: Origin, path: Path, columns: Sequence[str], output: Output
) -> None:
    """Read one file into ``output``."""
    label = origin.label(path)
    plain = plain_file(origin, path, output.into)
    names = delimited_columns(origin, path)
    at = match_columns(columns, names, label)
    shape = Shape(origin.separator.encode(), origin.quote.encode(), len(names), origin.header)
    try:
        records, crlf = count_regular(plain, shape)
    except Irregular:
        _read_careful(con, origin, path, plain, shape, columns, at, output)
    else:
        source, values = _scan(plain, shape, crlf)
        query = f"select {selected([f'c{i}' for i in at], columns)}$file as _file, row_number() over () as _row"
        with in_file_order(con):
            found = copy_to(con, f"{query} from {source}", output.part(), {**values, "file": label})
        _agree(label, found, records - origin.header)
        output.accepted += found
    if plain != path:
        plain.unlink()


def _read_careful(
    con: duckdb.DuckDBPyConnection,
    origin: Origin,
    path: Path,
    plain: Path,
    shape: Shape,
    columns: Sequence[str],
    at: list[int],
    output: Output,
) -> None:
    """Part the sound records from the broken ones first; then read the sound ones, numbered as they stood."""
    label = origin.label(path)
    sound = output.into / "sound.txt"
    reader = RecordReader(shape, origin.encoding, label)
    accepted = broken = undecodable = 0
    numbers = output.into / "numbers.parquet"  # where the n-th sound record stood
    with sound.open("wb") as out, number_file(numbers) as number:
        for item in reader.read(plain):
            if isinstance(item, Sound):
                out.write(item.text)
                accepted += item.records
                number(item.row, item.records)
            else:
                output.broken(label, item.row, item.line, item.text, item.reason)
                broken += 1
                undecodable += item.undecodable
    if undecodable * TOLERATED > accepted + broken:
        first = first_invalid(origin, path)
        count = f"{undecodable} of {accepted + broken} records can't be decoded"
        raise wrong_encoding(origin, path, first, count)
    source, values = _scan(sound, replace(shape, header=False), crlf=False)
    query = (
        f"select {selected([f'c{i}' for i in at], columns)}$file as _file, number as _row "
        f"from {source} positional join read_parquet($numbers)"
    )
    with in_file_order(con):
        found = copy_to(con, query, output.part(), {**values, "file": label, "numbers": literal_path(numbers)})
    _agree(label, found, accepted)
    output.accepted += found
    sound.unlink()
    numbers.unlink()


def _scan(file: Path, shape: Shape, crlf: bool) -> tuple[str, dict[str, Any]]:
    """DuckDB's reader over a file known to be sound: (SQL, its values), columns c0, c1, …"""
    # Told "\\r\\n" DuckDB 1.5.5 returns no rows, so it finds that one itself.
    line_end = "" if crlf else "new_line = $line_end, "
    sql = (
        "read_csv($path, auto_detect = false, header = $header, delim = $delimiter, quote = $quote, "
        f"escape = $quote, columns = $columns, strict_mode = true, {line_end}"
        # No unquoted value can be a line end, so no text turns into null.
        "nullstr = chr(10), allow_quoted_nulls = false, max_line_size = $longest)"
    )
    values = {
        "path": literal_path(file),
        "header": shape.header,
        "delimiter": shape.delimiter.decode(),
        "quote": shape.quote.decode(),
        "columns": {f"c{i}": "VARCHAR" for i in range(shape.fields)},
        "longest": LONGEST + 1000,
    }
    return sql, values if crlf else {**values, "line_end": "\\n"}


def _agree(label: str, found: int, counted: int) -> None:
    if found != counted:
        raise SourceError(
            f"{label}: DuckDB read {found} of {counted} records; please report this, and meanwhile save the "
            "file as Parquet"
        )


def _first_record(origin: Origin, path: Path, head: bytes, whole: bool) -> list[str] | None:
    """Column names, or None if ``head`` does not hold a whole record yet."""
    label = origin.label(path)
    separator, quote = origin.separator.encode(), origin.quote.encode()
    if len(quote) > 1 or quote == separator:
        raise SourceError(f'{label}: read.quote is one ASCII character, or "" for none; not {origin.quote!r}')
    if not 1 <= len(separator) <= 4 or set(separator) & set(b"\r\n"):
        raise SourceError(f"{label}: read.delimiter is 1 to 4 bytes without line ends; not {origin.separator!r}")
    reader = RecordReader(Shape(separator, quote, 0, origin.header), origin.encoding, label)
    try:
        values = reader.first(head, whole)
    except UnicodeDecodeError as error:
        raise wrong_encoding(origin, path, first_invalid(origin, path), "its first record") from error
    if values is None or origin.header:
        return values
    return [f"column_{number}" for number in range(1, len(values) + 1)]
