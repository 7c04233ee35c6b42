"""Which column of a table finds its values in the key of another: joins, with the share that is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis

from valtag_assets.engine.cleaning import text
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.inventory import forms
from valtag_assets.engine.inventory.counting import VALUES, Sample
from valtag_assets.engine.inventory.loading import Loaded
from valtag_assets.engine.inventory.profile import Column, Join, Table
from valtag_assets.engine.inventory.words import MEASURE, words
from valtag_assets.engine.session import unbound

_GENERIC = frozenset(["id", "no", "code", "key", "number", "card", "name", "value"])
_LEAST = 0.5  # of the different values, where the names say that the columns belong together
_BY_VALUE = 0.9  # where only the values say so
_FEW = 5  # different values: fewer are found anywhere
_SCHEMA = {"column": "string", "value": "string", "n": "int64"}


@dataclass(frozen=True)
class Rows:
    """The rows of one table, as they were loaded and sampled; ``values`` are the melted values of the sample."""

    loaded: Loaded
    sample: Sample
    values: Path


def find_joins(engine: DuckDBEngine, tables: Sequence[Table], rows: Mapping[str, Rows]) -> list[Join]:
    """Every join from a column of one table to the key of another, the best master of each column only."""
    found: list[Join] = []
    for table in tables:
        for at, column in enumerate(table.columns):
            if column.left_out or column.type.kind not in ("text", "integer") or column.counted.values < 2:
                continue
            of_column = [
                join for master in tables if master is not table for join in _joins(engine, table, at, master, rows)
            ]
            if of_column:
                found.append(max(of_column, key=lambda join: (join.share, join.values)))
    return found


def _joins(engine: DuckDBEngine, table: Table, at: int, master: Table, rows: Mapping[str, Rows]) -> list[Join]:
    if len(master.role.merged) != 1:
        return []
    code = master.role.merged[0]
    to = next(i for i, column in enumerate(master.columns) if column.code == code)
    column, key = table.columns[at], master.columns[to]
    named = _named_alike(column, key, master)
    coincidental = _numeric(column) or _numeric(key) or column.counted.values < _FEW
    if not named and (coincidental or master.role.kind == "fact"):
        return []
    if key.counted.present and column.type.kind != "text" and not named:
        return []
    share, used, values = _containment(engine, (rows[table.code], at, column), (rows[master.code], to, key))
    if max(share, used if named else 0.0) < (_LEAST if named else _BY_VALUE):
        return []
    return [Join(table.code, column.code, master.code, key.code, share, values)]


def _named_alike(column: Column, key: Column, master: Table) -> bool:
    mine, other = words(column.name), words(key.name)
    if mine & MEASURE:
        return False
    if mine == other or column.code == key.code:
        return True
    telling = other - _GENERIC or {word.removesuffix("s") for word in words(master.code)}
    return bool(mine & telling) and bool((mine | other) & _GENERIC)


def _numeric(column: Column) -> bool:
    return column.counted.share("whole") > 0.5


def _containment(
    engine: DuckDBEngine, one: tuple[Rows, int, Column], other: tuple[Rows, int, Column]
) -> tuple[float, float, int]:
    """The share of the different values of one column that another has, that of the other's that the one has, and how
    many values the one has."""
    mine, at, column = one
    left = unbound("left_values", _SCHEMA)
    wanted = left.filter(
        left["column"] == f"t{at}", left["value"].notnull(), ~left["value"].isin(list(forms.MISSING))
    )
    wanted = wanted.select(value=text.rewritten(wanted["value"], column.guess.field)).distinct()
    right, file = _every_value(engine, other)
    matched = wanted.left_join(right, wanted["value"] == right["key"])
    counted = matched.aggregate(n=matched.count(), found=matched["key"].notnull().sum())
    counted = counted.cross_join(right.aggregate(keys=right.count()))
    row = engine.fetch(counted, {"left_values": [mine.values], VALUES: [file]}).to_pylist()[0]
    both = int(row["found"] or 0)
    return both / max(1, row["n"]), both / max(1, row["keys"]), row["n"]


def _every_value(engine: DuckDBEngine, other: tuple[Rows, int, Column]) -> tuple[ibis.Table, Path]:
    """All different values of a key, cleaned, as an unbound table with the file that holds them."""
    rows, at, column = other
    file = rows.values
    if rows.sample.rows is not None:
        file = rows.values.with_name(f"key-{at}.parquet")
        if not file.exists():
            table = rows.loaded.table
            every = table.select(value=text.as_text(table[column.name])).distinct()
            shaped = every.select(column=ibis.literal(f"t{at}"), value=every["value"], n=ibis.literal(1))
            engine.write(shaped, rows.loaded.inputs, file)
    table = unbound(VALUES, _SCHEMA)
    mine = table.filter(table["column"] == f"t{at}", table["value"].notnull())
    return mine.select(key=text.rewritten(mine["value"], column.guess.field)).distinct(), file
