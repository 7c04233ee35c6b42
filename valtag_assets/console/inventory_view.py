"""An inventory on a terminal: a line per table, a line per column, and what is odd."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from valtag_assets.console.inventory import Written, printable, span
from valtag_assets.console.screen import count, share, table
from valtag_assets.engine.inventory.profile import Column, Inventory, Table


def print_inventory(console: Console, inventory: Inventory) -> None:
    """Every table with its columns, the joins, and what could not be read."""
    for item in inventory.tables:
        _print_table(console, item)
    if inventory.joins:
        lines = [
            [f"{join.table}.{join.column}", f"{join.master}.{join.key}", share(join.share), count(join.values)]
            for join in inventory.joins
        ]
        console.print(table("Joins 关联", ["!column", "!finds its values in", ">found", ">values"], lines))
    for name, reason in inventory.unread:
        _print_line(console, f"unread 未能读取: {name}: {reason}", "red")


def _print_table(console: Console, item: Table) -> None:
    kind = item.role.kind or "no source"
    sampled = f" (forms from {item.sampled:,} of them)" if item.sampled else ""
    heading = f"{item.title} · {item.place.label}: {item.rows:,} rows{sampled}, {kind}: {item.role.reason}"
    columns = ["!code", "name", "!type", ">missing", ">distinct", "range", "layer", "what is odd"]
    lines = [
        [
            column.code,
            printable(column.name),
            str(column.type),
            share(column.measured.missing / item.rows if item.rows else None),
            ("" if column.counted.exact else "≈") + count(column.counted.distinct),
            " … ".join(span(column) or ()),
            "left out" if column.left_out else column.guess.field.layer,
            _odd(column),
        ]
        for column in item.columns
    ]
    console.print(table(printable(heading), columns, lines))
    for key in item.keys[:3]:
        _print_line(console, f"key 主键: {', '.join(key.columns)}")
    for note in item.notes:
        _print_line(console, str(note), "yellow")
    if item.broken:
        _print_line(console, f"{item.broken:,} 条记录无法读取 · records can't be read", "yellow")


def _odd(column: Column) -> str:
    said = [f"may be {column.suspicion.what.en} {column.suspicion.what.zh}"] if column.suspicion else []
    said += [note.en for note in column.anomalies]
    return "; ".join([*said, *([column.reason.en] if column.reason else [])])


def print_written(console: Console, written: Written, into: Path) -> None:
    """The files that were written, those that were there already, and how to go on."""
    for path in written.files:
        _print_line(console, str(path))
    for path in written.kept:
        _print_line(console, f"{path}: is there already and was left as it is", "yellow")
    for line in (f"  valtag check --catalog {into}", f"  valtag run --catalog {into}"):
        _print_line(console, line)


def _print_line(console: Console, line: str, style: str = "") -> None:
    console.print(Text(printable(line), style=style), soft_wrap=True)
