"""From partial aggregates to the value of a tag: the one place where an aggregation is finished.

Whether the partials come from a group-by over a fact or from a checkpoint is the caller's affair.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.partials import Partial, order_of, time_of
from valtag_assets.engine.sums import summed
from valtag_assets.expression.convert import constant, convert, round_float
from valtag_assets.expression.resolved import Aggregate, ResolvedSource
from valtag_assets.expression.tree import Name
from valtag_assets.spec.types import FLOAT, INTEGER, DataType

# One aggregation level over the fact itself; the others need the values of a person side by side.
SIMPLE = frozenset({"count", "sum", "avg", "min", "max", "first", "last"} | {"days_since_first", "days_since_last"})
QUANTILES = frozenset({"median", "quantile"})
RANKED = frozenset({"top", "top_k", "share"})
QUANTILE_DIGITS = 6
VALUE = "_value"
Read = Callable[[Partial], ir.Value]


# --- one level -------------------------------------------------------------------------------------------------


def simple_partials(source: ResolvedSource, aggregate: Aggregate) -> tuple[Partial, ...]:
    """What a tag of ``SIMPLE`` needs. A sum comes with the count that tells nothing from zero."""
    agg, of, where = aggregate.agg, aggregate.of, aggregate.where
    time = time_of(source)
    if agg == "count":
        return (Partial("count", None, where),)
    if agg in ("days_since_first", "days_since_last"):
        return (Partial("min" if agg == "days_since_first" else "max", time, where),)
    if agg in ("sum", "avg"):
        return (Partial("sum", of, where), Partial("count", of, where))
    if agg in ("first", "last") and isinstance(of, Name) and of.code == time.code:
        return (Partial("min" if agg == "first" else "max", time, where),)
    assert agg in ("min", "max", "first", "last")
    order = order_of(source) if agg in ("first", "last") else ()
    return (Partial(agg, of, where, order),)  # type: ignore[arg-type]


def simple_answer(
    source: ResolvedSource, aggregate: Aggregate, wanted: DataType, as_of: date, read: Read
) -> ir.Value:
    """The tag's value per person from its partials; null when there is nothing to compute from.

    ``read`` gives the value of a partial: of a sum null when nothing was added, of first and last the value
    alone.
    """
    first, *more = simple_partials(source, aggregate)
    value, agg = read(first), aggregate.agg
    if agg == "count":
        return convert(value.nullif(0), INTEGER, wanted)
    if agg in ("days_since_first", "days_since_last"):
        return convert(ibis.literal(as_of).delta(value.cast("date"), unit="day"), INTEGER, wanted)
    assert first.of is not None and first.of.type is not None
    kind = first.of.type
    if agg == "sum":
        return convert(value, summed(kind), wanted)
    if agg != "avg":
        return convert(value, kind, wanted)
    counted = read(more[0]).cast("float64")
    if kind.scale is not None and wanted.kind == "decimal":
        minor = convert(value * ibis.literal(10**kind.scale, "int64"), summed(kind), FLOAT)
        return _from_units(minor / counted.nullif(0.0), kind.scale, wanted)
    return convert(convert(value, summed(kind), FLOAT) / counted.nullif(0.0), FLOAT, wanted)


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


# --- two levels: distinct counts, modes, shares, lists, quantiles ----------------------------------------------


def value_partials(aggregate: Aggregate) -> tuple[Partial, ...]:
    """What a tag over the values of a field needs of each (person, value): the count of its rows first, then the
    measures that rank the values."""
    where = aggregate.where
    found = [Partial("count", None, where)]
    if aggregate.agg in RANKED:
        for measure in (aggregate.by, *(tie.measure for tie in aggregate.ties)):
            found.append(Partial("count" if measure.of is None else "sum", measure.of, where))
    return tuple(found)


def ranked_values(values: ibis.Table, key: str, aggregates: Mapping[str, tuple[Aggregate, ir.Value]]) -> ibis.Table:
    """``values`` with what quantiles need beside it: per count, the rows of the person and those up to each value."""
    added = {}
    for name, (aggregate, count) in aggregates.items():
        if aggregate.agg in QUANTILES:
            mine = ibis.window(group_by=values[key])
            added[f"_rows_{name}"] = convert(count.sum().over(mine), INTEGER, INTEGER)
            upto = ibis.window(group_by=values[key], order_by=values[VALUE], preceding=None, following=0)
            added[f"_upto_{name}"] = convert(count.sum().over(upto), INTEGER, INTEGER)
    return values.mutate(**added) if added else values


def value_answer(
    values: ibis.Table,
    name: str,
    aggregate: Aggregate,
    wanted: DataType,
    seen: ir.BooleanValue | None,
    measures: Sequence[ir.Value],
) -> ir.Value:
    """The tag ``name`` from the values of a person, as an aggregate of ``values``; null when it sees none of them.

    ``seen``: which of the values the tag sees at all (None: every one). ``measures`` rank them: as
    ``value_partials`` lists them after the count, without nulls; of equal values the smaller comes first.
    """
    value, agg = values[VALUE], aggregate.agg
    assert aggregate.of is not None and aggregate.of.type is not None
    kind = aggregate.of.type
    if agg == "count_distinct":
        return convert(values.count(where=seen).nullif(0), INTEGER, wanted)
    if agg in QUANTILES:
        return _quantile(values, name, aggregate, wanted)
    if agg == "share":
        return _share(values, aggregate, wanted, seen, measures[0])
    if agg == "list":
        return _first_of(value.collect(where=seen).sort(), aggregate.k)
    directions = [True, *(tie.descending for tie in aggregate.ties)]
    order = {f"m{n}": -m if down else m for n, (m, down) in enumerate(zip(measures, directions, strict=True))}
    rank = ibis.struct({**order, "value": value})
    if agg == "top":
        return convert(value.argmin(rank, where=seen), kind, wanted)
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
        here = values[VALUE] == constant(aggregate.equals, aggregate.of.type)
        part = measure.sum(where=here if seen is None else seen & here).fill_null(0)
    return convert(part.cast("float64") / whole.nullif(0.0), FLOAT, wanted)


def _quantile(values: ibis.Table, name: str, aggregate: Aggregate, wanted: DataType) -> ir.Value:
    """Linear interpolation between the two nearest ranks (Hyndman & Fan 1996, type 7), to six decimals.

    The value of rank r (from 0) is the smallest one up to which there are more than r rows. Of decimals as a
    decimal, to the digits of ``wanted``: in whole minor units, so that a half of the last one is exact.
    """
    assert aggregate.of is not None and aggregate.of.type is not None
    kind, q = aggregate.of.type, 0.5 if aggregate.agg == "median" else aggregate.q
    assert q is not None
    value = values[VALUE]
    if kind.kind == "decimal":
        wide = convert(value, kind, summed(kind))
        value = convert(wide * ibis.literal(10 ** (kind.scale or 0), "int64"), kind, INTEGER)
    value, upto = convert(value, INTEGER, FLOAT), values[f"_upto_{name}"]
    place = (values[f"_rows_{name}"].cast("float64") - 1.0) * q
    below = value.min(where=upto > place.floor())
    above = value.min(where=upto > place.ceil())
    fraction = (place - place.floor()).max()
    found = below + (above - below) * fraction
    if kind.kind != "decimal":
        return convert(round_float(found, QUANTILE_DIGITS), FLOAT, wanted)
    assert kind.scale is not None
    if wanted.kind == "decimal":
        return _from_units(found, kind.scale, wanted)
    return convert(round_float(found / float(10**kind.scale), QUANTILE_DIGITS), FLOAT, wanted)
