"""Checks that a column can't carry, found from the catalog alone, before any data is read."""

from collections.abc import Iterator

import duckdb

from valtag_assets.expression.resolved import Resolved
from valtag_assets.quality.column import HIDDEN_LEVELS, typed
from valtag_assets.spec.block import Access, Check
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.problem import Problem
from valtag_assets.spec.source import Source
from valtag_assets.spec.tag import Tag
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.in_memory import small

Place = tuple[str | int, ...]

# The kinds a check can judge; coverage judges all.
_KINDS = {
    "matches": ("text",),
    "unique": ("text", "integer", "decimal", "float", "boolean", "date", "timestamp"),
    "mean_change": ("integer", "decimal", "float"),
    "stability": ("integer", "decimal", "float", "text", "boolean"),
}
_FROM_PROFILE = ("mean_change", "stability")


def misplaced_checks(resolved: Resolved) -> list[Problem]:
    """Every check and domain of the catalog that its column can't carry; empty for a sound catalog."""
    return [
        *(p for entry in resolved.catalog.tags.values() for p in _of_tag(entry)),
        *(p for entry in resolved.catalog.sources.values() for p in _of_source(entry)),
    ]


def _of_tag(entry: Entry[Tag]) -> Iterator[Problem]:
    tag = entry.spec
    if (tag.domain.min is not None or tag.domain.max is not None) and not tag.type.numeric:
        yield entry.problem(f"min and max are for numbers, and '{tag.code}' is a {tag.type}", "domain")
    for value in tag.domain.values or ():
        try:
            typed(tag.type, value)
        except ValueError:
            yield entry.problem(f"'{value}' is no {tag.type}", "domain", "values")
    yield from _of_checks(entry, tag.type, tag.access, tag.checks, ())


def _of_source(entry: Entry[Source]) -> Iterator[Problem]:
    for number, field in enumerate(entry.spec.fields):
        yield from _of_checks(entry, field.type, field.access, field.checks, ("fields", number))


def _of_checks(
    entry: Entry[Tag] | Entry[Source],
    data_type: DataType,
    access: Access,
    checks: tuple[Check, ...],
    place: Place,
) -> Iterator[Problem]:
    for number, check in enumerate(checks):
        rule, at = check.rule, (*place, "checks", number, check.rule)
        allowed = _KINDS.get(rule)
        if allowed is not None and data_type.kind not in allowed:
            yield entry.problem(f"{rule} is for {', '.join(allowed)}, not for {data_type}", *at)
        elif rule in _FROM_PROFILE and access in HIDDEN_LEVELS:
            message = f"{rule} compares with stored values, and none are stored of {access} columns"
            yield entry.problem(message, *at)
        elif check.matches is not None and (fault := _regex_fault(check.matches)):
            yield entry.problem(f"matches '{check.matches}': the engine can't read it: {fault}", *at)


def _regex_fault(pattern: str) -> str | None:
    """What the engine's regular expressions (RE2: no look-around, no back-references) say against it."""
    with small().connection() as connection:
        try:
            connection.execute("SELECT regexp_matches('', $pattern)", {"pattern": pattern}).fetchall()
        except duckdb.Error as error:
            return str(error).splitlines()[0]
    return None
