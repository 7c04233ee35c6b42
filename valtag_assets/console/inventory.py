"""The work of `valtag inventory`: take it, write the drafts beside what a catalog has already, say it as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from valtag_assets.console.draft_text import project_text, source_text
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.inventory.drafting import draft_project, draft_sources
from valtag_assets.engine.inventory.profile import Column, Inventory, Table
from valtag_assets.engine.inventory.taking import take_inventory
from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.spec.block import Title
from valtag_assets.spec.masking import mask_key
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.project import Project
from valtag_assets.warehouse import durable

EXAMPLES = 5


@dataclass(frozen=True)
class Written:
    """The files a draft wrote, and those it found there and left as they were."""

    files: tuple[Path, ...]
    kept: tuple[Path, ...]


def take(sources: Sequence[str], today: date, told: Callable[[str], None] = lambda _: None) -> Inventory:
    """The inventory of ``sources``. Mistake: a source names nothing at all, or nothing in it can be read."""
    plain = Project(name="inventory", title=Title(zh="数据盘点", en="Inventory"), start=today)
    try:
        with open_duckdb() as engine:
            found = take_inventory(engine, sources, Path.cwd(), plain, today, told)
    except SourceError as error:
        raise Mistake(str(error)) from error
    if not found.tables:
        raise Mistake("\n".join(f"{name}: {reason}" for name, reason in found.unread))
    return found


def write_drafts(inventory: Inventory, into: Path, today: date) -> Written:
    """Write drafts of all tables that can be sources into the catalog folder ``into``; nothing there is overwritten.

    Mistake: no table can be a source, or none of them knows a person. CatalogError: what was there is at fault.
    """
    drafts = draft_sources(inventory, into)
    if not any(draft.data["kind"] in ("master", "fact") for draft in drafts):
        reasons = "; ".join(f"{table.code}: {table.role.reason.en}" for table in inventory.tables)
        raise Mistake(f"no catalog can be drafted, for no table has rows of persons: {reasons}")
    texts = {into / "sources" / f"{draft.data['source']}.yaml": source_text(draft) for draft in drafts}
    texts = {into / "project.yaml": project_text(draft_project(inventory, into, today)), **texts}
    (into / "sources").mkdir(parents=True, exist_ok=True)
    kept = tuple(path for path in texts if path.exists())
    for path, text in texts.items():
        if path not in kept:
            durable.write(path, text)
    resolve_catalog(into)
    return Written(tuple(path for path in texts if path not in kept), kept)


def printable(text: str) -> str:
    """``text`` without what a terminal would obey."""
    return "".join(char if char.isprintable() else "·" for char in text)


def examples(column: Column) -> list[str]:
    """The most frequent values, masked where they may be a person's; of a person's dates none."""
    if column.masked and column.type.temporal:
        return []
    shown = [value if len(value) <= 40 else f"{value[:40]}…" for value, _ in column.counted.top[:EXAMPLES]]
    shown = [printable(value) for value in shown]
    return sorted({mask_key(value) for value in shown}) if column.masked else shown


def span(column: Column) -> tuple[str, str] | None:
    """The lowest and the highest value as text; of what may be a person's, only years."""
    low, high = column.measured.low, column.measured.high
    if low is None or high is None:
        return None
    if column.masked:
        return (f"{low:%Y}", f"{high:%Y}") if column.type.temporal else None
    return str(low), str(high)


def to_json(inventory: Inventory) -> dict[str, Any]:
    """The inventory for programs; no value that may be a person's is in it unmasked."""
    return {
        "tables": [_table(table) for table in inventory.tables],
        "joins": [vars(join) for join in inventory.joins],
        "unread": [{"table": name, "reason": reason} for name, reason in inventory.unread],
        "ignored": list(inventory.ignored),
    }


def _table(table: Table) -> dict[str, Any]:
    role = table.role
    return {
        "code": table.code,
        "title": table.title.model_dump(),
        "place": table.place.label,
        "encoding": table.place.origin.encoding,
        "rows": table.rows,
        "broken": table.broken,
        "sampled": table.sampled,
        "kind": role.kind,
        "reason": role.reason.model_dump(),
        "person": role.person,
        "time": role.time,
        "key": list(role.key),
        "keys": [vars(key) for key in table.keys],
        "notes": [note.model_dump() for note in table.notes],
        "columns": [_column(column, table) for column in table.columns],
    }


def _column(column: Column, table: Table) -> dict[str, Any]:
    counted, measured = column.counted, column.measured
    return {
        "name": counted.name,
        "code": column.code,
        "title": column.guess.field.title.model_dump() if column.guess.field.title else None,
        "type": str(column.type),
        "formats": list(column.guess.field.formats),
        "evidence": [reason.model_dump() for reason in column.guess.evidence],
        "missing": measured.missing,
        "missing_share": measured.missing / table.rows if table.rows else None,
        "spellings_of_missing": dict(counted.spellings),
        "unread": measured.unread,
        "distinct": counted.distinct,
        "distinct_is_exact": counted.exact,
        "span": span(column),
        "quantiles": [] if column.masked else list(measured.quantiles),
        "examples": examples(column),
        "suspicion": column.suspicion.what.model_dump() if column.suspicion else None,
        "anomalies": [note.model_dump() for note in column.anomalies],
        "layer": column.guess.field.layer,
        "left_out": column.left_out,
        "reason": column.reason.model_dump() if column.reason else None,
    }
