"""``valtag show``: rows of a published snapshot, as a role may see them."""

import csv
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import Visit, through, visible_persons
from valtag_assets.console.history import find_snapshot
from valtag_assets.console.opened import opened_rows
from valtag_assets.console.person import find_person
from valtag_assets.console.screen import table
from valtag_assets.engine.access import QUARANTINE, joined
from valtag_assets.engine.brands import rows_for
from valtag_assets.engine.duckdb import data_type, open_duckdb
from valtag_assets.engine.persons import OWNER, PERSON
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.refused import hide_refused, hides_refused, open_refused
from valtag_assets.engine.session import unbound
from valtag_assets.engine.vault import Vault, vaulted_columns
from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.parse import parse
from valtag_assets.expression.resolve_tag import tag_symbol
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import UNSAID, Asking, Door
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.types import BOOLEAN, DataType
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.tokens import VAULT

_ANY_WIDTH = 100_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Rows:
    """The rows asked for; ``total``: how many fit, ``masked``: the columns the role may not read."""

    snapshot: Snapshot
    columns: tuple[str, ...]
    masked: tuple[str, ...]
    total: int
    rows: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        snapshot = self.snapshot
        return {
            "table": snapshot.table.key,
            "as_of": snapshot.as_of,
            "known_at": snapshot.known_at,
            "snapshot": snapshot.id,
            "data_until": snapshot.data_until,
            "held": sorted(snapshot.held),
            "masked": list(self.masked),
            "total": self.total,
            "rows": self.rows,
        }


@dataclass(frozen=True)
class Asked:
    """What to show. ``where`` is the catalog's expression language, ``person`` the key of one person.

    ``known_at``: an instant or a snapshot's id; what was served then, instead of now.
    """

    table: str
    as_of: date | None = None
    limit: int = 20
    where: str | None = None
    person: str | None = None
    by: Asking = UNSAID
    known_at: str | None = None


def find_rows(setting: Setting, asked: Asked, door: Door = "show") -> Rows:
    """The rows, in the order of the snapshot. Raises Mistake for whatever does not exist or may not be read."""
    with through(setting, door, asked.by, asked.table, person=asked.person) as visit:
        found = _rows_for(setting, asked, visit)
        visit.rows, visit.tags = len(found.rows), [name for name in found.columns if name not in found.masked]
    return found


def _rows_for(setting: Setting, asked: Asked, visit: Visit) -> Rows:
    reader = visit.reader
    snapshot = find_snapshot(setting, asked.table, asked.as_of, asked.known_at)
    if snapshot.table.stage == VAULT:
        raise Mistake(f"{snapshot.table} is not shown: what its tokens stand for is, in the tables that have them")
    types = {name: data_type(text) for name, text in snapshot.columns}
    hidden = reader.hidden(snapshot.table, types)
    readable = {name: kind for name, kind in types.items() if name not in hidden}
    if not readable:
        reader.require_asked(joined(reader.needs(snapshot.table, types).values()), asked.table)
    source = setting.resolved.sources.get(snapshot.table.name) if snapshot.table.stage == QUARANTINE else None
    asked_of = dict(readable)
    if source is not None and hides_refused(reader, source):
        asked_of = {name: kind for name, kind in readable.items() if name not in ("value", "record")}
    rows = unbound("shown", {name: to_ibis_type(kind) for name, kind in types.items()})
    rows = rows_for(reader, snapshot.table, rows)
    if asked.where is not None:
        rows = rows.filter(_condition(setting, snapshot, asked.where, rows, asked_of, types))
    if asked.person is not None:
        rows = rows.filter(_of_person(setting, reader, snapshot, asked.person, rows, readable))
    cells = _cells(reader, snapshot.table, rows, types)
    with open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        inputs = {"shown": snapshot.files} | visible_persons(setting, reader, engine, Path(folder))
        total = engine.fetch(rows.aggregate(n=rows.count()), inputs).to_pylist()[0]["n"]
        found = engine.fetch(rows.select(**cells).limit(asked.limit), inputs).to_pylist() if cells else []
        if source is not None:
            found = [hide_refused(reader, source, row) for row in found]
            found = open_refused(source, found, Vault(setting.warehouse, engine, Path(folder)))
    tokens = vaulted_columns(setting.resolved, snapshot.table, cells)
    if tokens:
        needs = reader.needs(snapshot.table, types)
        found = opened_rows(setting, reader, found, {name: needs[name] for name in tokens})
    return Rows(snapshot, tuple(cells), tuple(name for name in types if name in hidden), total, found)


def _cells(reader: Reader, ref: TableRef, rows: ibis.Table, types: Iterable[str]) -> dict[str, ir.Value]:
    """What is shown of each column. What may not be read never leaves the engine; a mask says what is left of it.
    Tokens are opened, or masked, afterwards."""
    cells: dict[str, ir.Value] = {}
    tokens = vaulted_columns(reader.resolved, ref, rows.columns)
    for name, need in reader.needs(ref, types).items():
        if reader.may(need) or (name in tokens and reader.mask(name, need) != "drop"):
            cells[name] = rows[name]
        elif reader.mask(name, need) != "drop":
            cells[name] = reader.masked_column(name, need, rows[name])
    return cells


def print_rows(console: Console, found: Rows) -> None:
    """A header that says what is shown, then the rows; each row below the other where they are too wide."""
    snapshot = found.snapshot
    as_of = f"as-of {snapshot.as_of}" if snapshot.as_of else "independent of time"
    known = f"known at {snapshot.known_at:%Y-%m-%d %H:%M:%S} UTC"
    console.print(Text(f"{snapshot.table}: {as_of}, {known}, snapshot {snapshot.id}", style="bold"))
    if snapshot.held:
        console.print(Text(f"held tags: {', '.join(sorted(snapshot.held))}", style="red"))
    if found.masked:
        console.print(Text(f"masked for this role: {', '.join(found.masked)}", style="yellow"))
    cells = [[row[name] for name in found.columns] for row in found.rows]
    wide = table("", [f"!{name}" for name in found.columns], cells)
    room = console.measure(wide, options=console.options.update(width=_ANY_WIDTH)).maximum
    if room <= console.width:
        console.print(wide)
    else:
        for row in cells:
            console.print(table("", ["!column", "value"], zip(found.columns, row, strict=True)))
    console.print(Text(f"{len(found.rows):,} of {found.total:,} rows", style="dim"))


def write_csv(found: Rows) -> None:
    """CSV on standard output. Cells that a spreadsheet would take for a formula get an apostrophe in front."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(found.columns)
    writer.writerows([_csv_cell(row[name]) for name in found.columns] for row in found.rows)


def _condition(
    setting: Setting,
    snapshot: Snapshot,
    text: str,
    rows: ibis.Table,
    readable: dict[str, DataType],
    types: dict[str, DataType],
) -> ir.BooleanValue:
    """``text`` over the columns the role may read: a condition on a masked one would tell its values."""
    scope = Scope(_symbols(setting, snapshot.table, readable), f"column of {snapshot.table}", setting.tokens.of)
    try:
        node = parse(text, scope, expect=BOOLEAN)
    except ExpressionError as error:
        masked = [name for name in types if name not in readable and name in text]
        hint = f"; this role may not read {', '.join(masked)}" if masked else ""
        raise Mistake(f"--where {text}: {error}{hint}") from error
    return compile_condition(node, rows, snapshot.as_of or setting.last_as_of())


def _symbols(setting: Setting, ref: TableRef, readable: dict[str, DataType]) -> list[Symbol]:
    """Columns by the stored types, with the titles and closed values the catalog knows."""
    resolved, known = setting.resolved, dict[str, Symbol]()
    if ref.stage == "tags":
        known = {code: tag_symbol(tag) for code, tag in resolved.tags.items()}
    elif ref.stage in ("clean", "keyed", "merged") and ref.name in resolved.sources:
        known = {symbol.code: symbol for symbol in resolved.sources[ref.name].scope}
    return [
        known[name] if name in known and known[name].type == kind else Symbol(name, kind)
        for name, kind in readable.items()
    ]


def _of_person(
    setting: Setting, reader: Reader, snapshot: Snapshot, person: str, rows: ibis.Table, readable: dict[str, DataType]
) -> ir.BooleanValue:
    of_source = snapshot.table.stage in ("clean", "merged")
    source = reader.resolved.sources.get(snapshot.table.name) if of_source else None
    column = source.spec.person if source is not None else PERSON
    column = OWNER if snapshot.table.stage == "keyed" else column
    if column is None or column not in rows.columns:
        raise Mistake(f"--person: {snapshot.table} has no column of persons")
    if column not in readable:
        raise reader.denied(reader.needs(snapshot.table, [column])[column], column)
    # An earlier snapshot may have the person under the id of then.
    now = find_person(setting, reader, person)[0] if column in (PERSON, OWNER) else person
    return rows[column].cast("string").isin([person, now])


def _csv_cell(value: object) -> object:
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
