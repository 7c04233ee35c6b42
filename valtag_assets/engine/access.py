"""Who may see which column of a published table (access.yaml)."""

import json
from collections.abc import Iterable
from typing import Any

from valtag_assets.engine.identity.tables import COLUMNS as IDENTITY_COLUMNS
from valtag_assets.engine.persons import OWNER, PERSON, STRANGER_COLUMNS, STRANGERS
from valtag_assets.engine.rules import HOLDOUT
from valtag_assets.engine.trigger_state import ENTERED_AS, SEEN, STATE
from valtag_assets.expression.resolved import Resolved, ResolvedAllocation, ResolvedReport, ResolvedSource
from valtag_assets.expression.rule import fields_read
from valtag_assets.spec.allocation import COLUMN_TITLES
from valtag_assets.spec.block import ACCESS_LEVELS, Access
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.spec.report import ROW, TOTAL
from valtag_assets.warehouse.snapshot import TableRef

QUARANTINE = "quarantine"
# Columns of identities that hold the id of a person.
_IDS = (PERSON, "piece", "was", "now")


def role_level(resolved: Resolved, role: str | None) -> Access:
    """The highest level ``role`` (None: the default role) may read. Raises Mistake for an unknown role."""
    access = resolved.catalog.access
    name = role or access.default_role
    if name not in access.roles:
        raise Mistake(f"'{name}' is no role of access.yaml{did_you_mean(name, sorted(access.roles))}")
    return access.roles[name]


def may_read(level: Access, column: Access) -> bool:
    return ACCESS_LEVELS.index(column) <= ACCESS_LEVELS.index(level)


def column_levels(resolved: Resolved, table: TableRef, columns: Iterable[str]) -> dict[str, Access]:
    """The level of each column; one the catalog does not know any more is taken for the highest."""
    known: dict[str, Access] = {PERSON: resolved.catalog.project.persons.access}
    if table.stage == "tags":
        known |= {code: tag.spec.access for code, tag in resolved.tags.items() if tag.category == table.name}
    elif table.stage in ("clean", "keyed", "merged") and table.name in resolved.sources:
        known[OWNER] = known[PERSON]
        known |= field_levels(resolved, resolved.sources[table.name])
        known |= dict.fromkeys(("_file", "_row", "_into_file", "_into_row"), "internal")
    elif table.stage == "segments" and table.name in resolved.segments:
        known[HOLDOUT] = "internal"
    elif table.stage == "triggers":
        known |= trigger_levels(resolved, columns)
    elif table.key == STRANGERS:
        # How many rows and keys each fact has of nobody: numbers, no keys.
        known |= dict.fromkeys(STRANGER_COLUMNS, "internal")
    elif table.key in IDENTITY_COLUMNS:
        # Keys are personal whatever their kind; an id says no more than that of a person does.
        known |= {name: known[PERSON] if name in _IDS else "internal" for name in IDENTITY_COLUMNS[table.key]}
        known["key"] = "pii"
    elif table.stage == "spread":
        known |= dict.fromkeys(("file", "field", "rows"), "internal")
    elif table.stage == "scores" and table.name in resolved.scores:
        known |= dict.fromkeys(resolved.scores[table.name].columns, score_level(resolved, table.name))
    elif table.stage == "allocations" and table.name in resolved.allocations:
        known |= allocation_levels(resolved, resolved.allocations[table.name])
    elif table.stage == "reports" and table.name in resolved.reports:
        known |= report_levels(resolved, resolved.reports[table.name])
    elif table.stage in ("deliveries", "effects", "insight"):
        # Counts of messages, persons and tags; who they are is not in them.
        known |= dict.fromkeys(columns, "internal")
    elif table.stage == QUARANTINE:
        # value and record are judged row by row: see hide_quarantine.
        known |= {column: "internal" for column in columns if column not in known}
    return {column: known.get(column, "pii") for column in columns}


def trigger_levels(resolved: Resolved, columns: Iterable[str]) -> dict[str, Access]:
    """The level of every column: values kept have that of their tag; the event's key that of a person."""
    found: dict[str, Access] = {name: "internal" for name in STATE if name not in (PERSON, "event")}
    found |= dict.fromkeys((ENTERED_AS, "event"), resolved.catalog.project.persons.access)
    levels = served_levels(resolved)
    kept = {name: name.removeprefix(SEEN) for name in columns if name.startswith(SEEN)}
    return found | {name: levels.get(code, "pii") for name, code in kept.items()}


def report_levels(resolved: Resolved, report: ResolvedReport) -> dict[str, Access]:
    """The level of every column: a dimension's is that of what it shows; measures count, and name nobody."""
    found: dict[str, Access] = dict.fromkeys((ROW, TOTAL, *report.measures), "internal")
    for item in report.dimensions:
        if item.kind == "tag":
            found[item.name] = served_levels(resolved)[item.source]
        elif item.kind == "field":
            assert report.spec.fact is not None
            found[item.name] = field_levels(resolved, resolved.sources[report.spec.fact])[item.source]
        else:
            found[item.name] = "internal"
    return found


def allocation_levels(resolved: Resolved, allocation: ResolvedAllocation) -> dict[str, Access]:
    """The level of every column: what names a tier has that of the column it is a value of; the rest names nobody."""
    found: dict[str, Access] = dict.fromkeys(COLUMN_TITLES, "internal")
    return found | dict.fromkeys(("tier", "title_zh", "title_en"), served_levels(resolved)[allocation.spec.of])


def field_levels(resolved: Resolved, source: ResolvedSource) -> dict[str, Access]:
    """The level of every clean column: its own, or that of the lookup it was taken from."""
    spec = source.spec
    found: dict[str, Access] = {field.name: field.access for field in spec.fields}
    found |= {item.name: item.access for item in spec.compute}
    for lookup in spec.lookups:
        below = field_levels(resolved, resolved.sources[lookup.source])
        found |= {name: below[name] for name in lookup.take}
    return found


def hides_quarantine(resolved: Resolved, source: ResolvedSource, level: Access) -> bool:
    """Whether refused rows of ``source`` may hold values above ``level``."""
    return not all(may_read(level, access) for access in field_levels(resolved, source).values())


def hide_quarantine(resolved: Resolved, source: ResolvedSource, level: Access, row: dict[str, Any]) -> dict[str, Any]:
    """A refused row without the values above ``level``, in ``value`` and inside ``record``."""
    if not hides_quarantine(resolved, source, level):
        return row
    levels = field_levels(resolved, source)
    fields = source.spec.fields
    hidden = {field.source_name for field in fields if not may_read(level, field.access)}
    readable = {field.source_name for field in fields} - hidden
    about = row.get("field")
    shown = about in levels and may_read(level, levels[str(about)])
    return {**row, "value": row.get("value") if shown else MASK, "record": _only(row.get("record"), readable)}


def _only(record: object, readable: set[str]) -> object:
    """The record's JSON object with only these values; a text that is no object is hidden whole."""
    try:
        values = json.loads(str(record))
    except ValueError:
        return MASK
    if not isinstance(values, dict):
        return MASK
    shown = {key: value if key in readable or value is None else MASK for key, value in values.items()}
    return json.dumps(shown, ensure_ascii=False)


def score_level(resolved: Resolved, code: str) -> Access:
    """The level of what a score says of a person: internal, or the highest of the tags it is made of."""
    return _highest(["internal", *(resolved.tags[tag].spec.access for tag in resolved.scores[code].tags)])


def segment_level(resolved: Resolved, code: str) -> Access:
    """The level of being in an audience: the highest of all that decides it, other audiences included.

    That somebody was put on an uploaded list is known to whoever may know of single persons.
    """
    waiting, seen, found = [code], set[str](), list[Access]()
    while waiting:
        segment = resolved.segments[waiting.pop()]
        if segment.code not in seen:
            seen.add(segment.code)
            waiting += segment.segments
            found += _read_levels(resolved, segment.tags, segment.scores)
            found += [
                field_levels(resolved, resolved.sources[fact])[name] for fact, name in fields_read(segment.rule)
            ]
            found += [resolved.catalog.project.persons.access] if segment.lists else []
    return _highest(found)


def placement_level(resolved: Resolved, code: str) -> Access:
    """The level of a person's variant: as declared, or the highest of what the rules read."""
    placement = resolved.placements[code]
    return placement.spec.access or rules_level(resolved, code)


def rules_level(resolved: Resolved, code: str) -> Access:
    """The highest level of what the rules of a placement read."""
    placement = resolved.placements[code]
    inside = [segment_level(resolved, name) for name in placement.segments]
    return _highest([*_read_levels(resolved, placement.tags, placement.scores), *inside])


def served_levels(resolved: Resolved) -> dict[str, Access]:
    """The level of every tag and score column."""
    found: dict[str, Access] = {code: tag.spec.access for code, tag in resolved.tags.items()}
    for code, score in resolved.scores.items():
        found |= column_levels(resolved, TableRef("scores", code), score.columns)
    return found


def _read_levels(resolved: Resolved, tags: Iterable[str], scores: Iterable[str]) -> list[Access]:
    levels = served_levels(resolved)
    return [levels[name] for name in (*tags, *scores)]


def _highest(levels: Iterable[Access]) -> Access:
    return max(levels, key=ACCESS_LEVELS.index, default="public")
