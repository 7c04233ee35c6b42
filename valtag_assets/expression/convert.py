"""A computed value brought to exactly the type it is declared with."""

import ibis.expr.types as ir

from valtag_assets.expression.compile import _cast, _round_float
from valtag_assets.spec.types import DataType


def convert(value: ir.Value, actual: DataType, wanted: DataType) -> ir.Value:
    """``value``, of type ``actual``, as ``wanted``; a float becomes a decimal by rounding half away from zero."""
    if actual.kind == "float" and wanted.kind == "decimal":
        value = _round_float(value, wanted.scale or 0)
    return _cast(value, wanted)
