"""The profile of a table: what each column looks like, kept with the snapshot.

It feeds coverage, plots, and the checks against the previous snapshot. Everything is computed by the engine
over sets of columns; only small aggregates reach Python, and nothing in them depends on the order of rows.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import ibis
import pyarrow as pa

from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.quality.outcome import plain
from valtag_assets.quality.queries import bin_counts
from valtag_assets.spec.types import DataType, Kind

TABLE = "profiled"
TOP = 20
# Text with more distinct values than this is free text or a key: its values say nothing and may say too much.
MOST_VALUES = 1000
# Exact deciles keep a column in memory while they are worked out, so only a few columns go at once.
_AT_ONCE = 4
_DECILES = [step / 10 for step in range(10)]


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

    Of each column: ``type``, ``nulls``, ``coverage`` (share of non-null, 0 for no rows), ``distinct`` (about,
    by HyperLogLog; of a list, its items). Unless it is in ``private``, also ``min``, ``max``, ``mean`` and a
    ``histogram`` {edges, counts} over deciles (bins as in ``queries.bin_counts``); for text, booleans and the
    items of lists with at most 1000 values a ``histogram`` {values, counts} of the 20 most frequent, the last
    count being that of all others. Keys belong in ``private``.
    """
    table = ibis.table({name: to_ibis_type(kind) for name, kind in columns.items()}, name=TABLE)
    look = _Look(engine, {TABLE: files}, table)
    shown = {name: kind for name, kind in columns.items() if name not in private}
    rows, found = _summary(look, columns, shown)
    filled = {name: kind for name, kind in shown.items() if found[name]["coverage"] > 0}
    for name, histogram in _numeric_histograms(look, [n for n, kind in filled.items() if kind.numeric]):
        found[name]["histogram"] = histogram
    for name, kind in filled.items():
        if kind.kind == "list":
            found[name]["distinct"] = _distinct_items(look, name)
        if kind.kind in ("text", "boolean", "list") and found[name]["distinct"] <= MOST_VALUES:
            found[name]["histogram"] = _top_values(look, name, kind.kind)
    return {"rows": rows, "columns": found}


class _Look:
    """One table under an engine's eye."""

    def __init__(self, engine: Engine, inputs: Mapping[str, Sequence[Path]], table: ibis.Table) -> None:
        self.engine, self.inputs, self.table = engine, inputs, table

    def rows(self, expression: ibis.Table) -> list[dict[str, Any]]:
        return self.engine.fetch(expression, self.inputs).to_pylist()

    def numbers(self, names: Sequence[str], aggregates: Mapping[str, Any]) -> dict[str, Any]:
        return self.rows(self.table.aggregate(**aggregates))[0] if names else {}


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
    row = look.rows(look.table.aggregate(**aggregates))[0]
    rows, found = int(row["rows"]), {}
    for place, (name, kind) in enumerate(columns.items()):
        filled = int(row[f"{place}_filled"])
        found[name] = {
            "type": str(kind),
            "nulls": rows - filled,
            "coverage": filled / rows if rows else 0.0,
        }
        for part, read in (("distinct", int), ("min", plain), ("max", plain), ("mean", _rounded)):
            if f"{place}_{part}" in row:
                found[name][part] = read(row[f"{place}_{part}"])
    return rows, found


def _numeric_histograms(look: _Look, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    edges: dict[str, list[float]] = {}
    for start in range(0, len(names), _AT_ONCE):
        few = names[start : start + _AT_ONCE]
        deciles = {str(n): look.table[name].cast("float64").quantile(_DECILES) for n, name in enumerate(few)}
        row = look.numbers(few, deciles)
        edges |= {name: _edges(row[str(n)]) for n, name in enumerate(few)}
    binned = {name: {"edges": found} for name, found in edges.items() if found}
    counted = {
        f"{n}_{place}": count
        for n, (name, bins) in enumerate(binned.items())
        for place, count in enumerate(bin_counts(look.table[name], bins))
    }
    row = look.numbers(list(binned), counted)
    for n, (name, bins) in enumerate(binned.items()):
        yield name, {**bins, "counts": [int(row[f"{n}_{place}"]) for place in range(len(bins["edges"]) + 1)]}


def _edges(deciles: Sequence[float]) -> list[float]:
    """Ascending edges from the minimum to the ninth decile; a constant gets one on each side.

    Ten digits are enough for an edge, and hide the last digit in which engines differ.
    """
    finite = sorted({float(f"{edge:.10g}") for edge in deciles if edge is not None and math.isfinite(edge)})
    return [math.nextafter(finite[0], -math.inf), *finite] if len(finite) == 1 else finite


def _distinct_items(look: _Look, name: str) -> int:
    items = _items(look, name, "list")
    return int(look.rows(items.aggregate(distinct=items["value"].approx_nunique()))[0]["distinct"])


def _items(look: _Look, name: str, kind: Kind) -> ibis.Table:
    value: Any = look.table[name]
    return look.table.select(value=value.unnest() if kind == "list" else value)


def _top_values(look: _Look, name: str, kind: Kind) -> dict[str, Any]:
    items = _items(look, name, kind)
    counted = items.filter(items["value"].notnull()).group_by("value").aggregate(n=lambda t: t.count())
    ranked = counted.mutate(everything=counted["n"].sum().over(ibis.window()))
    top = look.rows(ranked.order_by([ibis.desc("n"), "value"]).limit(TOP))
    counts = [int(row["n"]) for row in top]
    others = int(top[0]["everything"]) - sum(counts) if top else 0
    return {"values": [plain(row["value"]) for row in top], "counts": [*counts, others]}


def _rounded(mean: float | None) -> float | None:
    """Twelve digits: threads add floats in any order, and the last digits follow it."""
    return float(f"{mean:.12g}") if mean is not None and math.isfinite(mean) else None
