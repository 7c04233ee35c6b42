"""The judged table: every clean column of every raw row, and the first rule that catches the row.

Rules are tried in the order: fields as they are listed, computed fields, ``refuse`` rules, ``drop`` rules, and
last what a row of its kind can't be without (so a ``drop`` rule may filter guests, who are no persons).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial

import ibis
import ibis.expr.operations as ops
from ibis.backends.sql.datatypes import DuckDBType
from ibis.expr.types import BooleanValue, Table, Value

from valtag_assets.engine.cleaning.erased import NAMED, OWN, erased_columns, erased_rule, with_days, without_erased
from valtag_assets.engine.cleaning.field import missing_reason, plan_field, raw_column
from valtag_assets.engine.cleaning.plan import STAGES, FieldPlan, Rule
from valtag_assets.engine.cleaning.rows import (
    LookupTable,
    RowRules,
    first_caught,
    row_rules,
    taken_types,
    with_computed,
    with_lookups,
)
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import unbound
from valtag_assets.engine.vault import token
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Field, Source
from valtag_assets.spec.types import INTEGER, TEXT, DataType

RAW = "raw"
ORIGIN = ("_file", "_row")
Medians = Mapping[str, Decimal | None]


def clean_schema(source: Source, taken: Mapping[str, DataType]) -> dict[str, DataType]:
    """The columns of the clean table in their order; ``taken`` are the types of what lookups bring."""
    columns = {field.name: field.type for field in source.fields}
    columns |= {name: taken[name] for lookup in source.lookups for name in lookup.take}
    columns |= {computed.name: computed.type for computed in source.compute}
    return columns | {"_file": TEXT, "_row": INTEGER}


def judge(
    source: Source,
    project: Project,
    raw: RawTable,
    lookups: Mapping[str, LookupTable],
    rules: RowRules,
    medians: Medians,
) -> tuple[Table, list[Rule]]:
    """The judged table as an expression on the unbound raw table, and the rules in the order of its verdicts.

    Columns: those of ``clean_schema``, ``_rule`` (text), and for every repairing rule a boolean. A vaulted column has
    tokens, and its values are in the ``value_column``.
    """
    plans, steps = staged(source, project, raw, medians)
    if rules.erased is not None:
        steps = with_days(rules.passing, steps, plans)
    refusals = [rule for plan in plans.values() for rule in plan.rules]
    repairs = [rule for rule in refusals if rule.action == "repair"]
    table = steps.select(
        **{name: _exactly(_kept(source, rules, plan, steps), plan.field.type) for name, plan in plans.items()},
        **{name: steps[name] for name in ORIGIN},
        **{repair_column(rule): rule.flag(steps) for rule in repairs},
        _rule=first_caught(steps, [rule for rule in refusals if rule.action == "quarantine"]),
        **({} if rules.erased is None else erased_columns(source, rules.own, steps, plans)),
    )
    taken = taken_types(source, lookups)
    table = with_lookups(table, source, lookups)
    table, misfits = with_computed(table, rules)
    later = misfits + row_rules(rules) + _missing_roles(source)
    caught = ibis.coalesce(table["_rule"], first_caught(table, later))
    if rules.erased is not None:
        gone = erased_rule()
        caught = ibis.ifelse(table[OWN] | (table[NAMED] & caught.notnull()), gone.name, caught)
        later.append(gone)
    columns: dict[str, Value] = {name: table[name] for name in clean_schema(source, taken)}
    columns |= {value_column(name): table[name] for name in source.vaulted}
    columns |= {name: token(table[name]) for name in source.vaulted}
    judged = table.select(
        **columns, **{repair_column(rule): table[repair_column(rule)] for rule in repairs}, _rule=caught
    )
    return judged, refusals + later


def _kept(source: Source, rules: RowRules, plan: FieldPlan, steps: Table) -> Value:
    value = steps[plan.column]
    return value if rules.erased is None else without_erased(rules.own, plan.field, value)


def repair_column(rule: Rule) -> str:
    return f"_repaired_{rule.name}"


def value_column(name: str) -> str:
    return f"_value_of_{name}"


def raw_table(raw: RawTable) -> Table:
    """The unbound raw table: the wanted columns as they were read, ``_file`` and ``_row``."""
    columns = {name: DuckDBType.from_string(written) for name, written in raw.columns}
    return unbound(RAW, columns | {"_file": "string", "_row": "int64"})


def staged(source: Source, project: Project, raw: RawTable, medians: Medians) -> tuple[dict[str, FieldPlan], Table]:
    """The raw table with the columns of all steps of all fields, and the plans that say what they are."""
    types = dict(raw.columns)
    wanted = {field.name: field.source_name for field in source.fields}
    absent = sorted(set(wanted.values()) - set(types))
    if absent:
        raise ValueError(f"source '{source.source}' has no column {', '.join(map(repr, absent))}")
    table = raw_table(raw)
    table = table.select(*ORIGIN, **{raw_column(field): table[field.source_name] for field in source.fields})
    for field in source.fields:
        for unit in field.unit:
            if unit.by is not None and (unit.by == field.name or unit.by not in wanted):
                raise ValueError(f"field '{field.name}': its unit is named by '{unit.by}', which is no other field")
    return planned(source.fields, project, table, medians)


def planned(
    fields: Sequence[Field], project: Project, table: Table, medians: Medians
) -> tuple[dict[str, FieldPlan], Table]:
    """``table``, which has the ``raw_column`` of every field, with the columns of all steps of all fields."""
    plans: dict[str, FieldPlan] = {}
    for field in fields:
        plans[field.name] = plan_field(
            field,
            table[raw_column(field)].type(),
            project,
            plans,
            medians.get(field.name),
        )
    for stage in STAGES:
        steps = [step for plan in plans.values() for step in plan.steps if step[0] == stage]
        if steps:
            table = table.mutate(**{name: build(table) for _, name, build in steps})
    return plans, table


def _roles(source: Source) -> tuple[str, ...]:
    """What a row can't be without: the person, the time of a fact, the key of a lookup."""
    if source.kind == "lookup":
        return source.key
    return tuple(name for name in (source.person, source.time if source.kind == "fact" else None) if name)


def _missing_roles(source: Source) -> list[Rule]:
    """``required`` for those of these columns that are not declared so already."""
    declared = {field.name for field in source.fields if field.required}
    return [
        Rule(
            f"{name}.required",
            name,
            "quarantine",
            missing_reason(name),
            partial(_is_null, name),
        )
        for name in _roles(source)
        if name not in declared
    ]


def _is_null(name: str, table: Table) -> BooleanValue:
    return table[name].isnull()


def _exactly(value: Value, data_type: DataType) -> Value:
    """Of this very type in the engine, whatever Ibis believes it to be already."""
    return ops.Cast(value, to_ibis_type(data_type)).to_expr()
