"""Audiences resolved: rules typed, references met, circles refused, rules that can't hold refused."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.never import Range, never_holds
from valtag_assets.expression.parse import parse
from valtag_assets.expression.resolve_rule import resolve_rule
from valtag_assets.expression.resolved import (
    PERSON,
    Ordered,
    ResolvedScore,
    ResolvedSegment,
    ResolvedSource,
    ResolvedTag,
    RuleScope,
)
from valtag_assets.expression.rule import (
    Member,
    ResolvedRule,
    columns_read,
    facts_read,
    leaves,
    members_read,
    rule_meaning,
)
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.segment import Segment
from valtag_assets.spec.types import TEXT

# An engine plans a statement of so many in seconds; of ten times as many, in minutes.
MOST_CONDITIONS = 2000


def rule_scope(
    symbols: list[Symbol],
    scores: Mapping[str, ResolvedScore],
    sources: Mapping[str, ResolvedSource],
    segments: tuple[str, ...],
) -> RuleScope:
    """Everything a rule may name."""
    columns = [
        Symbol(column, kind, tuple(score.values[column]) if column in score.values else None)
        for score in scores.values()
        for column, kind in score.columns.items()
    ]
    lists = tuple(code for code, source in sources.items() if source.spec.kind == "list")
    return RuleScope(Scope([*symbols, *columns], "tag or score"), sources, segments, lists)


def resolve_segments(
    catalog: Catalog,
    tags: Mapping[str, ResolvedTag],
    scope: RuleScope,
    problems: list[Problem],
) -> dict[str, ResolvedSegment]:
    """Every audience of the catalog, each after those it is made of. Mistakes go to ``problems``."""
    found = {code: _segment(catalog, entry, tags, scope, problems) for code, entry in catalog.segments.items()}
    problems.extend(_exclusion_faults(catalog, scope))
    excluded = exclusions(catalog, scope)
    found = {code: _with_exclusions(excluded, found, segment) for code, segment in found.items()}
    order = _order(found, problems)
    return {code: found[code] for code in order}


def refusals(rule: ResolvedRule, tags: Mapping[str, ResolvedTag]) -> list[str]:
    """Why a rule is refused although every part of it is sound: it is too large, or can never hold."""
    many = sum(1 for _ in leaves(rule))
    if many > MOST_CONDITIONS:
        return [f"has {many:,} conditions, more than {MOST_CONDITIONS:,}: write in (…), or upload a list of persons"]
    found = {code: _domain_of(tags[code]) for code in columns_read(rule) if code in tags}
    return never_holds(rule, {code: domain for code, domain in found.items() if domain is not None})


def _domain_of(tag: ResolvedTag) -> Range | None:
    """What the catalog lets a tag be: its domain, and what it is when there is nothing to compute from."""
    domain, empty = tag.spec.domain, tag.spec.empty
    if tag.values is not None and tag.type == TEXT:
        among = frozenset({*tag.values, *([] if empty is None else [str(empty)])})
        return Range(among=among)
    if domain is None or not tag.type.numeric:
        return None
    ends = [None if end is None else Decimal(str(end)) for end in (domain.min, domain.max)]
    if isinstance(empty, int | float):
        ends[0] = None if ends[0] is None else min(ends[0], Decimal(str(empty)))
        ends[1] = None if ends[1] is None else max(ends[1], Decimal(str(empty)))
    low, high = (None if end is None else (end, True) for end in ends)
    return Range(low=low, high=high)


def _segment(
    catalog: Catalog,
    entry: Entry[Segment],
    tags: Mapping[str, ResolvedTag],
    scope: RuleScope,
    problems: list[Problem],
) -> ResolvedSegment:
    spec = entry.spec
    faults: list[Problem] = []
    if spec.code == PERSON:
        faults.append(entry.problem(f"'{PERSON}' is the key of every audience: give this one another code", "code"))
    rule = resolve_rule(spec.rule, scope, lambda said, place: faults.append(entry.problem(said, *place)), ("rule",))
    if not faults:
        faults.extend(entry.problem(said, "rule") for said in refusals(rule, tags))
    order = tuple(_orders(entry, scope, faults))
    caps = [cap.per for cap in spec.caps]
    for number, name in enumerate(caps):
        if scope.columns.get(name) is None:
            known = did_you_mean(name, [symbol.code for symbol in scope.columns])
            faults.append(entry.problem(f"'{name}' is no tag or score{known}", "caps", number, "per"))
    problems.extend(faults)
    above = _above(catalog, entry, problems)
    read = columns_read(rule) | frozenset(caps) | frozenset().union(*(names_read(step.node) for step in order))
    read &= {symbol.code for symbol in scope.columns}
    return ResolvedSegment(
        code=spec.code,
        entry=entry,
        rule=rule,
        order=order,
        above=above,
        excluded=(),
        tags=read & tags.keys(),
        scores=read - tags.keys(),
        facts=facts_read(rule),
        segments=members_read(rule, "segment") | frozenset(above),
        lists=members_read(rule, "list"),
        meaning=repr(
            (
                rule_meaning(rule),
                [(meaning(step.node), step.descending) for step in order],
                [(cap.per, cap.at_most) for cap in spec.caps],
                spec.limit,
                repr(spec.sample),
                repr(spec.holdout),
                above,
            )
        ),
    )


def _orders(entry: Entry[Segment], scope: RuleScope, faults: list[Problem]) -> Iterator[Ordered]:
    for number, text in enumerate(entry.spec.order):
        value, _, direction = text.strip().rpartition(" ")
        if direction not in ("asc", "desc") or not value:
            message = f"'{text}' is not '… asc' or '… desc', as in 'total_spend desc'"
            faults.append(entry.problem(message, "order", number))
            continue
        try:
            node = parse(value, scope.columns)
        except ExpressionError as error:
            faults.append(entry.problem(str(error), "order", number))
            continue
        if node.type is None or node.type.kind == "list":
            faults.append(entry.problem(f"'{value}' has no order: name a single value", "order", number))
            continue
        yield Ordered(node, direction == "desc")


def _above(catalog: Catalog, entry: Entry[Segment], problems: list[Problem]) -> tuple[str, ...]:
    """The audiences of the same waterfall with a lower priority number, first to last."""
    own = entry.spec.waterfall
    if own is None:
        return ()
    others = {
        code: other.spec.waterfall.priority
        for code, other in catalog.segments.items()
        if other.spec.waterfall is not None and other.spec.waterfall.set == own.set and code != entry.spec.code
    }
    twin = next((code for code, priority in others.items() if priority == own.priority), None)
    if twin is not None:
        message = f"'{twin}' has priority {own.priority} in '{own.set}' already: give each audience its own"
        problems.append(entry.problem(message, "waterfall", "priority"))
    return tuple(sorted((c for c, priority in others.items() if priority < own.priority), key=lambda c: others[c]))


def _exclusion_faults(catalog: Catalog, scope: RuleScope) -> Iterator[Problem]:
    known = {"segments": list(catalog.segments), "lists": list(scope.lists)}
    for kind, codes in known.items():
        for code in getattr(catalog.project.exclusions, kind):
            if code not in codes:
                message = f"exclusions: '{code}' is no {kind[:-1]}{did_you_mean(code, codes)}"
                yield Problem(catalog.root / "project.yaml", 1, f"exclusions.{kind}", message)


def exclusions(catalog: Catalog, scope: RuleScope) -> tuple[Member, ...]:
    """Whose members are in no audience: the project's exclusions that exist."""
    excluded = catalog.project.exclusions
    lists = [Member("list", code) for code in excluded.lists if code in scope.lists]
    return (*lists, *(Member("segment", code) for code in excluded.segments if code in scope.segments))


def _with_exclusions(
    members: tuple[Member, ...], found: Mapping[str, ResolvedSegment], segment: ResolvedSegment
) -> ResolvedSegment:
    """``segment`` with the project's exclusions; without the segments among them if it is one of these, or if one
    of these is made of it."""
    segments = [member.code for member in members if member.kind == "segment"]
    if segment.code in _below(found, segments):
        segments, members = [], tuple(member for member in members if member.kind == "list")
    if not members:
        return segment
    return replace(
        segment,
        excluded=members,
        segments=segment.segments | set(segments),
        lists=segment.lists | {member.code for member in members if member.kind == "list"},
        meaning=repr((segment.meaning, [(member.kind, member.code) for member in members])),
    )


def _below(found: Mapping[str, ResolvedSegment], codes: list[str]) -> set[str]:
    """``codes`` and every segment they are made of."""
    seen: set[str] = set()
    waiting = list(codes)
    while waiting:
        code = waiting.pop()
        if code in found and code not in seen:
            seen.add(code)
            waiting.extend(found[code].segments)
    return seen


def _order(found: Mapping[str, ResolvedSegment], problems: list[Problem]) -> list[str]:
    """The codes as written, but each after those it is made of."""
    try:
        TopologicalSorter({code: segment.segments for code, segment in found.items()}).prepare()
    except CycleError as error:
        chain = list(reversed(error.args[1]))
        message = f"segments are made of each other in a circle: {' → '.join(chain)}"
        problems.append(found[chain[0]].entry.problem(message, "rule"))
        return list(found)
    ordered: dict[str, None] = {}
    waiting = list(found)[::-1]
    while waiting:
        below = sorted(found[waiting[-1]].segments & found.keys() - ordered.keys(), reverse=True)
        if below:
            waiting += below
        else:
            ordered.setdefault(waiting.pop())
    return list(ordered)
