"""Gates: a table is computed only from inputs that may be read.

A recorded refusal stops every reader, in the same run and in later ones, until the input is good again: the
step asks the warehouse itself, since Dagster's blocking checks reach only the run they happened in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict
from valtag_assets.warehouse.store import Warehouse


@dataclass(frozen=True)
class Wanted:
    """One input: its table, the as-of it must have (None: independent of time), the columns that are read.

    ``or_before``: the newest earlier as-of will do (categories that are computed on demand). ``made_from``: a table
    without as-of of which this one is only the matched keys; its refusal is this one's, which was not even tried.
    """

    table: str
    as_of: date | None = None
    columns: frozenset[str] = frozenset()
    or_before: bool = False
    made_from: str | None = None


@dataclass(frozen=True)
class Gate:
    """The inputs asked for and found, and why the table may not be computed, one sentence each."""

    snapshots: Mapping[str, Snapshot]
    faults: Sequence[str] = field(default_factory=tuple)
    held: frozenset[str] = frozenset()
    wanted: Sequence[str] = field(default_factory=tuple)

    @property
    def open(self) -> bool:
        return not self.faults


def ask(warehouse: Warehouse, wanted: Sequence[Wanted]) -> Gate:
    """Look up every input and say which of them must not be read."""
    snapshots: dict[str, Snapshot] = {}
    faults: list[str] = []
    held: set[str] = set()
    for want in wanted:
        table = TableRef.parse(want.table)
        refused, blocked = want.table, warehouse.blocked(table, want.as_of)
        if blocked is None and want.made_from is not None:
            refused, blocked = want.made_from, warehouse.blocked(TableRef.parse(want.made_from), None)
        snapshot = warehouse.current(table, want.as_of)
        if snapshot is None and want.or_before:
            snapshot = warehouse.latest(table, on_or_before=want.as_of)
        if blocked is not None:
            faults.append(f"{refused} was {blocked.outcome}: {blocked.reason}")
            continue
        if snapshot is None:
            when = f" {'at or before' if want.or_before else 'for'} {want.as_of}" if want.as_of else ""
            faults.append(f"{want.table} has no published snapshot{when}; compute it first")
            continue
        fault = damage(snapshot)
        if fault is not None:
            faults.append(f"{want.table} is damaged: {fault}")
            continue
        red = sorted(want.columns & snapshot.held)
        held.update(red)
        faults.extend(f"tag {code} of {want.table} is held: {why_held(snapshot, code)}" for code in red)
        snapshots[want.table] = snapshot
    return Gate(snapshots, tuple(faults), frozenset(held), tuple(want.table for want in wanted))


def why_held(snapshot: Snapshot, column: str) -> str:
    """The failed checks of a held tag, in words."""
    failed = [v for v in snapshot.verdicts if v.column == column and v.holds == "tag" and not v.passed]
    return "; ".join(map(in_words, failed))


def in_words(verdict: Verdict) -> str:
    """A failed check: its name, what it found, and where its rule stands."""
    detail = verdict.detail
    many = ""
    if "error" in detail:
        found = f"could not be evaluated: {detail['error']}"
    elif detail.get("observed") is not None and detail.get("expected") is not None:
        found = f"found {_short(detail['observed'])}, expected {_short(detail['expected'])}"
    else:
        found = str(detail.get("title", {}).get("en", ""))
        many = "" if verdict.unexpected is None else f" for {verdict.unexpected} of {verdict.evaluated}"
    found += "".join(f", {rule} {count}" for rule, count in detail.get("rules", {}).items())
    return f"{verdict.check} failed{many}: {found} ({detail.get('rule', '')})"


def _short(value: object) -> str:
    """A number, a range or a text, short enough for a sentence."""
    if isinstance(value, dict) and value and value.keys() <= {"min_value", "max_value"}:
        ends = {"min_value": "at least", "max_value": "at most"}
        return " and ".join(f"{word} {_short(value[key])}" for key, word in ends.items() if key in value)
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else text[:77] + "…"
