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
    with duckdb.connect() as connection:
        for name, snapshot in (("one", one), ("other", other)):
            parquet(connection, snapshot.files).create_view(name)
        names = [name for name, _ in one.columns]
        found = _counts(connection, names)
        wrong = [name for name in names if found[name]]
        sample = [item for name in wrong for item in _first(connection, name)][:SAMPLE]
    return Comparison(rows, cells, sum(found.values()), sample=sample)


def _counts(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, int]:
    """How many cells differ, by column."""
    sums = [f"count(*) FILTER ({_mine(name)} IS DISTINCT FROM {_theirs(name)})" for name in names]
    row = connection.execute(f"SELECT {', '.join(sums)} FROM {_paired(names)}").fetchone()
    return dict(zip(names, row or (), strict=True))


def _first(connection: duckdb.DuckDBPyConnection, name: str) -> list[Difference]:
    one, other = _mine(name), _theirs(name)
    numbered = f"(SELECT row_number() OVER () AS n, * FROM {_paired([name])})"
    rows: list[tuple[Any, ...]] = connection.execute(
        f"SELECT n, {one}::VARCHAR, {other}::VARCHAR FROM {numbered}"
        f" WHERE {one} IS DISTINCT FROM {other} ORDER BY n LIMIT {SAMPLE}"
    ).fetchall()
    return [Difference(number, name, mine, theirs) for number, mine, theirs in rows]


def _paired(names: Sequence[str]) -> str:
    """The rows of both side by side."""
    ones = ", ".join(f"{quote(name)} AS {_mine(name)}" for name in names)
    others = ", ".join(f"{quote(name)} AS {_theirs(name)}" for name in names)
    return f"(SELECT * FROM (SELECT {ones} FROM one) POSITIONAL JOIN (SELECT {others} FROM other))"


def _mine(name: str) -> str:
    return quote(f"one {name}")


def _theirs(name: str) -> str:
    return quote(f"other {name}")
