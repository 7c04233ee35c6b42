"""Plan the cleaning of one field, in the fixed order of steps."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import ibis.expr.datatypes as dt

from valtag_assets.engine.cleaning import numbers, text
from valtag_assets.engine.cleaning.limits import plan_bounds, plan_outlier
from valtag_assets.engine.cleaning.moment import plan_time, plan_zone
from valtag_assets.engine.cleaning.plan import FieldPlan
from valtag_assets.engine.cleaning.units import Conversion, conversion, plan_unit
from valtag_assets.spec.block import Title
from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Field


def raw_column(field: Field) -> str:
    return f"_raw_{field.name}"


def plan_field(
    field: Field,
    raw: dt.DataType,
    project: Project,
    plans: Mapping[str, FieldPlan],
    median: Decimal | None,
) -> FieldPlan:
    """Plan the cleaning of ``field``, which ``raw_column(field)`` of type ``raw`` holds as it was read.

    ``plans`` are those of all fields, looked at only when the steps are built (a field may name the unit of
    another one). ``median`` is that of the field's absolute values, for its outlier rule; None while it is not known.
    ValueError: the field's rules contradict themselves or name a format, unit or field that does not exist.
    """
    plan = FieldPlan(field, raw_column(field))
    unit = conversion(field)
    spellings = text.missing_spellings(field, project.missing)
    plain = not (field.replace or field.values)
    if plain and field.type.numeric and raw.is_numeric():
        _plan_typed_number(plan, spellings, unit)
    elif plain and field.type.temporal and (raw.is_date() or raw.is_timestamp()):
        _plan_typed_time(plan, raw, spellings, project)
    elif not (plain and field.type.kind == "boolean" and raw.is_boolean()):
        _plan_text(plan, raw, spellings, project, unit)
    if unit:
        plan_unit(plan, unit, plans)
    if field.bounds:
        plan_bounds(plan, field.bounds)
    if field.outlier:
        plan_outlier(plan, field.outlier.times, field.outlier.otherwise, median)
    if field.required:
        final = plan.column
        plan.add_rule("required", "quarantine", missing_reason(field.name), lambda t: t[final].isnull())
    return plan


def _plan_typed_number(plan: FieldPlan, spellings: Iterable[str], unit: Conversion | None) -> None:
    field, raw = plan.field, plan.column
    target = unit.working if unit else field.type
    plan.add("missing", lambda t: numbers.without_missing_numbers(t[raw], spellings))
    present = plan.column
    plan.add("parse", lambda t: numbers.convert_number(t[present], target))
    _finish_parsing(plan, present)


def _plan_typed_time(plan: FieldPlan, dtype: dt.DataType, spellings: Iterable[str], project: Project) -> None:
    raw = plan.column
    plan.add("missing", lambda t: text.without_missing_times(t[raw], spellings))
    present = plan.column
    if plan.field.type.kind == "date" and dtype.is_date():
        return
    plan.add("parse", lambda t: t[present].cast("timestamp"))
    if dtype.is_timestamp() and dtype.timezone:
        plan_zone(plan, naive=None, instant=plan.column, project=project)
    else:
        plan_zone(plan, naive=plan.column, instant=None, project=project)


def _plan_text(
    plan: FieldPlan, dtype: dt.DataType, spellings: Iterable[str], project: Project, unit: Conversion | None
) -> None:
    field, raw = plan.field, plan.column
    if dtype.is_string():
        plan.add("text", lambda t: text.normalise(t[raw], field))
    else:
        plan.add("text", lambda t: text.as_text(t[raw]))
    trimmed = plan.column
    plan.add("missing", lambda t: text.without_missing(t[trimmed], spellings))
    if field.replace or field.case:
        before = plan.column
        plan.add("rewrite", lambda t: text.rewritten(t[before], field))
    if field.values is not None:
        _plan_codes(plan)
    present = plan.column
    if field.type.temporal:
        plan_time(plan, project)
    elif field.type.kind == "boolean":
        plan.add("parse", lambda t: numbers.parse_boolean(t[present]))
    elif field.type.numeric:
        target = unit.working if unit else field.type
        plan.add("parse", lambda t: numbers.parse_number(t[present], target))
    if field.type.kind != "text":
        _finish_parsing(plan, present)


def _plan_codes(plan: FieldPlan) -> None:
    field, spelled = plan.field, plan.column
    table = text.code_table(field)
    plan.add("code", lambda t: text.coded(t[spelled], table, keep_unknown=field.unknown == "keep"))
    if field.unknown != "keep":
        code = plan.column
        reason = Title(
            en=f"{field.name} has a value that its code table does not list",
            zh=f"{field.name} 的取值不在码表中",
        )
        plan.add_rule("unknown_value", field.unknown, reason, lambda t: t[spelled].notnull() & t[code].isnull())


def _finish_parsing(plan: FieldPlan, present: str) -> None:
    """The rule for what could not be read; an infinite float could not."""
    field = plan.field
    if field.type.kind == "float":
        before = plan.column
        plan.add("rest", lambda t: numbers.finite(t[before]))
    parsed = plan.column
    name, data_type = field.name, field.type
    reason = Title(en=f"{name} can't be read as {data_type}", zh=f"{name} 无法解析为 {data_type}")
    plan.add_rule("invalid", field.invalid, reason, lambda t: t[present].notnull() & t[parsed].isnull())


def missing_reason(name: str) -> Title:
    return Title(en=f"{name} is missing", zh=f"缺少 {name}")
