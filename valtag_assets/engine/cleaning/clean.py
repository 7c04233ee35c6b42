"""Clean one source: raw table → clean table, quarantine and account.

The raw table is read once into a *judged* table: every clean column, and the name of the first rule that
catches the row. Counts, merging, sorting and the quarantine work from it.

Two rows with the same key are one; a row whose key has a null in it equals no other. Of equal rows the first
stays: by the stated order (nulls last), then by file and row, so that a repeated run chooses the same one.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path

import ibis
from ibis.expr.types import Table, Value

from valtag_assets.engine.cleaning.account import UNREADABLE, Account, Cleaned
from valtag_assets.engine.cleaning.judge import ORIGIN, RAW, judge, medians_of, repair_column
from valtag_assets.engine.cleaning.plan import Rule
from valtag_assets.engine.cleaning.quarantine import write_quarantine
from valtag_assets.engine.cleaning.rows import LookupTable, RowRules, lookup_inputs
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import Engine, Inputs, unbound
from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Deduplicate, Source

_JUDGED = "judged"
_MERGED = "merged"


def clean_source(
    engine: Engine,
    source: Source,
    project: Project,
    raw: RawTable,
    lookups: Mapping[str, LookupTable],
    rules: RowRules,
    into: Path,
) -> Cleaned:
    """Clean ``raw`` into ``into`` (an existing folder): clean.parquet, quarantine.parquet.

    ``lookups``: the cleaned lookup sources by name. ValueError: the source's rules contradict themselves or
    the raw table. AssertionError: rows were lost or multiplied, which no data can cause.
    """
    inputs: Inputs = {RAW: [Path(file) for file in raw.files], **lookup_inputs(source, lookups)}
    medians = medians_of(engine, source, project, raw, inputs)
    judged, refusals = judge(source, project, raw, lookups, rules, medians)
    judged_file = into / "judged.parquet"
    engine.write(judged, inputs, judged_file)
    try:
        return _settle(engine, source, raw, judged, refusals, inputs, into)
    finally:
        for passing in (_JUDGED, _MERGED):
            (into / f"{passing}.parquet").unlink(missing_ok=True)


def _settle(
    engine: Engine,
    source: Source,
    raw: RawTable,
    judged: Table,
    rules: list[Rule],
    inputs: Inputs,
    into: Path,
) -> Cleaned:
    """Count, merge, sort and write what the judged table says."""
    table = unbound(_JUDGED, judged.schema())
    files: dict[str, list[Path]] = {_JUDGED: [into / "judged.parquet"]}
    counts, repaired = _count(engine, table, rules, files)
    if sum(counts.values()) != raw.rows:
        raise AssertionError(f"{source.source}: {raw.rows} rows were read, but {sum(counts.values())} judged")
    clean, quarantine, merged = (into / f"{name}.parquet" for name in ("clean", "quarantine", _MERGED))
    if source.merge:
        engine.write(_merged(table, source.merge), files, merged)
        files[_MERGED] = [merged]
    engine.write(_kept(table, source), files, clean)
    rows, until = _measure(engine, source, table, clean)
    accepted = counts.pop(None, 0)
    dropped = {rule.name for rule in rules if rule.action == "drop"}
    filtered = sum(count for name, count in counts.items() if name in dropped)
    by_rule = {str(name): count for name, count in counts.items()}
    refused = sum(by_rule.values()) - filtered
    write_quarantine(engine, source, raw, table, rules, files | {RAW: inputs[RAW]}, refused, quarantine)
    if raw.broken_rows:
        by_rule[UNREADABLE] = raw.broken_rows
    account = Account(
        rows_in=raw.rows + raw.broken_rows,
        clean=rows,
        quarantined=refused + raw.broken_rows,
        merged=accepted - rows,
        filtered=filtered,
        by_rule=by_rule,
        repaired=repaired,
    )
    return Cleaned(clean, quarantine, account, until)


def _count(
    engine: Engine, table: Table, rules: list[Rule], files: Inputs
) -> tuple[dict[str | None, int], dict[str, int]]:
    """Rows by the rule that caught them (None: kept), and repaired values of kept rows by rule."""
    repairs = [rule for rule in rules if rule.action == "repair"]
    columns = {str(number): table[repair_column(rule)].sum() for number, rule in enumerate(repairs)}
    counted = engine.fetch(table.group_by("_rule").aggregate(_rows=table.count(), **columns), files)
    found = {row.pop("_rule"): row for row in counted.to_pylist()}
    kept = found.get(None, {})
    repaired: dict[str, int] = {}
    for number, rule in enumerate(repairs):
        repaired[rule.name] = repaired.get(rule.name, 0) + int(kept.get(str(number)) or 0)
    return {name: found[name]["_rows"] for name in sorted(found, key=str)}, repaired


def _clean_part(table: Table) -> Table:
    """The columns of the clean table."""
    return table.select(*(name for name in table.columns if name in ORIGIN or not name.startswith("_")))


def _kept(table: Table, source: Source) -> Table:
    """Rows that no rule caught, without those merged into another, sorted for their readers."""
    kept = _accepted(table)
    if source.merge:
        merged = unbound(_MERGED, {name: kept[name].type() for name in ORIGIN})
        kept = kept.anti_join(merged, list(ORIGIN))
    time_of_fact = source.time if source.kind == "fact" else None
    first = (source.person, time_of_fact, *source.key)
    return kept.order_by([name for name in dict.fromkeys((*first, *ORIGIN)) if name])


def _accepted(table: Table) -> Table:
    return _clean_part(table.filter(table["_rule"].isnull()))


def _merged(table: Table, merge: Deduplicate) -> Table:
    """File and row of the rows that are merged into an equal one, which comes first in the order.

    Only keys that occur more than once are ranked: to rank all rows would be to sort all of them.
    """
    key, rows = list(merge.key), _accepted(table)
    counted = rows.aggregate(_rows=rows.count(), by=key)
    repeated = rows.semi_join(counted.filter(counted["_rows"] > 1), key)
    order = [_sorted(repeated, item) for item in (*merge.order, *ORIGIN)]
    ranked = repeated.select(*ORIGIN, _place=ibis.row_number().over(group_by=key, order_by=order))
    return ranked.filter(ranked["_place"] > 0).select(*ORIGIN)


def _sorted(table: Table, written: str) -> Value:
    """One item of an order: "field", "field asc" or "field desc"; ValueError for anything else."""
    name, *direction = written.split()
    if name not in table.columns or direction not in ([], ["asc"], ["desc"]):
        raise ValueError(f"order '{written}' is no field with asc or desc")
    column = table[name]
    return column.desc(nulls_first=False) if direction == ["desc"] else column.asc(nulls_first=False)


def _measure(engine: Engine, source: Source, table: Table, clean: Path) -> tuple[int, datetime | None]:
    """Rows of the clean table, and the latest time of a fact (a date counts from its midnight)."""
    result = unbound("clean", _clean_part(table).schema())
    measures = {"rows": result.count()}
    if source.kind == "fact" and source.time:
        measures["until"] = result[source.time].max()
    (row,) = engine.fetch(result.aggregate(**measures), {"clean": [clean]}).to_pylist()
    until = row.get("until")
    if isinstance(until, date) and not isinstance(until, datetime):
        until = datetime.combine(until, time())
    return row["rows"], until
