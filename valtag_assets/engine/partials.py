"""Partial aggregates: what a value tag needs of a fact's rows, in a form that can be merged.

A partial of some rows and a partial of others give the partial of all of them; counts and sums can also be
taken away again. So the same partials serve a group-by over a fact, the tiles of its days, and the checkpoint
a new as-of continues from. An average is a sum and a count; first and last carry their time and key.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from valtag_assets.engine.sums import summed, total
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.convert import constant, convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.resolved import Aggregate, ResolvedSource, Window
from valtag_assets.expression.tree import Call, Name, Node, walk
from valtag_assets.spec.types import INTEGER, DataType, decimal

Kind = Literal["count", "sum", "min", "max", "first", "last"]
ADDITIVE: frozenset[Kind] = frozenset({"count", "sum"})
# These read the as-of itself: their value of a row changes from day to day.
DATED = frozenset({"as_of", "days_since", "days_to_anniversary", "years_since"})
TIMELESS = date.min


@dataclass(frozen=True)
class Partial:
    """One mergeable aggregate over the rows that satisfy ``where``.

    ``count`` counts rows, or with ``of`` those where it is not null; ``first`` / ``last`` is the whole order
    (time, key, value) of the first or last row with a value, its key fields given as ``order``.
    """

    kind: Kind
    of: Node | None = None
    where: Node | None = None
    order: tuple[Name, ...] = ()

    @cached_property
    def id(self) -> str:
        """A column name that stands for this very aggregate, in any catalog."""
        text = repr((self.kind, self.of, self.where, self.order))
        return f"{self.kind}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def additive(self) -> bool:
        return self.kind in ADDITIVE


@dataclass(frozen=True)
class Need:
    """A partial over the days of one window."""

    partial: Partial
    window: Window

    @property
    def column(self) -> str:
        return f"{self.partial.id}{self.window.suffix or '_all'}"


def time_of(source: ResolvedSource) -> Name:
    """The field that dates a row of the fact."""
    assert source.spec.time is not None
    return Name(source.spec.time, source.columns[source.spec.time])


def order_of(source: ResolvedSource) -> tuple[Name, ...]:
    """What orders the rows of the fact: time, then what identifies a row."""
    key = source.spec.key or (source.spec.merge.key if source.spec.merge else ())
    return (time_of(source), *[Name(name, source.columns[name]) for name in key])


def nodes_of(aggregate: Aggregate) -> list[Node]:
    """Every expression the tag evaluates on a row."""
    measures = (aggregate.by, *(tie.measure for tie in aggregate.ties))
    nodes = (aggregate.of, aggregate.where, *(measure.of for measure in measures))
    return [node for node in nodes if node is not None]


def mergeable(aggregate: Aggregate) -> bool:
    """Whether what a row contributes is the same at every as-of."""
    parts = (part for node in nodes_of(aggregate) for part in walk(node))
    return not any(isinstance(part, Call) and part.function in DATED for part in parts)


def names_of(partials: Sequence[Partial]) -> frozenset[str]:
    """The fields of the fact that the partials read."""
    found: frozenset[str] = frozenset()
    for partial in partials:
        nodes = [node for node in (partial.of, partial.where, *partial.order) if node is not None]
        found = found.union(*(names_read(node) for node in nodes))
    return found


def type_of(partial: Partial) -> dt.DataType:
    """The Ibis type of the partial's column."""
    if partial.kind == "count":
        return dt.int64
    assert partial.of is not None and partial.of.type is not None
    if partial.kind == "sum":
        return to_ibis_type(summed(partial.of.type))
    value = to_ibis_type(partial.of.type)
    if partial.kind in ("min", "max"):
        return value
    order = {f"order_{n}": to_ibis_type(_typed(name)) for n, name in enumerate(partial.order)}
    return dt.Struct({**order, "value": value})


def of_rows(partial: Partial, rows: ibis.Table) -> ir.Value:
    """The partial over ``rows`` of the fact, as an aggregate; null (a count: 0) when no row has part in it."""
    where = None if partial.where is None else compile_condition(partial.where, rows, TIMELESS)
    if partial.of is None:
        return _exact(rows.count(where=where), dt.int64)
    assert partial.of.type is not None
    value = compile_value(partial.of, rows, TIMELESS)
    if partial.kind == "count":
        return _exact(value.count(where=where), dt.int64)
    if partial.kind == "sum":
        return total(value, partial.of.type, where)
    if partial.kind in ("min", "max"):
        found = value.min(where=where) if partial.kind == "min" else value.max(where=where)
        return convert(found, partial.of.type, partial.of.type)
    order = row_order(partial, rows, value)
    known = value.notnull() if where is None else where & value.notnull()
    return order.min(where=known) if partial.kind == "first" else order.max(where=known)


def merged(partial: Partial, column: ir.Value, where: ir.BooleanValue | None = None) -> ir.Value:
    """Partials of groups of rows, in ``column``, as the partial of all of them: an aggregate of the same type."""
    if partial.kind in ("min", "first"):
        return column.min(where=where)
    if partial.kind in ("max", "last"):
        return column.max(where=where)
    if partial.kind == "count":
        return _exact(column.sum(where=where).fill_null(0), dt.int64)
    return _exact(column.sum(where=where), column.type())


def row_order(partial: Partial, rows: ibis.Table, value: ir.Value) -> ir.StructValue:
    """What rows are ordered by: ``partial.order``, then the value. Without a null where ``value`` is known."""
    # A struct that orders must hold no null: an empty key comes first.
    keys = {
        f"order_{n}": convert(rows[name.code].fill_null(_least(_typed(name))), _typed(name), _typed(name))
        for n, name in enumerate(partial.order)
    }
    return ibis.struct({**keys, "value": value})


def _typed(name: Name) -> DataType:
    assert name.type is not None
    return name.type


def _least(kind: DataType) -> ir.Value:
    """A value no other lies below."""
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


def _exact(value: ir.Value, wanted: dt.DataType) -> ir.Value:
    """In exactly this type: engines widen sums, and Ibis drops a cast it believes to be needless."""
    if wanted.is_int64():
        return convert(value, INTEGER, INTEGER)
    assert isinstance(wanted, dt.Decimal) and wanted.precision is not None
    kind = decimal(wanted.precision, wanted.scale or 0)
    return convert(value, kind, kind)
