"""``valtag vacuum`` and ``valtag repair``: what was removed or healed, in words."""

from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.history import find_table
from valtag_assets.console.screen import table
from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse.repair import repair
from valtag_assets.warehouse.vacuum import Vacuumed

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def vacuumed_json(done: Vacuumed) -> dict[str, Any]:
    """What a vacuum did, for programs."""
    return {
        "expired": [
            {"table": item.table.key, "as_of": item.entry.as_of, "snapshot": item.entry.id, "why": item.why}
            for item in done.expired
        ],
        "expired_bytes": done.expired_bytes,
        "removed": [str(path) for path in done.removed],
        "removed_bytes": done.removed_bytes,
    }


def print_vacuumed(console: Console, done: Vacuumed, *, dry_run: bool) -> None:
    """Every snapshot that left history, every folder removed, and the bytes of both."""
    if done.expired:
        rows = [[item.table, item.entry.as_of or "all", item.entry.id, item.why] for item in done.expired]
        console.print(table("", ["!table", "!as-of", "!snapshot", "why"], rows))
    for path in done.removed:
        console.print(Text(str(path)), soft_wrap=True)
    would = "would leave" if dry_run else "left"
    many = f"{len(done.expired):,} snapshots {would} history ({in_units(done.expired_bytes)}, freed a day later)"
    gone = f"{len(done.removed):,} folders {'would be ' if dry_run else ''}removed ({in_units(done.removed_bytes)})"
    console.print(Text(f"{many}; {gone}"), soft_wrap=True)


def repaired(setting: Setting, name: str | None) -> list[str]:
    """Repair one table or all; what was done, a line each. Raises NewerFormat, Mistake."""
    warehouse = setting.warehouse
    tables = [find_table(setting, name)] if name else warehouse.tables()
    with warehouse.undisturbed():
        lines = [line for ref in tables for line in repair(warehouse, ref, setting.clock())]
    if lines:
        warehouse.rebuild_views()
    return lines


def in_units(size: int) -> str:
    """1234567 → 1.2 MB."""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{size} bytes"
