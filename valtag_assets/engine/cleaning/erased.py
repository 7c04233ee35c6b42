"""Rows of persons who were erased: whoever imports them again, they don't come back.

A row is an erased person's when its person's key is (cleaned, or as it came); it is dropped before anything of it
is kept. So is a row that would go to quarantine, as it came, with a personal value of theirs. In a row of somebody
else, personal values that are an erased person's become null. What is compared are keyed hashes.
"""

from collections.abc import Collection, Mapping
from functools import reduce

from ibis.expr.types import BooleanValue, StringValue, Table, Value

from valtag_assets.engine.cleaning.account import ERASED
from valtag_assets.engine.cleaning.field import raw_column
from valtag_assets.engine.cleaning.plan import FieldPlan, Rule
from valtag_assets.engine.session import unbound
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
    """``OWN``: the row is an erased person's, by a field of ``own``; ``NAMED``: it names one in a personal field."""
    owners = [item for item in source.fields if item.name in own]
    named = [item for item in source.fields if _is_personal(item) or item.name in own]
    return {OWN: _any(steps, owners, plans), NAMED: _any(steps, named, plans)}


def without_erased(own: Collection[str], item: Field, value: Value) -> Value:
    """The value of a personal field, null where it is an erased person's."""
    if not _is_personal(item) or item.name in own:
        return value
    return is_erased(value.cast("string")).ifelse(None, value)


def is_erased(value: StringValue) -> BooleanValue:
    """Whether the text is an identifier of somebody who was erased."""
    tombstones = unbound(TOMBSTONES, COLUMNS)
    key = tombstones["key"].max().as_scalar()
    digest = key.concat(key.concat(value).hexdigest("sha256")).hexdigest("sha256")
    found: BooleanValue = digest.isin(tombstones["digest"]).fill_null(False)
    return found


def _is_personal(item: Field) -> bool:
    return item.access == "pii" and item.type.kind in ("text", "integer")


def _any(steps: Table, fields: list[Field], plans: Mapping[str, FieldPlan]) -> BooleanValue:
    found = [
        is_erased(value)
        for item in fields
        for value in (steps[plans[item.name].column].cast("string"), steps[raw_column(item)].cast("string").strip())
    ]
    return reduce(lambda one, other: one | other, found, steps["_row"].isnull())
