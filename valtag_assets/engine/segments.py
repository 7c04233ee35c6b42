"""Audiences: who satisfies a rule at an as-of date."""

from datetime import date
from operator import and_, or_

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.persons import PERSON, persons_table
from valtag_assets.engine.rfm import score_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.tags import category_table
from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.convert import balanced
from valtag_assets.expression.resolved import Resolved, ResolvedRule, ResolvedSegment


def segments_name(segment: str) -> str:
    """The table key of an audience."""
    return f"segments/{segment}"


def segment_table(segment: str) -> ibis.Table:
    """The published members of an audience as an unbound table."""
    return unbound(segments_name(segment), {PERSON: "string"})


def segment_inputs(resolved: Resolved, segment: ResolvedSegment) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The categories and the scores the rule reads."""
    categories = sorted({resolved.category_of(tag) for tag in segment.tags})
    scores = sorted({code for column in segment.scores if (code := resolved.score_of(column)) is not None})
    return tuple(categories), tuple(scores)


def segment_expression(resolved: Resolved, segment: ResolvedSegment, as_of: date) -> ibis.Table:
    """(person_id) of the members, sorted. Every person is asked, those without any row in a fact included."""
    categories, scores = segment_inputs(resolved, segment)
    table = persons_table()
    parts = [category_table(resolved, code) for code in categories]
    parts += [score_table(resolved.scores[code]) for code in scores]
    read = segment.tags | segment.scores
    for part in parts:
        chosen = part.select(**{f"_{PERSON}": part[PERSON]}, **{n: part[n] for n in part.columns if n in read})
        table = table.left_join(chosen, table[PERSON] == chosen[f"_{PERSON}"]).drop(f"_{PERSON}")
    return table.filter(_satisfied(segment.rule, table, as_of)).select(PERSON).order_by(PERSON)


def changes_expression(segment: str, previous: str = "previous") -> ibis.Table:
    """One row: how many members are new since the ``previous`` snapshot, and how many have left."""
    now, before = segment_table(segment), unbound(previous, {PERSON: "string"})
    entries = now.anti_join(before, PERSON)
    exits = before.anti_join(now, PERSON)
    return entries.aggregate(entries=entries.count()).cross_join(exits.aggregate(exits=exits.count()))


def _satisfied(rule: ResolvedRule, table: ibis.Table, as_of: date) -> ir.BooleanValue:
    if rule.branch == "condition":
        assert rule.node is not None
        return compile_condition(rule.node, table, as_of)
    below = [_satisfied(item, table, as_of) for item in rule.rules]
    if rule.branch == "all":
        return balanced(and_, below)
    any_of_them = balanced(or_, below)
    return ~any_of_them if rule.branch == "none" else any_of_them
