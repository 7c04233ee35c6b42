"""A rule before it is saved: how many, who for example, what else they are in, how they can be reached."""

from collections.abc import Sequence
from datetime import date

import ibis

from valtag_assets.engine.brands import of_visible
from valtag_assets.engine.persons import PERSON, beside
from valtag_assets.engine.rules import rule_table, segment_table, with_columns
from valtag_assets.engine.segments import drawn_first, without
from valtag_assets.engine.session import unbound
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.rule import ResolvedRule, columns_read

FOUND = "found"
MEMBERSHIPS = "memberships"
_CHANNEL = "_channel_"
_SEED = 0  # of the persons shown as an example: any would do, but always the same


def found_expression(resolved: Resolved, rule: ResolvedRule, as_of: date) -> ibis.Table:
    """(person_id, per channel whether it reaches the person) of everybody for whom the rule holds, without those
    whom the project excludes from every audience."""
    channels = {f"{_CHANNEL}{code}": channel.reachable for code, channel in resolved.channels.items()}
    table = rule_table(resolved, {FOUND: rule, **channels}, as_of)
    return without(table.filter(table[FOUND]).drop(FOUND), resolved.exclusions)


def found_table(resolved: Resolved) -> ibis.Table:
    """What ``found_expression`` wrote, as an unbound table."""
    return unbound(FOUND, {PERSON: "string", **{f"{_CHANNEL}{code}": "boolean" for code in resolved.channels}})


def counts(resolved: Resolved) -> ibis.Table:
    """One row: ``size``, and for each channel's code how many it reaches."""
    found = found_table(resolved)
    reached = {code: found[f"{_CHANNEL}{code}"].cast("int64").sum().fill_null(0) for code in resolved.channels}
    return found.aggregate(size=found.count(), **{f"{_CHANNEL}{code}": value for code, value in reached.items()})


def reached(resolved: Resolved, row: dict[str, int]) -> dict[str, int]:
    """The row of ``counts`` by channel."""
    return {code: row[f"{_CHANNEL}{code}"] for code in resolved.channels}


def memberships_expression(segments: Sequence[str]) -> ibis.Table:
    """(person_id, segment) of every member of these audiences."""
    rows = [segment_table(code).select(PERSON, segment=ibis.literal(code)) for code in segments]
    return ibis.union(*rows) if len(rows) > 1 else rows[0]


def overlaps(resolved: Resolved, *, only_visible: bool = False) -> ibis.Table:
    """(segment, members, both): how large each audience of the table ``MEMBERSHIPS``, as ``memberships_expression``
    wrote it, is, and how many of its members were found; ``only_visible``: of persons in ``brands.VISIBLE``."""
    found = found_table(resolved).select(PERSON)
    every = unbound(MEMBERSHIPS, {PERSON: "string", "segment": "string"})
    every = of_visible(every) if only_visible else every
    joined = beside(every, found.mutate(_found=ibis.literal(1, "int64")))
    return joined.group_by("segment").aggregate(
        members=joined.count(), both=joined["_found"].sum().fill_null(0).cast("int64")
    )


def examples(resolved: Resolved, rule: ResolvedRule, how_many: int) -> ibis.Table:
    """(person_id, every tag and score column the rule reads) of a few who were found."""
    few = drawn_first(found_table(resolved).select(PERSON), _SEED, how_many)
    return with_columns(resolved, few, columns_read(rule)).order_by(PERSON)
