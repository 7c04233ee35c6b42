"""The quarantine: refused rows as they came, with the rule, its reason and the value it is about.

In the place of the texts of personal columns, and of whole records that nobody could read and that may hold such
texts, stand their tokens.
"""

from collections.abc import Collection, Iterator
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
from valtag_assets.engine.vault import token
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
    found = [_refused_rows(source, judged)]
    if judged.raw.broken is not None:
        found.append(_broken_records(source, judged))
    return Rows(union(found), judged.inputs, [name for name, account in judged.files.items() if account.quarantined])


def _refused_rows(source: Source, judged: Judged) -> Table:
    """Refused rows joined back to their raw values; nothing of them is kept while judging."""
    refusing, table = _refusing(judged), _raw_rows(judged)
    sources = {field.name: field.source_name for field in source.fields}
    texts = {name: table[name].cast("string") for name, _ in judged.raw.columns}
    texts |= {name: token(texts[name]) for name in _personal(source)}
    record = ibis.struct(texts)
    return table.select(
        row=table["_row"],
        file=table["_file"],
        rule=table["_rule"],
        reason=_by_rule(table, {rule.name: ibis.literal(reason_text(rule)) for rule in refusing}),
        field=_by_rule(table, {rule.name: ibis.literal(rule.column) for rule in refusing if rule.column}),
        value=_by_rule(
            table,
            {rule.name: texts[sources[rule.column]] for rule in refusing if rule.column in sources},
        ),
        record=record.cast("json").cast("string"),
    )


def refused_texts(source: Source, judged: Judged) -> Iterator[Table]:
    """(file, token, value) of what stands in the quarantine as a token."""
    rows = _raw_rows(judged)
    for name in _personal(source):
        text = rows[name].cast("string")
        yield rows.select(file="_file", token=token(text), value=text).filter(lambda found: found["value"].notnull())
    if source.vaulted and judged.raw.broken is not None and not judged.withheld:
        broken = unbound(BROKEN, BROKEN_COLUMNS)
        yield broken.select(file="file", token=token(broken["text"]), value="text")


def _personal(source: Source) -> list[str]:
    """The raw columns of personal fields; none where no field is vaulted."""
    found = [field.source_name for field in source.fields if field.access == "pii"]
    return list(dict.fromkeys(found)) if source.vaulted else []


def _refusing(judged: Judged) -> list[Rule]:
    return [rule for rule in judged.rules if rule.action == "quarantine"]


def _raw_rows(judged: Judged) -> Table:
    """Refused rows as they were read, with the rule that caught each."""
    names = list(dict.fromkeys(rule.name for rule in _refusing(judged)))
    refused = judged.table.filter(judged.table["_rule"].isin(names)).select(*ORIGIN, "_rule")
    return refused.join(raw_table(judged.raw), list(ORIGIN))


def _broken_records(source: Source, judged: Judged) -> Table:
    table = unbound(BROKEN, BROKEN_COLUMNS)
    text = token(table["text"]) if source.vaulted else table["text"]
    if judged.withheld:
        text = ibis.literal(MASK)
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
