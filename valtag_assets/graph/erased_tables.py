"""Persons taken out of the published tables, and the accounts of cleaning put right: rows in still equals rows told.

The records of the snapshots say what was taken out, so a rewrite that was cut off is gone on with as if it had not
been.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from valtag_assets.engine.cleaning.account import ERASED
from valtag_assets.engine.erasure.whose import whose
from valtag_assets.graph.earlier import MERGED, QUARANTINE
from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse.journal import Order
from valtag_assets.warehouse.manifest import DETAILS, Details, Entry, read_details
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.rewriting import Gone, Rewrite
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.store import Warehouse

_CLEAN = "clean"


def erase_tables(setting: Setting, order: Order, marks: Marks) -> list[tuple[str, int, int, int]]:
    """Take the persons out of every snapshot of every table: (table, snapshots, rows, cells) of those with any.

    The caller holds the lock that keeps makers out.
    """
    work = _Work(setting, order, marks)
    tables = setting.warehouse.tables()
    beside = [table for table in tables if table.stage in (QUARANTINE, MERGED)]
    for table in [*beside, *(table for table in tables if table not in beside)]:
        work.rewrite(table)
    for table in beside:  # their accounts are those of the clean table
        work.rewrite(table, settle=True)
    return [found for table in tables if (found := work.told(table))[1]]


class _Work:
    def __init__(self, setting: Setting, order: Order, marks: Marks) -> None:
        self._warehouse: Warehouse = setting.warehouse
        self._order, self._marks, self._resolved = order, marks, setting.resolved
        self._at = datetime.fromisoformat(order.at)

    def rewrite(self, table: TableRef, *, settle: bool = False) -> None:
        amended = self._settled if settle else self._amended
        plan = Rewrite(
            self._marks, lambda ref, names: whose(self._resolved, ref, names), amended, self._order.id, self._at
        )
        plan.table(self._warehouse, table)

    def told(self, table: TableRef) -> tuple[str, int, int, int]:
        notes = [gone for entry in self._warehouse.manifest(table).entries if (gone := self._noted(entry))]
        rows, cells = sum(gone.rows for gone in notes), sum(gone.cells for gone in notes)
        return table.key, len([gone for gone in notes if gone.rows or gone.cells]), rows, cells

    def _noted(self, entry: Entry) -> Gone | None:
        """What this erasure took out of a snapshot before, as its record says; None if nothing."""
        return self._of(read_details(self._warehouse.root / entry.folder / DETAILS))

    def _of(self, details: Details) -> Gone | None:
        notes = [note for note in details.erased if note["erasure"] == self._order.id]
        if not notes:
            return None
        rules: dict[str, int] = {}
        for note in notes:
            for rule, rows in note["by_rule"].items():
                rules[rule] = rules.get(rule, 0) + rows
        return Gone(sum(note["rows"] for note in notes), sum(note["cells"] for note in notes), rules)

    def _amended(self, table: TableRef, entry: Entry, details: Details, gone: Gone) -> Mapping[str, Any]:
        """The metrics of a clean snapshot with its account put right."""
        if table.stage != _CLEAN or "account" not in details.metrics or self._of(details) is not None:
            return details.metrics
        refused, merged = (self._beside(stage, table, details) for stage in (QUARANTINE, MERGED))
        if not gone.rows + refused.rows + merged.rows:
            return details.metrics
        return {**details.metrics, "account": _without(details.metrics["account"], gone, refused, merged)}

    def _beside(self, stage: str, table: TableRef, details: Details) -> Gone:
        """What was taken out of the snapshot of that stage which belongs to a clean one."""
        beside = TableRef(stage, table.name)
        wanted = details.inputs.get(beside.key)
        entries = self._warehouse.manifest(beside).entries
        found = [gone for entry in entries if entry.id == wanted and (gone := self._noted(entry))]
        return found[0] if found else Gone()

    def _settled(self, table: TableRef, entry: Entry, details: Details, _: Gone) -> Mapping[str, Any]:
        """The metrics of a quarantine or merged snapshot with the account of the clean one it belongs to."""
        clean = TableRef(_CLEAN, table.name)
        for other in self._warehouse.manifest(clean).entries:
            record = read_details(self._warehouse.root / other.folder / DETAILS)
            if record.inputs.get(table.key) == entry.id and self._of(record) is not None:
                return {**details.metrics, "account": record.metrics["account"]}
        return details.metrics


def _without(account: Mapping[str, Any], clean: Gone, refused: Gone, merged: Gone) -> dict[str, Any]:
    """The account of a cleaning from which so many rows were erased since: every row in still has one place."""
    gone = clean.rows + refused.rows + merged.rows
    by_rule = {rule: rows - refused.by_rule.get(rule, 0) for rule, rows in account["by_rule"].items()}
    by_rule = {rule: rows for rule, rows in by_rule.items() if rows}
    by_rule[ERASED] = by_rule.get(ERASED, 0) + gone
    return {
        **account,
        "clean": account["clean"] - clean.rows,
        "quarantined": account["quarantined"] - refused.rows,
        "merged": account["merged"] - merged.rows,
        "erased": account.get("erased", 0) + gone,
        "by_rule": dict(sorted(by_rule.items())),
    }
