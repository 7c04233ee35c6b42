"""The store: one SQLite file with a record per person, made once and only read from then on."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

FILE = "lookup.sqlite"
# Records are a few hundred bytes: some dozen to a page, and a tree of three levels for a million.
_PAGE_BYTES = 8192
_MAPPED_BYTES = 1 << 40  # as much of the file as the system lets us map


def write_store(file: Path, batches: Iterable[pa.RecordBatch]) -> int:
    """Write (person_id, record) rows, which come sorted by person, to the new ``file``; how many there were.

    The file is worth nothing until it is whole, so there is no journal; whoever calls this makes it durable.
    """
    persons = 0
    # Sorted text is in SQLite's own order (bytes of UTF-8), so the tree grows at its end only.
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE person (person_id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID")
        connection.execute("BEGIN")
        for batch in batches:
            rows = zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)
            connection.executemany("INSERT INTO person VALUES (?, ?)", rows)
            persons += batch.num_rows
        connection.execute("COMMIT")
    return persons


class Records:
    """An open store. It goes on working when its file has been removed."""

    def __init__(self, file: Path) -> None:
        # immutable: nobody ever writes to it, so nothing is locked or looked after.
        address = f"file:{quote(str(file))}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
        self._connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
        # Opens the file for good: it may be removed by whoever makes the next one.
        self._connection.execute("SELECT 1 FROM person LIMIT 1").fetchone()

    def find(self, person: str) -> str | None:
        """The record of a person, or None."""
        try:
            row = self._connection.execute("SELECT record FROM person WHERE person_id = ?", (person,)).fetchone()
        except UnicodeEncodeError:
            return None  # half a character: nobody is called so
        return None if row is None else row[0]

    def close(self) -> None:
        self._connection.close()
