"""The quarantine: refused rows as they came, with the rule, its reason and the value it is about."""

from pathlib import Path

import ibis
from ibis.expr.types import StringValue, Table

from valtag_assets.engine.cleaning.account import UNREADABLE
from valtag_assets.engine.cleaning.judge import ORIGIN, raw_table
from valtag_assets.engine.cleaning.plan import Rule
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import Engine, Inputs, unbound
from valtag_assets.spec.source import Source

_BROKEN = "broken"


def write_quarantine(
    engine: Engine,
    source: Source,
    raw: RawTable,
    judged: Table,
    rules: list[Rule],
    inputs: Inputs,
    refused: int,
    into: Path,
) -> None:
    """Write the ``refused`` rows and the broken records, sorted by file and row.

    Columns: row (bigint), file, rule, reason, field, value (the raw value of the field; of a broken record
    its text) and record (all raw values as a JSON object of texts).
    """
    table = _refused_rows(source, raw, judged, rules)
    if raw.broken is not None:
        table = table.union(_broken_records())
        inputs = {**inputs, _BROKEN: [raw.broken]}
    engine.write(table.order_by(["file", "row"]), inputs, into)
    written = unbound("quarantine", table.schema())
    (row,) = engine.fetch(written.aggregate(rows=written.count()), {"quarantine": [into]}).to_pylist()
    expected = refused + raw.broken_rows
    if row["rows"] != expected:
        raise AssertionError(f"{source.source}: {expected} rows were refused, but {row['rows']} are in quarantine")


def _refused_rows(source: Source, raw: RawTable, judged: Table, rules: list[Rule]) -> Table:
    """Refused rows joined back to their raw values; nothing of them is kept while judging."""
    refusing = [rule for rule in rules if rule.action == "quarantine"]
    names = list(dict.fromkeys(rule.name for rule in refusing))
    refused = judged.filter(judged["_rule"].isin(names)).select(*ORIGIN, "_rule")
    rows = raw_table(raw)
    table = refused.join(rows, list(ORIGIN))
    sources = {field.name: field.source_name for field in source.fields}
    wanted = [name for name, _ in raw.columns]
    record = ibis.struct({name: table[name].cast("string") for name in wanted})
    return table.select(
        row=table["_row"],
        file=table["_file"],
        rule=table["_rule"],
        reason=_by_rule(table, {rule.name: ibis.literal(reason_text(rule)) for rule in refusing}),
        field=_by_rule(table, {rule.name: ibis.literal(rule.column) for rule in refusing if rule.column}),
        value=_by_rule(
            table,
            {rule.name: table[sources[rule.column]].cast("string") for rule in refusing if rule.column in sources},
        ),
        record=record.cast("json").cast("string"),
    )


def _broken_records() -> Table:
    columns = {"file": "string", "row": "int64", "line": "int64", "text": "string", "reason": "string"}
    table = unbound(_BROKEN, columns)
    return table.select(
        row=table["row"],
        file=table["file"],
        rule=ibis.literal(UNREADABLE),
        reason=table["reason"],
        field=ibis.null("string"),
        value=table["text"],
        record=ibis.struct({"text": table["text"]}).cast("json").cast("string"),
    )


def reason_text(rule: Rule) -> str:
    return f"{rule.reason.en} · {rule.reason.zh}"


def _by_rule(table: Table, values: dict[str, StringValue]) -> StringValue:
    branches = [(table["_rule"] == name, value) for name, value in values.items()]
    return ibis.cases(*branches, else_=ibis.null("string")) if branches else ibis.null("string")
