"""The warehouse: stage files, publish them as a snapshot, read snapshots by (as-of, known-at)."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import filelock

from valtag_assets.warehouse import durable, staging
from valtag_assets.warehouse.errors import LockTimeout, ViewsError, WarehouseError
from valtag_assets.warehouse.manifest import (
    DETAILS,
    MANIFEST,
    Details,
    Entry,
    Manifest,
    as_json,
    details_text,
    manifest_text,
    read_details,
    read_manifest,
    snapshot_of,
    utc,
)
from valtag_assets.warehouse.snapshot import Attempt, Outcome, Snapshot, TableRef, Verdict
from valtag_assets.warehouse.staging import Staged
from valtag_assets.warehouse.sweeping import remove_leftovers
from valtag_assets.warehouse.views import write_views

VIEWS = "valtag.duckdb"
STAGING = ".staging"


class Warehouse:
    """Immutable Parquet snapshots under ``root`` (made when first written to).

    Any number of processes may read and publish at once: readers take no lock and see the old state or the
    new one; publishers of one table queue for ``lock_seconds``, then get LockTimeout.
    """

    def __init__(self, root: Path, *, lock_seconds: float = 60.0) -> None:
        self.root = Path(root).absolute()
        if "?" in str(self.root):
            # DuckDB takes what follows for a URL's query and looks for its log file in the wrong place.
            raise ValueError(f"{self.root}: DuckDB can't work in a folder with '?' in its path; choose another")
        self.lock_seconds = lock_seconds

    # Publishing

    @contextmanager
    def staging(self, table: TableRef) -> Iterator[Staged]:
        """A folder for the files of ``table``; on exit it is gone, published or not."""
        with self._workspace() as path:
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
        dropped; any difference makes a new snapshot with files of its own. A snapshot with an earlier
        ``known_at`` than the current one is kept in history but doesn't become current. ``key`` must name
        existing columns (whether it is unique is for the checks to say).

        WarehouseError: nothing was published. ViewsError: it was, but ``valtag.duckdb`` is out of date.
        """
        table = staged.table
        _refuse_confused_times(as_of, data_until)
        known_at = utc(known_at)
        content, parts = staging.seal(staged)
        missing = [name for name in key if name not in dict(content.columns)]
        if missing:
            raise WarehouseError(f"{table}: key columns {missing} are not in the staged files")
        details = Details(content.columns, tuple(key), dict(inputs), tuple(verdicts), dict(metrics), parts)
        durable.write(staged.path / DETAILS, details_text(details, table))
        durable.flush(staged.path)
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
        snapshot = self._enter(staged, entry, details)
        try:
            self.rebuild_views()
        except WarehouseError as error:
            raise ViewsError(f"{table} is published as {snapshot.id}, but: {error}", snapshot) from error
        return snapshot

    def record_attempt(self, table: TableRef, attempt: Attempt) -> None:
        """Record a try that published nothing (refused, failed, reused): the last good snapshot stays.

        ValueError for outcome ``published``: only ``publish`` may say so.
        """
        if attempt.outcome == "published":
            raise ValueError("an attempt is recorded as published by publish() alone")
        with self._locked(table) as manifest:
            self._replace_manifest(manifest.with_attempt(replace(attempt, at=utc(attempt.at))))

    # Reading

    def current(self, table: TableRef, as_of: date | None = None) -> Snapshot | None:
        """The snapshot served for exactly ``as_of`` (None: a table that doesn't depend on time)."""
        return self._load(table, self._manifest(table).current(as_of))

    def latest(self, table: TableRef, on_or_before: date | None = None) -> Snapshot | None:
        """The current snapshot of the newest as-of, of all or of those up to a date."""
        return self._load(table, self._manifest(table).latest(on_or_before))

    def at(self, table: TableRef, as_of: date | None, known_at: datetime) -> Snapshot | None:
        """What was current for ``as_of`` at the instant ``known_at`` (aware)."""
        return self._load(table, self._manifest(table).current(as_of, utc(known_at)))

    def find(self, table: TableRef, snapshot_id: str) -> Snapshot | None:
        """The snapshot with that id; ids are unique within a table."""
        fitting = (entry for entry in self._manifest(table).entries if entry.id == snapshot_id)
        return self._load(table, next(fitting, None))

    def snapshots(self, table: TableRef) -> list[Snapshot]:
        """All snapshots, by as-of, then known-at."""
        entries = sorted(self._manifest(table).entries, key=lambda entry: (entry.as_of or date.min, entry.known_at))
        return [snapshot_of(table, entry, self.root) for entry in entries]

    def last_attempt(self, table: TableRef, as_of: date | None) -> Attempt | None:
        """The last try for ``as_of``, with its verdicts. One that published is forgotten after 50 others."""
        manifest = self._manifest(table)
        attempt = manifest.last_attempt(as_of)
        if attempt is None or attempt.snapshot_id is None or attempt.verdicts:
            return attempt
        entry = next((known for known in manifest.entries if known.id == attempt.snapshot_id), None)
        snapshot = self._load(table, entry)
        return attempt if snapshot is None else replace(attempt, verdicts=snapshot.verdicts)

    def newest_attempt(self, table: TableRef) -> Attempt | None:
        """The last try of the table, whatever its as-of."""
        attempts = self._manifest(table).attempts
        return max(attempts, key=lambda attempt: attempt.at, default=None)

    def blocked(self, table: TableRef, as_of: date | None) -> Attempt | None:
        """The refusal or failure that stands for ``as_of``: nothing newer was published or reused since."""
        manifest = self._manifest(table)
        attempt, current = manifest.last_attempt(as_of), manifest.current(as_of)
        if attempt is None or not attempt.blocks:
            return None
        return attempt if current is None or attempt.at >= current.known_at else None

    def tables(self) -> list[TableRef]:
        """All tables that were published or attempted, sorted."""
        return self._tables_with(MANIFEST)

    # Upkeep

    def rebuild_views(self) -> None:
        """Write ``valtag.duckdb`` anew and swap it in. ViewsError (or ManifestError) leaves the old file."""
        self.root.mkdir(parents=True, exist_ok=True)
        target = self.root / VIEWS
        # Manifests are read inside the lock: otherwise a slower publisher could swap in an older picture.
        with self._lock(self.root / f".{VIEWS}.lock", "the views"), self._workspace() as space:
            served = [snapshot for table in self.tables() if (snapshot := self.latest(table)) is not None]
            try:
                write_views(space / VIEWS, served)
                durable.flush(space / VIEWS)
                os.replace(space / VIEWS, target)
            except (duckdb.Error, OSError) as error:
                raise ViewsError(f"cannot rebuild {target}: {error}") from error
            # Someone who opened the old file for writing left this; it doesn't belong to the new one.
            Path(f"{target}.wal").unlink(missing_ok=True)

    def sweep(self, older_than: timedelta, at: datetime) -> tuple[Path, ...]:
        """Remove what crashes left behind, untouched since ``at - older_than``; returns what it removed.

        ``at`` is the present instant (aware). Never removes what a manifest names. ``older_than`` must be
        longer than any run may take before it writes its first file.
        """
        before = (utc(at) - older_than).timestamp()
        removed = list(remove_leftovers(self.root, [self.root / STAGING], set(), before))
        for table in self._tables_with("as_of=*"):
            folder = self._folder(table)
            with self._locked(table) as manifest:
                named = {self.root / entry.folder for entry in manifest.entries}
                removed += remove_leftovers(self.root, sorted(folder.glob("as_of=*/")), named, before)
        return tuple(removed)

    # Inside

    def _enter(self, staged: Staged, entry: Entry, details: Details) -> Snapshot:
        """Under the lock: reuse the current snapshot, or name the new one and make it visible."""
        table = staged.table
        with self._locked(table) as manifest:
            current = manifest.current(entry.as_of)
            if current is not None and self._same(current, entry, details):
                self._replace_manifest(manifest.with_attempt(_attempt(entry, "reused", current.id)))
                return snapshot_of(table, current, self.root)
            entry = self._named(manifest, entry)
            manifest = manifest.with_entry(entry)
            late = manifest.current(entry.as_of) is not entry
            reason = "a snapshot known later stays current" if late else None
            attempt = _attempt(entry, "published", entry.id, reason)
            self._replace_manifest(manifest.with_attempt(attempt), (staged.path, self.root / entry.folder))
        return snapshot_of(table, entry, self.root)

    def _same(self, current: Entry, new: Entry, details: Details) -> bool:
        shared = ("content_hash", "input_hash", "catalog_hash", "data_until")
        if any(getattr(current, name) != getattr(new, name) for name in shared):
            return False
        stored = read_details(self.root / current.folder / DETAILS)
        return stored.key == details.key and as_json(stored.verdicts) == as_json(details.verdicts)

    def _named(self, manifest: Manifest, entry: Entry) -> Entry:
        """The entry with an id no snapshot of the table has, and its folder."""
        table = manifest.table
        parent = f"{table.stage}/{table.name}/as_of={entry.as_of.isoformat() if entry.as_of else 'all'}"
        stem = f"{entry.known_at:%Y%m%dT%H%M%S%fZ}-{entry.content_hash[:8]}"
        taken = {known.id for known in manifest.entries}
        name, count = stem, 1
        while name in taken or (self.root / parent / name).exists():
            count += 1
            name = f"{stem}-{count}"
        return replace(entry, id=name, folder=f"{parent}/{name}")

    def _replace_manifest(self, manifest: Manifest, move: tuple[Path, Path] | None = None) -> None:
        """Swap the manifest in, after moving a snapshot's folder to its place.

        The new manifest is on disk before the folder moves, so that a full disk leaves no stray folder.
        """
        path = self._folder(manifest.table) / MANIFEST
        with self._workspace() as space:
            durable.write(space / MANIFEST, manifest_text(manifest))
            if move is not None:
                staged, target = move
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(staged, target)
                durable.flush_folders(target.parent, self.root)
            os.replace(space / MANIFEST, path)
            durable.flush(path.parent)

    def _folder(self, table: TableRef) -> Path:
        return self.root / table.stage / table.name

    def _tables_with(self, pattern: str) -> list[TableRef]:
        """The tables whose folder holds something called like ``pattern``, sorted."""
        folders = {path.parent for path in self.root.glob(f"*/*/{pattern}")}
        tables = set()
        for folder in folders:
            with suppress(ValueError):  # not one of ours: someone keeps other things here
                tables.add(TableRef(folder.parent.name, folder.name))
        return sorted(tables)

    def _manifest(self, table: TableRef) -> Manifest:
        return read_manifest(self._folder(table) / MANIFEST, table)

    def _load(self, table: TableRef, entry: Entry | None) -> Snapshot | None:
        return None if entry is None else snapshot_of(table, entry, self.root)

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        # Not tempfile.mkdtemp: its private mode would go with the folder into the published tree.
        path = self.root / STAGING / uuid.uuid4().hex
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            if path.exists():
                shutil.rmtree(path)

    @contextmanager
    def _locked(self, table: TableRef) -> Iterator[Manifest]:
        folder = self._folder(table)
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock(folder / "manifest.lock", str(table)):
            yield self._manifest(table)

    @contextmanager
    def _lock(self, path: Path, what: str) -> Iterator[None]:
        lock = filelock.FileLock(path, timeout=self.lock_seconds)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise LockTimeout(
                f"{what}: another process has held {path} for {self.lock_seconds:g} s."
                f" Wait for it and run again; `lsof {path}` shows which one it is"
            ) from error
        try:
            yield
        finally:
            lock.release()


def _attempt(entry: Entry, outcome: Outcome, snapshot_id: str, reason: str | None = None) -> Attempt:
    """The attempt a publication leaves; its verdicts are the snapshot's and not stored twice."""
    return Attempt(
        as_of=entry.as_of,
        at=entry.known_at,
        run_id=entry.run_id,
        input_hash=entry.input_hash,
        outcome=outcome,
        snapshot_id=snapshot_id,
        reason=reason,
    )


def _refuse_confused_times(as_of: date | None, data_until: datetime | None) -> None:
    if isinstance(as_of, datetime):
        raise ValueError(f"as_of is a local date, not an instant: {as_of.isoformat()}")
    if data_until is not None and data_until.tzinfo is not None:
        raise ValueError(f"data_until is naive local time, not {data_until.isoformat()}")
