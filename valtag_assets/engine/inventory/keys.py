"""Which columns tell the rows of a table apart: one, two or three of them, or all but for exact copies."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import ibis
from ibis.expr.types import Table

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.inventory.counting import EXACT, Sample
from valtag_assets.engine.inventory.loading import Loaded
from valtag_assets.engine.inventory.profile import Column, Key
from valtag_assets.engine.inventory.words import EVENT_IDS, words

_NEARLY = 0.5  # of the rows: fewer different values are no key of single columns, copies or not
_ESTIMATED = 0.75  # where different values are estimated: some are counted in vain, so that no key is missed
_UNLIKE = 0.05  # of the rows: an event that is exported twice may be spelt otherwise the second time
_CANDIDATES = 7
_SEPARATOR = "\x1f"


def find_keys(
    engine: DuckDBEngine, loaded: Loaded, sample: Sample, columns: Sequence[Column]
) -> tuple[tuple[Key, ...], int | None]:
    """The smallest keys there are, and how many rows are exact copies of others; None: too many rows to say.

    Single columns first; pairs, then triples, of columns that may name something only where no single one is a key.
    """
    if loaded.rows < 2:
        return (), 0
    singles = [column for column in columns if _may_be_key(column, loaded.rows)]
    exact = _distinct(engine, loaded, [(column.name,) for column in singles])
    if found := [Key((column.code,)) for column, many in zip(singles, exact, strict=True) if many == loaded.rows]:
        return tuple(found), 0
    if loaded.rows > EXACT:
        return (), None
    whole = _distinct(engine, loaded, [tuple(name for name, _ in loaded.columns)])[0]
    copies = loaded.rows - whole
    nearly = [(column, whole - many) for column, many in zip(singles, exact, strict=True)]
    nearly = [(column, unlike) for column, unlike in nearly if unlike <= _unlike([(0, column)]) * whole]
    if found := [Key((column.code,), copies, unlike) for column, unlike in nearly]:
        return tuple(found), copies
    return _combined(engine, loaded, sample, columns, whole), copies


def _may_be_key(column: Column, rows: int) -> bool:
    counted = column.counted
    naming = column.type.kind in ("text", "integer") and column.guess.field.access != "pii"
    least = _NEARLY if counted.exact else _ESTIMATED
    return naming and column.measured.missing == 0 and counted.distinct >= least * rows


def _unlike(group: Sequence[tuple[int, Column]]) -> float:
    return _UNLIKE if any(_of_event(column) for _, column in group) else 0.0


def _numbers_lines(group: Sequence[tuple[int, Column]]) -> bool:
    return any("line" in words(column.name) for _, column in group)


def _of_event(column: Column) -> bool:
    return column.guess.identifier and bool(words(column.name) & EVENT_IDS)


def _combined(
    engine: DuckDBEngine, loaded: Loaded, sample: Sample, columns: Sequence[Column], whole: int
) -> tuple[Key, ...]:
    able = [
        (i, column)
        for i, column in enumerate(columns)
        if column.type.kind not in ("float", "decimal", "boolean")
        and not column.left_out
        and column.counted.distinct > 1
        and column.counted.longest < 200
    ]
    able = sorted(able, key=lambda item: (not item[1].guess.identifier, -item[1].counted.distinct))[:_CANDIDATES]
    for size in (2, 3):
        groups = [tuple(sorted(group, key=lambda item: item[0])) for group in combinations(able, size)]
        if not groups:
            return ()
        table = sample.table
        rows = _joined(table, range(sample.width)).nunique()
        counts = {f"g{n}": _joined(table, [i for i, _ in group]).nunique() for n, group in enumerate(groups)}
        found = engine.fetch(table.aggregate(rows=rows, **counts), sample.inputs).to_pylist()[0]
        able_ = [n for n, group in enumerate(groups) if found[f"g{n}"] >= (1 - _unlike(group)) * found["rows"]]
        ranked = sorted(able_, key=lambda n: (found[f"g{n}"] < found["rows"], not _numbers_lines(groups[n]), n))
        likely = [groups[n] for n in ranked[:3]]
        every = _distinct(engine, loaded, [tuple(column.name for _, column in group) for group in likely])
        keys = [
            Key(tuple(column.code for _, column in group), loaded.rows - whole, whole - many)
            for group, many in zip(likely, every, strict=True)
            if whole - many <= _unlike(group) * whole
        ]
        if keys:
            return tuple(keys)
    return ()


def _joined(table: Table, at: Sequence[int] | range) -> Any:
    """The texts of some columns of a row as one; a missing one is like no text."""
    pieces = [table[f"t{i}"].fill_null("\x1e") for i in at]
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = joined + ibis.literal(_SEPARATOR) + piece
    return joined


def _distinct(engine: DuckDBEngine, loaded: Loaded, groups: Sequence[tuple[str, ...]]) -> list[int]:
    """How many different rows each group of columns has, exactly; rows without a value count, too."""
    found = []
    for names in groups:
        rows = loaded.table.select(*names).distinct()
        found.append(int(engine.fetch(rows.aggregate(n=rows.count()), loaded.inputs)["n"][0].as_py()))
    return found
