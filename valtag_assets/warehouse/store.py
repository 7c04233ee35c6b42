"""The warehouse: stage files, publish them as a snapshot, read snapshots by (as-of, known-at)."""

import os
import shutil
import sys
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from valtag_assets.warehouse import comments, durable, locks, staging
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.derived import ASIDE
from valtag_assets.warehouse.errors import ManifestError, Removed, ViewsError, WarehouseError
from valtag_assets.warehouse.manifest import (
    DETAILS,
    MANIFEST,
    Details,
    Entry,
    Manifest,
    as_json,
    details_text,
    id_stem,
    manifest_text,
    publication,
    read_manifest,
    refuse_confused_times,
    snapshot_of,
    utc,
)
from valtag_assets.warehouse.snapshot import Attempt, Snapshot, TableRef, Verdict
from valtag_assets.warehouse.staging import Staged
from valtag_assets.warehouse.sweeping import leftovers, remove, touched
from valtag_assets.warehouse.tokens import VAULT, mode_of
from valtag_assets.warehouse.views import Shown, copy_views, write_views

VIEWS = "valtag.duckdb"
STAGING = ".staging"
WORK = ".work"
MAKING = ".making.lock"
# In a folder whose snapshot has left history; that it is new dates the leaving.
DROPPED = "_dropped"
# A publisher may wait for its turn; only what is longer is a clock that went back.
_CLOCK_SLACK = timedelta(minutes=2)


class Warehouse:
    """Immutable Parquet snapshots under ``root`` (made when first written to).

    Any number of processes may read and publish at once: readers take no lock and see the old state or the
    new one; publishers of one table queue for ``lock_seconds``, makers for ``making_seconds``, then get LockTimeout.
    """

    def __init__(self, root: Path, *, lock_seconds: float = 60.0, making_seconds: float = 600.0) -> None:
        self.root = Path(root).absolute()
        if "?" in str(self.root):
            # DuckDB takes what follows for a URL's query and looks for its log file in the wrong place.
            raise ValueError(f"{self.root}: DuckDB can't work in a folder with '?' in its path; choose another")
        self.lock_seconds = lock_seconds
        self.making_seconds = making_seconds

    # Who may work when

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While inside, nobody makes a table. LockTimeout while somebody does."""
        whole, what = self.root / MAKING, "a table is being made"
        with locks.together(whole, exclusive=True, what=what, seconds=self.lock_seconds):
            yield

    @contextmanager
    def making(self, table: TableRef, run_id: str, since: datetime) -> Iterator[None]:
        """Be the only run that makes ``table``; look at what is served only inside, it may have come meanwhile.

        LockTimeout names the run that is making it, and since when.
        """
        whole, what = self.root / MAKING, "history is being removed or repaired, or somebody is being erased"
        with (
            locks.making(self.folder(table), str(table), run_id, since, self.making_seconds),
            locks.together(whole, exclusive=False, what=what, seconds=self.making_seconds),
        ):
            yield

    # Publishing

    @contextmanager
    def staging(self, table: TableRef) -> Iterator[Staged]:
        """A folder for the files of ``table``; on exit it is gone, published or not."""
        with self._workspace(mode_of(table)) as path:
            yield Staged(table, path)

    def share(self, staged: Staged, snapshot: Snapshot, name: str) -> None:
        """Make part ``name`` of a published snapshot of the same table a part of the staged one, unread.

        The file is linked (copied where the file system has no links), so each snapshot's folder stays whole by
        itself. WarehouseError if the snapshot has no such part, if its file is missing or has another size than
        when it was published, or if the staged table has a part of that name.
        """
        staging.share(staged, snapshot, name)

    def publish(
        self,
        staged: Staged,
        *,
        as_of: date | None,
        known_at: datetime,
        input_hash: str,
        catalog_hash: str,
        run_id: str,
        data_until: datetime | None,
        inputs: Mapping[str, str],
        verdicts: Sequence[Verdict],
        metrics: Mapping[str, Any],
        key: Sequence[str],
    ) -> Snapshot:
        """Make the staged ``*.parquet`` files a snapshot, then rebuild the views. Shared parts are not read.

        If content, input hash, catalog hash, data_until, key and verdicts all equal those of the as-of's
        current snapshot, that one is returned, an attempt ``reused`` is recorded, and the staged files are
        dropped; any difference makes a new snapshot with files of its own. ``known_at`` never goes back: where the
        clock did, the snapshot is dated right after everything the table has seen, and the attempt says so.
        ``key`` must name existing columns (whether it is unique is for the checks to say).

        WarehouseError: nothing was published. ViewsError: it was, but ``valtag.duckdb`` is out of date.
        """
        table = staged.table
        refuse_confused_times(as_of, data_until)
        known_at = utc(known_at)
        content, parts = staging.seal(staged)
        missing = [name for name in key if name not in dict(content.columns)]
        if missing:
            raise WarehouseError(f"{table}: key columns {missing} are not in the staged files")
        details = Details(content.columns, tuple(key), dict(inputs), tuple(verdicts), dict(metrics), parts)
        entry = Entry(
            id="",
            as_of=as_of,
            known_at=known_at,
            run_id=run_id,
            rows=content.rows,
            content_hash=content.hash,
            input_hash=input_hash,
            catalog_hash=catalog_hash,
            data_until=data_until,
            folder="",
            files=tuple(part.name for part in parts),
        )
        durable.write(staged.path / DETAILS, details_text(details, entry, table))
        durable.flush(staged.path)
        snapshot = self._enter(staged, entry, details)
        try:
            self.rebuild_views(changed=True)
        except WarehouseError as error:
            raise ViewsError(f"{table} is published as {snapshot.id}, but: {error}", snapshot) from error
        return snapshot

    def record_attempt(self, table: TableRef, attempt: Attempt) -> None:
        """Record a try that published nothing (refused, failed, reused): the last good snapshot stays.

        ValueError for outcome ``published``: only ``publish`` may say so.
        """
        if attempt.outcome == "published":
            raise ValueError("an attempt is recorded as published by publish() alone")
        with self.locked(table) as manifest:
            self.replace_manifest(manifest.with_attempt(replace(attempt, at=manifest.after_all(utc(attempt.at)))))

    # Reading

    def current(self, table: TableRef, as_of: date | None = None) -> Snapshot | None:
        """The snapshot served for exactly ``as_of`` (None: a table that doesn't depend on time)."""
        return self._load(table, self.manifest(table).current(as_of))

    def latest(self, table: TableRef, on_or_before: date | None = None) -> Snapshot | None:
        """The current snapshot of the newest as-of, of all or of those up to a date."""
        return self._load(table, self.manifest(table).latest(on_or_before))

    def at(self, table: TableRef, as_of: date | None, known_at: datetime) -> Snapshot | None:
        """What was current for ``as_of`` at the instant ``known_at`` (aware). Removed, if that left history."""
        manifest = self.manifest(table)
        gap = manifest.forgets(as_of, utc(known_at))
        if gap is not None:
            raise Removed(
                f"what was known of {table} for {as_of or 'all time'} from {gap.since} to {gap.until} was removed:"
                " project.yaml: retention says how long it stays"
            )
        return self._load(table, manifest.current(as_of, utc(known_at)))

    def find(self, table: TableRef, snapshot_id: str) -> Snapshot | None:
        """The snapshot with that id; ids are unique within a table."""
        fitting = (entry for entry in self.manifest(table).entries if entry.id == snapshot_id)
        return self._load(table, next(fitting, None))

    def snapshots(self, table: TableRef) -> list[Snapshot]:
        """All snapshots, by as-of, then known-at."""
        entries = sorted(self.manifest(table).entries, key=lambda entry: (entry.as_of or date.min, entry.known_at))
        return [snapshot_of(table, entry, self.root) for entry in entries]

    def last_attempt(self, table: TableRef, as_of: date | None) -> Attempt | None:
        """The last try for ``as_of``, with its verdicts. One that published is forgotten after 50 others."""
        manifest = self.manifest(table)
        attempt = manifest.last_attempt(as_of)
        if attempt is None or attempt.snapshot_id is None or attempt.verdicts:
            return attempt
        entry = next((known for known in manifest.entries if known.id == attempt.snapshot_id), None)
        snapshot = self._load(table, entry)
        return attempt if snapshot is None else replace(attempt, verdicts=snapshot.verdicts)

    def newest_attempt(self, table: TableRef) -> Attempt | None:
        """The last try of the table, whatever its as-of."""
        attempts = self.manifest(table).attempts
        return max(attempts, key=lambda attempt: attempt.at, default=None)

    def blocked(self, table: TableRef, as_of: date | None) -> Attempt | None:
        """The refusal or failure that stands for ``as_of``: nothing newer was published or reused since."""
        manifest = self.manifest(table)
        attempt, current = manifest.last_attempt(as_of), manifest.current(as_of)
        if attempt is None or not attempt.blocks:
            return None
        return attempt if current is None or attempt.at >= current.known_at else None

    def tables(self) -> list[TableRef]:
        """All tables that were published or attempted, sorted; also one whose manifest is lost."""
        return sorted({*self._tables_with(MANIFEST), *self._tables_with("as_of=*")})

    def manifest(self, table: TableRef) -> Manifest:
        """The manifest as it is now. ManifestError."""
        return read_manifest(self.folder(table) / MANIFEST, table)

    # Upkeep

    def rebuild_views(self, *, changed: bool = False) -> None:
        """Write ``valtag.duckdb`` anew and swap it in; with ``changed`` only the views of tables whose manifest is
        newer than the file. ViewsError leaves the old file."""
        self.root.mkdir(parents=True, exist_ok=True)
        target = self.root / VIEWS
        # Manifests are read inside the lock: otherwise a slower publisher could swap in an older picture.
        lock = locks.alone(self.root / f".{VIEWS}.lock", "the views", self.lock_seconds)
        with lock, self._workspace() as space:
            tables = [table for table in self.tables() if table.stage != VAULT]
            try:
                started = durable.present(space)
                if changed and copy_views(target, space / VIEWS, self.root):
                    since = target.stat().st_mtime_ns
                    tables = [table for table in tables if self._changed_at(table) >= since]
                write_views(space / VIEWS, [self._shown(table) for table in tables])
                durable.flush(space / VIEWS)
                # As old as what it shows: a manifest that changed meanwhile is newer.
                os.utime(space / VIEWS, ns=(started, started))
                os.replace(space / VIEWS, target)
            except (duckdb.Error, OSError) as error:
                raise ViewsError(f"cannot rebuild {target}: {error}") from error
            # Someone who opened the old file for writing left this; it doesn't belong to the new one.
            Path(f"{target}.wal").unlink(missing_ok=True)

    def _changed_at(self, table: TableRef) -> int:
        """When the manifest was replaced last, in nanoseconds; far ahead where it is lost."""
        path = self.folder(table) / MANIFEST
        return path.stat().st_mtime_ns if path.exists() else sys.maxsize

    def _shown(self, table: TableRef) -> Shown:
        # A damaged table must not keep the views of all others from being renewed; `valtag status` names it.
        with suppress(ManifestError):
            found = self.latest(table)
            if found is not None and damage(found) is None:
                return Shown(table, found, comments.kept(self.folder(table)))
        return Shown(table)

    def describe(self, table: TableRef, said: Mapping[str, Any]) -> bool:
        """Keep for the views what a table and its columns mean; whether that is new, and they are to be rebuilt."""
        if comments.kept(self.folder(table)) == said:
            return False
        with self.locked(table):
            return comments.keep(self.folder(table), said)

    def described(self, table: TableRef) -> Mapping[str, Any]:
        return comments.kept(self.folder(table))

    def drop(self, table: TableRef, ids: Collection[str]) -> None:
        """Take snapshots out of history; their files are leftovers from now on."""
        with self.locked(table) as manifest:
            for entry in manifest.entries:
                if entry.id in ids and (self.root / entry.folder).is_dir():
                    (self.root / entry.folder / DROPPED).touch()
            self.replace_manifest(manifest.thinned(ids))

    def sweep(self, older_than: timedelta, at: datetime, *, dry_run: bool = False) -> tuple[Path, ...]:
        """Remove the folders of no snapshot, untouched since ``at - older_than``; returns which.

        ``at`` is the present instant (aware). Never removes what a manifest names. ``older_than`` must be
        longer than any run may take before it writes its first file, and than anybody reads what was dropped.
        """
        before = (utc(at) - older_than).timestamp()
        found = list(leftovers([self.root / STAGING, self.root / WORK], set(), before))
        found += [folder for folder in self.root.rglob(f"{ASIDE}*") if folder.is_dir() and touched(folder) < before]
        for folder in () if dry_run else found:
            remove(folder)
        for table in self._tables_with("as_of=*"):
            parents = sorted(self.folder(table).glob("as_of=*/"))
            with self.locked(table) as manifest:
                named = {self.root / entry.folder for entry in manifest.entries}
                stale = list(leftovers(parents, named, before))
                for folder in () if dry_run else stale:
                    remove(folder)
            found += stale
        return tuple(found)

    # Inside

    def _enter(self, staged: Staged, entry: Entry, details: Details) -> Snapshot:
        """Under the lock: reuse the current snapshot, or name the new one and make it visible."""
        table = staged.table
        with self.locked(table) as manifest:
            clock, entry = entry.known_at, replace(entry, known_at=manifest.after_all(entry.known_at))
            behind = entry.known_at - clock > _CLOCK_SLACK
            reason = f"the clock went back: it says {clock}, known-at is {entry.known_at}" if behind else None
            current = manifest.current(entry.as_of)
            if current is not None and self._same(table, current, entry, details):
                self.replace_manifest(manifest.with_attempt(publication(entry, "reused", current.id, reason)))
                return snapshot_of(table, current, self.root)
            entry = self._named(manifest, entry)
            if not (self.folder(table) / MANIFEST).exists():
                self.replace_manifest(manifest)  # snapshots without a manifest are damage, not a beginning
            attempt = publication(entry, "published", entry.id, reason)
            manifest = manifest.with_entry(entry).with_attempt(attempt)
            self.replace_manifest(manifest, (staged.path, self.root / entry.folder))
        return snapshot_of(table, entry, self.root)

    def _same(self, table: TableRef, current: Entry, new: Entry, details: Details) -> bool:
        shared = ("content_hash", "input_hash", "catalog_hash", "data_until")
        if any(getattr(current, name) != getattr(new, name) for name in shared):
            return False
        stored = snapshot_of(table, current, self.root)
        same = stored.key == details.key and as_json(stored.verdicts) == as_json(details.verdicts)
        return same and damage(stored) is None

    def _named(self, manifest: Manifest, entry: Entry) -> Entry:
        """The entry with an id no snapshot of the table has, and its folder."""
        table = manifest.table
        parent = f"{table.stage}/{table.name}/as_of={entry.as_of.isoformat() if entry.as_of else 'all'}"
        stem = id_stem(entry.known_at, entry.content_hash)
        taken = {known.id for known in manifest.entries}
        name, count = stem, 1
        while name in taken or (self.root / parent / name).exists():
            count += 1
            name = f"{stem}-{count}"
        return replace(entry, id=name, folder=f"{parent}/{name}")

    def replace_manifest(self, manifest: Manifest, move: tuple[Path, Path] | None = None) -> None:
        """Swap the manifest in, after moving a snapshot's folder to its place.

        The new manifest is on disk before the folder moves, so that a full disk leaves no stray folder.
        """
        path = self.folder(manifest.table) / MANIFEST
        with self._workspace() as space:
            durable.write(space / MANIFEST, manifest_text(manifest))
            if move is not None:
                staged, target = move
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(staged, target)
                durable.flush_folders(target.parent, self.root)
            os.replace(space / MANIFEST, path)
            durable.flush(path.parent)

    def folder(self, table: TableRef) -> Path:
        return self.root / table.stage / table.name

    def _tables_with(self, pattern: str) -> list[TableRef]:
        """The tables whose folder holds something called like ``pattern``, sorted."""
        folders = {path.parent for path in self.root.glob(f"*/*/{pattern}")}
        tables = set()
        for folder in folders:
            with suppress(ValueError):  # not one of ours: someone keeps other things here
                tables.add(TableRef(folder.parent.name, folder.name))
        return sorted(tables)

    def _load(self, table: TableRef, entry: Entry | None) -> Snapshot | None:
        return None if entry is None else snapshot_of(table, entry, self.root)

    @contextmanager
    def _workspace(self, mode: int = 0o777) -> Iterator[Path]:
        # Not tempfile.mkdtemp: its private mode would go with the folder into the published tree.
        path = self.root / STAGING / uuid.uuid4().hex
        path.mkdir(mode, parents=True)
        try:
            yield path
        finally:
            if path.exists():
                shutil.rmtree(path)

    @contextmanager
    def locked(self, table: TableRef) -> Iterator[Manifest]:
        folder = self.folder(table)
        folder.parent.mkdir(mode_of(table), parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        with locks.alone(folder / "manifest.lock", str(table), self.lock_seconds):
            yield self.manifest(table)
