"""What persons did: measures of a fact's rows for segment rules, all those of one fact in one pass."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.facts import between
from valtag_assets.engine.partials import time_of
from valtag_assets.engine.persons import OWNER, PERSON, keyed
from valtag_assets.engine.sums import summed, total
from valtag_assets.engine.windows import Span
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.convert import constant
from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.rule import Event
from valtag_assets.spec.event import Dates
from valtag_assets.spec.types import DataType

_EXACT = Context(prec=80)  # more digits than any amount and any number of a rule have


def dates_span(dates: Dates, as_of: date) -> Span:
    """The local dates that ``dates`` means, seen from ``as_of``; nothing after it counts."""
    first, last = dates.first, dates.last
    if isinstance(first, int):
        first = _back(as_of, first - 1)
    elif isinstance(first, str):
        first = as_of.replace(day=1) if first == "month" else as_of.replace(month=1, day=1)
    if isinstance(last, int):
        last = _back(as_of, last)
    return Span(first, as_of if last is None else min(last, as_of))


def _back(day: date, days: int) -> date:
    """So many days earlier, or the first date there is."""
    return day - min(timedelta(days=days), day - date.min)


def event_table(source: ResolvedSource, events: Mapping[str, Event], as_of: date) -> ibis.Table:
    """(person_id, one measure per event), for the persons with a row that any of them looks at.

    A count is an integer, a sum a decimal; null where a sum has nothing to add.
    """
    spans = {column: dates_span(event.dates, as_of) for column, event in events.items()}
    nodes = [node for event in events.values() for node in (event.of, event.where) if node is not None]
    names = frozenset({time_of(source).code}).union(*map(names_read, nodes))
    firsts = [span.first for span in spans.values()]
    outer = Span(
        None if None in firsts else min(first for first in firsts if first is not None),
        max(span.last for span in spans.values()),
    )
    rows = keyed(source, names)
    wheres = {None if event.where is None else meaning(event.where): event.where for event in events.values()}
    kept = [rows[OWNER].notnull(), *between(rows[time_of(source).code], outer.first, outer.last)]
    shared = next(iter(wheres.values())) if len(wheres) == 1 else None
    if shared is not None:
        kept.append(compile_condition(shared, rows, as_of))
    rows = rows.filter(*kept)
    measures = []
    for column, event in events.items():
        conditions = [] if spans[column] == outer else _within(rows, source, spans[column])
        if event.where is not None and shared is None:
            conditions.append(compile_condition(event.where, rows, as_of))
        where = ibis.and_(*conditions) if conditions else None
        measures.append(_measure(rows, event, where, as_of).name(column))
    return rows.group_by(OWNER).aggregate(*measures).rename({PERSON: OWNER})


def _within(rows: ibis.Table, source: ResolvedSource, span: Span) -> list[ir.BooleanValue]:
    # A span may end before it begins: then nothing lies in it.
    return between(rows[time_of(source).code], span.first, span.last)


def _measure(rows: ibis.Table, event: Event, where: ir.BooleanValue | None, as_of: date) -> ir.Value:
    if event.of is None:
        return rows.count(where=where)
    assert event.of.type is not None
    value = compile_value(event.of, rows, as_of)
    return total(value, event.of.type, where) if event.measure == "sum" else value.nunique(where=where)


def measured(measure: ir.Value, event: Event) -> ir.NumericValue:
    """A measure of ``event_table`` for anybody: a person without rows measures 0."""
    kind = _kind(event)
    return ibis.coalesce(measure, constant(Decimal(0) if kind.kind == "decimal" else 0, kind))


def compared(measure: ir.Value, event: Event) -> ir.BooleanValue:
    """Whether a measure of ``event_table`` is as ``event`` wants it."""
    kind, known = _kind(event), measured(measure, event)
    value: int | Decimal = event.value
    if kind.kind == "decimal":
        exact = Decimal(value)
        assert kind.precision is not None and kind.scale is not None
        unit = Decimal(1).scaleb(-kind.scale)
        rounding = ROUND_CEILING if event.comparison == "at_least" else ROUND_FLOOR
        value = exact.quantize(unit, rounding, _EXACT)
        if abs(value) >= 10 ** (kind.precision - kind.scale):
            # Beyond every sum there can be.
            return ibis.literal((value < 0) == (event.comparison == "at_least") and event.comparison != "exactly")
        if event.comparison == "exactly" and value != exact:
            return ibis.literal(False)  # no sum has so many decimals
    wanted = constant(value, kind)
    if event.comparison == "at_least":
        return known >= wanted
    return known <= wanted if event.comparison == "at_most" else known == wanted


def _kind(event: Event) -> DataType:
    if event.measure != "sum":
        return DataType("integer")
    assert event.of is not None and event.of.type is not None
    return summed(event.of.type)
