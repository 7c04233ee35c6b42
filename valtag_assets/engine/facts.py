"""Value tags of facts: every aggregation of the catalog, one row per person that has any.

Only constructs on which DuckDB and Spark agree are used; in particular a mode is a two-level group-by, an
average is (sum, count), and ties are always broken down to the value itself, so that no result depends on
the order of rows.

Each group-by reads only the columns and the rows its tags need: an engine may keep what it reads in memory.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.persons import OWNER, PERSON, keyed
from valtag_assets.engine.sums import summed, total
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.convert import constant, convert, round_float
from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.resolved import Aggregate, Measure, ResolvedSource, ResolvedTag, Window
from valtag_assets.expression.tree import Name
from valtag_assets.spec.types import FLOAT, INTEGER, DataType

# One aggregation level over the fact itself; the others need the values of a person side by side.
SIMPLE = frozenset(
    {"count", "sum", "avg", "min", "max", "first", "last"}
    | {"days_since_first", "days_since_last", "median", "quantile"}
)
RANKED = frozenset({"top", "top_k", "share"})
QUANTILE_DIGITS = 6
_VALUE = "_value"


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
        rows = _Rows.of(source, members, as_of)
        tables.append(_over_values(rows, members) if value else _simple(rows, members))
    return tables


def window_dates(window: Window, as_of: date) -> tuple[date | None, date]:
    """The first and last local date of ``window`` at ``as_of``, both included; no first date: from the start."""
    if window.kind == "last":
        return as_of - timedelta(days=window.days - 1), as_of
    if window.kind == "before":
        return None, as_of - timedelta(days=window.days)
    if window.kind == "month":
        return as_of.replace(day=1), as_of
    if window.kind == "year":
        return as_of.replace(month=1, day=1), as_of
    return None, as_of


@dataclass(frozen=True)
class _Rows:
    """The rows that any tag of a group looks at: dated ``first`` to ``last``, all of them satisfying ``where``."""

    source: ResolvedSource
    as_of: date
    first: date | None
    last: date
    where: str | None
    table: ibis.Table

    @classmethod
    def of(cls, source: ResolvedSource, group: Sequence[tuple[ResolvedTag, Aggregate]], as_of: date) -> "_Rows":
        aggregates = [aggregate for _, aggregate in group]
        dates = [window_dates(aggregate.window, as_of) for aggregate in aggregates]
        starts = [first for first, _ in dates if first is not None]
        first = min(starts) if len(starts) == len(dates) else None
        last = max(last for _, last in dates)
        wheres = {_text(aggregate): aggregate.where for aggregate in aggregates}
        shared = next(iter(wheres)) if len(wheres) == 1 else None

        read = {_time_of(source)}.union(*(_names(source, aggregate) for aggregate in aggregates))
        table = keyed(source, read)
        moment = table[_time_of(source)]
        kept = [table[OWNER].notnull(), *_between(moment, first, last)]
        if shared is not None:
            where = wheres[shared]
            assert where is not None
            kept.append(compile_condition(where, table, as_of))
        return cls(source, as_of, first, last, shared, table.filter(*kept))

    @property
    def moment(self) -> ir.Value:
        return self.table[_time_of(self.source)]

    def counted(self, aggregate: Aggregate) -> ir.BooleanValue | None:
        """Which of the rows the tag looks at; None when it looks at all."""
        first, last = window_dates(aggregate.window, self.as_of)
        narrower = (None if first == self.first else first, None if last == self.last else last)
        conditions = _between(self.moment, *narrower)
        if aggregate.where is not None and _text(aggregate) != self.where:
            conditions.append(compile_condition(aggregate.where, self.table, self.as_of))
        return ibis.and_(*conditions) if conditions else None


def _text(aggregate: Aggregate) -> str | None:
    return None if aggregate.where is None else meaning(aggregate.where)


def _time_of(source: ResolvedSource) -> str:
    assert source.spec.time is not None
    return source.spec.time


def _key_of(source: ResolvedSource) -> tuple[str, ...]:
    return source.spec.key or (source.spec.merge.key if source.spec.merge else ())


def _names(source: ResolvedSource, aggregate: Aggregate) -> frozenset[str]:
    measures = (aggregate.by, *(tie.measure for tie in aggregate.ties))
    nodes = (aggregate.of, aggregate.where, *(measure.of for measure in measures))
    key = _key_of(source) if aggregate.agg in ("first", "last") else ()
    return frozenset(key).union(*(names_read(node) for node in nodes if node is not None))


def _between(moment: ir.Value, first: date | None, last: date | None) -> list[ir.BooleanValue]:
    """Conditions for a local date from ``first`` to ``last``, both included; the column itself stays bare."""
    dated = moment.type().is_date()
    found = []
    if first is not None:
        found.append(moment >= (first if dated else datetime.combine(first, time())))
    if last is not None:
        end = last + timedelta(days=1)
        found.append(moment < (end if dated else datetime.combine(end, time())))
    return found


def _simple(rows: _Rows, group: Sequence[tuple[ResolvedTag, Aggregate]]) -> ibis.Table:
    """One group-by for all tags that need no second level."""
    found = [_reduce(rows, aggregate, tag.type).name(tag.code) for tag, aggregate in group]
    return _by_person(rows.table, found)


def _by_person(table: ibis.Table, columns: Sequence[ir.Value]) -> ibis.Table:
    # Columns go by position: a tag may be called like an argument of Ibis ("by").
    return table.group_by(OWNER).aggregate(*columns).rename({PERSON: OWNER})


def _reduce(rows: _Rows, aggregate: Aggregate, wanted: DataType) -> ir.Value:
    where, agg = rows.counted(aggregate), aggregate.agg
    if agg == "count":
        return convert(rows.table.count(where=where).nullif(0), INTEGER, wanted)
    if agg in ("days_since_first", "days_since_last"):
        found = rows.moment.min(where=where) if agg == "days_since_first" else rows.moment.max(where=where)
        days = ibis.literal(rows.as_of).delta(found.cast("date"), unit="day")
        return convert(days, INTEGER, wanted)
    assert aggregate.of is not None and aggregate.of.type is not None
    value, kind = compile_value(aggregate.of, rows.table, rows.as_of), aggregate.of.type
    if agg in ("first", "last") and aggregate.of != Name(_time_of(rows.source), kind):
        return convert(_by_time(rows, value, where, agg), kind, wanted)
    if agg in ("min", "max", "first", "last"):
        return convert(value.min(where=where) if agg in ("min", "first") else value.max(where=where), kind, wanted)
    if agg == "sum":
        return convert(total(value, kind, where), summed(kind), wanted)
    if agg == "avg":
        counted = value.count(where=where).cast("float64")
        added = total(value, kind, where)
        if kind.scale is not None and wanted.kind == "decimal":
            minor = convert(added * ibis.literal(10**kind.scale, "int64"), summed(kind), FLOAT)
            return _from_units(minor / counted.nullif(0.0), kind.scale, wanted)
        return convert(convert(added, summed(kind), FLOAT) / counted.nullif(0.0), FLOAT, wanted)
    q = 0.5 if agg == "median" else aggregate.q
    assert q is not None
    return _quantile(value, kind, q, where, wanted)


def _by_time(rows: _Rows, value: ir.Value, where: ir.BooleanValue | None, agg: str) -> ir.Value:
    """The value of the first or last row by time; ties go by the row's key, then by the value itself."""
    known = value.notnull() if where is None else where & value.notnull()
    # A struct key must hold no null; where the value is null the row is not looked at.
    key = {
        f"key_{n}": rows.table[name].fill_null(_least(rows.source.columns[name]))
        for n, name in enumerate(_key_of(rows.source))
    }
    order = ibis.struct({"moment": rows.moment, **key, "value": value})
    return value.argmin(order, where=known) if agg == "first" else value.argmax(order, where=known)


def _least(kind: DataType) -> ir.Value:
    """A value no other lies below: an empty key comes first."""
    least: dict[str, Any] = {
        "text": "",
        "boolean": False,
        "integer": -(2**63),
        "float": -1.7976931348623157e308,
        "date": date(1, 1, 1),
        "timestamp": datetime(1, 1, 1),
    }
    if kind.kind == "decimal":
        assert kind.precision is not None and kind.scale is not None
        return constant(Decimal(-(10**kind.precision - 1)).scaleb(-kind.scale), kind)
    return constant(least[kind.kind], kind)


def _quantile(value: ir.Value, kind: DataType, q: float, where: ir.BooleanValue | None, wanted: DataType) -> ir.Value:
    """Linear interpolation between the two nearest ranks (Hyndman & Fan 1996, type 7), to six decimals.

    Of decimals as a decimal, to the digits of ``wanted``: the ranks are taken in whole minor units, of which
    engines agree on quantiles, and a half of the last unit goes away from zero.
    """
    if kind.kind != "decimal":
        found = value.quantile(q, where=where).cast("float64")
        return convert(round_float(found, QUANTILE_DIGITS), FLOAT, wanted)
    assert kind.scale is not None
    wide = convert(value, kind, summed(kind))
    minor = convert(wide * ibis.literal(10**kind.scale, "int64"), kind, INTEGER)
    units = minor.quantile(q, where=where).cast("float64")
    if wanted.kind == "decimal":
        return _from_units(units, kind.scale, wanted)
    return convert(round_float(units / float(10**kind.scale), QUANTILE_DIGITS), FLOAT, wanted)


def _from_units(units: ir.Value, scale: int, wanted: DataType) -> ir.Value:
    """A float count of minor units (10^-``scale``) as a decimal; a half of its last unit goes away from zero.

    Rounded before it is shifted back: 15301.5 is exact as a float, 153.015 is not.
    """
    assert wanted.scale is not None
    digits = wanted.scale
    more = digits - scale
    shifted = units * float(10**more) if more >= 0 else units / float(10**-more)
    # Already whole units of the last decimal: the cast has nothing left to round.
    return convert(round_float(shifted, 0) / float(10**digits), wanted, wanted)


# --- tags over the values of a field: distinct counts, modes, shares, lists -----------------------------------


def _over_values(rows: _Rows, group: Sequence[tuple[ResolvedTag, Aggregate]]) -> ibis.Table:
    """Tags over one field: rows are grouped by (person, value) once, then by person."""
    of = group[0][1].of
    assert of is not None
    table = rows.table.mutate(**{_VALUE: compile_value(of, rows.table, rows.as_of)})
    rows = replace(rows, table=table.filter(table[_VALUE].notnull()))
    # Tags with the same rows and measure share one column.
    measures: dict[str, ir.Value] = {}
    seen = {tag.code: _seen(rows, aggregate, measures) for tag, aggregate in group}
    ranks = {tag.code: _ranking(rows, aggregate, measures) for tag, aggregate in group if aggregate.agg in RANKED}
    names = {text: f"m{number}" for number, text in enumerate(measures)}
    values = rows.table.group_by([OWNER, _VALUE]).aggregate(**{names[t]: m for t, m in measures.items()})
    found = []
    for tag, aggregate in group:
        text = seen[tag.code]
        counts = values[names[text]] > 0 if text is not None else None
        ranking = [(values[names[t]], down) for t, down in ranks.get(tag.code, [])]
        found.append(_of_values(values, aggregate, tag.type, counts, ranking).name(tag.code))
    return _by_person(values, found)


def _seen(rows: _Rows, aggregate: Aggregate, measures: dict[str, ir.Value]) -> str | None:
    """The measure that is above 0 for the values the tag sees; None when it sees every value."""
    if rows.counted(aggregate) is None:
        return None
    return _measured(rows, aggregate, Measure("count", type=INTEGER), measures)


def _ranking(rows: _Rows, aggregate: Aggregate, measures: dict[str, ir.Value]) -> list[tuple[str, bool]]:
    """The measures that rank the values, each with whether the larger comes first."""
    ranked = [(aggregate.by, True), *((tie.measure, tie.descending) for tie in aggregate.ties)]
    return [(_measured(rows, aggregate, measure, measures), down) for measure, down in ranked]


def _measured(rows: _Rows, aggregate: Aggregate, measure: Measure, measures: dict[str, ir.Value]) -> str:
    """Add the measure over the tag's rows to ``measures``, unless it is there; its name."""
    of = None if measure.of is None else meaning(measure.of)
    text = repr((aggregate.window, _text(aggregate), measure.agg, of))
    if text in measures:
        return text
    where = rows.counted(aggregate)
    if measure.of is None:
        measures[text] = rows.table.count(where=where)
    else:
        assert measure.type is not None
        found = total(compile_value(measure.of, rows.table, rows.as_of), measure.type, where)
        measures[text] = found.fill_null(constant(Decimal(0), summed(measure.type)))
    return text


def _of_values(
    values: ibis.Table,
    aggregate: Aggregate,
    wanted: DataType,
    seen: ir.BooleanValue | None,
    ranking: list[tuple[ir.Value, bool]],
) -> ir.Value:
    """One tag from the values of a person. ``ranking``: the measures and whether the larger of each comes first;
    after them the smaller value does."""
    value, agg = values[_VALUE], aggregate.agg
    assert aggregate.of is not None and aggregate.of.type is not None
    if agg == "count_distinct":
        return convert(values.count(where=seen).nullif(0), INTEGER, wanted)
    if agg == "share":
        return _share(values, aggregate, wanted, seen, ranking[0][0])
    if agg == "list":
        return _first_of(value.collect(where=seen).sort(), aggregate.k)
    order = {f"m{place}": -measure if down else measure for place, (measure, down) in enumerate(ranking)}
    rank = ibis.struct({**order, "value": value})
    if agg == "top":
        return convert(value.argmin(rank, where=seen), aggregate.of.type, wanted)
    return _first_of(rank.collect(where=seen).sort(), aggregate.k).map(lambda item: item["value"])


def _first_of(items: ir.ArrayValue, k: int) -> ir.ArrayValue:
    """The first ``k`` items; null for none (of nothing, one engine collects null and another an empty list)."""
    return ibis.ifelse(items.length() > 0, items[:k], ibis.null(items.type()))


def _share(
    values: ibis.Table, aggregate: Aggregate, wanted: DataType, seen: ir.BooleanValue | None, measure: ir.Value
) -> ir.Value:
    """The part of the measure that falls to one value; null when the whole measure is zero."""
    whole = measure.sum(where=seen).cast("float64")
    if aggregate.equals is None:
        part = measure.max(where=seen)
    else:
        assert aggregate.of is not None and aggregate.of.type is not None
        here = values[_VALUE] == constant(aggregate.equals, aggregate.of.type)
        part = measure.sum(where=here if seen is None else seen & here).fill_null(0)
    return convert(part.cast("float64") / whole.nullif(0.0), FLOAT, wanted)
