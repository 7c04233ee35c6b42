"""The profile of a table: what each column looks like, kept with the snapshot.

It feeds coverage, plots, and the checks against the previous snapshot. Everything is computed by the engine
over sets of columns; only small aggregates reach Python, and nothing in them depends on the order of rows.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import ibis
import pyarrow as pa

from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.quality.outcome import plain
from valtag_assets.quality.queries import bin_counts
from valtag_assets.spec.masking import tells_somebody
from valtag_assets.spec.types import DataType

TABLE = "profiled"
TOP = 20
TENTHS = 10
# Text with more values than this is free text or a key: its values say nothing and may say too much.
MOST_VALUES = 1000
# A text that fewer rows have is no part of a distribution, and may be somebody's.
FEWEST_ROWS = 5
# Whole numbers from here on are numbers of persons and things, or instants: the extremes may be somebody's.
_NUMBERED = 10**9
# Exact deciles keep a column in memory while they are worked out, so only a few columns go at once.
_AT_ONCE = 4


class Engine(Protocol):
    """The part of an engine a profile needs."""

    def fetch(self, expression: ibis.Table, inputs: Mapping[str, Sequence[Path]]) -> pa.Table: ...


def profile(
    engine: Engine,
    files: Sequence[Path],
    columns: Mapping[str, DataType],
    private: Collection[str] = (),
) -> dict[str, Any]:
    """``{"rows": n, "columns": {name: …}}`` of the Parquet ``files``, as JSON.

    Of each column: ``type``, ``nulls``, ``coverage`` (share of non-null, 0 for no rows) and ``distinct`` (exact up
    to 1000, else about, by HyperLogLog; of a list its items, not counted beyond 1000). Unless it is in
    ``private``, where keys belong, also ``min``, ``max`` and ``mean``, and a ``histogram``: of numbers {edges,
    counts} over deciles, bins as in ``queries.bin_counts``; of text, booleans and list items, if they have at
    most 1000 values, {values, counts} of the 20 most frequent, the last count being that of all others. A text that
    fewer than five rows have, or that looks like somebody's number or address, is among the others. Whole numbers of
    ten digits have neither extremes nor a histogram.
    """
    table = ibis.table({name: to_ibis_type(kind) for name, kind in columns.items()}, name=TABLE)
    look = _Look(engine, {TABLE: files}, table)
    shown = {name: kind for name, kind in columns.items() if name not in private}
    rows, found = _summary(look, columns, shown)
    filled = {name: kind for name, kind in shown.items() if found[name]["coverage"] > 0}
    many = []
    for name, kind in filled.items():
        if kind.kind == "integer" and "max" not in found[name]:
            continue
        counted = _value_counts(look, name, kind) if _may_be_few(found[name], kind) else None
        if counted is not None:
            found[name] |= _of_values(counted, kind)
        elif kind.numeric:
            many.append(name)
    for name, histogram in _deciles(look, many):
        found[name]["histogram"] = histogram
    return {"rows": rows, "columns": found}


class _Look:
    """One table under an engine's eye."""

    def __init__(self, engine: Engine, inputs: Mapping[str, Sequence[Path]], table: ibis.Table) -> None:
        self.engine, self.inputs, self.table = engine, inputs, table

    def rows(self, expression: ibis.Table) -> list[dict[str, Any]]:
        return self.engine.fetch(expression, self.inputs).to_pylist()

    def numbers(self, aggregates: Mapping[str, Any]) -> dict[str, Any]:
        return self.rows(self.table.aggregate(**aggregates))[0] if aggregates else {}


def _summary(
    look: _Look, columns: Mapping[str, DataType], shown: Mapping[str, DataType]
) -> tuple[int, dict[str, dict[str, Any]]]:
    """One pass over all columns."""
    aggregates: dict[str, Any] = {"rows": look.table.count()}
    for place, (name, kind) in enumerate(columns.items()):
        value: Any = look.table[name]
        aggregates[f"{place}_filled"] = value.count()
        if kind.kind != "list":
            aggregates[f"{place}_distinct"] = value.approx_nunique()
        if name in shown and (kind.numeric or kind.temporal):
            aggregates |= {f"{place}_min": value.min(), f"{place}_max": value.max()}
        if name in shown and kind.numeric:
            aggregates[f"{place}_mean"] = value.cast("float64").mean()
    row = look.numbers(aggregates)
    rows, found = int(row["rows"]), {}
    for place, (name, kind) in enumerate(columns.items()):
        filled = int(row[f"{place}_filled"])
        found[name] = {
            "type": str(kind),
            "nulls": rows - filled,
            "coverage": filled / rows if rows else 0.0,
        }
        for part, read in (("distinct", int), ("min", plain), ("max", plain), ("mean", rounded)):
            if f"{place}_{part}" in row:
                found[name][part] = read(row[f"{place}_{part}"])
        if numbers_somebody(kind, found[name]):
            del found[name]["min"], found[name]["max"]
    return rows, found


def numbers_somebody(kind: DataType, column: Mapping[str, Any]) -> bool:
    """Whether a column, given with its extremes, holds numbers as long as those of telephones."""
    ends = [column.get(end) for end in ("min", "max")]
    return kind.kind == "integer" and any(end is not None and abs(end) >= _NUMBERED for end in ends)


def _may_be_few(column: Mapping[str, Any], kind: DataType) -> bool:
    """The estimate is a few percent off, so the limit is met again when the values are counted."""
    return not kind.temporal and column.get("distinct", 0) <= MOST_VALUES


def _value_counts(look: _Look, name: str, kind: DataType) -> list[tuple[Any, int]] | None:
    """(value, count), the most frequent first; None if there are too many values."""
    value: Any = look.table[name]
    items = look.table.select(value=value.unnest() if kind.kind == "list" else value)
    counted = items.filter(items["value"].notnull()).group_by("value").aggregate(n=lambda t: t.count())
    rows = look.rows(counted.order_by([ibis.desc("n"), "value"]).limit(MOST_VALUES + 1))
    return [(row["value"], int(row["n"])) for row in rows] if len(rows) <= MOST_VALUES else None


def _of_values(counted: Sequence[tuple[Any, int]], kind: DataType) -> dict[str, Any]:
    """The exact number of distinct values and their histogram, from all their counts."""
    found: dict[str, Any] = {"distinct": len(counted)}
    if kind.numeric:
        numbers = sorted((float(value), n) for value, n in counted if math.isfinite(value))
        edges = _edges(_ranked(numbers))
        counts = [0] * (len(edges) + 1)
        for value, n in counted:
            # Not "edge < value": NaN belongs into the last bin, as in SQL.
            counts[sum(not float(value) <= edge for edge in edges)] += n
        return {**found, "histogram": {"edges": edges, "counts": counts}} if edges else found
    top = [(value, n) for value, n in counted if not _of_few(value, n)][:TOP]
    if not top:
        return found
    counts = [*(n for _, n in top), sum(n for _, n in counted) - sum(n for _, n in top)]
    return {**found, "histogram": {"values": [plain(value) for value, _ in top], "counts": counts}}


def _of_few(value: Any, rows: int) -> bool:
    return isinstance(value, str) and (rows < FEWEST_ROWS or tells_somebody(value))


def _ranked(numbers: Sequence[tuple[float, int]]) -> Iterator[float]:
    """For each tenth, the smallest value that so large a share of all does not exceed."""
    whole, reached, step = sum(n for _, n in numbers), 0, 0
    for value, n in numbers:
        reached += n
        while step < TENTHS and reached * TENTHS >= whole * step:
            yield value
            step += 1


def _deciles(look: _Look, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Histograms of columns with many values: edges first, then all bins in one pass."""
    edges: dict[str, list[float]] = {}
    for start in range(0, len(names), _AT_ONCE):
        few = names[start : start + _AT_ONCE]
        tenths = [step / TENTHS for step in range(TENTHS)]
        row = look.numbers({str(n): look.table[name].quantile(tenths) for n, name in enumerate(few)})
        edges |= {name: _edges(row[str(n)]) for n, name in enumerate(few)}
    binned = {name: {"edges": found} for name, found in edges.items() if found}
    counted = {
        f"{n}_{place}": count
        for n, (name, bins) in enumerate(binned.items())
        for place, count in enumerate(bin_counts(look.table[name], bins))
    }
    row = look.numbers(counted)
    for n, (name, bins) in enumerate(binned.items()):
        yield name, {**bins, "counts": [int(row[f"{n}_{place}"]) for place in range(len(bins["edges"]) + 1)]}


def _edges(values: Iterable[Any]) -> list[float]:
    """Ascending edges from the minimum to the ninth decile; a constant gets one on each side.

    Ten digits are enough for an edge, and hide the last digit in which engines differ.
    """
    finite = sorted({float(f"{float(value):.10g}") for value in values if math.isfinite(value)})
    return [math.nextafter(finite[0], -math.inf), *finite] if len(finite) == 1 else finite


def rounded(mean: float | None) -> float | None:
    """Twelve digits: threads add floats in any order, and the last digits follow it."""
    return float(f"{mean:.12g}") if mean is not None and math.isfinite(mean) else None
