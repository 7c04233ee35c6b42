"""What of a catalog the chosen engines can't do, found before any data is read."""

from collections.abc import Iterator, Sequence

import duckdb

from valtag_assets.engine.identity.tables import COLUMNS as IDENTITY_COLUMNS
from valtag_assets.expression.patterns import NotPortable, portable
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.block import Check
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.engines import Engines
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.warehouse.in_memory import small

_IDENTITY_TABLES = [table.partition("/")[2] for table in IDENTITY_COLUMNS]
Place = tuple[str | int, ...]


def engine_mistakes(resolved: Resolved, engines: Engines) -> list[Problem]:
    """Tables that are none, and, where Spark computes, every pattern it would read otherwise than DuckDB."""
    found = list(_unknown_tables(resolved, engines))
    return [*found, *_patterns(resolved)] if "spark" in engines.used else found


def _unknown_tables(resolved: Resolved, engines: Engines) -> Iterator[Problem]:
    stages = {
        "clean": resolved.sources,
        "keyed": [code for code, source in resolved.sources.items() if source.keyed],
        "identity": ("persons", "strangers", *(_IDENTITY_TABLES if resolved.identity is not None else ())),
        "tags": resolved.categories,
        "scores": resolved.scores,
        "segments": resolved.segments,
        "reports": resolved.reports,
        "allocations": resolved.allocations,
        "triggers": resolved.triggers,
        "effects": [code for code, trigger in resolved.triggers.items() if trigger.effect is not None],
        "insight": ("tags",),
        "deliveries": resolved.deliveries,
        "lists": [code for code, source in resolved.sources.items() if source.spec.kind == "list"],
    }
    known = [f"{stage}/{name}" for stage, names in stages.items() for name in names]
    for table in engines.tables:
        if not table.endswith("/*") and table not in known:
            message = f"'{table}' is no table{did_you_mean(table, known)}"
            yield Problem(resolved.catalog.root / "project.yaml", 1, "engine.tables", message)


def _patterns(resolved: Resolved) -> list[Problem]:
    found: list[Problem] = []
    for entry in resolved.catalog.tags.values():
        found.extend(_of_checks(entry, entry.spec.checks, ()))
    for source in resolved.catalog.sources.values():
        for number, field in enumerate(source.spec.fields):
            found.extend(_of_checks(source, field.checks, ("fields", number)))
            for step, rule in enumerate(field.replace):
                place = ("fields", number, "replace", step)
                found.extend(_of_pattern(source, rule.pattern, place))
                if rule.by and _finds_nothing(rule.pattern):
                    message = f"pattern '{rule.pattern}' finds the empty text too, and engines count that differently"
                    found.append(source.problem(f"{message}; write + for *, or anchor it with ^", *place))
    return found


def _of_checks(entry: Entry, checks: Sequence[Check], place: Place) -> Iterator[Problem]:
    for number, check in enumerate(checks):
        if check.matches is not None:
            yield from _of_pattern(entry, check.matches, (*place, "checks", number, "matches"))


def _of_pattern(entry: Entry, pattern: str, place: Place) -> Iterator[Problem]:
    try:
        portable(pattern)
    except NotPortable as error:
        yield entry.problem(f"pattern '{pattern}' can't be used with engine spark: {error}", *place)


def _finds_nothing(pattern: str) -> bool:
    """Whether it matches where nothing is, and not at the start alone: engines count such places differently."""
    if pattern.startswith(("^", r"\A")):
        return False
    with small().connection() as connection:
        try:
            row = connection.execute("SELECT regexp_matches('', $pattern)", {"pattern": pattern}).fetchone()
        except duckdb.Error:  # no pattern at all, which is another's to say
            return False
    return bool(row and row[0])
