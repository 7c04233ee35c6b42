"""The proof: every file looked through, as bytes and as what it says, for anything that tells the persons."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from valtag_assets.engine.erasure.duckdb_file import attached, is_duckdb, tables_of
from valtag_assets.engine.erasure.packed import Closed, unpacked
from valtag_assets.engine.erasure.sqlite import is_sqlite, names_persons
from valtag_assets.engine.erasure.whose import PERSON_COLUMNS
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.rewriting import Whose, conditions, rewriting
from valtag_assets.warehouse.snapshot import TableRef

Owners = Callable[[TableRef, Sequence[str]], Whose]


@dataclass(frozen=True)
class Hit:
    """A file that still tells a person, and how that was seen: its name, bytes, what is packed in it, its cells."""

    file: Path
    how: str


@dataclass(frozen=True)
class Scanned:
    """How many files and bytes were looked through, and what was found: nothing, if all is well. ``closed``: packed
    files that could not be looked into."""

    files: int
    bytes: int
    hits: tuple[Hit, ...]
    closed: tuple[Path, ...] = ()


def scan(folders: Sequence[Path], marks: Marks, owners: Owners, spared: Collection[Path] = ()) -> Scanned:
    """Look through every file under ``folders`` but the ``spared``."""
    files = size = 0
    hits: list[Hit] = []
    closed: list[Path] = []
    with rewriting(marks) as connection:
        for folder in folders:
            for file in files_in(folder, spared):
                files, size = files + 1, size + file.stat().st_size
                try:
                    how = next(_told(connection, file, folder, marks, owners), None)
                except Closed:
                    closed.append(file)
                    continue
                hits += [] if how is None else [Hit(file, how)]
    return Scanned(files, size, tuple(hits), tuple(closed))


def files_in(folder: Path, spared: Collection[Path] = ()) -> Iterator[Path]:
    """Every file under ``folder``, sorted, hidden ones too."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file not in spared:
            yield file


def _told(
    connection: duckdb.DuckDBPyConnection, file: Path, root: Path, marks: Marks, owners: Owners
) -> Iterator[str]:
    """How the file tells a person. Closed where that can't be seen."""
    if marks.stand_in(file.name):
        yield "its name"
    with file.open("rb") as stream:
        if marks.stand_in_bytes(stream):
            yield "bytes"
        stream.seek(0)
        if any(map(marks.stand_in_bytes, unpacked(stream))):
            yield "packed in it"
    if file.suffix == ".parquet":
        if parquet_tells(connection, file, table_of(file, root), owners):
            yield "cells"
    elif (is_sqlite(file) and names_persons(file, marks)) or (is_duckdb(file) and _duckdb_tells(connection, file)):
        yield "cells"


def table_of(file: Path, root: Path) -> TableRef | None:
    """The table of the warehouse that a file under its ``root`` belongs to, if it does to one."""
    parts = file.relative_to(root).parts
    if len(parts) > 3 and parts[2].startswith("as_of="):
        with suppress(ValueError):
            return TableRef(parts[0], parts[1])
    return None


def parquet_tells(connection: duckdb.DuckDBPyConnection, file: Path, table: TableRef | None, owners: Owners) -> bool:
    """Whether a row of the file is a person's, or a text of it names one."""
    rows = connection.read_parquet(str(file), hive_partitioning=False)
    types = dict(zip(rows.columns, map(str, rows.types), strict=True))
    whose = owners(table, list(types)) if table is not None else _anybodys(types)
    rows.create_view("scanning", replace=True)
    return _any(connection, "scanning", types, whose)


def refused_rows(files: Sequence[Path], marks: Marks) -> list[tuple[str, int]]:
    """File and row of the quarantined rows that name the persons."""
    with rewriting(marks) as connection:
        rows = connection.read_parquet([str(file) for file in files], hive_partitioning=False)
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
        rows.create_view("refused")
        _, named = conditions(types, Whose((), whole=True))
        return connection.execute(f"SELECT file, row FROM refused WHERE {named}").fetchall()


def naming_tokens(files: Sequence[Path], marks: Marks) -> set[str]:
    """The tokens of the texts in the vault that name the persons."""
    with rewriting(marks) as connection:
        rows = connection.read_parquet([str(file) for file in files], hive_partitioning=False)
        rows.create_view("vault")
        _, named = conditions({"value": "VARCHAR"}, Whose(()))
        found = connection.execute(f"SELECT DISTINCT token FROM vault WHERE {named}").fetchall()
    return {token for (token,) in found}


def _any(connection: duckdb.DuckDBPyConnection, table: str, types: dict[str, str], whose: Whose) -> bool:
    gone, named = conditions(types, whose)
    found = connection.execute(f"SELECT count(*) FROM {table} WHERE ({gone}) OR ({named})").fetchone()
    return found is not None and found[0] > 0


def _anybodys(types: Collection[str]) -> Whose:
    return Whose(tuple(name for name in PERSON_COLUMNS if name in types))


def _duckdb_tells(connection: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """DuckDB packs texts, so that their bytes don't show."""
    with attached(connection, file) as name:
        return any(
            _any(connection, table, types, _anybodys(types)) for table, types in tables_of(connection, name).items()
        )
