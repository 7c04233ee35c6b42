"""The profile of a table kept in parts, from figures of each part: a part that stays is not read again.

The figures add up, so that the profile of the whole is exact; what does not (distinct values, deciles) is left
out. A column with a stability check is counted into the bins it was first cut into, so that its distribution
can be compared from one snapshot to the next.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis

from valtag_assets.expression.convert import convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.quality.outcome import plain
from valtag_assets.quality.profile import Engine, numbers_somebody, rounded
from valtag_assets.quality.queries import bin_counts
from valtag_assets.spec.types import DataType, decimal

Figures = Mapping[str, Any]
Bins = Mapping[str, Mapping[str, Any]]


def part_figures(
    engine: Engine,
    parts: Mapping[str, Path],
    columns: Mapping[str, DataType],
    private: Collection[str],
    bins: Bins,
) -> dict[str, Figures]:
    """``{part: {"rows": n, "columns": {name: {filled, min, max, sum, bins}}}}`` as JSON, in one query.

    ``min``, ``max`` and ``sum`` (the text of a decimal; of floats a number) are there where the type has them,
    the column is not ``private`` and has a value (whole numbers of ten digits have no extremes); ``bins`` where
    ``bins`` has a histogram of the column.
    """
    if not parts:
        return {}
    types = {name: to_ibis_type(kind) for name, kind in columns.items()}
    inputs: dict[str, Sequence[Path]] = {f"part_{number}": [file] for number, file in enumerate(parts.values())}
    tables = [
        ibis.table(types, name=table).mutate(_part=ibis.literal(part))
        for table, part in zip(inputs, parts, strict=True)
    ]
    rows = ibis.union(*tables) if len(tables) > 1 else tables[0]
    aggregates = {"rows": rows.count()}
    for place, (name, kind) in enumerate(columns.items()):
        for figure, value in _figures(rows[name], kind, name not in private, bins.get(name)).items():
            aggregates[f"{place}_{figure}"] = value
    found = engine.fetch(rows.group_by("_part").aggregate(**aggregates), inputs).to_pylist()
    by_part = {row["_part"]: _read(row, columns, bins) for row in found}
    # A part without rows is in no group.
    return {part: by_part.get(part, {"rows": 0, "columns": {}}) for part in parts}


def whole_profile(parts: Iterable[Figures], columns: Mapping[str, DataType], bins: Bins) -> dict[str, Any]:
    """The profile of all ``parts`` together, as ``profile`` gives it: without ``distinct``, and with the
    histograms of the columns in ``bins`` only."""
    parts = list(parts)
    rows = sum(part["rows"] for part in parts)
    found: dict[str, dict[str, Any]] = {}
    for name, kind in columns.items():
        seen = [part["columns"][name] for part in parts if name in part["columns"]]
        filled = sum(item["filled"] for item in seen)
        found[name] = {"type": str(kind), "nulls": rows - filled, "coverage": filled / rows if rows else 0.0}
        for end, of in (("min", min), ("max", max)):
            values = [item[end] for item in seen if end in item]
            if values and len(values) == sum(item["filled"] > 0 for item in seen):
                found[name][end] = of(values, key=_place if kind.numeric else None)
        if sums := [item["sum"] for item in seen if "sum" in item]:
            found[name]["mean"] = rounded(_total(sums, kind) / filled)
        if name in bins:
            empty = [0] * len(bins[name]["counts"])
            counts = [sum(bin) for bin in zip(empty, *(item["bins"] for item in seen), strict=True)]
            found[name]["histogram"] = {**bins[name], "counts": counts}
    return {"rows": rows, "columns": found}


def _figures(column: Any, kind: DataType, shown: bool, histogram: Mapping[str, Any] | None) -> dict[str, Any]:
    """The aggregates of one column."""
    found = {"filled": column.count()}
    if shown and (kind.numeric or kind.temporal):
        found |= {"min": column.min(), "max": column.max()}
    if shown and kind.numeric:
        exact = column if kind.kind == "float" else convert(column, kind, decimal(38, kind.scale or 0))
        found["sum"] = exact.sum()
    if histogram is not None:
        found |= {f"bin_{place}": count for place, count in enumerate(bin_counts(column, histogram))}
    return found


def _read(row: Mapping[str, Any], columns: Mapping[str, DataType], bins: Bins) -> Figures:
    found: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(columns):
        column: dict[str, Any] = {"filled": int(row[f"{place}_filled"])}
        for end in ("min", "max"):
            if row.get(f"{place}_{end}") is not None:
                column[end] = plain(row[f"{place}_{end}"])
        if numbers_somebody(columns[name], column):
            del column["min"], column["max"]
        total = row.get(f"{place}_sum")
        if total is not None:
            column["sum"] = str(total) if isinstance(total, Decimal) else plain(total)
        if name in bins:
            column["bins"] = [int(row[f"{place}_bin_{n}"]) for n in range(len(bins[name]["counts"]))]
        found[name] = column
    return {"rows": int(row["rows"]), "columns": found}


def _place(value: Any) -> tuple[bool, float]:
    """Where a stored number stands among others: as in SQL, NaN is above every number."""
    return math.isnan(float(value)), value if isinstance(value, int) else float(value)


def _total(sums: Sequence[Any], kind: DataType) -> float:
    return sum(map(float, sums)) if kind.kind == "float" else float(sum(map(Decimal, sums)))
