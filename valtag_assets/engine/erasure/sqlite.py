"""SQLite files: whether a text in them names a person, and masking it so that no byte of it stays."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from valtag_assets.engine.erasure.whose import PERSON_COLUMNS
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.quoting import quote

_MAGIC = b"SQLite format 3\0"
_WAIT_SECONDS = 60


def is_sqlite(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def names_persons(file: Path, marks: Marks) -> int:
    """How many cells of all tables hold a mark, or are a person's id in a column of persons."""
    with _opened(file, marks) as connection:
        return sum(
            connection.execute(f"SELECT count(*) FROM {table} WHERE {test}({column})").fetchone()[0]
            for table, column, test in _cells(connection)
        )


def mask(file: Path, marks: Marks) -> int:
    """Mask every mark in every text, then rewrite the file without what was there; how many cells there were."""
    with _opened(file, marks) as connection:
        masked = 0
        for table, column, _ in _cells(connection):
            statement = f"UPDATE {table} SET {column} = masked({column}) WHERE marked({column})"
            masked += connection.execute(statement).rowcount
        if masked:
            compact(connection)
        return masked


def compact(connection: sqlite3.Connection) -> None:
    """Leave nothing of what was deleted in the file or its journal."""
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _opened(file: Path, marks: Marks) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
        connection.create_function("marked", 1, lambda value: marks.stand_in(_text(value)), deterministic=True)
        connection.create_function(
            "theirs", 1, lambda value: str(value) in marks.persons or marks.stand_in(_text(value)), deterministic=True
        )
        connection.create_function("masked", 1, lambda value: _masked(value, marks), deterministic=True)
        yield connection


def _cells(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Every column of every table, quoted, with the function that tells whether a cell of it is a person's."""
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return [
        (quote(table), quote(column), "theirs" if column in PERSON_COLUMNS else "marked")
        for (table,) in tables
        for _, column, *_ in connection.execute(f"PRAGMA table_info({quote(table)})").fetchall()
    ]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _masked(value: object, marks: Marks) -> str | bytes:
    text = marks.without(_text(value))
    return text.encode() if isinstance(value, bytes) else text
