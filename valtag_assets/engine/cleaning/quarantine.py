"""The quarantine: refused rows as they came, with the rule, its reason and the value it is about."""

from collections.abc import Collection
from pathlib import Path

import ibis
from ibis.expr.types import StringValue, Table

from valtag_assets.engine.cleaning.account import UNREADABLE, Restated
from valtag_assets.engine.cleaning.by_file import Rows, restate_by_file
from valtag_assets.engine.cleaning.judge import ORIGIN, raw_table
from valtag_assets.engine.cleaning.judged import BROKEN, BROKEN_COLUMNS, Judged
from valtag_assets.engine.cleaning.plan import Rule
from valtag_assets.engine.cleaning.restate import Before, union
from valtag_assets.engine.session import Engine, unbound
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.source import Source

COLUMNS = ibis.schema(
    {
        "row": "int64",
        "file": "string",
        "rule": "string",
        "reason": "string",
        "field": "string",
        "value": "string",
        "record": "string",
    }
)


def restate_quarantine(
    engine: Engine,
    source: Source,
    judged: Judged | None,
    before: Before,
    leaving: Collection[str],
    into: Path,
    work: Path,
) -> Restated:
    """Write the parts of the quarantine that files came to or left, each sorted by file and row.

    Columns: row (bigint), file, rule, reason, field, value (the raw value of the field; of a broken record
    its text) and record (all raw values as a JSON object of texts).
    """
    left = [name for name in leaving if before.files[name].quarantined]
    new = None if judged is None else _new(source, judged)
    return restate_by_file(engine, new, COLUMNS, ("file", "row"), before.quarantine, left, into, work)


def _new(source: Source, judged: Judged) -> Rows:
    found, inputs = [_refused_rows(source, judged)], dict(judged.inputs)
    if judged.raw.broken is not None:
        found.append(_broken_records(judged.withheld))
        inputs[BROKEN] = [judged.raw.broken]
    return Rows(union(found), inputs, [name for name, account in judged.files.items() if account.quarantined])


def _refused_rows(source: Source, judged: Judged) -> Table:
    """Refused rows joined back to their raw values; nothing of them is kept while judging."""
    refusing = [rule for rule in judged.rules if rule.action == "quarantine"]
    names = list(dict.fromkeys(rule.name for rule in refusing))
    refused = judged.table.filter(judged.table["_rule"].isin(names)).select(*ORIGIN, "_rule")
    rows = raw_table(judged.raw)
    table = refused.join(rows, list(ORIGIN))
    sources = {field.name: field.source_name for field in source.fields}
    wanted = [name for name, _ in judged.raw.columns]
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


def _broken_records(withheld: bool) -> Table:
    table = unbound(BROKEN, BROKEN_COLUMNS)
    text = ibis.literal(MASK) if withheld else table["text"]
    return table.select(
        row=table["row"],
        file=table["file"],
        rule=ibis.literal(UNREADABLE),
        reason=table["reason"],
        field=ibis.null("string"),
        value=text,
        record=ibis.struct({"text": text}).cast("json").cast("string"),
    )


def reason_text(rule: Rule) -> str:
    return f"{rule.reason.en} · {rule.reason.zh}"


def _by_rule(table: Table, values: dict[str, StringValue]) -> StringValue:
    branches = [(table["_rule"] == name, value) for name, value in values.items()]
    return ibis.cases(*branches, else_=ibis.null("string")) if branches else ibis.null("string")
