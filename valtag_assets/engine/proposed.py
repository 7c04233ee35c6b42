"""What is looked at before a tag is written: the rows of a sample of persons, and what became of them.

The tables ``identity/persons`` and those of the rows (``keyed_name``) are those of the sample here (see
engine.recompute).
"""

from collections.abc import Mapping
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.persons import OWNER, PERSON, beside, keyed, persons_table
from valtag_assets.engine.session import unbound
from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.convert import convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.tree import Node
from valtag_assets.spec.types import FLOAT, DataType

FIRST, LAST, PERSONS_SEEN = "_first", "_last", "_persons"
HAPPENED, KNOWN, OFTEN = "_happened", "_known", "_often"


def figures_expression(source: ResolvedSource) -> ibis.Table:
    """One row: per column ``<place>_rows`` with a value, ``_distinct`` ones, of numbers ``_low`` and ``_high``; of a
    fact the first and last date."""
    rows = keyed(source)
    found: dict[str, ir.Value] = {PERSONS_SEEN: rows[OWNER].nunique()}
    for place, (name, kind) in enumerate(source.columns.items()):
        value = rows[name]
        found |= {f"{place}_rows": value.count(), f"{place}_distinct": value.nunique()}
        if kind.numeric:
            number = convert(value, kind, FLOAT)
            found |= {f"{place}_low": number.min(), f"{place}_high": number.max()}
    if source.spec.kind == "fact" and source.spec.time is not None:
        day = rows[source.spec.time].cast("date")
        found |= {FIRST: day.min(), LAST: day.max()}
    return rows.aggregate(**found)


def often_expression(source: ResolvedSource) -> ibis.Table:
    """(often) of the persons, sorted by person: whether the fact has two rows of them or more."""
    rows = keyed(source, {source.spec.time or ""})
    counted = rows.filter(rows[OWNER].notnull()).group_by(**{PERSON: rows[OWNER]}).aggregate(n=lambda t: t.count())
    joined = beside(persons_table(), counted)
    return joined.order_by(PERSON).select(**{OFTEN: (joined["n"] > 1).fill_null(False)})


def pairs_expression(source: ResolvedSource, name: str) -> ibis.Table:
    """One row (persons, pairs): who has a value of the field, and distinct (person, value)."""
    rows = keyed(source, {name})
    pairs = rows.filter(rows[name].notnull()).select(OWNER, name).distinct()
    return pairs.aggregate(persons=pairs[OWNER].nunique(), pairs=pairs.count())


def kinds_expression(source: ResolvedSource, name: str) -> ibis.Table:
    """The values of a text field, the most frequent first; equally frequent ones in the order of the text."""
    rows = keyed(source, {name})
    counted = rows.filter(rows[name].notnull()).group_by(name).aggregate(n=lambda table: table.count())
    return counted.order_by([ibis.desc("n"), name]).select(name)


def served_expression(tables: Mapping[str, Mapping[str, DataType]]) -> ibis.Table:
    """(one column per tag) of the persons, sorted by person. ``tables``: published tags, with their types."""
    found = persons_table()
    for name, columns in tables.items():
        schema = {PERSON: ibis.dtype("string")} | {code: to_ibis_type(kind) for code, kind in columns.items()}
        found = beside(found, unbound(name, ibis.schema(schema)))
    return found.order_by(PERSON).drop(PERSON)


def outcome_expression(
    source: ResolvedSource, where: Node | None, others: Mapping[str, ResolvedSource], at: date, until: date
) -> ibis.Table:
    """(happened, known) of the persons, sorted by person: whether ``source`` has a row of them after ``at`` and up to
    ``until`` that satisfies ``where``; whether any of ``others``, facts, has one at or before ``at``."""
    after, upto = ibis.literal(at, type="date"), ibis.literal(until, type="date")
    rows = keyed(source)
    day = _day(source, rows)
    if where is not None:
        rows = rows.filter(compile_condition(where, rows, at))
        day = _day(source, rows)
    happened = rows.filter((day > after) & (day <= upto))
    table = _marked(persons_table(), happened, HAPPENED)
    for code, other in others.items():
        seen = keyed(other, {other.spec.time or ""})
        table = _marked(table, seen.filter(_day(other, seen) <= after), f"{KNOWN}_{code}")
    known = [table[f"{KNOWN}_{code}"] for code in others]
    anywhere = known[0]
    for one in known[1:]:
        anywhere = anywhere | one
    return table.order_by(PERSON).select(**{HAPPENED: table[HAPPENED], KNOWN: anywhere})


def _day(source: ResolvedSource, rows: ibis.Table) -> ir.DateValue:
    assert source.spec.time is not None
    day: ir.DateValue = rows[source.spec.time].cast("date")
    return day


def _marked(table: ibis.Table, rows: ibis.Table, name: str) -> ibis.Table:
    """``table`` with a boolean: whether the person has one of ``rows``."""
    some = rows.filter(rows[OWNER].notnull()).select(**{PERSON: rows[OWNER]}).distinct()
    joined = beside(table, some.mutate(**{name: ibis.literal(True)}))
    return joined.mutate(**{name: joined[name].fill_null(False)})
