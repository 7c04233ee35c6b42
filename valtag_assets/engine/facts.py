"""Value tags straight from the rows of a fact: every aggregation of the catalog, one row per person that has any.

This is the full computation. It needs no tiles, and whatever is merged from tiles must equal it.

Only constructs on which DuckDB and Spark agree are used; in particular a mode is a two-level group-by, an
average is (sum, count), and ties are always broken down to the value itself, so that no result depends on
the order of rows.

Each group-by reads only the columns and the rows its tags need: an engine may keep what it reads in memory.
"""

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.answers import (
    SIMPLE,
    VALUE,
    ranked_values,
    simple_answer,
    value_answer,
    value_partials,
)
from valtag_assets.engine.partials import Partial, nodes_of, order_of, row_order, time_of
from valtag_assets.engine.persons import OWNER, PERSON, keyed
from valtag_assets.engine.sums import summed, total
from valtag_assets.engine.windows import span_of
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.convert import constant
from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.resolved import Aggregate, ResolvedSource, ResolvedTag


def fact_columns(source: ResolvedSource, tags: Iterable[ResolvedTag], as_of: date) -> list[ibis.Table]:
    """Tables (person_id, one column per tag) that together hold every tag of ``tags``, all over ``source``.

    A person for whom there is nothing to compute from has null, or no row. Rows dated after ``as_of`` are
    invisible.
    """
    groups: dict[str, list[tuple[ResolvedTag, Aggregate]]] = defaultdict(list)
    for tag in tags:
        aggregate = tag.aggregate
        assert aggregate is not None
        group = "" if aggregate.agg in SIMPLE or aggregate.of is None else meaning(aggregate.of)
        groups[group].append((tag, aggregate))
    tables = []
    for value, members in groups.items():
        rows = Rows.of(source, members, as_of)
        tables.append(_over_values(rows, members) if value else _simple(rows, members))
    return tables


@dataclass(frozen=True)
class Rows:
    """The rows that any tag of a group looks at: dated ``first`` to ``last``, all of them satisfying ``where``."""

    source: ResolvedSource
    as_of: date
    first: date | None
    last: date
    where: str | None
    table: ibis.Table

    @classmethod
    def of(cls, source: ResolvedSource, group: Sequence[tuple[ResolvedTag, Aggregate]], as_of: date) -> "Rows":
        aggregates = [aggregate for _, aggregate in group]
        spans = [span_of(aggregate.window, as_of) for aggregate in aggregates]
        starts = [span.first for span in spans if span.first is not None]
        first = min(starts) if len(starts) == len(spans) else None
        last = max(span.last for span in spans)
        wheres = {_text(aggregate): aggregate.where for aggregate in aggregates}
        shared = next(iter(wheres)) if len(wheres) == 1 else None

        table = keyed(source, {time_of(source).code}.union(*(fields_read(source, item) for item in aggregates)))
        moment = table[time_of(source).code]
        kept = [table[OWNER].notnull(), *between(moment, first, last)]
        if shared is not None:
            where = wheres[shared]
            assert where is not None
            kept.append(compile_condition(where, table, as_of))
        return cls(source, as_of, first, last, shared, table.filter(*kept))

    @property
    def moment(self) -> ir.Value:
        return self.table[time_of(self.source).code]

    def counted(self, aggregate: Aggregate) -> ir.BooleanValue | None:
        """Which of the rows the tag looks at; None when it looks at all."""
        span = span_of(aggregate.window, self.as_of)
        narrower = (None if span.first == self.first else span.first, None if span.last == self.last else span.last)
        conditions = between(self.moment, *narrower)
        if aggregate.where is not None and _text(aggregate) != self.where:
            conditions.append(compile_condition(aggregate.where, self.table, self.as_of))
        return ibis.and_(*conditions) if conditions else None

    def read(self, partial: Partial, aggregate: Aggregate) -> ir.Value:
        """One of the tag's partials over its rows; of first and last the value alone."""
        where = self.counted(aggregate)
        if partial.of is None:
            return self.table.count(where=where)
        assert partial.of.type is not None
        value = compile_value(partial.of, self.table, self.as_of)
        if partial.kind == "sum":
            return total(value, partial.of.type, where)
        if partial.kind == "count":
            return value.count(where=where)
        if partial.kind in ("min", "max"):
            return value.min(where=where) if partial.kind == "min" else value.max(where=where)
        order = row_order(partial, self.table, value)
        known = value.notnull() if where is None else where & value.notnull()
        return value.argmin(order, where=known) if partial.kind == "first" else value.argmax(order, where=known)


def _text(aggregate: Aggregate) -> str | None:
    return None if aggregate.where is None else meaning(aggregate.where)


def fields_read(source: ResolvedSource, aggregate: Aggregate) -> frozenset[str]:
    """The fields of a row that the tag looks at, its time aside."""
    order = order_of(source) if aggregate.agg in ("first", "last") else ()
    return frozenset().union(*(names_read(node) for node in (*order, *nodes_of(aggregate))))


def between(moment: ir.Value, first: date | None, last: date | None) -> list[ir.BooleanValue]:
    """Conditions for a local date from ``first`` to ``last``, both included; the column itself stays bare."""
    dated = moment.type().is_date()
    found = []
    if first is not None:
        found.append(moment >= (first if dated else datetime.combine(first, time())))
    if last is not None:
        end = last + timedelta(days=1)
        found.append(moment < (end if dated else datetime.combine(end, time())))
    return found


def _simple(rows: Rows, group: Sequence[tuple[ResolvedTag, Aggregate]]) -> ibis.Table:
    """One group-by for all tags that need no second level."""
    found = []
    for tag, aggregate in group:
        read = functools.partial(rows.read, aggregate=aggregate)
        found.append(simple_answer(rows.source, aggregate, tag.type, rows.as_of, read).name(tag.code))
    return _by_person(rows.table, found)


def _by_person(table: ibis.Table, columns: Sequence[ir.Value]) -> ibis.Table:
    # Columns go by position: a tag may be called like an argument of Ibis ("by").
    return table.group_by(OWNER).aggregate(*columns).rename({PERSON: OWNER})


def _over_values(rows: Rows, group: Sequence[tuple[ResolvedTag, Aggregate]]) -> ibis.Table:
    """Tags over one field: rows are grouped by (person, value) once, then by person."""
    of = group[0][1].of
    assert of is not None
    table = rows.table.mutate(**{VALUE: compile_value(of, rows.table, rows.as_of)})
    rows = replace(rows, table=table.filter(table[VALUE].notnull()))
    # Tags with the same rows and measure share one column.
    measures: dict[str, ir.Value] = {}
    named = {tag.code: value_measures(rows, aggregate, measures) for tag, aggregate in group}
    names = {text: f"m{number}" for number, text in enumerate(measures)}
    values = rows.table.group_by([OWNER, VALUE]).aggregate(**{names[t]: m for t, m in measures.items()})
    columns = {code: [values[names[text]] for text in texts] for code, texts in named.items()}
    numbered = {tag.code: (aggregate, columns[tag.code][0]) for tag, aggregate in group}
    values = ranked_values(values, OWNER, numbered)
    found = []
    for tag, aggregate in group:
        count, *ranking = (values[names[text]] for text in named[tag.code])
        seen = None if rows.counted(aggregate) is None else count > 0
        found.append(value_answer(values, tag.code, aggregate, tag.type, seen, ranking).name(tag.code))
    return _by_person(values, found)


def value_measures(rows: Rows, aggregate: Aggregate, measures: dict[str, ir.Value]) -> list[str]:
    """Add the tag's measures of a value to ``measures``, unless they are there; their names."""
    found = []
    for partial in value_partials(aggregate):
        text = repr((aggregate.window, partial.id))
        if text not in measures:
            value = rows.read(partial, aggregate)
            if partial.kind == "sum":
                assert partial.of is not None and partial.of.type is not None
                value = value.fill_null(constant(Decimal(0), summed(partial.of.type)))
            measures[text] = value
        found.append(text)
    return found
