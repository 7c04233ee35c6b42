"""Conditions Great Expectations has no word for, as SQL that returns the rows that break them.

Built as Ibis expressions over the table ``valtag_batch`` and compiled; nothing from a catalog is pasted.
Expressions on tables of other stages name them by their key (``tags/attribute``).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import pairwise
from typing import Any

import ibis

from valtag_assets.expression.compile import compile_value
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.patterns import engine_pattern
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.tree import Node
from valtag_assets.quality.stability import SMALLEST_SHARE, index_of
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.quoting import quote

DIALECT = "duckdb"
STAGED = "valtag_staged"
BATCH = "valtag_batch"
_COLUMNS = "valtag_columns"
_DESCRIBED = f'"{_COLUMNS}" AS (SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM "{BATCH}"))'

_SQL_TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}


class Query(str):
    """SQL as Great Expectations takes it, and what it says: the ``expression`` any engine can run, or, of the
    columns themselves, which types they should have."""

    expression: ibis.Table | None
    types: Mapping[str, DataType]

    def __new__(cls, sql: str, expression: ibis.Table | None, types: Mapping[str, DataType] | None = None) -> "Query":
        made = super().__new__(cls, sql)
        made.expression, made.types = expression, types or {}
        return made


def sql_type(data_type: DataType) -> str:
    """The name DuckDB gives to a column of this type."""
    if data_type.kind == "decimal":
        return f"DECIMAL({data_type.precision},{data_type.scale})"
    if data_type.kind == "list":
        return f"{_SQL_TYPES[data_type.item or 'text']}[]"
    return _SQL_TYPES[data_type.kind]


def batch(columns: Mapping[str, DataType]) -> ibis.Table:
    """The audited table."""
    return ibis.table({name: to_ibis_type(kind) for name, kind in columns.items()}, name=BATCH)


def rows_query(expression: ibis.Table) -> Query:
    """The rows of ``expression`` as an ``unexpected_rows_query``, where ``{batch}`` stands for the table.

    Great Expectations fills the braces with str.format and hands the text to SQLAlchemy, which reads ``:x``
    as a parameter; both are escaped.
    """
    sql = str(ibis.to_sql(expression, dialect=DIALECT))
    escaped = sql.replace("{", "{{").replace("}", "}}").replace(":", "\\:")
    return Query(_over("{batch}", escaped, expression.columns), expression)


def measure_query(expression: ibis.Table) -> Query:
    """One row about the audited table, as plain SQL."""
    sql = str(ibis.to_sql(expression, dialect=DIALECT))
    return Query(_over(f'"{STAGED}"', sql, expression.columns), expression)


def _over(source: str, sql: str, columns: Sequence[str]) -> str:
    """The columns are named once more: Ibis writes ``*`` for all the columns it was told of, which are few."""
    described = f", {_DESCRIBED}" if f'"{_COLUMNS}"' in sql else ""
    names = ", ".join(quote(name) for name in columns)
    return f'WITH "{BATCH}" AS (SELECT * FROM {source}){described} SELECT {names} FROM ({sql}) AS "found"'


def wrong_types(columns: Mapping[str, DataType]) -> tuple[Query, Query]:
    """The columns whose type is another one than expected, and how many columns there are."""
    return _wrong_types(tuple(columns.items()))


# A table's checks are named before it is computed, planned when it is, and hundreds of columns take a while.
@cache
def _wrong_types(columns: tuple[tuple[str, DataType], ...]) -> tuple[Query, Query]:
    actual = ibis.table({"column_name": "string", "column_type": "string"}, name=_COLUMNS)
    expected = ibis.cases(
        *((actual["column_name"] == name, sql_type(kind)) for name, kind in columns),
        else_=ibis.null("string"),
    )
    wrong = actual.mutate(expected=expected).filter(lambda table: table["column_type"] != table["expected"])
    counted = measure_query(actual.aggregate(evaluated=actual.count()))
    # No engine but DuckDB has a table of a table's columns.
    return Query(rows_query(wrong), None, dict(columns)), Query(counted, None)


def unmatched(column: str, pattern: str, names: Sequence[str]) -> tuple[Query, Query]:
    """The rows in whose text ``pattern`` is nowhere found, with what ``names`` them; null is no text."""
    table = batch({**_types_of(names), column: DataType("text")})
    value: Any = table[column]
    broken = table.filter(~value.re_search(engine_pattern(pattern))).select(*_distinct(*names, column))
    return rows_query(broken), measure_query(table.aggregate(evaluated=value.count()))


def items_outside(
    column: str, data_type: DataType, allowed: Sequence[Any], names: Sequence[str]
) -> tuple[Query, Query]:
    """The rows whose list holds something else than the ``allowed`` items, with what ``names`` them."""
    table = batch({**_types_of(names), column: data_type})
    value: Any = table[column]
    outside = value.filter(lambda item: item.notin(allowed))
    broken = table.filter(outside.length() > 0).select(*_distinct(*names, column))
    return rows_query(broken), measure_query(table.aggregate(evaluated=value.count()))


def law_broken(
    law: Node,
    as_of: date,
    key: str,
    own: Mapping[str, DataType],
    others: Mapping[str, Mapping[str, DataType]],
    shown: Iterable[str],
) -> tuple[Query, Query]:
    """The rows for which ``law`` is false. Where a null leaves it unknown it is not broken.

    ``own`` are the columns it reads of the audited table, ``others`` those of tables joined by ``key``.
    """
    table = batch({key: DataType("text"), **own})
    for name, columns in others.items():
        types = {f"_{key}": to_ibis_type(DataType("text"))}
        types |= {column: to_ibis_type(kind) for column, kind in columns.items()}
        other = ibis.table({key if column == f"_{key}" else column: t for column, t in types.items()}, name=name)
        other = other.rename({f"_{key}": key})
        table = table.left_join(other, table[key] == other[f"_{key}"]).drop(f"_{key}")
    holds: Any = compile_value(law, table, as_of)
    judged = table.mutate(_holds=holds)
    broken = judged.filter(~judged["_holds"]).select(key, *sorted(shown))
    return rows_query(broken), measure_query(judged.aggregate(evaluated=judged["_holds"].count()))


def not_among(key: str, table_name: str) -> Query:
    """The rows whose ``key`` is not a key of the table ``table_name``."""
    own = batch({key: DataType("text")})
    other = ibis.table({key: "string"}, name=table_name)
    return rows_query(own.anti_join(other, key).select(key))


def given_away(key: str, successors: str) -> Query:
    """The rows whose ``key`` went to somebody else, as the table ``successors`` (was, now) says."""
    own = batch({key: DataType("text")})
    known = ibis.table({"was": "string", "now": "string"}, name=successors)
    return rows_query(own.semi_join(known.filter(known["now"].notnull()), own[key] == known["was"]).select(key))


def shifted(column: str, data_type: DataType, histogram: Mapping[str, Any], at_most: float) -> tuple[Query, Query]:
    """One row with the stability index if it is above ``at_most`` (or there is no value left to compare)."""
    table = batch({column: data_type})
    value: Any = table[column]
    counts = table.aggregate(
        evaluated=value.count(),
        **{f"bin_{place}": count for place, count in enumerate(bin_counts(value, histogram))},
    )
    whole = counts["evaluated"].nullif(0).cast("float64")
    now = [
        ibis.greatest(counts[f"bin_{place}"].cast("float64") / whole, ibis.literal(SMALLEST_SHARE))
        for place in range(len(histogram["counts"]))
    ]
    index = ibis.ifelse(
        counts["evaluated"] > 0,
        index_of(histogram["counts"], now, lambda share: share.ln()),
        ibis.null("float64"),
    )
    found = counts.select("evaluated", observed=index)
    broken = found.filter((found["observed"] > at_most) | found["observed"].isnull()).select("observed")
    return rows_query(broken), measure_query(found)


def bin_counts(value: Any, histogram: Mapping[str, Any]) -> list[Any]:
    """How many values fall into each bin, as Ibis aggregates.

    ``edges`` e₁ < … < eₖ cut numbers into ≤ e₁, (e₁, e₂], …, > eₖ; ``values`` name a bin each, and a last bin
    takes all others. Nulls fall into no bin, NaN into the last.
    """
    if "values" in histogram:
        named = [(value == item).sum() for item in histogram["values"]]
        others = value.notin(histogram["values"]).sum() if named else value.count()
        return [ibis.coalesce(count, 0) for count in (*named, others)]
    upto = [ibis.coalesce((value <= ibis.literal(float(edge), "float64")).sum(), 0) for edge in histogram["edges"]]
    between = [high - low for low, high in pairwise(upto)]
    return [upto[0], *between, value.count() - upto[-1]]


def _types_of(names: Sequence[str]) -> dict[str, DataType]:
    """Of what names a row, only its number in a file is no text."""
    return {name: DataType("integer" if name == ORIGIN_COLUMNS[1] else "text") for name in names}


def _distinct(*names: str) -> list[str]:
    return list(dict.fromkeys(names))
