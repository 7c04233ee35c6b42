"""Removing history, and what crashes left: in two steps, so that nobody's file goes while it is read.

First an expired snapshot leaves its manifest: from then on nobody finds it. Its files go with the leftovers of
crashes, a day after anything in their folder was last touched: who found it before has that long to read it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from valtag_assets.spec.project import Retention
from valtag_assets.warehouse.manifest import utc
from valtag_assets.warehouse.retention import Expired, expired
from valtag_assets.warehouse.store import Warehouse
from valtag_assets.warehouse.sweeping import freed_bytes

GRACE = timedelta(days=1)


@dataclass(frozen=True)
class Vacuumed:
    """What left history, and which folders were removed; how many bytes each will free, or freed.

    A file that a remaining snapshot shares frees nothing.
    """

    expired: tuple[Expired, ...]
    expired_bytes: int
    removed: tuple[Path, ...]
    removed_bytes: int


def vacuum(warehouse: Warehouse, retention: Retention, at: datetime, *, dry_run: bool = False) -> Vacuumed:
    """Take what ``retention`` doesn't keep at the instant ``at`` (aware) out of history; remove old leftovers.

    With ``dry_run`` only says what it would do. LockTimeout while a table is being made: its inputs may be among
    what has expired. ManifestError when a manifest or a record can't be read: nothing is removed then.
    """
    with warehouse.undisturbed():
        manifests = {table: warehouse.manifest(table) for table in warehouse.tables()}
        found = expired(manifests, retention, utc(at), warehouse.root)
        for table in () if dry_run else sorted({item.table for item in found}):
            warehouse.drop(table, {item.entry.id for item in found if item.table == table})
    folders = [warehouse.root / item.entry.folder for item in found]
    leftovers = warehouse.sweep(GRACE, at, dry_run=True)
    freed, both = freed_bytes(leftovers), freed_bytes([*leftovers, *folders])
    removed = leftovers if dry_run else warehouse.sweep(GRACE, at)
    return Vacuumed(tuple(found), both - freed, removed, freed)
