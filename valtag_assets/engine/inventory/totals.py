"""A number of one table that is the total of another's lines: an order's amount, of its lines' amounts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import ibis

from valtag_assets.engine.cleaning import text
from valtag_assets.engine.cleaning.numbers import parse_number
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.inventory.joins import Rows
from valtag_assets.engine.inventory.profile import Column, Join, Table
from valtag_assets.engine.inventory.words import MONEY, words
from valtag_assets.engine.session import Inputs, unbound
from valtag_assets.spec.block import Title
from valtag_assets.spec.types import FLOAT

_FOUND = 0.5  # of the lines' keys
_HOLDS = 0.98  # of the rows that have lines
_LEAST = 20  # rows
_CENT = 0.0051
_MOST = 4  # numbers of each table that are looked at


def mark_totals(
    engine: DuckDBEngine, tables: Sequence[Table], joins: Sequence[Join], rows: Mapping[str, Rows]
) -> list[Table]:
    """The tables; a number that is the total of a joined table's lines is auxiliary, and says so."""
    found = {table.code: table for table in tables}
    for join in joins:
        lines, whole = found[join.table], found[join.master]
        mine, other = _amounts(lines), _amounts(whole)
        if join.share < _FOUND or not mine or not other:
            continue
        for total, line in _equal(engine, (lines, mine, join.column), (whole, other, join.key), rows):
            found[whole.code] = _marked(found[whole.code], total, f"{lines.code}.{line.code}")
    return list(found.values())


def _amounts(table: Table) -> list[Column]:
    able = [c for c in table.columns if c.type.numeric and words(c.name) & (MONEY | {"quantity", "qty", "total"})]
    return [column for column in able if not column.left_out and not column.guess.field.unit][:_MOST]


def _equal(
    engine: DuckDBEngine,
    lines: tuple[Table, list[Column], str],
    whole: tuple[Table, list[Column], str],
    rows: Mapping[str, Rows],
) -> list[tuple[Column, Column]]:
    """(total, line) for each number of the whole that the lines' one adds up to."""
    inputs: Inputs = {"lines": rows[lines[0].code].loaded.files, "whole": rows[whole[0].code].loaded.files}
    one = _read("lines", rows, lines)
    sums = one.group_by("key").aggregate(**{f"s{j}": one[f"n{j}"].sum() for j in range(len(lines[1]))})
    other = _read("whole", rows, whole)
    both = other.inner_join(sums, other["key"] == sums["key"])
    counts = {"rows": both.count()}
    for i in range(len(whole[1])):
        for j in range(len(lines[1])):
            counts[f"e{i}_{j}"] = ((both[f"n{i}"] - both[f"s{j}"]).abs() <= _CENT).sum()
    found = engine.fetch(both.aggregate(**counts), inputs).to_pylist()[0]
    if found["rows"] < _LEAST:
        return []
    return [
        (total, line)
        for i, total in enumerate(whole[1])
        for j, line in enumerate(lines[1])
        if (found[f"e{i}_{j}"] or 0) >= _HOLDS * found["rows"]
    ]


def _read(name: str, rows: Mapping[str, Rows], part: tuple[Table, list[Column], str]) -> ibis.Table:
    """The key and the numbers n0, n1, … of one table, as cleaning reads them."""
    table, columns, key = part
    field = table.column(key).guess.field
    raw = unbound(name, rows[table.code].loaded.table.schema())
    keyed = text.rewritten(text.normalise(text.as_text(raw[field.source_name]), field), field)
    numbers = {
        f"n{i}": parse_number(text.normalise(text.as_text(raw[column.name]), column.guess.field), FLOAT)
        for i, column in enumerate(columns)
    }
    return raw.select(key=keyed, **numbers)


def _marked(table: Table, total: Column, line: str) -> Table:
    reason = Title(zh=f"是 {line} 的合计", en=f"is the total of {line}")
    field = total.guess.field.model_copy(update={"layer": "auxiliary"})
    made = replace(total, guess=replace(total.guess, field=field), reason=reason)
    return replace(table, columns=tuple(made if column.code == total.code else column for column in table.columns))
