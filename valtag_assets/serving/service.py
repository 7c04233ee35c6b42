"""What the service serves now, and how it comes to serve what is published next.

A request holds ``Service.open`` as it finds it, and finishes on it. A newer store is opened beside it and put in its
place in one step, so nobody ever waits or fails; the old one is closed after its last reader, and is readable until
then even if its file was removed.
"""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from valtag_assets.engine.access import Need
from valtag_assets.engine.identity.naming import key_of
from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.reader import Reader
from valtag_assets.expression.resolved import Resolved
from valtag_assets.serving.answers import Answers
from valtag_assets.serving.building import find_store, records_of
from valtag_assets.serving.health import served_tables, table_states
from valtag_assets.serving.published import ID_TABLES, NothingPublished, Published, published
from valtag_assets.serving.refusal import Refusal
from valtag_assets.serving.store import FILE, Records
from valtag_assets.warehouse.audit import AuditError, AuditLog
from valtag_assets.warehouse.audit_tally import AuditTally
from valtag_assets.warehouse.derived import Derived, DerivedFiles
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.manifest import MANIFEST
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.store import Warehouse

POLL_SECONDS = 1.0
RECORD_SECONDS = 10.0
# A run publishes table after table and ends with the store; only what stays behind for so long is built here.
SETTLE_SECONDS = 30.0
# The past is read from the snapshots, by one thread; more than so many wait for nothing good.
MOST_WAITING = 16
MOST_PAST = 8

Seen = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Place:
    """The catalog that is served, its warehouse, a folder for working files, the one where receipts land, and the
    record of who was told what."""

    resolved: Resolved
    warehouse: Warehouse
    spill: Path
    receipts: Path
    audit: AuditLog

    @property
    def stores(self) -> DerivedFiles:
        return DerivedFiles(self.warehouse.root)


@dataclass
class Open:
    """A store that is being served; answers are made ready per reader, by the name of the key."""

    resolved: Resolved
    key: str
    about: Any
    records: Records
    _answers: dict[str, Answers] = field(default_factory=dict)
    _readers: int = 0
    _retired: bool = False

    @classmethod
    def of(cls, resolved: Resolved, made: Derived) -> "Open":
        return cls(resolved, made.name, made.about, Records(made.file(FILE)))

    @contextmanager
    def held(self) -> Iterator["Open"]:
        """The store, which stays open while inside, whatever takes its place."""
        self._readers += 1
        try:
            yield self
        finally:
            self._readers -= 1
            self._close_if_done()

    def retire(self) -> None:
        """Close it when its last reader has done; there will be no more."""
        self._retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not self._readers:
            self.records.close()

    def person_named(self, said: str, reader: Reader) -> str:
        """The id of the person who is named so: by an id, by one that was, or as kind:key by an identifier whose kind
        the ``reader`` may read. What names nobody is given back."""
        identity = self.resolved.identity
        if identity is None:
            return said
        former = self.records.successor(said)
        if former is not None:
            return former
        code, _, key = said.partition(":")
        if code not in identity.ranks:
            return said
        kind = identity.kinds[identity.ranks[code]]
        text = key_of(key, kind.normalise) if reader.may(Need(kind.access)) else None
        return said if text is None else self.records.holder(code, text) or said

    def answers(self, reader: Reader) -> Answers:
        found = self._answers.get(reader.user)
        if found is None:
            found = self._answers[reader.user] = Answers(self.resolved, self.about, reader)
        return found


class Service:
    """Serves ``made``, and watches for newer ones. ``build``: the command that makes the newest one."""

    def __init__(self, place: Place, made: Derived, build: Sequence[str] = ()) -> None:
        self.place = place
        self.tally = AuditTally(place.audit, timedelta(seconds=RECORD_SECONDS))
        self.open = Open.of(place.resolved, made)
        self.build = tuple(build)
        self.health: list[dict[str, Any]] = []
        self._unread: str | None = None
        self._unbuilt: str | None = None
        self._seen: Seen | None = None
        self._behind: float | None = None
        self._is_behind = False
        self._past: dict[date, tuple[Seen, Published]] = {}
        self._reading = asyncio.Semaphore(1)
        self._waiting = 0

    @property
    def behind(self) -> bool:
        """Whether something newer is published than what is served."""
        return self._behind is not None

    @property
    def trouble(self) -> str | None:
        """Why what is published is not what is served, where that is nobody's intention."""
        return self._unread or self._unbuilt

    # The record

    async def keep_record(self, every: float = RECORD_SECONDS) -> None:
        """Write for ever what was counted. Where that can't be, it stays counted, and who asks next is refused."""
        while True:
            await asyncio.sleep(every)
            try:
                await asyncio.to_thread(self.tally.flush)
            except AuditError as error:
                print(f"what was told can't be recorded: {error}", file=sys.stderr)

    # Keeping up

    async def watch(self, every: float = POLL_SECONDS, settle: float = SETTLE_SECONDS) -> None:
        """Look for ever whether something newer is published; a look that fails leaves what is served."""
        while True:
            try:
                await self.look(settle)
            except Exception as error:
                # Whatever it is, it must not end the looking; what is served is not touched by it.
                self._unread = _told(
                    f"looking for newer tables failed: {type(error).__name__}: {error}", self._unread
                )
            await asyncio.sleep(every)

    async def look(self, settle: float = SETTLE_SECONDS) -> None:
        """Serve what is published now if its store is there; have it built when it has been missing for long."""
        seen = await asyncio.to_thread(manifests_seen, self.place)
        if seen == self._seen and self._behind is None:
            return
        try:
            newer = await asyncio.to_thread(self._newer)
        except (WarehouseError, NothingPublished, OSError, sqlite3.Error) as error:
            # What was published was withdrawn, or can't be read: what is served stays served.
            self._unread = _told(str(error), self._unread)
            return
        self._unread = None
        if newer is not None:
            self._switch(newer)
        if seen != self._seen or self._behind is None:
            self._seen, self._behind = seen, time.monotonic() if self._is_behind else None
        elif not self._is_behind:
            self._behind = None
        elif self.build and time.monotonic() - self._behind >= settle:
            self._unbuilt = await self._build()
            self._behind = time.monotonic()

    def _newer(self) -> Open | None:
        """The store of what is published, opened, if it is there and not the one that is served; and the health."""
        place = self.place
        now = published(place.warehouse, place.resolved)
        self.health = table_states(place.warehouse, place.resolved, now)
        self._is_behind = now.key != self.open.key
        made = find_store(place.stores, now) if self._is_behind else None
        if made is None:
            return None
        self._is_behind = False
        return Open.of(place.resolved, made)

    def _switch(self, newer: Open) -> None:
        older, self.open, self._unbuilt = self.open, newer, None
        older.retire()

    async def _build(self) -> str | None:
        """Make the store in a process of its own, so that nobody waits for it; why it failed, if it did."""
        child = await asyncio.create_subprocess_exec(
            *self.build, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            code = await child.wait()
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.terminate()
        if code == 0:
            return None
        return _told(f"the store of what is published could not be made (exit code {code})", self._unbuilt)

    # The past

    async def past(self, as_of: date, reader: Reader, persons: Sequence[str]) -> tuple[Answers, dict[str, str]]:
        """The answers of an as-of that has no store, and the records of ``persons``. Refusal if it can't be had."""
        if self._waiting >= MOST_WAITING:
            raise Refusal(503, "too many ask for the past at once; ask again in a few seconds")
        self._waiting += 1
        try:
            async with self._reading:
                return await asyncio.to_thread(self._of_past, as_of, reader, persons)
        finally:
            self._waiting -= 1

    def _of_past(self, as_of: date, reader: Reader, persons: Sequence[str]) -> tuple[Answers, dict[str, str]]:
        place = self.place
        try:
            then = self._published_at(as_of)
            found = records_of(place.resolved, then, persons, place.spill)
        except NothingPublished as error:
            raise Refusal(404, str(error)) from error
        except Exception as error:
            # A snapshot may be removed while it is read; the next request finds the one that is there then.
            self._past.pop(as_of, None)
            # Its message may quote a person's values, and logs are for everybody.
            print(f"as-of {as_of} can't be read ({type(error).__name__}); see valtag status", file=sys.stderr)
            raise Refusal(
                503, f"the snapshots of {as_of} can't be read at present; ask again, or see /health"
            ) from error
        return Answers(place.resolved, then.about(), reader), found

    def _published_at(self, as_of: date) -> Published:
        seen = manifests_seen(self.place)
        known = self._past.get(as_of)
        if known is not None and known[0] == seen:
            return known[1]
        found = published(self.place.warehouse, self.place.resolved, as_of)
        while len(self._past) >= MOST_PAST:
            self._past.pop(next(iter(self._past)))
        self._past[as_of] = (seen, found)
        return found


def _told(trouble: str, before: str | None) -> str:
    """The trouble, logged unless it is the one before."""
    if trouble != before:
        print(trouble, file=sys.stderr)
    return trouble


def manifests_seen(place: Place) -> Seen:
    """What tells that nothing was published since: the manifests' names, times and files; some dozen stats."""
    found = []
    named = ID_TABLES if place.resolved.identity is not None else ()
    for table in (*map(TableRef.parse, (PERSONS, *named)), *served_tables(place.resolved)):
        path = place.warehouse.folder(table) / MANIFEST
        with suppress(FileNotFoundError):
            status = path.stat()
            found.append((table.key, status.st_mtime_ns, status.st_ino))
    return tuple(found)
