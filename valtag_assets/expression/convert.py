"""What the engine needs of compiled values: exact types, constants, joined conditions."""

from collections.abc import Callable, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from valtag_assets.expression.compile import _balanced, _cast, _round_float
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.types import DataType


def convert(value: ir.Value, actual: DataType, wanted: DataType) -> ir.Value:
    """``value``, of type ``actual``, as ``wanted``; a float becomes a decimal by rounding half away from zero."""
    if actual.kind == "float" and wanted.kind == "decimal":
        value = _round_float(value, wanted.scale or 0)
    return _cast(value, wanted)


def round_float(value: ir.Value, digits: int) -> ir.Value:
    """A float rounded half away from zero, alike on every engine."""
    return _round_float(value, digits)


def constant(value: Any, kind: DataType) -> ir.Value:
    """A Python value (``spec.constant.read_constant`` makes one) as a literal of exactly the type ``kind``."""
    return _cast(ibis.literal(value, type=to_ibis_type(kind)), kind)


def balanced(join: Callable[[Any, Any], Any], values: Sequence[ir.Value]) -> ir.Value:
    """``values`` joined by ``join`` as a shallow tree, so that a rule of a thousand parts can be compiled."""
    return _balanced(join, list(values))
