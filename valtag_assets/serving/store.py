"""The store: one SQLite file with a record per person, made once and only read from then on."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

FILE = "lookup.sqlite"
# Records are a few hundred bytes: some dozen to a page, and a tree of three levels for a million.
_PAGE_BYTES = 8192
_MAPPED_BYTES = 1 << 40  # as much of the file as the system lets us map
_ROWS = 20_000
_NAMES = (
    "CREATE TABLE former (was TEXT PRIMARY KEY, person_id TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE named (kind TEXT, key TEXT, person_id TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID",
)
_INSERT = {"former": "INSERT INTO former VALUES (?, ?)", "named": "INSERT INTO named VALUES (?, ?, ?)"}


@dataclass(frozen=True)
class Names:
    """By what else persons are named: ``former`` (was, now) of ids that are no more, ``keys`` (kind, key, person)."""

    former: pa.Table
    keys: pa.Table


def write_store(file: Path, batches: Iterable[pa.RecordBatch], names: Names | None = None) -> int:
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
        for statement in _NAMES:
            connection.execute(statement)
        connection.execute("BEGIN")
        for batch in batches:
            rows = zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)
            connection.executemany("INSERT INTO person VALUES (?, ?)", rows)
            persons += batch.num_rows
        if names is not None:
            for into, table in (("former", names.former), ("named", names.keys)):
                for batch in table.to_batches(_ROWS):
                    columns = [column.to_pylist() for column in batch.columns]
                    connection.executemany(_INSERT[into], zip(*columns, strict=True))
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
        return self._one("SELECT record FROM person WHERE person_id = ?", person)

    def successor(self, person: str) -> str | None:
        """Who somebody is now whose id is no more, or None."""
        return self._one("SELECT person_id FROM former WHERE was = ?", person)

    def holder(self, kind: str, key: str) -> str | None:
        """Whose that key of that kind is now, or None."""
        return self._one("SELECT person_id FROM named WHERE kind = ? AND key = ?", kind, key)

    def _one(self, asked: str, *values: str) -> str | None:
        try:
            row = self._connection.execute(asked, values).fetchone()
        except UnicodeEncodeError:
            return None  # half a character: nobody is called so
        return None if row is None else row[0]

    def close(self) -> None:
        self._connection.close()
