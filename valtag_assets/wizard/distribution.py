"""How the values of a column spread, as a few bars."""

import math
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from valtag_assets.engine.likeness import as_numbers
from valtag_assets.spec.types import DataType

_BARS = 8
# A value fewer persons have is not shown by itself: it might tell who they are.
_FEW = 5


@dataclass(frozen=True)
class Bar:
    """One bar of a distribution: what it stands for, and its share of the persons with a value."""

    label: str
    share: float


def coverage_of(values: pa.ChunkedArray) -> float:
    """The share of persons with a value."""
    return (len(values) - values.null_count) / len(values) if len(values) else 0.0


def distinct_of(values: pa.ChunkedArray) -> int:
    """How many different values there are; of lists, different items."""
    if pa.types.is_list(values.type):
        return int(pc.count_distinct(pc.list_flatten(values)).as_py())
    return int(pc.count_distinct(values, mode="only_valid").as_py())


def bars(values: pa.ChunkedArray, kind: DataType) -> list[Bar]:
    """How the values spread: the most frequent ones, or steps of a round number; the last takes the top 5 %."""
    if kind.kind == "list":
        values, kind = pc.list_flatten(values), replace(kind, kind=kind.item or "text", item=None)
    known = values.drop_null()
    if not len(known):
        return []
    if kind.kind in ("text", "boolean") or (kind.kind == "integer" and distinct_of(known) <= _BARS):
        return _of_values(known, ordered=kind.kind == "integer")
    if kind.temporal:
        return _of_values(pc.year(known), ordered=True)
    return _of_numbers(as_numbers(known, kind))


def _of_values(known: pa.ChunkedArray, *, ordered: bool) -> list[Bar]:
    counted = [(row["values"], row["counts"]) for row in known.value_counts().to_pylist()]
    shown = sorted((item for item in counted if item[1] >= _FEW), key=lambda item: (-item[1], str(item[0])))[:_BARS]
    rest = len(known) - sum(count for _, count in shown)
    if ordered:
        shown = sorted(shown)
    found = [
        Bar(str(value).lower() if isinstance(value, bool) else str(value), count / len(known))
        for value, count in shown
    ]
    return [*found, Bar(f"others ({len(counted) - len(shown)})", rest / len(known))] if rest else found


def _of_numbers(numbers: Any) -> list[Bar]:
    low, high = float(numbers.min()), float(np.quantile(numbers, 0.95))
    step = round_step((high - low) / (_BARS - 1))
    # Next to nothing below zero is divided to zero itself, and would be left of the first bar.
    first = min(math.floor(low / step) * step, low)
    edges = [first + step * place for place in range(_BARS) if first + step * place <= max(high, low)]
    counts = np.histogram(numbers, bins=[*edges, math.inf])[0]
    wide = _of_many([(edge, int(count)) for edge, count in zip(edges, counts, strict=True)])
    return [Bar(f"{_short(edge)} –", count / len(numbers)) for edge, count in wide]


def _of_many(steps: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """The steps, those of a few persons put together with a neighbour; empty ones stay."""
    wide: list[tuple[float, int]] = []
    for edge, count in steps:
        if wide and (0 < count < _FEW or 0 < wide[-1][1] < _FEW):
            wide[-1] = (wide[-1][0], wide[-1][1] + count)
        else:
            wide.append((edge, count))
    while len(wide) > 1 and 0 < wide[-1][1] < _FEW:
        _, last = wide.pop()
        wide[-1] = (wide[-1][0], wide[-1][1] + last)
    return wide


def round_step(least: float) -> float:
    """The next 1, 2 or 5 times a power of ten; 1 if there is nothing to divide, or no float that small."""
    if least < sys.float_info.min:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _short(value: float) -> str:
    return f"{value:,.10g}"
