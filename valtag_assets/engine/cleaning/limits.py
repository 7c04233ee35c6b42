"""Bounds and outliers: anomalies of a number or time, refused, set to null or clipped."""

from datetime import date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
from ibis.expr.types import BooleanValue, FloatingValue, IntegerValue, Table, Value

from valtag_assets.engine.cleaning.numbers import WIDEST, number_literal, rescaled
from valtag_assets.engine.cleaning.plan import FieldPlan
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Bounds, Field

Inside = Decimal | date
_WIDE = Context(prec=400)


def plan_bounds(plan: FieldPlan, bounds: Bounds) -> None:
    """Values outside [min, max]. A clipped value becomes the nearest one of the field's type inside."""
    field, source = plan.field, plan.column
    low = None if bounds.min is None else _first_inside(field, bounds.min)
    high = None if bounds.max is None else _last_inside(field, bounds.max)
    span = f"[{_written(bounds.min, '-∞')}, {_written(bounds.max, '∞')}]"

    def below(t: Table) -> BooleanValue:
        return ibis.literal(False) if low is None else (t[source] < _literal(field, low)).fill_null(False)

    def above(t: Table) -> BooleanValue:
        return ibis.literal(False) if high is None else (t[source] > _literal(field, high)).fill_null(False)

    def bound(nearest: Inside | None) -> Value:
        if nearest is None or bounds.otherwise != "clip":
            return _null(field)
        return _literal(field, nearest).cast(to_ibis_type(field.type))

    def repaired(t: Table) -> Value:
        return ibis.cases((below(t), bound(low)), (above(t), bound(high)), else_=t[source])

    reason = Title(en=f"{field.name} is outside {span}", zh=f"{field.name} 超出范围 {span}")
    plan.add_rule("bounds", bounds.otherwise, reason, lambda t: below(t) | above(t))
    if bounds.otherwise == "quarantine":
        plan.inside = lambda t: (below(t) | above(t)).ifelse(_null(field), t[source])
    else:
        plan.add("bounds", repaired)


def plan_outlier(plan: FieldPlan, times: float, otherwise: str, median: Decimal | None) -> None:
    """Values beyond ``times`` the median of the absolute values; without a median there is none."""
    field, source = plan.field, plan.column
    limit = outlier_limit(field, median)

    def beyond(t: Table) -> BooleanValue:
        if limit is None:
            return ibis.literal(False)
        return (t[source].abs() > _literal(field, limit)).fill_null(False)

    reason = Title(
        en=f"{field.name} is more than {times:g} times the median of its column",
        zh=f"{field.name} 超过该列中位数的 {times:g} 倍",
    )
    plan.add_rule("outlier", otherwise, reason, beyond)
    if otherwise == "null":
        plan.add("outlier", lambda t: beyond(t).ifelse(_null(field), t[source]))


def outlier_limit(field: Field, median: Decimal | None) -> Decimal | None:
    """The largest value that is no outlier; None where there is no median."""
    if median is None or field.outlier is None:
        return None
    return _within(field, Decimal(str(field.outlier.times)) * median, ROUND_FLOOR)


def spread_value(plan: FieldPlan, table: Table) -> tuple[IntegerValue, FloatingValue]:
    """The absolute values an outlier rule's median is taken of: those that are read and inside their bounds.

    First in whole units of the last decimal, null for floats; then as it is, null for others.
    """
    value = plan.inside(table) if plan.inside else table[plan.column_at("outlier")]
    if plan.field.type.kind == "float":
        return ibis.null("int64"), value.abs().cast("float64")
    scale = plan.field.type.scale or 0
    # As wide as a decimal can be: in its own digits the largest value times 100 has no room.
    wide = ops.Cast(value.abs(), dt.Decimal(WIDEST, scale)).to_expr()
    units = wide * ibis.literal(10**scale, type="int64")
    return rescaled(units, scale, dt.int64), ibis.null("float64")


def _written(bound: float | date | None, open_end: str) -> str:
    if bound is None:
        return open_end
    return bound.isoformat() if isinstance(bound, date) else f"{bound:g}"


def _first_inside(field: Field, bound: float | date) -> Inside:
    """The smallest value of the field's type that is not below ``bound``."""
    if isinstance(bound, date):
        return bound if field.type.kind == "date" else datetime.combine(bound, time.min)
    return _within(field, Decimal(str(bound)), ROUND_CEILING)


def _last_inside(field: Field, bound: float | date) -> Inside:
    """The largest value of the field's type that is not above ``bound``, whose whole day lies inside."""
    if isinstance(bound, date):
        return bound if field.type.kind == "date" else datetime.combine(bound, time.max)
    return _within(field, Decimal(str(bound)), ROUND_FLOOR)


def _within(field: Field, bound: Decimal, rounding: str) -> Decimal:
    """The value of the field's type nearest to ``bound``: beyond it lies the same as beyond ``bound``."""
    if field.type.kind == "float":
        return bound
    scale = field.type.scale or 0
    nearest = bound.quantize(Decimal(1).scaleb(-scale), rounding=rounding, context=_WIDE)
    digits = field.type.precision
    largest = Decimal(2**63 - 1) if digits is None else Decimal(10**digits - 1).scaleb(-scale, context=_WIDE)
    return max(-largest, min(nearest, largest))


def _literal(field: Field, value: Inside) -> Value:
    if isinstance(value, date):
        return ibis.literal(value, type=to_ibis_type(field.type))
    return number_literal(value, to_ibis_type(field.type))


def _null(field: Field) -> Value:
    return ibis.null(to_ibis_type(field.type))
