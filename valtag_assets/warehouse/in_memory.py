"""In-memory DuckDB that stays open: a database costs 10 ms of CPU, a connection to an open one next to nothing.

Each table of a run is read, computed, fingerprinted and shown by connections of its own: dozens of databases that
live for one query each, were they not shared.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import duckdb

from valtag_assets.warehouse.quoting import literal

_numbers = itertools.count()


class Database:
    """One in-memory database, opened when it is first asked for. Any thread may have connections to it."""

    def __init__(self, connect: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        self._connect = connect
        self._opened: dict[int, duckdb.DuckDBPyConnection] = {}
        self._lock = threading.Lock()

    @contextmanager
    def connection(self, file: Path | None = None, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with a catalog of its own: that of the DuckDB file ``file``, else one in memory that is empty
        and gone at the end. What was written into a file is in it at the end, and not in a log beside it."""
        name = f"session_{next(_numbers)}"
        place, how = ":memory:" if file is None else str(file), " (READ_ONLY)" if read_only else ""
        with self._cursor() as connection:
            connection.execute(f"ATTACH {literal(place)} AS {name}{how}")
            try:
                connection.execute(f"USE {name}")
                yield connection
            except BaseException:
                # What went wrong is what the caller has to hear.
                for last in ("ROLLBACK", *_leaving(name)):
                    with suppress(duckdb.Error):
                        connection.execute(last)
                raise
            for last in _leaving(name):
                connection.execute(last)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            # A child of this process has its memory, but not the threads that work in it.
            database = self._opened.get(os.getpid()) or self._anew()
            try:
                database.execute("SELECT 1")
            except duckdb.Error:
                # An error inside DuckDB closes a database for good.
                database = self._anew()
            return database.cursor()

    def _anew(self) -> duckdb.DuckDBPyConnection:
        database = self._opened[os.getpid()] = self._connect()
        # It keeps what it read of files, and knows a file that was written anew by its second alone.
        database.execute("SET enable_external_file_cache = false")
        return database


def _leaving(name: str) -> tuple[str, str]:
    return "USE memory", f"DETACH {name}"


@cache
def small() -> Database:
    """The process's database for questions about single files and patterns."""
    return Database(duckdb.connect)
