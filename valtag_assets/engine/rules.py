"""Segment rules over everybody: one boolean per rule and person, all rules in one statement.

Every person is asked, those without any row in a fact included. Each fact is read once for all events on it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from operator import and_, or_

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.events import compared, event_table, measured
from valtag_assets.engine.lists import list_table
from valtag_assets.engine.persons import PERSON, beside, keyed_name, persons_table
from valtag_assets.engine.scores import score_table, scores_name
from valtag_assets.engine.sequences import sequence_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.tags import category_table, tags_name
from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.convert import balanced
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.rule import (
    Condition,
    Did,
    Event,
    Joined,
    Member,
    Ordering,
    ResolvedRule,
    columns_read,
    facts_read,
    leaves,
    members_read,
    rule_meaning,
)

HOLDOUT = "is_holdout"


def segments_name(segment: str) -> str:
    """The table key of an audience."""
    return f"segments/{segment}"


def segment_table(segment: str) -> ibis.Table:
    """The published members of an audience as an unbound table: (person_id, is_holdout)."""
    return unbound(segments_name(segment), {PERSON: "string", HOLDOUT: "boolean"})


def rule_inputs(resolved: Resolved, rules: Iterable[ResolvedRule]) -> dict[str, frozenset[str]]:
    """The tables that ``rules`` read beside the population; of tags and scores also which columns."""
    found: dict[str, frozenset[str]] = {}
    for rule in rules:
        for name, columns in column_inputs(resolved, columns_read(rule)).items():
            found[name] = found.get(name, frozenset()) | columns
        others = [keyed_name(resolved.sources[code]) for code in facts_read(rule)]
        others += [segments_name(code) for code in members_read(rule, "segment")]
        others += [f"lists/{code}" for code in members_read(rule, "list")]
        found |= dict.fromkeys(others, frozenset())
    return dict(sorted(found.items()))


def column_inputs(resolved: Resolved, columns: Iterable[str]) -> dict[str, frozenset[str]]:
    """The tables of tags and scores that hold ``columns``, and which of them each holds."""
    found: dict[str, set[str]] = defaultdict(set)
    for column in columns:
        score = resolved.score_of(column)
        found[tags_name(resolved.category_of(column)) if score is None else scores_name(score)].add(column)
    return {name: frozenset(own) for name, own in sorted(found.items())}


def with_columns(resolved: Resolved, table: ibis.Table, columns: Iterable[str]) -> ibis.Table:
    """``table`` (one row per person) with ``columns`` of tags and scores beside; null for a person without a row."""
    for name, own in column_inputs(resolved, columns).items():
        stage, code = name.split("/")
        part = category_table(resolved, code) if stage == "tags" else score_table(resolved.scores[code])
        table = beside(table, part.select(PERSON, *[name for name in part.columns if name in own]))
    return table


@dataclass
class _Columns:
    """What the leaves of some rules need beside tags and scores, each once, under names no tag can have."""

    events: dict[str, tuple[str, Event]] = field(default_factory=dict)
    members: dict[str, tuple[str, ibis.Table]] = field(default_factory=dict)

    @classmethod
    def of(cls, resolved: Resolved, rules: Iterable[ResolvedRule], as_of: date) -> "_Columns":
        found = cls()
        for leaf in (leaf for rule in rules for leaf in leaves(rule)):
            if isinstance(leaf, Did):
                found.events.setdefault(_measured(leaf.event), (f"_event{len(found.events)}", leaf.event))
            elif not isinstance(leaf, Condition) and rule_meaning(leaf) not in found.members:
                members = _members(resolved, leaf, as_of)
                found.members[rule_meaning(leaf)] = (f"_in{len(found.members)}", members)
        return found


def _measured(event: Event) -> str:
    """The same for events that compare the same measure with different values."""
    return rule_meaning(Did(replace(event, comparison="at_least", value=1), False)) + event.measure


def _members(resolved: Resolved, leaf: Ordering | Member, as_of: date) -> ibis.Table:
    if isinstance(leaf, Ordering):
        return sequence_table(resolved.sources, leaf, as_of)
    return (segment_table(leaf.code) if leaf.kind == "segment" else list_table(leaf.code)).select(PERSON)


def rule_table(
    resolved: Resolved, rules: Mapping[str, ResolvedRule], as_of: date, persons: ibis.Table | None = None
) -> ibis.Table:
    """(person_id, one boolean per rule): whether each rule holds for each person, or each of ``persons``."""
    table, columns = _asked(resolved, rules.values(), as_of, persons_table() if persons is None else persons)
    held = {code: _holds(rule, table, columns, as_of) for code, rule in rules.items()}
    return table.select(PERSON, **held)


def leaf_table(resolved: Resolved, rule: ResolvedRule, as_of: date, persons: ibis.Table) -> ibis.Table:
    """What a rule sees of ``persons``: (person_id; of its n-th leaf ``_leaf<n>``, whether it holds, and of an event
    ``_seen<n>``, what was measured; every tag and score column it reads)."""
    table, columns = _asked(resolved, [rule], as_of, persons)
    found: dict[str, ir.Value] = {}
    for number, leaf in enumerate(leaves(rule)):
        found[f"_leaf{number}"] = _holds(leaf, table, columns, as_of)
        if isinstance(leaf, Did):
            found[f"_seen{number}"] = measured(table[columns.events[_measured(leaf.event)][0]], leaf.event)
    return table.select(PERSON, *sorted(columns_read(rule)), **found)


def _asked(
    resolved: Resolved, rules: Iterable[ResolvedRule], as_of: date, persons: ibis.Table
) -> tuple[ibis.Table, _Columns]:
    """``persons`` with everything the rules look at beside, and under which names."""
    rules = list(rules)
    table = with_columns(resolved, persons, frozenset().union(*map(columns_read, rules)))
    columns = _Columns.of(resolved, rules, as_of)
    by_fact: dict[str, dict[str, Event]] = defaultdict(dict)
    for name, event in columns.events.values():
        by_fact[event.fact][name] = event
    for fact, events in by_fact.items():
        table = beside(table, event_table(resolved.sources[fact], events, as_of))
    for name, members in columns.members.values():
        table = beside(table, members.mutate(**{name: ibis.literal(True)}))
    return table, columns


def _holds(rule: ResolvedRule, table: ibis.Table, columns: _Columns, as_of: date) -> ir.BooleanValue:
    if isinstance(rule, Condition):
        return compile_condition(rule.node, table, as_of)
    if isinstance(rule, Did):
        name, _ = columns.events[_measured(rule.event)]
        happened = compared(table[name], rule.event)
        return ~happened if rule.absent else happened
    if not isinstance(rule, Joined):
        name, _ = columns.members[rule_meaning(rule)]
        return ibis.coalesce(table[name], ibis.literal(False))
    below = [_holds(item, table, columns, as_of) for item in rule.rules]
    if rule.how == "all":
        return balanced(and_, below)
    if rule.how == "at_least":
        return _count(below) >= rule.least
    any_of_them = balanced(or_, below)
    return ~any_of_them if rule.how == "none" else any_of_them


def _count(conditions: list[ir.BooleanValue]) -> ir.IntegerValue:
    return balanced(lambda left, right: left + right, [condition.cast("int64") for condition in conditions])
