"""A segment's rule as a typed tree, and its canonical text.

A rule has two values: a condition that is unknown does not hold, as everywhere in the expression language.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.tree import Node
from valtag_assets.spec.event import Comparison, Dates, Measure


@dataclass(frozen=True)
class Condition:
    """An expression over tags and scores."""

    node: Node


@dataclass(frozen=True)
class Joined:
    """Rules of which ``all``, ``any``, ``none`` or ``at_least`` so many (``least``) must hold."""

    how: Literal["all", "any", "none", "at_least"]
    rules: tuple["ResolvedRule", ...]
    least: int = 0


@dataclass(frozen=True)
class Event:
    """Whether a measure of a person's rows of ``fact`` compares with ``value`` as it should; no rows measure 0."""

    fact: str
    measure: Measure
    of: Node | None
    where: Node | None
    dates: Dates
    comparison: Comparison
    value: int | Decimal


@dataclass(frozen=True)
class Did:
    """An event that did, or (``absent``) did not happen."""

    event: Event
    absent: bool


@dataclass(frozen=True)
class Stage:
    """One step of a sequence: rows of ``fact`` at most ``gap`` days after the step before that happened.

    ``same`` pairs this step's fields with those of the last step that happened and is compared.
    """

    fact: str
    where: Node | None
    absent: bool
    gap: int | None
    same: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Ordering:
    """Stages in their order; ``dates`` are those of the first."""

    stages: tuple[Stage, ...]
    dates: Dates


@dataclass(frozen=True)
class Member:
    """Being in another segment, or in an uploaded list."""

    kind: Literal["segment", "list"]
    code: str


ResolvedRule = Condition | Joined | Did | Ordering | Member


def leaves(rule: ResolvedRule) -> Iterator["Condition | Did | Ordering | Member"]:
    """Everything below that is no branch, in order."""
    waiting: list[ResolvedRule] = [rule]
    while waiting:
        current = waiting.pop()
        if isinstance(current, Joined):
            waiting.extend(reversed(current.rules))
        else:
            yield current


def columns_read(rule: ResolvedRule) -> frozenset[str]:
    """The tags and score columns it reads."""
    found = (names_read(leaf.node) for leaf in leaves(rule) if isinstance(leaf, Condition))
    return frozenset().union(*found)


def facts_read(rule: ResolvedRule) -> frozenset[str]:
    """The facts it reads."""
    found = set()
    for leaf in leaves(rule):
        if isinstance(leaf, Did):
            found.add(leaf.event.fact)
        elif isinstance(leaf, Ordering):
            found.update(stage.fact for stage in leaf.stages)
    return frozenset(found)


def fields_read(rule: ResolvedRule) -> frozenset[tuple[str, str]]:
    """The (fact, field) pairs it reads: in conditions, in measures, and those that must be the same at two stages."""
    found: set[tuple[str, str]] = set()
    for leaf in leaves(rule):
        if isinstance(leaf, Did):
            event = leaf.event
            nodes = [node for node in (event.of, event.where) if node is not None]
            found |= {(event.fact, name) for node in nodes for name in names_read(node)}
        elif isinstance(leaf, Ordering):
            last = ""  # the fact of the last stage that happened
            for stage in leaf.stages:
                found |= {(stage.fact, name) for name in (names_read(stage.where) if stage.where else ())}
                found |= {pair for own, earlier in stage.same for pair in ((stage.fact, own), (last, earlier))}
                last = last if stage.absent else stage.fact
    return frozenset(found)


def members_read(rule: ResolvedRule, kind: Literal["segment", "list"]) -> frozenset[str]:
    """The segments, or the lists, it reads."""
    return frozenset(leaf.code for leaf in leaves(rule) if isinstance(leaf, Member) and leaf.kind == kind)


def rule_meaning(rule: ResolvedRule) -> str:
    """The canonical text of a rule: equal for every spelling of it, and a rule again when read."""
    if isinstance(rule, Condition):
        return meaning(rule.node)
    if isinstance(rule, Joined):
        first = [str(rule.least)] if rule.how == "at_least" else []
        return f"{rule.how}({', '.join([*first, *map(rule_meaning, rule.rules)])})"
    if isinstance(rule, Member):
        return f"in_{rule.kind}({rule.code})"
    if isinstance(rule, Did):
        return f"{'did_not' if rule.absent else 'did'}({', '.join(_event_clauses(rule.event))})"
    stages = [f"{'did_not' if stage.absent else 'did'}({', '.join(_stage_clauses(stage))})" for stage in rule.stages]
    return f"sequence({', '.join([*stages, *_dates_clause(rule.dates)])})"


def plain(number: int | float | Decimal) -> str:
    """A number without exponent, as a rule's text has it."""
    return format(Decimal(str(number)), "f")


def _event_clauses(event: Event) -> Iterator[str]:
    yield event.fact
    if (event.measure, event.comparison, event.value) != ("times", "at_least", 1):
        of = "" if event.of is None else f"{event.measure}({meaning(event.of)}) "
        times = " times" if event.of is None else ""
        yield f"{of}{event.comparison.replace('_', ' ')} {plain(event.value)}{times}"
    yield from _dates_clause(event.dates)
    if event.where is not None:
        yield f"where {meaning(event.where)}"


def _stage_clauses(stage: Stage) -> Iterator[str]:
    yield stage.fact
    if stage.gap is not None:
        yield f"within {stage.gap}d"
    for own, earlier in stage.same:
        yield f"same {own}" if own == earlier else f"same {own} = {earlier}"
    if stage.where is not None:
        yield f"where {meaning(stage.where)}"


def _dates_clause(dates: Dates) -> Iterator[str]:
    first, last = dates.first, dates.last
    if first is not None and last is not None:
        yield f"between {_end(first)} and {_end(last)}"
    elif first is not None:
        word = "within" if isinstance(first, int | str) else "since"
        yield f"{word} {_end(first)}"
    elif last is not None:
        # A date of its own is the last that counts; written, ``before`` leaves its day out.
        yield f"before {_end(last) if isinstance(last, int) else last.fromordinal(last.toordinal() + 1)}"


def _end(end: object) -> str:
    if isinstance(end, int):
        return f"{end}d"
    return {"month": "mtd", "year": "ytd"}.get(str(end), str(end))
