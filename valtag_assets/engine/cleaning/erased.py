"""Rows of persons who were erased: whoever imports them again, they don't come back.

A row is an erased person's when its person's key is (cleaned, or as it came); it is dropped before anything of it
is kept. So is a row that would go to quarantine, as it came, with a personal value of theirs. In a row of somebody
else, personal values that are an erased person's become null. What is compared are keyed hashes.

An identifier that may go to somebody else is an erased person's in rows from before the day that its tombstone names,
and in rows that don't say when they happened.
"""

from collections.abc import Collection, Mapping
from functools import reduce

from ibis.expr.types import BooleanValue, StringValue, Table, Value

from valtag_assets.engine.cleaning.account import ERASED
from valtag_assets.engine.cleaning.field import raw_column
from valtag_assets.engine.cleaning.plan import FieldPlan, Rule
from valtag_assets.engine.session import unbound
from valtag_assets.engine.vault import keyed_hash
from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Field, Source
from valtag_assets.warehouse.tombstones import COLUMNS

TOMBSTONES = "tombstones"
OWN, NAMED = "_erased_own", "_erased_named"
REASON = Title(en="the person was erased", zh="此人已被删除")


def erased_rule() -> Rule:
    """What drops the rows of erased persons."""
    return Rule(ERASED, None, "drop", REASON, lambda table: table[OWN])


def erased_columns(
    source: Source, own: Collection[str], steps: Table, plans: Mapping[str, FieldPlan]
) -> dict[str, BooleanValue]:
    """``OWN``: the row is an erased person's, by a field of ``own``; ``NAMED``: it names one in a personal field.

    ``steps`` are ``with_days``.
    """
    owners = [item for item in source.fields if item.name in own]
    named = [item for item in source.fields if _is_personal(item) or item.name in own]
    day = plans[source.time].column if source.time is not None and source.time in plans else None
    return {OWN: _any(steps, owners, plans, day), NAMED: _any(steps, named, plans, day)}


def with_days(passing: Collection[str], steps: Table, plans: Mapping[str, FieldPlan]) -> Table:
    """``steps`` with the days until which each field of ``passing``, cleaned and as it came, is an erased person's;
    null for ever, or where it is nobody's."""
    for name in passing:
        for number, value in enumerate(_spellings(steps, plans[name])):
            digest, until = f"_digest_{number}_{name}", _until(number, name)
            known = unbound(TOMBSTONES, COLUMNS).select(_known="digest", **{until: "until"})
            steps = steps.mutate(**{digest: _digest(value)})
            steps = steps.left_join(known, steps[digest] == known["_known"]).drop("_known", digest)
    return steps


def without_erased(own: Collection[str], item: Field, value: Value) -> Value:
    """The value of a personal field, null where it is an erased person's."""
    if not _is_personal(item) or item.name in own:
        return value
    return is_erased(value.cast("string")).ifelse(None, value)


def is_erased(value: StringValue) -> BooleanValue:
    """Whether the text is an identifier of somebody who was erased."""
    found: BooleanValue = _digest(value).isin(unbound(TOMBSTONES, COLUMNS)["digest"]).fill_null(False)
    return found


def _digest(value: StringValue) -> StringValue:
    return keyed_hash(unbound(TOMBSTONES, COLUMNS), value)


def _is_personal(item: Field) -> bool:
    return item.access == "pii" and item.type.kind in ("text", "integer")


def _any(steps: Table, fields: list[Field], plans: Mapping[str, FieldPlan], day: str | None) -> BooleanValue:
    found = []
    for item in fields:
        for number, value in enumerate(_spellings(steps, plans[item.name])):
            until = _until(number, item.name)
            later = until in steps.columns and day is not None
            gone = (steps[day].cast("date") >= steps[until]).fill_null(False) if later else False
            found.append(is_erased(value) & ~gone if later else is_erased(value))
    return reduce(lambda one, other: one | other, found, steps["_row"].isnull())


def _spellings(steps: Table, plan: FieldPlan) -> tuple[StringValue, StringValue]:
    """A field's value as text: cleaned, and as it came."""
    return steps[plan.column].cast("string"), steps[raw_column(plan.field)].cast("string").strip()


def _until(number: int, name: str) -> str:
    return f"_until_{number}_{name}"
