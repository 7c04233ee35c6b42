"""Expectations counted by the engine itself: what Great Expectations would find, without Great Expectations.

For tables that live on a cluster, where no single machine should have to read them again. The vocabulary is the
same, and so are the counts (tests hold both against each other): the expectations on columns are aggregates of
one query, those that are queries have one each, and only what failed is looked at for a sample.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.quality.expectation import (
    BETWEEN,
    COLUMNS,
    COMPOUND_UNIQUE,
    IN_SET,
    MEAN,
    NON_NULL_SHARE,
    NOT_NULL,
    ROW_COUNT,
    ROW_COUNT_EQUALS,
    ROWS,
    UNIQUE,
    Expectation,
)
from valtag_assets.quality.outcome import Outcome
from valtag_assets.quality.queries import BATCH, Query, sql_type
from valtag_assets.spec.types import DataType, decimal, list_of

_WIDEST = 38
_SCALARS = {
    pa.string(): DataType("text"),
    pa.int64(): DataType("integer"),
    pa.float64(): DataType("float"),
    pa.bool_(): DataType("boolean"),
    pa.date32(): DataType("date"),
    pa.timestamp("us"): DataType("timestamp"),
}


class Engine(Protocol):
    """The part of an engine an audit needs."""

    def fetch(self, expression: ibis.Table, inputs: Mapping[str, Sequence[Path]]) -> pa.Table: ...


def counted(
    engine: Engine,
    files: Sequence[Path],
    expectations: Sequence[Expectation],
    key: str,
    joined: Mapping[str, Sequence[Path]],
    sample: int,
) -> dict[str, Outcome]:
    """What comes of each expectation on the rows of ``files``, by check; arguments as for ``audit``."""
    names = tuple(dict.fromkeys([key, *origin_of(files[0])]))
    table = _Audited(engine, {BATCH: files, **joined}, _types(files[0]), names, sample)
    (row,) = table.fetch(table.rows.aggregate(rows=table.rows.count()))
    together = [item for item in expectations if item.kind in _MEASURES]
    try:
        numbers = table.measured(together)
    except Exception:  # one of them can't be evaluated: then each by itself, and the error stays with its own
        numbers = {}
    found: dict[str, Outcome] = {}
    for item in expectations:
        try:
            own = numbers.get(item.check) or table.measured([item])[item.check]
            found[item.check] = _outcome(table, item, int(row["rows"]), own)
        except Exception as error:  # whatever went wrong, the expectation has not been met
            first = next(iter(str(error).splitlines()), "")
            found[item.check] = Outcome(passed=False, error=f"{type(error).__name__}: {first}"[:300])
    return found


@dataclass(frozen=True)
class _Audited:
    """The audited rows under an engine's eye. ``types``: the columns there really are; None: of no known type.
    ``names``: the columns that name a row."""

    engine: Engine
    inputs: Mapping[str, Sequence[Path]]
    types: Mapping[str, DataType | None]
    names: tuple[str, ...]
    sample: int

    @property
    def rows(self) -> Any:
        known = {name: to_ibis_type(kind) for name, kind in self.types.items() if kind is not None}
        return ibis.table(known, name=BATCH)

    def fetch(self, expression: ibis.Table) -> list[dict[str, Any]]:
        return self.engine.fetch(expression, self.inputs).to_pylist()

    def measured(self, items: Sequence[Expectation]) -> dict[str, dict[str, Any]]:
        """The aggregates of all ``items`` in one query, by check."""
        aggregates = {
            f"{place}_{name}": value
            for place, item in enumerate(items)
            for name, value in _measures(self, item).items()
        }
        row = self.fetch(self.rows.aggregate(**aggregates))[0] if aggregates else {}
        return {
            item.check: {name: row[f"{place}_{name}"] for name in _measures(self, item)}
            for place, item in enumerate(items)
        }

    def first(self, broken: ibis.Table, *columns: str | None) -> tuple[Mapping[str, Any], ...]:
        """A few of the rows in ``broken``."""
        names = dict.fromkeys([*self.names, *filter(None, columns)])
        shown = broken.select(*[name for name in names if name in broken.columns])
        return tuple(self.fetch(shown.order_by(list(shown.columns)[:1]).limit(self.sample)))


def origin_of(file: Path) -> tuple[str, ...]:
    """The columns of a table that say where a row was read, if it has any."""
    return tuple(name for name in ORIGIN_COLUMNS if name in pq.read_schema(file).names)


def _types(file: Path) -> dict[str, DataType | None]:
    return {field.name: _type(field.type) for field in pq.read_schema(file)}


def _type(kind: pa.DataType) -> DataType | None:
    if pa.types.is_decimal128(kind):
        return decimal(kind.precision, kind.scale)
    if pa.types.is_list(kind) and kind.value_type in _SCALARS:
        return list_of(_SCALARS[kind.value_type].kind)
    return _SCALARS.get(kind)


# --- what is counted ---------------------------------------------------------------------------------------------


def _measures(table: _Audited, item: Expectation) -> dict[str, Any]:
    """The aggregates that decide ``item``; none for what is not about columns."""
    if item.kind not in _MEASURES:
        return {}
    names = [item.column] if item.column is not None else item.arguments["column_list"]
    for name in names:
        if table.types.get(name) is None:
            raise ValueError(f"there is no column {name} that could be judged")
    return _MEASURES[item.kind](table, item)


def _unexpected(table: _Audited, item: Expectation) -> dict[str, Any]:
    rows = table.rows
    return {"unexpected": rows.count(where=_broken(table, item)), "evaluated": rows[item.column].count()}


def _broken(table: _Audited, item: Expectation) -> Any:
    """Which rows break an expectation that each row meets or breaks by itself; null is no value to judge."""
    value, arguments = table.rows[item.column], item.arguments
    kind = table.types[str(item.column)]
    assert kind is not None
    if item.kind == NOT_NULL:
        return value.isnull()
    if item.kind == IN_SET:
        return ~ibis.or_(*(operator.eq(*_alike(value, kind, allowed)) for allowed in arguments["value_set"]))
    outside = []
    if (low := arguments.get("min_value")) is not None:
        outside.append((operator.le if arguments.get("strict_min") else operator.lt)(*_alike(value, kind, low)))
    if (high := arguments.get("max_value")) is not None:
        outside.append((operator.ge if arguments.get("strict_max") else operator.gt)(*_alike(value, kind, high)))
    return ibis.or_(*outside)


def _alike(value: Any, kind: DataType, other: Any) -> tuple[Any, Any]:
    """A column and a value of the catalog, of types that compare exactly."""
    if kind.kind == "float":
        return value, ibis.literal(float(other), type=dt.float64)
    if kind.kind != "decimal":
        return value, ibis.literal(other)
    exact = Decimal(str(other)).normalize()
    wide = dt.Decimal(_WIDEST, max(kind.scale or 0, -int(exact.as_tuple().exponent)))
    return ops.Cast(value, wide).to_expr(), ibis.literal(exact, type=wide)


_MEASURES: dict[str, Callable[[_Audited, Expectation], dict[str, Any]]] = {
    NOT_NULL: _unexpected,
    IN_SET: _unexpected,
    BETWEEN: _unexpected,
    MEAN: lambda table, item: {"observed": table.rows[item.column].cast("float64").mean()},
    NON_NULL_SHARE: lambda table, item: {"filled": table.rows[item.column].count()},
    UNIQUE: lambda table, item: {"evaluated": table.rows[item.column].count()},
    COMPOUND_UNIQUE: lambda table, item: {"evaluated": table.rows.count(where=_complete(table.rows, item))},
}


# --- what comes of it --------------------------------------------------------------------------------------------


def _outcome(table: _Audited, item: Expectation, rows: int, numbers: Mapping[str, Any]) -> Outcome:
    if item.kind == ROWS:
        return _of_query(table, item, rows)
    if item.kind in (ROW_COUNT, ROW_COUNT_EQUALS):
        return _of_row_count(item, rows)
    if item.kind == COLUMNS:
        wrong = set(table.types) ^ set(item.arguments["column_set"])
        wanted = len(item.arguments["column_set"])
        return Outcome(not wrong, unexpected=len(wrong), evaluated=wanted, observed=sorted(wrong))
    if item.kind not in _MEASURES:
        raise ValueError(f"{item.kind} can't be counted by an engine")
    if item.kind == MEAN:
        return Outcome(_within(numbers["observed"], item), evaluated=rows, observed=numbers["observed"])
    if item.kind == NON_NULL_SHARE:
        observed = numbers["filled"] / rows if rows else 0.0
        return Outcome(_within(observed, item), evaluated=rows, observed=observed)
    if item.kind in (UNIQUE, COMPOUND_UNIQUE):
        return _of_uniqueness(table, item, int(numbers["evaluated"]))
    unexpected = int(numbers["unexpected"])
    evaluated = rows if item.kind == NOT_NULL else int(numbers["evaluated"])
    passed = unexpected == 0 or (evaluated - unexpected) / evaluated >= item.arguments.get("mostly", 1)
    sample = table.first(table.rows.filter(_broken(table, item)), item.column) if unexpected else ()
    return Outcome(passed, unexpected=unexpected, evaluated=evaluated, rows=sample)


def _within(observed: float | None, item: Expectation) -> bool:
    if observed is None:
        return False
    low, high = item.arguments.get("min_value"), item.arguments.get("max_value")
    above = low is None or observed > low or (observed == low and not item.arguments.get("strict_min"))
    below = high is None or observed < high or (observed == high and not item.arguments.get("strict_max"))
    return above and below


def _of_row_count(item: Expectation, rows: int) -> Outcome:
    least = item.arguments.get("min_value", item.arguments.get("value", 0))
    away = abs(rows - least) if item.kind == ROW_COUNT_EQUALS else max(0, least - rows)
    return Outcome(away == 0, unexpected=away, evaluated=rows, observed=rows)


def _complete(rows: Any, item: Expectation) -> Any:
    return ibis.and_(*(rows[name].notnull() for name in item.arguments["column_list"]))


def _of_uniqueness(table: _Audited, item: Expectation, evaluated: int) -> Outcome:
    """Every row whose key, without a null in it, another row has too."""
    names = [item.column] if item.column is not None else list(item.arguments["column_list"])
    rows = table.rows.filter([table.rows[name].notnull() for name in names])
    groups = rows.group_by(names).aggregate(_rows=lambda t: t.count())
    repeated = groups.filter(groups["_rows"] > 1)
    (row,) = table.fetch(repeated.aggregate(unexpected=repeated["_rows"].sum()))
    unexpected = int(row["unexpected"] or 0)
    sample = table.first(rows.semi_join(repeated, names), *names) if unexpected else ()
    return Outcome(unexpected == 0, unexpected=unexpected, evaluated=evaluated, rows=sample)


def _of_query(table: _Audited, item: Expectation, rows: int) -> Outcome:
    query = item.arguments["unexpected_rows_query"]
    if not isinstance(query, Query):
        raise ValueError("a query of one engine's own can't be run on another")
    if query.expression is None:
        return _of_types(table, query)
    broken = query.expression
    (counted,) = table.fetch(broken.aggregate(unexpected=broken.count()))
    unexpected = int(counted["unexpected"])
    found = table.fetch(broken.limit(table.sample)) if unexpected else []
    # Ibis writes * for all the columns it was told of, which are few.
    sample = tuple({name: row[name] for name in broken.columns} for row in found)
    outcome = Outcome(unexpected == 0, unexpected=unexpected, rows=sample)
    if not isinstance(item.measure, Query) or item.measure.expression is None:
        return outcome.completed(evaluated=rows)
    (measure,) = table.fetch(item.measure.expression)
    return outcome.completed(evaluated=int(measure["evaluated"]), observed=measure.get("observed"))


def _of_types(table: _Audited, query: Query) -> Outcome:
    wrong = [
        {"column_name": name, "column_type": _written(table.types[name]), "expected": sql_type(kind)}
        for name, kind in query.types.items()
        if name in table.types and table.types[name] != kind
    ]
    rows = tuple(wrong[: table.sample])
    return Outcome(not wrong, unexpected=len(wrong), evaluated=len(table.types), rows=rows)


def _written(kind: DataType | None) -> str:
    return "another" if kind is None else sql_type(kind)
