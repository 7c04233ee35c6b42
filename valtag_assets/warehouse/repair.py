"""Damage to a table's manifest or files: found, named, and healed from what the snapshots say of themselves."""

from datetime import date, datetime
from pathlib import Path

from valtag_assets.warehouse import locks
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.errors import ManifestError, NewerFormat
from valtag_assets.warehouse.manifest import DETAILS, MANIFEST, Entry, Manifest, entry_from, snapshot_of
from valtag_assets.warehouse.snapshot import Attempt, TableRef
from valtag_assets.warehouse.store import DROPPED, Warehouse

_LOST_ATTEMPTS = "the manifest was made anew from the snapshots, and refusals it recorded are lost: run again"


def fault(warehouse: Warehouse, table: TableRef) -> str | None:
    """What is wrong with what is served for ``table``, in words with the remedy; None for a sound one."""
    try:
        served = warehouse.latest(table)
    except ManifestError as error:
        return str(error)
    return None if served is None else damage(served)


def repair(warehouse: Warehouse, table: TableRef, at: datetime) -> list[str]:
    """Heal ``table`` at the instant ``at`` (aware); says what was done, nothing for a sound table.

    A lost or damaged manifest is made anew from the records beside the data. A snapshot whose record or files
    are damaged leaves history, so that the one before is served until the next run. Either way the as-ofs
    concerned are held until they were run again. NewerFormat is not touched.
    """
    with locks.alone(warehouse.folder(table) / "manifest.lock", str(table), warehouse.lock_seconds):
        done: list[str] = []
        try:
            manifest = warehouse.manifest(table)
        except NewerFormat:
            raise
        except ManifestError as error:
            manifest = _rebuilt(warehouse, table, at, done)
            done.insert(0, f"{error}; made anew with {len(manifest.entries)} snapshots")
        bad = {entry.id: why for entry in manifest.entries if (why := _damage(warehouse, table, entry))}
        for as_of in {entry.as_of for entry in manifest.entries if entry.id in bad}:
            manifest = manifest.with_attempt(_held(manifest, as_of, at, "a snapshot was damaged: run again"))
        for snapshot_id, why in bad.items():
            done.append(f"{table} snapshot {snapshot_id} left history: {why}")
        if done:
            warehouse.replace_manifest(manifest.without(bad))
    return done


def _rebuilt(warehouse: Warehouse, table: TableRef, at: datetime, done: list[str]) -> Manifest:
    """A manifest from the records; what can't be read is told in ``done``."""
    entries: list[Entry] = []
    for record in sorted(warehouse.folder(table).glob(f"as_of=*/*/{DETAILS}")):
        if not (record.parent / DROPPED).exists():
            try:
                entries.append(entry_from(record, table, warehouse.root))
            except ManifestError as error:
                done.append(f"left aside: {error}")
    entries.sort(key=lambda entry: entry.known_at)
    made = Manifest(table, tuple(entries))
    _set_aside(warehouse.folder(table) / MANIFEST)
    newest = made.latest(None)
    if newest is None:
        return made
    return made.with_attempt(_held(made, newest.as_of, at, _LOST_ATTEMPTS))


def _held(manifest: Manifest, as_of: date | None, at: datetime, reason: str) -> Attempt:
    """An attempt that stops the readers of ``as_of`` until it was run again."""
    return Attempt(as_of, manifest.after_all(at), "repair", "", "failed", reason=reason)


def _damage(warehouse: Warehouse, table: TableRef, entry: Entry) -> str | None:
    try:
        return damage(snapshot_of(table, entry, warehouse.root))
    except ManifestError as error:
        return str(error)


def _set_aside(path: Path) -> None:
    """Keep a damaged manifest under another name: somebody may still read something in it."""
    if path.exists():
        count = len(list(path.parent.glob(f"{MANIFEST}.damaged-*")))
        path.rename(path.with_name(f"{MANIFEST}.damaged-{count + 1}"))
