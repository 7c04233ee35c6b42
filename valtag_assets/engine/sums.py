"""Sums that come out the same whatever the order of rows, the split of files or the number of threads.

Adding floats depends on the order, so they are added as decimals with ten digits after the point. Integers
are added as decimals too: DuckDB's own sum of them is an int128, which Parquet has no type for.
"""

import ibis.expr.types as ir

from valtag_assets.expression.convert import convert
from valtag_assets.spec.types import DataType, decimal

_DIGITS = 38
_FLOAT_SCALE = 10


def summed(kind: DataType) -> DataType:
    """The type in which sums of ``kind`` are exact."""
    return decimal(_DIGITS, _FLOAT_SCALE if kind.kind == "float" else kind.scale or 0)


def total(value: ir.Value, kind: DataType, where: ir.BooleanValue | None = None) -> ir.Value:
    """The sum of ``value``, a column of type ``kind``, as ``summed(kind)``; null when there is none."""
    if kind.kind != "decimal":
        value = convert(value, kind, summed(kind))
    return convert(value.sum(where=where), summed(kind), summed(kind))
