"""What reading leaves behind: Parquet files of rows, and one of the records nobody could read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.warehouse.quoting import quote

BATCH = 50_000
_BROKEN = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("line", pa.int64()),
        ("text", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class RawTable:
    """A source as read: nothing cleaned, nothing lost.

    ``path``: a folder of Parquet files, one or more, with the wanted columns, ``_file`` (text) and ``_row``
    (BIGINT). ``columns``: (name, DuckDB type) of the wanted columns, in the order asked for. ``rows``:
    accepted records. ``broken``: Parquet with file, row (record number), line, text, reason; None if there
    are none. ``rows`` + ``broken_rows`` = records in the files. ``names``: what ``_file`` calls each file read.
    """

    path: Path
    columns: tuple[tuple[str, str], ...]
    rows: int
    broken: Path | None
    broken_rows: int
    names: tuple[str, ...]
    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """The Parquet files, written as DuckDB's ``read_parquet`` takes them."""
        return [literal_path(file) for file in sorted(self.path.glob("*.parquet"))]


class Output:
    """The folder a source is read into: numbered part files, and broken records as they come."""

    def __init__(self, into: Path):
        self.into = into
        self.rows = into / "rows"
        self.rows.mkdir(parents=True, exist_ok=False)
        self.accepted = 0
        self.own: dict[str, Mapping[str, str]] = {}
        self.broken_rows = 0
        self._parts = 0
        self._broken: pq.ParquetWriter | None = None
        self._held: list[tuple[str, int, int, str, str]] = []

    @property
    def parts(self) -> list[str]:
        return [literal_path(file) for file in sorted(self.rows.glob("*.parquet"))]

    def part(self) -> Path:
        self._parts += 1
        return self.rows / f"part-{self._parts:05}.parquet"

    def broken(self, file: str, row: int, line: int, text: str, reason: str) -> None:
        self.broken_rows += 1
        self._held.append((file, row, line, text, reason))
        if len(self._held) >= 1000:
            self._flush()

    def close(self) -> Path | None:
        """The file of broken records, if there are any."""
        if not self.broken_rows:
            return None
        self._flush()
        assert self._broken is not None
        self._broken.close()
        return self.into / "broken.parquet"

    def abandon(self) -> None:
        """Close what is open after an error."""
        if self._broken is not None:
            self._broken.close()

    def _flush(self) -> None:
        if self._broken is None:
            self._broken = pq.ParquetWriter(self.into / "broken.parquet", _BROKEN)
        rows = [dict(zip(_BROKEN.names, held, strict=True)) for held in self._held]
        self._broken.write_table(pa.Table.from_pylist(rows, schema=_BROKEN))
        self._held.clear()


def write_texts(part: Path, file: str, names: Sequence[str], rows: Iterable[tuple[int, Sequence]]) -> int:
    """Write (row number, values as text or None) tuples to ``part`` in batches; the number of rows."""
    schema = pa.schema([*((name, pa.string()) for name in names), ("_file", pa.string()), ("_row", pa.int64())])
    total = 0
    stream = iter(rows)
    with pq.ParquetWriter(part, schema) as writer:
        while True:
            # Columns, not rows, are held: a list for each row would keep the garbage collector busy.
            columns: list[list] = [[] for _ in schema]
            for number, values in islice(stream, BATCH):
                for column, value in zip(columns, (*values, file, number), strict=True):
                    column.append(value)
            if not columns[-1]:
                return total
            arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            total += len(columns[-1])


@contextmanager
def number_file(path: Path) -> Iterator[Callable[[int, int], None]]:
    """A Parquet file of one column ``number``; the function adds ``count`` numbers from ``first`` on."""
    held: list[np.ndarray] = []
    schema = pa.schema([("number", pa.int64())])
    with pq.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            if held:
                writer.write_batch(pa.record_batch([pa.array(np.concatenate(held), pa.int64())], schema=schema))
                held.clear()

        def add(first: int, count: int) -> None:
            held.append(np.arange(first, first + count))
            if len(held) >= BATCH:
                flush()

        yield add
        flush()


def copy_to(con: duckdb.DuckDBPyConnection, query: str, part: Path, values: Mapping[str, Any]) -> int:
    """Run ``query`` into the Parquet file ``part``; the number of rows. Values are bound by name."""
    found = con.execute(f"copy ({query}) to $part (format parquet)", {**values, "part": str(part)}).fetchone()
    return int(found[0]) if found else 0


def literal_path(path: Path) -> str:
    """``path`` for DuckDB's readers, which take it as a glob: special characters stand for themselves."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


def selected(internal: Sequence[str], names: Sequence[str]) -> str:
    """A select list that renames DuckDB's own column names to the wanted ones."""
    return "".join(f"{quote(old)} as {quote(new)}, " for old, new in zip(internal, names, strict=True))


@contextmanager
def in_file_order(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Rows keep the order of the file while this holds: row numbers are counted from it."""
    before = con.execute("select current_setting('preserve_insertion_order')").fetchone()
    con.execute("set preserve_insertion_order = true")
    try:
        yield
    finally:
        if before and not before[0]:
            con.execute("set preserve_insertion_order = false")
