"""Raw rows judged: one verdict each, and what came of the rows of every file."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import ibis
from ibis.expr.types import StringValue, Table

from valtag_assets.engine.cleaning.account import UNREADABLE, FileAccount
from valtag_assets.engine.cleaning.erased import TOMBSTONES
from valtag_assets.engine.cleaning.judge import RAW, judge, repair_column
from valtag_assets.engine.cleaning.plan import Rule
from valtag_assets.engine.cleaning.rows import LookupTable, RowRules, lookup_inputs
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import Engine, Inputs, unbound
from valtag_assets.engine.vault import KEY
from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Source

JUDGED, BROKEN = "judged", "broken"
BROKEN_COLUMNS = {"file": "string", "row": "int64", "line": "int64", "text": "string", "reason": "string"}
WHOLE = "all"  # the one part of a table that is not kept by month


@dataclass(frozen=True)
class Judged:
    """The rows of some files with a verdict each.

    ``withheld``: somebody was erased, so of broken records, which may hold anything, the text is not kept.
    ``table`` reads ``inputs``, among which are the raw rows, the broken records and the key of tokens, too: the clean
    columns, the values of vaulted ones, and ``_rule``, the rule that caught the row or null. ``rules`` are all that
    may have caught one; ``files`` the accounts of the files.
    """

    raw: RawTable
    table: Table
    rules: Sequence[Rule]
    inputs: Inputs
    files: Mapping[str, FileAccount]
    withheld: bool = False

    @property
    def accepted(self) -> Table:
        return self.table.filter(self.table["_rule"].isnull())


def judge_files(
    engine: Engine,
    source: Source,
    project: Project,
    raw: RawTable,
    lookups: Mapping[str, LookupTable],
    rules: RowRules,
    medians: Mapping[str, Decimal | None],
    work: Path,
) -> Judged:
    """Judge ``raw`` into a file of the folder ``work``. AssertionError: rows were lost or multiplied."""
    inputs: dict[str, Sequence[Path]] = {RAW: [Path(file) for file in raw.files], **lookup_inputs(source, lookups)}
    if rules.erased is not None:
        inputs[TOMBSTONES] = [rules.erased]
    if rules.key is not None:
        inputs[KEY] = [rules.key]
    table, refusals = judge(source, project, raw, lookups, rules, medians)
    file = work / f"{JUDGED}.parquet"
    engine.write(table, inputs, file)
    table = unbound(JUDGED, table.schema())
    accounts = _accounts(engine, source, raw, table, refusals, file)
    judged = sum(item.rows_in for item in accounts.values()) - raw.broken_rows
    if judged != raw.rows:
        raise AssertionError(f"{source.source}: {raw.rows} rows were read, but {judged} judged")
    kept = {JUDGED: [file], **{name: inputs[name] for name in (RAW, KEY) if name in inputs}}
    kept |= {} if raw.broken is None else {BROKEN: [raw.broken]}
    return Judged(raw, table, refusals, kept, accounts, rules.erased is not None)


def part_of(source: Source, table: Table) -> StringValue:
    """The part of the clean table each row belongs to: its month, as in 2024-01."""
    if source.kind != "fact" or source.time is None:
        return ibis.literal(WHOLE)
    return table[source.time].strftime("%Y-%m")


def _accounts(
    engine: Engine, source: Source, raw: RawTable, table: Table, rules: Sequence[Rule], file: Path
) -> dict[str, FileAccount]:
    by_rule = _caught(engine, raw, table, file)
    accepted: dict[str, dict[str, int]] = defaultdict(dict)
    repaired: dict[str, dict[str, int]] = defaultdict(dict)
    kept = table.filter(table["_rule"].isnull())
    kept = kept.mutate(_part=part_of(source, kept))
    repairs = [rule for rule in rules if rule.action == "repair"]
    counts = {str(number): kept[repair_column(rule)].sum() for number, rule in enumerate(repairs)}
    counted = kept.group_by(["_file", "_part"]).aggregate(_rows=kept.count(), **counts)
    for row in engine.fetch(counted, {JUDGED: [file]}).to_pylist():
        accepted[row["_file"]][row["_part"]] = row["_rows"]
        so_far = repaired[row["_file"]]
        for number, rule in enumerate(repairs):
            if count := int(row[str(number)] or 0):
                so_far[rule.name] = so_far.get(rule.name, 0) + count
    dropping = {rule.name for rule in rules if rule.action == "drop"}
    return {
        name: FileAccount(
            accepted=dict(sorted(accepted[name].items())),
            by_rule=dict(sorted(by_rule[name].items())),
            filtered=sum(rows for rule, rows in by_rule[name].items() if rule in dropping),
            repaired=dict(sorted(repaired[name].items())),
        )
        for name in raw.names
    }


def _caught(engine: Engine, raw: RawTable, table: Table, file: Path) -> dict[str, dict[str, int]]:
    """By file, the rows each rule caught; and the records nobody could read."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    caught = table.filter(table["_rule"].notnull())
    counted = caught.group_by(["_file", "_rule"]).aggregate(_rows=caught.count())
    for row in engine.fetch(counted, {JUDGED: [file]}).to_pylist():
        found[row["_file"]][row["_rule"]] = row["_rows"]
    if raw.broken is not None:
        broken = unbound(BROKEN, BROKEN_COLUMNS).group_by("file").aggregate(_rows=lambda rows: rows.count())
        for row in engine.fetch(broken, {BROKEN: [raw.broken]}).to_pylist():
            found[row["file"]][UNREADABLE] = row["_rows"]
    return found
