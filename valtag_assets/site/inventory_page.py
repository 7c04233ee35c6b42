"""An inventory as one HTML file that needs nothing else; no value that may be a person's is in it unmasked."""

import os
from datetime import date
from pathlib import Path
from typing import Any

from markupsafe import Markup

from valtag_assets.console.inventory import examples, span
from valtag_assets.engine.inventory.profile import Column, Inventory, Table
from valtag_assets.site.rendering import environment, part, script_hash
from valtag_assets.warehouse import durable

_QUANTILES = ("1 %", "5 %", "50 %", "95 %", "99 %")


def page_text(inventory: Inventory, today: date) -> str:
    """The HTML. Everything from the tables is escaped."""
    script = part("search.js")
    shown: dict[str, Any] = {
        "inventory": inventory,
        "today": today,
        "rows": sum(table.rows for table in inventory.tables),
        "columns": sum(len(table.columns) for table in inventory.tables),
        "suspected": [(t, c) for t in inventory.tables for c in t.columns if c.masked],
        "odd": sum(len(column.anomalies) for table in inventory.tables for column in table.columns),
        "examples": examples,
        "span": span,
        "quantiles": _quantiles,
        "missing": _missing,
        "search": _search,
        "style": Markup(part("style.css")),
        "script": Markup(script),
        "script_hash": script_hash(script),
    }
    return environment().get_template("inventory.html.j2").render(shown)


def write_page(inventory: Inventory, path: Path, today: date) -> None:
    """Write the page to ``path``; whoever has it open sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    durable.write(beside, page_text(inventory, today))
    os.replace(beside, path)


def _quantiles(column: Column) -> list[tuple[str, str]]:
    if column.masked:
        return []
    return [(name, f"{value:,.6g}") for name, value in zip(_QUANTILES, column.measured.quantiles, strict=False)]


def _missing(column: Column, table: Table) -> float:
    return column.measured.missing / table.rows if table.rows else 0.0


def _search(column: Column, table: Table) -> str:
    return " ".join([table.code, column.code, column.name, str(column.guess.field.title)])
