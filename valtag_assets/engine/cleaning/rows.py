"""Row-level steps: columns of lookups, computed fields, and the rules that refuse or drop whole rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import ibis
import ibis.expr.operations as ops
from ibis.expr.types import BooleanValue, Table

from valtag_assets.engine.cleaning.plan import Rule
from valtag_assets.engine.session import unbound
from valtag_assets.engine.vault import token
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.tree import Call, Node, walk
from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Computed, Lookup, RowRule, Source
from valtag_assets.spec.types import DataType

# A clean row holds at any as-of; what depends on one belongs to a tag.
_TIMELESS = date.min
TIMED = ("as_of", "days_since", "days_to_anniversary", "years_since")


@dataclass(frozen=True)
class RowRules:
    """The source's computed fields and row rules, as typed trees over its clean columns.

    ``erased``: the tombstones of persons whose rows must not come back; None while there are none. ``own``: the
    fields that say whose a row is; ``passing``: those of them that may say somebody else later. ``key``: that of
    tokens; None for a source without a vaulted column.
    """

    compute: tuple[tuple[Computed, Node], ...] = ()
    refuse: tuple[tuple[RowRule, Node], ...] = ()
    drop: tuple[tuple[RowRule, Node], ...] = ()
    erased: Path | None = None
    own: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    key: Path | None = None


@dataclass(frozen=True)
class LookupTable:
    """A cleaned lookup source: one row per ``key``, which cleaning made unique and never null. ``vaulted``: in the
    place of keys stand their tokens."""

    files: Sequence[Path]
    key: str
    types: Mapping[str, DataType]
    vaulted: bool = False


def with_lookups(table: Table, source: Source, lookups: Mapping[str, LookupTable]) -> Table:
    """Left join each lookup by its key. ValueError: keys of two types."""
    for number, lookup in enumerate(source.lookups):
        other = _lookup_table(lookup, lookups, number)
        if table[lookup.on].type() != other["_key"].type():
            raise ValueError(
                f"lookup '{lookup.source}': its key is a {other['_key'].type()}, but '{lookup.on}' is a "
                f"{table[lookup.on].type()}; give both fields the same type"
            )
        own = token(table[lookup.on]) if lookups[lookup.source].vaulted else table[lookup.on]
        table = table.left_join(other, own == other["_key"]).drop("_key")
    return table


def lookup_inputs(source: Source, lookups: Mapping[str, LookupTable]) -> dict[str, Sequence[Path]]:
    """The files of each lookup, by the name its table has in the expressions."""
    return {_input(number): _known(lookup, lookups).files for number, lookup in enumerate(source.lookups)}


def taken_types(source: Source, lookups: Mapping[str, LookupTable]) -> dict[str, DataType]:
    """The types of the columns that lookups bring. ValueError: an unknown lookup or column."""
    found = {}
    for lookup in source.lookups:
        types = _known(lookup, lookups).types
        for name in lookup.take:
            if name not in types:
                raise ValueError(f"lookup '{lookup.source}' has no field '{name}'; it has {', '.join(types)}")
            found[name] = types[name]
    return found


def _known(lookup: Lookup, lookups: Mapping[str, LookupTable]) -> LookupTable:
    if lookup.source not in lookups:
        raise ValueError(f"lookup '{lookup.source}' has not been cleaned")
    return lookups[lookup.source]


def _lookup_table(lookup: Lookup, lookups: Mapping[str, LookupTable], number: int) -> Table:
    known = _known(lookup, lookups)
    names = dict.fromkeys((known.key, *lookup.take))
    table = unbound(_input(number), {name: to_ibis_type(known.types[name]) for name in names})
    return table.select(_key=table[known.key], **{name: table[name] for name in lookup.take})


def _input(number: int) -> str:
    return f"lookup_{number}"


def with_computed(table: Table, rules: RowRules) -> tuple[Table, list[Rule]]:
    """Add the computed fields, one after the other, so that a later one may read an earlier one.

    A value that does not fit the declared type refuses its row. ValueError: a field depends on the as-of.
    """
    refusals = []
    for computed, node in rules.compute:
        _check_timeless(computed.name, node)
        value = f"_value_{computed.name}"
        table = table.mutate(**{value: compile_value(node, table, _TIMELESS)})
        fitted = ops.TryCast(table[value], to_ibis_type(computed.type)).to_expr()
        table = table.mutate(**{computed.name: fitted})
        refusals.append(_misfit(computed, value))
    return table, refusals


def _misfit(computed: Computed, value: str) -> Rule:
    name, data_type = computed.name, computed.type
    reason = Title(en=f"{name} does not fit {data_type}", zh=f"{name} 超出 {data_type} 的范围")
    return Rule(f"{name}.invalid", name, "quarantine", reason, lambda t: t[value].notnull() & t[name].isnull())


def row_rules(rules: RowRules) -> list[Rule]:
    """The refuse rules, then the drop rules. ValueError: a rule that depends on the as-of."""
    found = []
    for action, many in (("refuse", rules.refuse), ("drop", rules.drop)):
        for rule, node in many:
            _check_timeless(rule.name, node)
            reason = rule.reason or Title(en=f"caught by rule '{rule.name}'", zh=f"命中规则“{rule.name}”")
            found.append(
                Rule(
                    name=f"{action}.{rule.name}",
                    column=None,
                    action="drop" if action == "drop" else "quarantine",
                    reason=reason,
                    flag=partial(_holds, node),
                )
            )
    return found


def _holds(node: Node, table: Table) -> BooleanValue:
    return compile_condition(node, table, _TIMELESS)


def _check_timeless(name: str, node: Node) -> None:
    for part in walk(node):
        if isinstance(part, Call) and part.function in TIMED:
            raise ValueError(f"'{name}' uses {part.function}(), but a clean row must not depend on the as-of date")


def first_caught(table: Table, rules: Sequence[Rule]) -> ibis.Value:
    """The name of the first rule that catches a row, else null."""
    branches = [(rule.flag(table), ibis.literal(rule.name)) for rule in rules]
    return ibis.cases(*branches, else_=ibis.null("string")) if branches else ibis.null("string")
