"""Reports: measures by dimensions, one line per combination of their values, and one line for all.

The line of all (row 0) is not the sum of the others: it is read from the rows by a way of its own, without the
dimensions, so that comparing the two says whether a row was lost or counted twice.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.facts import between
from valtag_assets.engine.persons import OWNER, PERSON, beside, keyed, keyed_name, persons_table
from valtag_assets.engine.rules import (
    column_inputs,
    rule_inputs,
    rule_table,
    segment_table,
    segments_name,
    with_columns,
)
from valtag_assets.engine.session import unbound
from valtag_assets.engine.sums import summed, total
from valtag_assets.engine.tags import category_table
from valtag_assets.engine.windows import span_of
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.convert import constant, convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import Counting, ReportColumn, Resolved, ResolvedReport
from valtag_assets.spec.report import ROW, TOTAL
from valtag_assets.spec.types import BOOLEAN, FLOAT, INTEGER, DataType

_TRUNCATED = {"day": "D", "week": "W", "month": "M"}
# No code starts with _, so these can't be taken for a tag or field.
_VALUE, _COUNT, _ALL, _CHOSEN = "_value_", "_count_", "_all_", "_chosen"


def reports_name(report: str) -> str:
    """The table key of a report."""
    return f"reports/{report}"


def report_columns(report: ResolvedReport) -> dict[str, DataType]:
    """The columns of the report's table: the line's number (0: all together), the dimensions, the measures."""
    dimensions = {item.name: item.type for item in report.dimensions}
    return {ROW: INTEGER, TOTAL: BOOLEAN, **dimensions, **report.measures}


def report_inputs(resolved: Resolved, report: ResolvedReport) -> dict[str, frozenset[str]]:
    """Every table the report reads beside the population, and which columns."""
    found = rule_inputs(resolved, [] if report.where is None else [report.where])
    tables = {
        **column_inputs(resolved, report.tags | report.scores),
        **{keyed_name(resolved.sources[code]): fields for code, fields in report.facts.items()},
        **{segments_name(code): frozenset[str]() for code in report.segments},
    }
    return found | {name: found.get(name, frozenset()) | columns for name, columns in tables.items()}


def report_table(report: ResolvedReport, name: str) -> ibis.Table:
    """The report's lines as an unbound table called ``name``."""
    return unbound(name, {column: to_ibis_type(kind) for column, kind in report_columns(report).items()})


def report_expression(resolved: Resolved, report: ResolvedReport, as_of: date) -> ibis.Table:
    """The lines of the report at ``as_of``, the columns of ``report_columns``, in the order of their numbers.

    Persons without a value of a dimension have a line of their own, where it is empty.
    """
    people = chosen_persons(resolved, report, as_of)
    lines = _lines(resolved, report, people, as_of, report.dimensions)
    whole = _lines(resolved, report, people.select(PERSON), as_of, ())
    names = [item.name for item in report.dimensions]
    order = [key for name in names for key in (lines[name].isnull(), lines[name])]
    numbered = lines.mutate(**{ROW: ibis.row_number().over(order_by=order) + 1, TOTAL: ibis.literal(False)})
    empty = {item.name: ibis.null(to_ibis_type(item.type)) for item in report.dimensions}
    first = whole.mutate(**{ROW: ibis.literal(0), TOTAL: ibis.literal(True), **empty})
    both = ibis.union(*(_plain(report, table) for table in (first, numbered)))
    return _derived(report, both, whole).order_by(ROW)


def chosen_persons(resolved: Resolved, report: ResolvedReport, as_of: date) -> ibis.Table:
    """(person_id, the dimensions that are the person's own) of the persons the report is about."""
    split = [item.source for item in report.dimensions if item.kind == "tag"]
    table = with_columns(resolved, persons_table(), split)
    if report.where is not None:
        chosen = rule_table(resolved, {_CHOSEN: report.where}, as_of)
        table = table.semi_join(chosen.filter(chosen[_CHOSEN]), PERSON)
    for code in report.spec.segments:
        members = segment_table(code).select(PERSON)
        table = table.semi_join(members, PERSON)
    own = []
    for item in report.dimensions:
        if item.kind == "segment":
            members = segment_table(item.source).select(PERSON, **{item.name: ibis.literal(True)})
            table = beside(table, members)
            table = table.mutate(**{item.name: ibis.coalesce(table[item.name], ibis.literal(False))})
        if item.kind in ("tag", "segment"):
            own.append(item.name)
    return table.select(PERSON, *own)


def sums_expression(report: ResolvedReport, name: str) -> ibis.Table:
    """One row about the report's table ``name``: of each counted measure ``<code>``, as the line of all has it, and
    of those that add up ``_sum_<code>``, the others added."""
    table = report_table(report, name)
    found = {code: table[code].max(where=table[TOTAL]) for code in report.counted}
    for code in adding_up(report):
        kind = report.measures[code]
        added = total(table[code], kind, ~table[TOTAL]).fill_null(_nothing(summed(kind)))
        found[sum_name(code)] = convert(added, summed(kind), kind)
    return table.aggregate(**found)


def sum_name(code: str) -> str:
    return f"_sum_{code}"


def adding_up(report: ResolvedReport) -> list[str]:
    """The measures whose lines add up to the line of all, to the last digit."""
    adding = ("persons", "count", "sum") if not report.spec.by_fact else ("count", "sum")
    return [code for code, m in report.counted.items() if m.agg in adding and report.measures[code] != FLOAT]


def members_expression(report: ResolvedReport, name: str, column: str, measure: str) -> ibis.Table:
    """One row (members): the persons counted by ``measure`` on the lines of an audience's members."""
    table = report_table(report, name)
    added = total(table[measure], INTEGER, ~table[TOTAL] & table[column]).fill_null(_nothing(summed(INTEGER)))
    return table.aggregate(members=convert(added, summed(INTEGER), INTEGER))


def tag_totals(resolved: Resolved, report: ResolvedReport, tags: Mapping[str, str], as_of: date) -> ibis.Table:
    """One row: for each measure of ``tags`` the same number by way of that tag of the chosen persons: the sum of its
    values, or how many have more than 0 of it."""
    people = chosen_persons(resolved, report, as_of).select(PERSON)
    table = people
    for category in sorted({resolved.category_of(tag) for tag in tags.values()}):
        part = category_table(resolved, category)
        own = {f"_{tag}": part[tag] for tag in sorted(set(tags.values())) if resolved.category_of(tag) == category}
        table = beside(table, part.select(PERSON, **own))
    found = {}
    for code, tag in tags.items():
        value, kind = table[f"_{tag}"], resolved.tags[tag].type
        if report.counted[code].agg == "persons":
            found[code] = table.count(where=value > 0)
        else:
            added = total(value, kind).fill_null(_nothing(summed(kind)))
            found[code] = convert(added, summed(kind), report.measures[code])
    return table.aggregate(**found)


def _lines(
    resolved: Resolved,
    report: ResolvedReport,
    people: ibis.Table,
    as_of: date,
    dimensions: Sequence[ReportColumn],
) -> ibis.Table:
    """(dimensions, a column per counted measure): the persons and each fact by themselves, then side by side.

    Side by side by a second group-by, not by a join: to it, two empty values are one.
    """
    names = [item.name for item in dimensions]
    groups: dict[str | None, dict[str, Counting]] = defaultdict(dict)
    for code, item in report.counted.items():
        groups[item.fact][code] = item
    if not report.spec.by_fact:
        groups[None] |= {}
    parts = []
    for fact, counted in groups.items():
        if fact is None:
            rows, columns = people, {code: people.count() for code in counted}
        else:
            rows = _rows(resolved, report, people, fact, counted, as_of, dimensions)
            columns = {}
            for code, item in counted.items():
                columns |= _partials(rows, code, item)
        parts.append(_grouped(rows, names, columns or {_ALL: rows.count()}))
    return _side_by_side(report, parts, dimensions)


def _rows(
    resolved: Resolved,
    report: ResolvedReport,
    people: ibis.Table,
    fact: str,
    counted: Mapping[str, Counting],
    as_of: date,
    dimensions: Sequence[ReportColumn],
) -> ibis.Table:
    """The rows of ``fact`` that some measure counts, with the dimensions of row and person, and as boolean columns
    which measures count them."""
    source = resolved.sources[fact]
    rows = keyed(source, report.facts[fact])
    assert source.spec.time is not None
    conditions: dict[str, ir.BooleanValue] = {}
    for code, item in counted.items():
        span = span_of(item.window, as_of)
        held = between(rows[source.spec.time], span.first, span.last)
        if item.where is not None:
            held.append(compile_condition(item.where, rows, as_of))
        conditions[code] = ibis.and_(*held)
    values = {
        _VALUE + code: compile_value(item.of, rows, as_of) for code, item in counted.items() if item.of is not None
    }
    split = {item.name: _of_row(report, item, rows) for item in dimensions if item.kind in ("field", "date")}
    marks = {_COUNT + code: condition for code, condition in conditions.items()}
    # No name of ours meets one of the fact's: everything is selected anew.
    table = rows.select(**{OWNER: rows[OWNER]}, **split, **values, **marks)
    table = table.filter(table[OWNER].notnull(), reduce(or_, (table[mark] for mark in marks)))
    if not dimensions:
        return table.semi_join(people, table[OWNER] == people[PERSON])
    chosen = people.rename({f"_{PERSON}": PERSON})
    return table.inner_join(chosen, table[OWNER] == chosen[f"_{PERSON}"])


def _of_row(report: ResolvedReport, item: ReportColumn, rows: ibis.Table) -> ir.Value:
    if item.kind == "field":
        return rows[item.source]
    grain = next(d.date for d in report.spec.dimensions if d.name == item.name)
    assert grain is not None
    day = rows[item.source].cast("date")
    return day if grain == "day" else day.truncate(_TRUNCATED[grain]).cast("date")


def _partials(rows: ibis.Table, code: str, item: Counting) -> dict[str, ir.Value]:
    """What a measure needs of a group of rows: itself, or of an average its sum (exact) and its count."""
    mark = rows[_COUNT + code]
    if item.agg == "persons":
        return {code: rows[OWNER].nunique(where=mark)}
    if item.of is None:
        return {code: rows.count(where=mark)}
    value = rows[_VALUE + code]
    if item.agg == "count_distinct":
        return {code: value.nunique(where=mark)}
    if item.agg == "count":
        return {code: value.count(where=mark)}
    assert item.of.type is not None
    added = total(value, item.of.type, mark)
    return {code: added} if item.agg == "sum" else {code: added, _COUNT + code: value.count(where=mark)}


def _grouped(rows: ibis.Table, names: Sequence[str], columns: Mapping[str, ir.Value]) -> ibis.Table:
    if not names:
        return rows.aggregate(**columns)
    return rows.group_by(list(names)).aggregate(**columns)


def _side_by_side(
    report: ResolvedReport, parts: Sequence[ibis.Table], dimensions: Sequence[ReportColumn]
) -> ibis.Table:
    """One line per combination of the dimensions that any part has, every counted measure in its own type."""
    types = {}
    for code, item in report.counted.items():
        types[code] = summed(item.of.type) if item.agg in ("sum", "avg") and item.of and item.of.type else INTEGER
        if item.agg == "avg":
            types[_COUNT + code] = INTEGER
    padded = []
    for part in parts:
        own = {
            name: convert(part[name], kind, kind) if name in part.columns else ibis.null(to_ibis_type(kind))
            for name, kind in types.items()
        }
        padded.append(part.select(**{item.name: part[item.name] for item in dimensions}, **own))
    table = ibis.union(*padded) if len(padded) > 1 else padded[0]
    # Each column comes from one part alone, so its largest value is its only one.
    merged = _grouped(table, [item.name for item in dimensions], {name: table[name].max() for name in types})
    found = {}
    for code, item in report.counted.items():
        value = merged[code].fill_null(_nothing(types[code]))
        if item.agg == "avg":
            value = convert(value, types[code], FLOAT) / merged[_COUNT + code].nullif(0).cast("float64")
            found[code] = value
        else:
            found[code] = convert(value, types[code], report.measures[code])
    return merged.select(*[item.name for item in dimensions], **found)


def _nothing(kind: DataType) -> ir.Value:
    return constant(Decimal(0) if kind.kind == "decimal" else 0, kind)


def _plain(report: ResolvedReport, table: ibis.Table) -> ibis.Table:
    """The lines in one order of columns and exact types, so that they can be put together."""
    kinds = report_columns(report)
    names = [name for name in kinds if name in (ROW, TOTAL) or name in table.columns]
    return table.select(**{name: convert(table[name], kinds[name], kinds[name]) for name in names})


def _derived(report: ResolvedReport, lines: ibis.Table, whole: ibis.Table) -> ibis.Table:
    """Shares and ratios put beside what they follow from."""
    shared = {m.share for m in report.spec.measures if m.share}
    if shared:
        lines = lines.cross_join(whole.select(**{_ALL + code: whole[code] for code in sorted(shared)}))
    found = {}
    for measure in report.spec.measures:
        if measure.share is not None:
            found[measure.code] = _quotient(lines[measure.share], lines[_ALL + measure.share])
        elif measure.ratio is not None:
            above, below = measure.ratio
            found[measure.code] = _quotient(lines[above], lines[below])
    table = lines.mutate(**found)
    kinds = report_columns(report)
    return table.select(**{name: convert(table[name], kind, kind) for name, kind in kinds.items()})


def _quotient(above: ir.Value, below: ir.Value) -> ir.Value:
    divisor = below.cast("float64")
    return above.cast("float64") / divisor.nullif(0.0)
