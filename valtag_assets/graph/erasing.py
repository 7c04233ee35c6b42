"""Erasure: persons taken out of everything, for good, and the proof of it.

In order, each step such that doing it again changes nothing: the order is written down; tombstones, so that no
import brings them back; every table, under the lock that keeps all makers out, so that a run that is going on goes
on without them; what was made of tables; destinations and the ledger; logs and Dagster's own files; then everything
is looked through. Only when nothing is found is there a certificate, and the order is forgotten.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from valtag_assets.delivery.erasing import (
    Withdrawn,
    forget_exported,
    forget_in_databases,
    forget_in_files,
    forget_receipts,
    message_keys,
    purge,
    withdraw,
)
from valtag_assets.delivery.outbox import ledger_file
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.erasure.clearing import Cleared, clear
from valtag_assets.engine.erasure.persons import Search
from valtag_assets.engine.erasure.scan import Scanned, scan
from valtag_assets.engine.erasure.whose import whose
from valtag_assets.graph.deliveries import sending_place
from valtag_assets.graph.erased_tables import erase_tables
from valtag_assets.graph.home import home_folder
from valtag_assets.graph.receipts import receipts_folder, receipts_landing
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.audit import FOLDER as AUDIT
from valtag_assets.warehouse.audit import Detail
from valtag_assets.warehouse.journal import Order, begin, begun, end, journal
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.store import Warehouse
from valtag_assets.warehouse.tombstones import Tombstones

# A run may take as long to make one table.
_WAIT_SECONDS = 600.0


@dataclass(frozen=True)
class Orderer:
    """Who orders an erasure, and why."""

    actor: str
    role: str | None = None
    purpose: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Erased:
    """What an erasure did. ``tables``: (table, snapshots, rows, cells). ``ledger``: rows by kind. ``dropped``: rows
    in files and databases of destinations. ``receipts``: lines that had landed. The scan tells whether it is done."""

    order: Order
    finished: datetime
    tables: Sequence[tuple[str, int, int, int]]
    cleared: Cleared
    withdrawn: Withdrawn
    ledger: Mapping[str, int]
    dropped: int
    receipts: int
    scanned: Scanned

    @property
    def complete(self) -> bool:
        return not self.withdrawn.waiting and not self.scanned.hits


def order_erasure(setting: Setting, asked: Sequence[str], by: Orderer) -> Order:
    """Find the persons with these ids or personal values, and what tells them; nothing is erased yet.

    Mistake: somebody is not found (told by place, not by name), or another erasure is not finished.
    """
    if begun(setting.warehouse.root) is not None:
        raise Mistake("an erasure was begun and is not finished: valtag erase --resume goes on with it")
    with TemporaryDirectory(dir=setting.spill) as space, open_duckdb(setting.spill) as engine:
        found = Search(engine, setting.resolved, setting.warehouse, Path(space), setting.tokens).find(asked)
    if found.unknown:
        places = ", ".join(map(str, found.unknown))
        raise Mistake(f"number {places} of those asked for is no person's id or personal value in any table")
    if found.several:
        places = ", ".join(map(str, found.several))
        raise Mistake(f"number {places} of those asked for is a personal value of several persons: name them by id")
    return Order(
        id=uuid.uuid4().hex,
        at=setting.clock().isoformat(),
        actor=by.actor,
        role=by.role,
        purpose=by.purpose,
        reason=by.reason,
        persons=found.persons,
        identifiers=found.identifiers,
        shared=found.shared,
        landing=found.landing,
        until=found.until,
    )


def carry_out(setting: Setting, order: Order) -> Erased:
    """Erase, from the beginning or from where it was cut off. What is not ``complete`` stays open, to be resumed.

    LockTimeout: a table is being made for longer than anybody should wait. WarehouseError: the disk.
    """
    root = setting.warehouse.root
    marks = Marks.of(order.persons, order.identifiers)
    audit = setting.audit
    told: dict[str, Detail] = {"erasure": order.id, "persons": len(order.persons)}
    about: dict[str, Any] = {"actor": order.actor, "role": order.role, "purpose": order.purpose}
    if begun(root) is None:
        audit.record("erase", what="persons", details={**told, "reason": order.reason}, **about)
        begin(root, order)
    Tombstones(root).add([*order.persons, *order.identifiers], order.until)
    patient = Warehouse(root, lock_seconds=_WAIT_SECONDS)
    with patient.undisturbed():
        tables = erase_tables(setting, order, marks)
        patient.rebuild_views()
    withdrawn, ledger, dropped, receipts = _take_back(setting, order, marks)
    with patient.undisturbed():  # the working files of a table that is being made are in use, and hold what it reads
        cleared = _clear(setting, marks)
        scanned = _scan(setting, marks)
    done = Erased(order, setting.clock(), tables, cleared, withdrawn, ledger, dropped, receipts, scanned)
    rows = sum(rows for _, _, rows, _ in tables)
    audit.record("erased" if done.complete else "erasure_open", what="persons", rows=rows, details=told, **about)
    return done


def finish(setting: Setting) -> None:
    """The certificate is written: forget the order."""
    end(setting.warehouse.root)


def _take_back(setting: Setting, order: Order, marks: Marks) -> tuple[Withdrawn, Mapping[str, int], int, int]:
    """Destinations, then the ledger that knows what they hold."""
    place = sending_place(setting)
    ledger = ledger_file(setting.warehouse)
    withdrawn = withdraw(place, order.persons, order.id, setting.clock)
    destinations = [item.spec for item in setting.resolved.destinations.values()]
    folders = [place.files, *(place.files / str(to.path) for to in destinations if to.kind == "file")]
    databases = [place.files / to.path for to in destinations if to.kind == "database" and to.path]
    dropped = sum(forget_in_files(folder, order.persons) for folder in dict.fromkeys(folders))
    dropped += forget_in_databases(dict.fromkeys([*_databases_in(place.files), *databases]), order.persons)
    keys = message_keys(ledger, order.persons)
    receipts = forget_receipts(receipts_folder(setting), marks, keys)
    receipts += forget_exported(receipts_landing(setting), order.persons)
    # While a withdrawal waits, the ledger has to know about it.
    purged = {} if withdrawn.waiting else purge(ledger, order.persons)
    return withdrawn, purged, dropped, receipts


def _databases_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".sqlite", ".duckdb"))


def _clear(setting: Setting, marks: Marks) -> Cleared:
    """What is not a published table and tells the persons goes, or is masked."""
    root = setting.warehouse.root
    # The audit log is never written over: what it says of persons are keyed hashes.
    hits = [hit for hit in _scan(setting, marks).hits if not hit.file.is_relative_to(root / AUDIT)]
    return clear(hits, root, published_folders(setting), marks)


def published_folders(setting: Setting) -> set[Path]:
    """The folders of all snapshots."""
    warehouse = setting.warehouse
    entries = [entry for table in warehouse.tables() for entry in warehouse.manifest(table).entries]
    return {warehouse.root / entry.folder for entry in entries}


def _scan(setting: Setting, marks: Marks) -> Scanned:
    root = setting.warehouse.root
    folders = [root, home_folder(setting), sending_place(setting).files, receipts_folder(setting)]
    resolved, spared = setting.resolved, {journal(root)}
    return scan(
        [folder for folder in folders if folder.is_dir()],
        marks,
        lambda ref, names: whose(resolved, ref, names),
        spared,
    )
