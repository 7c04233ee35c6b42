"""``valtag broken``: the rows that broke a table's checks, as a role may see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import Visit, counting
from valtag_assets.console.history import find_table
from valtag_assets.console.screen import readable, table
from valtag_assets.engine.access import joined
from valtag_assets.graph.broken import Broken, broken_rows
from valtag_assets.graph.gates import in_words
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.warehouse.snapshot import TableRef


@dataclass(frozen=True)
class Shown:
    """A failed check in words, and a few rows that broke it with what the reader may see of them."""

    check: str
    refused: bool
    says: str
    rows: Sequence[dict[str, Any]]


def find_broken(setting: Setting, name: str, as_of: date | None, most: int, by: Asking) -> list[Shown]:
    """Every failed check of the table. Mistake for a table that has no such rows, Denied for who may not see any."""
    with counting(setting, "show", f"rows of {name} that broke a check", by) as visit:
        ref = find_table(setting, name)
        found = [_shown(ref, item, visit) for item in broken_rows(setting, ref, as_of, most)]
        visit.rows = sum(len(item.rows) for item in found)
    return found


def _shown(ref: TableRef, item: Broken, visit: Visit) -> Shown:
    reader = visit.reader
    needs = reader.needs(ref, dict.fromkeys(name for row in item.rows for name in row))
    if item.rows and not any(map(reader.may, needs.values())):
        reader.require_asked(joined(needs.values()), ref.key)
    visit.tags = sorted({*visit.tags, *(name for name, need in needs.items() if reader.may(need))})
    rows = [
        {
            name: value if reader.may(needs[name]) else reader.masked(name, needs[name], _text(value))
            for name, value in row.items()
        }
        for row in item.rows
    ]
    return Shown(item.verdict.check, item.refused, in_words(item.verdict), rows)


def _text(value: Any) -> Any:
    """A value as a mask takes it: as JSON has it."""
    return value if value is None or isinstance(value, bool | int | float | str | list) else str(value)


def print_broken(console: Console, name: str, found: Sequence[Shown]) -> None:
    """A table for each failed check."""
    for item in found:
        where = "refused, rows as the files have them now" if item.refused else "in what is served"
        console.print(Text(readable(f"{item.says} ({where})"), style="red"), soft_wrap=True)
        if item.rows:
            columns = list(item.rows[0])
            console.print(table("", columns, [[row[column] for column in columns] for row in item.rows]))
    if not found:
        console.print(f"no check of {name} has failed", markup=False)
