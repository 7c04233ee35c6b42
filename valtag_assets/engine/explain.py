"""What one person's tag rests on: the rows of a fact that count and those that don't, and how they make the value.

Windows, conditions and aggregates are those of the tag build itself (engine.facts, engine.answers). The big table
is read once, for the person's rows alone (``own_rows``); everything else reads these few rows, bound under the name
of the clean table.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.answers import RANKED, SIMPLE, VALUE, simple_partials
from valtag_assets.engine.cleaning.quarantine import COLUMNS as REFUSED
from valtag_assets.engine.facts import Rows, between, fields_read, value_measures
from valtag_assets.engine.partials import order_of, row_order, time_of
from valtag_assets.engine.persons import PERSON, beside, one_person, owner_column, persons_table, rows_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.successors import linked, renamed_once
from valtag_assets.engine.tags import PREVIOUS, category_table, over_tags
from valtag_assets.engine.windows import span_of
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import Aggregate, Resolved, ResolvedSource, ResolvedTag

WHY = "_why"
COUNTED = "counted"
# Why a row of the person does not count, in the order in which it is asked. Every clean row of a fact has a time.
LATER, OUTSIDE, UNMET, EMPTY = "after the as-of", "outside the window", "where not met", "empty"
NOT_COUNTED = (LATER, OUTSIDE, UNMET, EMPTY)
STANDING, MERGED, QUARANTINE = "standing", "merged", "quarantine"
READ = "read"


def fields_of(source: ResolvedSource, aggregate: Aggregate) -> list[str]:
    """The clean columns that explain the tag: its time, what identifies a row, what the tag reads; in table order."""
    wanted = {time_of(source).code, *(name.code for name in order_of(source)), *fields_read(source, aggregate)}
    return [name for name in source.columns if name in wanted]


def own_rows(source: ResolvedSource, person: str, fields: Collection[str]) -> ibis.Table:
    """The person's clean rows: the key, ``fields``, _file, _row."""
    table, key = rows_table(source), owner_column(source)
    names = [name for name in table.columns if name in fields or name == key or name in ORIGIN_COLUMNS]
    return table.select(*names).filter(_is(table[key], person))


def judged_rows(source: ResolvedSource, aggregate: Aggregate, as_of: date) -> ibis.Table:
    """The rows of the bound clean table, ``_why`` each counts or not, and the ``_value`` it would give; by time."""
    names = [owner_column(source), *fields_of(source, aggregate), *ORIGIN_COLUMNS]
    table = rows_table(source).select(*dict.fromkeys(names))
    moment, span = table[time_of(source).code], span_of(aggregate.window, as_of)
    no = ibis.literal(False)
    asked: list[tuple[str, ir.BooleanValue]] = [
        (LATER, ~ibis.and_(*between(moment, None, as_of))),
        (OUTSIDE, ~ibis.and_(*between(moment, span.first, span.last))),
        (UNMET, no if aggregate.where is None else ~compile_condition(aggregate.where, table, as_of)),
    ]
    value: ir.Value = ibis.null("string")
    if aggregate.of is not None:
        value = compile_value(aggregate.of, table, as_of)
        asked.append((EMPTY, value.isnull()))
    why = ibis.cases(*[(found, ibis.literal(word)) for word, found in asked], else_=ibis.literal(COUNTED))
    made = table.mutate(**{WHY: why, VALUE: value})
    return made.order_by([time_of(source).code, *ORIGIN_COLUMNS])


def counted_rows(source: ResolvedSource, aggregate: Aggregate, as_of: date) -> ibis.Table:
    """The rows that count, as a clean table again: from these alone the tag can be computed once more."""
    rows = judged_rows(source, aggregate, as_of)
    return rows.filter(rows[WHY] == COUNTED).drop(WHY, VALUE)


def figures(source: ResolvedSource, tag: ResolvedTag, as_of: date) -> ibis.Table:
    """One row: how many of the bound rows count, and the tag's own partials of them (sum, count, min, …)."""
    aggregate = _aggregate(tag)
    rows = Rows.of(source, [(tag, aggregate)], as_of)
    found: dict[str, ir.Value] = {"rows": rows.table.count()}
    if aggregate.agg in SIMPLE:
        found |= {partial.kind: rows.read(partial, aggregate) for partial in simple_partials(source, aggregate)}
    return rows.table.aggregate(**{f"n_{name}": value for name, value in found.items()})


def deciding_row(source: ResolvedSource, aggregate: Aggregate, as_of: date) -> ibis.Table | None:
    """(_file, _row) of the one row a first, last, least, greatest or latest value is taken from; of equal rows any
    one. None for what every row adds to."""
    partial = simple_partials(source, aggregate)[0] if aggregate.agg in SIMPLE else None
    if partial is None or partial.of is None or partial.kind in ("sum", "count"):
        return None
    rows = counted_rows(source, aggregate, as_of)
    value = compile_value(partial.of, rows, as_of)
    order = row_order(partial, rows, value)
    places = {name: rows[name] for name in ORIGIN_COLUMNS}
    ranked = ibis.struct({**{name: order[name] for name in order.names}, **places})
    least = partial.kind in ("min", "first")
    place = ibis.struct(places)
    found = place.argmin(ranked, where=value.notnull()) if least else place.argmax(ranked, where=value.notnull())
    one = rows.aggregate(place=found)
    return one.select(**{name: one["place"][name] for name in ORIGIN_COLUMNS})


def value_ranking(source: ResolvedSource, tag: ResolvedTag, as_of: date) -> ibis.Table | None:
    """(_value, m0, m1, …): the person's values as the tag ranks them, m0 their rows, then by and ties. None for a
    tag that does not look at values one by one."""
    aggregate = _aggregate(tag)
    if aggregate.agg in SIMPLE or aggregate.of is None:
        return None
    rows = Rows.of(source, [(tag, aggregate)], as_of)
    table = rows.table.mutate(**{VALUE: compile_value(aggregate.of, rows.table, as_of)})
    rows = replace(rows, table=table.filter(table[VALUE].notnull()))
    measures: dict[str, ir.Value] = {}
    texts = value_measures(rows, aggregate, measures)
    named = dict(enumerate(texts))
    grouped = rows.table.group_by(VALUE).aggregate(**{f"m{n}": measures[text] for n, text in named.items()})
    order: list[ir.Value] = []
    if aggregate.agg in RANKED:
        falling = [True, *(tie.descending for tie in aggregate.ties)]
        order = [grouped[f"m{n}"].desc() if down else grouped[f"m{n}"].asc() for n, down in enumerate(falling, 1)]
    return grouped.order_by([*order, grouped[VALUE].asc()])


def merged_rows(source: ResolvedSource) -> ibis.Table:
    """(_into_file, _into_row, _file, _row): the duplicates that were merged into the rows of ``STANDING``."""
    names = ("_into_file", "_into_row")
    columns = dict(zip((*ORIGIN_COLUMNS, *names), ("string", "int64") * 2, strict=True))
    merged = unbound(f"{MERGED}/{source.code}", columns)
    standing = unbound(STANDING, {"_file": "string", "_row": "int64"})
    pairs = zip(names, ORIGIN_COLUMNS, strict=True)
    found = merged.semi_join(standing, [merged[into] == standing[name] for into, name in pairs])
    return found.select(*names, *ORIGIN_COLUMNS).order_by([*names, *ORIGIN_COLUMNS])


def refused_rows(source: ResolvedSource, spelling: str) -> ibis.Table:
    """(file, row, rule, reason, record) of refused rows whose record holds ``spelling`` in any case, anywhere."""
    table = unbound(f"{QUARANTINE}/{source.code}", REFUSED)
    found = table.filter(table["record"].lower().contains(ibis.literal(spelling.lower())))
    return found.select("file", "row", "rule", "reason", "record").order_by(["file", "row"])


def tags_read(resolved: Resolved, tag: ResolvedTag, person: str, *, kept: bool) -> ibis.Table:
    """One row (person_id, the tags that ``tag`` reads), as they are served; a tag of a person without a row is
    null. With ``kept`` also ``_<code>``, the value of the tag itself the day before, of the table PREVIOUS."""
    table = one_person(person)
    parts = []
    for category in sorted({resolved.category_of(code) for code in tag.tags}):
        codes = sorted(code for code in tag.tags if resolved.category_of(code) == category)
        parts.append(category_table(resolved, category).select(PERSON, *codes))
    if kept:
        before = unbound(PREVIOUS, {PERSON: ibis.dtype("string"), tag.code: to_ibis_type(tag.type)})
        before = renamed_once(before) if linked(resolved) else before
        parts.append(before.rename({f"_{tag.code}": tag.code}))
    for part in parts:
        table = beside(table, part)
    return table


def from_tags(tag: ResolvedTag, reads: Sequence[ResolvedTag], as_of: date, *, kept: bool) -> ibis.Table:
    """One column ``again``: the tag from the row of tags in ``READ``, where ``_<code>`` is what it keeps."""
    columns = {item.code: to_ibis_type(item.type) for item in reads}
    if kept:
        columns[f"_{tag.code}"] = to_ibis_type(tag.type)
    table = unbound(READ, {PERSON: ibis.dtype("string"), **columns})
    return table.select(again=over_tags(tag, table, as_of))


def row_of(table: ibis.Table, person: str) -> ibis.Table:
    """The rows of one person in a table of persons."""
    return table.filter(table[PERSON] == ibis.literal(person))


def like_person(person: str) -> ibis.Table:
    """(person_id) of up to three persons whose key differs from ``person`` in case and outer spaces alone."""
    table = persons_table()
    found = table.filter(table[PERSON].strip().lower() == ibis.literal(person.strip().lower()))
    return found.order_by(PERSON).limit(3)


def window_dates(aggregate: Aggregate, as_of: date) -> tuple[date | None, date]:
    """The first and the last local date that count."""
    span = span_of(aggregate.window, as_of)
    return span.first, span.last


def _aggregate(tag: ResolvedTag) -> Aggregate:
    assert tag.aggregate is not None
    return tag.aggregate


def _is(key: ir.Value, person: str) -> ir.BooleanValue:
    """Whether the source's key is the person. The column stays bare, so that Parquet files can be skipped."""
    if not key.type().is_integer():
        return key == ibis.literal(person)
    plain = person.removeprefix("-")
    whole = plain.isascii() and plain.isdigit() and str(int(person)) == person and abs(int(person)) < 2**63
    return key == ibis.literal(int(person), "int64") if whole else ibis.literal(False)
