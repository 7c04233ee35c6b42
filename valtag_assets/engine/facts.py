"""Value tags of facts: every aggregation of the catalog, one row per person that has any.

Only constructs on which DuckDB and Spark agree are used; in particular a mode is a two-level group-by, an
average is (sum, count), and ties are always broken down to the value itself, so that no result depends on
the order of rows.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.persons import PERSON, keyed
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.convert import convert
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.resolved import Aggregate, Measure, ResolvedSource, ResolvedTag, Window
from valtag_assets.spec.types import FLOAT, DataType, decimal

# One aggregation level over the fact itself; the others need the values of a person side by side.
SIMPLE = frozenset(
    {"count", "sum", "avg", "min", "max", "first", "last"}
    | {"days_since_first", "days_since_last", "median", "quantile"}
)
WIDE_SUM = 38


def fact_columns(source: ResolvedSource, tags: Iterable[ResolvedTag], as_of: date) -> list[ibis.Table]:
    """Tables (person_id, one column per tag) that together hold every tag of ``tags``, all over ``source``.

    Persons without a row are missing; rows dated after ``as_of`` are invisible.
    """
    rows = _visible(source, as_of)
    simple: list[ResolvedTag] = []
    by_value: dict[str, list[ResolvedTag]] = defaultdict(list)
    for tag in tags:
        assert tag.aggregate is not None
        if tag.aggregate.agg in SIMPLE:
            simple.append(tag)
        else:
            assert tag.aggregate.of is not None
            by_value[meaning(tag.aggregate.of)].append(tag)
    tables = [_simple(rows, source, simple, as_of)] if simple else []
    for group in by_value.values():
        tables.extend(_over_values(rows, source, group, as_of))
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


def _visible(source: ResolvedSource, as_of: date) -> ibis.Table:
    rows = keyed(source)
    return rows.filter(_up_to(rows, source, as_of))


def _up_to(rows: ibis.Table, source: ResolvedSource, last: date) -> ir.BooleanValue:
    moment = _time(rows, source)
    end = last + timedelta(days=1)
    return moment < (end if moment.type().is_date() else datetime.combine(end, time()))


def _time(rows: ibis.Table, source: ResolvedSource) -> ir.Value:
    assert source.spec.time is not None
    return rows[source.spec.time]


def _counts(
    rows: ibis.Table, source: ResolvedSource, aggregate: Aggregate, as_of: date
) -> ir.BooleanValue | None:
    """Which rows the tag looks at: its window and its where; None when it looks at all."""
    first, last = window_dates(aggregate.window, as_of)
    conditions: list[ir.BooleanValue] = []
    if first is not None:
        moment = _time(rows, source)
        start = first if moment.type().is_date() else datetime.combine(first, time())
        conditions.append(moment >= start)
    if last < as_of:
        conditions.append(_up_to(rows, source, last))
    if aggregate.where is not None:
        conditions.append(compile_condition(aggregate.where, rows, as_of))
    return ibis.and_(*conditions) if conditions else None


def _simple(rows: ibis.Table, source: ResolvedSource, tags: Sequence[ResolvedTag], as_of: date) -> ibis.Table:
    """One group-by for all tags that need no second level."""
    found = {}
    for tag in tags:
        assert tag.aggregate is not None
        found[tag.code] = _reduce(rows, source, tag, tag.aggregate, as_of)
    return rows.group_by(PERSON).aggregate(**found)


def _reduce(
    rows: ibis.Table, source: ResolvedSource, tag: ResolvedTag, aggregate: Aggregate, as_of: date
) -> ir.Value:
    where = _counts(rows, source, aggregate, as_of)
    agg = aggregate.agg
    if agg == "count":
        return rows.count(where=where)
    if agg in ("days_since_first", "days_since_last"):
        moment = _time(rows, source)
        found = moment.min(where=where) if agg == "days_since_first" else moment.max(where=where)
        return ibis.literal(as_of).delta(found.cast("date"), unit="day").cast("int64")
    assert aggregate.of is not None and aggregate.of.type is not None
    value, kind = compile_value(aggregate.of, rows, as_of), aggregate.of.type
    if agg in ("first", "last"):
        return _by_time(rows, source, value, where, agg)
    if agg in ("min", "max"):
        return value.min(where=where) if agg == "min" else value.max(where=where)
    if agg == "sum":
        return convert(_total(value, kind, where), _summed(kind), tag.type)
    if agg == "avg":
        counted = value.count(where=where).cast("float64")
        total = convert(_total(value, kind, where), _summed(kind), FLOAT)
        return convert(total / counted.nullif(0.0), FLOAT, tag.type)
    q = 0.5 if agg == "median" else aggregate.q
    assert q is not None
    return _quantile(value, kind, q, where, tag.type)


def _by_time(
    rows: ibis.Table, source: ResolvedSource, value: ir.Value, where: ir.BooleanValue | None, agg: str
) -> ir.Value:
    """The value of the first or last row by time; ties go by the row's key, then by the value itself."""
    known = value.notnull() if where is None else where & value.notnull()
    key = source.spec.key or (source.spec.merge.key if source.spec.merge else ())
    parts: dict[str, ir.Value] = {"moment": _time(rows, source)}
    parts |= {f"key_{n}": rows[name].cast("string").fill_null("") for n, name in enumerate(key)}
    # A struct key must hold no null; where the value is null the row is not looked at.
    order = ibis.struct({**parts, "value": value})
    return value.argmin(order, where=known) if agg == "first" else value.argmax(order, where=known)


def _quantile(
    value: ir.Value, kind: DataType, q: float, where: ir.BooleanValue | None, wanted: DataType
) -> ir.Value:
    """Linear interpolation between the two nearest ranks (Hyndman & Fan 1996, type 7)."""
    if kind.kind == "decimal":
        # Whole minor units: engines agree on quantiles of integers, not on those of decimals.
        assert kind.scale is not None
        minor = (value * ibis.literal(10**kind.scale, "int64")).cast("int64")
        found = minor.quantile(q, where=where).cast("float64") / float(10**kind.scale)
    else:
        found = value.quantile(q, where=where).cast("float64")
    return convert(found.round(6), FLOAT, wanted)


def _total(value: ir.Value, kind: DataType, where: ir.BooleanValue | None) -> ir.Value:
    """A sum of the type ``_summed(kind)``. Integers are added as decimals: DuckDB's own sum of them is an
    int128, which Parquet has no type for."""
    if kind.kind == "integer":
        value = convert(value, kind, _summed(kind))
    return convert(value.sum(where=where), _summed(kind), _summed(kind))


def _summed(kind: DataType) -> DataType:
    """The type in which a sum of ``kind`` is exact; floats stay floats."""
    return kind if kind.kind == "float" else decimal(WIDE_SUM, kind.scale or 0)


# --- tags over the values of a field: distinct counts, modes, shares, lists -----------------------------------


def _over_values(
    rows: ibis.Table, source: ResolvedSource, tags: Sequence[ResolvedTag], as_of: date
) -> list[ibis.Table]:
    """Tags over one field: rows are grouped by (person, value) once, then by person."""
    first = tags[0].aggregate
    assert first is not None and first.of is not None
    rows = rows.mutate(_value=compile_value(first.of, rows, as_of))
    rows = rows.filter(rows["_value"].notnull())
    measures: dict[str, ir.Value] = {}
    for number, tag in enumerate(tags):
        aggregate = tag.aggregate
        assert aggregate is not None
        where = _counts(rows, source, aggregate, as_of)
        measures[f"seen_{number}"] = rows.count(where=where)
        if aggregate.agg in ("top", "top_k", "share"):
            ranking = [aggregate.by, *(tie.measure for tie in aggregate.ties)]
            for place, measure in enumerate(ranking):
                measures[f"by_{number}_{place}"] = _measured(rows, measure, where, as_of)
    values = rows.group_by([PERSON, "_value"]).aggregate(**measures)
    flat = {tag.code: _flat(values, tag, number) for number, tag in enumerate(tags) if not _is_list(tag)}
    tables = [values.group_by(PERSON).aggregate(**flat)] if flat else []
    tables += [_listed(values, tag, number) for number, tag in enumerate(tags) if _is_list(tag)]
    return tables


def _is_list(tag: ResolvedTag) -> bool:
    return tag.aggregate is not None and tag.aggregate.agg in ("top_k", "list")


def _measured(rows: ibis.Table, measure: Measure, where: ir.BooleanValue | None, as_of: date) -> ir.Value:
    if measure.agg == "count":
        return rows.count(where=where)
    assert measure.of is not None and measure.type is not None
    return _total(compile_value(measure.of, rows, as_of), measure.type, where).fill_null(0)


def _flat(values: ibis.Table, tag: ResolvedTag, number: int) -> ir.Value:
    aggregate = tag.aggregate
    assert aggregate is not None
    seen = values[f"seen_{number}"] > 0
    if aggregate.agg == "count_distinct":
        return values.count(where=seen)
    measure = values[f"by_{number}_0"] if aggregate.agg in ("top", "share") else None
    assert measure is not None
    if aggregate.agg == "top":
        return values["_value"].argmin(_rank_key(values, aggregate, number), where=seen)
    total = measure.sum(where=seen).cast("float64")
    if aggregate.equals is None:
        part = measure.max(where=seen)
    else:
        wanted = ibis.literal(aggregate.equals).cast(values["_value"].type())
        part = measure.sum(where=seen & (values["_value"] == wanted)).fill_null(0)
    return convert(part.cast("float64") / total.nullif(0.0), FLOAT, tag.type)


def _rank_key(values: ibis.Table, aggregate: Aggregate, number: int) -> ir.Value:
    """Smallest first: the measure descending, the ties as stated, then the value ascending."""
    directions = [True, *(tie.descending for tie in aggregate.ties)]
    parts = {
        f"p{place}": -values[f"by_{number}_{place}"] if descending else values[f"by_{number}_{place}"]
        for place, descending in enumerate(directions)
    }
    return ibis.struct({**parts, "value": values["_value"]})


def _listed(values: ibis.Table, tag: ResolvedTag, number: int) -> ibis.Table:
    """top_k (best first) and list (ascending): at most ``k`` values, gathered rank by rank."""
    aggregate = tag.aggregate
    assert aggregate is not None
    seen = values.filter(values[f"seen_{number}"] > 0)
    order: list[ir.Value] = []
    if aggregate.agg == "top_k":
        directions = [True, *(tie.descending for tie in aggregate.ties)]
        for place, descending in enumerate(directions):
            measure = seen[f"by_{number}_{place}"]
            order.append(measure.desc() if descending else measure.asc())
    window = ibis.window(group_by=PERSON, order_by=[*order, seen["_value"].asc()])
    ranked = seen.mutate(_rank=ibis.row_number().over(window)).filter(lambda t: t["_rank"] < aggregate.k)
    places = {f"v{rank}": ranked["_value"].max(where=ranked["_rank"] == rank) for rank in range(aggregate.k)}
    gathered = ranked.group_by(PERSON).aggregate(**places)
    items = ibis.array([gathered[name] for name in places]).filter(lambda item: item.notnull())
    return gathered.select(PERSON, **{tag.code: items})
