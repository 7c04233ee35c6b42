"""What is wrong with a source's cleaning rules, found from the catalog alone, before any data is read."""

from collections.abc import Iterator

import duckdb
import ibis.expr.datatypes as dt

from valtag_assets.engine.cleaning.field import plan_field
from valtag_assets.engine.cleaning.rows import TIMED
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.expression.tree import Call, Node, walk
from valtag_assets.spec.problem import Problem
from valtag_assets.warehouse.in_memory import small


def cleaning_mistakes(resolved: Resolved) -> list[Problem]:
    """Every field rule that contradicts itself and every row rule that depends on the as-of."""
    return [problem for source in resolved.sources.values() for problem in _of_source(resolved, source)]


def _of_source(resolved: Resolved, source: ResolvedSource) -> Iterator[Problem]:
    project = resolved.catalog.project
    for number, field in enumerate(source.spec.fields):
        try:
            plan_field(field, dt.string, project, {}, None)
        except ValueError as error:
            yield source.entry.problem(str(error), "fields", number)
        for step, rule in enumerate(field.replace):
            fault = _pattern_fault(rule.pattern, rule.by)
            if fault:
                message = f"pattern '{rule.pattern}': the engine can't read it: {fault}"
                yield source.entry.problem(message, "fields", number, "replace", step)
    for key, rules in (("compute", source.compute), ("refuse", source.refuse), ("drop", source.drop)):
        for number, (_, node) in enumerate(rules):
            for function in _timed(node):
                message = f"{function}() asks for the as-of, and a clean row must not depend on it; use a tag"
                yield source.entry.problem(message, key, number)


def _timed(node: Node) -> list[str]:
    return sorted({part.function for part in walk(node) if isinstance(part, Call) and part.function in TIMED})


def _pattern_fault(pattern: str, by: str) -> str | None:
    """What the engine's regular expressions (RE2: no look-around, no back-references) say against it."""
    with small().connection() as connection:
        try:
            connection.execute("SELECT regexp_replace('', $pattern, $by)", {"pattern": pattern, "by": by}).fetchall()
        except duckdb.Error as error:
            return str(error).splitlines()[0]
    return None
