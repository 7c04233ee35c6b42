"""Bounds and outliers: anomalies of a number, refused, set to null or clipped."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import ibis
from ibis.expr.types import BooleanValue, NumericValue, Table, Value

from valtag_assets.engine.cleaning.numbers import decimal_literal
from valtag_assets.engine.cleaning.plan import FieldPlan
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Bounds, Field


def plan_bounds(plan: FieldPlan, bounds: Bounds) -> None:
    """Values outside [min, max]. A clipped value becomes the nearest one of the field's type inside."""
    field, source = plan.field, plan.column
    low = None if bounds.min is None else Decimal(str(bounds.min))
    high = None if bounds.max is None else Decimal(str(bounds.max))
    span = f"[{_written(low, '-∞')}, {_written(high, '∞')}]"

    def below(t: Table) -> BooleanValue:
        return ibis.literal(False) if low is None else (t[source] < _number(field, low)).fill_null(False)

    def above(t: Table) -> BooleanValue:
        return ibis.literal(False) if high is None else (t[source] > _number(field, high)).fill_null(False)

    def repaired(t: Table) -> Value:
        clip = bounds.otherwise == "clip"
        return ibis.cases(
            (below(t), _nearest(field, low, ROUND_CEILING) if clip else _null(field)),
            (above(t), _nearest(field, high, ROUND_FLOOR) if clip else _null(field)),
            else_=t[source],
        )

    reason = Title(en=f"{field.name} is outside {span}", zh=f"{field.name} 超出范围 {span}")
    plan.add_rule("bounds", bounds.otherwise, reason, lambda t: below(t) | above(t))
    if bounds.otherwise == "quarantine":
        plan.inside = lambda t: (below(t) | above(t)).ifelse(_null(field), t[source])
    else:
        plan.add("bounds", repaired)


def plan_outlier(plan: FieldPlan, times: float, otherwise: str, median: Decimal | float | None) -> None:
    """Values beyond ``times`` the median of the absolute values; without a median there is none."""
    field, source = plan.field, plan.column
    limit = None if median is None else Decimal(str(times)) * Decimal(str(median))

    def beyond(t: Table) -> BooleanValue:
        if limit is None:
            return ibis.literal(False)
        return (t[source].abs() > _number(field, limit)).fill_null(False)

    reason = Title(
        en=f"{field.name} is more than {times:g} times the median of its column",
        zh=f"{field.name} 超过该列中位数的 {times:g} 倍",
    )
    plan.add_rule("outlier", otherwise, reason, beyond)
    if otherwise == "null":
        plan.add("outlier", lambda t: beyond(t).ifelse(_null(field), t[source]))


def median_of_absolutes(plan: FieldPlan, table: Table) -> NumericValue:
    """The median the outlier rule compares with: of the values that are read and inside their bounds.

    Whole units of the last decimal are counted, so that every engine finds the same median; it is returned in
    these units (``in_units`` undoes that). Floats are taken as they are.
    """
    value = plan.inside(table) if plan.inside else table[plan.column_at("outlier")]
    if plan.field.type.kind == "float":
        return value.abs().median()
    units = value.abs() * ibis.literal(10 ** (plan.field.type.scale or 0), type="int64")
    return units.try_cast("int64").median()


def in_units(plan: FieldPlan, median: float | None) -> Decimal | float | None:
    if median is None or plan.field.type.kind == "float":
        return median
    return Decimal(str(median)).scaleb(-(plan.field.type.scale or 0))


def _written(bound: Decimal | None, open_end: str) -> str:
    return open_end if bound is None else format(bound.normalize(), "f")


def _number(field: Field, value: Decimal) -> NumericValue:
    return ibis.literal(float(value)) if field.type.kind == "float" else decimal_literal(value)


def _nearest(field: Field, bound: Decimal | None, rounding: str) -> Value:
    if bound is None:
        return _null(field)
    if field.type.kind == "float":
        return ibis.literal(float(bound))
    inside = bound.quantize(Decimal(1).scaleb(-(field.type.scale or 0)), rounding=rounding)
    return decimal_literal(inside).cast(to_ibis_type(field.type))


def _null(field: Field) -> Value:
    return ibis.null(to_ibis_type(field.type))
