"""The one lawful rewrite of what was published: persons taken out of every snapshot of a table.

New files are written beside the old ones, and one replacing of the manifest puts all of them in their place: a
reader sees the table with the persons or without. Then the old files are removed. A snapshot keeps its id, as-of and
known-at; its record says that it was rewritten, when, and what its content hash was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from valtag_assets.spec.masking import MASK
from valtag_assets.warehouse import durable
from valtag_assets.warehouse.content_hash import Content, read_contents, table_content
from valtag_assets.warehouse.manifest import (
    DETAILS,
    MANIFEST,
    Details,
    Entry,
    Manifest,
    details_text,
    manifest_text,
    read_details,
)
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.quoting import quote
from valtag_assets.warehouse.reading import parquet
from valtag_assets.warehouse.snapshot import Part, TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_assets.warehouse.sweeping import remove
from valtag_assets.warehouse.tokens import VAULT, mode_of

_TEXT, _TEXTS = "VARCHAR", "VARCHAR[]"


@dataclass(frozen=True)
class Whose:
    """How the rows of persons are known: the columns that say whose a row is. ``whole``: a row that names a person
    anywhere is theirs (as it came, so nobody could say more)."""

    columns: tuple[str, ...]
    whole: bool = False


@dataclass(frozen=True)
class Gone:
    """What was taken out of one snapshot: ``rows`` of the persons, ``cells`` of other rows that named them, and the
    rows by the column ``rule``, where there is one."""

    rows: int = 0
    cells: int = 0
    by_rule: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Rewrite:
    """An erasure at work on tables. ``whose`` a row of a table is; ``amended``: the metrics of a snapshot (its entry,
    its record) from which so much is gone; ``erasure`` names it, ``at`` dates it."""

    marks: Marks
    whose: Callable[[TableRef, Sequence[str]], Whose]
    amended: Callable[[TableRef, Entry, Details, Gone], Mapping[str, Any]]
    erasure: str
    at: datetime

    def table(self, warehouse: Warehouse, table: TableRef) -> dict[str, Gone]:
        """Take the persons out of every snapshot of ``table``; what is gone, by snapshot.

        The caller sees to it that nobody makes a table meanwhile. ManifestError; WarehouseError for a full disk.
        """
        gone: dict[str, Gone] = {}
        files: dict[int, tuple[Gone, Path | None]] = {}
        with warehouse.locked(table) as manifest, rewriting(self.marks) as connection:
            entries, left = list[Entry](), list[Path]()
            with warehouse.staging(table) as staged:
                for entry in manifest.entries:
                    new, found = self._snapshot(connection, warehouse, entry, table, staged.path, files)
                    entries.append(new)
                    if new is not entry:
                        gone[entry.id] = found
                        left.append(warehouse.root / entry.folder)
                self._replace(warehouse, manifest, replace(manifest, entries=tuple(entries)))
            for folder in left:
                remove(folder)
        return gone

    def _snapshot(
        self,
        connection: duckdb.DuckDBPyConnection,
        warehouse: Warehouse,
        entry: Entry,
        table: TableRef,
        space: Path,
        files: dict[int, tuple[Gone, Path | None]],
    ) -> tuple[Entry, Gone]:
        """The entry as it will be; the same one where nothing of the snapshot changes. ``files``: what became of
        files that are done already, by inode, since snapshots share them."""
        folder = warehouse.root / entry.folder
        details = read_details(folder / DETAILS)
        whose = self.whose(table, [name for name, _ in details.columns])
        for part in details.parts:
            inode = (folder / part.name).stat().st_ino
            if inode not in files:
                files[inode] = _rewritten(connection, folder / part.name, whose, space / f"{inode}.parquet")
        done = {part.name: files[(folder / part.name).stat().st_ino] for part in details.parts}
        found = _sum([item for item, _ in done.values()])
        metrics = self.amended(table, entry, details, found)
        touched = {name: file for name, (_, file) in done.items() if file is not None}
        names_them = self.marks.stand_in((folder / DETAILS).read_text(encoding="utf-8"))
        if not touched and metrics == details.metrics and not names_them:
            return entry, found
        target = _free(folder)
        made = space / target.name
        made.mkdir(mode_of(table))
        parts = tuple(_placed(part, folder, made, touched.get(part.name), details.columns) for part in details.parts)
        content = table_content({part.name: Content(details.columns, part.rows, part.sums) for part in parts})
        new = replace(
            entry,
            rows=content.rows,
            content_hash=content.hash,
            folder=target.relative_to(warehouse.root).as_posix(),
        )
        note: dict[str, Any] = {
            "erasure": self.erasure,
            "at": self.at.isoformat(),
            "rows": found.rows,
            "cells": found.cells,
        }
        note |= {"by_rule": found.by_rule, "content_hash": entry.content_hash}
        details = replace(details, parts=parts, metrics=metrics, erased=(*details.erased, note))
        durable.write(made / DETAILS, self.marks.without(details_text(details, new, table)))
        for part in parts if table.stage == VAULT else ():
            (made / part.name).chmod(0o600)
        durable.flush(made)
        made.rename(target)
        durable.flush(target.parent)
        return new, found

    def _replace(self, warehouse: Warehouse, before: Manifest, after: Manifest) -> None:
        text = manifest_text(after)
        clean = self.marks.without(text)
        if after == before and clean == text:
            return
        path = warehouse.folder(before.table) / MANIFEST
        aside = path.with_name(f".{MANIFEST}.new")
        durable.write(aside, clean)
        aside.replace(path)
        durable.flush(path.parent)


@contextmanager
def rewriting(marks: Marks) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that knows the marks: the table ``erased_persons``, and the macros ``names_person``, whether a
    text names one, and ``without_marks``, which is ``Marks.without``."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TEMP TABLE erased_persons (id VARCHAR)")
        connection.execute("INSERT INTO erased_persons SELECT unnest(?)", [list(marks.persons)])
        tests, without = list[str](), "value"
        for name, text in _variables(marks):
            connection.execute(f"SET VARIABLE {name} = ?", [text])
            mark = f"getvariable('{name}')"
            if name.startswith("longest"):
                tests.append(f"contains(value, {mark})")
                without = f"replace({without}, {mark}, '{MASK}')"
                continue
            tests.append(f"regexp_matches(value, {mark})")
            # Two words that share the character between them need two turns.
            for _ in range(2 if name.startswith("words") else 1):
                put = rf"\1{MASK}\2" if name.startswith("words") else MASK
                without = f"regexp_replace({without}, {mark}, '{put}', 'g')"
        connection.execute(f"CREATE TEMP MACRO names_person(value) AS ({' OR '.join(tests) or 'false'})")
        connection.execute(f"CREATE TEMP MACRO without_marks(value) AS ({without})")
        yield connection


def _variables(marks: Marks) -> Iterator[tuple[str, str]]:
    """Every pattern and text to look for, with the name of the variable that holds it."""
    for name, texts in (("longest", marks.longest), ("anywhere", marks.anywhere), ("words", marks.words)):
        for number, text in enumerate(texts):
            yield f"{name}_{number}", text if name == "longest" else f"(?i){text}"


def _rewritten(
    connection: duckdb.DuckDBPyConnection, file: Path, whose: Whose, into: Path
) -> tuple[Gone, Path | None]:
    """What a file holds of the persons, and the file ``into`` without that; None where it holds nothing."""
    rows = parquet(connection, [file])
    types = dict(zip(rows.columns, map(str, rows.types), strict=True))
    gone, named = conditions(types, whose)
    rows.create_view("erasing", replace=True)
    counted = f"SELECT count(*) FILTER ({gone}), count(*) FILTER (NOT ({gone}) AND ({named})) FROM erasing"
    found = connection.execute(counted).fetchone() or (0, 0)
    if not any(found):
        return Gone(), None
    rules: dict[str, int] = {}
    if "rule" in types:
        grouped = f"SELECT rule, count(*) FROM erasing WHERE {gone} GROUP BY rule"
        rules = {str(rule): many for rule, many in connection.execute(grouped).fetchall()}
    columns = ", ".join(_masked(name, kind, whose) for name, kind in types.items())
    kept = connection.sql(f"SELECT {columns} FROM erasing WHERE NOT ({gone})")
    kept.write_parquet(str(into), compression="zstd", row_group_size=122_880)
    durable.flush(into)
    return Gone(found[0], found[1], rules), into


def conditions(types: Mapping[str, str], whose: Whose) -> tuple[str, str]:
    """SQL: whether a row is one of the persons', and whether any text of it names one."""
    own = [f"CAST({quote(name)} AS VARCHAR) IN (SELECT id FROM erased_persons)" for name in whose.columns]
    texts = [_names(quote(name), kind) for name, kind in types.items() if kind in (_TEXT, _TEXTS)]
    named = " OR ".join(texts) or "false"
    gone = " OR ".join([*own, *(texts if whose.whole else [])]) or "false"
    return f"coalesce({gone}, false)", f"coalesce({named}, false)"


def _names(value: str, kind: str) -> str:
    if kind == _TEXTS:
        return f"len(list_filter({value}, lambda item: {_names('item', _TEXT)})) > 0"
    return f"names_person({value})"


def _masked(name: str, kind: str, whose: Whose) -> str:
    """The column with every mark masked, or null where it was nothing else. A row that stays has none in the columns
    that say whose it is."""
    value = quote(name)
    if kind not in (_TEXT, _TEXTS) or name in whose.columns:
        return value
    if kind == _TEXTS:
        return f"list_transform({value}, lambda item: without_marks(item)) AS {value}"
    # A cell that is nothing but a mark becomes empty, as cleaning makes it when it is imported again.
    return f"CASE WHEN {value} = '{MASK}' THEN {value} ELSE nullif(without_marks({value}), '{MASK}') END AS {value}"


def _placed(part: Part, folder: Path, into: Path, new: Path | None, columns: tuple[tuple[str, str], ...]) -> Part:
    """The part in the folder ``into``: its file as it was, or the ``new`` one, and what is known of that."""
    target = into / part.name
    durable.link(new or folder / part.name, target)
    if new is None:
        return part
    content = read_contents([target])[target.name]
    return Part(part.name, content.rows, content.hash, target.stat().st_size, content.sums)


def _free(folder: Path) -> Path:
    """A folder beside: its name is the snapshot's id, a dot, and how often it was rewritten."""
    name, _, count = folder.name.partition(".")
    return folder.with_name(f"{name}.{int(count or 0) + 1}")


def _sum(found: Sequence[Gone]) -> Gone:
    rules: dict[str, int] = {}
    for item in found:
        for rule, many in item.by_rule.items():
            rules[rule] = rules.get(rule, 0) + many
    return Gone(sum(item.rows for item in found), sum(item.cells for item in found), rules)
