"""What it takes to see a column, an audience, a score: a level, and rights to what it is made of.

``engine.reader`` says who has it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from valtag_assets.engine.identity.tables import COLUMNS as IDENTITY_COLUMNS
from valtag_assets.engine.persons import OWNER, PERSON, STRANGER_COLUMNS, STRANGERS
from valtag_assets.engine.rules import HOLDOUT
from valtag_assets.engine.trigger_state import ENTERED_AS, SEEN, STATE
from valtag_assets.expression.resolve_trigger import WHEN
from valtag_assets.expression.resolved import Resolved, ResolvedAllocation, ResolvedReport, ResolvedSource
from valtag_assets.expression.rule import ResolvedRule, columns_read, facts_read, fields_read, members_read
from valtag_assets.spec.allocation import COLUMN_TITLES
from valtag_assets.spec.block import ACCESS_LEVELS, Access
from valtag_assets.spec.report import ROW, TOTAL
from valtag_assets.warehouse.snapshot import TableRef

QUARANTINE = "quarantine"
# Columns of identities that hold the id of a person.
_IDS = (PERSON, "piece", "was", "now", "other_id")


def may_read(level: Access, column: Access) -> bool:
    """Whether who reads up to ``level`` reads what has the level ``column``."""
    return ACCESS_LEVELS.index(column) <= ACCESS_LEVELS.index(level)


@dataclass(frozen=True)
class Need:
    """What it takes to read a thing: a level, and rights to these tags and sources."""

    level: Access
    tags: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()


def joined(needs: Iterable[Need]) -> Need:
    """What it takes to read all of them; the least there is for nothing."""
    every = list(needs)
    return Need(
        max((need.level for need in every), key=ACCESS_LEVELS.index, default="public"),
        frozenset[str]().union(*(need.tags for need in every)),
        frozenset[str]().union(*(need.sources for need in every)),
    )


_INTERNAL = Need("internal")


def column_needs(resolved: Resolved, table: TableRef, columns: Iterable[str]) -> dict[str, Need]:
    """What each column takes; one the catalog does not know any more takes the highest level, and every tag."""
    known: dict[str, Need] = {PERSON: person_need(resolved)}
    if table.stage == "tags":
        known |= {code: tag_need(resolved, code) for code, tag in resolved.tags.items() if tag.category == table.name}
    elif table.stage in ("clean", "merged", "keyed") and table.name in resolved.sources:
        known |= {OWNER: person_need(resolved)} | field_needs(resolved, resolved.sources[table.name])
        about = ("_file", "_row", "_into_file", "_into_row")
        known |= dict.fromkeys(about, Need("internal", sources=frozenset({table.name})))
    elif table.stage == "segments" and table.name in resolved.segments:
        member = joined([person_need(resolved), segment_need(resolved, table.name)])
        known |= {PERSON: member, HOLDOUT: joined([_INTERNAL, segment_need(resolved, table.name)])}
    elif table.stage == "triggers":
        known |= trigger_needs(resolved, columns)
        if table.name in resolved.triggers:
            known[PERSON] = joined([known[PERSON], trigger_need(resolved, table.name)])
    elif table.key == STRANGERS:
        # How many rows and keys each fact has of nobody: numbers, no keys.
        known |= dict.fromkeys(STRANGER_COLUMNS, _INTERNAL)
    elif table.key in IDENTITY_COLUMNS:
        # Keys are personal whatever their kind; an id says no more than that of a person does.
        known |= {name: known[PERSON] if name in _IDS else _INTERNAL for name in IDENTITY_COLUMNS[table.key]}
        known["key"] = Need("pii")
    elif table.stage == "spread":
        known |= dict.fromkeys(("file", "field", "rows"), _INTERNAL)
    elif table.stage == "scores" and table.name in resolved.scores:
        known |= dict.fromkeys(resolved.scores[table.name].columns, score_need(resolved, table.name))
    elif table.stage == "allocations" and table.name in resolved.allocations:
        known |= allocation_needs(resolved, resolved.allocations[table.name])
    elif table.stage == "reports" and table.name in resolved.reports:
        known |= report_needs(resolved, resolved.reports[table.name])
    elif table.stage in ("deliveries", "effects", "insight"):
        # Counts of messages, persons and tags; who they are is not in them.
        known |= dict.fromkeys(columns, _INTERNAL)
    elif table.stage == QUARANTINE:
        # value and record are judged row by row: see engine.refused.
        about_rows = Need("internal", sources=frozenset({table.name}))
        known |= {column: about_rows for column in columns if column not in known}
    return {column: known.get(column, Need("pii", tags=frozenset({column}))) for column in columns}


def person_need(resolved: Resolved) -> Need:
    """What it takes to know of single persons at all."""
    return Need(resolved.catalog.project.persons.access)


def tag_need(resolved: Resolved, code: str) -> Need:
    return Need(resolved.tags[code].spec.access, frozenset({code}))


def trigger_need(resolved: Resolved, code: str) -> Need:
    """What it takes to know that a trigger has seen somebody: all that its condition reads."""
    trigger = resolved.triggers[code]
    event = Need("public", sources=frozenset({trigger.event} if trigger.event is not None else ()))
    return joined([event, *(rule_need(resolved, rule) for name, rule in trigger.rules.items() if name == WHEN)])


def trigger_needs(resolved: Resolved, columns: Iterable[str]) -> dict[str, Need]:
    """What every column takes: values kept take what their tag does; the event's key what a person does."""
    found: dict[str, Need] = {name: _INTERNAL for name in STATE if name not in (PERSON, "event")}
    found |= dict.fromkeys((ENTERED_AS, "event"), person_need(resolved))
    needs = served_needs(resolved)
    kept = {name: name.removeprefix(SEEN) for name in columns if name.startswith(SEEN)}
    return found | {name: needs.get(code, Need("pii", frozenset({code}))) for name, code in kept.items()}


def report_needs(resolved: Resolved, report: ResolvedReport) -> dict[str, Need]:
    """What every column takes: a dimension what it shows does; measures count, and name nobody."""
    found: dict[str, Need] = dict.fromkeys((ROW, TOTAL, *report.measures), _INTERNAL)
    for item in report.dimensions:
        if item.kind == "tag":
            found[item.name] = served_need(resolved, item.source)
        elif item.kind == "field":
            assert report.spec.fact is not None
            found[item.name] = field_needs(resolved, resolved.sources[report.spec.fact])[item.source]
        else:
            found[item.name] = _INTERNAL
    return found


def allocation_needs(resolved: Resolved, allocation: ResolvedAllocation) -> dict[str, Need]:
    """What every column takes: what names a tier takes what the column does of which it is a value; the rest names
    nobody."""
    found: dict[str, Need] = dict.fromkeys(COLUMN_TITLES, _INTERNAL)
    return found | dict.fromkeys(("tier", "title_zh", "title_en"), served_need(resolved, allocation.spec.of))


def field_needs(resolved: Resolved, source: ResolvedSource) -> dict[str, Need]:
    """What every clean column takes: the rows of its source, and its own level or that of the lookup it is from."""
    return {
        name: Need(level, sources=frozenset({source.code})) for name, level in field_levels(resolved, source).items()
    }


def field_levels(resolved: Resolved, source: ResolvedSource) -> dict[str, Access]:
    """The level of every clean column: its own, or that of the lookup it was taken from."""
    spec = source.spec
    found: dict[str, Access] = {field.name: field.access for field in spec.fields}
    found |= {item.name: item.access for item in spec.compute}
    for lookup in spec.lookups:
        below = field_levels(resolved, resolved.sources[lookup.source])
        found |= {name: below[name] for name in lookup.take}
    return found


def score_need(resolved: Resolved, code: str) -> Need:
    """What a score takes that is said of a person: at least internal, and all of the tags it is made of."""
    return joined([_INTERNAL, *(tag_need(resolved, tag) for tag in resolved.scores[code].tags)])


def segment_need(resolved: Resolved, code: str) -> Need:
    """What being in an audience takes: all that decides it, other audiences included.

    That somebody was put on an uploaded list is known to whoever may know of single persons.
    """
    waiting, seen, found = [code], set[str](), list[Need]()
    while waiting:
        segment = resolved.segments[waiting.pop()]
        if segment.code not in seen:
            seen.add(segment.code)
            waiting += segment.segments
            found += _columns_and_facts(resolved, segment.rule, {*segment.tags, *segment.scores})
            found += [person_need(resolved)] if segment.lists else []
    return joined(found)


def rule_need(resolved: Resolved, rule: ResolvedRule) -> Need:
    """What the answer of a rule takes: its tags, scores, facts and their fields, the audiences and lists it names."""
    found = _columns_and_facts(resolved, rule, columns_read(rule))
    found += [segment_need(resolved, code) for code in members_read(rule, "segment")]
    found += [person_need(resolved)] if members_read(rule, "list") else []
    return joined(found)


def _columns_and_facts(resolved: Resolved, rule: ResolvedRule, columns: Iterable[str]) -> list[Need]:
    found = [served_need(resolved, name) for name in columns]
    found += [field_needs(resolved, resolved.sources[fact])[name] for fact, name in fields_read(rule)]
    return [*found, Need("public", sources=facts_read(rule))]


def placement_need(resolved: Resolved, code: str) -> Need:
    """What a person's variant takes: the level that is declared, or all that the rules read."""
    declared = resolved.placements[code].spec.access
    return rules_need(resolved, code) if declared is None else Need(declared)


def rules_need(resolved: Resolved, code: str) -> Need:
    """What it takes to know which rule of a placement decided."""
    placement = resolved.placements[code]
    inside = [segment_need(resolved, name) for name in placement.segments]
    return joined([*(served_need(resolved, name) for name in (*placement.tags, *placement.scores)), *inside])


def served_need(resolved: Resolved, name: str) -> Need:
    """What a tag or a column of a score takes."""
    return tag_need(resolved, name) if name in resolved.tags else score_need(resolved, str(resolved.score_of(name)))


def served_needs(resolved: Resolved) -> dict[str, Need]:
    """What every tag and score column takes."""
    found = {code: tag_need(resolved, code) for code in resolved.tags}
    for code, score in resolved.scores.items():
        found |= dict.fromkeys(score.columns, score_need(resolved, code))
    return found
