"""Two snapshots of one table, cell by cell: rows in their order, so a changed order is a difference too."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from valtag_assets.warehouse.quoting import quote
from valtag_assets.warehouse.reading import parquet
from valtag_assets.warehouse.snapshot import Snapshot

SAMPLE = 3


@dataclass(frozen=True)
class Difference:
    """One cell that differs: the row's number from 1, and what either snapshot holds there, as text."""

    row: int
    column: str
    one: str | None
    other: str | None


@dataclass(frozen=True)
class Comparison:
    """``rows`` of either snapshot, ``cells`` compared, and how many ``differ``; ``sample``: the first of them.

    ``unlike`` says why cells could not be compared at all: other columns or types, or another number of rows.
    """

    rows: tuple[int, int]
    cells: int
    differ: int = 0
    unlike: str | None = None
    sample: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.unlike is None and not self.differ


def compare(one: Snapshot, other: Snapshot) -> Comparison:
    """Every cell of ``one`` against the cell in the same place of ``other``. NaN equals NaN, 0.0 equals -0.0."""
    rows, cells = (one.rows, other.rows), one.rows * len(one.columns)
    if one.columns != other.columns:
        wrong = sorted({name for name, _ in set(one.columns) ^ set(other.columns)})
        return Comparison(rows, 0, unlike=f"columns differ: {', '.join(wrong) or 'their order'}")
    if one.rows != other.rows:
        return Comparison(rows, 0, unlike="another number of rows")
    names = [name for name, _ in one.columns]
    with duckdb.connect() as connection:
        for name, snapshot in (("one", one), ("other", other)):
            parquet(connection, snapshot.files).create_view(name)
        _pair(connection, names)
        found = _counts(connection, names)
        wrong = [name for name in names if found[name]]
        sample = [item for name in wrong for item in _first(connection, name)][:SAMPLE]
    return Comparison(rows, cells, sum(found.values()), sample=sample)


def _pair(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """The rows of both side by side, numbered from 1, as the view ``paired``."""
    ones = ", ".join(f"{quote(name)} AS {_mine(name)}" for name in names)
    others = ", ".join(f"{quote(name)} AS {_theirs(name)}" for name in names)
    both = f"(SELECT {ones} FROM one) POSITIONAL JOIN (SELECT {others} FROM other)"
    connection.execute(f"CREATE VIEW paired AS SELECT row_number() OVER () AS n, * FROM {both}")


def _counts(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, int]:
    """How many cells differ, by column."""
    sums = ", ".join(f"count(*) FILTER ({_mine(name)} IS DISTINCT FROM {_theirs(name)})" for name in names)
    row = connection.execute(f"SELECT {sums} FROM paired").fetchone()
    return dict(zip(names, row or (), strict=True))


def _first(connection: duckdb.DuckDBPyConnection, name: str) -> list[Difference]:
    one, other = _mine(name), _theirs(name)
    differ = f"SELECT n, {one}::VARCHAR, {other}::VARCHAR FROM paired WHERE {one} IS DISTINCT FROM {other}"
    rows: list[tuple[Any, ...]] = connection.sql(differ).order("n").limit(SAMPLE).fetchall()
    return [Difference(number, name, mine, theirs) for number, mine, theirs in rows]


def _mine(name: str) -> str:
    return quote(f"one {name}")


def _theirs(name: str) -> str:
    return quote(f"other {name}")
