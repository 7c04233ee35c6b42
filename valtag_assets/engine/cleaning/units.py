"""Units: multiply by an exact factor, round once.

The factors of a field's whole chain are multiplied beforehand, as exact decimals. Until the product is
rounded to the field's type (half away from zero), the value keeps six more decimals than the type has.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import NumericValue, Value

from valtag_assets.engine.cleaning.numbers import WIDEST, rescaled
from valtag_assets.engine.cleaning.plan import FieldPlan
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Field
from valtag_assets.spec.types import DataType, decimal

_MORE_DECIMALS = 6
_BIGINT_DIGITS = 19


@dataclass(frozen=True)
class Conversion:
    """The unit chain of a field as one table: the values of the fields in ``by`` → the exact factor."""

    field: Field
    by: tuple[str, ...]
    factors: Mapping[tuple[str, ...], Decimal]

    @property
    def working(self) -> DataType:
        """The type of the value before it is multiplied."""
        if self.field.type.kind == "float":
            return self.field.type
        precision = self.field.type.precision or _BIGINT_DIGITS
        scale = self.field.type.scale or 0
        widest = WIDEST - self._factor_type.precision
        return decimal(min(precision + _MORE_DECIMALS, widest), min(scale + _MORE_DECIMALS, widest))

    @property
    def _factor_type(self) -> dt.Decimal:
        whole = max(max(factor.adjusted() + 1, 1) for factor in self.factors.values())
        scale = max(max(0, -int(factor.as_tuple().exponent)) for factor in self.factors.values())
        if whole + scale > WIDEST // 2:
            raise ValueError(f"field '{self.field.name}': a unit factor has too many digits")
        return dt.Decimal(whole + scale, scale)

    def factor(self, units: Mapping[str, Value]) -> NumericValue:
        """The factor of a row; null where its unit is missing or not listed."""
        if not self.by:
            return self._literal(self.factors[()])
        branches = []
        for named, factor in self.factors.items():
            matches = [units[by].cast("string") == name for by, name in zip(self.by, named, strict=True)]
            branches.append((ibis.and_(*matches), self._literal(factor)))
        floating = self.field.type.kind == "float"
        return ibis.cases(*branches, else_=ibis.null(dt.float64 if floating else self._factor_type))

    def apply(self, value: NumericValue, factor: NumericValue) -> NumericValue:
        """value × factor as the field's type; null when it does not fit."""
        product = value * factor
        if self.field.type.kind == "float":
            return product
        scale = (self.working.scale or 0) + self._factor_type.scale
        return rescaled(product, scale, to_ibis_type(self.field.type))

    def _literal(self, factor: Decimal) -> NumericValue:
        if self.field.type.kind == "float":
            return ibis.literal(float(factor))
        return ibis.literal(factor, type=self._factor_type)


def conversion(field: Field) -> Conversion | None:
    """The unit conversion of a field, or None. ValueError: a factor that is no number."""
    if not field.unit:
        return None
    choices = []
    for unit in field.unit:
        listed = {"": unit.factor} if unit.by is None else unit.factors
        choices.append([(unit.by, name, _exact(field, factor)) for name, factor in listed.items()])
    by = tuple(dict.fromkeys(unit.by for unit in field.unit if unit.by))
    factors: dict[tuple[str, ...], Decimal] = {}
    for path in itertools.product(*choices):
        named: dict[str, str] = {}
        if any(named.setdefault(unit, name) != name for unit, name, _ in path if unit):
            continue
        product = Decimal(1)
        for _, _, factor in path:
            product *= factor
        factors[tuple(named[unit] for unit in by)] = product
    return Conversion(field, by, factors)


def _exact(field: Field, factor: float | str | None) -> Decimal:
    try:
        value = Decimal(str(factor))
    except ArithmeticError:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ValueError(f"field '{field.name}': unit factor '{factor}' is no number")
    return Decimal(format(value.normalize(), "f"))


def plan_unit(plan: FieldPlan, unit: Conversion, plans: Mapping[str, FieldPlan]) -> None:
    """Add the conversion, and its rules, to the plan of a field."""
    field, source = plan.field, plan.column
    factor = plan.add_aside("factor", lambda t: unit.factor({by: t[plans[by].column_at("unit")] for by in unit.by}))
    plan.add("unit", lambda t: unit.apply(t[source], t[factor]))
    result = plan.column
    if unit.by:
        named = " × ".join(unit.by)
        reason = Title(
            en=f"{field.name} is in a unit ({named}) without a factor",
            zh=f"{field.name} 的单位（{named}）没有换算系数",
        )
        plan.add_rule("unit", "quarantine", reason, lambda t: t[source].notnull() & t[factor].isnull())
    plan.also_invalid(lambda t: t[source].notnull() & t[result].isnull() & t[factor].notnull())
