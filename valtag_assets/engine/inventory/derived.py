"""Columns that say nothing new: copies of another, names of a code, products and sums of others. The sample tells."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import ibis
import numpy as np

from valtag_assets.engine.cleaning.numbers import parse_number
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.inventory.counting import Sample
from valtag_assets.engine.inventory.profile import Column
from valtag_assets.engine.inventory.suspicion import is_person_key
from valtag_assets.spec.block import Title
from valtag_assets.spec.types import FLOAT

_ROWS = 20_000
_COLUMNS = 12  # numbers looked at: with twelve there are 660 ways to make one of two others
_HOLDS = 0.98  # of the rows
_LEAST = 20  # rows: fewer agree by chance
_CENT = 0.0051


def mark_derived(engine: DuckDBEngine, sample: Sample, columns: Sequence[Column]) -> list[Column]:
    """The columns, those that say nothing new with the layer and reason that follow from it."""
    marked = _mark_pairs(engine, sample, list(columns))
    return _mark_sums(engine, sample, marked)


def _mark_pairs(engine: DuckDBEngine, sample: Sample, columns: list[Column]) -> list[Column]:
    open_ = [(i, column) for i, column in enumerate(columns) if not column.left_out and column.counted.values > 1]
    # Two columns can be one another's names or copies only if they have as many different values.
    pairs = [
        (a, b) for a, b in combinations(open_, 2) if a[1].counted.values == b[1].counted.values or _alike(a[1], b[1])
    ][:400]
    if not pairs:
        return columns
    table, counts = sample.table, {}
    for n, ((i, _), (j, _)) in enumerate(pairs):
        one, other = table[f"t{i}"], table[f"t{j}"]
        counts[f"same{n}"] = one.identical_to(other).sum()
        counts[f"both{n}"] = (one.fill_null("\x1e") + ibis.literal("\x1f") + other.fill_null("\x1e")).nunique()
        counts[f"one{n}"] = one.fill_null("\x1e").nunique()
        counts[f"other{n}"] = other.fill_null("\x1e").nunique()
    found = engine.fetch(table.aggregate(rows=table.count(), **counts), sample.inputs).to_pylist()[0]
    for n, ((i, first), (j, second)) in enumerate(pairs):
        if is_person_key(second.counted) and not is_person_key(first.counted):
            (i, first), (j, second) = (j, second), (i, first)
        if columns[i].left_out or columns[j].reason is not None:
            continue
        if found["rows"] >= _LEAST and found[f"same{n}"] == found["rows"]:
            columns[j] = _marked(second, "redundant", _of(first, "与 {} 完全相同", "is a copy of {}"), left_out=True)
        elif found[f"both{n}"] == found[f"one{n}"] == found[f"other{n}"] and _names(first, second, found["rows"]):
            columns[j] = _marked(second, "auxiliary", _of(first, "与 {} 一一对应", "goes one to one with {}"))
    return columns


def _alike(one: Column, other: Column) -> bool:
    return abs(one.counted.distinct - other.counted.distinct) <= 1 and one.counted.present == other.counted.present


def _names(one: Column, other: Column, rows: int) -> bool:
    """Whether two columns may be code and name: texts of many rows each."""
    texts = one.type.kind == "text" and other.type.kind == "text"
    return texts and 2 < one.counted.values <= rows / 2


def _marked(column: Column, layer: str, reason: Title, *, left_out: bool = False) -> Column:
    field = column.guess.field.model_copy(update={"layer": layer})
    return replace(column, guess=replace(column.guess, field=field), reason=reason, left_out=left_out)


def _of(column: Column, zh: str, en: str) -> Title:
    return Title(zh=zh.format(column.code), en=en.format(column.code))


def _mark_sums(engine: DuckDBEngine, sample: Sample, columns: list[Column]) -> list[Column]:
    able = [i for i, c in enumerate(columns) if c.type.numeric and not c.left_out and c.counted.values > 2][:_COLUMNS]
    if len(able) < 2:
        return columns
    table = sample.table.limit(_ROWS)
    read = table.select(**{f"n{i}": parse_number(table[f"t{i}"], FLOAT) for i in able})
    arrow = engine.fetch(read, sample.inputs)
    numbers = {i: arrow[f"n{i}"].to_numpy(zero_copy_only=False).astype(float) for i in able}
    for target in reversed(able):
        reason = _made_of(target, [i for i in able if i != target and columns[i].reason is None], numbers, columns)
        if reason is not None and columns[target].reason is None:
            columns[target] = _marked(columns[target], "auxiliary", reason)
    return columns


def _made_of(target: int, others: list[int], numbers: dict[int, np.ndarray], columns: list[Column]) -> Title | None:
    for i in others:
        if _equal(numbers[target], numbers[i] * 100):
            name = columns[i].code
            return Title(
                zh=f"是 {name} 的 100 倍：一个以元计，一个以分计", en=f"is 100 × {name}: one in 元, one in 分"
            )
    for i, j in combinations(others, 2):
        one, other, names = numbers[i], numbers[j], (columns[i].code, columns[j].code)
        for sign, made in (("×", one * other), ("+", one + other), ("−", one - other)):
            if _equal(numbers[target], made):
                formula = f"{names[0]} {sign} {names[1]}"
                return Title(zh=f"可由 {formula} 算出", en=f"follows from {formula}")
        if _equal(numbers[target] * 100, one * other) or _equal(numbers[target], one * other * 100):
            formula = f"{names[0]} × {names[1]}"
            return Title(
                zh=f"与 {formula} 相差 100 倍：元与分混用", en=f"is {formula} but for a factor of 100: 元 and 分"
            )
    return None


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns agree to the cent in nearly all rows, zeros apart, which always agree."""
    telling = np.isfinite(one) & np.isfinite(other) & ((one != 0) | (other != 0))
    if telling.sum() < _LEAST or np.ptp(one[telling]) == 0:
        return False
    return bool(np.mean(np.abs(one[telling] - other[telling]) <= _CENT) >= _HOLDS)
